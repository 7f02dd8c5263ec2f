"""lr_find: the loss as the learning rate grows (Smith 2017). Imports the core, nn and optim.

What is suggested was chosen on digits, with six small nets under SGD, with and without momentum, and AdamW. Of 64 trainings of
ten epochs at a fifth of the rate with the least loss one ended with a loss above 1 (median 0.06; at a third of it two, 0.07; at
a tenth none, 0.09). Some nets do not learn within the search, and get no suggestion. Where an exponential average falls
fastest, which lags ten steps behind the loss, a factor of 4, was the rate before: 10 of 36 ended above 1.
"""

import copy
import math
from collections.abc import Iterator

import numpy as np

from fastgrad import optim
from fastgrad.diagnostics._diagnose import pair_of
from fastgrad.nn import Module
from fastgrad.viz._chart import line_chart

PART = 11  # the loss is averaged over an eleventh of the steps, around each
BELOW = 5  # the suggestion is so many times below the rate with the least loss, where training is about to diverge


class LearningRates:
    """What `lr_find` measured: `rates`, `raw`, the loss at each, `losses`, these averaged over neighbouring rates, and
    `suggestion`, a fifth of the rate where `losses` are least; None where the loss did not fall by more than it varies."""

    def __init__(self, rates, raw, stopped, width=9):
        self.rates, self.raw, self.stopped = rates, raw, stopped
        self.losses = _averages(raw, width)
        self.suggestion = _suggested(rates, raw, self.losses)

    def __repr__(self):
        why = "the loss diverged" if self.stopped else "the largest rate was reached"
        best = "none: the loss did not fall" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"<learning rates {self.rates[0]:.2g} to {self.rates[-1]:.2g}, {why}; suggestion {best}>"

    def to_svg(self):
        """The losses over the rates, with the suggestion, as a picture."""
        mark = None if self.suggestion is None else (self.suggestion, f"suggestion {self.suggestion:.2g}")
        lines = {"loss, averaged": (self.rates, self.losses), "of each step": (self.rates, self.raw)}
        colours = ("#3b7dd8", "#c9ced5")
        return line_chart(lines, across="learning rate", up="loss", logx=True, mark=mark, colours=colours)

    _repr_svg_ = to_svg

    def plot(self):
        """The losses over the rates; returns the figure. Needs matplotlib (`pip install fastgrad[plot]`)."""
        from fastgrad.profiler._profile import matplotlib_pyplot

        plt = matplotlib_pyplot("plot")
        figure, axes = plt.subplots(figsize=(6, 3.6))
        axes.plot(self.rates, self.raw, color="#c9ced5", label="loss of each step")
        axes.plot(self.rates, self.losses, color="#3b7dd8", label="averaged")
        axes.set_xscale("log")
        if self.suggestion is not None:
            axes.axvline(self.suggestion, color="#d1642e", linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.legend()
        figure.tight_layout()
        return figure


def _averages(values, width):
    """Each value averaged with its neighbours: what comes later counts as much as what came before, so that nothing shifts."""
    half = width // 2
    return [float(np.mean(values[max(0, k - half) : k + half + 1])) for k in range(len(values))]


def _suggested(rates, raw, losses):
    least = int(np.argmin(losses))
    early = max(len(raw) // 3, 2)  # where rates are too small to change anything
    noise = float(np.std(raw[:early]))
    if losses[0] - losses[least] <= max(2 * noise, 0.01 * abs(losses[0])):
        return None
    return rates[least] / BELOW


def lr_find(model, loader, loss, *, optimizer=None, low=1e-6, high=10.0, steps=100, smoothing=0.9, diverges=4.0):
    """Trains for a few steps while the learning rate grows, and says which rate to train with (Smith 2017).

    Args:
        model: a Module; its parameters and buffers are as before when this returns.
        loader: yields (inputs, targets); it is started anew when it ends.
        loss: a function of the model's output and the targets, which gives a number.
        optimizer: makes an optimiser from parameters and `lr`; `optim.SGD` by default.
        low, high: the range of the rate, which grows geometrically over `steps` steps.
        smoothing: from 0 to below 1: how much of the running average that tells divergence is the past.
        diverges: stop where that average is this many times the smallest so far, or no number.

    Returns: `LearningRates` with rates, losses, suggestion and `plot()`.

    Example:
        >>> net = fg.nn.Linear(3, 1)
        >>> x = fg.randn(32, 3)
        >>> found = lr_find(net, [(x, x.sum(1, keepdim=True))], fg.nn.functional.mse_loss, steps=60)
        >>> 1e-3 < found.suggestion < 1
        True
    """
    if not isinstance(model, Module):
        raise TypeError(f"lr_find: expected a Module, got {type(model).__name__}")
    if not 0 < low < high:
        raise ValueError(f"lr_find: expected 0 < low < high, got {low} and {high}")
    if steps < 2:
        raise ValueError(f"lr_find: expected at least 2 steps, got {steps}")
    if not 0 <= smoothing < 1 or not diverges > 1:
        raise ValueError(
            f"lr_find: expected 0 <= smoothing < 1 and diverges > 1, got smoothing={smoothing} and diverges={diverges}"
        )
    if optimizer is not None and not callable(optimizer):
        raise TypeError(
            "lr_find: optimizer should make an optimiser from parameters and lr, as the class optim.AdamW does, or "
            f"lambda p, lr: optim.SGD(p, lr=lr, momentum=0.9); got a {type(optimizer).__name__} that is made already"
        )
    kept = copy.deepcopy(model.state_dict())
    gradients = [(p, p.grad) for p in model.parameters()]
    for p, _ in gradients:
        p.grad = None
    rates, raw, average, least, stopped = [], [], 0.0, math.inf, False
    batches = _endless(loader)
    try:
        stepper = (optimizer or optim.SGD)([p for p in model.parameters() if p.requires_grad], lr=low)
        for k in range(steps):
            rate = low * (high / low) ** (k / (steps - 1))
            for group in stepper.param_groups:
                group["lr"] = rate
            x, targets = pair_of(next(batches), "lr_find")
            stepper.zero_grad()
            value = loss(model(x), targets)
            number = value.item()
            average = smoothing * average + (1 - smoothing) * number
            smooth = average / (1 - smoothing ** (k + 1))
            if not math.isfinite(number) or smooth > diverges * least:
                stopped = True
                break
            least = min(least, smooth)
            rates.append(rate)
            raw.append(number)
            value.backward()
            stepper.step()
    finally:
        model.load_state_dict(kept)
        for p, g in gradients:
            p.grad = g
    if not rates:
        raise RuntimeError("lr_find: the first loss is no finite number; look for it with detect_anomaly()")
    return LearningRates(rates, raw, stopped, max(steps // PART, 1))


def _endless(loader):
    """The batches of a loader, over and over."""
    while True:
        batch = None
        for batch in loader:
            yield batch
        if batch is None or isinstance(loader, Iterator):
            raise ValueError(
                "lr_find: the loader has no batch, or no more: expected what can be started anew, as a DataLoader or a list of "
                "(inputs, targets), not a generator"
            )
