"""Linear algebra of small matrices under the names of torch.linalg: values by NumPy's LAPACK, derivatives of ops.

Every function takes stacks of matrices (..., n, n), and everything in `fastgrad.func` goes through it, to any order: a batch of
vmap is one more dimension of the stack, and a tangent is the transpose of the rule for reverse mode. The rules: M. Giles, "An
extended collection of matrix derivative results for forward and reverse mode algorithmic differentiation" (2008); of the
pseudoinverse: G. Golub and V. Pereyra (1973). What NumPy computes cannot stand inside `fastgrad.compile`.
"""

import math

import numpy as np

import fastgrad as fg
from fastgrad._core import Function, ShapeError
from fastgrad._core import _results as results
from fastgrad._core.function import is_differentiated

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "vecdot",
    "vector_norm",
]


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix has no inverse or factorisation: a RuntimeError as in PyTorch, a LinAlgError as in NumPy."""


def _square(name, x):
    if x.dim() < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name}: expected square matrices (..., n, n), got shape {tuple(x.shape)}")
    return _real(name, x)


def _real(name, x):
    if not x.is_floating_point():
        raise RuntimeError(f"{name}: expected float32 or float64, got {x.dtype}; convert with .float()")
    return x


def _by_numpy(name, function, *tensors):
    """NumPy's result as tensors of the same dtype."""
    try:
        found = function(*[np.asarray(x.detach()) for x in tensors])
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"{name}: {error}") from None
    give = lambda a: fg.from_numpy(np.array(a, dtype=tensors[0].dtype.numpy_dtype))  # noqa: E731
    return tuple(give(a) for a in found) if isinstance(found, tuple) else give(found)


class _OfMatrices(Function):
    """A function of stacks of matrices."""

    @classmethod
    def vmap(cls, info, in_dims, *args):
        return cls.apply(*args), 0


# ---- solutions -----------------------------------------------------------------------------------------------------


class _Inv(_OfMatrices):
    @staticmethod
    def forward(ctx, x):
        y = _by_numpy("inv", np.linalg.inv, x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return -(y.mT @ g @ y.mT)


def inv(A):
    """The inverse of square matrices (..., n, n). Raises LinAlgError for a singular one.

    >>> import fastgrad as fg
    >>> fg.linalg.inv(fg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return _Inv.apply(_square("inv", A))


class _Solve(_OfMatrices):
    @staticmethod
    def forward(ctx, a, b):
        x = _by_numpy("solve", np.linalg.solve, a, b)
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def backward(ctx, g):
        a, x = ctx.saved_tensors
        gb = _Solve.apply(a.mT, g)
        return -(gb @ x.mT) if ctx.needs_input_grad[0] else None, gb

    @classmethod
    def vmap(cls, info, in_dims, a, b):
        if in_dims[0] is None:  # one matrix for the whole batch is factorised once: the batch is more columns
            wide = b.movedim(0, -2)
            x = cls.apply(a, wide.flatten(-2)).reshape(wide.shape)
            return x.movedim(-2, 0), 0
        return cls.apply(a, b if in_dims[1] == 0 else b.expand(info.batch_size, *b.shape)), 0


def solve(A, B, *, left=True):
    """The X with A X = B (X A = B if not `left`), for square A (..., n, n) and B (..., n, k) or vectors (..., n).

    B stands for vectors where it has one dimension, or the shape of A without the last one. Raises LinAlgError for a
    singular A.

    Example:
        >>> fg.linalg.solve(fg.tensor([[2.0, 0.0], [0.0, 4.0]]), fg.tensor([2.0, 2.0]))
        tensor([1.0000, 0.5000])
    """
    _square("solve", A), _real("solve", B)
    if A.dtype is not B.dtype:
        raise RuntimeError(f"solve: A and B must have one dtype, got {A.dtype} and {B.dtype}")
    vector = B.dim() == 1 or (A.dim() - 1 == B.dim() and B.shape == A.shape[:-1])
    b = B.unsqueeze(-1) if vector else B
    if not left:
        return solve(A.mT, b.mT).mT
    if b.dim() < 2 or b.shape[-2] != A.shape[-1]:
        raise ShapeError(f"solve: A of shape {tuple(A.shape)} and B of shape {tuple(B.shape)} do not fit")
    lead = fg.broadcast_shapes(A.shape[:-2], b.shape[:-2])
    x = _Solve.apply(A.expand(*lead, *A.shape[-2:]), b.expand(*lead, *b.shape[-2:]))
    return x.squeeze(-1) if vector else x


def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """As `solve`, reading only one triangle of A; its diagonal counts as ones if `unitriangular`.

    Example:
        >>> fg.linalg.solve_triangular(fg.tensor([[1.0, 1.0], [0.0, 2.0]]), fg.tensor([[3.0], [4.0]]), upper=True)
        tensor([[1.],
                [2.]])
    """
    a = fg.triu(A) if upper else fg.tril(A)
    if unitriangular:
        a = a - fg.diag_embed(a.diagonal(dim1=-2, dim2=-1) - 1)
    return solve(a, B, left=left)


class _Pinv(_OfMatrices):
    @staticmethod
    def forward(ctx, x, rtol):
        y = _by_numpy("pinv", lambda a: np.linalg.pinv(a, rtol), x)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        gt = g.mT
        left = gt @ y  # beyond the columns, and the rows, of x
        right = y @ gt
        return (left - x @ (y @ left)) @ y.mT + y.mT @ (right - (right @ y) @ x) - y.mT @ g @ y.mT, None


def pinv(A, *, rtol=1e-15):
    """The pseudoinverse of a matrix (..., m, n): singular values up to rtol times the largest count as 0. The derivative is that
    of matrices of the same rank.

    Example:
        >>> fg.linalg.pinv(fg.tensor([[1.0], [1.0]]))
        tensor([[0.5000, 0.5000]])
    """
    return _Pinv.apply(_real("pinv", A), rtol)


def lstsq(A, B, rcond=None, *, driver=None):
    """The X of least |A X - B|, as (solution, residuals, rank, singular_values); A (..., m, n) with m >= n, of full rank where a
    derivative is taken.

    Example:
        >>> fg.linalg.lstsq(fg.tensor([[1.0], [1.0]]), fg.tensor([[1.0], [3.0]])).solution
        tensor([[2.0000]])
    """
    if A.shape[-2] < A.shape[-1]:
        raise ShapeError(f"lstsq: expected at least as many rows as columns, got {tuple(A.shape)}")
    if is_differentiated(A) or is_differentiated(B):
        q, r = qr(A)
        x = solve(r, q.mT @ B)
    else:
        x = pinv(A) @ B
    residuals = (A @ x - B).square().sum(-2)
    return results.lstsq(x, residuals, matrix_rank(A), svdvals(A.detach()))


# ---- determinants and factorisations -------------------------------------------------------------------------------


class _LogDet(_OfMatrices):
    @staticmethod
    def forward(ctx, x):
        sign, value = _by_numpy("slogdet", lambda a: tuple(np.linalg.slogdet(a)), x)
        ctx.save_for_backward(x)
        ctx.mark_non_differentiable(sign)
        return sign, value

    @staticmethod
    def backward(ctx, _, g):
        (x,) = ctx.saved_tensors
        return g[..., None, None] * inv(x).mT


def slogdet(A):
    """(sign, logabsdet) of square matrices: the determinant is sign * exp(logabsdet).

    Example:
        >>> fg.linalg.slogdet(fg.tensor([[0.0, 1.0], [1.0, 0.0]])).sign
        tensor(-1.)
    """
    return results.slogdet(*_LogDet.apply(_square("slogdet", A)))


class _Det(_OfMatrices):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return _by_numpy("det", np.linalg.det, x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g[..., None, None] * _cofactors(x)


def _cofactors(x):
    """det(x) times the inverse transpose; by minors where a matrix is singular, for which it exists too."""
    y = _Det.apply(x)
    if bool((y.detach() != 0).all()):
        return y[..., None, None] * inv(x).mT
    n = x.shape[-1]
    if n == 1:
        return fg.ones_like(x)
    keep = [[k for k in range(n) if k != i] for i in range(n)]
    minors = [[(-1) ** (i + j) * _Det.apply(x[..., keep[i], :][..., keep[j]]) for j in range(n)] for i in range(n)]
    return fg.stack([fg.stack(row, -1) for row in minors], -2)


def det(A):
    """The determinant of square matrices; its derivative exists for singular ones too.

    Example:
        >>> fg.linalg.det(fg.tensor([[2.0, 0.0], [1.0, 3.0]]))
        tensor(6.)
    """
    return _Det.apply(_square("det", A))


class _Cholesky(_OfMatrices):
    @staticmethod
    def forward(ctx, x):
        y = _by_numpy("cholesky", np.linalg.cholesky, x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        middle = fg.tril(y.mT @ g)
        middle = middle - fg.diag_embed(middle.diagonal(dim1=-2, dim2=-1)) / 2
        s = solve(y.mT, solve(y, middle, left=False))
        return (s + s.mT) / 2


def cholesky(A, *, upper=False):
    """The lower triangular L with A = L L^T of symmetric positive definite matrices, or L^T if `upper`. Raises LinAlgError
    where A is not positive definite.

    Example:
        >>> fg.linalg.cholesky(fg.tensor([[4.0, 2.0], [2.0, 2.0]]))
        tensor([[2., 0.],
                [1., 1.]])
    """
    y = _Cholesky.apply(_square("cholesky", A))
    return y.mT if upper else y


def _inverse_gaps(x):
    """1 / (x_j - x_i), 0 where i = j."""
    same = fg.eye(x.shape[-1]).bool()
    return (x.unsqueeze(-2) - x.unsqueeze(-1)).masked_fill(same, 1).reciprocal().masked_fill(same, 0)


class _Eigh(_OfMatrices):
    @staticmethod
    def forward(ctx, x):
        w, v = _by_numpy("eigh", lambda a: tuple(np.linalg.eigh(a)), x)
        ctx.save_for_backward(w, v)
        ctx.set_materialize_grads(False)
        return w, v

    @staticmethod
    def backward(ctx, gw, gv):
        w, v = ctx.saved_tensors
        core = 0 if gw is None else fg.diag_embed(gw)
        if gv is not None:
            core = core + (v.mT @ gv) * _inverse_gaps(w)
        return v @ core @ v.mT


def eigh(A, UPLO="L"):
    """(eigenvalues, eigenvectors) of symmetric matrices, of which one triangle is read; eigenvalues ascend, eigenvectors are
    the columns. Gradients through the eigenvectors want eigenvalues that differ.

    Example:
        >>> fg.linalg.eigh(fg.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
        tensor([1., 2.])
    """
    _square("eigh", A)
    if UPLO not in ("L", "U"):
        raise RuntimeError(f"eigh: UPLO must be 'L' or 'U', got {UPLO!r}")
    half = fg.tril(A, -1) if UPLO == "L" else fg.triu(A, 1)
    return results.eigh(*_Eigh.apply(half + half.mT + fg.diag_embed(A.diagonal(dim1=-2, dim2=-1))))


def eigvalsh(A, UPLO="L"):
    """The eigenvalues of symmetric matrices, ascending.

    Example:
        >>> fg.linalg.eigvalsh(fg.tensor([[2.0, 1.0], [1.0, 2.0]]))
        tensor([1., 3.])
    """
    return eigh(A, UPLO).eigenvalues


class _Svd(_OfMatrices):
    @staticmethod
    def forward(ctx, x):
        found = _by_numpy("svd", lambda a: tuple(np.linalg.svd(a, full_matrices=False)), x)
        ctx.save_for_backward(*found)
        ctx.set_materialize_grads(False)
        return found

    @staticmethod
    def backward(ctx, gu, gs, gvh):
        u, s, vh = ctx.saved_tensors
        gaps = _inverse_gaps(s * s) if gu is not None or gvh is not None else None
        core = 0 if gs is None else fg.diag_embed(gs)
        beyond = 0
        skew = lambda m: m - m.mT  # noqa: E731
        if gu is not None:
            core = core + skew(u.mT @ gu) * gaps * s.unsqueeze(-2)
            if u.shape[-2] > s.shape[-1]:
                beyond = (gu - u @ (u.mT @ gu)) / s.unsqueeze(-2) @ vh
        if gvh is not None:
            core = core + s.unsqueeze(-1) * skew(vh @ gvh.mT) * gaps
            if vh.shape[-1] > s.shape[-1]:
                beyond = beyond + u / s.unsqueeze(-2) @ (gvh - (gvh @ vh.mT) @ vh)
        return u @ core @ vh + beyond


class _FullSvd(_OfMatrices):
    @staticmethod
    def forward(ctx, x):
        return _by_numpy("svd", lambda a: tuple(np.linalg.svd(a)), x)


def svd(A, full_matrices=True, *, driver=None):
    """(U, S, Vh) with A = U diag(S) Vh, singular values descending; U (..., m, k), Vh (..., k, n) with k = min(m, n), or square
    ones if `full_matrices`, which have no derivative. Gradients through U and Vh want singular values that differ.

    Example:
        >>> fg.linalg.svd(fg.tensor([[3.0, 0.0], [0.0, 2.0]])).S
        tensor([3., 2.])
    """
    _real("svd", A)
    if not full_matrices or A.shape[-1] == A.shape[-2]:
        return results.svd(*_Svd.apply(A))
    if is_differentiated(A) and (fg.is_grad_enabled() or is_differentiated(A, tangents_only=True)):
        raise RuntimeError("svd: full_matrices=True has no derivative for a matrix that is not square; pass False")
    return results.svd(*_FullSvd.apply(A))


def svdvals(A, *, driver=None):
    """The singular values of matrices (..., m, n), descending.

    Example:
        >>> fg.linalg.svdvals(fg.tensor([[3.0, 0.0], [0.0, 2.0]]))
        tensor([3., 2.])
    """
    return svd(A, full_matrices=False).S


class _Qr(_OfMatrices):
    @staticmethod
    def forward(ctx, x):
        q, r = _by_numpy("qr", lambda a: tuple(np.linalg.qr(a)), x)
        ctx.save_for_backward(q, r)
        return q, r

    @staticmethod
    def backward(ctx, gq, gr):
        q, r = ctx.saved_tensors
        m = r @ gr.mT - gq.mT @ q
        lower = fg.tril(m, -1)
        symmetric = lower + lower.mT + fg.diag_embed(m.diagonal(dim1=-2, dim2=-1))
        return solve(r.mT, gq + q @ symmetric, left=False)


def qr(A, mode="reduced"):
    """(Q, R) with A = Q R, Q of orthonormal columns, R upper triangular, for A (..., m, n) with m >= n.

    Example:
        >>> q, r = fg.linalg.qr(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> fg.allclose(q @ r, fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
        True
    """
    if mode != "reduced" or A.shape[-2] < A.shape[-1]:
        raise NotImplementedError("qr: mode must be 'reduced' and a matrix have at least as many rows as columns")
    return results.qr(*_Qr.apply(_real("qr", A)))


# ---- norms and products --------------------------------------------------------------------------------------------


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The p-norm of vectors along `dim` (an int or several), or of all elements; ord a number, inf, -inf or 0.

    Example:
        >>> fg.linalg.vector_norm(fg.tensor([3.0, -4.0]), ord=1)
        tensor(7.)
    """
    x = x if dtype is None else x.to(dtype)
    return fg.norm(_real("vector_norm", x), ord, dim, keepdim)


def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """A norm of matrices in two dimensions: "fro", "nuc", 1, -1, inf, -inf (sums along columns or rows), 2, -2 (singular
    values).

    Example:
        >>> fg.linalg.matrix_norm(fg.tensor([[3.0, 0.0], [0.0, 4.0]]))
        tensor(5.)
    """
    A = A if dtype is None else A.to(dtype)
    _real("matrix_norm", A)
    if A.dim() < 2:
        raise ShapeError(f"matrix_norm: expected at least 2 dimensions, got {A.dim()}")
    first, second = (d % A.dim() for d in dim)
    if first == second:
        raise RuntimeError(f"matrix_norm: the two dimensions must differ, got {dim}")
    if ord == "fro":
        return fg.norm(A, 2, (first, second), keepdim)
    if ord in (1, -1, math.inf, -math.inf):
        over, across = (first, second) if abs(ord) == 1 else (second, first)
        sums = A.abs().sum(over, keepdim=True)
        y = sums.amax(across, keepdim=True) if ord > 0 else sums.amin(across, keepdim=True)
    elif ord in ("nuc", 2, -2):
        s = svdvals(A.movedim((first, second), (-2, -1)))
        y = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
        for d in sorted((first, second)):
            y = y.unsqueeze(d)
    else:
        raise RuntimeError(f"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    return y if keepdim else y.squeeze((first, second))


def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """A vector or matrix norm: of all elements (2) where neither `ord` nor `dim` is given, else of vectors where `dim` is an
    int or A has one dimension, of matrices where it names two.

    Example:
        >>> fg.linalg.norm(fg.tensor([3.0, 4.0]))
        tensor(5.)
    """
    if ord is None and (dim is None or not isinstance(dim, int)):
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if isinstance(dim, int) or (dim is None and A.dim() == 1) or (dim is not None and len(dim) == 1):
        if isinstance(ord, str):
            raise RuntimeError(f"norm: ord {ord!r} is a norm of matrices, but vectors were given")
        return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    if dim is None and A.dim() != 2:
        raise RuntimeError(f"norm: with ord and without dim the tensor must have 1 or 2 dimensions, got {A.dim()}")
    return matrix_norm(A, ord, (-2, -1) if dim is None else tuple(dim), keepdim, dtype=dtype)


def cond(A, p=None):
    """The condition number |A| |A^-1| in the norm p (2 if None).

    Example:
        >>> fg.linalg.cond(fg.tensor([[2.0, 0.0], [0.0, 8.0]]))
        tensor(4.)
    """
    if p in (None, 2, -2):
        s = svdvals(A)
        return s[..., 0] / s[..., -1] if p != -2 else s[..., -1] / s[..., 0]
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


def matrix_rank(A, *, atol=None, rtol=None, hermitian=False):
    """How many singular values are larger than max(atol, rtol * the largest); rtol is max(m, n) * eps if not given.

    Example:
        >>> fg.linalg.matrix_rank(fg.ones(3, 3))
        tensor(1)
    """
    s = svdvals(A.detach())
    if rtol is None:
        rtol = max(A.shape[-2:]) * fg.finfo(A.dtype).eps if atol is None else 0.0
    return (s > (s[..., :1] * rtol).clamp(min=atol or 0.0)).sum(-1)


def multi_dot(tensors):
    """The product of several matrices; the first and the last may be vectors. Multiplied in the order that costs least.

    Example:
        >>> fg.linalg.multi_dot([fg.ones(2, 3), fg.ones(3, 4), fg.ones(4, 1)]).shape
        fastgrad.Size([2, 1])
    """
    xs = list(tensors)
    if len(xs) < 2:
        raise RuntimeError(f"multi_dot: expected at least 2 tensors, got {len(xs)}")
    sizes = [xs[0].shape[0] if xs[0].dim() == 2 else 1] + [x.shape[0] for x in xs[1:]]
    sizes.append(xs[-1].shape[1] if xs[-1].dim() == 2 else 1)
    best = {(i, i): (0, i) for i in range(len(xs))}
    for length in range(1, len(xs)):
        for i in range(len(xs) - length):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i, j):
        k = best[i, j][1]
        return xs[i] if i == j else product(i, k) @ product(k + 1, j)

    return product(0, len(xs) - 1)


def vecdot(x, y, *, dim=-1):
    """The dot products of vectors along `dim`.

    Example:
        >>> fg.linalg.vecdot(fg.ones(4, 3), fg.ones(4, 3))
        tensor([3., 3., 3., 3.])
    """
    return (x * y).sum(dim)


def cross(input, other, *, dim=-1):
    """The cross products of vectors of 3 along `dim`.

    Example:
        >>> fg.linalg.cross(fg.tensor([1.0, 0.0, 0.0]), fg.tensor([0.0, 1.0, 0.0]))
        tensor([0., 0., 1.])
    """
    return fg.cross(input, other, dim)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """A diagonal of matrices, as a view.

    Example:
        >>> fg.linalg.diagonal(fg.eye(3))
        tensor([1., 1., 1.])
    """
    return A.diagonal(offset, dim1, dim2)


matmul = fg.matmul
matrix_power = fg.matrix_power
