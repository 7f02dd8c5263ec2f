"""Factorisations under every transform: a batch is a loop, and all modes give one derivative, to third order; as in PyTorch."""

import importlib.util

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F
from fastgrad import linalg

rng = np.random.default_rng(0)
SQUARE = rng.normal(size=(3, 3, 3)) + 2 * np.eye(3)
TALL = rng.normal(size=(3, 4, 2))

# name -> (function of the library and a matrix, matrices)
FUNCTIONS = {
    "inv": (lambda m, x: m.inv(x), SQUARE),
    "solve": (lambda m, x: m.solve(x, x[:, :2] * x[:, 1:]), SQUARE),
    "solve of a vector": (lambda m, x: m.solve(x, x[0] * x[1]), SQUARE),
    "solve from the right": (lambda m, x: m.solve(x, x[:2] * x[1:], left=False), SQUARE),
    "solve_triangular": (lambda m, x: m.solve_triangular(x, x * x, upper=True, unitriangular=True), SQUARE),
    "det": (lambda m, x: m.det(x), SQUARE),
    "slogdet": (lambda m, x: m.slogdet(x)[1], SQUARE),
    "cholesky": (lambda m, x: m.cholesky(x @ x.mT), SQUARE),
    "eigvalsh": (lambda m, x: m.eigvalsh(x + x.mT), SQUARE),
    "eigh": (lambda m, x: m.eigh(x + x.mT)[1].abs(), SQUARE),
    "svdvals": (lambda m, x: m.svdvals(x), TALL),
    "svd, left": (lambda m, x: m.svd(x, full_matrices=False)[0].abs(), TALL),
    "svd, right": (lambda m, x: m.svd(x.mT, full_matrices=False)[2].abs(), TALL),
    "qr": (lambda m, x: m.qr(x)[0].abs() @ m.qr(x)[1].abs(), TALL),
    "pinv": (lambda m, x: m.pinv(x), TALL),
    "lstsq": (lambda m, x: m.lstsq(x, x * x)[0], TALL),
    "nuclear norm": (lambda m, x: m.matrix_norm(x, "nuc"), TALL),
    "cond": (lambda m, x: m.cond(x), SQUARE),
    "matrix_power": (lambda m, x: m.matrix_power(x, -2), SQUARE),
}


def tangent(f, x, v):
    return F.jvp(f, (x,), (v,))[1]


def along(f, v):
    return lambda x: (F.grad(f)(x) * v).sum()


SECOND = {
    "reverse over reverse": lambda f, x, v: F.grad(along(f, v))(x),
    "forward over reverse": lambda f, x, v: tangent(F.grad(f), x, v),
    "reverse over forward": lambda f, x, v: F.grad(lambda x: tangent(f, x, v))(x),
    "hvp": lambda f, x, v: F.hvp(f, x, v),
    "rows": lambda f, x, v: (F.hessian(f)(x) * v).sum((-2, -1)),
    "columns": lambda f, x, v: (F.jacfwd(F.grad(f))(x) * v).sum((-2, -1)),
    "columns twice": lambda f, x, v: (F.jacfwd(F.jacfwd(f))(x) * v).sum((-2, -1)),
    "by linearize": lambda f, x, v: F.linearize(F.grad(f), x)[1](v),
}
THIRD = {
    "rrr": lambda f, x, v: F.grad(along(along(f, v), v))(x),
    "rfr": lambda f, x, v: F.grad(lambda x: (tangent(F.grad(f), x, v) * v).sum())(x),
    "rff": lambda f, x, v: F.grad(lambda x: tangent(lambda x: tangent(f, x, v), x, v))(x),
    "ffr": lambda f, x, v: tangent(lambda x: tangent(F.grad(f), x, v), x, v),
    "frf": lambda f, x, v: tangent(F.grad(lambda x: tangent(f, x, v)), x, v),
}


def close(a, b, what=""):
    a, b = a.detach().numpy(), b.detach().numpy()
    np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8 * max(1, np.abs(b).max()), err_msg=what)


def case(name):
    function, values = FUNCTIONS[name]
    x = fg.tensor(values)
    return lambda x: function(linalg, x), x, fg.tensor(np.random.default_rng(1).normal(size=values.shape))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_batch_is_a_loop_and_modes_agree(name):
    f, x, v = case(name)
    total = lambda x: (f(x) ** 2).sum()  # noqa: E731
    close(F.vmap(f)(x), fg.stack([f(row) for row in x]))
    close(F.vmap(f, in_dims=2, out_dims=-1)(x.movedim(0, 2)), F.vmap(f, out_dims=-1)(x))
    close(F.vmap(lambda y: F.vmap(lambda z: f(y + z / 9))(v))(x)[1, 2], f(x[1] + v[2] / 9))
    close(F.vmap(F.grad(total))(x), fg.stack([F.grad(total)(row) for row in x]))
    close(F.grad(lambda x: (F.vmap(f)(x) ** 2).sum())(x), F.vmap(F.grad(total))(x))
    close(F.jacfwd(f)(x[0]), F.jacrev(f)(x[0]))
    close(tangent(F.vmap(f), x, v), F.vmap(lambda x, v: tangent(f, x, v))(x, v))
    assert fg.autograd.check_jvp(f, x[0].clone().requires_grad_())
    assert fg.autograd.gradcheck(f, x[0].clone().requires_grad_())


@pytest.mark.parametrize("table", [SECOND, THIRD], ids=["second", "third"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_order_of_modes_gives_the_same(name, table):
    f, x, v = case(name)
    total = lambda x: (f(x) ** 2).sum()  # noqa: E731
    expected = [next(iter(table.values()))(total, row, v[0]) for row in x]
    for which, derivative in table.items():
        close(derivative(total, x[0], v[0]), expected[0], which)
        if which in ("hvp", "rows", "rfr"):
            close(F.vmap(lambda x, d=derivative: d(total, x, v[0]))(x), fg.stack(expected), f"{which}, a batch")


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_torch_func(name):
    """Its second derivative by reverse mode twice: another over forward mode drops what LU factors contribute."""
    import torch

    f, x, _ = case(name)
    function, values = FUNCTIONS[name]
    g, y = lambda x: function(torch.linalg, x), torch.tensor(values)
    total = lambda f: lambda x: (f(x) ** 2).sum()  # noqa: E731
    close(F.vmap(f)(x), torch.func.vmap(g)(y))
    close(F.jacrev(f)(x[0]), torch.func.jacrev(g)(y[0]))
    close(F.jacfwd(f)(x[0]), torch.func.jacfwd(g)(y[0]))
    close(F.vmap(F.grad(total(f)))(x), torch.func.vmap(torch.func.grad(total(g)))(y))
    close(F.hessian(total(f))(x[0]), torch.func.jacrev(torch.func.jacrev(total(g)))(y[0]))


@pytest.mark.parametrize("jacobian", [F.jacrev, F.jacfwd])
def test_a_jacobian_factorises_a_matrix_few_times_whatever_its_size(monkeypatch, jacobian):
    seen, solve = [], np.linalg.solve
    monkeypatch.setattr(np.linalg, "solve", lambda a, b: seen.append(a.size) or solve(a, b))
    b = fg.tensor([1.0, 2.0, 3.0], dtype=fg.float64)
    jacobian(lambda a: linalg.solve(a, b))(fg.tensor(SQUARE[0]))
    assert len(seen) <= 3 and set(seen) == {9}


def test_derivatives_exist_where_values_coincide():
    eye = fg.eye(3, dtype=fg.float64)
    weights = fg.tensor([1.0, 1.0, 1.0], dtype=fg.float64)
    close(F.grad(lambda x: (linalg.eigvalsh(x) * weights).sum())(eye), eye)
    close(F.grad(lambda x: linalg.svdvals(x).sum())(eye), eye)
    close(tangent(lambda x: linalg.svdvals(x).sum(), eye, eye), fg.tensor(3.0, dtype=fg.float64))
    close(F.grad(lambda x: linalg.pinv(x).sum())(eye), F.grad(lambda x: linalg.inv(x).sum())(eye))


def test_singular_matrices_in_a_batch_have_their_cofactors():
    x = fg.tensor(np.stack([np.diag([0.0, 2.0, 3.0]), np.eye(3)]))
    each = F.vmap(F.grad(linalg.det))(x)
    assert each[0].tolist() == np.diag([6.0, 0.0, 0.0]).tolist() and each[1].tolist() == np.eye(3).tolist()
    close(F.vmap(F.jacfwd(linalg.det))(x), each)


def test_errors_in_transforms():
    x = fg.tensor(TALL)
    assert F.vmap(lambda x: linalg.svd(x)[0])(x).shape == (3, 4, 4)
    with pytest.raises(RuntimeError, match="full_matrices=True has no derivative"):
        F.jvp(lambda x: linalg.svd(x)[0], (x,), (x,))
    with pytest.raises(linalg.LinAlgError, match="inv: Singular matrix"):
        F.vmap(linalg.inv)(fg.zeros(2, 3, 3))
