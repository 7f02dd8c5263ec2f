"""What a gradient costs, timed: against its function, against finite differences, and as depth grows."""

import time

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn

DEPTHS = [8, 16, 32, 64, 128, 256, 512]


def deep(layers, width=8):
    return nn.Sequential(*[part for _ in range(layers) for part in (nn.Linear(width, width), nn.Tanh())])


def step(model, x):
    model.zero_grad()
    model(x).sum().backward()


def seconds(run, repeats):
    """The least of a few runs: what is left is work, not disturbance."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


@pytest.mark.benchmark(group="depth")
def test_time_is_linear_in_depth(benchmark):
    """Layers so small that the deepest net still fits into the cache: else it is the memory that is not linear."""
    x = fg.randn(16, 8)
    models = [deep(layers) for layers in DEPTHS]
    for model in models:
        step(model, x)
    times = [seconds(lambda m=model: step(m, x), 31) for model in models]
    slope, start = np.polyfit(DEPTHS, times, 1)
    rest = np.asarray(times) - (slope * np.asarray(DEPTHS) + start)
    r2 = 1 - rest.var() / np.var(times)
    benchmark.extra_info.update({"R^2": float(r2), "us per layer": float(slope * 1e6)})
    benchmark.pedantic(step, (models[0], x), rounds=20)
    assert r2 >= 0.99


@pytest.mark.benchmark(group="depth")
def test_one_backward_against_finite_differences(benchmark):
    """P + 1 evaluations are timed by a hundred of them."""
    model, x = deep(4, 32), fg.randn(16, 32)
    count = sum(p.numel() for p in model.parameters())

    def forward():
        with fg.no_grad():
            model(x)

    forward()
    step(model, x)
    one, whole = seconds(lambda: [forward() for _ in range(100)], 5) / 100, seconds(lambda: step(model, x), 101)
    benchmark.extra_info.update({"forward passes of a step": whole / one, "times cheaper": (count + 1) * one / whole})
    benchmark.pedantic(step, (model, x), rounds=50)
    assert (count + 1) * one > 0.1 * count * whole
