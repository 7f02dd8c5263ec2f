"""The family of indexing: reading and writing where tensors of indices or masks say, and joining tensors.

An advanced index is a basic one (a view, see shape.pyx) whose remaining axes are read at once by one op, `index`; masks
become the positions where they are true. NumPy's rules decide where the new axes go: in place of the indexed ones where
these are neighbours in the key, else first; an int beside index tensors counts as one of them.
`index_put` is both assignment and, adding, the transpose of `index`; so each differentiates with the other.
"""

from cpython.long cimport PyLong_CheckExact
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy

import numpy as np

from .inplace cimport inplace
from .memory cimport Attrs, Layout
from .promote cimport cast
from .shape cimport dim_of, either, expand_to
from .table cimport give, shape_rule
from .tensor cimport *

from ._errors import DTypeError, NoIndex, OutOfRange, ShapeError
from .shape import set_advanced
from .table import LINEAR, NONE, ROWS, functions, joint, op, publish


cdef Tensor zeros_like(Layout s, int dtype):
    return expand_to(scalar(0, dtype), s.c.ndim, s.c.shape)


# ---- index, index_put ----------------------------------------------------------------------------------------------

cdef enum:
    STRICT = 1          # attrs.i[0]: negative indices are errors
    ADD = 1             # attrs.mode of index_put and scatter


cdef Attrs place(unsigned int axes, int axis, bint strict):
    """attrs.axes: the indexed axes; attrs.axis: where the axes of the indices stand among the ones that stay."""
    cdef Attrs a = new_attrs()
    a.c.axes = axes
    a.c.axis = axis
    a.c.i[0] = STRICT if strict else 0
    return a


cdef Tensor take(Tensor x, list indices, Attrs where):
    """x at the indices; `where` is completed with the shape of the result."""
    cdef int64_t beside[8]
    cdef int64_t n
    cdef int k, at, nb = 0
    cdef fg_layout* l = &x.layout.c
    cdef fg_layout* q
    for t in indices:
        nb = max(nb, (<Tensor>t).layout.c.ndim)
    for k in range(nb):
        beside[k] = 1
    for t in indices:
        q = &(<Tensor>t).layout.c
        for k in range(q.ndim):
            at = nb - q.ndim + k
            n = q.shape[k]
            if n == beside[at] or n == 1:
                continue
            if beside[at] != 1:
                shapes = ", ".join([str(tuple((<Tensor>i).shape)) for i in indices])
                raise IndexError(f"shape mismatch: index tensors of shapes {shapes} cannot be broadcast together")
            beside[at] = n
    if nb + l.ndim - len(indices) > FG_MAX_DIMS:
        raise IndexError(f"an index cannot give more than {FG_MAX_DIMS} dimensions")
    at = 0
    for k in range(l.ndim + 1):
        if at == where.c.axis:
            memcpy(&where.c.shape[at], beside, nb * sizeof(int64_t))
            at += nb
        if k < l.ndim and not where.c.axes >> k & 1:
            where.c.shape[at] = l.shape[k]
            at += 1
    where.c.ndim = at
    return <Tensor>apply_list(INDEX, [x] + indices, where)


cdef Tensor put(Tensor x, object values, list indices, Attrs where, bint add):
    cdef Attrs a = place(where.c.axes, where.c.axis, where.c.i[0])
    a.c.mode = ADD if add else 0
    return <Tensor>apply_list(INDEX_PUT, [x, values] + indices, a)


cdef list given(tuple indices):
    return [t for t in indices if t is not None]


cdef Attrs same_place(Attrs a):
    return place(a.c.axes, a.c.axis, a.c.i[0])


def index_vjp(Tensor g, Layout s0, Attrs a, *indices):
    return put(zeros_like(s0, g.dtype), g, given(indices), a, True)


def index_put_vjp_x(Tensor g, Attrs a, *indices):
    return g if a.c.mode == ADD else put(g, scalar(0, g.dtype), given(indices), a, False)


def index_put_vjp_values(Tensor g, Attrs a, *indices):
    return take(g, given(indices), same_place(a))


cdef list batch_indices(int64_t size, int which, list indices, bint numbered):
    """Index tensors of a batch, their batch in front of what they broadcast to; `numbered`: with the number of the element as the
    index of the dimension of the batch."""
    cdef int most = 0, k
    cdef Tensor t
    for k in range(len(indices)):
        most = max(most, (<Tensor>indices[k]).layout.c.ndim - (1 if which >> k & 1 else 0))
    found = [functions["arange"](size).reshape([size] + [1] * most)] if numbered else []
    for k in range(len(indices)):
        t = indices[k]
        if which >> k & 1:
            t = t.reshape([size, *[1] * (most + 1 - t.layout.c.ndim), *t.shape[1:]])
        found.append(t)
    return found


def index_batch(Attrs a, size, which, xs):
    cdef int moving = which >> 1
    cdef Attrs b = same_place(a)
    if not moving:                  # the same elements of each
        b.c.axes <<= 1
        b.c.axis += 1
        return take(xs[0], xs[1:], b)
    if which & 1:
        b.c.axes = b.c.axes << 1 | 1
    y = take(xs[0], batch_indices(size, moving, xs[1:], which & 1), b)
    return y.movedim(a.c.axis, 0)


def index_put_batch(Attrs a, size, which, xs):
    cdef int moving = which >> 2, k
    cdef Attrs b = place(a.c.axes << 1, a.c.axis + 1, a.c.i[0])
    x, values, indices = xs[0], xs[1], xs[2:]
    if not which & 1:
        x = x.expand([size, *x.shape])
    kept = [d for k, d in enumerate(x.shape[1:]) if not a.c.axes >> k & 1]
    beside = np.broadcast_shapes(*[tuple(t.shape[1:] if moving >> k & 1 else t.shape) for k, t in enumerate(indices)])
    want = len(kept) + len(beside)
    if which & 2:
        values = values.reshape([size, *[1] * (want + 1 - values.ndim), *values.shape[1:]])
    if moving:
        part = [*kept[:a.c.axis], *beside, *kept[a.c.axis:]]
        values = values.expand([size, *part]).movedim(0, a.c.axis)
        b = place(a.c.axes << 1 | 1, a.c.axis, a.c.i[0])
        indices = batch_indices(size, moving, indices, True)
    return put(x, values, indices, b, a.c.mode == ADD)


cdef Op INDEX = op(
    "index", shape="GIVEN", dtype="Ti*->T", jvp=LINEAR, family="indexing",
    vjp=(lambda g, s0, a, x1, x2, x3, x4, x5, x6, x7, x8: index_vjp(g, s0, a, x1, x2, x3, x4, x5, x6, x7, x8), None),
    batch=lambda a, size, which, xs: index_batch(a, size, which, xs),
    doc="The elements that tensors of indices name along some dimensions, all other dimensions kept.", numpy="x0[{index}]")
cdef Op INDEX_PUT = op(
    "index_put", shape="SAME", dtype="TTi*->T", jvp=LINEAR, family="indexing",
    vjp=(lambda g, a, x2, x3, x4, x5, x6, x7, x8, x9: index_put_vjp_x(g, a, x2, x3, x4, x5, x6, x7, x8, x9),
         lambda g, a, x2, x3, x4, x5, x6, x7, x8, x9: index_put_vjp_values(g, a, x2, x3, x4, x5, x6, x7, x8, x9), None),
    batch=lambda a, size, which, xs: index_put_batch(a, size, which, xs),
    sample=lambda r: [((r.normal(size=(4, 3)), (np.array([2, 0]),), r.normal(size=(2, 3))), {}),
                      ((r.normal(size=(4, 3)), (np.array([1, 1]), np.array([0, 0])), r.normal(size=2)), {"accumulate": True})],
    doc="A copy in which the elements that tensors of indices name are replaced by values, or have values added.",
    numpy="put(x0, np.s_[{index}], x1, {mode})")


# ---- keys ----------------------------------------------------------------------------------------------------------

cdef class Key:
    # An index taken apart: base[where] is x[key].
    cdef Tensor base            # x, or the view that the slices and new axes of the key make of it
    cdef list indices           # int64 tensors
    cdef Attrs where


cdef object as_index(object k):
    """An index tensor, int64 or bool, from what may stand in a key."""
    cdef Tensor t
    if type(k) is Tensor:
        t = <Tensor>k
    else:
        array = np.asarray(k)
        if array.size == 0 and array.dtype != bool:
            array = array.astype(np.int64)
        if array.dtype.kind not in "iub":
            raise NoIndex(f"only integers, slices, None, ellipsis, and integer or boolean arrays are valid indices, got "
                          f"{type(k).__name__}" + (f" of {array.dtype}" if array.dtype.kind != "O" else ""))
        t = <Tensor>slots.from_array(array if array.dtype == bool else array.astype(np.int64))
    if t.dtype == FG_I32:
        return cast(t, FG_I64)
    if t.dtype not in (FG_I64, FG_BOOL):
        raise IndexError(f"tensors used as indices must be int64, int32 or bool, got {dtype_of(t.dtype).name}; convert with "
                         f".long(), or with .bool() for a mask")
    return t


cdef list positions(Tensor mask):
    """One int64 vector for each dimension of a mask: where it is true."""
    cdef Tensor found = nonzero(mask)
    return [found.select(1, k) for k in range(mask.layout.c.ndim)]


cdef Key read_key(Tensor x, object key):
    cdef Key r = Key.__new__(Key)
    cdef list basic = [], at = []
    cdef int used = 0, axis = 0, source = 0, k, n = x.layout.c.ndim
    cdef bint between = False, apart = False, plain = True
    cdef Tensor t
    cdef unsigned int axes = 0
    keys = list(key) if type(key) is tuple else [key]
    r.indices = []
    for k in range(len(keys)):
        i = keys[k]
        if i is None or i is Ellipsis:
            continue
        if type(i) is not slice and not PyLong_CheckExact(i):
            keys[k] = i = as_index(i)
            if (<Tensor>i).dtype == FG_BOOL:
                used += (<Tensor>i).layout.c.ndim
                continue
        used += 1
    if used > n:
        raise IndexError(f"too many indices for a tensor of dimension {n} (got {used})")
    # `axis` counts the axes of base, `source` those of x
    for i in keys:
        if i is None or i is Ellipsis or type(i) is slice:
            between = True
            if i is None:
                plain = False
                basic.append(i)
                axis += 1
            elif i is Ellipsis:
                if any(j is Ellipsis for j in basic):
                    raise IndexError("an index can only have a single ellipsis ('...')")
                basic.append(i)
                axis += n - used
                source += n - used
            else:
                plain = plain and i == slice(None)
                basic.append(i)
                axis += 1
                source += 1
            continue
        if r.indices and between:
            apart = True
        between = False
        if PyLong_CheckExact(i):
            if not -x.layout.c.shape[source] <= i < x.layout.c.shape[source]:
                raise IndexError(f"index {i} is out of bounds for dimension {source} with size {x.layout.c.shape[source]}")
            found = [scalar(i, FG_I64)]
        elif (<Tensor>i).dtype == FG_I64:
            found = [i]
        else:
            t = <Tensor>i
            for k in range(t.layout.c.ndim):
                if t.layout.c.shape[k] != x.layout.c.shape[source + k]:
                    raise IndexError(f"the shape of the mask {tuple(t.shape)} at dimension {k} does not match the shape of the "
                                     f"indexed tensor {tuple(x.shape)} at dimension {source + k}")
            if t.layout.c.ndim == 0:        # a new axis, of size 1 or 0
                plain = False
                basic.append(None)
                r.indices.append(nonzero(t.reshape(1)).select(1, 0))
                axes |= <unsigned int>1 << axis
                at.append(axis)
                axis += 1
                continue
            found = positions(t)
        for q in found:
            basic.append(slice(None))
            r.indices.append(q)
            axes |= <unsigned int>1 << axis
            at.append(axis)
            axis += 1
            source += 1
    r.base = x if plain else <Tensor>slots.getitem(x, tuple(basic))
    r.where = place(axes, 0 if apart else at[0], False)
    return r


cdef object explain(Key r):
    """Names the index that is out of range, where one is."""
    axes = [k for k in range(r.base.layout.c.ndim) if r.where.c.axes >> k & 1]
    for axis, t in zip(axes, r.indices):
        n = r.base.shape[axis]
        if (<Tensor>t).flags & BOXED:
            continue
        bad = [i for i in np.asarray(t).reshape(-1).tolist() if not -n <= i < n]
        if bad:
            return IndexError(f"index {bad[0]} is out of bounds for dimension {axis} with size {n}")
    return None


def advanced_get(Tensor x not None, key):
    cdef Key r = read_key(x, key)
    try:
        return take(r.base, r.indices, r.where)
    except IndexError as error:
        raise explain(r) or error from None


cdef Tensor fit_values(Tensor values, object shape, str what):
    """Values that broadcast to a shape, without leading dimensions of size 1 that it lacks."""
    have = tuple(values.shape)
    lead = max(len(have) - len(shape), 0)
    rest = have[lead:]
    if any(d != 1 for d in have[:lead]) or any(d not in (1, n) for d, n in zip(reversed(rest), reversed(shape))):
        raise ShapeError(f"{what}: a value of shape {have} cannot be broadcast to the indexed part of shape {tuple(shape)}")
    return values.reshape(rest) if lead else values


cdef object part_shape(Key r):
    """The shape of base[where]."""
    beside = np.broadcast_shapes(*[tuple((<Tensor>t).shape) for t in r.indices])
    kept = [d for k, d in enumerate(r.base.shape) if not r.where.c.axes >> k & 1]
    return tuple(kept[:r.where.c.axis]) + beside + tuple(kept[r.where.c.axis:])


cdef Key key_for_put(Tensor x, object key, str what):
    cdef Key r = read_key(x, key)
    error = explain(r)              # before anything is written
    if error is not None:
        raise error
    return r


def advanced_set(Tensor x not None, key, value):
    cdef Tensor mask, values = as_operand(value, x.dtype, "item assignment")
    cdef Key r
    if values.dtype != x.dtype:
        values = cast(values, x.dtype)
    if type(key) is Tensor and (<Tensor>key).dtype == FG_BOOL and values.layout.c.ndim == 0:
        mask = <Tensor>key
        if mask.layout.c.ndim > 0 and tuple(mask.shape) == tuple(x.shape[:mask.layout.c.ndim]):
            if mask.layout.c.ndim < x.layout.c.ndim:
                mask = mask.reshape(tuple(mask.shape) + (1,) * (x.layout.c.ndim - mask.layout.c.ndim))
            inplace(MASKED_FILL, x, [mask, values], None)
            return
    r = read_key(x, key)
    values = fit_values(values, part_shape(r), "item assignment")
    try:
        inplace(INDEX_PUT, r.base, [values] + r.indices, r.where)
    except IndexError as error:
        raise explain(r) or error from None


set_advanced(advanced_get, advanced_set)


def index_put_(Tensor self not None, indices, values, accumulate=False):
    """Writes (or adds) values where the indices say; returns this tensor."""
    cdef Key r = read_key(self, tuple(indices))
    cdef Tensor v = as_operand(values, self.dtype, "index_put_")
    v = fit_values(v, part_shape(r), "index_put_")
    r.where.c.mode = ADD if accumulate else 0
    try:
        inplace(INDEX_PUT, self, [v] + r.indices, r.where)
    except IndexError as error:
        raise explain(r) or error from None
    return self


@publish(inplace=index_put_)
def index_put(Tensor input not None, indices, values, accumulate=False):
    """A copy with ``copy[indices] = values``, or with the values added where `accumulate` is true (also several times to one
    element).

    indices: a tuple of int64 or bool tensors, as between the brackets of an index.

    >>> import fastgrad as fg
    >>> fg.index_put(fg.zeros(2, 2), (fg.tensor([0, 1]), fg.tensor([1, 0])), fg.tensor([5.0, 6.0]))
    tensor([[0., 5.],
            [6., 0.]])
    """
    cdef Key r = read_key(input, tuple(indices))
    cdef Tensor v = as_operand(values, input.dtype, "index_put")
    if v.dtype != input.dtype:
        raise DTypeError(f"index_put: the values are {dtype_of(v.dtype).name}, the tensor is {dtype_of(input.dtype).name}; they "
                         f"must have one dtype")
    v = fit_values(v, part_shape(r), "index_put")
    try:
        return put(r.base, v, r.indices, r.where, accumulate)
    except IndexError as error:
        raise explain(r) or error from None


# ---- along one dimension -------------------------------------------------------------------------------------------

cdef Tensor index_vector(object index, str name):
    if type(index) is not Tensor:
        raise TypeError(f"{name}: expected a Tensor of indices, got {type(index).__name__}")
    cdef Tensor t = <Tensor>index
    if t.dtype != FG_I64 and t.dtype != FG_I32:
        raise DTypeError(f"{name}: indices must be int64 or int32, got {dtype_of(t.dtype).name}")
    if t.layout.c.ndim > 1:
        raise IndexError(f"{name}: expected a vector of indices, got shape {tuple(t.shape)}")
    if t.layout.c.ndim == 0:
        t = t.reshape(1)
    return t


cdef object out_of_range(str name, Tensor index, int64_t n, int dim):
    if index.flags & BOXED:
        return None
    bad = [i for i in np.asarray(index).reshape(-1).tolist() if not 0 <= i < n]
    return OutOfRange(f"{name}: index {bad[0]} is out of range for dimension {dim} with size {n}") if bad else None


@publish
def index_select(Tensor input not None, dim, index not None):
    """The parts of the tensor at the indices of a vector, along one dimension.

    >>> import fastgrad as fg
    >>> fg.index_select(fg.arange(6).reshape(2, 3), 1, fg.tensor([2, 0])).tolist()
    [[2, 0], [5, 3]]
    """
    cdef int d = dim_of(dim, input.layout.c.ndim)
    cdef Tensor t = index_vector(index, "index_select")
    if input.layout.c.ndim == 0:
        return index_select(input.reshape(1), 0, t).reshape(())
    try:
        return take(input, [t], place(<unsigned int>1 << d, d, True))
    except IndexError as error:
        raise out_of_range("index_select", t, input.layout.c.shape[d], d) or error from None


cdef object change_along(Tensor x, object dim, object index, Tensor values, bint add, bint here, str name):
    """index_add, index_copy, index_fill and their in-place forms."""
    cdef int d = dim_of(dim, x.layout.c.ndim)
    cdef Tensor t = index_vector(index, name)
    cdef Attrs a
    if x.layout.c.ndim == 0:
        raise RuntimeError(f"{name}: expected a tensor with at least 1 dimension")
    if values.layout.c.ndim:
        want = list(x.shape)
        want[d] = t.layout.c.shape[0]
        if tuple(values.shape) != tuple(want):
            raise ShapeError(f"{name}: the source has shape {tuple(values.shape)}, but {len(t)} indices along dimension {d} of "
                             f"{tuple(x.shape)} take {tuple(want)}")
    try:
        a = place(<unsigned int>1 << d, d, True)
        if here:
            a.c.mode = ADD if add else 0
            return inplace(INDEX_PUT, x, [values, t], a)
        return put(x, values, [t], a, add)
    except IndexError as error:
        raise out_of_range(name, t, x.layout.c.shape[d], d) or error from None


def index_add_(Tensor self not None, dim, index, Tensor source not None, *, alpha=1):
    """Adds the parts of the source at the indices along one dimension; returns this tensor."""
    return change_along(self, dim, index, source if alpha == 1 else source * alpha, True, True, "index_add_")


@publish(inplace=index_add_)
def index_add(Tensor input not None, dim, index, Tensor source not None, *, alpha=1):
    """A copy to which ``alpha * source`` is added at the indices of a vector along one dimension; repeated indices add up.

    >>> import fastgrad as fg
    >>> fg.index_add(fg.zeros(3), 0, fg.tensor([0, 2, 2]), fg.ones(3))
    tensor([1., 0., 2.])
    """
    return change_along(input, dim, index, source if alpha == 1 else source * alpha, True, False, "index_add")


def index_copy_(Tensor self not None, dim, index, Tensor source not None):
    """Writes the parts of the source at the indices along one dimension; returns this tensor."""
    return change_along(self, dim, index, source, False, True, "index_copy_")


@publish(inplace=index_copy_)
def index_copy(Tensor input not None, dim, index, Tensor source not None):
    """A copy whose parts at the indices of a vector along one dimension are those of the source.

    >>> import fastgrad as fg
    >>> fg.index_copy(fg.zeros(3), 0, fg.tensor([0, 2]), fg.tensor([5.0, 6.0]))
    tensor([5., 0., 6.])
    """
    return change_along(input, dim, index, source, False, False, "index_copy")


cdef Tensor fill_value(object value, int dtype, str name):
    cdef Tensor v = as_operand(value, dtype, name)
    if v.layout.c.ndim:
        raise RuntimeError(f"{name}: expected a number or a 0-d tensor, got shape {tuple(v.shape)}")
    return v


def index_fill_(Tensor self not None, dim, index, value):
    """Writes one value at the indices along one dimension; returns this tensor."""
    return change_along(self, dim, index, fill_value(value, self.dtype, "index_fill_"), False, True, "index_fill_")


@publish(inplace=index_fill_)
def index_fill(Tensor input not None, dim, index, value):
    """A copy whose parts at the indices of a vector along one dimension hold one value.

    >>> import fastgrad as fg
    >>> fg.index_fill(fg.zeros(3), 0, fg.tensor([0, 2]), 7)
    tensor([7., 0., 7.])
    """
    return change_along(input, dim, index, fill_value(value, input.dtype, "index_fill"), False, False, "index_fill")


# ---- embedding -----------------------------------------------------------------------------------------------------

cdef Tensor embedding_vjp(Tensor g, Layout s0, Attrs a, Tensor index):
    cdef Tensor dw = put(zeros_like(s0, g.dtype), g, [index], a, True)
    if a.c.i[1] >= 0:
        dw = put(dw, scalar(0, g.dtype), [scalar(<double>a.c.i[1], FG_I64)], a, False)
    return dw


def embedding_batch(Attrs a, size, which, xs):
    """Each element of a batch of tables is read at its own number."""
    cdef Attrs b = place(a.c.axes, a.c.axis, a.c.i[0])
    w, index = xs
    if which & 1:
        b.c.axes = 3
        y = take(w, batch_indices(size, which >> 1, [index], True), b)
        if a.c.i[1] < 0:
            return y
        return functions["where"]((index == <int64_t>a.c.i[1]).unsqueeze(-1), y.detach(), y)     # no gradient of that row
    b.c.i[1] = a.c.i[1]
    b.c.ndim = index.ndim + 1
    for k in range(index.ndim):
        b.c.shape[k] = index.shape[k]
    b.c.shape[index.ndim] = w.shape[1]
    return apply_list(EMBEDDING, [w, index], b)


cdef Op EMBEDDING = op(
    "embedding", shape="GIVEN", dtype="Ti->T", kernel="index", jvp=LINEAR, family="indexing",
    vjp=(lambda g, s0, a, x1: embedding_vjp(g, s0, a, x1), None),
    batch=lambda a, size, which, xs: embedding_batch(a, size, which, xs),
    sample=lambda r: [((np.array([[2, 0], [1, 2]]), r.normal(size=(3, 4))), {})],
    doc="Rows of a table by index; the row of attrs.i[1], if any, gets no gradient.", numpy="x0[x1]")


@publish(method=False)
def embedding(Tensor input not None, Tensor weight not None, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False):
    """Rows of a table: ``weight[input]``.

    input: int64 or int32 of any shape; weight: (rows, features). Returns (*input.shape, features). The row `padding_idx`
    gets no gradient. max_norm, scale_grad_by_freq and sparse are not supported.

    >>> import fastgrad as fg
    >>> fg.nn.functional.embedding(fg.tensor([2, 0]), fg.tensor([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]))
    tensor([[2.0000, 2.5000],
            [0.0000, 0.5000]])
    """
    cdef Attrs a
    cdef PyObject* xs[2]
    if max_norm is not None or scale_grad_by_freq or sparse:
        raise NotImplementedError("embedding: max_norm, scale_grad_by_freq and sparse are not supported")
    if input.dtype != FG_I64 and input.dtype != FG_I32:
        raise DTypeError(f"embedding: indices must be int64 or int32, got {dtype_of(input.dtype).name}; the weight comes second")
    if weight.layout.c.ndim != 2:
        raise ShapeError(f"embedding: the weight must have shape (rows, features), got {tuple(weight.shape)}")
    if input.layout.c.ndim == FG_MAX_DIMS:
        raise RuntimeError(f"embedding: indices of {FG_MAX_DIMS} dimensions would give one more")
    a = place(1, 0, True)
    a.c.i[1] = -1
    if padding_idx is not None:
        a.c.i[1] = dim_of_row(padding_idx, weight.layout.c.shape[0])
    a.c.ndim = input.layout.c.ndim + 1
    memcpy(a.c.shape, input.layout.c.shape, input.layout.c.ndim * sizeof(int64_t))
    a.c.shape[a.c.ndim - 1] = weight.layout.c.shape[1]
    xs[0] = <PyObject*>weight
    xs[1] = <PyObject*>input
    try:
        return apply(EMBEDDING, xs, 2, a)
    except IndexError as error:
        raise out_of_range("embedding", input, weight.layout.c.shape[0], 0) or error from None


cdef int64_t dim_of_row(object row, int64_t n) except -1:
    if not -n <= row < n:
        raise IndexError(f"embedding: padding_idx {row} is out of range for {n} rows")
    return row + n if row < 0 else row


# ---- gather, scatter -----------------------------------------------------------------------------------------------

cdef int infer_second(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef fg_layout* l = &(<Tensor>xs[1]).layout.c
    give(lays, 0, dense_layout(l.ndim, l.shape))
    return 0


cdef Attrs along(int axis, int mode):
    cdef Attrs a = new_attrs()
    a.c.axis = axis
    a.c.mode = mode
    a.c.i[0] = STRICT
    return a


cdef Tensor gathered(Tensor x, int axis, Tensor index):
    cdef PyObject* xs[2]
    xs[0] = <PyObject*>x
    xs[1] = <PyObject*>index
    return <Tensor>apply(GATHER, xs, 2, along(axis, 0))


cdef Tensor scattered(Op o, Tensor x, int axis, Tensor index, Tensor source):
    cdef PyObject* xs[3]
    xs[0] = <PyObject*>x
    xs[1] = <PyObject*>index
    xs[2] = <PyObject*>source
    return <Tensor>apply(o, xs, 3, along(axis, ADD if o is SCATTER_ADD else 0))


cdef Op GATHER = op(
    "gather", shape=shape_rule(infer_second), dtype="Ti->T", jvp=LINEAR, batch=ROWS, family="indexing",
    vjp=(lambda g, s0, a, x1: scattered(SCATTER_ADD, zeros_like(s0, (<Tensor>g).dtype), a.axis, x1, g), None),
    sample=lambda r: [((r.normal(size=(3, 4)), 1, r.integers(0, 4, size=(2, 5))), {}),
                      ((r.normal(size=(3, 4)), 0, r.integers(0, 3, size=(6, 4))), {})],
    doc="The elements whose position along one dimension is given for each result.", numpy="gather(x0, {axis}, x1)")
cdef Op SCATTER = op(
    "scatter", shape="SAME", dtype="TiT->T", jvp=LINEAR, batch=ROWS, family="indexing",
    vjp=(lambda g, a, x1: scattered(SCATTER, g, a.axis, x1, zeros_like((<Tensor>x1).layout, (<Tensor>g).dtype)), None,
         lambda g, a, x1: gathered(g, a.axis, x1)),
    sample=lambda r: [((r.normal(size=(3, 4)), 1, np.array([[2, 0], [1, 3]]), r.normal(size=(2, 2))), {})],
    doc="A copy in which elements are replaced, their position along one dimension given for each value.",
    numpy="scatter(x0, {axis}, x1, x2)")
cdef Op SCATTER_ADD = op(
    "scatter_add", shape="SAME", dtype="TiT->T", kernel="scatter", jvp=LINEAR, batch=ROWS, family="indexing",
    vjp=(lambda g: g, None, lambda g, a, x1: gathered(g, a.axis, x1)),
    sample=lambda r: [((r.normal(size=(3, 4)), 0, r.integers(0, 3, size=(5, 4)), r.normal(size=(5, 4))), {})],
    doc="As scatter, adding instead of replacing; repeated positions add up.", numpy="scatter(x0, {axis}, x1, x2, add=True)")


cdef int check_along(Tensor x, int axis, Tensor index, str name) except -1:
    cdef int k
    if index.dtype != FG_I64 and index.dtype != FG_I32:
        raise DTypeError(f"{name}: indices must be int64 or int32, got {dtype_of(index.dtype).name}")
    if index.layout.c.ndim != x.layout.c.ndim:
        raise ShapeError(f"{name}: the index must have as many dimensions as the tensor: {tuple(index.shape)} for "
                         f"{tuple(x.shape)}")
    for k in range(x.layout.c.ndim):
        if k != axis and index.layout.c.shape[k] > x.layout.c.shape[k]:
            raise ShapeError(f"{name}: the index of shape {tuple(index.shape)} is larger than the tensor of shape "
                             f"{tuple(x.shape)} apart from dimension {axis}")
    return 0


@publish
def gather(Tensor input not None, dim, Tensor index not None, *, sparse_grad=False):
    """The elements whose position along `dim` the index gives: ``out[i][j] = input[i][index[i][j]]`` for dim 1.

    index: int64, as many dimensions as input and nowhere larger but along `dim`. Returns a tensor of the index's shape.

    >>> import fastgrad as fg
    >>> fg.gather(fg.tensor([[1, 2], [3, 4]]), 1, fg.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    cdef int d = dim_of(dim, input.layout.c.ndim)
    check_along(input, d, index, "gather")
    try:
        return gathered(input, d, index)
    except IndexError as error:
        raise out_of_range("gather", index, input.shape[d] if input.layout.c.ndim else 1, d) or error from None


cdef object scatter_any(Op o, Tensor x, object dim, Tensor index, object src, bint here, str name):
    cdef int d = dim_of(dim, x.layout.c.ndim), k
    cdef Tensor source = as_operand(src, x.dtype, name)
    check_along(x, d, index, name)
    if type(src) is not Tensor:
        if source.dtype != x.dtype:
            source = cast(source, x.dtype)
        source = expand_to(source, index.layout.c.ndim, index.layout.c.shape)
    if source.dtype != x.dtype:
        raise DTypeError(f"{name}: the source is {dtype_of(source.dtype).name}, the tensor {dtype_of(x.dtype).name}; they must "
                         f"have one dtype")
    if source.layout.c.ndim != index.layout.c.ndim:
        raise ShapeError(f"{name}: index and source must have the same number of dimensions: {tuple(index.shape)} and "
                         f"{tuple(source.shape)}")
    for k in range(index.layout.c.ndim):
        if index.layout.c.shape[k] > source.layout.c.shape[k]:
            raise ShapeError(f"{name}: the index of shape {tuple(index.shape)} is larger than the source of shape "
                             f"{tuple(source.shape)}")
    if tuple(source.shape) != tuple(index.shape):
        source = <Tensor>slots.getitem(source, tuple([slice(0, n) for n in index.shape]))
    try:
        if here:
            return inplace(o, x, [index, source], along(d, ADD if o is SCATTER_ADD else 0))
        return scattered(o, x, d, index, source)
    except IndexError as error:
        raise out_of_range(name, index, x.shape[d] if x.layout.c.ndim else 1, d) or error from None


def scatter_(Tensor self not None, dim, Tensor index not None, src=None, *, value=None):
    """Writes each element of the source at the position along `dim` that the index gives; returns this tensor."""
    return scatter_any(SCATTER, self, dim, index, value if src is None else src, True, "scatter_")


@publish(inplace=scatter_)
def scatter(Tensor input not None, dim, Tensor index not None, src=None, *, value=None):
    """A copy with each element of `src` (a tensor or one number) at the position along `dim` that the index gives:
    ``out[i][index[i][j]] = src[i][j]`` for dim 1. Which of several values for one place stays is not defined.

    >>> import fastgrad as fg
    >>> fg.scatter(fg.zeros(2, 3), 1, fg.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    return scatter_any(SCATTER, input, dim, index, value if src is None else src, False, "scatter")


def scatter_add_(Tensor self not None, dim, Tensor index not None, Tensor src not None):
    """Adds each element of the source at the position along `dim` that the index gives; returns this tensor."""
    return scatter_any(SCATTER_ADD, self, dim, index, src, True, "scatter_add_")


@publish(inplace=scatter_add_)
def scatter_add(Tensor input not None, dim, Tensor index not None, Tensor src not None):
    """A copy with each element of `src` added at the position along `dim` that the index gives; repeated places add up.

    >>> import fastgrad as fg
    >>> fg.scatter_add(fg.zeros(3), 0, fg.tensor([0, 2, 2]), fg.ones(3))
    tensor([1., 0., 2.])
    """
    return scatter_any(SCATTER_ADD, input, dim, index, src, False, "scatter_add")


@publish
def take_along_dim(Tensor input not None, Tensor indices not None, dim=None):
    """`gather` with the other dimensions broadcast; without `dim`, from the flattened tensor.

    >>> import fastgrad as fg
    >>> fg.take_along_dim(fg.tensor([[3, 1, 2]]), fg.tensor([[1, 2, 0]]), dim=1)
    tensor([[1, 2, 3]])
    """
    cdef int d
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    d = dim_of(dim, input.layout.c.ndim)
    if indices.layout.c.ndim != input.layout.c.ndim:
        raise ShapeError(f"take_along_dim: input and indices must have as many dimensions: {tuple(input.shape)} and "
                         f"{tuple(indices.shape)}")
    shape = [max(m, n) if m == 1 or n == 1 else m for m, n in zip(input.shape, indices.shape)]
    full, want = list(shape), list(shape)
    full[d], want[d] = input.shape[d], indices.shape[d]
    return gather(input.expand(full), d, indices.expand(want))


# ---- masks ---------------------------------------------------------------------------------------------------------

cdef Op MASKED_FILL = op(
    "masked_fill", shape="BROADCAST", dtype="TbT->T", jvp=LINEAR, family="indexing",
    vjp=(lambda g, x1: masked_fill(g, x1, 0), None, lambda g, x1: masked_fill(g, ~x1, 0)),
    sample=lambda r: [((r.normal(size=(3, 4)), r.random((3, 4)) < 0.5, 2.0), {}),
                      ((r.normal(size=(2, 3, 4)), r.random(4) < 0.5, -1.0), {})],
    doc="The first operand where the mask is false, the value elsewhere.", numpy="np.where(x1, x2, x0)")


cdef Tensor check_mask(Tensor mask, str name):
    if mask.dtype != FG_BOOL:
        raise DTypeError(f"{name}: the mask must be bool, got {dtype_of(mask.dtype).name}; convert it with .bool()")
    return mask


def masked_fill_(Tensor self not None, Tensor mask not None, value):
    """Writes one value where the mask, which broadcasts, is true; returns this tensor."""
    return inplace(MASKED_FILL, self, [check_mask(mask, "masked_fill_"), fill_value(value, self.dtype, "masked_fill_")], None)


@publish(inplace=masked_fill_)
def masked_fill(Tensor input not None, Tensor mask not None, value):
    """A copy that holds one value where the mask, which broadcasts, is true.

    >>> import fastgrad as fg
    >>> fg.masked_fill(fg.ones(3), fg.tensor([True, False, True]), 0)
    tensor([0., 1., 0.])
    """
    cdef PyObject* xs[3]
    cdef Tensor v = fill_value(value, input.dtype, "masked_fill")
    check_mask(mask, "masked_fill")
    xs[0] = <PyObject*>input
    xs[1] = <PyObject*>mask
    xs[2] = <PyObject*>v
    return apply(MASKED_FILL, xs, 3, None)


@publish
def masked_select(Tensor input not None, Tensor mask not None):
    """The elements where the mask is true, as a vector; the two broadcast together.

    >>> import fastgrad as fg
    >>> fg.masked_select(fg.arange(3), fg.tensor([True, False, True]))
    tensor([0, 2])
    """
    check_mask(mask, "masked_select")
    shape = np.broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    return advanced_get(input.expand(shape), mask.expand(shape)) if shape else advanced_get(input.reshape(1), mask.reshape(1))


cdef Op NONZERO = op("nonzero", shape="GIVEN", dtype=".->i", vjp=NONE, family="indexing",
                     sample=lambda r: [((r.normal(size=(3, 4)) * (r.uniform(size=(3, 4)) < 0.5),), {})],
                     doc="The positions of the elements that are not zero, in row-major order, one per row.",
                     numpy="np.argwhere(x0)")


@publish
def nonzero(Tensor input not None, *, as_tuple=False):
    """The positions of the elements that are not zero: (count, ndim), int64; with `as_tuple`, one vector per dimension.

    >>> import fastgrad as fg
    >>> fg.nonzero(fg.tensor([0, 5, 6]), as_tuple=True)
    (tensor([1, 2]),)
    """
    cdef Attrs a = new_attrs()
    cdef PyObject* px = <PyObject*>input
    cdef Tensor found
    if as_tuple and input.layout.c.ndim == 0:
        return nonzero(input.reshape(1), as_tuple=True)
    a.c.ndim = 2
    door(input, "a result whose shape depends on values (a mask as index, nonzero); use where() or multiply by the mask")
    a.c.shape[0] = functions["count_nonzero"](input).item()
    a.c.shape[1] = input.layout.c.ndim
    found = <Tensor>apply(NONZERO, &px, 1, a)
    return tuple([found.select(1, k) for k in range(input.layout.c.ndim)]) if as_tuple else found


@publish
def argwhere(Tensor input not None):
    """The positions of the elements that are not zero: (count, ndim), int64.

    >>> import fastgrad as fg
    >>> fg.argwhere(fg.tensor([[0, 5], [6, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    return nonzero(input)


# ---- joining -------------------------------------------------------------------------------------------------------

def cat_vjp(Tensor g, Attrs a, shapes):
    """The parts of g."""
    return functions["split"](g, [s[a.c.axis] for s in shapes], a.c.axis)


cdef Op CAT = op(
    "cat", shape="GIVEN", dtype="T*->T", jvp=LINEAR, batch=ROWS, family="indexing",
    vjp=joint(lambda g, a, shapes: cat_vjp(g, a, shapes)),
    sample=lambda r: [(([r.normal(size=(2, 3)), r.normal(size=(1, 3))],), {}),
                      (([r.normal(size=(2, 1)), r.normal(size=(2, 3)), r.normal(size=(2, 2))], 1), {})],
    doc="Tensors one after the other along one dimension.", numpy="np.concatenate([{inputs}], axis={axis})")


cdef list tensors_of(object tensors, str name):
    if type(tensors) is Tensor:
        raise TypeError(f"{name}: expected a list or tuple of Tensors, got one Tensor")
    cdef list xs = list(tensors)
    if not xs:
        raise ShapeError(f"{name}: expected at least one tensor")
    for i, x in enumerate(xs):
        if type(x) is not Tensor:
            raise TypeError(f"{name}: expected Tensors, got {type(x).__name__} at position {i}")
    return xs


@publish(method=False)
def cat(tensors, dim=0, *, axis=None):
    """Tensors one after the other along one dimension; the others must agree in size.

    >>> import fastgrad as fg
    >>> fg.cat([fg.zeros(2, 3), fg.ones(1, 3)]).shape
    fastgrad.Size([3, 3])
    """
    cdef list xs = tensors_of(tensors, "cat"), parts = []
    cdef Tensor x, like = None
    cdef Attrs a
    cdef int d, k
    cdef int64_t total = 0
    for x in xs:
        if x.layout.c.ndim == 0:
            raise RuntimeError("cat: 0-d tensors cannot be concatenated; use stack")
        if like is None and not (x.layout.c.ndim == 1 and x.layout.c.size == 0):
            like = x
    if like is None:
        like = xs[0]
    d = dim_of(either(dim, axis), like.layout.c.ndim)
    for i, x in enumerate(xs):
        if x.layout.c.ndim == 1 and x.layout.c.size == 0 and like.layout.c.ndim != 1:
            continue                        # PyTorch lets an empty vector pass anywhere
        if x.layout.c.ndim != like.layout.c.ndim:
            raise ShapeError(f"cat: tensors must have the same number of dimensions: {tuple(like.shape)} and {tuple(x.shape)} at "
                             f"position {i}")
        for k in range(like.layout.c.ndim):
            if k != d and x.layout.c.shape[k] != like.layout.c.shape[k]:
                raise ShapeError(f"cat: sizes must match except in dimension {d}: {tuple(like.shape)} and {tuple(x.shape)} at "
                                 f"position {i}")
        total += x.layout.c.shape[d]
        parts.append(x)
    a = shape_attrs(like.layout.c.ndim, like.layout.c.shape)
    a.c.shape[d] = total
    a.c.axis = d
    return apply_list(CAT, parts, a)


functions["concat"] = functions["concatenate"] = cat


@publish(method=False)
def stack(tensors, dim=0, *, axis=None):
    """Tensors of one shape side by side along a new dimension.

    >>> import fastgrad as fg
    >>> fg.stack([fg.tensor([1, 2]), fg.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    cdef list xs = tensors_of(tensors, "stack")
    shape = (<Tensor>xs[0]).shape
    for i, x in enumerate(xs):
        if x.shape != shape:
            raise ShapeError(f"stack: tensors must have one shape: {tuple(shape)} and {tuple(x.shape)} at position {i}")
    d = dim_of(either(dim, axis), len(shape) + 1)
    return cat([x.unsqueeze(d) for x in xs], d)


@publish(method=False)
def hstack(tensors):
    """Tensors one after the other along dimension 1; along dimension 0 for vectors.

    >>> import fastgrad as fg
    >>> fg.hstack([fg.tensor([1]), fg.tensor([2, 3])])
    tensor([1, 2, 3])
    """
    xs = [x.reshape(1) if x.ndim == 0 else x for x in tensors_of(tensors, "hstack")]
    return cat(xs, 0 if xs[0].ndim == 1 else 1)


@publish(method=False)
def vstack(tensors):
    """Tensors one after the other along dimension 0, vectors as rows.

    >>> import fastgrad as fg
    >>> fg.vstack([fg.tensor([1, 2]), fg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([x.reshape(1, -1) if x.ndim < 2 else x for x in tensors_of(tensors, "vstack")], 0)
