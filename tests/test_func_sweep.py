"""Every pair of transforms, and many triples, around random compositions: as reverse mode and loops give it, and as PyTorch does.

The reference knows one derivative, the pullback of one vector, and no batches; so nothing that nests is compared with itself.
"""

import importlib.util
import itertools
import random

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func
from fastgrad.autograd import Function, custom_jvp, custom_vjp
from fastgrad.utils.checkpoint import checkpoint

N = 4
rng = np.random.default_rng(5)
M, A = rng.normal(size=(N, N)) * 0.4 + np.eye(N), rng.normal(size=(3, N))
SPD = M @ M.T
u, v, w, x0 = rng.normal(size=(4, N))


class Product(Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x.sin() * y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * x.cos() * y, g * x.sin()


class Pair(Function):
    """Saves what it returns, and writes into a view in backward."""

    @staticmethod
    def forward(ctx, x):
        a, b = (x / 2).exp(), x * x
        ctx.save_for_backward(a, x)
        return a, b

    @staticmethod
    def backward(ctx, ga, gb):
        a, x = ctx.saved_tensors
        both = (ga * a).new_zeros(2, N)  # a batch where one of them is
        both[0] = ga * a / 2
        both[1].copy_(gb * x * 2)
        return both.sum(0)


@custom_jvp
def by_jvp(x):
    return (x * x + 1).log()


@custom_vjp
def by_vjp(x):
    return x.tanh() * x


by_jvp.defjvp(lambda p, t: (by_jvp(*p), t[0] * 2 * p[0] / (p[0] * p[0] + 1)))
by_vjp.defvjp(lambda x: (by_vjp(x), (x, x.tanh())), lambda r, g: (g * (r[1] + r[0] * (1 - r[1] * r[1])),))


def blocks(L, t):
    """name -> function of 4 numbers to 4 numbers, for two libraries. `t` makes a tensor of an array."""
    own = L is fg
    m, a, spd, c = t(M), t(A), t(SPD), t(u)

    def in_place(x):
        y = x * 1.0
        y[1:].mul_(x[:-1])
        y[0].add_(x[3] ** 2)
        return y

    def buffer(x):
        b = L.zeros_like(x)
        for i in range(N):
            b[i] = x[i] * x[(i + 1) % N].sin()
        return b

    def item_assignment(x):
        y = x.clone()
        y[t(np.array([0, 2]))] = x[1:3] ** 2
        return y

    def pair(x):
        a, b = Pair.apply(x) if own else ((x / 2).exp(), x * x)
        return a - b / 10

    return {
        "matrix": lambda x: (m @ x).tanh(),
        "linear": lambda x: L.nn.functional.linear(x, m, c).sin(),
        "index": lambda x: x[t(np.array([3, 0, 0, 1]))] * x,
        "slices": lambda x: L.cat([x[2:], x[:2] * x[1:3]]),
        "in_place": in_place,
        "buffer": buffer,
        "item_assignment": item_assignment,
        "where": lambda x: L.where(x > 0, x.exp() * 0.3, x * x),
        "diag_embed": lambda x: (L.diag_embed(x.sin()) * m).sum(0) * x,
        "solve": lambda x: L.linalg.solve(m + L.outer(x.tanh(), x.tanh()) / 5, x),
        "inv": lambda x: L.linalg.inv(L.diag_embed(x * x + 1) + m / 10) @ c,
        "det": lambda x: x * L.linalg.det(m + L.diag_embed(x.tanh() / 4)),
        "cholesky": lambda x: L.linalg.cholesky(spd + L.diag_embed(x * x + 1)) @ x / 3,
        "eigvalsh": lambda x: L.linalg.eigvalsh(spd + L.outer(x, x) / 3),
        "function": lambda x: Product.apply(x, x.cos()) if own else x.sin() * x.cos(),
        "pair": pair,
        "custom_jvp": lambda x: by_jvp(x) if own else (x * x + 1).log(),
        "custom_vjp": lambda x: by_vjp(x) if own else x.tanh() * x,
        "checkpoint": lambda x: checkpoint(lambda x: (x * c).sin() * x, x) if own else (x * c).sin() * x,
        "softmax": lambda x: L.softmax(x, 0) * x,
        "norm": lambda x: x / (x.norm() + 0.5),
        "cumsum": lambda x: x.cumsum(0) / 2,
        "sort": lambda x: x.sort()[0] * c,
        "einsum": lambda x: L.einsum("i,ij,j->j", x, m, x) * 0.4,
        "expand": lambda x: (x.unsqueeze(0).expand(3, N) * a).sum(0),
    }


def dropout(x):
    fg.manual_seed(3)
    return fg.nn.functional.dropout(x, 0.5) + x * x


def transforms(F, t):
    """name -> from a function of 4 numbers to 4 numbers to another such function."""
    a, c, d, e = t(A), t(u), t(v), t(w)
    one = lambda f: lambda x: (f(x) * c).sum()  # noqa: E731
    vmap = lambda f, **how: F.vmap(f, randomness="same", **how)  # noqa: E731
    return {
        "grad": lambda f: F.grad(one(f)),
        "value_and_grad": lambda f: lambda x: sum(F.value_and_grad(one(f))(x)),
        "jvp": lambda f: lambda x: F.jvp(f, (x,), (x.sin() * d,))[1],
        "vjp": lambda f: lambda x: F.vjp(f, x)[1](x.cos() * e)[0],
        "vmap": lambda f: lambda x: (vmap(f)(fg.stack([x, x * e, x.flip(0)])) * a).sum(0),
        "vmap, closed over": lambda f: lambda x: vmap(lambda row: f(x * row))(a).sum(0),
        "vmap, columns": lambda f: lambda x: vmap(f, in_dims=1, out_dims=1)(fg.stack([x, x * e], 1)).sum(1),
        "jacrev": lambda f: lambda x: F.jacrev(f)(x) @ d,
        "jacfwd": lambda f: lambda x: F.jacfwd(f, randomness="same")(x) @ d,
        "linearize": lambda f: lambda x: F.linearize(f, x)[1](e),
        "linearize, mapped": lambda f: lambda x: vmap(F.linearize(f, x)[1])(a).sum(0),
        "pullback, mapped": lambda f: lambda x: vmap(F.vjp(f, x)[1])(a)[0].sum(0),
        "hvp": lambda f: lambda x: F.hvp(one(f), x, d),
        "checkpoint": lambda f: lambda x: checkpoint(f, x),
    }


def references(F, t):
    a, c, d, e = t(A), t(u), t(v), t(w)

    def gradient(f):
        return lambda x: F.vjp(f, x)[1](c)[0]

    def columns(f, x, tangent):
        pull = F.vjp(f, x)[1]
        return sum(g * (pull(row)[0] @ tangent) for g, row in zip(t(np.eye(N)), t(np.eye(N)), strict=True))

    return {
        "grad": gradient,
        "value_and_grad": lambda f: lambda x: (f(x) * c).sum() + gradient(f)(x),
        "jvp": lambda f: lambda x: columns(f, x, x.sin() * d),
        "vjp": lambda f: lambda x: F.vjp(f, x)[1](x.cos() * e)[0],
        "vmap": lambda f: lambda x: f(x) * a[0] + f(x * e) * a[1] + f(x.flip(0)) * a[2],
        "vmap, closed over": lambda f: lambda x: sum(f(x * a[k]) for k in range(3)),
        "vmap, columns": lambda f: lambda x: f(x) + f(x * e),
        "jacrev": lambda f: lambda x: columns(f, x, d),
        "jacfwd": lambda f: lambda x: columns(f, x, d),
        "linearize": lambda f: lambda x: columns(f, x, e),
        "linearize, mapped": lambda f: lambda x: columns(f, x, a.sum(0)),
        "pullback, mapped": lambda f: lambda x: F.vjp(f, x)[1](a.sum(0))[0],
        "hvp": lambda f: lambda x: F.vjp(gradient(f), x)[1](d)[0],
        "checkpoint": lambda f: f,
    }


def tensor(values):
    return fg.tensor(np.array(values))


BLOCKS = blocks(fg, tensor) | {"dropout": dropout}
TRANSFORMS, REFERENCES = transforms(func, tensor), references(func, tensor)


def composed(blocks, names):
    def f(x):
        for name in names:
            x = blocks[name](x)
        return x

    return f


def nested(table, nesting, f):
    for name in nesting:
        f = table[name](f)
    return f


def check(nesting, names, expected, x=x0):
    found = nested(TRANSFORMS, nesting, composed(BLOCKS, names))(tensor(x)).detach().numpy()
    np.testing.assert_allclose(
        found, expected, rtol=1e-6, atol=1e-7 * max(1, np.abs(expected).max()), err_msg=f"{nesting} of {names}"
    )


def by_reverse_mode(nesting, names):
    return nested(REFERENCES, nesting, composed(BLOCKS, names))(tensor(x0)).detach().numpy()


@pytest.mark.parametrize("outer", TRANSFORMS)
def test_pairs(outer):
    names = itertools.cycle(BLOCKS)
    for inner in TRANSFORMS:
        for _ in range(3):
            program = [next(names), next(names)]
            check([inner, outer], program, by_reverse_mode([inner, outer], program))


@pytest.mark.parametrize("seed", range(12))
def test_triples(seed):
    draw = random.Random(seed)
    for _ in range(100):
        nesting, program = draw.choices(list(TRANSFORMS), k=3), draw.choices(list(BLOCKS), k=2)
        check(nesting, program, by_reverse_mode(nesting, program))


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_triples_as_torch_func():
    import torch

    t = lambda values: torch.tensor(np.array(values))  # noqa: E731
    its, table = blocks(torch, t), references(torch.func, t)
    draw = random.Random(0)
    for _ in range(40):
        nesting, program = draw.choices(list(TRANSFORMS), k=3), draw.choices(list(its), k=2)
        expected = nested(table, nesting, composed(its, program))(t(x0)).detach().numpy()
        if np.isnan(expected).any():  # its third derivative of det, on some processors
            expected = by_reverse_mode(nesting, program)
        check(nesting, program, expected)
