"""The memory of compiled steps: never more at once than the function itself holds, in one block, which its gradients share."""

import gc
import re
from itertools import pairwise

import numpy as np
import pytest
from fastgrad._core.place import packed

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad._core import place

from .compiling import bits, compiled, inputs, labels, made
from .memory import SANITIZED

F = nn.functional
counts_blocks = pytest.mark.skipif(SANITIZED, reason="there every storage is a block, however small")


# ---- steps ---------------------------------------------------------------------------------------------------------


def relu_net(batch, *sizes):
    layers = [part for i, o in pairwise(sizes) for part in (nn.Linear(i, o), nn.ReLU())]
    net = nn.Sequential(*layers[:-1])
    return net, lambda x, y: F.cross_entropy(net(x), y), (fg.randn(batch, sizes[0]), fg.randint(sizes[-1], (batch,)))


def normalised():
    norms = nn.BatchNorm1d(128), nn.Tanh(), nn.Dropout(0.1), nn.LayerNorm(128)
    net = nn.Sequential(nn.Linear(64, 128), *norms, nn.Linear(128, 10))
    return net, lambda x, y: F.cross_entropy(net(x), y), (fg.randn(64, 64), fg.randint(10, (64,)))


def physics_informed():
    net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))

    def loss(t):
        t = t.detach().requires_grad_()
        u = net(t)
        du = fg.autograd.grad(u.sum(), t, create_graph=True)[0]
        ddu = fg.autograd.grad(du.sum(), t, create_graph=True)[0]
        return (ddu + 4 * u).square().mean() + (u[0] - 1).square().mean()

    return net, loss, (fg.linspace(0, 10, 200).reshape(-1, 1),)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.input = nn.Embedding(20, 16), nn.Linear(16, 48)
        self.state, self.scores = nn.Linear(48, 48, bias=False), nn.Linear(48, 20)

    def forward(self, letters):
        h, states = fg.zeros(len(letters), 48), []
        for x in self.input(self.embedding(letters)).unbind(1):
            h = fg.tanh(x + self.state(h))
            states.append(h)
        return self.scores(fg.stack(states, 1)).flatten(0, 1)


class Attending(nn.Module):
    """A transformer block on characters."""

    def __init__(self, width=32, heads=4):
        super().__init__()
        self.embedding = nn.Embedding(20, width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down, self.scores = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), nn.Linear(width, 20)
        self.heads = heads

    def forward(self, letters):
        x = self.embedding(letters)
        shape = (*x.shape[:2], self.heads, x.shape[2] // self.heads)
        q, k, v = (part.reshape(shape).transpose(1, 2) for part in self.qkv(self.first(x)).split(x.shape[2], -1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        return self.scores(x + self.down(F.gelu(self.up(self.second(x))))).flatten(0, 1)


def characters(kind):
    net = kind()
    data = fg.randint(20, (8, 24)), fg.randint(20, (8, 24))
    return net, lambda x, y: F.cross_entropy(net(x), y.flatten()), data


STEPS = {
    "1 x 4-64-64-2": lambda: relu_net(1, 4, 64, 64, 2),
    "32 x 2-16-16-2": lambda: relu_net(32, 2, 16, 16, 2),
    "64 x 64-64-10": lambda: relu_net(64, 64, 64, 10),
    "32 x 64-64-10": lambda: relu_net(32, 64, 64, 10),
    "32 x 784-128-10": lambda: relu_net(32, 784, 128, 10),
    "128 x 784-512-256-10": lambda: relu_net(128, 784, 512, 256, 10),
    "256 x 784-1024-1024-10": lambda: relu_net(256, 784, 1024, 1024, 10),
    "256 x 64-64-64-64-64-64-10": lambda: relu_net(256, 64, 64, 64, 64, 64, 64, 10),
    "norms and dropout": normalised,
    "a second derivative": physics_informed,
    "a recurrent net": lambda: characters(Recurrent),
    "attention": lambda: characters(Attending),
}


def training(name, kind, order):
    """(optimiser, step, its arguments)."""
    fg.manual_seed(0)
    net, loss_of, args = STEPS[name]()
    optimizer = (optim.SGD if kind == "sgd" else optim.AdamW)(net.parameters(), lr=1e-3)

    def step(*args):
        if order == "cleared first":
            optimizer.zero_grad()
        loss = loss_of(*args)
        if order == "cleared before backward":
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return optimizer, step, args


# ---- its peak --------------------------------------------------------------------------------------------------------


def allocated():
    gc.collect()
    return fg.memory_stats()["allocated"]


def peak(step, args, before):
    """The most bytes alive during a call, over those before training: parameters, optimiser state, data."""
    fg.reset_peak_memory_stats()
    step(*args)
    return fg.memory_stats()["peak"] - before


def peaks(name, kind="sgd", order="cleared first"):
    """(eager, compiled, compiled step, bytes it holds between two calls)."""
    optimizer, step, args = training(name, kind, order)
    step(*args)
    optimizer.zero_grad()
    before = allocated()
    step(*args)
    eager = peak(step, args, before)
    optimizer.zero_grad()
    assert allocated() == before
    replayed = fg.compile(step)
    for _ in range(5):
        replayed(*args)
    assert replayed.replays >= 2
    held = allocated() - before
    return eager, peak(replayed, args, before), replayed, held


@counts_blocks
@pytest.mark.parametrize("order", ["cleared first", "cleared before backward"])
@pytest.mark.parametrize("name", STEPS)
def test_a_compiled_step_holds_no_more_at_once_than_the_function(name, order):
    eager, replayed, _, _ = peaks(name, "sgd", order)
    assert replayed <= eager


@counts_blocks
@pytest.mark.parametrize("name", ["64 x 64-64-10", "128 x 784-512-256-10", "attention"])
def test_so_does_one_with_adamw(name):
    eager, replayed, _, _ = peaks(name, "adamw")
    assert replayed <= eager


@counts_blocks
@pytest.mark.parametrize("name", ["128 x 784-512-256-10", "norms and dropout", "attention"])
def test_what_a_program_holds_is_what_explain_says(name):
    _, replayed, step, held = peaks(name)
    size, unit = re.search(r"temporaries and gradients in ([\d.]+) (k?M?B)", step.explain()).groups()
    said = float(size) * {"B": 1, "kB": 1e3, "MB": 1e6}[unit]
    assert held == pytest.approx(said, rel=1e-3)
    assert replayed - held <= 0  # its loss lies inside an object


@counts_blocks
def test_gradients_that_are_cleared_outside_are_written_where_they_were():
    optimizer, step, args = training("64 x 64-64-10", "sgd", "not cleared")
    replayed = fg.compile(step)
    for _ in range(6):
        optimizer.zero_grad()
        replayed(*args)
    assert replayed.replays >= 2
    optimizer.zero_grad()
    held = allocated()
    fg.reset_peak_memory_stats()
    requests = fg.memory_stats()["requests"]
    replayed(*args)
    assert fg.memory_stats()["peak"] == held
    assert fg.memory_stats()["requests"] == requests


# ---- places ----------------------------------------------------------------------------------------------------------


def aligned(nbytes):
    return -(-nbytes // 64) * 64 if nbytes >= 64 else max(8, 1 << (nbytes - 1).bit_length())


def alive(lives, t):
    return [k for k, (b, e, _) in enumerate(lives) if (b <= t < e if b < e else not e <= t < b)]


def random_lives(rng, n, lasting):
    lives = []
    for _ in range(n):
        begin = int(rng.integers(n))
        lives.append((begin, begin + int(min(rng.geometric(0.15), n - begin)), int(4 * 2 ** rng.uniform(0, 16))))
    for _ in range(lasting):
        end, begin = sorted(int(t) for t in rng.integers(n, size=2))
        lives.append((begin, end * int(rng.integers(2)), int(4 * 2 ** rng.uniform(0, 16))))
    return lives


def step_lives(rng, layers, batch):
    """What layers of random widths keep for backward, and what backward passes on and leaves."""
    width, n, lives = [int(2 ** rng.integers(3, 10)) for _ in range(layers + 1)], layers, []
    for k in range(n):
        activation = 4 * batch * width[k + 1]
        back = 4 * n - 2 * k
        lives += [(2 * k, back, activation), (2 * k, 2 * k + 2, activation), (back - 1, back + 2, activation)]
        lives.append((back + 1, 0, 4 * width[k] * width[k + 1]))
    return lives


@pytest.mark.parametrize(
    ("make", "mean", "most"),
    [
        (lambda rng: random_lives(rng, 60, 0), 1.004, 1.08),
        (lambda rng: random_lives(rng, 150, 15), 1.015, 1.2),  # the bound cannot always be reached
        (lambda rng: step_lives(rng, 6, 64), 1.002, 1.02),
    ],
    ids=["random", "random, some around the end", "steps"],
)
def test_places_take_little_more_than_what_lives_at_once(make, mean, most):
    rng, over = np.random.default_rng(0), []
    for _ in range(30):
        lives = make(rng)
        offsets, high = packed(lives)
        least = 0
        for t in range(max(max(b, e) for b, e, _ in lives) + 1):
            spans = sorted((offsets[k], offsets[k] + aligned(lives[k][2])) for k in alive(lives, t))
            assert all(a[1] <= b[0] for a, b in pairwise(spans))  # nothing meets
            assert all(begin % min(64, end - begin) == 0 and end <= high for begin, end in spans)
            least = max(least, sum(end - begin for begin, end in spans))
        over.append(high / least)
    assert min(over) == 1
    assert np.mean(over) < mean
    assert max(over) < most


@pytest.mark.parametrize("name", STEPS)
def test_the_block_of_a_step_is_what_lives_at_once(name, monkeypatch):
    seen = []

    def watched(lives):
        seen.append((lives, packed(lives)[1]))
        return packed(lives)

    monkeypatch.setattr(place, "packed", watched)
    _, step, args = training(name, "sgd", "cleared first")
    step = fg.compile(step)
    for _ in range(4):
        step(*args)
    assert step.replays == 1
    lives, high = min(seen, key=lambda found: found[1])
    times = {t for begin, end, _ in lives for t in (begin, end)}
    assert high == max(sum(aligned(lives[k][2]) for k in alive(lives, t)) for t in times)


# ---- who holds a gradient --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("how", [lambda grad: grad, lambda grad: grad[:2], lambda grad: fg.from_numpy(grad.numpy())])
def test_a_gradient_that_somebody_holds_is_not_written_again(number, how):
    (a, f), (b, g) = made(Wide)(), made(Wide)()
    h = compiled(g)
    kept = []
    for i in range(14):
        assert bits(f(inputs(i, 16), labels(i, 16))) == bits(h(inputs(i, 16), labels(i, 16)))
        assert bits(a.watch()) == bits(b.watch())
        if i in (6, 7, 10):
            grad = how(list(b.parameters())[number].grad)
            kept.append((grad, grad.numpy().copy()))
    assert h.replays == 11
    for grad, value in kept:
        assert (grad.numpy() == value).all()


class Wide(nn.Module):
    """A net with gradients larger than a line of the cache."""

    def __init__(self):
        super().__init__()
        fg.manual_seed(3)
        self.net = nn.Sequential(nn.Linear(3, 40), nn.BatchNorm1d(40), nn.Tanh(), nn.Linear(40, 2))
        self.opt = optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)

    def step(self, x, y):
        self.opt.zero_grad()
        loss = F.cross_entropy(self.net(x), y)
        loss.backward()
        self.opt.step()
        return loss

    def watch(self):
        return [*self.state_dict().values(), *[p.grad for p in self.parameters()]]


@counts_blocks
def test_what_a_held_gradient_keeps_is_given_back_with_it():
    net, x, y = Wide(), inputs(0, 16), labels(0, 16)
    step = fg.compile(net.step)
    for _ in range(6):
        step(x, y)
    held = allocated()
    grad = next(iter(net.parameters())).grad
    step(x, y)
    assert allocated() > held
    del grad
    step(x, y)
    beside = sum(-(-p.numel() * 4 // 64) * 96 for p in net.parameters())  # blocks of a class take half as much again
    assert allocated() <= held + beside


# ---- calls that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [False, True])
def test_a_call_that_fails_leaves_gradients_that_are_not_cleared_yet(run):
    class Late(Wide):
        def step(self, x, y):
            loss = F.cross_entropy(self.net(x), y)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            return loss

    net = Late()
    step = compiled(net.step)
    for i in range(6):
        step(inputs(i, 16), labels(i, 16))
    before = bits(net.watch()[-6:])
    wrong = fg.tensor([0, 1, 5, 0] * 4)
    with pytest.raises(IndexError, match="cross_entropy"):
        step.run((inputs(7, 16), wrong)) if run else step(inputs(7, 16), wrong)
    assert bits(net.watch()[-6:]) == before
    with pytest.raises(IndexError, match="cross_entropy"):
        net.step(inputs(7, 16), wrong)
    assert bits(net.watch()[-6:]) == before  # as the function itself


@pytest.mark.parametrize("run", [False, True])
def test_a_call_that_fails_leaves_no_gradient_where_it_was_cleared(run):
    net, other = Wide(), Wide()
    step = compiled(net.step)
    for i in range(6):
        step(inputs(i, 16), labels(i, 16))
        other.step(inputs(i, 16), labels(i, 16))
    wrong = fg.tensor([0, 1, 5, 0] * 4)
    for function in (step, other.step):
        with pytest.raises(IndexError, match="cross_entropy"):
            step.run((inputs(7, 16), wrong)) if run and function is step else function(inputs(7, 16), wrong)
    assert all(p.grad is None for net in (net, other) for p in net.parameters())
    assert bits(step(inputs(8, 16), labels(8, 16))) == bits(other.step(inputs(8, 16), labels(8, 16)))
    assert bits([p.grad for p in net.parameters()]) == bits([p.grad for p in other.parameters()])
