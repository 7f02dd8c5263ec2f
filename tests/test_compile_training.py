"""Whole trainings, compiled against eager, step by step: the nets whose speed is measured, with all that goes into a step."""

from itertools import pairwise

import pytest

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.utils.data import DataLoader, TensorDataset

from .compiling import ClearingAtTheEnd, Net, bits, compiled, inputs, labels, made

F = nn.functional


class MLP(nn.Module):
    """A ReLU net and its optimiser, with a schedule; `rich` adds what trainings use besides."""

    def __init__(self, sizes, kind, rich):
        super().__init__()
        fg.manual_seed(1)
        layers = []
        for i, o in pairwise(sizes):
            layers += [
                nn.Linear(i, o),
                *([nn.BatchNorm1d(o)] if rich else []),
                nn.ReLU(),
                *([nn.Dropout(0.2)] if rich else []),
            ]
        self.net = nn.Sequential(*layers[: -3 if rich else -1])
        if kind == "sgd":
            self.opt = optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9)
        else:
            self.opt = optim.AdamW(self.net.parameters(), lr=1e-3, weight_decay=0.1)
        self.schedule = optim.lr_scheduler.CosineAnnealingLR(self.opt, 150) if rich else None
        self.rich = rich
        self.regression = sizes[-1] == 1

    def step(self, x, y):
        z = self.net(x)
        loss = F.mse_loss(z, y) if self.regression else F.cross_entropy(z, y)
        self.opt.zero_grad()
        loss.backward()
        if self.rich:
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.opt.step()
        return loss

    def watch(self):
        return [*self.state_dict().values(), *[p.grad for p in self.parameters()]]


NETS = {
    "1 x 4-64-64-2": (1, (4, 64, 64, 2), 200),
    "64 x 64-64-10": (64, (64, 64, 10), 200),
    "32 x 784-128-10": (32, (784, 128, 10), 200),
    "128 x 784-512-256-10": (128, (784, 512, 256, 10), 15),
    "256 x 784-1024-1024-10": (256, (784, 1024, 1024, 10), 9),
    "32 x 2-16-16-1": (32, (2, 16, 16, 1), 200),
}


@pytest.mark.parametrize("rich", [False, True], ids=["plain", "rich"])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("name", NETS)
def test_a_training(name, kind, rich):
    size, sizes, steps = NETS[name]
    size = max(size, 2) if rich else size  # batch norm wants more than one row
    (a, step), (b, other) = (made(MLP, sizes, kind, rich)() for _ in range(2))
    rows = 4 * size + (size > 2)
    x = inputs(0, rows, sizes[0])
    y = inputs(1, rows, 1) if sizes[-1] == 1 else labels(0, rows, sizes[-1])
    loader = DataLoader(TensorDataset(x, y), batch_size=size, shuffle=True, drop_last=rich)
    epochs = -(-steps // len(loader))
    fg.manual_seed(2)
    losses = []
    for _ in range(epochs):
        for batch in loader:
            losses.append(step(*batch))
            if rich:
                a.schedule.step()
    fg.manual_seed(2)
    options = {"callback": lambda now: b.schedule.step(), "every": 1} if rich else {}
    h = compiled(other)
    assert bits(h.run(loader, epochs=epochs, **options)) == bits(fg.stack(losses))
    assert bits(a.watch()) == bits(b.watch())
    assert h.replays >= len(losses) - 9


class Clearing(Net):  # every way in which a gradient may be None
    def step(self, x, y):
        for p in self.parameters():
            p.grad = None
        loss = F.cross_entropy(self(x), y)
        loss.backward()
        self.opt.step()
        return loss


@pytest.mark.parametrize("kind", [Clearing, ClearingAtTheEnd])
def test_gradients_that_are_none_at_each_step(kind):
    (a, step), (b, other) = made(kind)(), made(kind)()
    h = compiled(other)
    losses = [step(inputs(i), labels(i)) for i in range(12)]
    x, y = (fg.cat([make(i) for i in range(12)]) for make in (inputs, labels))
    assert bits(h.run((x, y), batch_size=4)) == bits(fg.stack(losses))
    assert bits(a.watch()) == bits(b.watch())
    assert h.replays == 9


def test_gradients_cleared_outside_at_each_step():
    def clear(i, net):
        net.opt.zero_grad()

    class Outside(Net):
        def step(self, x, y):
            loss = F.cross_entropy(self(x), y)
            loss.backward()
            self.opt.step()
            return loss

    def same(make):
        (a, f), (b, g) = make(), make()
        h = compiled(g)
        for i in range(12):
            clear(i, a)
            clear(i, b)
            assert bits(f(inputs(i), labels(i))) == bits(h(inputs(i), labels(i)))
            assert bits(a.watch()) == bits(b.watch())
        return h

    assert same(made(Outside)).replays == 9


def test_batch_norm_before_an_operation_that_fails_in_a_replay():
    net, table = nn.BatchNorm1d(3), fg.randn(5, 3)

    @fg.compile
    def f(x, index):
        return net(x).detach() + table.index_select(0, index)

    for i in range(6):
        f(inputs(i), labels(i))
    before = bits(net.state_dict())
    with pytest.raises(IndexError):
        f(inputs(7), fg.tensor([0, 1, 7, 0]))
    assert bits(net.state_dict()) == before
    other = nn.BatchNorm1d(3)
    other.load_state_dict(net.state_dict())
    x = inputs(8)
    assert bits(f(x, fg.tensor([0, 1, 2, 0]))) == bits(
        other(x).detach() + table.index_select(0, fg.tensor([0, 1, 2, 0]))
    )
    assert bits(net.state_dict()) == bits(other.state_dict())


def test_recording_twice_gives_the_same_program():
    def explained():
        h = compiled(MLP((4, 8, 3), "adamw", True).step)
        for i in range(6):
            h(inputs(i, 6, 4), labels(i, 6, 3))
        return h.explain()

    first = explained()
    assert "replayed 3 times" in first
    assert explained() == first


def test_the_fourth_call_is_the_first_replay():
    for kind in ("sgd", "adamw"):
        h = compiled(MLP((4, 8, 3), kind, False).step)
        counts = []
        for i in range(5):
            h(inputs(i, 6, 4), labels(i, 6, 3))
            counts.append(h.replays)
        assert counts == [0, 0, 0, 1, 2], kind


def test_load_state_dict_between_calls_is_no_reason_to_record():
    net, other = Net(), Net()
    h = compiled(net.step)
    for i in range(6):
        h(inputs(i), labels(i))
        other.step(inputs(i), labels(i))
    saved = {key: value * 0.5 for key, value in net.state_dict().items()}
    records = h.records
    for each, step in ((net, h), (other, other.step)):
        each.load_state_dict(saved)
        for i in range(3):
            step(inputs(i), labels(i))
    assert bits(net.watch()) == bits(other.watch())
    assert h.records == records
