"""lr_find: the loss as the learning rate grows (Smith 2017). Imports the core and optim."""

import copy
import math

import numpy as np

from fastgrad import optim
from fastgrad.viz._chart import line_chart


class LearningRates:
    """What `lr_find` measured: `rates`, `losses` (smoothed), and `suggestion`, where the loss falls fastest."""

    def __init__(self, rates, losses, raw, stopped):
        self.rates, self.losses, self.raw, self.stopped = rates, losses, raw, stopped
        self.suggestion = _steepest(rates, losses)

    def __repr__(self):
        why = "the loss diverged" if self.stopped else "the largest rate was reached"
        return f"<learning rates {self.rates[0]:.2g} to {self.rates[-1]:.2g}, {why}; suggestion {self.suggestion:.2g}>"

    def to_svg(self):
        """The smoothed losses over the rates, with the suggestion, as a picture."""
        mark = (self.suggestion, f"suggestion {self.suggestion:.2g}")
        lines = {"loss, smoothed": (self.rates, self.losses)}
        return line_chart(lines, across="learning rate", up="loss", logx=True, mark=mark)

    _repr_svg_ = to_svg

    def plot(self):
        """The losses over the rates; returns the figure. Needs matplotlib (`pip install fastgrad[plot]`)."""
        from fastgrad.profiler._profile import matplotlib_pyplot

        plt = matplotlib_pyplot("plot")
        figure, axes = plt.subplots(figsize=(6, 3.6))
        axes.plot(self.rates, self.losses, color="#3b7dd8")
        axes.set_xscale("log")
        axes.axvline(self.suggestion, color="#d1642e", linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss, smoothed")
        axes.legend()
        figure.tight_layout()
        return figure


def _steepest(rates, losses):
    """The rate where the loss falls fastest over the logarithm of the rate, before its minimum."""
    if len(rates) < 3:
        return rates[0]
    slopes = np.gradient(np.asarray(losses), np.log(rates))
    end = max(int(np.argmin(losses)), 2)
    return float(rates[int(np.argmin(slopes[:end]))])


def lr_find(model, loader, loss, *, optimizer=None, low=1e-6, high=10.0, steps=100, smoothing=0.9, diverges=4.0):
    """Trains for a few steps while the learning rate grows, and says where the loss fell fastest.

    Args:
        model: a Module; its parameters and buffers are as before when this returns.
        loader: yields (inputs, targets); it is started anew when it ends.
        loss: a function of the model's output and the targets.
        optimizer: makes an optimiser from parameters and `lr`; `optim.SGD` by default.
        low, high: the range of the rate, which grows geometrically over `steps` steps.
        smoothing: of the losses, an exponential average with its bias corrected.
        diverges: stop where the smoothed loss is this many times the smallest so far, or no number.

    Returns: `LearningRates` with rates, losses, suggestion and `plot()`.

    Example:
        >>> net = fg.nn.Linear(3, 1)
        >>> x = fg.randn(32, 3)
        >>> found = lr_find(net, [(x, x.sum(1, keepdim=True))], fg.nn.functional.mse_loss, steps=60)
        >>> 1e-4 < found.suggestion < 1
        True
    """
    if not 0 < low < high:
        raise ValueError(f"lr_find: expected 0 < low < high, got {low} and {high}")
    if steps < 2:
        raise ValueError(f"lr_find: expected at least 2 steps, got {steps}")
    kept = copy.deepcopy(model.state_dict())
    gradients = [(p, p.grad) for p in model.parameters()]
    for p, _ in gradients:
        p.grad = None
    stepper = (optimizer or optim.SGD)([p for p in model.parameters() if p.requires_grad], lr=low)
    rates, losses, raw, average, stopped = [], [], [], 0.0, False
    batches = iter(loader)
    try:
        for k in range(steps):
            rate = low * (high / low) ** (k / (steps - 1))
            for group in stepper.param_groups:
                group["lr"] = rate
            try:
                x, targets = next(batches)
            except StopIteration:
                batches = iter(loader)
                x, targets = next(batches)
            stepper.zero_grad()
            value = loss(model(x), targets)
            number = value.item()
            average = smoothing * average + (1 - smoothing) * number
            smooth = average / (1 - smoothing ** (k + 1))
            if not math.isfinite(number) or (losses and smooth > diverges * min(losses)):
                stopped = True
                break
            rates.append(rate)
            losses.append(smooth)
            raw.append(number)
            value.backward()
            stepper.step()
    finally:
        model.load_state_dict(kept)
        for p, g in gradients:
            p.grad = g
    if not rates:
        raise RuntimeError("lr_find: the first loss is no finite number; look for it with detect_anomaly()")
    return LearningRates(rates, losses, raw, stopped)
