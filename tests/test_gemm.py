"""Matrix products: every provider and instruction set against NumPy, for every layout. Small integers make sums exact."""

import itertools

import numpy as np
import pytest
from fastgrad._core.kernels import kernel_sets, use_set

import fastgrad as fg
import fastgrad.nn.functional as F
from fastgrad import _core
from fastgrad._core import _blas
from fastgrad.autograd import gradcheck, gradgradcheck

SETS = [name for name, supported in kernel_sets() if supported]
REALS = {np.float32: fg.float32, np.float64: fg.float64}


@pytest.fixture(params=list(itertools.product(SETS, ("auto", "own"))), ids="-".join)
def product(request):
    """Runs a test with one set of kernels and one provider of products."""
    isa, provider = request.param
    use_set(isa)
    _blas.choose(provider)
    yield
    use_set()
    _blas.choose()


def integers(rng, shape, dtype=np.float64):
    return rng.integers(-4, 5, size=shape).astype(dtype)


def layouts(x):
    """The same values dense, with gaps, with the last two axes exchanged in memory, and with a repeated row."""
    yield fg.tensor(x)
    if x.ndim:
        gaps = fg.zeros(*(2 * n + 1 for n in x.shape), dtype=REALS[x.dtype.type])
        part = gaps[tuple(slice(0, 2 * n, 2) for n in x.shape)]
        part.copy_(fg.tensor(x))
        yield part
    if x.ndim > 1:
        yield fg.tensor(np.ascontiguousarray(np.swapaxes(x, -1, -2))).mT


SHAPES = [
    *itertools.product((1, 2, 5, 8, 17), (1, 3, 16, 33), (1, 4, 19)),
    (64, 64, 64),
    (33, 70, 150),
    (100, 128, 96),
    (1, 150, 70),  # one row, one column, depth one: kernels of their own
    (1, 283, 9),
    (150, 1, 70),
    (9, 283, 1),
    (70, 11, 1),
    (3, 0, 4),
    (0, 3, 4),
    (3, 4, 0),
]


@pytest.mark.parametrize("dtype", REALS)
def test_every_shape_and_layout_against_numpy(product, dtype):
    rng = np.random.default_rng(0)
    for m, n, k in SHAPES:
        a, b = integers(rng, (m, k), dtype), integers(rng, (k, n), dtype)
        for x, y in itertools.product(layouts(a), layouts(b)):
            np.testing.assert_array_equal((x @ y).numpy(), a @ b)


def test_operands_that_repeat_an_element(product):
    row = fg.tensor([[1.0, 2.0, 3.0]]).expand(4, 3)
    one = fg.ones(1, 1).expand(3, 5)
    np.testing.assert_array_equal((row @ one).numpy(), np.full((4, 5), 6.0, np.float32))
    np.testing.assert_array_equal((one @ fg.ones(5, 2)).numpy(), np.full((3, 2), 5.0, np.float32))


BATCHES = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((4, 2, 3), (3, 5)),
    ((4, 2, 3), (4, 3, 5)),
    ((2, 1, 2, 3), (4, 3, 5)),
    ((2, 3), (4, 3, 5)),
    ((3,), (4, 3, 5)),
    ((4, 2, 3), (3,)),
    ((2, 3), (4, 3, 1)),
    ((3,), (2, 4, 3, 1)),
    ((0, 2, 3), (3, 5)),
    ((1, 2, 3), (0, 3, 5)),
]


@pytest.mark.parametrize(("left", "right"), BATCHES)
def test_vectors_and_batches_against_numpy(product, left, right):
    rng = np.random.default_rng(1)
    a, b = integers(rng, left), integers(rng, right)
    np.testing.assert_array_equal((fg.tensor(a) @ fg.tensor(b)).numpy(), a @ b)
    if len(left) == 3:  # a batch whose axes do not merge
        swapped = fg.tensor(np.ascontiguousarray(np.swapaxes(a, 0, 1))).transpose(0, 1)
        np.testing.assert_array_equal((swapped @ fg.tensor(b)).numpy(), a @ b)
    if len(right) > 2:
        swapped = fg.tensor(np.ascontiguousarray(np.swapaxes(b, 0, 1))).transpose(0, 1)
        np.testing.assert_array_equal((fg.tensor(a) @ swapped).numpy(), a @ b)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_integers_wrap_around_as_numpys(dtype):
    rng = np.random.default_rng(2)
    a = rng.integers(0, 200, size=(2, 4, 5)).astype(dtype)
    b = rng.integers(0, 200, size=(5, 3)).astype(dtype)
    np.testing.assert_array_equal((fg.tensor(a) @ fg.tensor(b)).numpy(), a @ b)


@pytest.mark.parametrize("dtype", REALS)
def test_the_error_stays_within_the_bound_of_a_sum(product, dtype):
    """|error| <= k u sum |a b|: the bound of any order of summation (Higham, Accuracy and Stability, 3.5)."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(37, 300)).astype(dtype), rng.normal(size=(300, 45)).astype(dtype)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    bound = 300 * np.finfo(dtype).eps / 2 * (abs(a.astype(np.longdouble)) @ abs(b.astype(np.longdouble)))
    assert (abs((fg.tensor(a) @ fg.tensor(b)).numpy() - exact) <= bound).all()


def test_nan_and_infinity_pass_through(product):
    a = np.ones((20, 40), np.float32)
    a[3, 5], a[4, 6] = np.nan, np.inf
    b = np.ones((40, 33), np.float32)
    np.testing.assert_array_equal((fg.tensor(a) @ fg.tensor(b)).numpy(), a @ b)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (40, 3), (0, 3), (2, 5, 3)])
@pytest.mark.parametrize("bias", [False, True])
def test_linear_and_its_gradients_are_those_of_the_composition(product, shape, bias):
    rng = np.random.default_rng(4)
    x, w, b = integers(rng, shape), integers(rng, (7, 3)), integers(rng, 7)
    g = integers(rng, (*shape[:-1], 7))
    for x_, w_, b_, g_ in itertools.product(layouts(x), layouts(w), layouts(b), layouts(g)):
        leaves = [t.detach().requires_grad_() for t in ((x_, w_, b_) if bias else (x_, w_))]
        y = F.linear(*leaves)
        np.testing.assert_array_equal(y.detach().numpy(), x @ w.T + (b if bias else 0))
        y.backward(g_)
        wanted = [g @ w, g.reshape(-1, 7).T @ x.reshape(-1, 3), g.reshape(-1, 7).sum(0)]
        for leaf, want in zip(leaves, wanted, strict=False):
            np.testing.assert_array_equal(leaf.grad.numpy(), want)


def test_only_the_gradients_that_are_needed():
    x, w = fg.ones(2, 3), fg.ones(4, 3, requires_grad=True)
    F.linear(x, w).sum().backward()
    assert x.grad is None
    np.testing.assert_array_equal(w.grad.numpy(), np.full((4, 3), 2.0))


def real(rng, *shape):
    return fg.tensor(rng.normal(size=shape), requires_grad=True)


@pytest.mark.parametrize(("left", "right"), BATCHES[:11])
def test_derivatives_of_matmul_to_second_order(left, right):
    rng = np.random.default_rng(5)
    a, b = real(rng, *left), real(rng, *right)
    assert gradcheck(fg.matmul, (a, b))
    assert gradgradcheck(fg.matmul, (a, b))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 3)])
@pytest.mark.parametrize("bias", [False, True])
def test_derivatives_of_linear_to_second_order(shape, bias):
    rng = np.random.default_rng(6)
    operands = (real(rng, *shape), real(rng, 4, 3), *([real(rng, 4)] if bias else []))
    assert gradcheck(F.linear, operands)
    assert gradgradcheck(F.linear, operands)
    for k in range(len(operands)):  # each operand alone: the others need no gradient
        alone = tuple(t if i == k else t.detach() for i, t in enumerate(operands))
        assert gradgradcheck(F.linear, alone)


COMPOSED = {
    "mm": ((2, 3), (3, 4)),
    "bmm": ((2, 2, 3), (2, 3, 4)),
    "mv": ((2, 3), (3,)),
    "dot": ((3,), (3,)),
    "outer": ((2,), (3,)),
    "inner": ((2, 3), (4, 3)),
    "addmm": ((4,), (2, 3), (3, 4)),
    "addmv": ((2,), (2, 3), (3,)),
    "baddbmm": ((2, 1, 4), (2, 2, 3), (2, 3, 4)),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_products_composed_of_matmul(name):
    rng = np.random.default_rng(7)
    operands = [real(rng, *shape) for shape in COMPOSED[name]]
    arrays = [t.detach().numpy() for t in operands]
    function = getattr(fg, name)
    numpys = {"outer": np.outer, "inner": np.inner}.get(name, np.matmul)
    want = numpys(*arrays[-2:])
    if len(operands) == 3:
        np.testing.assert_allclose(function(*operands).detach().numpy(), arrays[0] + want, rtol=1e-12)
        np.testing.assert_allclose(
            function(*operands, beta=2, alpha=0.5).detach().numpy(), 2 * arrays[0] + 0.5 * want, rtol=1e-12
        )
        nan = fg.full(operands[0].shape, float("nan"), dtype=fg.float64)
        np.testing.assert_allclose(function(nan, *operands[1:], beta=0).detach().numpy(), want, rtol=1e-12)
    else:
        np.testing.assert_allclose(function(*operands).detach().numpy(), want, rtol=1e-12)
    assert gradcheck(function, tuple(operands))


@pytest.mark.parametrize("dims", [0, 1, 2, ([0], [1]), ([1, 0], [0, 1]), ([-1], [0])])
def test_tensordot_against_numpy(dims):
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(3, 3)), rng.normal(size=(3, 3, 2))
    np.testing.assert_allclose(
        fg.tensordot(fg.tensor(a), fg.tensor(b), dims).numpy(), np.tensordot(a, b, dims), rtol=1e-12
    )


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
def test_bilinear_is_one_form_for_each_output(lead):
    rng = np.random.default_rng(9)
    x, y, w, b = real(rng, *lead, 3), real(rng, *lead, 2), real(rng, 5, 3, 2), real(rng, 5)
    want = np.einsum("...i,oij,...j->...o", *(t.detach().numpy() for t in (x, w, y))) + b.detach().numpy()
    np.testing.assert_allclose(F.bilinear(x, y, w, b).detach().numpy(), want, rtol=1e-12)
    assert gradcheck(F.bilinear, (x, y, w, b))


WRONG = [
    (lambda: fg.ones(4, 3) @ fg.ones(2, 5), r"inner sizes differ: \(4, 3\) @ \(2, 5\)"),
    (lambda: fg.ones(3, 2, 4) @ fg.ones(2, 4, 2), "batch sizes cannot be broadcast"),
    (lambda: fg.tensor(1.0) @ fg.ones(2), "at least 1 dimension"),
    (lambda: fg.mm(fg.ones(2), fg.ones(2, 2)), "mm: expected a 2-d tensor"),
    (lambda: fg.bmm(fg.ones(2, 2, 2), fg.ones(3, 2, 2)), "2 and 3 matrices"),
    (lambda: fg.dot(fg.ones(2), fg.ones(3)), "inner sizes differ"),
    (lambda: fg.addmm(fg.ones(5), fg.ones(2, 3), fg.ones(3, 4)), "addmm|add"),
    (lambda: F.linear(fg.ones(2, 3), fg.ones(4, 5)), r"expected \(..., 5\)"),
    (lambda: F.linear(fg.ones(2, 3), fg.ones(3)), r"\(out_features, in_features\)"),
    (lambda: F.linear(fg.ones(2, 3), fg.ones(4, 3), fg.ones(5)), r"expected \(4,\)"),
    (lambda: F.bilinear(fg.ones(2, 3), fg.ones(2, 2), fg.ones(4, 2, 2)), "do not fit"),
    (lambda: fg.tensordot(fg.ones(2, 3), fg.ones(2, 3), 1), "differ in size"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_sizes_that_do_not_fit_are_named(call, message):
    with pytest.raises(RuntimeError, match=message):
        call()


def test_a_shape_error_is_numpys_kind_of_error_too():
    with pytest.raises(ValueError, match="matmul"):
        fg.ones(4, 3) @ fg.ones(2, 5)


def test_a_provider_that_cannot_be_used_is_refused_and_named():
    with pytest.raises(ImportError, match=r"FASTGRAD_BLAS=/no/such\.so: there is no such library"):
        _blas.choose("/no/such.so")
    assert _blas.choose("own").startswith("own")
    np.testing.assert_array_equal((fg.ones(2, 3) @ fg.ones(3, 2)).numpy(), np.full((2, 2), 3.0))
    _blas.choose()


def test_a_library_without_products_is_refused():
    with pytest.raises(ImportError, match="no cblas_sgemm"):
        _blas.choose(_core.memory.__file__)
    _blas.choose()


def test_numpys_library_is_found_where_its_wheel_brings_one():
    paths = [path for name, path, _, _ in _blas.candidates("numpy") if path]
    if not paths:
        pytest.skip("this NumPy brings no library of its own")
    assert _blas.choose("numpy").startswith("numpy (")
    _blas.choose()
