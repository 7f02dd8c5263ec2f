"""Means and moments, norms, differences and integrals along a dimension."""

import math

from fastgrad._core.table import functions as f
from fastgrad._functions._shared import axis_of, expect_tensor, publish


@publish
def nanmean(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """The mean over `dim`, or over all dimensions, of the elements that are not NaN.

    >>> import fastgrad as fg
    >>> fg.nanmean(fg.tensor([1.0, fg.nan, 3.0]))
    tensor(2.)
    """
    x = input if dtype is None else input.to(dtype)
    if not x.is_floating_point():
        raise RuntimeError(f"nanmean: expected float32 or float64, got {x.dtype}")
    dim, keepdim = dim if axis is None else axis, keepdim or keepdims
    return f["nansum"](x, dim, keepdim) / (~x.isnan()).sum(dim, keepdim)


@publish
def diff(input, n=1, dim=-1, prepend=None, append=None, *, axis=None):
    """Differences of neighbours along `dim`, n times; `prepend` and `append` are put before and after first.

    >>> import fastgrad as fg
    >>> fg.diff(fg.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    dim = axis_of(dim if axis is None else axis, input.dim(), "diff")
    if input.dim() == 0:
        raise RuntimeError("diff: expected a tensor with at least 1 dimension")
    if n < 0:
        raise RuntimeError(f"diff: n must not be negative, got {n}")
    parts = [x for x in (prepend, input, append) if x is not None]
    y = f["cat"](parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, y.shape[dim])):
        m = y.shape[dim]
        later, earlier = y.narrow(dim, 1, m - 1), y.narrow(dim, 0, m - 1)
        y = later ^ earlier if y.dtype is f["tensor"](True).dtype else later - earlier
    return y


def _integral(name, y, x, dx, dim):
    dim = axis_of(dim, y.dim(), name)
    n = y.shape[dim]
    pairs = (y.narrow(dim, 1, max(n - 1, 0)) + y.narrow(dim, 0, max(n - 1, 0))) if n else y
    if x is None:
        return pairs, dx / 2, dim
    width = diff(x, dim=dim if x.dim() > 1 else 0)
    return pairs, (width if x.dim() > 1 else width.reshape([-1] + [1] * (y.dim() - 1 - dim))) / 2, dim


@publish(method=False)
def trapezoid(y, x=None, *, dx=1, dim=-1):
    """The integral of y along `dim` by the trapezoidal rule, at the points x or at equal distances dx.

    >>> import fastgrad as fg
    >>> fg.trapezoid(fg.tensor([1.0, 3.0, 5.0]), dx=0.5)
    tensor(3.)
    """
    pairs, width, dim = _integral("trapezoid", y, x, dx, dim)
    return (pairs * width).sum(dim)


publish(trapezoid, method=False, name="trapz")


@publish(method=False)
def cumulative_trapezoid(y, x=None, *, dx=1, dim=-1):
    """The integrals of y along `dim` up to each point but the first, by the trapezoidal rule.

    >>> import fastgrad as fg
    >>> fg.cumulative_trapezoid(fg.tensor([1.0, 3.0, 5.0]))
    tensor([2., 6.])
    """
    pairs, width, dim = _integral("cumulative_trapezoid", y, x, dx, dim)
    return (pairs * width).cumsum(dim)


@publish
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables (rows) over observations (columns), divided by n - correction.

    fweights: how often each observation counts, integers; aweights: how much.

    >>> import fastgrad as fg
    >>> fg.cov(fg.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    x = input if input.dim() == 2 else input.reshape(1, -1)
    n, weights = x.shape[1], None
    if fweights is not None:
        weights, n = fweights, fweights.sum()
    if aweights is not None:
        weights = aweights if weights is None else weights * aweights
    if weights is None:
        centred = x - x.mean(1, keepdim=True)
        c = centred @ centred.mT / max(n - correction, 0)
    else:
        total = weights.sum()
        centred = x - (x * weights).sum(1, keepdim=True) / total
        norm = total - correction * ((weights * aweights).sum() / total if aweights is not None else 1)
        c = (centred * weights) @ centred.mT / norm
    return c if input.dim() == 2 else c.reshape(())


@publish
def corrcoef(input):
    """The correlation coefficients of variables (rows) over observations (columns).

    >>> import fastgrad as fg
    >>> fg.corrcoef(fg.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(input)
    if c.dim() == 0:
        return c / c
    s = c.diagonal().sqrt()
    return (c / s.unsqueeze(1) / s).clamp(-1, 1)


@publish(method=False)
def normalize(input, p=2.0, dim=1, eps=1e-12):
    """input / max(its p-norm along `dim`, eps).

    >>> import fastgrad as fg
    >>> fg.nn.functional.normalize(fg.tensor([[3.0, 4.0]]), dim=1)
    tensor([[0.6000, 0.8000]])
    """
    expect_tensor(input, "normalize")
    return input / input.norm(p, dim, True).clamp_min(eps)


@publish
def renorm(input, p, dim, maxnorm):
    """Each part along `dim` scaled down to the p-norm `maxnorm` where its norm is larger.

    >>> import fastgrad as fg
    >>> fg.renorm(fg.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    dim = axis_of(dim, input.dim(), "renorm")
    over = [k for k in range(input.dim()) if k != dim]
    norms = f["norm"](input, p, over, True)
    return input * f["where"](norms > maxnorm, maxnorm / (norms + 1e-7), 1.0)


@publish
def dist(input, other, p=2):
    """The p-norm of input - other.

    >>> import fastgrad as fg
    >>> fg.dist(fg.tensor([0.0, 0.0]), fg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    difference = input - other
    return f["norm"](difference, math.inf if p == math.inf else p)
