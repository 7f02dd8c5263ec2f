"""Every op against PyTorch, from a recording, and live where it is installed: values and gradients of the table's samples;
and calls as users write them, with second derivatives, dtypes, the names of arguments and the types of exceptions."""

import importlib.util
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.nn import functional

_spec = importlib.util.spec_from_file_location("record_torch", Path(__file__).with_name("record_torch.py"))
record_torch = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(record_torch)
table = record_torch.table
calls = record_torch.calls

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


def difference(call, expected):
    """What is different in what a call gives here, as text; None where nothing is."""
    got = calls.run(call, fg, functional)
    if isinstance(expected[0], str) or isinstance(got[0], str):
        if isinstance(expected[0], str) and isinstance(got[0], str):
            return None if expected[0].lstrip("_") in got else f"raises {got[0]}, there {expected[0]}"
        return f"gives {got if isinstance(got[0], str) else got[0]}, there {expected[0]}"
    if got[0] != expected[0]:
        return f"gives {got[0]}, there {expected[0]}"
    coarse = re.search(r"\b[fg]\b|float32|\b[ijubck]\b", call) or any("float32" in part for part in got[0])
    rtol, atol = (2e-4, 2e-5) if coarse else (1e-7, 1e-9)
    numbers = got[1][: len(expected[1])]
    if len(numbers) < len(expected[1]) or not np.allclose(numbers, expected[1], rtol, atol):
        return f"numbers {numbers}, there {expected[1]}"
    return None


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_calls_give_what_pytorch_gave():
    recorded = record_torch.load_calls()
    assert set(recorded) == set(calls.CALLS) and len(recorded) > 2000, "run tests/record_torch.py"
    assert set(recorded) >= calls.DIFFERENT
    wrong = {call: difference(call, expected) for call, expected in recorded.items() if call not in calls.DIFFERENT}
    assert not {call: what for call, what in wrong.items() if what}


def test_what_is_listed_as_different_is():
    recorded = record_torch.load_calls()
    assert not [call for call in calls.DIFFERENT if difference(call, recorded[call]) is None]


def test_calls_that_must_raise_do():
    bad = [call for call in calls.CALLS if call.startswith("!") and call not in calls.DIFFERENT]
    assert not [call for call in bad if not isinstance(calls.run(call, fg, functional)[0], str)]
