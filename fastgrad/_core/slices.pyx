"""Views of a part: basic indices (ints, slices, ..., None), diagonals, windows, splits; and their adjoints.

A view's attributes describe it logically, as if its parent were dense: a `slice` is a pattern (offset, shape, strides) over
the row-major order of the parent, whatever the parent's own strides. So one rule serves every basic index.
"""

from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from .inplace cimport inplace
from .memory cimport Attrs, Layout
from .shape cimport contiguous_of, dim_of, either, expand_to, unsqueezed
from .tensor cimport *
from .views cimport apply_view, apply_views

from ._errors import ShapeError
from .table import LINEAR, PATTERN, functions, joint, op, publish
from .tensor import install

cdef extern from "Python.h":
    int PySlice_Unpack(object slice, Py_ssize_t* start, Py_ssize_t* stop, Py_ssize_t* step) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t length, Py_ssize_t* start, Py_ssize_t* stop, Py_ssize_t step)

cdef Op CLONE = declare("clone")
cdef Op COPY = declare("copy")


# ---- records -------------------------------------------------------------------------------------------------------

cdef Op SLICE = op("slice", shape="VIEW", dtype=".->a", kernel=False, vjp=(lambda g, s0, a: unslice(g, s0, a),), jvp=LINEAR,
                   family="shape", doc="A strided pattern over the row-major order of the input: what a basic index gives.",
                   numpy="{sliced}")
cdef Op UNSLICE = op("unslice", shape="GIVEN", dtype="T->T", vjp=(lambda g, s0, a: sliced(g, s0, a),), jvp=LINEAR,
                     batch=PATTERN, family="shape", doc="The adjoint of slice: zeros with the input added at the pattern.",
                     numpy="placed(x0, {out}, np.s_[{key}])")
cdef Op WRITE = op("write", shape="SAME", dtype="TT->T", dense=True,
                   vjp=joint(lambda g, s0, s1, a, needs: unwrite(g, s0, s1, a, needs)),
                   jvp=LINEAR, batch=PATTERN, family="shape",
                   doc="The first operand with a strided pattern replaced by the second.",
                   numpy="written(x0, np.s_[{key}], x1)")
cdef Op SPLIT = op("split", shape="VIEW", dtype=".->a", kernel=False, vjp=(lambda gs, s0, a: unsplit(gs, s0, a),), jvp=LINEAR,
                   family="shape", sample=lambda r: [((r.normal(size=(5, 2)), 2), {}),
                                                     ((r.normal(size=(2, 4)), [1, 3]), {"dim": 1})],
                   doc="Consecutive parts along one dimension, as one node with several outputs.")


cdef Tensor unslice(Tensor g, Layout s, Attrs a):
    cdef PyObject* px = <PyObject*>g
    cdef Attrs b = shape_attrs(s.c.ndim, s.c.shape)
    memcpy(b.c.stride, a.c.stride, sizeof(b.c.stride))
    b.c.offset = a.c.offset
    b.c.mode = 1 if strided_layout(a.c.ndim, a.c.shape, a.c.stride).c.flags & FG_OVERLAP else 0
    return <Tensor>apply(UNSLICE, &px, 1, b)


cdef Tensor sliced(Tensor g, Layout s, Attrs a):
    """The pattern of `a`, of the shape of s, read from g."""
    cdef Attrs b = shape_attrs(s.c.ndim, s.c.shape)
    memcpy(b.c.stride, a.c.stride, sizeof(b.c.stride))
    b.c.offset = a.c.offset
    g = contiguous_of(g)
    return apply_view(SLICE, g, strided_layout(s.c.ndim, s.c.shape, a.c.stride), a.c.offset, b)


def unwrite(Tensor g, Layout base, Layout new, Attrs a, needs):
    """The gradients of write: g with the pattern zeroed, and the pattern's part of g (copied out first)."""
    cdef Attrs lay
    cdef Tensor part, rest, flat
    cdef PyObject* xs[2]
    cdef int64_t extent = 1
    cdef int k
    # A number that stands for a whole base, zeros where it has no tangent, was laid out first.
    cdef bint spread = not base.c.flags & (FG_DENSE | FG_OVERLAP)
    flat = contiguous_of(g)         # it becomes a base in its turn
    if spread:              # the pattern is one over the base's own memory: lay g out the same way
        for k in range(base.c.ndim):
            extent += (base.c.shape[k] - 1) * base.c.stride[k]
        lay = shape_attrs(1, &extent)
        memcpy(lay.c.stride, base.c.stride, sizeof(lay.c.stride))
        xs[0] = <PyObject*>g
        flat = <Tensor>apply(UNSLICE, xs, 1, lay)
    part = sliced(flat, new, a) if needs & 2 else None
    if part is not None:
        part = <Tensor>apply1(CLONE, part, None)
    if not needs & 1:
        return None, part
    zeros = zeros_of(new, g.dtype)
    xs[0] = <PyObject*>flat
    xs[1] = <PyObject*>zeros
    rest = <Tensor>apply(WRITE, xs, 2, a)
    if spread:
        rest = sliced(rest, base, lay)
    return rest, part


cdef Tensor zeros_of(Layout s, int dtype):
    cdef Tensor zero = scalar(0, dtype)
    return expand_to(zero, s.c.ndim, s.c.shape)


def unsplit(list gs, Layout s, Attrs a):
    """The parts' gradients put together again; None is zero."""
    cdef int axis = a.c.axis, k
    cdef Layout part
    cdef Tensor g
    like = next(g for g in gs if g is not None)
    whole = []
    for k, g in enumerate(gs):
        if g is None:
            part = part_layout(s, axis, a.py[k])
            g = zeros_of(part, (<Tensor>like).dtype)
        elif a.c.mode:          # unbind: the dimension had gone
            g = unsqueezed(g, axis)
        whole.append(g)
    return functions["cat"](whole, axis)


cdef Layout part_layout(Layout s, int axis, int64_t size):
    cdef int64_t shape[8]
    memcpy(shape, s.c.shape, sizeof(shape))
    shape[axis] = size
    return dense_layout(s.c.ndim, shape)


# ---- basic indexing ------------------------------------------------------------------------------------------------

cdef struct cut_t:                  # a view being built by an index
    int ndim                        # axes made so far
    int axis                        # axes of x consumed
    int64_t shape[8]
    int64_t stride[8]               # of the memory
    int64_t logical[8]              # of the dense parent
    int64_t offset
    int64_t logical_offset


cdef int cut_int(cut_t* c, fg_layout* l, const int64_t* dense, int64_t i, Tensor x) except -1:
    cdef int64_t n = l.shape[c.axis]
    if i < -n or i >= n:
        raise IndexError(f"index {i} is out of bounds for dimension {c.axis} with size {n}")
    if i < 0:
        i += n
    c.offset += i * l.stride[c.axis]
    c.logical_offset += i * dense[c.axis]
    c.axis += 1
    return 0


cdef int cut_slice(cut_t* c, fg_layout* l, const int64_t* dense, object key) except -1:
    cdef Py_ssize_t start, stop, step, n
    PySlice_Unpack(key, &start, &stop, &step)
    if step <= 0:
        raise ValueError(f"slice step must be greater than zero, got {step}; use flip() to reverse")
    n = PySlice_AdjustIndices(<Py_ssize_t>l.shape[c.axis], &start, &stop, step)
    c.shape[c.ndim] = n
    c.stride[c.ndim] = l.stride[c.axis] * step
    c.logical[c.ndim] = dense[c.axis] * step
    if n > 0:
        c.offset += start * l.stride[c.axis]
        c.logical_offset += start * dense[c.axis]
    c.ndim += 1
    c.axis += 1
    return 0


cdef void keep_axis(cut_t* c, fg_layout* l, const int64_t* dense) noexcept:
    c.shape[c.ndim] = l.shape[c.axis]
    c.stride[c.ndim] = l.stride[c.axis]
    c.logical[c.ndim] = dense[c.axis]
    c.ndim += 1
    c.axis += 1


cdef void dense_strides(fg_layout* l, int64_t* out) noexcept:
    cdef int64_t s = 1
    cdef int k
    for k in range(l.ndim - 1, -1, -1):
        out[k] = s
        s *= l.shape[k]


cdef Tensor finish(Tensor x, cut_t* c):
    cdef Attrs a = shape_attrs(c.ndim, c.shape)
    memcpy(a.c.stride, c.logical, c.ndim * sizeof(int64_t))     # beyond them attributes are zero: they are compared
    a.c.offset = c.logical_offset
    return apply_view(SLICE, x, strided_layout(c.ndim, c.shape, c.stride), c.offset, a)


cdef object advanced_get = None     # of the indexing family, above this module
cdef object advanced_set = None


def set_advanced(get, put):
    """Gives the functions for indices that are no views: get(x, key) and put(x, key, value)."""
    global advanced_get, advanced_set
    advanced_get, advanced_set = get, put


cdef bint is_index(object k) noexcept:
    return PyLong_CheckExact(k) or (hasattr(k, "__index__") and type(k) is not Tensor and not isinstance(k, bool)
                                    and not hasattr(k, "ndim"))


cdef Tensor basic(Tensor x, object key):
    """x[key] as a view; None where the key is no basic index."""
    cdef cut_t c
    cdef int64_t dense[8]
    cdef fg_layout* l = &x.layout.c
    cdef int used = 0, fresh = 0
    cdef bint dots = False
    c.ndim = c.axis = 0
    c.offset = c.logical_offset = 0
    keys = key if type(key) is tuple else (key,)
    for i in keys:
        if i is None:
            fresh += 1
        elif i is Ellipsis:
            if dots:
                raise IndexError("an index can only have a single ellipsis ('...')")
            dots = True
        elif type(i) is slice or is_index(i) or is_scalar_index(i):
            used += 1
        else:
            return None
    if used > l.ndim:
        raise IndexError(f"too many indices for a tensor of dimension {l.ndim} (got {used})")
    if l.ndim - used + fresh + used > FG_MAX_DIMS:
        raise IndexError(f"an index cannot give more than {FG_MAX_DIMS} dimensions")
    dense_strides(l, dense)
    for i in keys:
        if i is None:
            c.shape[c.ndim] = 1
            c.stride[c.ndim] = 1
            c.logical[c.ndim] = 1
            c.ndim += 1
        elif i is Ellipsis:
            for _ in range(l.ndim - used):
                keep_axis(&c, l, dense)
        elif type(i) is slice:
            cut_slice(&c, l, dense, i)
        else:
            cut_int(&c, l, dense, i, x)
    while c.axis < l.ndim:
        keep_axis(&c, l, dense)
    return finish(x, &c)


cdef bint is_scalar_index(object i) noexcept:
    # a 0-d integer tensor or NumPy integer selects like an int
    if type(i) is Tensor:
        return ((<Tensor>i).layout.c.ndim == 0 and not (<Tensor>i).flags & BOXED and not fg_is_real((<Tensor>i).dtype)
                and (<Tensor>i).dtype not in (FG_BOOL, FG_U8))
    return hasattr(i, "__index__") and hasattr(i, "dtype") and i.ndim == 0 and i.dtype.kind in "iu"


cdef object getitem(Tensor x, object key):
    cdef cut_t c
    cdef int64_t dense[8]
    cdef fg_layout* l = &x.layout.c
    if PyLong_CheckExact(key) and l.ndim > 0:
        c.ndim = c.axis = 0
        c.offset = c.logical_offset = 0
        dense_strides(l, dense)
        cut_int(&c, l, dense, key, x)
        while c.axis < l.ndim:
            keep_axis(&c, l, dense)
        return finish(x, &c)
    y = basic(x, key)
    if y is None:
        return advanced_get(x, key)
    return y


cdef int setitem(Tensor x, object key, object value) except -1:
    cdef Tensor part = basic(x, key)
    if part is None:
        advanced_set(x, key, value)
        return 0
    target = as_operand(value, x.dtype, "item assignment")
    if target.ndim > part.layout.c.ndim:        # leading dimensions of size 1 are dropped, as in NumPy
        lead = target.ndim - part.layout.c.ndim
        for k in range(lead):
            if target.shape[k] != 1:
                raise ShapeError(f"item assignment: shape mismatch: a value of shape {tuple(target.shape)} cannot be broadcast "
                                 f"to the indexed part of shape {tuple(part.shape)}")
        target = target.reshape(target.shape[lead:])
    inplace(COPY, part, [target], None)
    return 0


slots.getitem = getitem
slots.setitem = setitem


# ---- user functions ------------------------------------------------------------------------------------------------

@publish
def select(Tensor input not None, dim, index):
    """The part of index `index` along `dim`, which goes, as a view.

    >>> import fastgrad as fg
    >>> fg.select(fg.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    return basic(input, (slice(None),) * dim_of(dim, input.layout.c.ndim) + (int(index),))


@publish
def narrow(Tensor input not None, dim, start, length):
    """`length` elements from `start` on along `dim`, as a view.

    >>> import fastgrad as fg
    >>> fg.narrow(fg.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    cdef int d = dim_of(dim, input.layout.c.ndim)
    n = input.layout.c.shape[d]
    start = int(start)
    if start < 0:
        start += n
    if length < 0 or start < 0 or start + length > n:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({n})")
    return basic(input, (slice(None),) * d + (slice(start, start + length),))


cdef void every_axis(cut_t* c, fg_layout* l) noexcept:
    """The pattern that is all of a tensor: for diagonal and unfold, which change two of its entries."""
    dense_strides(l, c.logical)
    memcpy(c.shape, l.shape, sizeof(c.shape))
    memcpy(c.stride, l.stride, sizeof(c.stride))
    c.ndim = l.ndim
    c.offset = c.logical_offset = 0


cdef void drop_axis(cut_t* c, int axis) noexcept:
    cdef int k
    for k in range(axis, c.ndim - 1):
        c.shape[k] = c.shape[k + 1]
        c.stride[k] = c.stride[k + 1]
        c.logical[k] = c.logical[k + 1]
    c.ndim -= 1


cdef void add_axis(cut_t* c, int64_t size, int64_t stride, int64_t logical) noexcept:
    c.shape[c.ndim] = size
    c.stride[c.ndim] = stride
    c.logical[c.ndim] = logical
    c.ndim += 1


@publish
def diagonal(Tensor input not None, offset=0, dim1=0, dim2=1):
    """The elements of a diagonal of the matrices in the dimensions dim1 and dim2, as a view; it becomes the last dimension.

    offset: 0 for the main diagonal, above it if positive.

    >>> import fastgrad as fg
    >>> fg.diagonal(fg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    cdef cut_t c
    cdef int n = input.layout.c.ndim, i = dim_of(dim1, n), j = dim_of(dim2, n)
    cdef int64_t k = offset, rows, columns, count, stride, logical
    if n < 2 or i == j:
        raise RuntimeError(f"diagonal: expected two different dimensions, got {dim1} and {dim2} of {n}")
    every_axis(&c, &input.layout.c)
    rows, columns = c.shape[i], c.shape[j]
    count = max(0, min(rows, columns - k) if k >= 0 else min(rows + k, columns))
    stride, logical = c.stride[i] + c.stride[j], c.logical[i] + c.logical[j]
    if count:
        c.offset = k * c.stride[j] if k >= 0 else -k * c.stride[i]
        c.logical_offset = k * c.logical[j] if k >= 0 else -k * c.logical[i]
    drop_axis(&c, max(i, j))
    drop_axis(&c, min(i, j))
    add_axis(&c, count, stride, logical)
    return finish(input, &c)


def unfold(Tensor self not None, dimension, size, step):
    """All slices of `size` elements along a dimension, `step` apart, as a view: `dimension` counts them, the last holds them.

    >>> import fastgrad as fg
    >>> fg.nn.functional.unfold(fg.zeros(1, 2, 4, 4), kernel_size=2).shape
    fastgrad.Size([1, 8, 9])
    """
    cdef cut_t c
    cdef int d = dim_of(dimension, self.layout.c.ndim)
    cdef int64_t n, length = size, apart = step
    if self.layout.c.ndim == 0:
        raise RuntimeError("unfold: expected a tensor with at least 1 dimension")
    if self.layout.c.ndim == FG_MAX_DIMS:
        raise RuntimeError(f"unfold: the result would have more than {FG_MAX_DIMS} dimensions")
    n = self.layout.c.shape[d]
    if not 0 <= length <= n or apart <= 0:
        raise RuntimeError(f"unfold: size must be from 0 to {n}, the size of dimension {d}, and step positive, got {size} and "
                           f"{step}")
    every_axis(&c, &self.layout.c)
    add_axis(&c, length, c.stride[d], c.logical[d])
    c.shape[d] = (n - length) // apart + 1
    c.stride[d] *= apart
    c.logical[d] *= apart
    return finish(self, &c)


install("unfold", unfold)


cdef list parts(Tensor x, int axis, list sizes):
    cdef Attrs a = new_attrs()
    cdef int64_t at = 0
    cdef int64_t shape[8]
    cdef list lays = [], offsets = []
    a.c.axis = axis
    a.py = tuple(sizes)
    memcpy(shape, x.layout.c.shape, sizeof(shape))
    for n in sizes:
        shape[axis] = n
        lays.append(strided_layout(x.layout.c.ndim, shape, x.layout.c.stride))
        offsets.append(at * x.layout.c.stride[axis])
        at += <int64_t>n
    return apply_views(SPLIT, x, lays, offsets, a)


cdef tuple split(Tensor input, object split_size_or_sections, object dim):
    cdef int axis = dim_of(dim, input.layout.c.ndim)
    cdef int64_t n
    if input.layout.c.ndim == 0:
        raise RuntimeError("split: expected a tensor with at least 1 dimension")
    n = input.layout.c.shape[axis]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and n != 0):
            raise RuntimeError(f"split: expects split_size be non-negative and positive for a dimension of size {n}, got {size}")
        sizes = [min(size, n - at) for at in range(0, n, size)] if n else [0]
    else:
        sizes = [int(s) for s in split_size_or_sections]
        if sum(sizes) != n or any(s < 0 for s in sizes):
            raise RuntimeError(f"split: sizes {sizes} must be non-negative and sum to the size {n} of dimension {axis}")
    return tuple(parts(input, axis, sizes))


def _split_method(Tensor self not None, split_size, dim=0):
    """Consecutive parts along `dim`: of one size (the last may be smaller), or of the sizes in a list. A tuple of views.

    >>> import fastgrad as fg
    >>> fg.arange(5).split([2, 3])
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    return split(self, split_size, dim)


def _split(Tensor tensor not None, split_size_or_sections, dim=0):
    """Consecutive parts along `dim`: of one size (the last may be smaller), or of the sizes in a list. A tuple of views.

    >>> import fastgrad as fg
    >>> fg.split(fg.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    return split(tensor, split_size_or_sections, dim)


_split.__name__ = _split.__qualname__ = _split_method.__name__ = _split_method.__qualname__ = "split"
publish(_split, method=False)
install("split", _split_method)


@publish
def chunk(Tensor input not None, chunks, dim=0):
    """At most `chunks` consecutive parts of equal size along `dim` (the last may be smaller). A tuple of views.

    >>> import fastgrad as fg
    >>> fg.chunk(fg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    cdef int axis = dim_of(dim, input.layout.c.ndim)
    if chunks <= 0:
        raise RuntimeError(f"chunk: expects chunks to be greater than 0, got {chunks}")
    if input.layout.c.ndim == 0:
        raise RuntimeError("chunk: expected a tensor with at least 1 dimension")
    n = input.layout.c.shape[axis]
    if n == 0:
        return split(input, [0] * chunks, axis)
    return split(input, -(-n // chunks), axis)


@publish
def unbind(Tensor input not None, dim=0, *, axis=None):
    """The parts along `dim`, which goes, as a tuple of views.

    >>> import fastgrad as fg
    >>> fg.unbind(fg.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    cdef Attrs a = new_attrs()
    cdef int along = dim_of(either(dim, axis), input.layout.c.ndim), k, j = 0
    cdef int64_t shape[8]
    cdef int64_t stride[8]
    cdef fg_layout* l = &input.layout.c
    if l.ndim == 0:
        raise IndexError("unbind: a 0-d tensor has no dimension to take apart")
    for k in range(l.ndim):
        if k != along:
            shape[j] = l.shape[k]
            stride[j] = l.stride[k]
            j += 1
    lay = strided_layout(l.ndim - 1, shape, stride)
    a.c.axis = along
    a.c.mode = 1
    n = l.shape[along]
    a.py = (1,) * n
    return tuple(apply_views(SPLIT, input, [lay] * n, [i * l.stride[along] for i in range(n)], a))


def _iter(Tensor self):
    if self.layout.c.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(unbind(self))


install("__iter__", _iter)
