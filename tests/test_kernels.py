"""Elementwise kernels, in every instruction set this processor has: accuracy, special values, layouts, integers."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from fastgrad._core.kernels import chosen_set, kernel_sets, records, use_set

import fastgrad as fg

SETS = [name for name, supported in kernel_sets() if supported]
REALS = [np.float32, np.float64]


def run(name, *arrays, **parameters):
    """The public function of that name on NumPy arrays, as a NumPy array."""
    operands = [fg.tensor(x) if isinstance(x, np.ndarray) else x for x in arrays]
    return getattr(fg.nn.functional, name)(*operands, **parameters).numpy()


# ---- accuracy ------------------------------------------------------------------------------------------------------

wide = np.longdouble
erf = np.vectorize(math.erf, otypes=[float])
erfc = np.vectorize(math.erfc, otypes=[float])


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


# name: (reference, smallest and largest input, bound in ulp for float32, for float64; None: not measured)
BOUNDS = {
    "exp": (np.exp, -87, 88, 1.2, 1.1),
    "exp2": (np.exp2, -126, 127, 1.1, 1.1),
    "expm1": (np.expm1, -20, 88, 1.8, 1.8),
    "log": (np.log, 1e-37, 1e38, 0.9, 1.0),
    "log2": (np.log2, 1e-37, 1e38, 2.0, 2.0),
    "log10": (np.log10, 1e-37, 1e38, 2.0, 2.0),
    "log1p": (np.log1p, -0.99, 1e6, 1.0, 1.1),
    "sin": (np.sin, -12000, 12000, 2.3, 2.3),
    "cos": (np.cos, -12000, 12000, 2.3, 2.3),
    "tanh": (np.tanh, -12, 12, 1.3, 2.5),
    "sigmoid": (sigmoid, -80, 80, 1.9, 2.5),
    "erf": (erf, -5, 5, 1.4, None),
    "erfc": (erfc, -5, 9, 7.0, None),
    "sqrt": (np.sqrt, 0, 1e30, 0.5, 0.5),
    "rsqrt": (lambda x: 1 / np.sqrt(x), 1e-30, 1e30, 1.5, 1.5),
    "reciprocal": (lambda x: 1 / x, 1e-30, 1e30, 0.5, 0.5),
    "silu": (lambda x: x * sigmoid(x), -80, 80, 3.5, 3.5),
    "softplus": (softplus, -80, 19, 2.0, 3.0),
    "logsigmoid": (lambda x: -softplus(-x), -80, 80, 2.0, 2.5),
    "gelu": (lambda x: 0.5 * x * erfc(-x.astype(float) / math.sqrt(2)), -10, 10, 8.0, None),
    "mish": (lambda x: x * np.tanh(softplus(x)), -80, 80, 5.0, 5.0),
}


def inputs(low, high, dtype):
    """Numbers over the range, half of them spread evenly and half over the exponents, and the range's ends."""
    r = np.random.default_rng(0)
    even = r.uniform(low, high, 50000)
    small = r.choice([-1.0, 1.0] if low < 0 else [1.0], 50000) * 10.0 ** r.uniform(-30, math.log10(high), 50000)
    return np.concatenate([even, small[small >= low], [low, high]]).astype(dtype)


def ulps(found, exact):
    """The error in units of the last place of the result."""
    step = np.spacing(np.abs(exact).astype(found.dtype))
    return np.max(np.abs(found.astype(wide) - exact) / step.astype(wide))


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("name", BOUNDS)
def test_error_is_within_the_stated_bound(kernels, name, dtype):
    reference, low, high, *bounds = BOUNDS[name]
    bound = bounds[REALS.index(dtype)]
    if bound is None or (dtype == np.float64 and np.finfo(wide).eps > 1e-18):
        pytest.skip("no reference of higher precision")
    x = inputs(low, high, dtype)
    assert ulps(run(name, x), reference(x.astype(wide if bounds[1] else float))) <= bound


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_large_angles_are_reduced_exactly(kernels, name):
    x = np.array([1e5, 1e10, 3e30, -1e22, 12799.0, 12801.0])
    np.testing.assert_allclose(run(name, x), getattr(np, name)(x), rtol=1e-14, atol=0)
    y = x.astype(np.float32)
    np.testing.assert_allclose(run(name, y), getattr(np, name)(y.astype(float)), rtol=3e-7, atol=0)


inf, nan = math.inf, math.nan
SPECIAL = {
    "exp": [(0.0, 1), (-0.0, 1), (inf, inf), (-inf, 0.0), (nan, nan), (1e4, inf), (-1e4, 0.0)],
    "exp2": [(10, 1024), (-3, 0.125), (inf, inf), (-inf, 0.0), (nan, nan), (1e4, inf), (-1e4, 0.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -1), (nan, nan), (1e4, inf), (-100, -1), (1e-30, 1e-30)],
    "log": [(1, 0.0), (0.0, -inf), (-0.0, -inf), (-1, nan), (inf, inf), (-inf, nan), (nan, nan)],
    "log2": [(8, 3), (0.25, -2), (0.0, -inf), (-1, nan), (inf, inf), (nan, nan)],
    "log10": [(1, 0.0), (0.0, -inf), (-1, nan), (inf, inf), (nan, nan)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1, -inf), (-2, nan), (inf, inf), (nan, nan), (1e-30, 1e-30)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (inf, 1), (-inf, -1), (nan, nan), (1e-30, 1e-30), (-50, -1)],
    "sigmoid": [(0.0, 0.5), (inf, 1), (-inf, 0.0), (nan, nan), (100, 1), (-1e4, 0.0)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (inf, nan), (nan, nan), (1e-30, 1e-30)],
    "cos": [(0.0, 1), (-0.0, 1), (-inf, nan), (nan, nan)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (inf, 1), (-inf, -1), (nan, nan), (10, 1)],
    "erfc": [(0.0, 1), (inf, 0.0), (-inf, 2), (nan, nan), (40, 0.0), (-40, 2)],
    "relu": [(-1, 0.0), (0.0, 0.0), (nan, nan), (inf, inf), (-inf, 0.0)],
    "gelu": [(0.0, 0.0), (inf, inf), (nan, nan), (-50, -0.0)],
    "sqrt": [(4, 2), (-0.0, -0.0), (-1, nan), (inf, inf), (nan, nan)],
    "round": [(0.5, 0.0), (1.5, 2), (2.5, 2), (-0.5, -0.0), (-1.5, -2), (inf, inf), (nan, nan)],
    "abs": [(-0.0, 0.0), (-inf, inf), (nan, nan)],
    "sign": [(-2, -1), (0.0, 0.0), (inf, 1)],
    "softplus": [(-inf, 0.0), (inf, inf), (nan, nan), (1000, 1000)],
}


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(kernels, name, dtype):
    x, expected = np.array(SPECIAL[name], dtype).T
    for length in (1, 40):  # once by the scalar tail of the loop, once by its vectors
        for value, want in zip(x, expected, strict=True):
            found = run(name, np.full(length, value))
            np.testing.assert_array_equal(found, want, err_msg=f"{name}({value})")
            assert np.all(np.signbit(found) == np.signbit(want)) or np.isnan(want), (
                f"{name}({value}) has the wrong sign"
            )


@pytest.mark.parametrize(("name", "low", "high"), [("exp", -103.5, -87.5), ("sigmoid", -103.5, -87.5)])
def test_denormal_results(kernels, name, low, high):
    x = np.linspace(low, high, 1000, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.max(np.abs(run(name, x) - exact)) <= 2.0**-149


def test_denormal_inputs(kernels):
    x = np.array([1e-40, 5e-45], np.float32)
    np.testing.assert_allclose(run("log", x), np.log(x.astype(float)), rtol=1e-7)
    np.testing.assert_array_equal(run("tanh", x), x)
    y = np.array([5e-324, 1e-310])
    np.testing.assert_allclose(run("log", y), np.log(y), rtol=1e-15)


def test_comparisons_with_nan(kernels):
    a = np.array([nan, 1, nan, 2], np.float32)
    b = np.array([1, nan, nan, 1], np.float32)
    for name in ("maximum", "minimum"):
        np.testing.assert_array_equal(run(name, a, b), getattr(np, name)(a, b))
    np.testing.assert_array_equal(run("ne", a, b), a != b)
    np.testing.assert_array_equal(run("ge", a, b), a >= b)
    np.testing.assert_array_equal(run("clamp", a, 1.5, 1.7), np.array([nan, 1.5, nan, 1.7], np.float32))


# ---- division ------------------------------------------------------------------------------------------------------

QUOTIENTS = np.array([(7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3), (-6, 3), (0, -5), (1, 1), (2, 7), (-2, 7)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32])
def test_division_has_pythons_signs(kernels, dtype):
    x, y = QUOTIENTS.T.astype(dtype)
    np.testing.assert_array_equal(run("floor_divide", x, y), x // y)
    np.testing.assert_array_equal(run("remainder", x, y), x % y)
    np.testing.assert_array_equal(run("fmod", x, y), np.fmod(x, y))


def test_division_by_infinity_and_zero(kernels):
    x, y = np.array([(1, -inf), (-1, inf), (1, 0.0), (-1, 0.0), (0.0, 0.0), (inf, 2)], np.float32).T
    np.testing.assert_array_equal(run("floor_divide", x, y), np.array([-1, -1, inf, -inf, nan, nan], np.float32))
    np.testing.assert_array_equal(run("remainder", x, y), np.array([-inf, inf, nan, nan, nan, nan], np.float32))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
def test_integer_division_by_zero_names_the_element(name, dtype):
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    with pytest.raises(RuntimeError, match=f"{name}.*division by zero at element 2"):
        run(name, x, np.array([1, 2, 0], dtype))


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_the_smallest_integer_divided_by_minus_one_wraps(dtype):
    low = np.array([np.iinfo(dtype).min], dtype)
    minus_one = np.array([-1], dtype)
    assert run("floor_divide", low, minus_one) == low
    assert run("remainder", low, minus_one) == 0
    assert run("neg", low) == low
    assert run("abs", low) == low


# ---- integers and bools --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_integer_arithmetic_wraps_like_numpys(dtype):
    r = np.random.default_rng(0)
    info = np.iinfo(dtype)
    x, y = r.integers(info.min, info.max, (2, 1000), dtype=dtype, endpoint=True)
    for name in (
        "add",
        "sub",
        "mul",
        "maximum",
        "minimum",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "eq",
        "lt",
        "ge",
    ):
        function = {"sub": "subtract", "mul": "multiply", "eq": "equal", "lt": "less", "ge": "greater_equal"}.get(
            name, name
        )
        found = run(name, x, y)
        np.testing.assert_array_equal(found, getattr(np, function)(x, y), err_msg=name)
        assert found.dtype in (dtype, np.bool_)
    np.testing.assert_array_equal(run("bitwise_not", x), ~x)
    np.testing.assert_array_equal(run("pow", x, np.array(3, dtype)), x**3)


def test_integer_powers():
    base = np.array([2, -2, 1, -1, 0, 3, 1, -1, -1, 5])
    exponent = np.array([10, 3, 99, 99, 0, 5, -4, -3, -2, -1])
    np.testing.assert_array_equal(run("pow", base, exponent), [1024, -8, 1, -1, 1, 243, 1, -1, 1, 0])


def test_bool_arithmetic_is_logic():
    x = np.array([False, False, True, True])
    y = np.array([False, True, False, True])
    np.testing.assert_array_equal(run("add", x, y), x | y)
    np.testing.assert_array_equal(run("mul", x, y), x & y)
    np.testing.assert_array_equal(run("logical_xor", x, y), x ^ y)
    np.testing.assert_array_equal(run("bitwise_not", x), ~x)


# ---- layouts -------------------------------------------------------------------------------------------------------

# Shapes on both sides of the tile of 512 elements and of the vectors' lengths, with short and long inner runs.
SHAPES = [
    (),
    (1,),
    (7,),
    (16,),
    (17,),
    (511,),
    (513,),
    (2000,),
    (1, 1),
    (5, 3),
    (3, 100),
    (100, 3),
    (700, 2),
    (4, 600),
    (3, 4, 5),
]


def layouts(shape, draw):
    """Tensors that broadcast to `shape`, in every kind of memory order."""
    n = len(shape)
    yield "dense", draw(shape)
    yield "number", draw(())
    if n:
        yield "row", draw(shape[-1:])
        yield "strided", draw((*shape[:-1], 2 * shape[-1]))[..., ::2]
        yield "offset", draw((shape[0] + 2, *shape[1:]))[1:-1]
        yield "column", draw((*shape[:-1], 1))
        yield "expanded", draw((1,) * n).expand(shape)
    if n > 1:
        yield "transposed", draw(shape[::-1]).permute(tuple(range(n))[::-1])
        yield "outer", draw((shape[0],) + (1,) * (n - 1))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_operands_of_every_layout(kernels, shape):
    r = np.random.default_rng(0)

    def draw(shape):
        return fg.tensor(r.normal(size=shape).astype(np.float32))

    def same(found, expected, what):
        np.testing.assert_array_equal(found.numpy(), expected, err_msg=what)

    for how_x, x in layouts(shape, draw):
        same(-x, -x.numpy(), how_x)
        for how_y, y in layouts(shape, draw):
            what = f"{how_x} and {how_y}"
            same(x + y, x.numpy() + y.numpy(), what)
            same(x < y, x.numpy() < y.numpy(), what)
            same(fg.where(x > 0, x, y), np.where(x.numpy() > 0, x.numpy(), y.numpy()), what)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_in_place_on_every_layout(kernels, shape):
    r = np.random.default_rng(0)

    def draw(shape):
        return fg.tensor(r.normal(size=shape).astype(np.float32))

    for how, x in layouts(shape, draw):
        if x.shape != shape or how == "expanded":
            continue
        whole = x._base if x._base is not None else x
        before = whole.numpy().copy()
        expected = x.numpy() * 2
        for other in (2.0, fg.full(shape, 2.0)):
            x.mul_(other)
            np.testing.assert_array_equal(x.numpy(), expected, err_msg=how)
            expected = expected * 2
        assert np.sum(whole.numpy() != before) == x.numel(), f"{how}: wrote outside the view"


def test_empty_operands(kernels):
    for shape in [(0,), (0, 3), (3, 0), (2, 0, 4)]:
        x = fg.zeros(shape)
        assert (x + x).shape == shape
        assert (x * 2.0).exp().shape == shape
        assert (x + fg.zeros(shape[-1:])).shape == shape


def test_a_result_does_not_depend_on_its_position(kernels):
    x = np.random.default_rng(0).normal(size=100).astype(np.float32)
    for name in ("exp", "tanh", "sigmoid", "gelu", "log1p"):
        whole = run(name, np.abs(x))
        for n in range(1, 40):
            part = run(name, np.abs(x[:n]))
            np.testing.assert_allclose(part, whole[:n], rtol=3e-7, err_msg=f"{name} of {n}")


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(("name", "far"), [("exp", -1000), ("log", 0)])
def test_a_result_does_not_depend_on_its_neighbours(kernels, name, far, dtype):
    """A number far out makes its block take another loop: the same bits come out of it."""
    x = np.random.default_rng(0).uniform(0.1, 80, 2000).astype(dtype)
    y = x.copy()
    y[1000] = far
    np.testing.assert_array_equal(np.delete(run(name, y), 1000), np.delete(run(name, x), 1000))


# ---- sets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name, op in sorted(records().items()) if op.sample and op.family in ("elementwise", "activation")]
)
def test_every_set_agrees_with_the_baseline(name):
    record = records()[name]
    for arrays, parameters in record.sample(np.random.default_rng(0)):
        for dtype in REALS:
            cast = [x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in arrays]
            use_set("baseline")
            expected = run(name, *cast, **parameters)
            for kernels in SETS:
                use_set(kernels)
                found = run(name, *cast, **parameters)
                use_set(None)
                np.testing.assert_allclose(
                    found, expected, rtol=16 * np.finfo(dtype).eps, atol=16 * np.finfo(dtype).tiny
                )


def test_the_environment_forces_a_set():
    program = "from fastgrad._core.kernels import chosen_set; print(chosen_set())"
    for name in SETS:
        found = subprocess.run(
            [sys.executable, "-P", "-c", program],
            env={**os.environ, "FASTGRAD_ISA": name},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == name


def test_an_unknown_set_is_an_error():
    with pytest.raises(ImportError, match=r"'sse9' is unknown or unsupported here; known are .*baseline"):
        use_set("sse9")
    assert chosen_set() in SETS
