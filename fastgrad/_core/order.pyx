"""Order statistics: one op gives the order, and the elements are gathered by it. So values keep their history, while indices
are constants, and all of it runs in batches and in compiled functions.
"""

from .shape cimport either
from .tensor cimport *

from . import _results as results
from .table import NONE, ROWS, functions, op, publish


def argsort_numpy(a, x):
    if not a.mode:
        return "np.argsort(x0, {axis}, kind='stable')"
    return "x0.shape[{axis}] - 1 - np.flip(np.argsort(np.flip(x0, {axis}), {axis}, kind='stable'), {axis})"


def argsort_flops(a, x):
    """As many comparisons as a merge sort makes at most."""
    n = x[a.axis] if x else 1
    count = 1
    for d in x:
        count *= d
    return count * max(n - 1, 0).bit_length()


cdef Op ARGSORT = op(
    "argsort", shape="SAME", dtype="T->i", vjp=NONE, dense=True, batch=ROWS, family="order",
    sample=lambda r: [((r.integers(0, 4, size=(3, 5)).astype(float), 1), {}), ((r.normal(size=(3, 5)), 0), {"descending": True}),
                      ((r.normal(size=()),), {})],
    flops=argsort_flops, numpy=argsort_numpy,
    doc="The positions that sort along attrs.axis, stable, NaN as the largest; attrs.mode 1: the largest first.")


cpdef int axis_of(object dim, int ndim, str who) except -2:
    """A dimension counted from the front; of a 0-d tensor, 0."""
    n = ndim if ndim else 1
    if dim is None:
        raise TypeError(f"{who}: say along which dimension, dim=...")
    if not -n <= dim < n:
        raise IndexError(f"{who}: dimension {dim} is out of range for a tensor with {ndim} dimensions: expected {-n} to {n - 1}")
    return dim % n


cdef Tensor order(Tensor x, int axis, bint descending):
    cdef Attrs a = new_attrs()
    a.c.axis = axis
    a.c.mode = descending
    return <Tensor>apply1(ARGSORT, x, a)


cdef object taken(Tensor x, Tensor indices, int axis):
    return x.clone() if x.layout.c.ndim == 0 else functions["gather"](x, axis, indices)


@publish
def argsort(Tensor input not None, dim=-1, descending=False, *, stable=True, axis=None):
    """The indices that sort along `dim`, int64. The order is always stable; NaN counts as the largest.

    >>> import fastgrad as fg
    >>> fg.argsort(fg.tensor([3, 1, 2]), descending=True)
    tensor([0, 2, 1])
    """
    return order(input, axis_of(either(dim, axis), input.layout.c.ndim, "argsort"), descending)


@publish
def sort(Tensor input not None, dim=-1, descending=False, *, stable=True, axis=None):
    """(values, indices) sorted along `dim`. The order is always stable; NaN counts as the largest.

    >>> import fastgrad as fg
    >>> fg.sort(fg.tensor([3, 1, 2])).indices
    tensor([1, 2, 0])
    """
    cdef int along = axis_of(either(dim, axis), input.layout.c.ndim, "sort")
    indices = order(input, along, descending)
    return results.sort(taken(input, indices, along), indices)


@publish
def topk(Tensor input not None, k, dim=-1, largest=True, sorted=True, *, axis=None):
    """(values, indices) of the k largest elements along `dim`, or of the smallest; always sorted.

    >>> import fastgrad as fg
    >>> fg.topk(fg.tensor([3, 1, 2]), 2).values
    tensor([3, 2])
    """
    cdef int along = axis_of(either(dim, axis), input.layout.c.ndim, "topk")
    size = input.layout.c.shape[along] if input.layout.c.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk: k must be from 0 to {size}, the size of dimension {either(dim, axis)}, got {k}")
    indices = order(input, along, largest)
    if input.layout.c.ndim:
        indices = indices.narrow(along, 0, k).contiguous()
    return results.topk(taken(input, indices, along), indices)


@publish
def median(Tensor input not None, dim=None, keepdim=False, *, axis=None, keepdims=False):
    """The median, the lower of two in the middle; NaN if there is one. With a `dim`, (values, indices) along it.

    Over all elements, equal ones share the gradient evenly.

    >>> import fastgrad as fg
    >>> fg.median(fg.tensor([3.0, 1.0, 2.0]))
    tensor(2.)
    """
    cdef int along
    dim, keepdim = either(dim, axis), keepdim or keepdims
    if dim is None:
        if input.layout.c.size == 0:
            raise RuntimeError("median: the tensor has no elements")
        flat = input.reshape(-1)
        y = taken(flat, middle(flat, 0).unsqueeze(0), 0).detach()
        least = -float("inf") if input.is_floating_point() else flat.min()
        return functions["where"]((flat == y) | ((flat != flat) & (y != y)), flat, least).max()
    along = axis_of(dim, input.layout.c.ndim, "median")
    if input.layout.c.ndim == 0:
        return results.median(input.clone(), order(input, 0, False))
    if input.layout.c.shape[along] == 0:
        raise IndexError(f"median: dimension {dim} has no elements")
    indices = middle(input, along).unsqueeze(along)
    values = taken(input, indices, along)
    return results.median(*[t if keepdim else t.squeeze(along) for t in (values, indices)])


cdef object middle(Tensor x, int axis):
    """The index of the lower median along an axis, or of the first NaN."""
    n = x.layout.c.shape[axis]
    found = order(x, axis, False).select(axis, (n - 1) // 2)
    if not x.is_floating_point():
        return found
    missing = x.detach().isnan()
    return functions["where"](missing.any(axis), missing.long().argmax(axis), found)
