"""The family of shapes: the same elements in another shape or order (reshape, permute, expand), and copies (clone, cast)."""

from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

import operator

import numpy as np

from .memory cimport Attrs, DType, Layout
from .tensor cimport *
from .views cimport apply_view

from ._errors import ShapeError
from .table import LINEAR, functions, op, publish
from .tensor import install


# ---- arguments -----------------------------------------------------------------------------------------------------

cdef bint is_number(object x) noexcept:
    """Whether x is one int, Python's or NumPy's, rather than a sequence of them."""
    return PyLong_CheckExact(x) or (hasattr(x, "__index__") and not hasattr(x, "__len__"))


cdef object either(object dim, object axis):
    return dim if axis is None else axis


cdef int dim_of(object dim, int ndim) except -1:
    cdef int64_t d = dim
    cdef int64_t n = ndim if ndim > 0 else 1
    if d < -n or d >= n:
        raise IndexError(f"dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
    return <int>(d + n if d < 0 else d)


cdef unsigned int axes_mask(object dim, int ndim) except? 0xFFFFFFFF:
    cdef unsigned int mask = 0
    cdef int k
    if dim is None:
        return (<unsigned int>1 << ndim) - 1
    if is_number(dim):
        k = dim_of(dim, ndim)
        return <unsigned int>1 << k if ndim else 0
    for d in dim:
        k = dim_of(d, ndim)
        if mask >> k & 1:
            raise RuntimeError(f"dim {k} appears multiple times in the list of dims")
        mask |= <unsigned int>1 << k
    if not mask:
        return (<unsigned int>1 << ndim) - 1       # an empty list means all, as in PyTorch
    return mask & ((<unsigned int>1 << ndim) - 1)


cdef int read_shape(object shape, int64_t* out, str who) except -1:
    """Reads sizes given as (2, 3) or ((2, 3),)."""
    cdef int k, n
    if type(shape) is tuple and len(shape) == 1 and isinstance(shape[0], DType):
        raise TypeError(f"{who}: sizes must be ints, got a dtype; convert with .to({shape[0]})")
    if is_number(shape):
        shape = (shape,)
    elif hasattr(shape, "__len__") and len(shape) == 1 and not is_number(shape[0]):
        shape = shape[0]
    if not hasattr(shape, "__len__"):
        raise TypeError(f"{who}: sizes must be ints, got {shape!r} ({type(shape).__name__})")
    n = len(shape)
    if n > FG_MAX_DIMS:
        raise RuntimeError(f"{who}: a tensor has at most {FG_MAX_DIMS} dimensions, got {n}")
    for k in range(n):
        d = shape[k]
        try:
            out[k] = d if PyLong_CheckExact(d) else operator.index(d)       # a float is no size, whole or not
        except TypeError:
            raise TypeError(f"{who}: sizes must be ints, got {d!r} ({type(d).__name__})") from None
        except OverflowError:
            raise RuntimeError(f"{who}: size {d} is too large") from None
    return n


# ---- records -------------------------------------------------------------------------------------------------------

cdef Op CLONE = op("clone", shape="SAME", dtype="T->T", kernel="copy", vjp=(lambda g: g,), jvp=LINEAR, family="shape",
                   sample=lambda r: [((r.normal(size=(2, 3)),), {})], doc="A copy of the tensor, in memory of its own.",
                   numpy="x0.copy()")
op("copy", shape="SAME", dtype="TT->T", kernel="copy", vjp=(lambda g: None, lambda g: g), jvp=LINEAR, keeps_history=True,
   batch=lambda a, size, which, xs: copied_batch(size, which, xs), family="shape",
   doc="The second operand, expanded to the shape of the first: what copy_ writes.",
   numpy=lambda a, *shapes: f"np.broadcast_to(x{len(shapes) - 1}, {{out}}).copy()")
op("cast", shape="SAME", dtype=".->a", vjp=(lambda g: g,), jvp=LINEAR, family="shape",
   doc="The same values in another dtype; the tape casts the gradient back.", numpy="x0.astype(np.{dtype})")
cdef Op RESHAPE = op("reshape", shape="VIEW", dtype=".->a", kernel=False, vjp=(lambda g, s0: reshaped_like(g, s0),), jvp=LINEAR,
                     family="shape", sample=lambda r: [((r.normal(size=(2, 6)), (3, -1)), {}), ((r.normal(size=()), (1, 1)), {})],
                     doc="The same elements in row-major order, in another shape.", numpy="x0.reshape({out})")
cdef Op PERMUTE = op("permute", shape="VIEW", dtype=".->a", kernel=False, vjp=(lambda g, a: unpermuted(g, a),), jvp=LINEAR,
                     family="shape", sample=lambda r: [((r.normal(size=(2, 3, 4)), (2, 0, 1)), {})],
                     doc="The dimensions in another order.",
                     numpy=lambda a, *shapes: "x0.T" if a.shape == (1, 0) else "x0.transpose({shape})")
cdef Op EXPAND = op("expand", shape="VIEW", dtype=".->a", kernel=False, vjp=(lambda g: g,), jvp=LINEAR, family="shape",
                    sample=lambda r: [((r.normal(size=(2, 1)), (3, 2, 4)), {})],
                    doc="Dimensions of size 1 repeated without a copy; the tape sums the gradient back.",
                    numpy="np.broadcast_to(x0, {out})")


def copied_batch(size, which, xs):
    """copy(old, value) for a batch of either."""
    cdef Tensor old = xs[0], value = xs[1]
    shape = list(old.shape) if which & 1 else [size, *old.shape]
    if which & 2 and len(shape) > value.layout.c.ndim:
        value = value.reshape([size, *[1] * (len(shape) - value.layout.c.ndim), *value.shape[1:]])
    return value.expand(shape).clone()


cdef Tensor reshaped_like(Tensor g, Layout s):
    return reshape_to(g, s.c.ndim, s.c.shape)


cdef Tensor unpermuted(Tensor g, Attrs a):
    cdef int back[8]
    cdef int k
    for k in range(a.c.ndim):
        back[a.c.shape[k]] = k
    return permuted(g, back)


# ---- views ---------------------------------------------------------------------------------------------------------

cdef Layout view_layout(Layout l, int ndim, const int64_t* shape):
    """The layout that shows l's elements in row-major order in another shape without a copy; None where there is none."""
    cdef int64_t stride[8]
    cdef int64_t old_n, new_n, step
    cdef int i, j, k
    if l.c.flags & FG_DENSE or l.c.size == 0:
        return dense_layout(ndim, shape)
    # walk both shapes from the right in groups of equal product; within a group the old axes must be mergeable
    i = l.c.ndim - 1
    j = ndim - 1
    while i >= 0 or j >= 0:
        while i >= 0 and l.c.shape[i] == 1:
            i -= 1
        if i < 0:
            for k in range(j + 1):
                stride[k] = 1
            break
        old_n = l.c.shape[i]
        step = l.c.stride[i]
        while i > 0 and (l.c.shape[i - 1] == 1 or l.c.stride[i - 1] == step * old_n):
            i -= 1
            old_n *= l.c.shape[i]
        new_n = 1
        while j >= 0 and new_n < old_n:
            stride[j] = step * new_n
            new_n *= shape[j]
            j -= 1
        if new_n != old_n:
            return None
        while j >= 0 and shape[j] == 1:
            stride[j] = step * new_n
            j -= 1
        i -= 1
    return strided_layout(ndim, shape, stride)


cdef int infer_size(int64_t* shape, int ndim, int64_t size, Tensor x, str who) except -1:
    """Replaces a -1 by what is left; checks the number of elements."""
    cdef int k, unknown = -1
    cdef int64_t known = 1
    for k in range(ndim):
        if shape[k] == -1:
            if unknown >= 0:
                raise RuntimeError(f"{who}: only one dimension can be inferred (-1)")
            unknown = k
        elif shape[k] < 0:
            raise RuntimeError(f"{who}: invalid shape dimension {shape[k]}")
        else:
            known *= shape[k]
    if unknown >= 0 and known > 0 and size % known == 0:
        shape[unknown] = size // known
        known = size
    if known != size or (unknown >= 0 and shape[unknown] < 0):
        asked = [shape[k] for k in range(ndim)]
        raise ShapeError(f"{who}: shape {asked} is invalid for input of size {size} (shape {tuple(x.shape)})")
    return 0


cdef Tensor reshape_to(Tensor x, int ndim, const int64_t* shape):
    cdef Layout lay = view_layout(x.layout, ndim, shape)
    if lay is None:
        x = contiguous_of(x)
        lay = dense_layout(ndim, shape)
    return apply_view(RESHAPE, x, lay, 0, None)


cdef Tensor contiguous_of(Tensor x):
    cdef PyObject* px = <PyObject*>x
    if x.layout.c.flags & FG_DENSE:
        return x
    return <Tensor>apply(CLONE, &px, 1, None)


cdef Tensor expand_to(Tensor x, int ndim, const int64_t* shape):
    cdef int64_t stride[8]
    cdef int64_t full[8]
    cdef int k, j
    cdef fg_layout* l = &x.layout.c
    if ndim < l.ndim:
        raise RuntimeError(f"expand: the number of sizes ({ndim}) must be at least the number of dimensions ({l.ndim})")
    for k in range(ndim):
        j = k - (ndim - l.ndim)
        full[k] = shape[k]
        if j < 0:
            if shape[k] < 0:
                raise RuntimeError(f"expand: size -1 is not allowed in the new, leading dimension {k}")
            stride[k] = 0
        elif shape[k] == -1 or shape[k] == l.shape[j]:
            full[k] = l.shape[j]
            stride[k] = l.stride[j]
        elif l.shape[j] == 1:
            stride[k] = 0
        else:
            raise ShapeError(f"expand: size {shape[k]} must match the existing size {l.shape[j]} at dimension {k} (only size 1 "
                             f"expands): {tuple(x.shape)} -> {tuple([shape[i] for i in range(ndim)])}")
    return apply_view(EXPAND, x, strided_layout(ndim, full, stride), 0, None)


cdef Tensor permuted(Tensor x, const int* order):
    cdef Attrs a = new_attrs()
    cdef int64_t shape[8]
    cdef int64_t stride[8]
    cdef int k
    a.c.ndim = x.layout.c.ndim
    for k in range(a.c.ndim):
        a.c.shape[k] = order[k]
        shape[k] = x.layout.c.shape[order[k]]
        stride[k] = x.layout.c.stride[order[k]]
    return apply_view(PERMUTE, x, strided_layout(a.c.ndim, shape, stride), 0, a)


cdef Tensor swapped(Tensor x, int i, int j):
    cdef int order[8]
    cdef int k
    for k in range(x.layout.c.ndim):
        order[k] = k
    order[i] = j
    order[j] = i
    return permuted(x, order)


cdef Tensor unsqueezed(Tensor x, int axis):
    cdef int64_t shape[8]
    cdef int64_t stride[8]
    cdef int k, j
    cdef fg_layout* l = &x.layout.c
    if l.ndim == FG_MAX_DIMS:
        raise RuntimeError(f"unsqueeze: a tensor has at most {FG_MAX_DIMS} dimensions")
    for k in range(l.ndim + 1):
        j = k if k < axis else k - 1
        if k == axis:
            shape[k] = 1
            stride[k] = l.shape[axis] * l.stride[axis] if axis < l.ndim else 1
        else:
            shape[k] = l.shape[j]
            stride[k] = l.stride[j]
    return apply_view(RESHAPE, x, strided_layout(l.ndim + 1, shape, stride), 0, None)


# ---- user functions ------------------------------------------------------------------------------------------------

@publish
def reshape(Tensor input not None, *sizes, shape=None):
    """The same elements, in row-major order, in another shape: a view where the strides allow it, else a copy.

    sizes (or shape): ints or one sequence; one of them may be -1 and is then inferred.

    >>> import fastgrad as fg
    >>> fg.arange(6).reshape(2, -1).shape
    fastgrad.Size([2, 3])
    """
    cdef int64_t c[8]
    cdef int n = read_shape(sizes if shape is None else shape, c, "reshape")
    infer_size(c, n, input.layout.c.size, input, "reshape")
    return reshape_to(input, n, c)


def view(Tensor self not None, *shape):
    """The same memory in another shape; never a copy.

    Raises RuntimeError where the strides do not allow it: use reshape().
    """
    cdef int64_t c[8]
    cdef int n = read_shape(shape, c, "view")
    cdef Layout lay
    infer_size(c, n, self.layout.c.size, self, "view")
    lay = view_layout(self.layout, n, c)
    if lay is None:
        raise RuntimeError("view: the size is not compatible with the tensor's strides (at least one dimension spans across two "
                           "contiguous subspaces); use reshape() instead")
    return apply_view(RESHAPE, self, lay, 0, None)


install("view", view)


@publish
def permute(Tensor input not None, *order, dims=None):
    """The dimensions in the given order (ints or one sequence), as a view.

    >>> import fastgrad as fg
    >>> fg.zeros(2, 3, 4).permute(2, 0, 1).shape
    fastgrad.Size([4, 2, 3])
    """
    cdef int place[8]
    cdef int k, n = input.layout.c.ndim
    cdef unsigned int seen = 0
    if dims is None:
        dims = tuple(order[0]) if len(order) == 1 and not isinstance(order[0], int) else order
    if len(dims) != n:
        raise RuntimeError(f"permute: {len(dims)} dims given for a tensor of {n} dimensions")
    for k in range(n):
        place[k] = dim_of(dims[k], n)
        if seen >> place[k] & 1:
            raise RuntimeError(f"permute: dim {place[k]} is repeated in {tuple(dims)}")
        seen |= <unsigned int>1 << place[k]
    return permuted(input, place)


@publish
def transpose(Tensor input not None, dim0, dim1):
    """Two dimensions exchanged, as a view.

    >>> import fastgrad as fg
    >>> fg.transpose(fg.zeros(2, 3, 4), 0, 2).shape
    fastgrad.Size([4, 3, 2])
    """
    cdef int n = input.layout.c.ndim
    if n == 0:
        dim_of(dim0, 0)
        dim_of(dim1, 0)
        return apply_view(RESHAPE, input, input.layout, 0, None)
    return swapped(input, dim_of(dim0, n), dim_of(dim1, n))


functions["swapaxes"] = functions["swapdims"] = transpose
install("swapaxes", transpose)
install("swapdims", transpose)


@publish
def t(Tensor input not None):
    """The transpose of a matrix; a tensor of fewer dimensions as it is.

    >>> import fastgrad as fg
    >>> fg.t(fg.tensor([[1, 2, 3]])).shape
    fastgrad.Size([3, 1])
    """
    if input.layout.c.ndim > 2:
        raise RuntimeError(f"t: expected a tensor with at most 2 dimensions, got {input.layout.c.ndim}")
    if input.layout.c.ndim < 2:
        return apply_view(RESHAPE, input, input.layout, 0, None)
    return swapped(input, 0, 1)


def _T(Tensor self):
    cdef int order[8]
    cdef int k, n = self.layout.c.ndim
    for k in range(n):
        order[k] = n - 1 - k
    return permuted(self, order)


def _mT(Tensor self):
    cdef int n = self.layout.c.ndim
    if n < 2:
        raise RuntimeError(f"mT: expected a tensor with at least 2 dimensions, got {n}")
    return swapped(self, n - 2, n - 1)


install("T", property(_T, None, None, "All dimensions in reverse order, as a view."))
install("mT", property(_mT, None, None, "The last two dimensions exchanged, as a view."))


@publish
def movedim(Tensor input not None, source, destination):
    """Dimensions moved to other places, the rest in order, as a view.

    >>> import fastgrad as fg
    >>> fg.movedim(fg.zeros(2, 3, 4), 0, -1).shape
    fastgrad.Size([3, 4, 2])
    """
    cdef int order[8]
    cdef int n = input.layout.c.ndim, k
    src = [dim_of(d, n) for d in ((source,) if isinstance(source, int) else source)]
    dst = [dim_of(d, n) for d in ((destination,) if isinstance(destination, int) else destination)]
    if len(src) != len(dst) or len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise RuntimeError(f"movedim: source {src} and destination {dst} must be as many different dimensions")
    rest = iter([d for d in range(n) if d not in src])
    for k in range(n):
        order[k] = src[dst.index(k)] if k in dst else next(rest)
    return permuted(input, order)


functions["moveaxis"] = movedim
install("moveaxis", movedim)


@publish
def unsqueeze(Tensor input not None, dim=None, *, axis=None):
    """A new dimension of size 1 at `dim`, as a view.

    >>> import fastgrad as fg
    >>> fg.unsqueeze(fg.zeros(2, 3), 1).shape
    fastgrad.Size([2, 1, 3])
    """
    return unsqueezed(input, dim_of(either(dim, axis), input.layout.c.ndim + 1))


@publish
def squeeze(Tensor input not None, dim=None, *, axis=None):
    """Dimensions of size 1 left out (all, or those of `dim` that have size 1), as a view.

    >>> import fastgrad as fg
    >>> fg.squeeze(fg.zeros(1, 2, 1)).shape
    fastgrad.Size([2])
    """
    cdef int64_t shape[8]
    cdef int64_t stride[8]
    cdef int k, n = 0
    cdef unsigned int which = axes_mask(either(dim, axis), input.layout.c.ndim)
    for k in range(input.layout.c.ndim):
        if not (which >> k & 1 and input.layout.c.shape[k] == 1):
            shape[n] = input.layout.c.shape[k]
            stride[n] = input.layout.c.stride[k]
            n += 1
    return apply_view(RESHAPE, input, strided_layout(n, shape, stride), 0, None)


def expand(Tensor self not None, *sizes, size=None):
    """Dimensions of size 1 repeated to the given sizes, and new leading ones added, as a view; -1 keeps a size."""
    cdef int64_t c[8]
    cdef int n = read_shape(sizes if size is None else size, c, "expand")
    return expand_to(self, n, c)


install("expand", expand)


@publish
def broadcast_to(Tensor input not None, size):
    """The tensor expanded to a shape, as a view.

    >>> import fastgrad as fg
    >>> fg.broadcast_to(fg.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return expand(input, size)


@publish(method=False)
def broadcast_tensors(*tensors):
    """All tensors expanded to one shape.

    >>> import fastgrad as fg
    >>> [x.shape for x in fg.broadcast_tensors(fg.zeros(3, 1), fg.zeros(2))]
    [fastgrad.Size([3, 2]), fastgrad.Size([3, 2])]
    """
    try:
        shape = np.broadcast_shapes(*[tuple(t.shape) for t in tensors])
    except ValueError:
        shapes = ", ".join([str(tuple(t.shape)) for t in tensors])
        raise ShapeError(f"broadcast_tensors: shapes {shapes} cannot be broadcast together: aligned at the last dimension, "
                         f"sizes must be equal or 1") from None
    return tuple([t.expand(shape) for t in tensors])


def expand_as(Tensor self not None, Tensor other not None):
    """This tensor expanded to the shape of another."""
    return expand_to(self, other.layout.c.ndim, other.layout.c.shape)


def view_as(Tensor self not None, Tensor other not None):
    """This tensor viewed in the shape of another."""
    return view(self, other.shape)


def reshape_as(Tensor self not None, Tensor other not None):
    """This tensor in the shape of another."""
    return reshape(self, other.shape)


for _f in (expand_as, view_as, reshape_as):
    install(_f.__name__, _f)


@publish
def flatten(Tensor input not None, start_dim=0, end_dim=-1):
    """The dimensions from start_dim to end_dim joined into one; a 0-d tensor becomes 1-d.

    >>> import fastgrad as fg
    >>> fg.flatten(fg.zeros(2, 3, 4), 1).shape
    fastgrad.Size([2, 12])
    """
    cdef int64_t shape[8]
    cdef int n = input.layout.c.ndim, i, j, k
    if n == 0:
        shape[0] = 1
        return reshape_to(input, 1, shape)
    i = dim_of(start_dim, n)
    j = dim_of(end_dim, n)
    if i > j:
        raise RuntimeError(f"flatten: start_dim ({start_dim}) cannot come after end_dim ({end_dim})")
    if i == j:
        return input
    for k in range(i + 1):
        shape[k] = input.layout.c.shape[k]
    for k in range(i + 1, j + 1):
        shape[i] *= input.layout.c.shape[k]
    for k in range(j + 1, n):
        shape[i + k - j] = input.layout.c.shape[k]
    return reshape_to(input, n - (j - i), shape)


@publish
def ravel(Tensor input not None):
    """All elements in one dimension.

    >>> import fastgrad as fg
    >>> fg.ravel(fg.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return reshape(input, -1)


@publish
def unflatten(Tensor input not None, dim, sizes):
    """One dimension split into several of the given sizes (one may be -1), as a view.

    >>> import fastgrad as fg
    >>> fg.unflatten(fg.zeros(2, 12), 1, (3, -1)).shape
    fastgrad.Size([2, 3, 4])
    """
    cdef int64_t c[8]
    cdef int d = dim_of(dim, input.layout.c.ndim), n = read_shape((sizes,), c, "unflatten")
    shape = list(input.shape)
    known = 1
    for k in range(n):
        known *= c[k] if c[k] != -1 else 1
    full = [c[k] if c[k] != -1 else shape[d] // max(known, 1) for k in range(n)]
    total = 1
    for s in full:
        total *= s
    if total != shape[d]:
        raise ShapeError(f"unflatten: sizes {tuple(sizes)} don't multiply up to the size of dim {d} ({shape[d]})")
    return reshape(input, shape[:d] + full + shape[d + 1:])


@publish
def clone(Tensor input not None, *, memory_format=None):
    """A dense copy of the tensor, recorded.

    >>> import fastgrad as fg
    >>> fg.clone(fg.tensor([1.0]))
    tensor([1.])
    """
    cdef PyObject* px = <PyObject*>input
    return apply(CLONE, &px, 1, None)


def contiguous(Tensor self not None, memory_format=None):
    """This tensor where it is dense in row-major order, else a dense copy, recorded."""
    return contiguous_of(self)


def is_contiguous(Tensor self not None, memory_format=None):
    """Whether the elements lie dense in row-major order."""
    return (self.layout.c.flags & FG_DENSE) != 0


for _f in (contiguous, is_contiguous):
    install(_f.__name__, _f)
