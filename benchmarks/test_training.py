"""What a training loop is made of: optimiser steps, whole steps, data loading, import."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.bench import contenders, data, steps
from fastgrad.bench import floor as floors
from fastgrad.bench.problem import NotTimedError, Problem, checked

HERE = pathlib.Path(__file__).parent
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


@pytest.mark.parametrize("shapes", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize("name", ["clip_grad_norm", "zero_grad"])
@pytest.mark.benchmark(group="optimiser steps")
def test_gradients_of_all_parameters(benchmark, name, shapes):
    params = [fg.nn.Parameter(fg.ones(shape)) for shape in shapes]
    optimizer = fg.optim.SGD(params)
    for p in params:
        p.grad = fg.full(p.shape, 0.5)
    run = {
        "clip_grad_norm": lambda: fg.nn.utils.clip_grad_norm_(params, 1e-3),
        "zero_grad": lambda: optimizer.zero_grad(set_to_none=False),
    }
    benchmark(run[name])
    assert fg.nn.utils.clip_grad_norm_(params, 1.0) <= 1.1e-3


@pytest.mark.parametrize("name", ["fastgrad", "fastgrad compiled", "floor"])
@pytest.mark.parametrize("row", steps.ROWS, ids=lambda row: str(row.net).replace(" ", ""))
@pytest.mark.benchmark(group="MLP steps", min_rounds=3)
def test_step(benchmark, row, name):
    floors.use_folder(HERE / "floor")
    try:
        step = checked(contenders.CONTENDERS[name][1], Problem(row.net))
    except NotTimedError as reason:
        pytest.skip(str(reason))
    benchmark(step.run, 1)


@pytest.mark.parametrize("features", [64, 784])
@pytest.mark.parametrize("how", ["loader", "slices of Tensors", "slices of arrays"])
@pytest.mark.benchmark(group="data loading, one shuffled epoch of 2,000 samples")
def test_data(benchmark, how, features):
    arrays = np.zeros((data.SAMPLES, features), np.float32), np.zeros(data.SAMPLES, np.int64)
    tensors = [fg.from_numpy(x) for x in arrays]
    epoch = {
        "loader": lambda: data.loader(fg, *tensors),
        "slices of Tensors": lambda: data.by_hand(fg.randperm, *tensors),
        "slices of arrays": lambda: data.by_hand(np.random.default_rng(0).permutation, *arrays),
    }
    benchmark(epoch[how])


@pytest.mark.parametrize("module", ["numpy", "fastgrad"])
@pytest.mark.benchmark(group="import", min_rounds=5)
def test_import(benchmark, module, tmp_path):
    """In an empty folder: the checkout's own `fastgrad` holds no compiled module."""
    done = benchmark(subprocess.run, [sys.executable, "-c", f"import {module}"], check=True, cwd=tmp_path)
    assert done.returncode == 0
