"""How a module is called: the step from `module(x)` to `module.forward(x)`.

In C, since it is taken at every layer: a Python `__call__` packs and unpacks the arguments, and costs about twice what
`forward` of a small layer does.
"""

cimport cython
from cpython.object cimport PyObject

from .tensor cimport RECORDED, WATCHED, slots, thread, watch

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        void* tp_call
        void* tp_getattro
        unsigned int tp_version_tag
    PyTypeObject* Py_TYPE(object)
    void* PyObject_GenericGetAttr
    bint PyFunction_Check(object)
    object PyObject_Vectorcall(PyObject* call, PyObject** args, size_t count, PyObject* names)
    object PyObject_VectorcallMethod(object name, PyObject** args, size_t count, PyObject* names)

cdef enum:
    HOOKS = 1               # some module has had a hook, or a `forward` of its own
    WATCHER = 2             # times the threads that have a watcher or a recorder
cdef int hooked = 0         # no module pays for what none has ever had


def expect_hooks():
    """From now on every call looks whether its module has hooks, or an attribute `forward` that hides its class's."""
    global hooked
    hooked |= HOOKS


cdef int expect_watcher(int count) noexcept:
    global hooked
    hooked += count * WATCHER
    return 0


# The function `forward` of a class, as long as the class is what it was: to look it up costs 140 to 240 instructions.
cdef struct known_t:
    PyTypeObject* type
    unsigned int version        # tp_version_tag: another one once the class or a base of it has changed
    PyObject* forward           # borrowed: the class holds it

cdef enum:
    KNOWN = 64

cdef known_t known[KNOWN]


cdef PyObject* learn_forward(PyTypeObject* type, known_t* k) except? NULL:
    """The `forward` of a class where it is a plain function found in the plain way; else NULL."""
    if type.tp_getattro != PyObject_GenericGetAttr or not hasattr(<object>type, "forward"):
        return NULL
    forward = (<object>type).forward
    if not PyFunction_Check(forward) or type.tp_version_tag == 0:
        return NULL
    k.type = type
    k.version = type.tp_version_tag
    k.forward = <PyObject*>forward
    return k.forward


cdef inline object forward_one(object module, object input):
    cdef PyTypeObject* type = Py_TYPE(module)
    cdef known_t* k = &known[(<size_t>type >> 6) % KNOWN]
    cdef PyObject* forward = NULL
    cdef PyObject* stack[2]
    stack[0] = <PyObject*>module
    stack[1] = <PyObject*>input
    if not hooked & HOOKS:
        forward = k.forward if k.type == type and k.version == type.tp_version_tag else learn_forward(type, k)
    if forward == NULL:
        return PyObject_VectorcallMethod("forward", stack, 2, NULL)
    return PyObject_Vectorcall(forward, stack, 2, NULL)


cdef bint has_hooks(object module) except -1:
    return hooked & HOOKS and (module._hooks is not None or "forward" in module.__dict__)


cdef object call_unwatched(object module, tuple args, dict kwargs):
    hooks = module._hooks if hooked & HOOKS else None
    if hooks is not None:
        return hooks.call(module, args, kwargs)
    if len(args) == 1 and not kwargs:
        return forward_one(module, args[0])
    return module.forward(*args, **kwargs)


@cython.auto_pickle(False)
cdef class Callable:
    """The base of `nn.Module`: has no fields, so that a subclass copies, pickles and inherits as any Python class does."""

    def __call__(self, *args, **kwargs):
        if hooked:
            if hooked >= WATCHER:
                if thread().special & RECORDED:
                    slots.record_module(self)
                if thread().special & WATCHED:
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
