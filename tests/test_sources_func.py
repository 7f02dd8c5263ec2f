"""Worked numbers of forward mode, Jacobians and products, by fastgrad.func: exact where the numbers are."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F

f64 = fg.float64
X = [[2, 1, -3], [-3, 4, 2]]
W = [[3, 2, 1, -1], [2, 1, 3, 2], [3, 2, 1, -2]]
DY = [[2, 3, -3, 9], [-8, 1, 4, 6]]


def t(values):
    return fg.tensor(values, dtype=f64)


def test_the_products_of_a_matrix_product_by_every_mode():
    y, pullback = F.vjp(lambda x, w: x @ w, t(X), t(W))
    dx, dw = pullback(t(DY))
    assert y.tolist() == [[-1, -1, 2, 6], [5, 2, 11, 7]]
    assert dx.tolist() == [[0, 16, -9], [-24, 9, -30]]
    assert dw.tolist() == [[28, 3, -18, 0], [-30, 7, 13, 33], [-22, -7, 17, -15]]
    for mode in (F.jacrev, F.jacfwd):
        J = mode(lambda x: x @ t(W))(t(X))  # J[i, j] = dF_i / dx_j
        assert J.shape == (2, 4, 2, 3) and int((J != 0).sum()) == 24
        assert J[:, :, 0, 0].tolist() == [[3, 2, 1, -1], [0, 0, 0, 0]]
        assert (t(DY)[:, :, None, None] * J).sum((0, 1)).tolist() == dx.tolist()


def test_a_hessian_vector_product_by_every_mode():
    A, x, v = t([[3, 1], [1, 2]]), t([0.5, -1.0]), t([1, -2])
    f = lambda x: 0.5 * (x @ (A @ x))  # noqa: E731
    assert F.grad(f)(x).tolist() == [0.5, -1.5]
    for product in (
        F.hvp(f, x, v),
        F.vhp(f, x, v),
        F.jvp(F.grad(f), (x,), (v,))[1],
        F.grad(lambda x: F.jvp(f, (x,), (v,))[1])(x),
        F.hessian(f)(x) @ v,
    ):
        assert product.tolist() == [1, -3]
    assert F.grad(lambda x: (F.grad(f)(x) ** 2).sum())(x).tolist() == [0, -5]


@pytest.mark.parametrize("mode", ["vjp", "jvp", "hvp", "vmap of vjp"])
def test_a_pointwise_function_of_a_million_numbers_never_forms_its_jacobian(mode):
    """The dense Jacobian of the sigmoid would have 10^12 entries; a product needs a few vectors of 10^6."""
    n = 1_000_000
    x = fg.linspace(-4, 4, n)
    ones = fg.ones(n)
    works = {
        "vjp": lambda: F.vjp(fg.sigmoid, x)[1](ones)[0],
        "jvp": lambda: F.jvp(fg.sigmoid, (x,), (ones,))[1],
        "hvp": lambda: F.hvp(lambda x: fg.sigmoid(x).sum(), x, ones),
        "vmap of vjp": lambda: F.vmap(F.grad(fg.sigmoid))(x),
    }
    fg.empty_cache()
    fg.reset_peak_memory_stats()
    before = fg.memory_stats()["allocated"]
    product = works[mode]()
    assert fg.memory_stats()["peak"] - before <= 8 * 4 * n
    s = fg.sigmoid(x)
    expected = s * (1 - s) * (1 - 2 * s if mode == "hvp" else 1)
    np.testing.assert_allclose(product.numpy(), expected.numpy(), rtol=2e-5, atol=1e-7)


def test_the_sensitivity_of_a_decay_to_its_rate():
    """y' = -k y by n steps of Euler is y0 (1 - k h)^n, whose derivative by k is -n h y0 (1 - k h)^(n - 1)."""
    n, h = 500, 0.01

    def decay(k):
        y = t(2.0)
        for _ in range(n):
            y = y - h * k * y
        return y

    k = t(0.7)
    expected = -n * h * 2.0 * (1 - 0.7 * h) ** (n - 1)
    _, slope = F.jvp(decay, (k,), (t(1.0),))
    np.testing.assert_allclose(slope.item(), expected, rtol=1e-12)
    np.testing.assert_allclose(F.grad(decay)(k).item(), expected, rtol=1e-12)
    _, curvature = F.jvp(F.jacfwd(decay), (k,), (t(1.0),))
    np.testing.assert_allclose(curvature.item(), n * (n - 1) * h * h * 2.0 * (1 - 0.7 * h) ** (n - 2), rtol=1e-11)


@pytest.mark.parametrize("mode", ["jvp", "jacfwd"])
def test_forward_mode_takes_the_memory_of_one_step_however_many_there_are(mode):
    """A body that falls with drag: both derivatives, by gravity and drag, run beside the values."""

    def peak(steps):
        def height(p):
            h, speed = fg.zeros(500, dtype=f64), fg.ones(500, dtype=f64)
            for _ in range(steps):
                speed = speed - 0.01 * (p[0] + p[1] * speed * speed.abs())
                h = h + 0.01 * speed
            return h

        p = t([9.81, 0.02])
        fg.empty_cache()
        fg.reset_peak_memory_stats()
        before = fg.memory_stats()["allocated"]
        F.jacfwd(height)(p) if mode == "jacfwd" else F.jvp(height, (p,), (p,))
        return fg.memory_stats()["peak"] - before

    assert peak(10) == peak(300) > 0
