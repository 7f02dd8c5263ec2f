"""Every op against PyTorch: values and gradients of the table's samples, from a recording, and live where it is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg

_spec = importlib.util.spec_from_file_location("record_torch", Path(__file__).with_name("record_torch.py"))
record_torch = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(record_torch)
table = record_torch.table

RECORDED = record_torch.load()
CASES = [c for c in table.cases() if f"{c[0]}-{c[1]}" in RECORDED]

# PyTorch's derivative multiplies by 1/6 rounded to float32.
TOLERANCE = {"hardsigmoid": 1e-7}


def results(name, k):
    args, _ = table.samples(name)[k]
    xs = [fg.tensor(a, requires_grad=True) for a in table.real_arrays(args)]
    ys = table.call(name, k, xs)
    return record_torch.collect(ys, xs, fg.tensor, lambda y, x: fg.autograd.grad(y, x, allow_unused=True)), len(ys)


def compare(name, k, expected):
    got, outputs = results(name, k)
    assert len(got) == len(expected)
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        if i >= outputs:
            # no gradient and a gradient of zeros are the same
            a, b = (np.zeros(0) if not np.any(g) else g for g in (a, b))
        assert a.shape == b.shape, f"output {i}"
        if a.dtype != b.dtype:
            raise AssertionError(f"output {i}: {a.dtype} here, {b.dtype} there")
        np.testing.assert_allclose(
            a, b, rtol=TOLERANCE.get(name, 1e-9), atol=1e-11, err_msg=f"result {i} of {outputs} outputs and gradients"
        )


def ids(case):
    return f"{case[0]}-{case[1]}"


def test_most_samples_are_recorded():
    assert len(CASES) > 150


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_as_recorded(case):
    name, k = case
    compare(name, k, RECORDED[f"{name}-{k}"])


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed: compared with its recording"
)
def test_live():
    for name, k in CASES:
        compare(name, k, record_torch.torch_results(name, k))
