"""Parameter, and copies of tensors: copy, deepcopy, pickle. Only leaves: a history belongs to one tensor."""

from libc.string cimport memcpy

import copy as copying

from .data cimport array_of
from .memory cimport Storage, new_storage
from .tensor cimport *

from .table import functions
from .tensor import install


cdef extern from "Python.h":
    object PyObject_GenericGetDict(object, void*)


cdef dict attributes_of(Tensor t):
    """The user's attributes; none makes no dictionary."""
    return {} if t.attributes == NULL else <dict>t.attributes


install("__dict__", property(lambda Tensor self: PyObject_GenericGetDict(self, NULL), None, None, "The user's attributes."))


class _ParameterMeta(type):
    def __instancecheck__(cls, instance):
        return type(instance) is Tensor and ((<Tensor>instance).flags & PARAMETER) != 0


class Parameter(metaclass=_ParameterMeta):
    """A Tensor that a Module registers when it is assigned as an attribute, and that requires grad by default.

    data: the Tensor whose memory it shares, without its history. requires_grad: as for any Tensor.
    The result is a Tensor with a flag, by which ``isinstance(x, Parameter)`` knows it.

    >>> import fastgrad as fg
    >>> fg.nn.Parameter(fg.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data=None, requires_grad=True):
        cdef Tensor t
        if data is None:
            data = functions["empty"](0)
        elif type(data) is not Tensor:
            raise TypeError(f"Parameter: expected a Tensor, got {type(data).__name__}")
        t = alias(data)
        t.flags |= PARAMETER
        if requires_grad:
            require_grad(t)
        return t


cdef int only_leaf(Tensor t, str what) except -1:
    only_plain(t, what, BOXED | DUAL)
    if not t.is_leaf:
        raise RuntimeError(f"only tensors that no recorded operation made (graph leaves) support {what}; detach() it first")
    return 0


cdef Tensor like(Tensor t, Storage storage):
    """A leaf with the layout and flags of t in a storage that corresponds to t's."""
    cdef Tensor c = alias(t)
    c.storage = storage
    c.data = <char*>storage.data + (<char*>t.data - <char*>t.storage.data)
    c.flags = t.flags & PARAMETER
    if t.flags & REQUIRES_GRAD:
        require_grad(c)
    return c


def __copy__(Tensor self not None):
    """Another tensor that shares this one's memory."""
    only_leaf(self, "copy.copy()")
    c = like(self, self.storage)
    for name, value in attributes_of(self).items():
        setattr(c, name, value)
    return c


def __deepcopy__(Tensor self not None, memo):
    """A copy in memory of its own. Tensors that share memory and are copied together share it again."""
    cdef Storage storage
    if id(self) in memo:
        return memo[id(self)]
    only_leaf(self, "copy.deepcopy()")
    door(self, "deepcopy()")
    storage = memo.get(id(self.storage))
    if storage is None:
        storage = new_storage(self.storage.nbytes)
        memcpy(storage.data, self.storage.data, <size_t>storage.nbytes)
        memo[id(self.storage)] = storage
    c = like(self, storage)
    memo[id(self)] = c
    if self.grad is not None and self.flags & REQUIRES_GRAD:
        c.grad = copying.deepcopy(self.grad, memo)
    for name, value in attributes_of(self).items():
        setattr(c, name, copying.deepcopy(value, memo))
    return c


def _rebuild(array, parameter, requires_grad, attributes):
    cdef Tensor t = functions["tensor"](array)
    if parameter:
        t.flags |= PARAMETER
    if requires_grad:
        require_grad(t)
    for name, value in attributes.items():
        setattr(t, name, value)
    return t


def __reduce_ex__(Tensor self not None, protocol):
    """Pickles the values, requires_grad and attributes; not the gradient."""
    only_leaf(self, "pickle")
    return _rebuild, (array_of(self), isinstance(self, Parameter), self.requires_grad, attributes_of(self))


for _f in (__copy__, __deepcopy__, __reduce_ex__):
    install(_f.__name__, _f)
