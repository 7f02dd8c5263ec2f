"""Reductions, in every instruction set this processor has: all axes and layouts against NumPy, accuracy, ties, NaN, nothing."""

import math
from itertools import combinations

import numpy as np
import pytest

import fastgrad as fg

# Rows shorter and longer than a vector, a block and a stripe of columns; axes of size 1; one of 8 axes.
SHAPES = [
    (),
    (1,),
    (7,),
    (3000,),
    (64, 10),
    (10, 64),
    (300, 7),
    (3, 300),
    (2, 3, 4),
    (5, 1, 70),
    (3, 40, 2, 6),
    (2,) * 8,
]


def layouts(x):
    """The same numbers dense, in reversed order of axes, and with gaps between them."""
    if x.ndim == 0:
        return (fg.tensor(x),)
    wide = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)
    wide[..., 1::3] = x
    turned = fg.tensor(np.ascontiguousarray(x.T))
    return fg.tensor(x), turned.permute(*range(x.ndim - 1, -1, -1)), fg.tensor(wide)[..., 1::3]


def subsets(ndim):
    """Every choice of axes if there are few, else some."""
    if ndim <= 4:
        return [axes for n in range(1, ndim + 1) for axes in combinations(range(ndim), n)]
    return [(0,), (ndim - 1,), tuple(range(0, ndim, 2)), tuple(range(1, ndim, 2)), tuple(range(ndim))]


def logsumexp(x, axis):
    return np.log(np.exp(x).sum(axis))


REAL = {
    "sum": np.sum,
    "mean": np.mean,
    "prod": np.prod,
    "amax": np.max,
    "amin": np.min,
    "nansum": np.nansum,
    "var": lambda x, axis: np.var(x, axis, ddof=0),
    "std": lambda x, axis: np.std(x, axis, ddof=0),
    "norm": lambda x, axis: np.sqrt((x * x).sum(axis)),
    "logsumexp": logsumexp,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REAL)
def test_all_axes_and_layouts(kernels, name, dtype):
    rng = np.random.default_rng(1)
    extra = {"correction": 0} if name in ("var", "std") else {}
    eps = np.finfo(dtype).eps
    for shape in SHAPES:
        x = (rng.normal(size=shape) if name != "prod" else rng.uniform(0.99, 1.01, shape)).astype(dtype)
        for axes in subsets(x.ndim):
            expected = REAL[name](x.astype(float), axis=axes)
            for t in layouts(x):
                y = getattr(t, name)(dim=axes, **extra)
                assert y.shape == expected.shape
                bound = 40 * eps * math.sqrt(x.size)
                np.testing.assert_allclose(y.numpy(), expected, rtol=bound, atol=bound, err_msg=f"{shape} {axes}")


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_integers_are_exact(dtype):
    rng = np.random.default_rng(2)
    for shape in SHAPES:
        x = rng.integers(0, 2 if dtype is np.bool_ else 100, shape).astype(dtype)
        for axes in subsets(x.ndim):
            for t in layouts(x):
                total = t.sum(dim=axes)
                assert total.dtype is fg.int64
                np.testing.assert_array_equal(total.numpy(), x.sum(axis=axes, dtype=np.int64))
                np.testing.assert_array_equal(t.amax(axes).numpy(), x.max(axis=axes))
                np.testing.assert_array_equal(t.amin(axes).numpy(), x.min(axis=axes))
                np.testing.assert_array_equal(t.any(axes).numpy(), x.any(axis=axes))
                np.testing.assert_array_equal(t.all(axes).numpy(), x.all(axis=axes))
                np.testing.assert_array_equal(t.count_nonzero(axes).numpy(), np.count_nonzero(x, axis=axes))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_])
def test_every_length(kernels, dtype):
    """A row, and a column between two others, of every length around the sizes of vectors and blocks."""
    rng = np.random.default_rng(3)
    for n in [*range(1, 140), 1023, 1024, 1025, 2048, 3000]:
        x = rng.integers(0, 2, n).astype(dtype)
        columns = np.zeros((n, 3), dtype)
        columns[:, 1] = x
        for name, expected in (("sum", int(x.sum(dtype=np.int64))), ("amax", x.max())):
            assert getattr(fg.tensor(x), name)().item() == expected
            assert getattr(fg.tensor(columns), name)(dim=0)[1].item() == expected


@pytest.mark.parametrize(("shape", "dim"), [((1_000_003,), 0), ((400_001, 3), 0), ((3, 400_001), 1)])
def test_long_float32_sums_are_accurate(kernels, shape, dim):
    """Within (32 + log2 n) eps of the exact sum of positive numbers; one chain would be a thousand times off."""
    x = np.random.default_rng(4).uniform(0, 1, shape).astype(np.float32)
    exact = np.apply_along_axis(math.fsum, dim, x.astype(float))
    bound = (32 + math.log2(x.shape[dim])) * 2**-24
    np.testing.assert_allclose(fg.tensor(x).sum(dim).numpy().astype(float), exact, rtol=bound)
    np.testing.assert_allclose(fg.tensor(x).mean(dim).numpy().astype(float), exact / x.shape[dim], rtol=bound + 2**-23)


def test_variance_far_from_zero(kernels):
    """The squares are taken around the mean: with their difference nothing would be left of the variance."""
    x = np.random.default_rng(5).normal(size=10_000) + 1e8
    assert fg.tensor(x).var().item() == pytest.approx(x.var(ddof=1), rel=1e-9)


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.uint8])
def test_the_first_extreme_is_found(kernels, dtype, dim):
    x = np.random.default_rng(6).integers(0, 5, (7, 150, 9)).astype(dtype)
    for name, index, value in (("max", np.argmax, np.max), ("min", np.argmin, np.min)):
        values, indices = getattr(fg.tensor(x), name)(dim)
        np.testing.assert_array_equal(values.numpy(), value(x, axis=dim))
        np.testing.assert_array_equal(indices.numpy(), index(x, axis=dim))
        np.testing.assert_array_equal(getattr(fg.tensor(x), f"arg{name}")(dim).numpy(), index(x, axis=dim))
    assert fg.tensor(x).argmax().item() == x.argmax()


@pytest.mark.parametrize("n", [3, 40, 1100])
def test_nan_wins(kernels, n):
    for dtype in (np.float32, np.float64):
        x = np.random.default_rng(7).normal(size=n).astype(dtype)
        for k in (0, n // 2, n - 1):
            y = x.copy()
            y[k] = np.nan
            for t, dim in ((fg.tensor(y), 0), (fg.tensor(np.stack([y, y], 1)), 0)):
                for name in ("max", "min"):
                    values, indices = getattr(t, name)(dim)
                    assert values.isnan().all()
                    assert (indices == k).all()
                    assert getattr(t, f"a{name}")(dim).isnan().all()


@pytest.mark.parametrize("n", [3, 40, 1100])
def test_infinities_of_both_signs_are_extremes(kernels, n):
    x = np.random.default_rng(8).normal(size=n)
    x[0], x[n - 1] = np.inf, -np.inf
    for t in (fg.tensor(x), fg.tensor(np.stack([x, x], 1))):
        assert (t.amax(0) == np.inf).all()
        assert (t.amin(0) == -np.inf).all()


def test_ties():
    """amax and amin share the gradient evenly; max and min along a dim give it to the first."""
    x = fg.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], requires_grad=True)
    x.amax(1).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0, 0.5, 0.5], [1 / 3] * 3], rtol=1e-6)
    x.grad = None
    x.max(1).values.sum().backward()
    assert x.grad.tolist() == [[0, 1, 0], [1, 0, 0]]
    x.grad = None
    x.min().backward()
    assert x.grad.tolist() == [[1, 0, 0], [0, 0, 0]]


def test_singular_points():
    zero = fg.zeros(3, requires_grad=True)
    for f in (fg.norm, lambda x: fg.std(x), lambda x: fg.norm(x, 1.5)):
        (g,) = fg.autograd.grad(f(zero), zero)
        assert g.tolist() == [0, 0, 0]
    x = fg.tensor([2.0, 0.0, 3.0, 0.0, 5.0], requires_grad=True)
    assert fg.autograd.grad(x.prod(), x)[0].tolist() == [0, 0, 0, 0, 0]
    assert fg.autograd.grad(x[:3].prod(), x)[0].tolist() == [0, 6, 0, 0, 0]
    (g,) = fg.autograd.grad(x.prod(), x, create_graph=True)
    assert fg.autograd.grad(g[1], x)[0].tolist() == [0, 0, 0, 30, 0]


def test_infinities():
    x = fg.tensor([[-np.inf, -np.inf], [np.inf, 1.0], [1000.0, 1000.0]], dtype=fg.float64)
    np.testing.assert_allclose(x.logsumexp(1).numpy(), [-np.inf, np.inf, 1000 + np.log(2)])
    assert fg.tensor([np.inf, np.nan]).nansum().item() == np.inf


def test_nothing():
    x = fg.zeros(3, 0)
    assert x.sum().item() == 0
    assert x.prod().item() == 1
    assert x.mean(1).isnan().all()
    assert x.var(1).isnan().all()
    assert x.sum(0).shape == (0,)
    assert x.sum(1).tolist() == [0, 0, 0]
    assert x.logsumexp(1).tolist() == [-np.inf] * 3
    assert x.all().item() is True
    assert x.any().item() is False
    assert x.amax(0).shape == (0,)
    for name in ("amax", "max", "argmin"):
        with pytest.raises(IndexError, match="dimension 1 to be reduced has no elements"):
            getattr(x, name)(1)
    with pytest.raises(RuntimeError, match="no elements"):
        x.max()


def test_arguments():
    x = fg.arange(6.0).reshape(2, 3)
    assert x.sum((0, -1), keepdim=True).shape == (1, 1)
    assert x.sum(0, dtype=fg.float64).dtype is fg.float64
    assert fg.max(x, fg.full((3,), 2.0)).tolist() == [[2, 2, 2], [3, 4, 5]]
    assert x.var(False).item() == pytest.approx(np.var(np.arange(6)))
    assert fg.aminmax(x, dim=1).max.tolist() == [2, 5]
    with pytest.raises(IndexError, match=r"range of \[-2, 1\], but got 2"):
        x.sum(2)
    with pytest.raises(RuntimeError, match="appears multiple times"):
        x.sum((0, 0))
    with pytest.raises(RuntimeError, match="mean: not implemented for int64"):
        x.long().mean()
    with pytest.raises(TypeError, match="both unbiased and correction"):
        x.var(unbiased=True, correction=1)
    with pytest.raises(ValueError, match="norm: p must be a number or 'fro'"):
        x.norm("nuc")


@pytest.mark.parametrize("name", ["sum", "nansum", "mean", "prod", "amax", "max", "argmin", "any", "logsumexp"])
def test_a_second_dimension_is_not_taken_for_keepdim(name):
    x = fg.ones(2, 3)
    with pytest.raises(TypeError, match=r"keepdim must be a bool, got 1; .* dim=\(0, 1\)"):
        getattr(x, name)(0, 1)
    with pytest.raises(TypeError, match="keepdim must be a bool, got 0"):
        getattr(x, name)(dim=1, keepdims=0)
    assert getattr(x, name)(1, np.True_) is not None
