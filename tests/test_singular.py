"""Singular points: what an unselected branch sends back, for every op of the table, and the derivatives at kinks that
docs/singular-points.md lists."""

import importlib.util
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn.functional as F

_spec = importlib.util.spec_from_file_location("table_samples", Path(__file__).with_name("table.py"))
table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)

FINITE = [0.0, 1.0, -1.0, 2.0, -3.0]
WILD = [*FINITE, math.nan, math.inf, -math.inf, 1e308, 1e-308]
# Sums over products with other rows: a NaN operand reaches what those rows share (docs/singular-points.md says so).
MIXING = {"matmul", "linear", "scaled_dot_product_attention", "layer_norm", "rms_norm", "batch_norm"}
DIFFERENTIABLE = table.cases(differentiable=True)


def fills(count, values):
    """Which value fills each real input: all combinations for up to two inputs, else a choice of them."""
    if count <= 2:
        return itertools.product(values, repeat=count)
    return [[v] * count for v in values] + [np.roll(values, k)[:count].tolist() for k in range(len(values))]


def derivatives(ys, xs, order):
    """The gradients of ys and of sums of gradients, up to an order, each a list."""
    for _ in range(order):
        ys = [y for y in ys if y.requires_grad]
        if not ys:
            return
        g = fg.autograd.grad(sum((y * 0.7).sum() for y in ys), xs, create_graph=True, materialize_grads=True)
        yield g
        ys = list(g)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: f"{c[0]}-{c[1]}")
def test_an_unselected_branch_contributes_exactly_zero_to_third_order(case):
    name, k = case
    arrays = table.real_arrays(table.samples(name)[k][0])
    for values in fills(len(arrays), FINITE if name in MIXING else WILD):
        xs = [fg.tensor(np.full(a.shape, v), requires_grad=True) for a, v in zip(arrays, values, strict=True)]
        if name == "binary_cross_entropy" and not (xs[0] >= 0).logical_and(xs[0] <= 1).all():
            continue  # it refuses what is no probability
        ys = [y for y in table.call(name, k, xs) if y.dtype.is_floating_point]
        unselected = [fg.where(fg.tensor(False), y, 0.0) for y in ys]
        for order, found in enumerate(derivatives(unselected, xs, 3), 1):
            for g in found:
                assert not (g != 0).any(), f"derivative {order} of {name} at {values}: {g}"


def test_selected_elements_keep_their_derivatives():
    good, bad = [0.5, 1.5], [0.0, -1.0, math.nan, math.inf]
    mask = fg.arange(6) < 2
    selections = (
        lambda y: fg.where(mask, y, 1.0),
        lambda y: y.masked_fill(~mask, 1.0),
        lambda y: y[mask],
        lambda y: y.masked_select(mask),
        lambda y: y[:2],
        lambda y: y.index_select(0, fg.tensor([0, 1])),
    )
    for f in (
        fg.sqrt,
        fg.log,
        fg.rsqrt,
        fg.reciprocal,
        fg.acos,
        lambda x: x**1.5,
        lambda x: x.log().sqrt().abs().tanh(),
    ):
        alone = fg.tensor(good, dtype=fg.float64, requires_grad=True)
        mixed = fg.tensor(good + bad, dtype=fg.float64, requires_grad=True)
        expected = [g[0] for g in derivatives([f(alone)], [alone], 3)]
        for select in selections:
            for e, (g,) in zip(expected, derivatives([select(f(mixed))], [mixed], 3), strict=True):
                np.testing.assert_array_equal(g.detach().numpy()[:2], e.detach().numpy())
                np.testing.assert_array_equal(g.detach().numpy()[2:], 0)


def test_a_chain_of_singular_functions_is_masked_by_one_where():
    chain = [fg.sqrt, fg.log, fg.reciprocal, fg.acos, fg.rsqrt, fg.tanh, fg.exp, fg.square, F.gelu, F.softplus]
    for f, g in itertools.product(chain, chain):
        x = fg.tensor(WILD, dtype=fg.float64, requires_grad=True)
        for found in derivatives([fg.where(fg.tensor(False), g(f(x)), 0.0)], [x], 2):
            assert not (found[0] != 0).any()


def test_rows_without_a_gradient_stay_clean():
    """softmax of a row that is masked altogether; losses against missing targets; ignored labels."""
    x = fg.tensor([[1.0, 2.0], [-math.inf, -math.inf]], requires_grad=True)
    keep = fg.tensor([[True], [False]])
    for f in (fg.softmax, fg.log_softmax):
        (g,) = fg.autograd.grad(fg.where(keep, f(x, 1), 0.0)[:, 0].sum(), x)
        assert g.isfinite().all() and not g[1].any() and g[0].all()
    t = fg.tensor([1.0, math.nan])
    p = fg.tensor([0.5, 0.5], requires_grad=True)
    F.mse_loss(p, t, reduction="none")[0].backward()
    assert p.grad.tolist() == [-1.0, 0.0]
    x = fg.tensor([[1.0, 2.0], [math.nan, 0.0]], requires_grad=True)
    F.cross_entropy(x, fg.tensor([0, -100]), reduction="sum").backward()
    assert x.grad[0].all() and x.grad[1].tolist() == [0.0, 0.0]


# ---- the table of kinks --------------------------------------------------------------------------------------------

PAGE = Path(__file__).parent.parent / "docs" / "singular-points.md"


def rows():
    if not PAGE.exists():
        return []
    return re.findall(r"^\| `(.+?)` \| (\S+) \| (\S+) \| (\S*) ?\|$", PAGE.read_text(), re.M)


def derivative(expression, at, module, functional):
    def c(v):
        return module.tensor(v, dtype=module.float64)

    x = c(float(at)).requires_grad_()
    y = eval(expression, {"fg": module, "F": functional, "c": c, "x": x, "math": math})
    return module.autograd.grad(y, x)[0].item()


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r[0]} at {r[1]}")
def test_derivative_at_a_kink(row):
    expression, at, expected, _ = row
    np.testing.assert_equal(derivative(expression, at, fg, F) + 0.0, float(expected))


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r[0]} at {r[1]}")
def test_derivative_at_a_kink_against_pytorch(row):
    torch = pytest.importorskip("torch")
    expression, at, expected, theirs = row
    np.testing.assert_equal(derivative(expression, at, torch, torch.nn.functional) + 0.0, float(theirs or expected))


def test_the_table_is_there():
    assert not PAGE.exists() or len(rows()) > 50
