"""Schedules against their closed forms."""

import math

import pytest

import fastgrad as fg
from fastgrad.optim import SGD, Adam, lr_scheduler


def optimizer(lr=0.1, **options):
    return SGD([fg.ones(1, requires_grad=True)], lr=lr, **options)


def rates(scheduler, steps, optimizer):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_multi_step_exponential_and_linear():
    o = optimizer()
    assert rates(lr_scheduler.MultiStepLR(o, [2, 2, 4]), 6, o) == pytest.approx([0.1, 0.1, 1e-3, 1e-3, 1e-4, 1e-4])
    o = optimizer()
    assert rates(lr_scheduler.ExponentialLR(o, 0.5), 3, o) == pytest.approx([0.1, 0.05, 0.025])
    o = optimizer()
    assert rates(lr_scheduler.LinearLR(o, 0.2, total_iters=4), 6, o) == pytest.approx(
        [0.02, 0.04, 0.06, 0.08, 0.1, 0.1]
    )


def test_one_cycle_rises_and_falls_with_momentum_against_it():
    o = optimizer(momentum=0.9)
    found = rates(lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=11, pct_start=0.5), 11, o)
    assert found[0] == pytest.approx(0.04) and max(found) == pytest.approx(1.0, abs=0.05)
    assert found[-1] == pytest.approx(0.04 / 1e4)
    # the rate's cosine from step 4.5 to step 10
    assert found[7] == pytest.approx(4e-6 + (1 - 4e-6) / 2 * (1 + math.cos(math.pi * 2.5 / 5.5)))
    o = Adam([fg.ones(1, requires_grad=True)])
    lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=10)
    assert o.param_groups[0]["betas"] == (0.95, 0.999)
    with pytest.raises(ValueError, match="total_steps OR"):
        lr_scheduler.OneCycleLR(o, max_lr=1.0)


def test_a_plateau_reduces_the_rate():
    o = optimizer()
    plateau = lr_scheduler.ReduceLROnPlateau(o, factor=0.5, patience=1, cooldown=1, min_lr=0.03)
    found = []
    for loss in (1.0, 1.0, fg.tensor(1.0), 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5):
        plateau.step(loss)
        found.append(o.param_groups[0]["lr"])
    assert found == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.05, 0.03, 0.03, 0.03, 0.03, 0.03])
    state = plateau.state_dict()
    other = lr_scheduler.ReduceLROnPlateau(optimizer())
    other.load_state_dict(state)
    assert other.best == 0.5 and other.patience == 1


def test_schedules_one_after_the_other():
    o = optimizer()
    warm, then = lr_scheduler.LinearLR(o, 0.5, total_iters=2), lr_scheduler.ExponentialLR(o, 0.1)
    schedule = lr_scheduler.SequentialLR(o, [warm, then], [2])
    assert rates(schedule, 5, o) == pytest.approx([0.05, 0.075, 0.1, 0.01, 0.001])
    state = schedule.state_dict()
    schedule.load_state_dict(state)
    assert schedule.get_last_lr() == [o.param_groups[0]["lr"]]


def test_a_second_schedule_begins_where_the_first_did():
    o = optimizer()
    lr_scheduler.LinearLR(o, 0.5)
    assert lr_scheduler.ExponentialLR(o, 0.9).base_lrs == [0.1]
