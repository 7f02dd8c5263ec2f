"""What a tensor tells of itself (sizes, strides, addresses), and what sets its history, memory, values and dtype."""

from .inplace cimport inplace
from .promote cimport cast
from .shape cimport dim_of
from .tensor cimport *
from .views cimport settle

from .table import publish
from .tensor import install

cdef Op COPY = declare("copy")


# ---- history, sizes, addresses --------------------------------------------------------------------------------------

def detach(Tensor self not None):
    """The same memory without the history: a leaf that does not require grad."""
    return alias(self)


def detach_(Tensor self not None):
    """Takes the history of this tensor away, in place; returns it. Raises RuntimeError for a view."""
    settle(self)
    if self.view is not None and self.flags & REQUIRES_GRAD:
        raise RuntimeError("detach_: a view cannot be detached in place; use detach()")
    if self.node is not None and self.node.state & N_LEAF:
        self.requires_grad_(False)
    else:
        set_history(self, None, 0)
    return self


def stride(Tensor self not None, dim=None):
    """Elements to step over in memory from one index to the next: of every dimension as a tuple, or of `dim`."""
    if dim is None:
        return tuple([self.layout.c.stride[k] for k in range(self.layout.c.ndim)])
    return self.layout.c.stride[dim_of(dim, self.layout.c.ndim)]


def size(Tensor self not None, dim=None):
    """The shape, or the size of one dimension."""
    if dim is None:
        return self.shape
    if self.layout.c.ndim == 0:
        raise IndexError("size: a 0-d tensor has no dimensions")
    return self.layout.c.shape[dim_of(dim, self.layout.c.ndim)]


def dim(Tensor self not None):
    """The number of dimensions."""
    return self.layout.c.ndim


def numel(Tensor input not None):
    """The number of elements.

    >>> import fastgrad as fg
    >>> fg.numel(fg.zeros(2, 3))
    6
    """
    return input.layout.c.size


def data_ptr(Tensor self not None):
    """The address of the first element."""
    only_plain(self, "data_ptr", BOXED)
    return <size_t>self.data


def storage_offset(Tensor self not None):
    """Elements between the start of the memory and the first element."""
    return (<char*>self.data - <char*>self.storage.data) // fg_itemsize[self.dtype]


for _f in (detach, detach_, stride, size, dim, data_ptr, storage_offset):
    install(_f.__name__, _f)
publish(numel)
install("nelement", numel)
install("ndimension", dim)


# ---- data -----------------------------------------------------------------------------------------------------------

def _get_data(Tensor self):
    return alias(self)


def _set_data(Tensor self, Tensor value not None):
    settle(self)
    forbid("assigning .data")
    only_plain(self, "data", BOXED | DUAL)
    only_plain(value, "data", BOXED)
    if self.node is not None and not self.node.state & N_LEAF:
        raise RuntimeError("data of a tensor with a history cannot be replaced; use copy_() under no_grad()")
    leaf = self.node
    if leaf is not None and not fg_is_real(value.dtype):
        raise RuntimeError(f"data: a tensor that requires grad must be float32 or float64, got {dtype_of(value.dtype)}")
    self.storage, self.data, self.layout, self.dtype = value.storage, value.data, value.layout, value.dtype
    change_epoch()
    if leaf is not None and (not same_shape((<Leaf>leaf).lay, value.layout) or (<Leaf>leaf).dtype != value.dtype):
        renew_leaf(self, <Leaf>leaf)


cdef int renew_leaf(Tensor t, Leaf old) except -1:
    """Gives t a Leaf of its new shape and dtype. Graphs that hold the old one describe data that is gone: they can no longer
    be differentiated."""
    old.state |= N_FREED
    require_grad(t)
    (<Leaf>t.node).grad = old.grad
    if old.extra is not None and old.extra.hooks is not None:
        extra_of(t.node).hooks = old.extra.hooks
    return 0


install("data", property(_get_data, _set_data, None, "The same memory without the history; assigning replaces the memory."))


# ---- values written in place ----------------------------------------------------------------------------------------

def copy_(Tensor self not None, src, non_blocking=False):
    """Writes the values of src, expanded and cast, into this tensor; returns it."""
    return inplace(COPY, self, [as_operand(src, self.dtype, "copy_")], None)


def fill_(Tensor self not None, value):
    """Writes one value into every element; returns this tensor."""
    cdef Tensor v = as_operand(value, self.dtype, "fill_")
    if v.layout.c.ndim:
        raise RuntimeError(f"fill_: expected a number or a 0-d tensor, got shape {tuple(v.shape)}")
    return inplace(COPY, self, [v], None)


def zero_(Tensor self not None):
    """Writes zero into every element; returns this tensor."""
    return inplace(COPY, self, [scalar(0, self.dtype)], None)


for _f in (copy_, fill_, zero_):
    install(_f.__name__, _f)


# ---- dtypes ---------------------------------------------------------------------------------------------------------

def _caster(name, code):
    def f(Tensor self not None, *, memory_format=None):
        return self if self.dtype == code else cast(self, code)
    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"This tensor as {dtype_of(code).name}; itself where it is that already."
    install(name, f)


for _name, _code in (("float", FG_F32), ("double", FG_F64), ("long", FG_I64), ("int", FG_I32), ("byte", FG_U8),
                     ("bool", FG_BOOL)):
    _caster(_name, _code)
