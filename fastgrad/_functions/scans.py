"""Scans: what has been gathered up to each element along a dimension.

They double their reach with each step, so that their depth on the tape is the logarithm of the length.
"""

from fastgrad._core.table import functions as f
from fastgrad._functions._shared import axis_of, expect_tensor, publish


def _scanned(x, dim, combine):
    """A new tensor whose element k combines the elements 0 to k of x."""
    n, reach, y = x.shape[dim] if x.dim() else 1, 1, x
    while reach < n:
        ahead = combine(y.narrow(dim, 0, n - reach), y.narrow(dim, reach, n - reach))
        y = f["cat"]([y.narrow(dim, 0, reach), ahead], dim)
        reach *= 2
    return y.clone() if y is x else y


def _of_numbers(name, input, dim, dtype, combine):
    expect_tensor(input, name)
    dim = axis_of(dim, input.dim(), name)
    x = input.to(dtype) if dtype is not None else input if input.is_floating_point() else input.long()
    return _scanned(x, dim, combine)


@publish(inplace=True)
def cumsum(input, dim=None, *, dtype=None, axis=None):
    """The sums of all elements up to each along `dim`; of integers and bools as int64.

    >>> import fastgrad as fg
    >>> fg.cumsum(fg.tensor([1, 2, 3, 4]), dim=0)
    tensor([ 1,  3,  6, 10])
    """
    return _of_numbers("cumsum", input, dim if axis is None else axis, dtype, f["add"])


@publish(inplace=True)
def cumprod(input, dim=None, *, dtype=None, axis=None):
    """The products of all elements up to each along `dim`; of integers and bools as int64. Right, to any order, where
    elements are 0.

    >>> import fastgrad as fg
    >>> fg.cumprod(fg.tensor([1, 2, 3, 4]), dim=0)
    tensor([ 1,  2,  6, 24])
    """
    return _of_numbers("cumprod", input, dim if axis is None else axis, dtype, f["mul"])


@publish
def logcumsumexp(input, dim=None, *, axis=None):
    """log of the sums of exp(x) up to each element along `dim`, without overflow.

    >>> import fastgrad as fg
    >>> fg.logcumsumexp(fg.zeros(3), dim=0)
    tensor([0.0000, 0.6931, 1.0986])
    """
    dim = axis_of(dim if axis is None else axis, input.dim(), "logcumsumexp")
    if not input.is_floating_point():
        raise NotImplementedError(f"logcumsumexp: expected float32 or float64, got {input.dtype}")
    return _scanned(input, dim, f["logaddexp"])
