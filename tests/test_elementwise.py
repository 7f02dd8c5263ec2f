"""Elementwise functions: derivatives at kinks and singular points, parameters, dtypes, errors."""

import itertools
import math

import numpy as np
import pytest
from fastgrad._core.kernels import records

import fastgrad as fg
from fastgrad import autograd
from fastgrad.nn import functional as F

inf, nan = math.inf, math.nan


def slope(f, x):
    """The derivative of f at the numbers x."""
    t = fg.tensor(x, dtype=fg.float64, requires_grad=True)
    (g,) = autograd.grad(f(t), [t], [fg.ones(len(x), dtype=fg.float64)])
    return g.tolist()


def function_of(name):
    return getattr(F, name, None) or getattr(fg, name)


DIFFERENTIABLE = [
    name
    for name, record in sorted(records().items())
    if record.family in ("elementwise", "activation") and record.sample and record.differentiable
]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_to_second_order(name):
    for arrays, parameters in records()[name].sample(np.random.default_rng(1)):
        inputs = [fg.tensor(x, requires_grad=x.dtype.kind == "f") if isinstance(x, np.ndarray) else x for x in arrays]

        def f(*xs, parameters=parameters):
            return function_of(name)(*xs, **parameters)

        assert autograd.gradcheck(f, inputs)
        assert autograd.gradgradcheck(f, inputs)


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (fg.abs, [0.0, -2.0], [0, -1]),
        (F.relu, [0.0, -1.0, 1.0], [0, 0, 1]),
        (lambda x: F.leaky_relu(x, 0.1), [0.0, 1.0], [0.1, 1]),
        (lambda x: fg.clamp(x, -1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0], [0, 1, 1, 1, 0]),
        (lambda x: F.hardtanh(x), [-2.0, -1.0, 0.0, 1.0, 2.0], [0, 0, 1, 0, 0]),
        (F.relu6, [0.0, 3.0, 6.0], [0, 1, 0]),
        (F.hardswish, [-3.0, 0.0, 3.0], [0, 0.5, 1]),
        (F.hardsigmoid, [-3.0, 0.0, 3.0], [0, 1 / 6, 0]),
        (lambda x: fg.maximum(x, fg.zeros(3, dtype=fg.float64)), [0.0, -1.0, 1.0], [0.5, 0, 1]),
        (lambda x: F.threshold(x, 1.0, 5.0), [1.0, 2.0], [0, 1]),
        (lambda x: F.hardshrink(x, 0.5), [0.5, -0.5, 0.6], [0, 0, 1]),
        (lambda x: x**0, [0.0, 2.0], [0, 0]),
        (lambda x: x**2, [0.0, 3.0], [0, 6]),
        (lambda x: 0.0**x, [1.0, 2.0], [0, 0]),
        (fg.floor, [0.5, 1.0], [0, 0]),
        (fg.sign, [0.0, 3.0], [0, 0]),
    ],
)
def test_derivatives_at_kinks_are_pytorchs(f, x, expected):
    assert slope(f, x) == pytest.approx(expected)


@pytest.mark.parametrize(
    "f",
    [
        fg.log, fg.log2, fg.log10, fg.sqrt, fg.rsqrt, fg.reciprocal, fg.exp, fg.expm1, fg.cosh, fg.asin, fg.acos,
        lambda x: fg.log1p(x - 1), lambda x: 1 / x, lambda x: x**0.5, lambda x: x**-2.0, lambda x: x * fg.log(x),
        lambda x: x / x, lambda x: fg.exp(x * x), lambda x: fg.hypot(x, x), lambda x: fg.atan2(x, x), lambda x: fg.sin(x / 0),
        lambda x: fg.log(x) ** 2, lambda x: fg.tan(1 / x), lambda x: fg.xlogy(x, x), lambda x: fg.logaddexp(1 / x, x),
    ],
)  # fmt: skip
def test_nothing_comes_back_through_the_branch_where_did_not_take(f):
    x = [0.0, -1.0, 2000.0, 1.0]
    g = slope(lambda t: fg.where(t > 5000, f(t), t * 3), x)
    assert g == [3, 3, 3, 3]


def test_an_infinite_derivative_is_still_infinite():
    assert slope(fg.sqrt, [0.0]) == [inf]
    assert slope(fg.log, [0.0]) == [inf]
    assert slope(lambda x: x**0.5, [0.0]) == [inf]


def test_where_sends_the_gradient_to_the_branch_taken():
    c = fg.tensor([True, False, True])
    a = fg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    b = fg.tensor(5.0, requires_grad=True)
    fg.where(c, a, b).sum().backward()
    assert a.grad.tolist() == [1, 0, 1]
    assert b.grad.item() == 1
    assert fg.where(c, 1, 0).dtype == fg.int64
    assert fg.where(c, 1.0, 0).dtype == fg.float32
    assert fg.where(c, a.double(), 0.1).tolist() == [1.0, 0.1, 3.0]


def test_parameters_of_arithmetic():
    x = fg.tensor([7.0, -7.0])
    assert fg.add(x, 1.0, alpha=2).tolist() == [9, -5]
    assert fg.sub(x, x, alpha=3).tolist() == [-14, 14]
    assert fg.rsub(x, 1.0).tolist() == [-6, 8]
    assert fg.div(x, 2.0, rounding_mode="trunc").tolist() == [3, -3]
    assert fg.div(x, 2.0, rounding_mode="floor").tolist() == [3, -4]
    i = fg.tensor([7, -7])
    assert fg.div(i, 2, rounding_mode="trunc").tolist() == [3, -3]
    assert fg.div(i, 2).tolist() == [3.5, -3.5]
    assert fg.addcmul(x, x, x, value=0.5).tolist() == [31.5, 17.5]
    assert fg.addcdiv(x, x, fg.tensor([2.0, 4.0])).tolist() == [10.5, -8.75]
    assert fg.round(fg.tensor([1.256, 2.5]), decimals=2).tolist() == pytest.approx([1.26, 2.5])
    assert fg.nan_to_num(fg.tensor([nan, inf, -inf]), nan=1.0, posinf=2.0, neginf=3.0).tolist() == [1, 2, 3]
    assert fg.nan_to_num(fg.tensor([inf], dtype=fg.float64)).item() == np.finfo(np.float64).max


def test_clamp_takes_numbers_tensors_and_none():
    x = fg.tensor([-2.0, 0.5, 3.0], requires_grad=True)
    low = fg.tensor([-1.0, 1.0, 0.0], requires_grad=True)
    assert fg.clamp(x, min=0.0).tolist() == [0, 0.5, 3]
    assert fg.clamp(x, max=0.0).tolist() == [-2, 0, 0]
    assert fg.clamp(x, 1.0, -1.0).tolist() == [-1, -1, -1]
    fg.clamp(x, low, 2.0).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    assert low.grad.tolist() == [1, 1, 0]
    assert fg.clamp(fg.tensor([2**53 + 1, 5]), min=6).tolist() == [2**53 + 1, 6]
    with pytest.raises(RuntimeError, match="at least one of min and max"):
        fg.clamp(x)


def test_in_place_forms():
    x = fg.tensor([-1.5, 0.5, 2.5])
    assert x.add_(1.0, alpha=2) is x
    assert x.tolist() == [0.5, 2.5, 4.5]
    assert x.clamp_(1.0, 3.0).round_().tolist() == [1, 2, 3]
    assert x.div_(2.0, rounding_mode="floor").tolist() == [0, 1, 1]
    assert F.relu(x.sub_(0.5), inplace=True) is x
    assert x.tolist() == [0, 0.5, 0.5]
    w = fg.tensor([1.0, 2.0], dtype=fg.float64, requires_grad=True)
    y = w * 2
    y.mul_(w).sigmoid_()
    y.sum().backward()
    v = np.array([1.0, 2.0])
    s = 1 / (1 + np.exp(-2 * v * v))
    np.testing.assert_allclose(w.grad.numpy(), 4 * v * s * (1 - s), rtol=1e-12)
    with pytest.raises(RuntimeError, match=r"sigmoid: a value needed .* was modified"):
        (w * 2).sigmoid_().mul_(w).sum().backward()


def test_second_names_are_the_same_functions():
    x = fg.tensor([1.0, -2.0])
    for second, first in [
        ("multiply", "mul"),
        ("true_divide", "div"),
        ("clip", "clamp"),
        ("greater_equal", "ge"),
        ("arctan", "atan"),
    ]:
        assert getattr(fg, second) is getattr(fg, first)
        assert hasattr(x, second)


def test_integers_become_real_where_a_function_is_real():
    i = fg.tensor([1, 4])
    assert fg.sqrt(i).dtype == fg.float32
    assert (i / 2).dtype == fg.float32
    assert (i * 2).dtype == fg.int64
    assert (i * 2.0).dtype == fg.float32
    assert fg.floor(i).dtype == fg.int64
    assert fg.float_power(i, 2).dtype == fg.float64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fg.add(fg.ones(2), "a"), TypeError, "add: expected a Tensor or a number, got str"),
        (lambda: fg.ones(2) + fg.ones(3), RuntimeError, r"add: shapes \(2,\) and \(3,\) cannot be broadcast"),
        (lambda: fg.tensor([True]) - fg.tensor([True]), RuntimeError, "sub: not implemented for bool"),
        (lambda: fg.tensor([1.0]) & fg.tensor([1.0]), TypeError, "bitwise_and: not implemented for float32"),
        (lambda: fg.div(fg.ones(2), 2.0, rounding_mode="up"), RuntimeError, "rounding_mode"),
        (lambda: F.gelu(fg.ones(2), approximate="erf"), RuntimeError, "approximate must be 'none' or 'tanh'"),
        (lambda: F.glu(fg.ones(3)), RuntimeError, "must be even"),
        (lambda: F.prelu(fg.ones(2, 3), fg.ones(2)), RuntimeError, "2 weights for an input with 3 channels"),
        (lambda: F.hardtanh(fg.ones(2), 1.0, -1.0), ValueError, "min_val"),
        (lambda: fg.sigmoid("a"), TypeError, "sigmoid: expected a Tensor or a number, got str"),
    ],
)
def test_errors_say_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_isclose_of_integers_has_a_tolerance():
    a, b = fg.tensor([1, 10, 100]), fg.tensor([2, 10, 102])
    assert fg.isclose(a, b, atol=1.0).tolist() == [True, True, False]
    assert fg.isclose(fg.tensor([0], dtype=fg.uint8), fg.tensor([255], dtype=fg.uint8), atol=1.0).tolist() == [False]
    with pytest.raises(RuntimeError, match="rtol and atol"):
        fg.isclose(a, b, atol=-1.0)


@pytest.mark.parametrize("columns", [1, 3, 49, 64, 128, 129, 600])
def test_rows_of_every_kind_beside_each_other(columns):
    """Dense, a slice, one row for all, one number for each row, turned around: in matrices of fewer and more rows than a tile."""
    rng = np.random.default_rng(columns)
    for count in (1, 2, 11, 50):
        base = rng.normal(size=(count + 1, columns + 2)).astype(np.float32)
        turned = rng.normal(size=(columns, count)).astype(np.float32)
        kinds = [
            (fg.tensor(base[1:, 2:].copy()), base[1:, 2:]),
            (fg.tensor(base)[1:, 1:-1], base[1:, 1:-1]),
            (fg.tensor(base)[0, 2:], base[0, 2:]),
            (fg.tensor(base)[1:, :1], base[1:, :1]),
            (fg.tensor(turned).T, turned.T),
        ]
        for (a, x), (b, y) in itertools.product(kinds, kinds):
            np.testing.assert_array_equal((a * b).numpy(), x * y)
            np.testing.assert_array_equal((a < b).numpy(), x < y)
            for c, z in kinds:
                np.testing.assert_array_equal(fg.where(a > 0, b, c).numpy(), np.where(x > 0, y, z))
