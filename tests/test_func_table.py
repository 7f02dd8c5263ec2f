"""Every differentiable op of the table: its tangent against the double-vjp construction, and its third derivative by every order
of modes."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F

_spec = importlib.util.spec_from_file_location("table_samples", Path(__file__).with_name("table.py"))
table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)

CASES = table.cases(differentiable=True)
FIRST = [case for case in CASES if case[1] == 0]  # one sample of each op


def ids(case):
    return f"{case[0]}-{case[1]}"


def inputs(case):
    args, _ = table.samples(case[0])[case[1]]
    return tuple(fg.tensor(a.astype(np.float64)) for a in table.real_arrays(args))


def directions(xs, seed):
    rng = np.random.default_rng(seed)
    return tuple(fg.tensor(rng.normal(size=tuple(x.shape))) for x in xs)


def function(case):
    return lambda *xs: tuple(y for y in table.call(*case, xs) if y.is_floating_point())


def close(a, b, what, rtol=1e-8):
    a, b = a.detach().numpy(), b.detach().numpy()
    scale = np.abs(b).max(initial=1.0)
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-10 * scale, err_msg=what)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_tangent_against_two_pullbacks(case):
    """`linearize` transposes the pullback, and needs no rule of forward mode."""
    xs = inputs(case)
    if not xs:
        return
    ts = directions(xs, 5)
    _, forward = F.jvp(function(case), xs, ts)
    _, derivative = F.linearize(function(case), *xs)
    for a, b in zip(forward, derivative(*ts), strict=True):
        close(a, b, case[0])


@pytest.mark.parametrize("case", FIRST, ids=ids)
def test_third_order_by_every_order_of_modes(case):
    f, xs = function(case), inputs(case)
    ys = f(*xs) if xs else ()
    if not ys:
        return
    gs, ts = directions(ys, 6), directions(xs, 5)
    every = tuple(range(len(xs)))

    def weighted(*xs):
        parts = [(y * g).sum() for y, g in zip(f(*xs), gs, strict=True)]
        return sum(parts[1:], parts[0])

    def dot(found):
        parts = [(d * t).sum() for d, t in zip(found, ts, strict=True)]
        return sum(parts[1:], parts[0])

    def reverse(h):
        return lambda *xs: dot(F.grad(h, every)(*xs))

    def forward(h):
        return lambda *xs: F.jvp(h, xs, ts)[1]

    expected = F.grad(reverse(reverse(weighted)), every)(*xs)
    for name, h in (
        ("reverse, forward, reverse", forward(reverse(weighted))),
        ("reverse, reverse, forward", reverse(forward(weighted))),
        ("reverse, forward, forward", forward(forward(weighted))),
    ):
        for a, b in zip(F.grad(h, every)(*xs), expected, strict=True):
            close(a, b, name, 1e-7)
    found = F.jvp(F.grad(reverse(weighted), every), xs, ts)[1]
    for a, b in zip(found, expected, strict=True):
        close(a, b, "forward, reverse, reverse", 1e-7)
