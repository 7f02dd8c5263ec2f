"""Transforms inside transforms: the cases on which a wrong order of levels fails. Against closed forms, loops, and torch.func."""

import importlib.util

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F

rng = np.random.default_rng(0)
x1, v1 = rng.normal(size=4), rng.normal(size=4)
X, V = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
XX = rng.normal(size=(2, 3, 4))
EYE = np.eye(4)


def cases(fg, F, t):
    """The same programs for two libraries: name -> function of nothing. `t` makes a tensor of an array."""

    def f(x):
        return ((x * x).sin() * x).sum()

    def loss(w, x):
        return ((w * x).sin() * w).sum()

    def hvp(x, v):
        return F.jvp(F.grad(f), (x,), (v,))[1]

    def tangent(g, x, v):
        return F.jvp(g, (x,), (v,))[1]

    def penalty(w):
        g = F.vmap(lambda x: F.grad(lambda w: loss(w, x))(w))(t(X))
        return (g * g).sum()

    one = t(np.array(1.0))
    return {
        "grad": lambda: F.grad(f)(t(x1)),
        "vmap grad": lambda: F.vmap(F.grad(f))(t(X)),
        "per-sample gradients of a shared weight": lambda: F.vmap(F.grad(loss), (None, 0))(t(x1), t(X)),
        "grad of vmap": lambda: F.grad(lambda w: F.vmap(lambda x: loss(w, x))(t(X)).sum())(t(x1)),
        "grad of a penalty on per-sample gradients": lambda: F.grad(penalty)(t(x1)),
        "jvp": lambda: tangent(f, t(x1), t(v1)),
        "forward over reverse": lambda: hvp(t(x1), t(v1)),
        "reverse over forward": lambda: F.grad(lambda x: tangent(f, x, t(v1)))(t(x1)),
        "reverse over reverse": lambda: F.grad(lambda x: (F.grad(f)(x) * t(v1)).sum())(t(x1)),
        "Hessian: vmap jvp grad": lambda: F.vmap(lambda e: hvp(t(x1), e))(t(EYE)),
        "Hessian: vmap over a pullback": lambda: F.vmap(F.vjp(F.grad(f), t(x1))[1])(t(EYE))[0],
        "vmap jvp, shared direction": lambda: F.vmap(lambda x: tangent(f, x, t(v1)))(t(X)),
        "vmap jvp, shared point": lambda: F.vmap(lambda v: tangent(lambda x: x.sin() * x, t(x1), v))(t(V)),
        "jvp vmap": lambda: tangent(lambda x: F.vmap(f)(x), t(X), t(V)),
        "jvp vmap grad": lambda: tangent(lambda x: F.vmap(F.grad(f))(x), t(X), t(V)),
        "vmap vmap grad": lambda: F.vmap(F.vmap(F.grad(f)))(t(XX)),
        "outer product": lambda: F.vmap(lambda a: F.vmap(lambda b: (a * b).sin())(t(v1)))(t(x1)),
        "per-sample Hessians": lambda: F.vmap(lambda x: F.vmap(lambda e: hvp(x, e))(t(EYE)))(t(X)),
        "per-sample Hessians by pullback": lambda: F.vmap(lambda x: F.vmap(F.vjp(F.grad(f), x)[1])(t(EYE))[0])(t(X)),
        "pullback of an older vmap under a newer, twice": lambda: F.vmap(
            lambda a: F.vmap(lambda x: F.vmap(F.vjp(F.grad(lambda y: f(y * a)), x)[1])(t(EYE))[0])(t(X))
        )(t(np.array([0.5, 2.0]))),
        "third: jvp jvp grad": lambda: tangent(lambda x: hvp(x, t(v1)), t(x1), t(v1)),
        "third: grad of hvp": lambda: F.grad(lambda x: hvp(x, t(v1)).sum())(t(x1)),
        "third: vmap grad grad": lambda: F.vmap(F.grad(lambda x: (F.grad(f)(x) * t(v1)).sum()))(t(X)),
        "third: grad grad grad": lambda: F.grad(lambda x: F.grad(lambda x: F.grad(lambda x: x.sin() * x)(x) * x)(x))(
            t(np.array(0.7))
        ),
        "grad of hvp by reverse over forward": lambda: F.grad(
            lambda x: F.grad(lambda x: tangent(f, x, t(v1)))(x).sum()
        )(t(x1)),
        "vmap over jacrev": lambda: F.vmap(F.jacrev(lambda x: x.sin() * x.sum()))(t(X)),
        "vmap over jacfwd": lambda: F.vmap(F.jacfwd(lambda x: x.sin() * x.sum()))(t(X)),
        "vmap over hessian": lambda: F.vmap(F.hessian(f))(t(X)),
        "jacfwd of jacrev": lambda: F.jacfwd(F.jacrev(lambda x: x.sin() * x.sum()))(t(x1)),
        "jacrev of jacfwd": lambda: F.jacrev(F.jacfwd(lambda x: x.sin() * x.sum()))(t(x1)),
        "hessian of a weighted vmap": lambda: F.hessian(lambda w: F.vmap(lambda x: loss(w, x))(t(X)).sum())(t(x1)),
        "confusion, forward": lambda: tangent(lambda x: x * tangent(lambda y: x + y, one, one), one, one),
        "confusion, reverse": lambda: F.grad(lambda x: x * F.grad(lambda y: x + y)(one))(one),
        "confusion, reverse over forward": lambda: F.grad(lambda x: x * tangent(lambda y: x * y, one, one))(
            t(np.array(3.0))
        ),
        "confusion, forward over reverse": lambda: tangent(
            lambda x: x * F.grad(lambda y: x * y)(one), t(np.array(3.0)), one
        ),
        "indexing inside": lambda: F.vmap(lambda x, i: F.grad(lambda x: x[i].sin().sum() + x[1:].sum())(x))(
            t(X), t(np.array([[0, 1], [3, 3], [2, 0]]))
        ),
        "a matrix product of both": lambda: F.vmap(F.grad(lambda x: ((t(XX[0]) @ x).tanh() @ t(XX[0])).sum()))(t(X)),
    }


CASES = cases(fg, F, lambda a: fg.tensor(np.array(a)))


def ids():
    return sorted(CASES)


@pytest.fixture(scope="module")
def by_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: these agree with closed forms only")
    return cases(torch, pytest.importorskip("torch.func"), lambda a: torch.tensor(np.array(a)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", ids())
def test_as_torch_func(name, by_torch):
    np.testing.assert_allclose(CASES[name]().numpy(), by_torch[name]().detach().numpy(), rtol=1e-10, atol=1e-12)


# The first three derivatives of sum x sin(x^2), the Hessian diagonal.
def d1(x):
    return np.sin(x * x) + 2 * x * x * np.cos(x * x)


def d2(x):
    return 6 * x * np.cos(x * x) - 4 * x**3 * np.sin(x * x)


def d3(x):
    return 6 * np.cos(x * x) - 24 * x * x * np.sin(x * x) - 8 * x**4 * np.cos(x * x)


def by_weight(w, x):
    """The gradient by w of sum w sin(w x)."""
    return np.sin(w * x) + w * x * np.cos(w * x)


def by_weight_twice(w, x):
    return 2 * x * np.cos(w * x) - w * x * x * np.sin(w * x)


CLOSED = {
    "grad": d1(x1),
    "vmap grad": d1(X),
    "per-sample gradients of a shared weight": by_weight(x1, X),
    "grad of vmap": by_weight(x1, X).sum(0),
    "grad of a penalty on per-sample gradients": (2 * by_weight(x1, X) * by_weight_twice(x1, X)).sum(0),
    "jvp": d1(x1) @ v1,
    "forward over reverse": d2(x1) * v1,
    "reverse over forward": d2(x1) * v1,
    "reverse over reverse": d2(x1) * v1,
    "Hessian: vmap jvp grad": np.diag(d2(x1)),
    "Hessian: vmap over a pullback": np.diag(d2(x1)),
    "vmap jvp, shared direction": d1(X) @ v1,
    "vmap jvp, shared point": V * (np.sin(x1) + x1 * np.cos(x1)),
    "jvp vmap": (d1(X) * V).sum(1),
    "jvp vmap grad": d2(X) * V,
    "vmap vmap grad": d1(XX),
    "outer product": np.sin(np.outer(x1, v1)),
    "per-sample Hessians": np.stack([np.diag(d2(x)) for x in X]),
    "per-sample Hessians by pullback": np.stack([np.diag(d2(x)) for x in X]),
    "pullback of an older vmap under a newer, twice": np.stack(
        [[np.diag(d2(a * x)) * a * a for x in X] for a in (0.5, 2.0)]
    ),
    "third: jvp jvp grad": d3(x1) * v1 * v1,
    "third: grad of hvp": d3(x1) * v1,
    "third: vmap grad grad": d2(X) * v1,
    "grad of hvp by reverse over forward": d3(x1) * v1,
    "vmap over hessian": np.stack([np.diag(d2(x)) for x in X]),
    "hessian of a weighted vmap": np.diag(by_weight_twice(x1, X).sum(0)),
    "confusion, forward": 1.0,
    "confusion, reverse": 1.0,
    "confusion, reverse over forward": 6.0,
    "confusion, forward over reverse": 6.0,
}


@pytest.mark.parametrize("name", sorted(CLOSED))
def test_as_the_closed_form(name):
    np.testing.assert_allclose(CASES[name]().numpy(), CLOSED[name], rtol=1e-12, atol=1e-14)
