"""Whole programs under transforms to depth three: writes in place, buffers, views, indices, control flow, recursion, layers.

Every way to a derivative gives the same number: forward, reverse and both over each other, for a batch at once and in a loop;
and where PyTorch is installed, its reverse mode over reverse mode too.
"""

import importlib.util

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F

rng = np.random.default_rng(3)
x1, v1, p1 = rng.normal(size=4), rng.normal(size=4), np.abs(rng.normal(size=4)) + 0.5
X, M = rng.normal(size=(3, 4)), rng.normal(size=(4, 4))


def programs(L, nn, t):
    """name -> function from 4 numbers to one, for two libraries. `t` makes a tensor of an array."""

    def in_place(x):
        y = x * 1.0
        y[2:] += x[:2] * x[1:3]
        y.mul_(x)
        y[0].sub_(x[3] ** 2)
        return (y * x).sum()

    def through_a_view(x):
        y = x * 2
        z = y[1:3]
        z.mul_(x[:2])
        y[0].add_(z.sum())
        return (y**3).sum()

    def buffer(x):
        b = L.zeros_like(x)
        for i in range(4):
            b[i] = x[i] * x[(i + 1) % 4]
        return (b**2 * t(np.arange(1.0, 5.0))).sum()

    def buffer_of_views(x):
        b = L.zeros_like(x)
        c = b.reshape(2, 2)
        c[0] = x[:2] * x[2:]
        c[:, 1].add_(x[1:3] ** 2)
        return (b * c.t().reshape(4)).sum()

    def copied(x):
        y = L.zeros_like(x)
        y.copy_(x)
        y[1:3].copy_(x[:2] * x[2:])
        y[0].fill_(2.0)
        return (y**3).sum()

    def views(x):
        m = x.reshape(2, 2)
        return L.trace(m.t() @ m) * m[0].prod() + (m.unsqueeze(0).expand(3, 2, 2) * m).sum()

    def branches(x):
        for _ in range(2):
            x = L.where(x > 0, x.exp() * 0.3, x * x)
        return x.sum()

    def recursion(x, n=3):
        return x.sum() if n == 0 else (x * recursion(x.sin(), n - 1)).sum()

    def joined(x):
        return L.cat([x[1:], x[:1] * x[2:3]]).cumsum(0).prod()

    def indices(x):
        return (x[t(np.array([0, 0, 3]))] * x[[1, 2, 3]]).sum() * x[-1]

    def scattered(x):
        y = L.zeros_like(x).scatter_add(0, t(np.array([0, 0, 1, 3])), x * x)
        z = L.zeros_like(x).index_put((t(np.array([0, 2])),), x[:2] ** 2)
        return (y**2).sum() + (z * x.reshape(2, 2).gather(1, t(np.array([[0, 0], [1, 0]]))).reshape(4)).sum()

    def split(x):
        a, b = x.split(2)
        c, d = x.unbind()[0], x.unbind()[3]
        return (a * b.sin()).sum() * c * d

    def extremes(x):
        return x.max() * x.min() + L.logsumexp(x, 0) * L.softmax(x, 0)[1] + L.stack([x, x * x], 1).amax(1).sum()

    def products(x):
        a = x.reshape(2, 1, 2)
        z = (t(M) @ x).tanh() @ (t(M).T @ x) + L.outer(x, x * x).sum() * L.dot(x, x.exp())
        return z + (a @ a.transpose(1, 2) * L.matmul(a, t(M)[:2, :2])).sum()

    def summed(x):
        return L.einsum("i,j,ij->", x, x.exp(), t(M))

    def spread(x):
        return x.std() * x.var() + x.norm() ** 3 + (x**2).mean().sqrt() + x.norm(1) * x.norm(3)

    def masked(x):
        return x.masked_fill(x > 0, 2.0).pow(3).sum() + L.where(x > 0, x, x * x).prod()

    def powers(x):
        p = x.abs() + 0.5
        return (p**x).sum() + (2**x).sum() + (p.log() * L.atan2(x, p)).sum()

    def layer_norm(x):
        return nn.layer_norm(x, (4,), x, x * x).pow(3).sum()

    def batch_norm(x):
        return (nn.batch_norm(x.reshape(2, 2), None, None, x[:2], x[2:], True) ** 3).sum()

    def losses(x):
        y = nn.nll_loss(L.log_softmax(x.reshape(2, 2), 1), t(np.array([1, 0])))
        z = nn.binary_cross_entropy_with_logits(x, t(p1) / 3) + nn.cross_entropy(x, t(p1) / t(p1).sum())
        return y * y + z + nn.kl_div(L.log_softmax(x, 0), L.softmax(t(p1), 0), reduction="sum")

    def activations(x):
        return (nn.gelu(x) * nn.silu(x) + nn.elu(x) * nn.softplus(x) + nn.selu(x) * nn.logsigmoid(x)).sum()

    def embedded(x):
        return (nn.embedding(t(np.array([[0, 1], [1, 1]])), x.reshape(2, 2)) ** 3).sum()

    def attention(x):
        q = x.reshape(1, 2, 2)
        return (nn.scaled_dot_product_attention(q, q * q, q.sin()) ** 2).sum()

    return {f.__name__: f for f in list(locals().values()) if callable(f) and f is not t}


def tensor(a):
    return fg.tensor(np.array(a))


PROGRAMS = programs(fg, fg.nn.functional, tensor)
x, v, batch = tensor(x1), tensor(v1), tensor(X)


def tangent(f, x):
    return F.jvp(f, (x,), (v,))[1]


def along(f):
    """The gradient of f, as a function to one number: its product with v."""
    return lambda x: (F.grad(f)(x) * v).sum()


# The same derivative by every order of modes.
SECOND = {
    "forward over reverse": lambda f, x: tangent(F.grad(f), x),
    "reverse over forward": lambda f, x: F.grad(lambda x: tangent(f, x))(x),
    "reverse over reverse": lambda f, x: F.grad(along(f))(x),
    "hvp": lambda f, x: F.hvp(f, x, v),
    "rows": lambda f, x: F.hessian(f)(x) @ v,
    "columns": lambda f, x: F.jacfwd(F.grad(f))(x) @ v,
    "a pullback mapped": lambda f, x: F.vmap(F.vjp(F.grad(f), x)[1])(fg.eye(4, dtype=fg.float64))[0] @ v,
    "a pullback twice": lambda f, x: (lambda pull: 2 * pull(v)[0] - pull(v)[0])(F.vjp(F.grad(f), x)[1]),
    "by linearize": lambda f, x: F.linearize(F.grad(f), x)[1](v),
}
THIRD = {
    "rrr": lambda f, x: F.grad(along(along(f)))(x),
    "rfr": lambda f, x: F.grad(lambda x: (tangent(F.grad(f), x) * v).sum())(x),
    "rrf": lambda f, x: F.grad(along(lambda x: tangent(f, x)))(x),
    "rff": lambda f, x: F.grad(lambda x: tangent(lambda x: tangent(f, x), x))(x),
    "frr": lambda f, x: tangent(F.grad(along(f)), x),
    "frf": lambda f, x: tangent(F.grad(lambda x: tangent(f, x)), x),
    "ffr": lambda f, x: tangent(lambda x: tangent(F.grad(f), x), x),
}


def close(a, b, what):
    a, b = a.detach().numpy(), b.detach().numpy()
    np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9 * max(1, np.abs(b).max()), err_msg=what)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_first_derivatives(name):
    f = PROGRAMS[name]
    assert fg.autograd.gradcheck(f, x.clone().requires_grad_())
    assert fg.autograd.check_jvp(f, x.clone().requires_grad_())
    close(F.vmap(f)(batch), fg.stack([f(row) for row in batch]), "values of a batch")
    close(F.vmap(F.grad(f))(batch), fg.stack([F.grad(f)(row) for row in batch]), "gradients of a batch")
    close(F.grad(lambda x: F.vmap(f)(x).sum())(batch), F.vmap(F.grad(f))(batch), "gradient of a batch")
    close(F.jvp(F.vmap(f), (batch,), (batch,))[1], (F.vmap(F.grad(f))(batch) * batch).sum(1), "tangents of a batch")


@pytest.mark.parametrize("table", [SECOND, THIRD], ids=["second", "third"])
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_order_of_modes_gives_the_same(name, table):
    f = PROGRAMS[name]
    first = next(iter(table))
    expected = table[first](f, x)
    rows = fg.stack([table[first](f, row) for row in batch])
    for which, derivative in table.items():
        close(derivative(f, x), expected, which)
        close(F.vmap(lambda x, d=derivative: d(f, x))(batch), rows, f"{which}, a batch")


FORMULAS = {
    "layer_norm": lambda x: ((normalized(x, 0) * x + x * x) ** 3).sum(),
    "batch_norm": lambda x: ((normalized(x.reshape(2, 2), 0) * x[:2] + x[2:]) ** 3).sum(),
}


def normalized(x, axis):
    y = x - x.mean(axis, keepdim=True)
    return y / ((y * y).mean(axis, keepdim=True) + 1e-5).sqrt()


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_a_normalization_is_its_formula_to_third_order(name):
    f, formula = PROGRAMS[name], FORMULAS[name]
    for table in (SECOND, THIRD):
        for which, derivative in table.items():
            close(derivative(f, x), derivative(formula, x), which)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_as_torch_func(name):
    """By reverse mode alone: PyTorch's forward mode through a normalization disagrees with its own reverse mode, and so does its
    third derivative with that of the formula."""
    import torch

    its = programs(torch, torch.nn.functional, lambda a: torch.tensor(np.array(a)))[name]
    direction = torch.tensor(v1)
    along_its = lambda f: lambda x: (torch.func.grad(f)(x) * direction).sum()  # noqa: E731
    f, at = PROGRAMS[name], torch.tensor(x1)
    close(F.grad(f)(x), torch.func.grad(its)(at), "first")
    close(F.grad(along(f))(x), torch.func.grad(along_its(its))(at), "second")
    if name not in FORMULAS:
        close(F.grad(along(along(f)))(x), torch.func.grad(along_its(along_its(its)))(at), "third")
    close(F.vmap(F.grad(f))(batch), torch.func.vmap(torch.func.grad(its))(torch.tensor(X)), "a batch")
    if name not in ("branches",):  # its unselected branches are NaN
        close(F.vmap(F.hessian(f))(batch)[0], torch.func.jacrev(torch.func.grad(its))(torch.tensor(X[0])), "Hessians")
