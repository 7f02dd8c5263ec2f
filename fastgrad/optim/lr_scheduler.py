"""Schedules of the learning rate. Imports Optimizer.

A scheduler sets `group["lr"]` of every group: at once when it is made, and then at each `step()`. The rates follow from
the current ones, not from a closed form, so that several schedulers may act on one optimiser.
"""

import math
import warnings

from fastgrad.optim.optimizer import Optimizer


class LRScheduler:
    """The base class of schedulers; a subclass defines `get_lr()`, the rates of all groups at step `last_epoch`.

    Args:
        optimizer: whose rates to set.
        last_epoch: the number of the last step taken; -1 to start anew.
    """

    def __init__(self, optimizer, last_epoch=-1):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        for k, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group["initial_lr"] = group["lr"]
            elif "initial_lr" not in group:
                raise KeyError(f"param 'initial_lr' is not specified in param_groups[{k}] when resuming an optimizer")
        self.optimizer = optimizer
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._started = False
        self.step()

    def get_lr(self):
        """The rates of all groups at step `last_epoch`."""
        raise NotImplementedError

    def step(self):
        """Goes to the next step and sets the rates; call it after `optimizer.step()`."""
        if self._started and self.last_epoch == 0 and not self.optimizer._stepped:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: call them in the opposite order, "
                "or the first value of the schedule is skipped",
                stacklevel=2,
            )
        self._started = True
        self.last_epoch += 1
        self._last_lr = list(self.get_lr())
        for group, lr in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = lr

    def get_last_lr(self):
        """The rates as last set by this scheduler."""
        return self._last_lr

    def state_dict(self):
        """All attributes but the optimiser."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict):
        """Takes over what `state_dict()` returned; the optimiser's own state_dict holds the current rates."""
        self.__dict__.update(state_dict)

    def _current(self):
        return [group["lr"] for group in self.optimizer.param_groups]


class StepLR(LRScheduler):
    """Multiplies the rate by `gamma` after every `step_size` steps."""

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self._current()
        return [lr * self.gamma for lr in self._current()]


class CosineAnnealingLR(LRScheduler):
    """eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2 (Loshchilov & Hutter 2017, without restarts)."""

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, period, low = self.last_epoch, self.T_max, self.eta_min
        if t == 0:
            return self._current()
        before = 1 + math.cos(math.pi * (t - 1) / period)
        if (t - 1 - period) % (2 * period) == 0:
            # Here `before` is 0 and the quotient below 0/0: the step up from the minimum is the first step down.
            rise = (1 - math.cos(math.pi / period)) / 2
            return [lr + (base - low) * rise for lr, base in zip(self._current(), self.base_lrs, strict=True)]
        factor = (1 + math.cos(math.pi * t / period)) / before
        return [low + (lr - low) * factor for lr in self._current()]


class LambdaLR(LRScheduler):
    """The initial rate times a function of the step.

    Args:
        optimizer: whose rates to set.
        lr_lambda: the function, or a list of one for each group.
    """

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        groups = len(optimizer.param_groups)
        if isinstance(lr_lambda, list | tuple):
            if len(lr_lambda) != groups:
                raise ValueError(f"Expected {groups} lr_lambdas, but got {len(lr_lambda)}")
            self.lr_lambdas = list(lr_lambda)
        else:
            self.lr_lambdas = [lr_lambda] * groups
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return [base * factor(self.last_epoch) for base, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self):
        """All attributes but the optimiser and functions; of callable objects, their attributes are kept."""
        state = super().state_dict()
        state["lr_lambdas"] = [
            None if isinstance(factor, type(lambda: None)) else dict(factor.__dict__) for factor in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict):
        """Takes over what `state_dict()` returned; functions stay as they are."""
        super().load_state_dict({name: value for name, value in state_dict.items() if name != "lr_lambdas"})
        for factor, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if saved is not None:
                factor.__dict__.update(saved)
