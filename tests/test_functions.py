"""Functions composed in Python, and linalg: values against NumPy, derivatives against differences to second order. The same
calls are compared with PyTorch in test_torch.py."""

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn.functional as F
from fastgrad.autograd import gradcheck, gradgradcheck


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


A, B, V, W, C = draw(3, 4), draw(3, 4, seed=1), draw(6, seed=2), draw(4, seed=3), draw(2, 3, 4, seed=4)
SQUARE = draw(3, 3, seed=5) + 2 * np.eye(3)
STACK = draw(2, 3, 3, seed=6) + 2 * np.eye(3)
SPREAD = draw(3, 3, seed=7) * 0.1 + np.diag([1.0, 2.0, 4.0])  # eigenvalues and singular values far apart


def windows(x):
    """NumPy's unfold of 2 x 3 windows, one apart."""
    v = np.lib.stride_tricks.sliding_window_view(x, (2, 3), (2, 3))
    n, c, down, across, kh, kw = v.shape
    return v.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, down * across)


# name: (function, arrays, NumPy's)
CASES = {
    "asinh": (fg.asinh, [A], np.arcsinh),
    "acosh": (fg.acosh, [np.abs(A) + 1.1], np.arccosh),
    "atanh": (fg.atanh, [np.tanh(A)], np.arctanh),
    "logit": (fg.logit, [1 / (1 + np.exp(-A))], lambda x: np.log(x / (1 - x))),
    "sinc": (fg.sinc, [np.array([0.0, 0.5, -1.3])], np.sinc),
    "logaddexp2": (fg.logaddexp2, [A, B], np.logaddexp2),
    "fmax": (fg.fmax, [A, B], np.fmax),
    "copysign": (fg.copysign, [A, B], np.copysign),
    "diagonal": (lambda x: x.diagonal(1, 1, 2), [C], lambda x: np.diagonal(x, 1, 1, 2)),
    "diagonal below": (lambda x: x.diagonal(-1), [A], lambda x: np.diagonal(x, -1)),
    "diagonal of a transposed": (lambda x: x.T.diagonal(1), [A], lambda x: np.diagonal(x.T, 1)),
    "unfold": (lambda x: x.unfold(1, 2, 1), [A], lambda x: np.lib.stride_tricks.sliding_window_view(x, 2, 1)),
    "unfold apart": (lambda x: x.unfold(0, 2, 3), [V], lambda x: x.reshape(2, 3)[:, :2]),
    "unfold of a transposed": (
        lambda x: x.T.unfold(0, 3, 1),
        [A],
        lambda x: np.lib.stride_tricks.sliding_window_view(x.T, 3, 0),
    ),
    "diag_embed": (lambda x: fg.diag_embed(x), [A], lambda x: x[..., None] * np.eye(4)),
    "diagonal_scatter": (fg.diagonal_scatter, [SQUARE, draw(3)], lambda x, y: x - np.diag(np.diag(x)) + np.diag(y)),
    "select_scatter": (lambda x, y: x.select_scatter(y, 1, 2), [A, draw(3)], lambda x, y: np.c_[x[:, :2], y, x[:, 3]]),
    "slice_scatter": (
        lambda x, y: x.slice_scatter(y, 1, 1, 3),
        [A, draw(3, 2)],
        lambda x, y: np.c_[x[:, :1], y, x[:, 3:]],
    ),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), [A], lambda x: np.repeat(x, 2, 1)),
    "rot90": (lambda x: x.rot90(3), [A], lambda x: np.rot90(x, 3)),
    "block_diag": (lambda x, y: fg.block_diag(x, y)[:3, :4] * 1, [A, B], lambda x, y: x),
    "take": (lambda x: x.take(fg.tensor([[0, 7], [7, 2]])), [A], lambda x: np.take(x, [[0, 7], [7, 2]])),
    "column_stack": (lambda x, y: fg.column_stack((x, y)), [draw(3), A], lambda x, y: np.column_stack((x, y))),
    "dstack": (lambda x, y: fg.dstack((x, y)), [A, B], lambda x, y: np.dstack((x, y))),
    "kthvalue": (lambda x: x.kthvalue(2, 1)[0], [A], lambda x: np.sort(x, 1)[:, 1]),
    "cummax": (lambda x: x.cummax(1)[0], [A], lambda x: np.maximum.accumulate(x, 1)),
    "cummin": (lambda x: x.cummin(0).values, [A], lambda x: np.minimum.accumulate(x, 0)),
    "quantile": (lambda x: x.quantile(0.3), [A], lambda x: np.quantile(x, 0.3)),
    "quantiles": (lambda x: x.quantile(fg.tensor([0.1, 0.8], dtype=fg.float64), 1), [A],
                  lambda x: np.quantile(x, [0.1, 0.8], axis=1)),
    "nanmean": (lambda x: x.nanmean(1), [A], lambda x: x.mean(1)),
    "logcumsumexp": (lambda x: x.logcumsumexp(1), [A], lambda x: np.logaddexp.accumulate(x, 1)),
    "diff": (lambda x: x.diff(n=2), [A], lambda x: np.diff(x, 2)),
    "trapezoid": (lambda x, y: fg.trapezoid(x, y), [A, B], np.trapezoid),
    "cov": (fg.cov, [A], np.cov),
    "corrcoef": (lambda x: fg.corrcoef(x)[0, 1:], [A], lambda x: np.corrcoef(x)[0, 1:]),
    "kron": (fg.kron, [draw(2, 3), draw(2, 2, seed=1)], np.kron),
    "cross": (lambda x, y: fg.cross(x, y, 0), [A, B], lambda x, y: np.cross(x, y, axis=0)),
    "cdist": (fg.cdist, [A, draw(2, 4, seed=9)], lambda x, y: np.linalg.norm(x[:, None] - y, axis=-1)),
    "matrix_power": (lambda x: x.matrix_power(5), [SQUARE], lambda x: np.linalg.matrix_power(x, 5)),
    "inv": (fg.linalg.inv, [STACK], np.linalg.inv),
    "solve": (fg.linalg.solve, [STACK, draw(2, 3, 2)], np.linalg.solve),
    "solve of a vector": (fg.linalg.solve, [SQUARE, draw(3)], np.linalg.solve),
    "solve from the right": (lambda a, b: fg.linalg.solve(a, b, left=False), [SQUARE, draw(2, 3)],
                             lambda a, b: b @ np.linalg.inv(a)),
    "det": (fg.linalg.det, [STACK], np.linalg.det),
    "logabsdet": (lambda x: fg.linalg.slogdet(x).logabsdet, [STACK], lambda x: np.linalg.slogdet(x)[1]),
    "cholesky": (lambda x: fg.linalg.cholesky(x @ x.mT), [STACK], lambda x: np.linalg.cholesky(x @ x.transpose(0, 2, 1))),
    "eigvalsh": (lambda x: fg.linalg.eigvalsh(x + x.mT), [SPREAD], lambda x: np.linalg.eigvalsh(x + x.T)),
    "eigenvectors": (lambda x: fg.linalg.eigh(x + x.mT)[1].square(), [SPREAD],
                     lambda x: np.linalg.eigh(x + x.T)[1] ** 2),
    "svdvals": (fg.linalg.svdvals, [A], lambda x: np.linalg.svd(x, compute_uv=False)),
    "svd": (lambda x: sum(t.square().cumsum(0).sum() for t in fg.linalg.svd(x, full_matrices=False)), [A],
            lambda x: sum((t**2).cumsum(0).sum() for t in np.linalg.svd(x, full_matrices=False))),
    "qr": (lambda x: fg.linalg.qr(x)[1].square(), [STACK], lambda x: np.linalg.qr(x)[1] ** 2),
    "pinv": (fg.linalg.pinv, [A], np.linalg.pinv),
    "matrix_norm": (lambda x: fg.linalg.matrix_norm(x, 1), [STACK], lambda x: np.linalg.norm(x, 1, (1, 2))),
    "nuclear norm": (lambda x: fg.linalg.norm(x, "nuc"), [SQUARE], lambda x: np.linalg.norm(x, "nuc")),
    "multi_dot": (lambda x, y: fg.linalg.multi_dot([x, y.mT, x]), [A, B], lambda x, y: x @ y.T @ x),
    "F.unfold": (lambda x: F.unfold(x, (2, 3)), [draw(1, 2, 3, 4)], windows),
    "F.fold": (lambda x: F.fold(F.unfold(x, 2), (3, 4), 2), [draw(1, 1, 3, 4)],
               lambda x: x * np.outer([1, 2, 1], [1, 2, 2, 1])),
    "group_norm": (lambda x: F.group_norm(x, 1), [C], lambda x: (x - x.mean((1, 2), keepdims=True))
                   / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)),
    "instance_norm": (F.instance_norm, [C], lambda x: (x - x.mean(2, keepdims=True))
                      / np.sqrt(x.var(2, keepdims=True) + 1e-5)),
    "pairwise_distance": (F.pairwise_distance, [A, B], lambda x, y: np.linalg.norm(x - y + 1e-6, axis=1)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), [draw(4, 2, 3)],
                      lambda x: x.reshape(2, 2, 2, 3).transpose(2, 0, 3, 1).reshape(1, 4, 6)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_are_numpys_and_gradients_numerical(name):
    function, arrays, reference = CASES[name]
    xs = [fg.tensor(a, requires_grad=True) for a in arrays]
    np.testing.assert_allclose(function(*xs).detach().numpy(), reference(*arrays), rtol=1e-10, atol=1e-12)
    assert gradcheck(function, xs)
    assert gradgradcheck(function, xs)


def test_diagonal_and_unfold_are_views():
    x = fg.zeros(3, 4)
    x.diagonal(1).fill_(2)
    x.diagonal()[0] = 5
    assert x.tolist() == [[5, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    x.T.unfold(0, 2, 2)[1, :, 1].copy_(fg.ones(3))
    assert x[:, 3].tolist() == [1, 1, 1]
    leaf = fg.ones(3, 3, requires_grad=True)
    y = leaf * 1
    y.diagonal().mul_(3)
    y.sum().backward()
    assert leaf.grad.tolist() == [[3, 1, 1], [1, 3, 1], [1, 1, 3]]


def test_a_window_that_overlaps_sums_its_gradients():
    x = fg.ones(4, requires_grad=True)
    x.unfold(0, 3, 1).sum().backward()
    assert x.grad.tolist() == [1, 2, 2, 1]


def test_det_of_a_singular_matrix_has_its_derivative():
    x = fg.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]], dtype=fg.float64, requires_grad=True)
    assert abs(fg.linalg.det(x).item()) < 1e-12
    assert gradcheck(fg.linalg.det, [fg.diag(fg.tensor([0.0, 2.0, 3.0], dtype=fg.float64)).requires_grad_()])


def test_factorisations_that_do_not_exist():
    with pytest.raises(fg.linalg.LinAlgError, match="inv: Singular matrix"):
        fg.linalg.inv(fg.zeros(2, 2))
    with pytest.raises(RuntimeError, match="solve"):
        fg.linalg.solve(fg.zeros(2, 2), fg.ones(2))
    with pytest.raises(np.linalg.LinAlgError, match="cholesky"):
        fg.linalg.cholesky(-fg.eye(2))
    with pytest.raises(ValueError, match=r"det: expected square matrices \(..., n, n\), got shape \(2, 3\)"):
        fg.det(fg.ones(2, 3))
    with pytest.raises(RuntimeError, match="no derivative for a matrix that is not square"):
        fg.linalg.svd(fg.ones(2, 3, requires_grad=True))


def test_float32_stays():
    x = fg.eye(2) * 2
    for y in (
        x.inverse(),
        x.det(),
        fg.linalg.eigh(x)[0],
        fg.linalg.svdvals(x),
        x.float().quantile(0.5),
        fg.cov(x),
        x.logit(),
    ):
        assert y.dtype is fg.float32


def test_unique_and_bins():
    x = fg.tensor([[3, 1], [1, 2]])
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 3] and inverse.tolist() == [[2, 0], [0, 1]] and counts.tolist() == [2, 1, 1]
    assert fg.tensor([1, 1, 2, 1]).unique_consecutive().tolist() == [1, 2, 1]
    assert fg.tensor([0, 2, 2]).bincount(minlength=5).tolist() == [1, 0, 2, 0, 0]
    assert fg.searchsorted(fg.tensor([[1, 3], [2, 4]]), fg.tensor([[2], [2]])).tolist() == [[1], [0]]
    assert fg.bucketize(fg.tensor([1.0, 5.0]), fg.tensor([1.0, 3.0]), right=True).tolist() == [1, 2]
    assert fg.tensor([1.0, 2.0, 4.0]).histc(2, 0, 4).tolist() == [1, 2]
    assert fg.isin(fg.tensor([1, 5]), fg.tensor([5])).tolist() == [False, True]


def test_nan_is_left_out_or_shown():
    x = fg.tensor([1.0, float("nan"), 3.0])
    assert x.nanmean().item() == 2 and x.nanmedian().item() == 1 and fg.nanquantile(x, 0.5).item() == 2
    assert np.isnan(x.quantile(0.5).item())
    assert fg.fmax(x, fg.zeros(3)).tolist() == [1, 0, 3]
    assert x.cummax(0).values.tolist()[0] == 1 and np.isnan(x.cummax(0).values[2].item())


def test_scatter_reduce_by_every_kind():
    x, index, src = fg.zeros(2), fg.tensor([0, 0, 1]), fg.tensor([2.0, 3.0, 4.0])
    found = {kind: x.scatter_reduce(0, index, src, kind, include_self=False).tolist() for kind in
             ("sum", "prod", "mean", "amax", "amin")}  # fmt: skip
    assert found == {"sum": [5, 4], "prod": [6, 4], "mean": [2.5, 4], "amax": [3, 4], "amin": [2, 4]}
    with pytest.raises(RuntimeError, match="reduce must be 'sum'"):
        x.scatter_reduce(0, index, src, "max")


def test_keywords_of_numpy():
    x = fg.arange(6.0).reshape(2, 3)
    assert x.sum(axis=1, keepdims=True).tolist() == [[3], [12]]
    assert x.max(axis=0).indices.tolist() == [1, 1, 1]
    assert fg.cat((x, x), axis=1).shape == (2, 6) and fg.stack([x, x], axis=-1).shape == (2, 3, 2)
    assert x.softmax(axis=0).sum(axis=0).tolist() == [1, 1, 1]
    assert fg.maximum(input=x, other=-x).equal(x) and fg.exp(input=fg.zeros(1)).item() == 1


def test_legacy_constructors():
    assert fg.Tensor([1, 2]).tolist() == [1.0, 2.0] and fg.Tensor(2, 3).shape == (2, 3) and fg.Tensor().shape == (0,)
    assert fg.LongTensor([1, 2]).dtype is fg.int64 and fg.FloatTensor([[1]]).dtype is fg.float32
    x = fg.Tensor([2.0])
    x.requires_grad = True
    (x * x).backward()
    assert x.grad.item() == 4
    with pytest.raises(TypeError, match="made once"):
        x.__init__([3.0])


def test_a_cast_to_integers_has_no_gradient():
    x = fg.tensor([1.5, -2.5], requires_grad=True)
    for y in (x.long(), x.to(fg.int32), x.bool(), x.type(fg.uint8)):
        assert not y.requires_grad
    assert x.long().numpy().tolist() == [1, -2]


def test_set_grad_enabled_in_a_with_statement():
    x = fg.ones(1, requires_grad=True)
    with fg.set_grad_enabled(False):
        assert not (x * 2).requires_grad
        with fg.set_grad_enabled(True):
            assert (x * 2).requires_grad
        assert not fg.is_grad_enabled()
    assert fg.is_grad_enabled()
    fg.set_grad_enabled(False)
    assert not fg.is_grad_enabled()
    fg.set_grad_enabled(True)


def test_integers_to_a_negative_power_are_refused():
    for call in (lambda i: i**-1, lambda i: i.pow(-2), lambda i: fg.pow(i, -1)):
        with pytest.raises(RuntimeError, match="integers to a negative power"):
            call(fg.tensor([1, 2]))
    assert (fg.tensor([2, 3]) ** 2).tolist() == [4, 9] and (fg.tensor([2]) ** fg.tensor([3])).item() == 8
