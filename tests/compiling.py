"""Compiled functions against the same functions run eagerly, bit for bit, after every call.

Each case is built twice from the same seeds. Replays run over buffers filled with nan, so that a kernel that read what
an earlier replay left would show.
"""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn, optim

F = nn.functional


def bits(v):
    """A value as bytes and plain Python, for exact comparison."""
    if isinstance(v, fg.Tensor):
        return tuple(v.shape), str(v.dtype), v.detach().numpy().tobytes()
    if isinstance(v, (tuple, list)):
        return [bits(x) for x in v]
    if isinstance(v, dict):
        return {key: bits(x) for key, x in v.items()}
    return v


def inputs(i, n=4, d=3):
    return fg.tensor(np.random.default_rng(100 + i).normal(size=(n, d)).astype(np.float32))


def labels(i, n=4, k=2):
    return fg.tensor(np.random.default_rng(200 + i).integers(0, k, size=n))


def parameter(seed, *shape):
    return nn.Parameter(fg.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32)))


def requires_grad(result):
    items = result if isinstance(result, (tuple, list)) else [result]
    return any(isinstance(t, fg.Tensor) and t.requires_grad for t in items)


def compiled(function, **options):
    step = fg.compile(function, **options)
    step.poisons = True
    return step


def same(make, calls=12, need=3, records=None, between=None, args=lambda i: (inputs(i), labels(i)), **options):
    """make() -> (object with .watch(), function): compares results and watched tensors after every call.

    First the eager calls, then the compiled ones, with the same random numbers: an eager step between two compiled ones
    would have the guards looked at each time.
    """
    (a, f), (b, g) = make(), make()
    h = compiled(g, **options)
    stream = fg.get_rng_state()
    want = []
    for i in range(calls):
        if between:
            between(i, a)
        want.append((bits(f(*args(i))), bits(a.watch())))
    fg.set_rng_state(stream)
    for i in range(calls):
        if between:
            between(i, b)
        q = h(*args(i))
        assert bits(q) == want[i][0], (i, "result")
        assert bits(b.watch()) == want[i][1], (i, "state")
        assert not requires_grad(q)
    assert h.replays >= need, (h.replays, h.records, h.why)
    assert records is None or h.records == records, (h.records, h.why)
    return h, b


def refused(function, words, n=12, args=lambda i: (inputs(i),), **options):
    h = compiled(function, **options)

    def calls():
        for i in range(n):
            h(*args(i))

    with pytest.raises(fg.CompileError, match=words):
        calls()


class Net(nn.Module):
    """A small net with its optimiser; subclasses change one thing."""

    def __init__(self, make=lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9)):
        super().__init__()
        self.w1, self.b, self.w2 = parameter(1, 3, 5), parameter(2, 5), parameter(3, 5, 2)
        self.opt = make(list(self.parameters()))
        self.gen = fg.Generator().manual_seed(7)

    def forward(self, x):
        return (x @ self.w1 + self.b).relu() @ self.w2

    def step(self, x, y):
        self.opt.zero_grad()
        loss = F.cross_entropy(self(x), y)
        loss.backward()
        self.opt.step()
        return loss

    def watch(self):
        return [*self.parameters(), *[p.grad for p in self.parameters()]]


class ClearingAtTheEnd(Net):
    """A step that clears the gradients after it has used them."""

    def step(self, x, y):
        loss = F.cross_entropy(self(x), y)
        loss.backward()
        self.opt.step()
        self.opt.zero_grad()
        return loss


class Scale:
    """An object whose method is compiled: each has its own programs."""

    def __init__(self, k):
        self.w = fg.full((3,), float(k))

    @fg.compile
    def scaled(self, x):
        return x * self.w


def made(kind, *args):
    def make():
        net = kind(*args)
        return net, net.step

    return make
