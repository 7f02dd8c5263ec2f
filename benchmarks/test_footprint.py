"""What the library takes: installed size, peak memory of a training step, and none more after a million steps."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from fastgrad.bench import graphs, memory, startup
from fastgrad.bench.contenders import CONTENDERS, version
from fastgrad.bench.problem import Net, Problem

ROOT = pathlib.Path(__file__).parents[1]
MEGABYTE = 1_000_000


def test_installed_size(record_property):
    """A quarter of it is the kernels, compiled for each instruction set."""
    size = startup.installed("fastgrad")
    record_property("bytes", size)
    assert size <= 11.5 * MEGABYTE


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_wheel_size(tmp_path):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size <= 5 * MEGABYTE


@pytest.mark.skipif(version("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_peak_memory_is_at_most_that_of_torch(optimizer):
    net = Net(memory.NET.batch, memory.NET.sizes, optimizer)
    assert memory.in_new_process("fastgrad", net) <= memory.in_new_process("torch", net)


def test_a_million_steps_take_no_memory():
    step = CONTENDERS["fastgrad"][1](Problem(Net(1, (4, 64, 64, 2), "adamw")), 1e-8)
    step.run(1000)
    before = graphs.resident()
    step.run(1_000_000)
    assert graphs.resident() - before <= MEGABYTE // 4
