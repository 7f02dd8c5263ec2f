"""The type stubs say what the package is; `make stubs` has stubtest compare them in every detail."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import fastgrad

CHECKOUT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("make_stubs", Path(__file__).with_name("make_stubs.py"))
make_stubs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_stubs)


@pytest.mark.skipif(not (CHECKOUT / "setup.py").exists(), reason="these tests lie outside a checkout")
@pytest.mark.parametrize("path", make_stubs.stubs())
def test_stubs_are_current(path):
    written = (CHECKOUT / "fastgrad" / path).read_text(encoding="utf-8")
    assert written == make_stubs.stubs()[path], "run python tests/make_stubs.py"


def test_the_tables_name_nothing_that_is_gone():
    text = make_stubs.core_stub()
    for name in make_stubs.RETURNS:
        assert re.search(rf"(def {name.removeprefix('Tensor.')}\(|    {name}: )", text), name
    for name in make_stubs.ARGUMENTS:
        assert re.search(rf"[( *]{name}: ", text), name


def calls():
    """The samples of the table: (function, arguments, options)."""
    for name, op in sorted(fastgrad._core.table.records().items()):
        if op.sample is not None and name in fastgrad._core.functions:
            for arrays, options in op.sample(np.random.default_rng(0)):
                yield name, arrays, options


def as_tensors(x):
    if isinstance(x, np.ndarray):
        return fastgrad.tensor(x)
    return type(x)(as_tensors(item) for item in x) if isinstance(x, list | tuple) else x


def test_functions_return_what_the_stubs_say():
    seen = set()
    for name, arrays, options in calls():
        returned = fastgrad._core.functions[name](*as_tensors(arrays), **{k: as_tensors(v) for k, v in options.items()})
        said = make_stubs.RETURNS.get(name, "Tensor")
        if said == "Tensor":
            assert type(returned) is fastgrad.Tensor, name
        elif said.startswith("tuple"):
            assert isinstance(returned, tuple), name
        else:
            assert said == "Any", name
        seen.add(name)
    assert len(seen) > 100
