"""Functions of the order of elements that read the values: quantiles, modes, running extremes."""

import numpy as np

from fastgrad._core import Tensor
from fastgrad._core import _results as results
from fastgrad._core._errors import OutOfRange
from fastgrad._core.table import functions as f
from fastgrad._functions._shared import axis_of, publish


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
