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
                group.setdefault("initial_lr", group["lr"])  # that of the first scheduler, where there are several
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
    """Multiplies the rate by `gamma` after every `step_size` steps.

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> schedule = fg.optim.lr_scheduler.StepLR(optimizer, step_size=2)
        >>> rates = [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[2] for epoch in range(4)]
        >>> [round(rate, 4) for rate in rates]
        [1.0, 0.1, 0.1, 0.01]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self._current()
        return [lr * self.gamma for lr in self._current()]


class MultiStepLR(LRScheduler):
    """Multiplies the rate by `gamma` at each of the given steps, as often as it is listed.

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> schedule = fg.optim.lr_scheduler.MultiStepLR(optimizer, [1, 3])
        >>> rates = [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[2] for epoch in range(4)]
        >>> [round(rate, 4) for rate in rates]
        [0.1, 0.1, 0.01, 0.01]
    """

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones = list(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        factor = self.gamma ** self.milestones.count(self.last_epoch)
        return [lr * factor for lr in self._current()]


class ExponentialLR(LRScheduler):
    """Multiplies the rate by `gamma` after every step.

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> schedule = fg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[2] for epoch in range(3)]
        [0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return self._current() if self.last_epoch == 0 else [lr * self.gamma for lr in self._current()]


class LinearLR(LRScheduler):
    """Times a factor that goes from `start_factor` to `end_factor` in `total_iters` steps, and stays: a warm-up.

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> schedule = fg.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[2] for epoch in range(3)]
        [0.75, 1.0, 1.0]
    """

    def __init__(self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1):
        if not 0 < start_factor <= 1:
            raise ValueError("Starting multiplicative factor expected to be greater than 0 and less or equal to 1.")
        if not 0 <= end_factor <= 1:
            raise ValueError("Ending multiplicative factor expected to be between 0 and 1.")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, rise = self.last_epoch, self.end_factor - self.start_factor
        if t == 0:
            return [lr * self.start_factor for lr in self._current()]
        if t > self.total_iters:
            return self._current()
        factor = 1 + rise / (self.total_iters * self.start_factor + (t - 1) * rise)
        return [lr * factor for lr in self._current()]


class CosineAnnealingLR(LRScheduler):
    """eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2 (Loshchilov & Hutter 2017, without restarts).

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> schedule = fg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
        >>> rates = [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[2] for epoch in range(2)]
        >>> [round(rate, 4) for rate in rates]
        [0.5, 0.0]
    """

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

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> schedule = fg.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
        >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[2] for epoch in range(3)][0]
        0.5
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


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by `factor` where a measure has not become better for more than `patience` steps.

    Args:
        optimizer: whose rates to set.
        mode: "min" or "max": whether smaller or larger is better.
        factor: below 1.
        patience: steps without progress that are let pass.
        threshold: what counts as progress: a better value by this share of the best one (threshold_mode "rel") or by
            this number ("abs").
        cooldown: steps after a reduction that are not counted.
        min_lr: the least rate, a number or one for each group.
        eps: a smaller change of the rate is left out.

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> schedule = fg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
        >>> [(schedule.step(1.0), optimizer.param_groups[0]["lr"])[1] for epoch in range(3)]
        [1.0, 1.0, 0.1]
    """

    def __init__(
        self,
        optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr=0.0,
        eps=1e-8,
    ):
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        groups = len(optimizer.param_groups)
        self.min_lrs = list(min_lr) if isinstance(min_lr, list | tuple) else [min_lr] * groups
        if len(self.min_lrs) != groups:
            raise ValueError(f"expected {groups} min_lrs, got {len(self.min_lrs)}")
        self.optimizer = optimizer
        self.mode, self.factor, self.patience = mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = self._current()

    def _is_better(self, value):
        sign = 1 if self.mode == "min" else -1
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1)
        return sign * value < sign * self.best - (margin if math.isfinite(self.best) else 0)

    def step(self, metrics):
        """Takes the measure of this step and sets the rates; `metrics` is a number or a Tensor of one."""
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lr = max(group["lr"] * self.factor, least)
                group["lr"] = lr if group["lr"] - lr > self.eps else group["lr"]
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._current()


class OneCycleLR(LRScheduler):
    """One cycle of the rate (Smith & Topin 2019): up to `max_lr`, then down far below where it began.

    Args:
        optimizer: whose rates to set; the momentum (of SGD) or the first beta (of Adam) of its groups moves the other way
            if `cycle_momentum`.
        max_lr: the largest rate, a number or one for each group.
        total_steps: the number of steps; or epochs * steps_per_epoch.
        pct_start: the share of steps on which the rate rises.
        anneal_strategy: "cos" or "linear".
        base_momentum, max_momentum: the bounds of the momentum.
        div_factor: max_lr by the first rate.
        final_div_factor: the first rate by the last.
        three_phase: whether the rate first comes back to where it began, and falls further then.

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> schedule = fg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=4)
        >>> round(schedule.get_last_lr()[0], 4)
        0.04
    """

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        last_epoch=-1,
    ):
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
            total_steps = epochs * steps_per_epoch
        if total_steps <= 0 or not isinstance(total_steps, int):
            raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self.total_steps, self.anneal_strategy, self.cycle_momentum = total_steps, anneal_strategy, cycle_momentum
        top = pct_start * total_steps - 1
        # (last step, rate from, rate to, momentum from, momentum to) of each phase
        self._phases = [(float(top), "initial_lr", "max_lr", "max_momentum", "base_momentum")]
        if three_phase:
            self._phases.append(
                (2 * pct_start * total_steps - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum")
            )
            self._phases.append((total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"))
        else:
            self._phases.append((total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"))
        if last_epoch == -1:
            groups = optimizer.param_groups
            for k, group in enumerate(groups):
                largest = max_lr[k] if isinstance(max_lr, list | tuple) else max_lr
                group.update(lr=largest / div_factor, initial_lr=largest / div_factor, max_lr=largest)
                group["min_lr"] = group["lr"] / final_div_factor
                if cycle_momentum:
                    self._set_momentum(group, max_momentum)
                    group.update(base_momentum=base_momentum, max_momentum=max_momentum)
        super().__init__(optimizer, last_epoch)

    @staticmethod
    def _set_momentum(group, value):
        if "betas" in group:
            group["betas"] = (value, *group["betas"][1:])
        elif "momentum" in group:
            group["momentum"] = value
        else:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")

    def _between(self, start, end, share):
        if self.anneal_strategy == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    def get_lr(self):
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(f"Tried to step {t} times. The specified number of total steps is {self.total_steps}")
        rates = []
        for group in self.optimizer.param_groups:
            begin = 0.0
            for k, (end, lr0, lr1, m0, m1) in enumerate(self._phases):
                if t <= end or k == len(self._phases) - 1:
                    share = (t - begin) / (end - begin)
                    rates.append(self._between(group[lr0], group[lr1], share))
                    if self.cycle_momentum:
                        self._set_momentum(group, self._between(group[m0], group[m1], share))
                    break
                begin = end
        return rates


class SequentialLR:
    """Several schedulers, one after the other: each from its milestone on.

    Args:
        optimizer: the optimiser of all of them.
        schedulers: in their order.
        milestones: the steps at which the second, the third, ... take over.

    Example:
        >>> optimizer = fg.optim.SGD([fg.nn.Parameter(fg.ones(1))], lr=1.0)
        >>> first = fg.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=1)
        >>> then = fg.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        >>> schedule = fg.optim.lr_scheduler.SequentialLR(optimizer, [first, then], milestones=[1])
        >>> [(optimizer.step(), schedule.step(), schedule.get_last_lr()[0])[2] for epoch in range(3)]
        [1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        if len(schedulers) < 1 or len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"Sequential Schedulers expects number of schedulers provided to be one more than the number of milestone "
                f"points, but got number of schedulers {len(schedulers)} and the number of milestones to be equal to "
                f"{len(milestones)}"
            )
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ValueError("all schedulers must be of this optimizer")
        self.optimizer, self._schedulers, self._milestones = optimizer, list(schedulers), list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for scheduler in schedulers:  # what each did when it was made is taken back
            scheduler.last_epoch -= 1
        self._schedulers[0].step()
        self._last_lr = self._schedulers[0].get_last_lr()

    def step(self):
        """Goes to the next step of the scheduler whose turn it is."""
        self.last_epoch += 1
        turn = sum(self.last_epoch >= milestone for milestone in self._milestones)
        scheduler = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            for group, base in zip(self.optimizer.param_groups, scheduler.base_lrs, strict=True):
                group["lr"] = base
            scheduler.last_epoch = -1
        scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def get_last_lr(self):
        """The rates as last set."""
        return self._last_lr

    def state_dict(self):
        """All attributes but the optimiser; of the schedulers, their state."""
        state = {name: value for name, value in self.__dict__.items() if name not in ("optimizer", "_schedulers")}
        return {**state, "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict):
        """Takes over what `state_dict()` returned."""
        self.__dict__.update({name: value for name, value in state_dict.items() if name != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
