"""Random trainings in which anything may happen between two calls, compiled against eager, bit for bit after every call."""

import copy

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn, optim

from .compiling import bits, compiled, inputs, labels

F = nn.functional
CALLS = 30


class World:
    """A net, its optimiser and a shadow; what a step does, and what happens before each call, are drawn from a seed."""

    def __init__(self, seed):
        r = np.random.default_rng(seed)
        fg.manual_seed(seed)
        layers = [nn.Linear(3, 5)]
        layers += [nn.BatchNorm1d(5)] if r.random() < 0.4 else []
        layers += [[nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid][r.integers(4)]()]
        layers += [nn.Dropout(0.4)] if r.random() < 0.4 else []
        self.net = nn.Sequential(*layers, nn.Linear(5, 2))
        self.shadow = copy.deepcopy(self.net).requires_grad_(False)
        ps = list(self.net.parameters())
        self.opt = [
            lambda: optim.SGD(ps, lr=0.1),
            lambda: optim.SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01),
            lambda: optim.AdamW(ps, lr=0.01),
            lambda: optim.Adam(
                [{"params": ps[:2], "lr": 0.05}, {"params": ps[2:]}], lr=0.01, amsgrad=bool(r.integers(2))
            ),
            lambda: optim.SGD(ps[:2], lr=0.1),
        ][r.integers(5)]()
        self.clears, self.clips, self.returns = r.integers(4), r.integers(3), r.integers(4)
        self.penalty, self.in_parts, self.averages, self.ends = r.random(4) < [0.2, 0.25, 0.3, 0.2]
        self.held, self.handles, self.kept, self.saved = [], [], [], None
        rate, sizes, modes = r.choice([0.1, 0.2, 0.4]), r.integers(1, 4), r.integers(1, 3)
        self.happens = [
            (list(EVENTS)[r.integers(len(EVENTS))], int(r.integers(99))) if r.random() < rate else None
            for _ in range(CALLS)
        ]
        self.calls = [(int(4 + r.integers(sizes)), int(r.integers(modes)), bool(r.integers(2))) for _ in range(CALLS)]
        self.stream = fg.get_rng_state()

    def step(self, x, y, mode=0):
        if self.clears == 0:
            self.opt.zero_grad()
        elif self.clears == 1:
            self.opt.zero_grad(set_to_none=False)
        elif self.clears == 2:
            for p in self.net.parameters():
                p.grad = None
        if self.in_parts:
            for k in (slice(0, 2), slice(2, None)):
                F.cross_entropy(self.net(x[k]), y[k]).backward()
            loss = fg.zeros(())
        else:
            loss = F.cross_entropy(self.net(x), y)
            if mode:
                loss = loss + 0.1 * sum((p * p).sum() for p in self.net.parameters())
            if self.penalty:
                ps = [p for p in self.net.parameters() if p.requires_grad]
                loss = loss + 0.01 * sum((g * g).sum() for g in fg.autograd.grad(loss, ps, create_graph=True))
            loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 0.5) if self.clips == 1 else None
        if self.clips == 2:
            nn.utils.clip_grad_value_(self.net.parameters(), 0.05)
        self.opt.step()
        if self.averages:
            with fg.no_grad():
                for p, q in zip(self.net.parameters(), self.shadow.parameters(), strict=True):
                    q.lerp_(p, 0.1)
        gradient = next((p.grad for p in self.net.parameters() if p.grad is not None), None)
        results = [
            loss,
            (loss, norm),
            {"loss": loss, "gradient": gradient},
            [x[1:], self.net[0].weight.detach()[0], fg.rand(2)],
        ]
        if self.ends:
            self.opt.zero_grad()
        return results[self.returns]

    def watch(self):
        ps = list(self.net.parameters())
        return [*self.net.state_dict().values(), *[p.grad for p in ps], *self.shadow.parameters(), *self.held[-3:]]

    @property
    def gradient(self):
        return self.net[0].weight.grad

    def hold(self, k):
        if self.gradient is not None:
            self.held.append(self.gradient if k % 2 else self.gradient.detach()[0:1])

    def scale_gradient(self, k):
        if self.gradient is not None:
            self.gradient.mul_(0.5)

    def clear_one(self, k):
        ps = list(self.net.parameters())
        ps[k % len(ps)].grad = None

    def hook_parameter(self, k):
        if self.net[0].weight.requires_grad:
            self.handles.append(self.net[0].weight.register_hook(lambda g: g * 0.9))

    def unhook(self, k):
        while self.handles:
            self.handles.pop().remove()

    def rebind(self, k):
        self.kept.append(self.net[0].weight)
        self.net[0].weight = nn.Parameter(self.net[0].weight.detach().clone())

    def load_optimiser(self, k):
        if self.saved is not None and k % 2:
            self.opt.load_state_dict(copy.deepcopy(self.saved))
        else:
            self.saved = copy.deepcopy(self.opt.state_dict())

    def rates_of_dropout(self, k):
        for layer in self.net:
            if isinstance(layer, nn.Dropout):
                layer.p = 0.1 * (1 + k % 4)


def halved(state):
    return {name: value * 0.5 if value.is_floating_point() else value for name, value in state.items()}


EVENTS = {
    "a rate": lambda w, k: w.opt.param_groups[0].update(lr=0.01 * (1 + k % 7)),
    "a decay": lambda w, k: w.opt.param_groups[-1].update(weight_decay=0.1 * (k % 2)),
    "a mode": lambda w, k: w.net.train(k % 2 == 0),
    "gradients cleared": lambda w, k: w.opt.zero_grad(set_to_none=bool(k % 2)),
    "one gradient cleared": World.clear_one,
    "a gradient assigned": lambda w, k: setattr(w.net[0].weight, "grad", fg.full((5, 3), 0.01 * (k % 5))),
    "a gradient scaled": World.scale_gradient,
    "a gradient held": World.hold,
    "nothing held": lambda w, k: w.held.clear(),
    "a layer frozen or not": lambda w, k: w.net[0].requires_grad_(bool(k % 3)),
    "weights loaded": lambda w, k: w.net.load_state_dict(halved(w.net.state_dict())),
    "other data": lambda w, k: setattr(w.net[0].weight, "data", w.net[0].weight.data * 0.9),
    "data written": lambda w, k: w.net[0].weight.data.mul_(0.9),
    "a hook": lambda w, k: w.handles.append(w.net[0].register_forward_hook(lambda module, args, y: y * 0.9)),
    "a hook of a parameter": World.hook_parameter,
    "no hooks": World.unhook,
    "a parameter replaced": World.rebind,
    "a layer replaced": lambda w, k: w.net.__setitem__(-1, nn.Linear(5, 2)),
    "the optimiser saved or loaded": World.load_optimiser,
    "the optimiser's state gone": lambda w, k: w.opt.state.clear(),
    "a seed": lambda w, k: fg.manual_seed(k),
    "a random number": lambda w, k: fg.rand(3),
    "an attribute": lambda w, k: setattr(w.net, "note", k % 3),
    "another rate of dropout": World.rates_of_dropout,
    "an eager backward run": lambda w, k: F.cross_entropy(w.net(inputs(k)), labels(k)).backward(),
    "an evaluation": lambda w, k: w.held.append(w.net(inputs(k)).detach().sum()),
    "a graph kept": lambda w, k: w.kept.append((w.net[0].weight * 2).sum()),
}


def log_of(seed, compile):
    """What each call gave and left; and how many were replays."""
    world = World(seed)
    step = compiled(world.step, limit=10) if compile else world.step
    fg.set_rng_state(world.stream)
    log = []
    for i, (rows, mode, named) in enumerate(world.calls):
        what = world.happens[i]
        try:
            if what is not None:
                EVENTS[what[0]](world, what[1])
            x, y = inputs(i, rows), labels(i, rows)
            result = bits(step(x, y, mode=mode) if named else step(x, y, mode))
        except fg.CompileError:
            raise
        except Exception as error:  # a frozen layer without a gradient, ...: the same one from both
            result = type(error).__name__, str(error)
        log.append((i, what, result, bits(world.watch()), bits(fg.get_rng_state())))
    return log, step.replays if compile else 0


@pytest.mark.filterwarnings("ignore")  # gradients that are not cleared, many programs
@pytest.mark.parametrize("first", range(0, 60, 10))
def test_whatever_happens_between_calls(first):
    replays = 0
    for seed in range(first, first + 10):
        expected, _ = log_of(seed, compile=False)
        found, count = log_of(seed, compile=True)
        for ours, theirs in zip(found, expected, strict=True):
            assert ours == theirs, (seed, ours[:2])
        replays += count
    assert replays > 50
