"""Random programs, compiled against eager."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fastgrad as fg
from fastgrad import nn

from .compiling import made, same

F = nn.functional


class Random:
    """Straight-line programs over arguments, externals, views, in-place writes and random operations."""

    def __init__(self, seed):
        self.seed = seed
        self.ext = [fg.tensor(np.random.default_rng(seed * 9 + k).normal(size=(4, 4))) for k in range(3)]
        self.ext.append(self.ext[0][0:4].mT)
        self.gen = fg.Generator().manual_seed(seed)

    def watch(self):
        return self.ext

    def step(self, x, y):
        rng = np.random.default_rng(self.seed)
        pool, out = [x, y, *self.ext], []

        def pick():
            return pool[rng.integers(len(pool))]

        for _ in range(14):
            k, a, b = rng.integers(13), pick(), pick()
            if k == 0:
                pool.append(a * b)
            elif k == 1:
                pool.append((a @ b) * 0.1)
            elif k == 2:
                pool.append(a.mT)
            elif k == 3:
                pool.append(a + 1.5)
            elif k == 4:
                a.mul_(0.75).add_(b * 0.25)
            elif k == 5:
                a[0:2].copy_(b[1:3] * 0.5)
            elif k == 6:
                pool.append(fg.dropout(a, 0.3, generator=self.gen))
            elif k == 7:
                out.append(a[1:3])
            elif k == 8:
                a.copy_(b * 0.5)
            elif k == 9:
                pool.append(fg.eye(4, dtype=fg.float64))
            elif k == 10:
                out.append(F.cross_entropy(a, fg.tensor([0, 1, 2, 3])))
            elif k == 11:
                self.ext[1].mul_(0.875).add_(a, alpha=0.125)
            else:
                leaf = a.detach().requires_grad_()
                (leaf.tanh() * b).sum().backward()
                out.append(leaf.grad)
        return (*out, pool[-1])


@pytest.mark.parametrize("first", range(0, 300, 25))
def test_random_programs(first):
    def double(i):
        return fg.tensor(np.random.default_rng(100 + i).normal(size=(4, 4)))

    for seed in range(first, first + 25):
        same(made(Random, seed), calls=7, args=lambda i: (double(i), double(i + 30)))


# ---- programs that hypothesis chooses, and shrinks where one differs ----------------------------------------------------

SHAPES = [(), (3,), (1, 3), (2, 1), (2, 3), (2, 2, 3)]
UNARY = [fg.tanh, fg.relu, fg.sigmoid, fg.square, fg.neg]
BINARY = [fg.add, fg.mul, fg.sub, fg.maximum]


def values(seed, shape):
    return fg.tensor(np.random.default_rng(seed).normal(size=shape))


def broadcast(a, b):
    return all(m == n or 1 in (m, n) for m, n in zip(a.shape[::-1], b.shape[::-1], strict=False))


class Chosen:
    """A program as a list of instructions: (what, which tensor, which other one, a choice)."""

    def __init__(self, instructions):
        self.instructions = instructions
        self.outside = [values(k, shape) for k, shape in enumerate(SHAPES)]
        self.gen = fg.Generator().manual_seed(1)

    def watch(self):
        return self.outside

    def step(self, *given):
        pool, out = [*given, *self.outside], []
        for what, i, j, k in self.instructions:
            a = pool[i % len(pool)]
            fitting = [b for b in pool if broadcast(a, b)]
            made = getattr(self, what)(a, fitting[j % len(fitting)], k, out)
            if made is not None:
                pool.append(made)
        return {"last": pool[-1], "others": out}

    def unary(self, a, b, k, out):
        return UNARY[k % len(UNARY)](a)

    def binary(self, a, b, k, out):
        return BINARY[k % len(BINARY)](a, b)

    def product(self, a, b, k, out):
        if a.ndim and b.ndim and a.shape[-1] == b.shape[-1]:
            return a @ (b if b.ndim == 1 else b.mT)
        return None

    def view(self, a, b, k, out):
        if a.ndim < 2:
            return a.reshape(1, -1)
        return [a.mT, a[0], a[..., 1:], a.reshape(-1), a.unsqueeze(0).expand(2, *a.shape)][k % (5 if a.ndim < 4 else 4)]

    def reduction(self, a, b, k, out):
        return a.sum() if a.ndim == 0 or k % 3 == 0 else a.mean(k % a.ndim, keepdim=k % 2 == 0)

    def in_place(self, a, b, k, out):
        if a.ndim >= b.ndim and a.numel() == (a + b).numel() and a.is_contiguous() and a.ndim == (a + b).ndim:
            a.mul_(0.5).add_(b, alpha=0.25) if k % 2 else a.copy_(b)

    def dropped(self, a, b, k, out):
        return fg.dropout(a, 0.3, generator=self.gen)

    def returned(self, a, b, k, out):
        out.append(a)

    def derivative(self, a, b, k, out):
        leaf = a.detach().requires_grad_()
        y = (leaf.tanh() * b).sum()
        if k % 2:
            (g,) = fg.autograd.grad(y, leaf, create_graph=True)
            y = (g * g).sum()
        (g,) = fg.autograd.grad(y, leaf)
        return g


KINDS = ["unary", "binary", "product", "view", "reduction", "in_place", "dropped", "returned", "derivative"]
small = st.integers(0, 11)


@settings(max_examples=150, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), small, small, small), min_size=1, max_size=12),
    st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3),
)
def test_programs_of_hypothesis(instructions, shapes):
    def args(i):
        return [values(100 * i + k, shape) for k, shape in enumerate(shapes)]

    same(made(Chosen, instructions), calls=5, need=2, args=args)
