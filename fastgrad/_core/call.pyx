"""How a module is called: the step from `module(x)` to `module.forward(x)`.

In C, since it is taken at every layer: a Python `__call__` packs and unpacks the arguments, and costs about twice what
`forward` of a small layer does.
"""

cimport cython
from cpython.object cimport PyObject, PyTypeObject

from .tensor cimport WATCHED, thread, watch

cdef extern from "Python.h":
    object PyObject_VectorcallMethod(object name, PyObject** args, size_t count, PyObject* names)
    PyTypeObject* Py_TYPE(object)

cdef enum:
    HOOKS = 1               # some module has had a hook
    WATCHER = 2             # times the threads that have a watcher
cdef int hooked = 0         # no module pays for hooks that none has ever had


def expect_hooks():
    """From now on every call looks whether its module has hooks."""
    global hooked
    hooked |= HOOKS


cdef int expect_watcher(int count) noexcept:
    global hooked
    hooked += count * WATCHER
    return 0


cdef inline object forward_one(object module, object input):
    cdef PyObject* stack[2]
    stack[0] = <PyObject*>module
    stack[1] = <PyObject*>input
    return PyObject_VectorcallMethod("forward", stack, 2, NULL)


cdef object call_unwatched(object module, tuple args, dict kwargs):
    hooks = module._hooks
    if hooks is not None:
        return hooks.call(module, args, kwargs)
    return module.forward(*args, **kwargs)


@cython.auto_pickle(False)
cdef class Callable:
    """The base of `nn.Module`: has no fields, so that a subclass copies, pickles and inherits as any Python class does."""

    def __call__(self, *args, **kwargs):
        if hooked:
            if hooked >= WATCHER and thread().special & WATCHED:
                return watch.module(self, args, kwargs)
            hooks = self._hooks
            if hooks is not None:
                return hooks.call(self, args, kwargs)
        if len(args) == 1 and not kwargs:
            return forward_one(self, args[0])
        return self.forward(*args, **kwargs)


def call_each(tuple modules not None, input):
    """Calls modules one after another, each on the output of the one before."""
    for module in modules:
        if hooked or Py_TYPE(module).tp_call != (<PyTypeObject*>Callable).tp_call:
            input = module(input)
        else:
            input = forward_one(module, input)
    return input
