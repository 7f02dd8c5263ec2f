"""Every transform inside a compiled function: replayed, bit for bit as eager."""

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn.functional as nnF
from fastgrad import func as F
from fastgrad import nn

from .compiling import bits, compiled

CALLS = 7


def tensor(seed, *shape):
    return fg.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def made():
    """name -> function of one vector, or of a batch of them."""
    fg.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4)).requires_grad_(False)
    normed = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.GELU(), nn.Linear(6, 1)).requires_grad_(False)
    params = {name: p.detach().clone() for name, p in net.named_parameters()}
    ensemble, _ = F.stack_module_state([nn.Linear(4, 2).requires_grad_(False) for _ in range(3)])
    single = nn.Linear(4, 2).requires_grad_(False)
    v, labels = tensor(1, 4), tensor(2, 5, 4)
    f = lambda x: (net(x) ** 2).sum()  # noqa: E731
    g = lambda x: normed(x).sum()  # noqa: E731
    weights = nn.Parameter(tensor(3, 4, 4))
    adam = fg.optim.AdamW([weights], lr=0.01)

    def loss(p, x, y):
        return ((F.functional_call(net, p, (x,)) - y) ** 2).sum()

    def pulled(x):
        y, pullback = F.vjp(net, x)
        return y, pullback(v), pullback(y)

    def lines(x):
        y, derivative = F.linearize(net, x)
        return y, derivative(v), derivative(2 * v)

    def penalty(p, x):
        return sum((t**2).sum() for t in F.vmap(F.grad(loss), (None, 0, 0))(p, x, labels).values())

    def step(x):
        """A loss on per-sample gradients, in a training step."""
        adam.zero_grad()
        value = (F.vmap(F.grad(lambda x: ((x @ weights).tanh() ** 2).sum()))(x) ** 2).mean()
        value.backward()
        adam.step()
        return value.detach(), weights.detach().clone()

    def in_place(x):
        z = x.clone()
        z[1:] *= x[:-1]
        return (z * z).sum()

    one = {
        "grad": F.grad(f),
        "value_and_grad": F.value_and_grad(g),
        "vjp": pulled,
        "jvp": lambda x: F.jvp(net, (x,), (v,)),
        "linearize": lines,
        "hvp": lambda x: F.hvp(f, x, v),
        "hvp through a normalization": lambda x: F.hvp(g, x, v),
        "vhp": lambda x: F.vhp(g, x, v),
        "ggnvp": lambda x: F.ggnvp(net, lambda y: (y**2).sum(), x, v),
        "jacrev": F.jacrev(net),
        "jacrev in chunks": F.jacrev(net, chunk_size=3),
        "jacfwd": F.jacfwd(net),
        "jacobian": F.jacobian(net),
        "hessian": F.hessian(g),
        "jacfwd of jacrev": F.jacfwd(F.jacrev(f)),
        "laplacian": F.laplacian(f),
        "third order": F.grad(lambda x: (F.hvp(f, x, v) * v).sum()),
        "autograd.functional": lambda x: (
            fg.autograd.functional.jacobian(net, x),
            fg.autograd.functional.hessian(f, x),
            fg.autograd.functional.vhp(f, x, v),
        ),
        "in place": F.hessian(in_place),
    }
    many = {
        "vmap": F.vmap(net),
        "vmap in chunks": F.vmap(F.grad(f), chunk_size=2),
        "vmap of grad": F.vmap(F.grad(g)),
        "vmap of hessian": F.vmap(F.hessian(f)),
        "vmap of vmap": lambda x: F.vmap(lambda a: F.vmap(lambda b: (a * b).sin())(x))(x),
        "per-sample gradients": lambda x: F.vmap(F.grad(loss), (None, 0, 0))(params, x, labels),
        "gradient of a mean": lambda x: F.grad(lambda p: F.vmap(lambda x, y: loss(p, x, y))(x, labels).mean())(params),
        "gradient of a penalty on per-sample gradients": lambda x: F.grad(penalty)(params, x),
        "an ensemble": lambda x: F.vmap(lambda p: F.functional_call(single, p, (x,)))(ensemble),
        "jvp of vmap": lambda x: F.jvp(F.vmap(net), (x,), (labels,)),
        "indices": F.vmap(F.grad(lambda x: (x[fg.tensor([0, 2])] * x[1:3]).sum())),
        "dropout, each its own": F.vmap(lambda x: nnF.dropout(x, 0.5), randomness="different"),
        "dropout, all the same": F.vmap(F.grad(lambda x: nnF.dropout(x * x, 0.5).sum()), randomness="same"),
        "noise": F.vmap(lambda x: x + fg.randn(4), randomness="different"),
        "a training step": step,
    }
    return {**{name: (h, (4,)) for name, h in one.items()}, **{name: (h, (5, 4)) for name, h in many.items()}}


@pytest.mark.parametrize("name", sorted(made()))
def test_bits_of_eager(name):
    (eager, shape), (same, _) = made()[name], made()[name]
    step = compiled(same)
    inputs = [tensor(10 + i, *shape) for i in range(CALLS)]
    fg.manual_seed(5)
    expected = [bits(eager(x)) for x in inputs]
    fg.manual_seed(5)
    assert [bits(step(x)) for x in inputs] == expected
    assert step.replays >= 3


def test_a_module_that_gets_another_parameter_is_seen():
    """functional_call puts values into a module for a while; what it finds there is what a replay depends on."""
    layer = nn.Linear(4, 2).requires_grad_(False)
    h = compiled(lambda w, x: F.functional_call(layer, {"weight": w}, (x,)))
    for i in range(8):
        if i == 5:
            layer.bias = nn.Parameter(fg.ones(2), requires_grad=False)
        w, x = tensor(i, 2, 4), tensor(20 + i, 4)
        assert bits(h(w, x)) == bits(nnF.linear(x, w, layer.bias))
    assert h.replays >= 2


@pytest.mark.parametrize(
    "fill",
    [
        lambda t, x: t.copy_(x),
        lambda t, x: t.normal_(),
        lambda t, x: t.fill_(2.0),
        lambda t, x: t.bernoulli_(0.5),
        lambda t, x: t.zero_(),
    ],
)
def test_memory_that_is_filled_first_is_no_constant(fill):
    """What fg.empty() finds in its memory differs from call to call, and nothing depends on it."""
    litter = [fg.full((300,), float(k)) for k in range(4)]

    def work(x):
        t = fg.empty(300)
        fill(t, x)
        return t * x

    h = compiled(work)
    for i in range(6):
        if i < 4:
            litter[i] = None  # the next of that size lies where this was
        h(tensor(i, 300))
    assert h.replays == 4


def test_a_buffer_that_is_filled_row_by_row():
    litter = [fg.full((4, 100), float(k)) for k in range(4)]

    def work(x):
        buffer = fg.empty(4, 100)
        for k in range(4):
            buffer[k] = x * k
        return buffer.sum(0)

    h = compiled(work)
    for i in range(6):
        if i < 4:
            litter[i] = None
        assert bits(h(tensor(i, 100))) == bits(work(tensor(i, 100)))
    assert h.replays == 4
