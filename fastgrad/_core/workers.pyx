"""Threads that work for another one, which may have to stop them. Imports nothing of the core."""

cimport cython
from cpython.object cimport PyObject

import threading

cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long id, PyObject* exception)


class Stopped(BaseException):
    """Raised in a worker that is to stop, between two instructions of its Python."""


@cython.final
cdef class Gate:
    """Whether the thread that made it may be stopped: until it closes the gate. The GIL keeps `stop` and `close` apart."""

    cdef unsigned long thread
    cdef bint open
    cdef readonly bint sent         # Stopped was, or will be, raised: once

    def __init__(self):
        self.thread = threading.get_ident()
        self.open = True

    def stop(self):
        """Raises Stopped in the thread as soon as it runs Python."""
        if self.open and not self.sent:
            self.sent = True
            PyThreadState_SetAsyncExc(self.thread, <PyObject*>Stopped)

    def close(self):
        """From now on nothing is sent; what has been sent may still come."""
        self.open = False
