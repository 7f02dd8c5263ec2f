"""Functions of the order of elements: quantiles, running extremes, unique values, bins."""

import numpy as np

from fastgrad._core import Tensor
from fastgrad._core import _results as results
from fastgrad._core._errors import OutOfRange
from fastgrad._core.table import functions as f
from fastgrad._core.table import publish
from fastgrad._functions.arrange import axis_of


def _array(x):
    return np.asarray(x.detach())


def _indices(array):
    return f["from_numpy"](np.array(array, np.int64, order="C"))


def _picked(x, indices, dim, keepdim, result):
    """(values, indices) for an index array that has the size 1 along dim."""
    if x.dim() == 0:
        return result(x.clone(), _indices(np.zeros(())))
    at = _indices(indices)
    values = x.gather(dim, at)
    return result(values, at) if keepdim else result(values.squeeze(dim), at.squeeze(dim))


@publish
def kthvalue(input, k, dim=-1, keepdim=False, *, axis=None, keepdims=False):
    """(values, indices) of the k-th smallest element along `dim`, counted from 1.

    >>> import fastgrad as fg
    >>> fg.kthvalue(fg.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    dim = axis_of(dim if axis is None else axis, input.dim(), "kthvalue")
    n = input.shape[dim] if input.dim() else 1
    if not 1 <= k <= n:
        raise OutOfRange(f"kthvalue: k must be from 1 to {n}, the size of dimension {dim}, got {k}")
    order = f["argsort"](input, dim).numpy()
    chosen = np.take(order, [k - 1], axis=dim) if input.dim() else order
    return _picked(input, chosen, dim, keepdim or keepdims, results.kthvalue)


@publish
def mode(input, dim=-1, keepdim=False, *, axis=None, keepdims=False):
    """(values, indices) of the most frequent element along `dim`, the smallest of several; the index is of its last one.

    >>> import fastgrad as fg
    >>> fg.mode(fg.tensor([1, 2, 2, 3])).values
    tensor(2)
    """
    dim = axis_of(dim if axis is None else axis, input.dim(), "mode")
    if input.dim() == 0:
        return _picked(input, None, dim, keepdim, results.mode)
    rows = np.moveaxis(_array(input), dim, -1)
    if rows.shape[-1] == 0:
        raise IndexError(f"mode: dimension {dim} has no elements")

    def last(row):
        values, counts = np.unique(row, return_counts=True)
        return np.flatnonzero(row == values[counts.argmax()])[-1:]

    chosen = np.apply_along_axis(last, -1, rows) if rows.size else np.zeros((*rows.shape[:-1], 1))
    return _picked(input, np.moveaxis(chosen, -1, dim), dim, keepdim or keepdims, results.mode)


def _running(name, x, dim, axis, result, better):
    dim = axis_of(dim if axis is None else axis, x.dim(), name)
    if x.dim() == 0:
        return _picked(x, None, dim, True, result)
    values = np.moveaxis(_array(x), dim, -1)
    best = better.accumulate(values, axis=-1)
    # the last place at which the running extreme stands: where the element equals it, carried on
    at = np.where((values == best) | (values != values), np.arange(values.shape[-1]), 0)
    return _picked(x, np.moveaxis(np.maximum.accumulate(at, axis=-1), -1, dim), dim, True, result)


@publish
def cummax(input, dim=None, *, axis=None):
    """(values, indices) of the largest element up to each along `dim`; of equal ones the last.

    >>> import fastgrad as fg
    >>> fg.cummax(fg.tensor([1, 3, 2]), dim=0).values
    tensor([1, 3, 3])
    """
    return _running("cummax", input, dim, axis, results.cummax, np.maximum)


@publish
def cummin(input, dim=None, *, axis=None):
    """(values, indices) of the smallest element up to each along `dim`; of equal ones the last.

    >>> import fastgrad as fg
    >>> fg.cummin(fg.tensor([3, 1, 2]), dim=0).values
    tensor([3, 1, 1])
    """
    return _running("cummin", input, dim, axis, results.cummin, np.minimum)


def _interpolated(name, input, q, dim, keepdim, interpolation, ignore_nan):
    if not input.is_floating_point():
        raise RuntimeError(f"{name}: expected float32 or float64, got {input.dtype}")
    modes = ("linear", "lower", "higher", "nearest", "midpoint")
    if interpolation not in modes:
        raise RuntimeError(f"{name}: interpolation must be one of {', '.join(modes)}, got {interpolation!r}")
    if isinstance(q, Tensor) and q.dtype is not input.dtype:
        raise RuntimeError(f"{name}: q must have the dtype of the input, {input.dtype}, got {q.dtype}")
    share = np.asarray(q.detach() if isinstance(q, Tensor) else q, float)
    if share.ndim > 1 or np.any((share < 0) | (share > 1)):
        raise RuntimeError(f"{name}: q must be a number or a vector of numbers between 0 and 1, got {q}")
    all_dims = dim is None
    x = input.reshape(-1) if all_dims or not input.dim() else input
    dim = axis_of(-1 if all_dims else dim, x.dim(), name)
    if x.numel() == 0:
        raise RuntimeError(f"{name}: the input has no elements")
    x = x.movedim(dim, -1).sort(-1).values
    missing = _array(x.isnan()).sum(-1, keepdims=True)
    rank = share.reshape(-1) * np.maximum(x.shape[-1] - (missing if ignore_nan else 0) - 1, 0)  # (..., the q's)
    rank = np.where((missing > 0) & (not ignore_nan), x.shape[-1] - 1, rank)  # NaN sorts last
    low, high = np.floor(rank), np.ceil(rank)
    if interpolation == "nearest":
        low = high = np.rint(rank)
    elif interpolation == "lower":
        high = low
    elif interpolation == "higher":
        low = high
    shape = (*x.shape[:-1], share.size)
    a, b = (x.gather(-1, _indices(np.broadcast_to(k, shape))) for k in (low, high))
    weight = np.full(shape, 0.5) if interpolation == "midpoint" else np.broadcast_to(rank - low, shape)
    y = f["lerp"](a, b, f["from_numpy"](np.ascontiguousarray(weight)).to(x.dtype)) if low is not high else a
    y = y.movedim(-1, 0)  # (the q's, ...)
    if keepdim:
        y = y.reshape(share.size, *[1] * input.dim()) if all_dims else y.unsqueeze(dim + 1)
    return y if share.ndim else y[0]


@publish
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear", axis=None, keepdims=False):
    """The q-quantiles along `dim`, or of all elements: q a number or a vector of numbers in [0, 1], whose results come first.

    interpolation: "linear", "lower", "higher", "nearest" or "midpoint", between the two neighbours. NaN where there is a NaN.

    >>> import fastgrad as fg
    >>> fg.quantile(fg.tensor([0.0, 1.0, 2.0]), fg.tensor([0.25, 0.5]))
    tensor([0.5000, 1.0000])
    """
    dim = dim if axis is None else axis
    return _interpolated("quantile", input, q, dim, keepdim or keepdims, interpolation, False)


@publish
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear", axis=None, keepdims=False):
    """As `quantile`, of the elements that are not NaN.

    >>> import fastgrad as fg
    >>> fg.nanquantile(fg.tensor([1.0, fg.nan, 3.0]), 0.5)
    tensor(2.)
    """
    dim = dim if axis is None else axis
    return _interpolated("nanquantile", input, q, dim, keepdim or keepdims, interpolation, True)


@publish
def nanmedian(input, dim=None, keepdim=False, *, axis=None, keepdims=False):
    """The median of the elements that are not NaN, the lower of two in the middle; with a `dim`, (values, indices) along it.

    >>> import fastgrad as fg
    >>> fg.nanmedian(fg.tensor([1.0, fg.nan, 3.0]))
    tensor(1.)
    """
    dim, keepdim = dim if axis is None else axis, keepdim or keepdims
    if dim is None:
        kept = input.reshape(-1)
        kept = kept[~kept.isnan()] if input.is_floating_point() else kept
        return kept.median() if kept.numel() else input.sum() * float("nan")
    dim = axis_of(dim, input.dim(), "nanmedian")
    if input.dim() == 0:
        return _picked(input, None, dim, keepdim, results.nanmedian)
    if input.shape[dim] == 0:
        raise IndexError(f"nanmedian: dimension {dim} has no elements")
    count = (~np.isnan(_array(input))).sum(dim, keepdims=True)
    order = f["argsort"](input, dim).numpy()
    chosen = np.take_along_axis(order, np.maximum(count - 1, 0) // 2, dim)
    return _picked(input, chosen, dim, keepdim, results.nanmedian)


# ---- values and bins: no derivatives ---------------------------------------------------------------------------------


def _tensor(array):
    return f["from_numpy"](np.array(array, order="C"))


@publish
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements in ascending order (along `dim`, the different slices); with them, if asked for, the index of
    each element among these, and how often each comes.

    >>> import fastgrad as fg
    >>> fg.unique(fg.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    found = np.unique(_array(input), return_inverse=True, return_counts=True, axis=dim)
    values, inverse, counts = found
    inverse = inverse.reshape(tuple(input.shape) if dim is None else -1)
    chosen = [values, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    tensors = tuple(_tensor(a) for a in chosen)
    return tensors if len(tensors) > 1 else tensors[0]


@publish
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements without those that equal the one before (along `dim`, slices); as `unique` for the rest.

    >>> import fastgrad as fg
    >>> fg.unique_consecutive(fg.tensor([3, 3, 1, 3]))
    tensor([3, 1, 3])
    """
    a = _array(input)
    rows = a.reshape(-1, 1) if dim is None else np.moveaxis(a, dim, 0).reshape(a.shape[dim], -1)
    first = np.ones(len(rows), bool)
    first[1:] = (rows[1:] != rows[:-1]).any(1)
    values = a.reshape(-1)[first] if dim is None else np.compress(first, a, axis=dim)
    inverse = (first.cumsum() - 1).reshape(a.shape if dim is None else -1)
    counts = np.diff(np.append(np.flatnonzero(first), len(rows)))
    chosen = [values, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    tensors = tuple(_tensor(x) for x in chosen)
    return tensors if len(tensors) > 1 else tensors[0]


@publish
def bincount(input, weights=None, minlength=0):
    """How often each integer from 0 on comes in a vector; with `weights`, their sums.

    >>> import fastgrad as fg
    >>> fg.bincount(fg.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    if input.is_floating_point() or input.dim() != 1:
        raise RuntimeError(f"bincount: expected a vector of integers, got {input.dtype}, shape {tuple(input.shape)}")
    if input.numel() and input.min() < 0:
        raise RuntimeError("bincount: the integers must not be negative")
    counts = np.bincount(_array(input), None if weights is None else _array(weights), minlength)
    return _tensor(counts if weights is None or weights.dtype is not f["tensor"](1.0).dtype else counts.astype("f"))


@publish(method=False)
def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """The indices at which the elements of `input` would keep each row of `sorted_sequence` sorted: before equal elements, or
    after them if `right` (side="right").

    >>> import fastgrad as fg
    >>> fg.searchsorted(fg.tensor([1.0, 2.0, 3.0]), fg.tensor([0.5, 2.0]), right=True)
    tensor([0, 2])
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    where = "right" if right or side == "right" else "left"
    table, numbers = _array(sorted_sequence), _array(input) if isinstance(input, Tensor) else np.asarray(input)
    if sorter is not None:
        table = np.take_along_axis(table, _array(sorter), -1)
    if table.ndim == 1:
        found = np.searchsorted(table, numbers, where)
    else:
        if table.shape[:-1] != numbers.shape[:-1]:
            raise RuntimeError(
                f"searchsorted: rows of {tuple(table.shape)} and {tuple(numbers.shape)} do not correspond"
            )
        rows = table.reshape(-1, table.shape[-1]), numbers.reshape(-1, numbers.shape[-1])
        found = np.array([np.searchsorted(a, b, where) for a, b in zip(*rows, strict=True)]).reshape(numbers.shape)
    return _tensor(np.asarray(found, np.int32 if out_int32 else np.int64))


@publish(method=False)
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The index of the bucket of each element between sorted boundaries; a boundary belongs to the bucket before it, or to the
    one after if `right`.

    >>> import fastgrad as fg
    >>> fg.bucketize(fg.tensor([0.5, 2.5]), fg.tensor([1.0, 2.0, 3.0]))
    tensor([0, 2])
    """
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@publish
def histc(input, bins=100, min=0, max=0):
    """How many elements lie in each of `bins` equal intervals between min and max (both 0: of the input), as real numbers.

    >>> import fastgrad as fg
    >>> fg.histc(fg.tensor([0.0, 0.5, 2.0]), bins=2)
    tensor([2., 1.])
    """
    a = _array(input)
    low, high = (a.min(), a.max()) if min == max == 0 and a.size else (min, max)
    if low > high:
        raise RuntimeError(f"histc: max must be larger than min, got {min} and {max}")
    if low == high:
        low, high = low - 1, high + 1
    return _tensor(np.histogram(a, bins, (low, high))[0].astype(a.dtype))


@publish(method=False)
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each element is among the test elements, as bool.

    >>> import fastgrad as fg
    >>> fg.isin(fg.tensor([1, 2, 3]), fg.tensor([2, 5]))
    tensor([False,  True, False])
    """
    a, b = (_array(x) if isinstance(x, Tensor) else np.asarray(x) for x in (elements, test_elements))
    return _tensor(np.isin(a, b, invert=invert))
