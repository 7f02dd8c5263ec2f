"""The samples of the table of ops, as the generated tests use them."""

import sys

import numpy as np
from fastgrad._core.table import functions

import fastgrad as fg

RECORDS = sys.modules["fastgrad._core.kernels"].records()


def function_of(name):
    """The public function (or method) of a record; None where it has none."""
    return functions.get(name) or getattr(fg.Tensor, name, None)


def samples(name):
    """[(args, kwargs)] of NumPy arrays and plain values, the same in every run."""
    return RECORDS[name].sample(np.random.default_rng(7))


def cases(differentiable=None):
    """(name, index) of every sample of every record that has a public function."""
    return [
        (name, k)
        for name, record in sorted(RECORDS.items())
        if record.sample is not None and function_of(name) is not None
        if differentiable is None or record.differentiable == differentiable
        for k in range(len(samples(name)))
    ]


def convert(x, tensor):
    """Arrays, also inside tuples and lists, through `tensor`."""
    if isinstance(x, np.ndarray):
        return tensor(x)
    if isinstance(x, (tuple, list)) and any(isinstance(y, (np.ndarray, tuple, list)) for y in x):
        return type(x)(convert(y, tensor) for y in x)
    return x


def real_arrays(args):
    """The real arrays among nested arguments, in order."""
    found = []
    convert(args, lambda a: found.append(a) if a.dtype.kind == "f" else None)
    return found


def outputs(result):
    """The tensors an op returned, as a list."""
    return [result] if not isinstance(result, (tuple, list)) else [y for r in result for y in outputs(r)]


def call(name, k, arrays, tensor=None, function=None):
    """Runs a sample with its real arrays replaced by `arrays`; returns the list of outputs."""
    args, kwargs = samples(name)[k]
    rest = iter(arrays)
    make = tensor or fg.tensor
    replaced = convert(tuple(args), lambda a: next(rest) if a.dtype.kind == "f" else make(a))
    return outputs((function or function_of(name))(*replaced, **kwargs))
