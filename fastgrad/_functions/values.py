"""Values and bins: unique values, counts, positions among sorted values. No derivatives."""

import numpy as np

from fastgrad._core import Tensor
from fastgrad._core.table import functions as f
from fastgrad._functions._shared import publish


def _array(x):
    return np.asarray(x.detach())


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
