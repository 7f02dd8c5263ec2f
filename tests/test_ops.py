"""Every op of the table, from its own samples: derivatives to second order, layouts, dtypes, instruction sets, broadcasting."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg

_spec = importlib.util.spec_from_file_location("table_samples", Path(__file__).with_name("table.py"))
table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)
core = sys.modules["fastgrad._core.kernels"]

DIFFERENTIABLE = table.cases(differentiable=True)
ALL = table.cases()
SETS = [name for name, supported in core.kernel_sets() if supported]


def ids(case):
    return f"{case[0]}-{case[1]}"


def leaves(name, k, dtype=np.float64):
    args, _ = table.samples(name)[k]
    return [fg.tensor(a.astype(dtype), requires_grad=True) for a in table.real_arrays(args)]


def real(ys):
    return [y for y in ys if y.dtype.is_floating_point]


def numbers(ys):
    return [y.detach().numpy() for y in ys]


def test_the_table_is_complete():
    """Every kernel has a record and every record its kernel; whoever can be called by name has samples."""
    fg._core.table.check_table()
    for name, record in table.RECORDS.items():
        if name in table.functions and record.kernel is not None:
            assert record.sample is not None or record.family in ("random", "multi"), name
        assert record.doc, name


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_gradient_is_numerical(case):
    xs = leaves(*case)
    assert fg.autograd.gradcheck(lambda *xs: tuple(real(table.call(*case, xs))), xs)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_second_derivative_is_numerical(case):
    xs = leaves(*case)
    if not any(y.requires_grad for y in table.call(*case, xs)):
        return
    assert fg.autograd.gradgradcheck(lambda *xs: tuple(real(table.call(*case, xs))), xs)


@pytest.mark.parametrize("case", ALL, ids=ids)
def test_strides_do_not_matter(case):
    """The same numbers in memory of other orders and with gaps give the same results and gradients."""
    name, k = case
    args, _ = table.samples(name)[k]
    arrays = table.real_arrays(args)

    def spread(a):
        wide = np.full((*a.shape, 2), np.nan)
        wide[..., 0] = a
        return fg.tensor(wide)[..., 0]

    def turned(a):
        return fg.tensor(a.T.copy()).permute(*reversed(range(a.ndim)))

    plain = [fg.tensor(a) for a in arrays]
    expected = numbers(table.call(name, k, plain))
    for make in (spread, turned):
        for y, e in zip(table.call(name, k, [make(a) for a in arrays]), expected, strict=True):
            np.testing.assert_allclose(y.numpy(), e, rtol=1e-12, atol=1e-12)
    if table.RECORDS[name].differentiable:
        xs = leaves(name, k)
        ys = real(table.call(name, k, xs))
        gs = (
            [fg.autograd.grad(sum((y * 0.5).sum() for y in ys), xs, allow_unused=True)]
            if ys and ys[0].requires_grad
            else []
        )
        bases = [spread(a).detach() for a in arrays]
        for b in bases:
            b.requires_grad_()
        ys = real(table.call(name, k, bases))
        for g in gs:
            h = fg.autograd.grad(sum((y * 0.5).sum() for y in ys), bases, allow_unused=True)
            for p, q in zip(g, h, strict=True):
                assert (p is None) == (q is None)
                if p is not None:
                    np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", ALL, ids=ids)
def test_float32_agrees_with_float64(case):
    name, k = case
    wide = table.call(name, k, [x.detach() for x in leaves(name, k)])
    narrow = table.call(name, k, [x.detach() for x in leaves(name, k, np.float32)])
    for y, z in zip(narrow, wide, strict=True):
        if z.dtype is fg.float64:
            assert y.dtype is fg.float32
            np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=3e-5, atol=3e-6)
        else:
            assert y.dtype is z.dtype


@pytest.mark.parametrize("name", SETS)
def test_every_instruction_set_agrees(name):
    best = core.chosen_set()
    reference = {case: numbers(table.call(*case, [x.detach() for x in leaves(*case)])) for case in ALL}
    core.use_set(name)
    try:
        for case, expected in reference.items():
            for y, e in zip(table.call(*case, [x.detach() for x in leaves(*case)]), expected, strict=True):
                np.testing.assert_allclose(y.numpy(), e, rtol=1e-13, atol=1e-13, err_msg=f"{case} in {name}")
    finally:
        core.use_set(best)


def test_an_unknown_instruction_set_is_an_error():
    with pytest.raises(ImportError, match="unknown"):
        core.use_set("mmx")


ELEMENTWISE = [c for c in ALL if table.RECORDS[c[0]].elementwise]


@pytest.mark.parametrize("case", ELEMENTWISE, ids=ids)
def test_elementwise_ops_on_empty_tensors(case):
    name, k = case
    args, _ = table.samples(name)[k]
    empty = [fg.zeros(0, 3, dtype=fg.float64) for _ in table.real_arrays(args)]
    if not empty:
        return
    y = table.call(name, k, empty)[0]
    assert y.shape == (0, 3)


@pytest.mark.parametrize("name", sorted({c[0] for c in ELEMENTWISE if table.RECORDS[c[0]].nin == 2}))
def test_broadcasting_as_numpy(name):
    args, kwargs = table.samples(name)[0]
    rng = np.random.default_rng(3)
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    pool = np.concatenate([a.ravel() for a in arrays])
    for one, two in (((4, 1, 3), (2, 1)), ((1,), (2, 3)), ((), (2, 2)), ((3, 1), (1, 4)), ((2, 0), (1,))):
        a, b = (rng.choice(pool, size=s) for s in (one, two))
        a, b = a.astype(arrays[0].dtype), b.astype(arrays[1].dtype)
        f = table.function_of(name)
        whole = f(*(fg.tensor(np.ascontiguousarray(x)) for x in np.broadcast_arrays(a, b)), **kwargs)
        np.testing.assert_array_equal(f(fg.tensor(a), fg.tensor(b), **kwargs).numpy(), whole.numpy())
    with pytest.raises(ValueError, match="broadcast"):
        f(fg.tensor(np.resize(pool, (2, 3))), fg.tensor(np.resize(pool, (2, 4))), **kwargs)


NUMPY_NAMES = {"neg": "negative", "acos": "arccos", "asin": "arcsin", "atan": "arctan", "atan2": "arctan2",
               "sub": "subtract", "mul": "multiply", "div": "divide", "pow": "power", "eq": "equal", "ne": "not_equal",
               "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "round": "round"}  # fmt: skip


@pytest.mark.parametrize("case", [c for c in ALL if hasattr(np, NUMPY_NAMES.get(c[0], c[0]))], ids=ids)
def test_values_are_numpys(case):
    """Where NumPy has a function of the name and the sample needs no translation."""
    name, k = case
    args, kwargs = table.samples(name)[k]
    if (
        not all(isinstance(a, np.ndarray) for a in args)
        or set(kwargs) - {"dim", "keepdim"}
        or table.RECORDS[name].outputs > 1
    ):
        return
    translated = {{"dim": "axis", "keepdim": "keepdims"}[key]: v for key, v in kwargs.items()}
    if name in ("var", "std"):
        translated["ddof"] = 1
    reference = getattr(np, NUMPY_NAMES.get(name, name))(*args, **translated)
    if isinstance(reference, tuple):
        reference = np.stack(reference, axis=-1)
    got = table.call(name, k, [fg.tensor(a) for a in table.real_arrays(args)])[0].numpy()
    np.testing.assert_allclose(got, reference, rtol=1e-13, atol=1e-14)
