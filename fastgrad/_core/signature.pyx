"""What a compiled function was called with: the structure of its arguments, layouts and dtypes of tensors, static values."""

cimport cython
from cpython.object cimport PyObject

import weakref

import numpy as np

from .recorder cimport collected, frozen
from .tensor cimport *
from .views cimport settle

from .recorder import CompileError

cdef extern from "Python.h":
    ctypedef struct PyWeakReference:
        PyObject* wr_object
    PyObject** PySequence_Fast_ITEMS(object items)     # borrowed

cdef enum:
    TENSOR, SIMPLE, OBJECT, ITEMS, DICT


@cython.final
cdef class Signature:
    """What a program asks of its arguments: the structure, layouts and dtypes of tensors, static values."""

    cdef bint matches(self, object x, PyObject** tensors, int* n) except -1:
        """Whether x is what this describes; its tensors, borrowed, are added to those found so far."""
        cdef Tensor t
        if self.kind == TENSOR:
            if type(x) is not Tensor:
                return False
            t = <Tensor>x
            if t.flags & VIEW:
                settle(t)
            if t.layout is not self.layout and not same_layout(t.layout, self.layout):
                return False
            if t.dtype != self.dtype or t.flags & (REQUIRES_GRAD | BOXED | DUAL):
                return False
            tensors[n[0]] = <PyObject*>t
            n[0] += 1
            return True
        if self.kind == OBJECT:     # what a dead reference points to is None
            return x is not None and <PyObject*>x == (
                (<PyWeakReference*>self.value).wr_object if self.weak else <PyObject*>self.value)
        if type(x) is not self.type:
            return False
        if self.kind == SIMPLE:
            return x is self.value or frozen(x) == self.key
        if self.kind == DICT:
            if len(x) != len(self.names) or tuple(x) != self.names:
                return False
            x = x.values()
        if self.type is tuple:
            return self.takes(PySequence_Fast_ITEMS(<tuple>x), len(<tuple>x), tensors, n)
        x = list(x)
        return self.takes(PySequence_Fast_ITEMS(<list>x), len(<list>x), tensors, n)

    cdef bint takes(self, PyObject** xs, Py_ssize_t count, PyObject** tensors, int* n) except -1:
        """The same for a sequence of `count` items."""
        cdef Py_ssize_t k
        if count != len(self.items):
            return False
        for k in range(count):
            if not (<Signature>self.items[k]).matches(<object>xs[k], tensors, n):
                return False
        return True


cdef bint same_layout(Layout a, Layout b) noexcept:
    cdef int k
    if not same_shape(a, b) or a.c.flags != b.c.flags:
        return False
    for k in range(a.c.ndim):
        if a.c.shape[k] > 1 and a.c.stride[k] != b.c.stride[k]:
            return False
    return True


cdef Signature call_signature(tuple args, dict kwargs, list tensors):
    cdef Signature s = signature((args, kwargs) if kwargs else args, tensors)
    s.keywords = bool(kwargs)
    s.key = (s.keywords, s.key)
    return s


cdef Signature signature(object x, list tensors):
    cdef Signature s = Signature.__new__(Signature)
    cdef Tensor t
    s.type = type(x)
    if type(x) is Tensor:
        t = <Tensor>x
        if t.requires_grad:
            raise CompileError("an argument of a compiled function requires grad: its gradient would be lost; detach() it, or "
                               "let the function use it from outside, as it does parameters")
        if t.flags & (BOXED | DUAL):
            raise CompileError("an argument of a compiled function is under a transform")
        tensors.append(t)
        s.kind, s.layout, s.dtype = TENSOR, t.layout, t.dtype
        s.key = ("tensor", t.dtype, tuple(shape_of(t.layout)), t.layout.strides)
    elif isinstance(x, (tuple, list)):
        s.kind = ITEMS
        s.items = [signature(item, tensors) for item in x]
        s.key = (s.type, tuple([(<Signature>item).key for item in s.items]))
    elif isinstance(x, dict):
        s.kind = DICT
        s.names = tuple(x)
        s.items = [signature(item, tensors) for item in x.values()]
        s.key = (s.type, frozen(s.names), tuple([(<Signature>item).key for item in s.items]))
    elif isinstance(x, np.ndarray):
        raise CompileError("an argument of a compiled function is a NumPy array, whose values would be frozen; pass "
                           "fastgrad.from_numpy(array)")
    else:
        s.key = frozen(x)
        s.value = x
        s.kind = SIMPLE
        if s.key == (type(x), id(x)) and type(x) is not int:
            s.kind = OBJECT
            try:
                s.value = weakref.ref(x)
                s.weak = True
            except TypeError:
                pass
    return s


cdef object replaced(object x, list tensors):
    """x with its tensors replaced by these, in their order (taken from the end of the reversed list)."""
    if type(x) is Tensor:
        return tensors.pop()
    if isinstance(x, (tuple, list)):
        return collected(type(x), [replaced(item, tensors) for item in x])
    if isinstance(x, dict):
        return collected(type(x), [replaced(item, tensors) for item in x.values()], list(x))
    return x


cdef bint unchanged(object x, object y, list tensors) except -1:
    cdef list left = tensors[::-1]
    return same_items(x, y, left)


cdef bint same_items(object x, object y, list tensors) except -1:
    if type(y) is Tensor:
        return x is tensors.pop()
    if type(x) is not type(y):
        return False
    if not isinstance(y, (tuple, list, dict)):
        return x is y
    if len(x) != len(y):
        return False
    if isinstance(y, dict):
        if list(x) != list(y):
            return False
        x, y = x.values(), y.values()
    for a, b in zip(x, y):
        if not same_items(a, b, tensors):
            return False
    return True


cdef int tensors_of(object x, list found) except -1:
    """Adds the tensors in x, in the order in which `replaced` replaces them."""
    if type(x) is Tensor:
        found.append(x)
    elif isinstance(x, (tuple, list)):
        for item in x:
            tensors_of(item, found)
    elif isinstance(x, dict):
        for item in x.values():
            tensors_of(item, found)
    return 0
