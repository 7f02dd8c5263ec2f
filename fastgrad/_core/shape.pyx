"""The family of shapes: views (reshape, permute, expand, slice, split) and copies of layout (clone, cast).

A view's attributes describe it logically, as if its parent were dense: a `slice` is a pattern (offset, shape, strides) over
the row-major order of the parent, whatever the parent's own strides. So one rule serves every basic index.
"""

from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy

import operator

from .inplace cimport inplace
from .memory cimport Attrs, DType, Layout
from .promote cimport cast
from .tensor cimport *
from .views cimport apply_view, apply_views, settle

from ._errors import ShapeError
from .table import LINEAR, PATTERN, functions, joint, op, publish
from .tensor import install

cdef extern from "Python.h":
    int PySlice_Unpack(object slice, Py_ssize_t* start, Py_ssize_t* stop, Py_ssize_t* step) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t length, Py_ssize_t* start, Py_ssize_t* stop, Py_ssize_t step)


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
    cdef bint spread = not base.c.flags & FG_DENSE
    flat = g
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

cdef Op COPY = declare("copy")

slots.getitem = getitem
slots.setitem = setitem


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


for _f in (contiguous, is_contiguous, detach, detach_, stride, size, dim, data_ptr, storage_offset):
    install(_f.__name__, _f)
publish(numel)
install("nelement", numel)
install("ndimension", dim)


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


def _cast(Tensor self, int code):
    return self if self.dtype == code else cast(self, code)


def _caster(name, code):
    def f(Tensor self not None, *, memory_format=None):
        return self if self.dtype == code else cast(self, code)
    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"This tensor as {dtype_of(code).name}; itself where it is that already."
    install(name, f)


for _name, _code in (("float", FG_F32), ("double", FG_F64), ("long", FG_I64), ("int", FG_I32), ("byte", FG_U8),
                     ("bool", FG_BOOL)):
    _caster(_name, _code)
