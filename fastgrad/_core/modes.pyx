"""Switches of this thread's recording: no_grad, enable_grad, set_grad_enabled, inference_mode."""

from libc.stdint cimport uint32_t

import functools

from .tensor cimport fg_thread, thread


cdef class _Mode:
    # A context manager and a decorator. The state to go back to is kept per use, so one object may be nested.
    cdef list before
    cdef uint32_t wanted
    cdef bint inference

    def __cinit__(self):
        self.before = []

    def __enter__(self):
        cdef fg_thread* here = thread()
        self.before.append((here.recording, here.inference))
        here.recording = self.wanted
        if self.inference:
            here.inference = 1

    def __exit__(self, *exc):
        cdef fg_thread* here = thread()
        here.recording, here.inference = self.before.pop()

    def __call__(self, function):
        if not callable(function):
            raise TypeError(f"{type(self).__name__} decorates a function, got {type(function).__name__}")

        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with self:
                return function(*args, **kwargs)
        return wrapped


class no_grad(_Mode):
    """Operations inside are not recorded; as a context manager or a decorator.

    >>> import fastgrad as fg
    >>> x = fg.ones(2, requires_grad=True)
    >>> with fg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self, orig_func=None):
        (<_Mode>self).wanted = 0

    def __new__(cls, orig_func=None):
        self = _Mode.__new__(cls)
        if orig_func is None:
            return self
        self.__init__()
        return self(orig_func)


class enable_grad(_Mode):
    """Operations inside are recorded, also within `no_grad`; as a context manager or a decorator."""

    def __init__(self):
        (<_Mode>self).wanted = 1


class set_grad_enabled(_Mode):
    """Switches recording on or off: at once, and back again at the end where it is used as a context manager."""

    def __init__(self, mode):
        (<_Mode>self).wanted = bool(mode)
        self.was = thread().recording
        thread().recording = (<_Mode>self).wanted

    def __enter__(self):
        super().__enter__()
        _, inference = (<_Mode>self).before.pop()
        (<_Mode>self).before.append((self.was, inference))


class inference_mode(_Mode):
    """As `no_grad`, for code that will never be differentiated; ``inference_mode(False)`` changes nothing."""

    def __init__(self, mode=True):
        (<_Mode>self).wanted = 0 if mode else thread().recording
        (<_Mode>self).inference = bool(mode)


def is_grad_enabled():
    """Whether operations are recorded on this thread."""
    return bool(thread().recording)


def is_inference_mode_enabled():
    """Whether this thread is inside `inference_mode`."""
    return bool(thread().inference)
