"""Products of vectors, matrices and stacks of matrices, and distances between their rows."""

import math

from fastgrad._core import ShapeError
from fastgrad._core.table import functions as f
from fastgrad._core.tensor import install
from fastgrad._functions._shared import axis_of, in_place, publish


@publish
def vdot(input, other):
    """The dot product of two vectors.

    >>> import fastgrad as fg
    >>> fg.vdot(fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return f["dot"](input, other)


@publish
def ger(input, vec2):
    """The outer product of two vectors.

    >>> import fastgrad as fg
    >>> fg.ger(fg.tensor([1, 2]), fg.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return f["outer"](input, vec2)


def _scaled(x, factor):
    return x if factor == 1 else x * factor


@publish(inplace=True)
def addr(input, vec1, vec2, *, beta=1, alpha=1):
    """beta * input + alpha * the outer product of two vectors.

    >>> import fastgrad as fg
    >>> fg.addr(fg.zeros(2, 2), fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    product = _scaled(f["outer"](vec1, vec2), alpha)
    return product.expand_as(product) if beta == 0 else _scaled(input, beta) + product


@publish(inplace=True)
def addbmm(input, batch1, batch2, *, beta=1, alpha=1):
    """beta * input + alpha * the sum of the products of two stacks of matrices.

    >>> import fastgrad as fg
    >>> fg.addbmm(fg.zeros(2, 4), fg.zeros(5, 2, 3), fg.zeros(5, 3, 4)).shape
    fastgrad.Size([2, 4])
    """
    product = _scaled(f["bmm"](batch1, batch2).sum(0), alpha)
    return product if beta == 0 else _scaled(input, beta) + product


for _name in ("addmm", "addmv", "baddbmm"):
    install(_name + "_", in_place(f[_name]))


@publish
def kron(input, other):
    """The Kronecker product: every element of input times `other`.

    >>> import fastgrad as fg
    >>> fg.kron(fg.eye(2), fg.ones(1, 2))
    tensor([[1., 1., 0., 0.],
            [0., 0., 1., 1.]])
    """
    n = max(input.dim(), other.dim())
    a, b = (x.reshape((1,) * (n - x.dim()) + tuple(x.shape)) for x in (input, other))
    wide = a.reshape([d for m in a.shape for d in (m, 1)]) * b.reshape([d for m in b.shape for d in (1, m)])
    return wide.reshape([p * q for p, q in zip(a.shape, b.shape, strict=True)])


def _cross(name, x, y, dim):
    x, y = f["broadcast_tensors"](x, y)
    dim = axis_of(dim, x.dim(), name)
    if x.shape[dim] != 3:
        raise ShapeError(f"{name}: dimension {dim} must have size 3, got {x.shape[dim]}")
    (a, b, c), (u, v, w) = x.unbind(dim), y.unbind(dim)
    return f["stack"]([b * w - c * v, c * u - a * w, a * v - b * u], dim)


@publish
def cross(input, other, dim=None):
    """The cross product of vectors of 3 along `dim`, by default the first dimension of size 3.

    >>> import fastgrad as fg
    >>> fg.cross(fg.tensor([1.0, 0.0, 0.0]), fg.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    if dim is None:
        dim = next((k for k, n in enumerate(input.shape) if n == 3), -1)
    return _cross("cross", input, other, dim)


@publish(method=False)
def cdist(x1, x2, p=2.0, compute_mode=None):
    """The p-norms of the differences of all pairs of rows: (..., P, M) and (..., R, M) give (..., P, R).

    >>> import fastgrad as fg
    >>> fg.cdist(fg.zeros(1, 2), fg.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """
    if x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            f"cdist: rows have {x1.shape[-1]} and {x2.shape[-1]} columns: {tuple(x1.shape)}, {tuple(x2.shape)}"
        )
    return f["norm"](x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


@publish
def matrix_power(input, n):
    """The n-th power of square matrices, by squaring; a negative one is a power of the inverse.

    >>> import fastgrad as fg
    >>> fg.matrix_power(fg.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    if input.dim() < 2 or input.shape[-1] != input.shape[-2]:
        raise ShapeError(f"matrix_power: expected square matrices, got {tuple(input.shape)}")
    if n < 0:
        from fastgrad.linalg import inv

        return matrix_power(inv(input), -n)
    if n == 0:
        return f["eye"](input.shape[-1], dtype=input.dtype).expand(input.shape).clone()
    result = None
    while n:
        if n & 1:
            result = input if result is None else result @ input
        n >>= 1
        input = input @ input if n else input
    return result.clone() if result is input and math.isfinite(n) and result._base is not None else result


# ---- of fastgrad.linalg, which is imported when one of these is first called ------------------------------------------


def _linalg():
    import fastgrad.linalg

    return fastgrad.linalg


@publish
def det(input):
    """The determinant of square matrices, `linalg.det`.

    >>> import fastgrad as fg
    >>> fg.det(fg.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    return _linalg().det(input)


@publish
def slogdet(input):
    """(sign, logabsdet) of square matrices, `linalg.slogdet`.

    >>> import fastgrad as fg
    >>> fg.slogdet(fg.tensor([[0.0, 1.0], [1.0, 0.0]])).sign
    tensor(-1.)
    """
    return _linalg().slogdet(input)


@publish
def logdet(input):
    """The logarithm of the determinant of square matrices; NaN where it is negative, -inf where it is 0.

    >>> import fastgrad as fg
    >>> fg.logdet(fg.eye(2))
    tensor(0.)
    """
    sign, value = _linalg().slogdet(input)
    return f["where"](sign < 0, math.nan, value)


@publish
def inverse(input):
    """The inverse of square matrices, `linalg.inv`.

    >>> import fastgrad as fg
    >>> fg.inverse(fg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return _linalg().inv(input)


@publish
def cholesky(input, upper=False):
    """The Cholesky factor of symmetric positive definite matrices, `linalg.cholesky`.

    >>> import fastgrad as fg
    >>> fg.cholesky(fg.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    return _linalg().cholesky(input, upper=upper)


@publish
def cholesky_solve(input, L, upper=False):
    """The X with A X = input, where L is the Cholesky factor of A.

    >>> import fastgrad as fg
    >>> fg.cholesky_solve(fg.ones(2, 1), 2 * fg.eye(2))
    tensor([[0.2500],
            [0.2500]])
    """
    lower = L.mT if upper else L
    y = _linalg().solve_triangular(lower, input, upper=False)
    return _linalg().solve_triangular(lower.mT, y, upper=True)
