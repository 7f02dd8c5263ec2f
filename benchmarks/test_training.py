"""What a training loop is made of: optimiser steps, whole steps, data loading, import."""

import subprocess
import sys

import floor
import numpy as np
import pytest
import steps

import fastgrad as fg
from fastgrad.utils.data import DataLoader, TensorDataset

OPTIMIZERS = {
    "sgd": fg.optim.SGD,
    "sgd_momentum": lambda params: fg.optim.SGD(params, lr=1e-3, momentum=0.9),
    "adam": fg.optim.Adam,
    "adamw": fg.optim.AdamW,
}
PARAMETERS = {"small": [(64, 4), (64,), (64, 64), (64,), (2, 64), (2,)], "large": [(1024, 784), (1024,)]}


@pytest.mark.parametrize("shapes", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.benchmark(group="optimiser steps")
def test_optimizer(benchmark, make, shapes):
    params = [fg.nn.Parameter(fg.ones(shape)) for shape in shapes]
    optimizer = make(params)
    for p in params:
        p.grad = fg.full(p.shape, 0.5)
    benchmark(optimizer.step)
    assert all((p < 1).all() for p in params)


def row_id(row):
    return f"{row.net.replace(', ', 'x')}-{row.optimizer}"


@pytest.mark.parametrize("row", steps.ROWS, ids=row_id)
@pytest.mark.benchmark(group="MLP steps", min_rounds=3)
def test_step(benchmark, row):
    makers = steps.contenders()
    benchmark(steps.checked(makers["fastgrad"], steps.Problem(row)).run, 1)


@pytest.mark.parametrize("row", steps.ROWS, ids=row_id)
@pytest.mark.benchmark(group="MLP steps", min_rounds=3)
def test_floor_step(benchmark, row):
    try:
        step = steps.checked(steps.FloorStep, steps.Problem(row))
    except floor.FloorError as reason:
        pytest.skip(str(reason))
    benchmark(step.run, 1)


@pytest.mark.parametrize("features", [64, 784])
@pytest.mark.benchmark(group="data loading, one epoch of 2,000 samples")
def test_data_loader(benchmark, features):
    data = TensorDataset(fg.zeros(2000, features), fg.zeros(2000, dtype=fg.int64))
    loader = DataLoader(data, batch_size=32, shuffle=True)
    assert benchmark(lambda: sum(len(x) for x, _ in loader)) == 2000


@pytest.mark.parametrize("features", [64, 784])
@pytest.mark.benchmark(group="data loading, one epoch of 2,000 samples")
def test_slices_of_a_permuted_index(benchmark, features):
    """What the loader is measured against: the same batches, taken by hand from NumPy arrays."""
    x, t = np.zeros((2000, features), np.float32), np.zeros(2000, np.int64)
    rng = np.random.default_rng(0)

    def epoch():
        order, seen = rng.permutation(2000), 0
        for k in range(0, 2000, 32):
            at = order[k : k + 32]
            seen += len(x[at]) + 0 * len(t[at])
        return seen

    assert benchmark(epoch) == 2000


@pytest.mark.parametrize("module", ["numpy", "fastgrad"])
@pytest.mark.benchmark(group="import", min_rounds=5)
def test_import(benchmark, module, tmp_path):
    """In an empty folder: the checkout's own `fastgrad` holds no compiled module."""
    done = benchmark(subprocess.run, [sys.executable, "-c", f"import {module}"], check=True, cwd=tmp_path)
    assert done.returncode == 0
