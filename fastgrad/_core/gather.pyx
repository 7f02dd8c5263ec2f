"""gather and scatter: one index for each element, along one dimension."""

from cpython.object cimport PyObject

import numpy as np

from .indexing cimport ADD, STRICT, out_of_range, zeros_like
from .inplace cimport inplace
from .memory cimport Attrs
from .promote cimport cast
from .shape cimport dim_of, expand_to
from .table cimport give, shape_rule
from .tensor cimport *

from ._errors import DTypeError, ShapeError
from .table import LINEAR, ROWS, op, publish


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
