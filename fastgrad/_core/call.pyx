"""How a module is called: the step from `module(x)` to `module.forward(x)`, or to what that calls.

In C, since it is taken at every layer: a Python `__call__` packs and unpacks the arguments, and costs about twice what
`forward` of a small layer does. A `forward` that only hands attributes to a function says so (`direct`) and is left out: its
frame costs 500 instructions, as much as the op around its kernel.
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
    object PyObject_GenericGetDict(object, void*)
    PyObject* PyDict_GetItemWithError(object, object) except? NULL
    void raw_incref "Py_INCREF"(PyObject*)
    void raw_decref "Py_DECREF"(PyObject*)
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


cdef dict directs = {}          # a forward -> (function, names of attributes)


def direct(function, *names):
    """Decorates a `forward(self, input)` that returns ``function(input, self.name, ...)`` and does nothing else: that is called
    instead, where the attributes lie in the module's dictionary. Not where there are hooks, or a `forward` of a subclass or of
    the module's own."""
    if len(names) >= MOST:
        raise ValueError(f"direct: at most {MOST - 1} attributes")

    def marked(forward):
        directs[forward] = (function, *names)
        return forward

    return marked


# The function `forward` of a class, as long as the class is what it was: to look it up costs 140 to 240 instructions.
cdef struct known_t:
    PyTypeObject* type
    unsigned int version        # tp_version_tag: another one once the class or a base of it has changed
    PyObject* forward           # borrowed: the class holds it
    PyObject* how               # borrowed from `directs`; NULL: by calling it

cdef enum:
    KNOWN = 64
    MOST = 4                    # arguments of a function that is called directly

cdef known_t known[KNOWN]


cdef PyObject* learn_forward(PyTypeObject* type, known_t* k) except? NULL:
    """The `forward` of a class where it is a plain function found in the plain way; else NULL."""
    if type.tp_getattro != PyObject_GenericGetAttr or not hasattr(<object>type, "forward"):
        return NULL
    forward = (<object>type).forward
    if not PyFunction_Check(forward) or type.tp_version_tag == 0:
        return NULL
    how = directs.get(forward)
    if how is not None and any([computed(<object>type, name) for name in how[1:]]):
        how = None
    k.type = type
    k.version = type.tp_version_tag
    k.forward = <PyObject*>forward
    k.how = NULL if how is None else <PyObject*>how
    return k.forward


cdef bint computed(type cls, str name) except -1:
    """Whether a class decides what the attribute of an instance is, as a property does, whatever its dictionary holds."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return hasattr(base.__dict__[name], "__set__")
    return False


cdef inline object forward_one(object module, object input):
    cdef PyTypeObject* type = Py_TYPE(module)
    cdef known_t* k = &known[(<size_t>type >> 6) % KNOWN]
    cdef PyObject* forward = NULL
    cdef PyObject* stack[MOST + 1]
    if not hooked & HOOKS:
        forward = k.forward if k.type == type and k.version == type.tp_version_tag else learn_forward(type, k)
        if forward != NULL and k.how != NULL and take(module, <tuple>k.how, stack + 1):
            return call_taken(<tuple>k.how, <PyObject*>input, stack)
    stack[0] = <PyObject*>module
    stack[1] = <PyObject*>input
    if forward == NULL:
        return PyObject_VectorcallMethod("forward", stack, 2, NULL)
    return PyObject_Vectorcall(forward, stack, 2, NULL)


cdef inline bint take(object module, tuple how, PyObject** values) except -1:
    """Fills `values` with the attributes that `how` names, owned; False where one is not in the module's dictionary."""
    cdef Py_ssize_t k, n = len(how) - 1
    cdef object attributes
    if n == 0:
        return True
    attributes = PyObject_GenericGetDict(module, NULL)
    for k in range(n):
        values[k] = PyDict_GetItemWithError(attributes, how[k + 1])
        if values[k] == NULL:
            return False
    for k in range(n):
        raw_incref(values[k])
    return True


cdef inline object call_taken(tuple how, PyObject* input, PyObject** stack):
    cdef Py_ssize_t k, n = len(how)
    stack[0] = input
    try:
        return PyObject_Vectorcall(<PyObject*>how[0], stack, <size_t>n, NULL)
    finally:
        for k in range(1, n):
            raw_decref(stack[k])


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

    def __cinit__(self, *args, **kwargs):
        if hooked >= WATCHER and thread().special & RECORDED:
            slots.record_module(self)

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


def call_each(input, tuple modules not None):
    """Calls modules one after another, each on the output of the one before."""
    for module in modules:
        if hooked or Py_TYPE(module).tp_call != (<PyTypeObject*>Callable).tp_call:
            input = module(input)
        else:
            input = forward_one(module, input)
    return input
