"""Every op of the table under levels, from its own samples: tangents, batches, and both together with reverse mode."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from fastgrad._core.table import pairs

import fastgrad as fg
from fastgrad import func as F

_spec = importlib.util.spec_from_file_location("table_samples", Path(__file__).with_name("table.py"))
table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)

DIFFERENTIABLE = table.cases(differentiable=True)
ALL = table.cases()
DATA_DEPENDENT = {"nonzero"}  # shapes that depend on values: an error under vmap


def ids(case):
    return f"{case[0]}-{case[1]}"


def inputs(case):
    args, _ = table.samples(case[0])[case[1]]
    return [fg.tensor(a.astype(np.float64)) for a in table.real_arrays(args)]


def function(case):
    """The op as a function of its real inputs that returns its real outputs."""
    return lambda *xs: tuple(y for y in table.call(*case, xs) if y.is_floating_point())


def directions(xs, seed=5):
    rng = np.random.default_rng(seed)
    return [fg.tensor(rng.normal(size=tuple(x.shape))) for x in xs]


def close(a, b, rtol=1e-9, atol=1e-11):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)


def pulled(f, xs, gs):
    """The gradients of sum <f(xs), gs> by the tape, as tensors."""
    leaves = [x.detach().requires_grad_() for x in xs]
    ys = f(*leaves)
    total = sum([(y * g).sum() for y, g in zip(ys, gs, strict=True)])
    if not isinstance(total, fg.Tensor) or not total.requires_grad:
        return [fg.zeros_like(x) for x in xs]
    return fg.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_tangent_against_pullback(case):
    """<jvp(t), g> = <t, vjp(g)> for any t and g."""
    f, xs = function(case), inputs(case)
    if not xs:
        return
    ts = directions(xs)
    ys, dys = F.jvp(f, tuple(xs), tuple(ts))
    for y, z in zip(ys, f(*xs), strict=True):
        close(y, z, rtol=0, atol=0)
    gs = directions(ys, 6)
    left = sum((dy * g).sum().item() for dy, g in zip(dys, gs, strict=True))
    right = sum((t * g).sum().item() for t, g in zip(ts, pulled(f, xs, gs), strict=True))
    assert left == pytest.approx(right, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_tangent_is_numerical(case):
    f, xs = function(case), inputs(case)
    if not xs:
        return
    ts, eps = directions(xs), 1e-6
    _, dys = F.jvp(f, tuple(xs), tuple(ts))
    above = f(*[x + eps * t for x, t in zip(xs, ts, strict=True)])
    below = f(*[x - eps * t for x, t in zip(xs, ts, strict=True)])
    for dy, a, b in zip(dys, above, below, strict=True):
        close(dy, (a - b) / (2 * eps), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_tangent_of_one_input_alone(case):
    """Inputs without a tangent are constants."""
    f, xs = function(case), inputs(case)
    for k, x in enumerate(xs):
        (t,) = directions([x])
        _, one = F.jvp(lambda x, k=k: f(*xs[:k], x, *xs[k + 1 :]), (x,), (t,))
        zeros = [fg.zeros_like(z) for z in xs]
        _, all_ = F.jvp(f, tuple(xs), (*zeros[:k], t, *zeros[k + 1 :]))
        for a, b in zip(one, all_, strict=True):
            close(a, b)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_tangent_of_the_pullback(case):
    """Forward over reverse against reverse over reverse and reverse over forward."""
    f, xs = function(case), inputs(case)
    if not xs:
        return
    gs = directions(f(*xs), 6)
    ts = tuple(directions(xs))

    def weighted(*xs):
        parts = [(y * g).sum() for y, g in zip(f(*xs), gs, strict=True)]
        return sum(parts[1:], parts[0]) if parts else xs[0].sum() * 0

    every = tuple(range(len(xs)))
    forward = F.jvp(F.grad(weighted, every), tuple(xs), ts)[1]
    for a, b, c in zip(forward, F.vhp(weighted, tuple(xs), ts), F.hvp(weighted, tuple(xs), ts), strict=True):
        close(a, b, rtol=1e-8, atol=1e-10)
        close(a, c, rtol=1e-8, atol=1e-10)


def batch(xs, size=3):
    """A batch for each input: the input, and two others near it."""
    rng = np.random.default_rng(9)
    return [
        fg.stack([x, *[x + 0.01 * fg.tensor(rng.uniform(size=tuple(x.shape))) for _ in range(size - 1)]]) for x in xs
    ]


def looped(f, xs, which, size=3):
    rows = [f(*[x[k] if b else x for x, b in zip(xs, which, strict=True)]) for k in range(size)]
    return [fg.stack(list(part)) for part in zip(*rows, strict=True)]


def patterns(n):
    """Which inputs hold the batch: all, and each alone."""
    return sorted({(True,) * n, *[tuple(j == k for j in range(n)) for k in range(n)]}) if n < 4 else [(True,) * n]


@pytest.mark.parametrize("case", ALL, ids=ids)
def test_a_batch_is_a_loop(case):
    """Values; no op of the table needs the loop itself."""
    xs = inputs(case)
    if case[0] in DATA_DEPENDENT:
        with pytest.raises(RuntimeError, match="vmap"):
            F.vmap(lambda *xs: tuple(table.call(*case, xs)))(*batch(xs))
        return
    many = batch(xs)

    def f(*xs):
        return tuple(table.call(*case, xs))

    for which in patterns(len(xs)):
        if not any(which):
            continue
        mixed = [m if b else x for x, m, b in zip(xs, many, which, strict=True)]
        got = F.vmap(f, tuple(0 if b else None for b in which))(*mixed)
        for y, e in zip(got, looped(f, mixed, which), strict=True):
            assert y.dtype is e.dtype
            assert y.shape == e.shape
            close(y, e, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_derivatives_of_a_batch_are_those_of_a_loop(case):
    """Per-sample gradients and tangents, with the other inputs shared, and the gradient of their sum of squares."""
    f, xs = function(case), inputs(case)
    if not xs:
        return
    many = batch(xs)
    gs = directions(f(*xs), 6)
    every = tuple(range(len(xs)))

    def weighted(*xs):
        parts = [(y * g).sum() for y, g in zip(f(*xs), gs, strict=True)]
        return sum(parts[1:], parts[0]) if parts else xs[0].sum() * 0

    def slope(*xs):
        return (F.jvp(weighted, xs, tuple(fg.ones_like(x) for x in xs))[1],)

    for which in patterns(len(xs)):
        mixed = [m if b else x for x, m, b in zip(xs, many, which, strict=True)]
        dims = tuple(0 if b else None for b in which)
        for g in (F.grad(weighted, every), slope):
            for y, e in zip(F.vmap(g, dims)(*mixed), looped(g, mixed, which), strict=True):
                close(y, e, rtol=1e-9, atol=1e-11)

        def squares(*mixed, dims=dims):
            return sum((g * g).sum() for g in F.vmap(F.grad(weighted, every), dims)(*mixed))

        def squares_looped(*mixed, which=which):
            return sum((g * g).sum() for g in looped(F.grad(weighted, every), mixed, which))

        for y, e in zip(F.grad(squares, every)(*mixed), F.grad(squares_looped, every)(*mixed), strict=True):
            close(y, e, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=ids)
def test_jacobians_agree(case):
    """Rows by a batch of pullbacks, columns by a batch of tangents beside one value, and one by one."""
    f, xs = function(case), inputs(case)
    if not xs or not f(*xs):
        return
    every = tuple(range(len(xs)))
    rows = F.jacrev(f, every)(*xs)
    columns = F.jacfwd(f, every)(*xs)
    for row, column in zip(rows, columns, strict=True):
        for a, b in zip(row, column, strict=True):
            close(a, b)
    chunks = F.jacrev(f, every, chunk_size=2)(*xs)
    for row, chunk in zip(rows, chunks, strict=True):
        for a, b in zip(row, chunk, strict=True):
            close(a, b)
    y = f(*xs)[0]
    if y.numel():
        index = tuple(n - 1 for n in y.shape)
        for a, b in zip(
            rows[0], pulled(lambda *xs: (f(*xs)[0][index],), xs, [fg.ones((), dtype=fg.float64)]), strict=True
        ):
            close(a[index], b)


def test_kinds_say_most_tangents():
    """A derived tangent costs a pass of reverse mode: only derivative kernels of normalisations and custom functions have one."""
    derived = {name for name, record in table.RECORDS.items() if record.jvp == "derived"}
    assert derived <= {"layer_norm_vjp", "rms_norm_vjp", "batch_norm_vjp", "custom", "dropout"}


def test_every_op_of_the_table_runs_in_a_batch():
    """All but what draws, which asks its vmap how, what works on gradients or has shapes that depend on values, and the ops
    that join two others, which run in programs alone."""
    without = {
        name
        for name, op in table.RECORDS.items()
        if op.batch is None
        and not (op.elementwise or op.shape in ("BROADCAST", "REDUCE", "MATMUL", "VIEW", "MUTATE"))
        and not (op.shape == "SAME" and op.nin == 1 and not op.dense)
    }
    drawn = {name for name in without if table.RECORDS[name].family == "random"}
    joined = {op.name for op in pairs.values()}
    assert without - drawn - joined == {"nonzero", "grad_norm"}
