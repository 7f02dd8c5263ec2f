"""How a module is called: the step from `module(x)` to `module.forward(x)`.

In C, since it is taken at every layer: a Python `__call__` packs and unpacks the arguments, and costs about twice what
`forward` of a small layer does.
"""

cimport cython
from cpython.object cimport PyObject, PyTypeObject

cdef extern from "Python.h":
    object PyObject_VectorcallMethod(object name, PyObject** args, size_t count, PyObject* names)
    PyTypeObject* Py_TYPE(object)

cdef bint hooked = False    # whether any module has ever had a hook: no other module pays for them


def expect_hooks():
    """From now on every call looks whether its module has hooks."""
    global hooked
    hooked = True


cdef inline object forward_one(object module, object input):
    cdef PyObject* stack[2]
    stack[0] = <PyObject*>module
    stack[1] = <PyObject*>input
    return PyObject_VectorcallMethod("forward", stack, 2, NULL)


@cython.auto_pickle(False)
cdef class Callable:
    """The base of `nn.Module`: has no fields, so that a subclass copies, pickles and inherits as any Python class does."""

    def __call__(self, *args, **kwargs):
        if hooked:
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
