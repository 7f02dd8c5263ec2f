"""Random programs, compiled against eager."""

import numpy as np
import pytest

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
