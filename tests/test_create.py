"""New tensors: from Python data and arrays, filled, ranges; numbers and lists out of tensors; dtypes."""

import array
import math
import subprocess
import sys

import numpy as np
import pytest

import fastgrad as fg

F32, F64, I64, I32, U8, B = fg.float32, fg.float64, fg.int64, fg.int32, fg.uint8, fg.bool


# ---- tensor() --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1.5, F32, ()),
        (3, I64, ()),
        (True, B, ()),
        ([], F32, (0,)),
        ([[], []], F32, (2, 0)),
        ([1.0, 2], F32, (2,)),
        ([1, True], I64, (2,)),
        ([True, False], B, (2,)),
        ([[1, 2], [3, 4.0]], F32, (2, 2)),
        (((1, 2), (3, 4)), I64, (2, 2)),
        (range(3), I64, (3,)),
        (array.array("d", [1, 2]), F32, (2,)),
        (np.float64(1), F64, ()),
        (np.float32(1), F32, ()),
        (np.int32(1), I32, ()),
        ([np.float64(1), 2.0], F64, (2,)),
        ([np.float32(1), 2], F32, (2,)),
        ([np.ones(2), np.zeros(2)], F64, (2, 2)),
        (np.ones((2, 3)), F64, (2, 3)),
        (np.ones(2, np.float32), F32, (2,)),
        (np.array([1, 2]), I64, (2,)),
        (np.array([1, 2], np.int32), I32, (2,)),
        (np.array([1, 2], np.uint8), U8, (2,)),
        (np.array([True]), B, (1,)),
        (np.array(2.0), F64, ()),
        (np.array([1.0, 2.0], ">f8"), F64, (2,)),
        (np.arange(3.0)[::-1], F64, (3,)),
        ([fg.tensor(1.0), 2], F32, (2,)),
    ],
)
def test_dtype_and_shape_are_those_of_the_data(data, dtype, shape):
    t = fg.tensor(data)
    assert t.dtype is dtype
    assert t.shape == shape
    expected = [float(x) for x in data] if isinstance(data, list) and data and fg.is_tensor(data[0]) else data
    np.testing.assert_array_equal(t.numpy(), np.array(expected))


@pytest.mark.parametrize(
    "data", [[[1, 2], [3]], [[1], [2, 3]], [1, [2]], [[1], 2], [[1, 2], 3.0], [[[1]], [2]], [1, "a"]]
)
def test_uneven_sequences_are_refused(data):
    with pytest.raises((ValueError, TypeError), match="tensor: "):
        fg.tensor(data)
    with pytest.raises((ValueError, TypeError)):
        fg.tensor(data, dtype=F64)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (1j, "complex"),
        ([1j], "complex"),
        (np.ones(2, np.complex128), "complex128"),
        (np.ones(2, np.float16), "float16"),
        (np.ones(2, np.longdouble), "longdouble|float128"),
        (np.ones(2, np.int8), "int8"),
        (np.ones(2, np.uint64), "uint64"),
        (np.array([object()]), "object"),
        (np.array(["a"]), "<U1"),
        ("abc", "str"),
        (["abc"], "str"),
        (None, "NoneType"),
        ({1: 2}, "dict"),
        ({1, 2}, "set"),
        (object(), "object"),
    ],
)
def test_data_that_is_no_numbers_is_named(data, word):
    with pytest.raises(TypeError, match=word):
        fg.tensor(data)


def test_a_given_dtype_converts():
    assert fg.tensor([1.9, -1.9], dtype=I32).tolist() == [1, -1]
    assert fg.tensor([0.0, 0.5, math.nan], dtype=B).tolist() == [False, True, True]
    assert fg.tensor(np.array([1, 2], np.float16), dtype=F32).tolist() == [1, 2]
    assert fg.tensor(2, dtype=F64).dtype is F64
    assert fg.tensor(fg.tensor([1.5]), dtype=I64).tolist() == [1]
    assert fg.tensor([1], dtype=float).dtype is F64
    assert fg.tensor(1e40, dtype=F32).item() == math.inf


@pytest.mark.parametrize(
    ("data", "dtype", "error"),
    [
        (2**70, None, ValueError),
        ([2**70], I64, ValueError),
        (2**40, I32, RuntimeError),
        ([300], U8, RuntimeError),
        ([-1], U8, RuntimeError),
        (math.nan, I64, ValueError),
        (1, "float32", TypeError),
        (1, np.float32, TypeError),
    ],
)
def test_numbers_that_do_not_fit(data, dtype, error):
    with pytest.raises(error):
        fg.tensor(data, dtype=dtype)


def test_tensor_copies_and_as_tensor_shares():
    a = np.zeros(3)
    t, s = fg.tensor(a), fg.as_tensor(a)
    a[0] = 1
    assert t.tolist() == [0, 0, 0]
    assert s.tolist() == [1, 0, 0]
    assert fg.as_tensor(s) is s
    assert fg.as_tensor(a, dtype=F32).dtype is F32
    assert fg.as_tensor(a[::-1]).tolist() == [0, 0, 1]
    assert fg.as_tensor([1, 2]).dtype is I64
    with pytest.raises(ValueError, match="without a copy"):
        fg.asarray([1.0], copy=False)
    assert fg.asarray(a, copy=False).data_ptr() == s.data_ptr()
    assert fg.asarray(a, copy=True).data_ptr() != s.data_ptr()


def test_as_tensor_with_another_dtype_is_recorded():
    x = fg.ones(2, requires_grad=True)
    fg.as_tensor(x, dtype=F64).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_history_is_never_dropped_in_silence():
    x = fg.tensor(1.0, requires_grad=True)
    with pytest.warns(UserWarning, match="history"):
        y = fg.tensor(x * 2)
    assert y.is_leaf
    assert not y.requires_grad
    with pytest.warns(UserWarning, match="stack"):
        fg.tensor([x * 2, 1.0])
    with pytest.raises(ValueError, match="stack"):
        fg.tensor([fg.ones(2), fg.ones(2)])


def test_requires_grad():
    assert fg.tensor([1.0], requires_grad=True).requires_grad
    assert fg.zeros(2, requires_grad=True).is_leaf
    with pytest.raises(RuntimeError, match="floating point"):
        fg.tensor([1], requires_grad=True)
    with fg.no_grad():
        assert fg.ones(1, requires_grad=True).requires_grad


def test_a_sequence_that_changes_while_it_is_read_writes_nowhere_else():
    class Growing:
        def __init__(self, owner):
            self.owner = owner

        def __float__(self):
            self.owner.extend([0.0] * 1000)
            return 1.0

    data = [0.0]
    data.append(Growing(data))
    with pytest.raises(ValueError, match="length 2"):
        fg.tensor(data, dtype=F64)


def test_default_dtype():
    try:
        fg.set_default_dtype(F64)
        assert fg.tensor(1.0).dtype is F64
        assert fg.zeros(1).dtype is F64
        assert fg.rand(1).dtype is F64
        assert fg.arange(0.5).dtype is F64
        assert fg.tensor([1.0, 2]).dtype is F64
    finally:
        fg.set_default_dtype(F32)
    with pytest.raises(TypeError):
        fg.set_default_dtype(I64)


# ---- filled ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F32, F64, I64, I32, U8, B])
def test_filled(dtype):
    expected = {fg.zeros: 0, fg.ones: 1}
    for f, value in expected.items():
        t = f(2, 3, dtype=dtype)
        assert t.dtype is dtype
        np.testing.assert_array_equal(t.numpy(), np.full((2, 3), value))
    np.testing.assert_array_equal(fg.full((5,), 7, dtype=dtype).numpy(), np.full(5, 7).astype(dtype.numpy_dtype))
    assert fg.empty(2, 3, dtype=dtype).shape == (2, 3)
    assert fg.eye(2, 3, dtype=dtype).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("sizes", [(2, 3), ((2, 3),), ([2, 3],), (fg.Size((2, 3)),)])
def test_sizes_as_arguments_or_as_one_sequence(sizes):
    assert fg.zeros(*sizes).shape == (2, 3)
    assert fg.zeros(size=(2, 3)).shape == (2, 3)
    assert fg.zeros(2, 3).new_ones(*sizes).shape == (2, 3)


def test_sizes_of_other_integers():
    assert fg.zeros(np.int64(2), 3).shape == (2, 3)
    assert fg.zeros(3, np.int64(2)).shape == (3, 2)
    assert fg.zeros(np.int64(2)).shape == (2,)
    assert fg.zeros(()).shape == ()
    assert fg.zeros(0, 3).numel() == 0


def test_full_takes_the_dtype_of_the_number():
    assert fg.full((2,), 1).dtype is I64
    assert fg.full((2,), 1.0).dtype is F32
    assert fg.full((2,), True).dtype is B
    assert fg.full((), fg.tensor(2.5)).item() == 2.5
    assert fg.full((1,), 2**62 + 1).item() == 2**62 + 1


def test_like_and_new():
    x = fg.arange(6).reshape(2, 3).t()
    assert fg.zeros_like(x).dtype is I64
    assert fg.ones_like(x, dtype=F64).tolist() == [[1, 1], [1, 1], [1, 1]]
    assert fg.full_like(x, 4).tolist() == [[4, 4], [4, 4], [4, 4]]
    assert fg.empty_like(x).shape == (3, 2)
    assert fg.ones_like(x, dtype=F32, requires_grad=True).requires_grad
    assert x.new_zeros(2).dtype is I64
    assert x.new_ones((2, 2)).tolist() == [[1, 1], [1, 1]]
    assert x.new_full((2,), 5).tolist() == [5, 5]
    assert x.new_empty(3).shape == (3,)
    assert x.new_tensor([1.5]).dtype is I64


@pytest.mark.parametrize("size", [2.5, 2.0, math.nan, "2", None])
@pytest.mark.parametrize(
    "make",
    [fg.zeros, fg.eye, lambda n: fg.randn((3, n)), lambda n: fg.full((n,), 1), lambda n: fg.ones(4).reshape(n, 2)],
)
def test_a_size_is_an_int(make, size):
    with pytest.raises(TypeError, match=r"sizes must be ints, got .*\((float|str|NoneType)\)"):
        make(size)


@pytest.mark.parametrize("size", [-1, 2.5, math.nan, "2", None, 2**65])
def test_sizes_that_are_none(size):
    with pytest.raises((TypeError, RuntimeError, MemoryError)):
        fg.zeros(size)


@pytest.mark.parametrize("size", [(2**62,), (2**40, 2**40), (2**31, 2**31, 2**31), (1 << 46,)])
def test_huge_sizes_leave_the_process_alive(size):
    with pytest.raises(MemoryError):
        fg.empty(*size)
    assert fg.ones(2).sum().item() == 2


def test_options_that_cannot_matter_are_accepted_and_others_refused():
    fg.zeros(2, device="cpu", layout=fg.strided, pin_memory=True)
    fg.zeros(2, device=fg.device("cpu"))
    fg.empty(2, memory_format=fg.contiguous_format)
    for device in ("cuda", "cuda:0", "mps", "meta"):
        with pytest.raises(RuntimeError, match="CPU only"):
            fg.zeros(2, device=device)
        with pytest.raises(RuntimeError, match="CPU only"):
            fg.ones(2).to(device)
        with pytest.raises(RuntimeError, match="CPU only"):
            fg.device(device)
    assert fg.ones(1).device == fg.device("cpu")
    assert str(fg.device("cpu")) == "cpu"
    assert fg.ones(1).device.type == "cpu"
    assert fg.ones(1).layout is fg.strided
    assert not fg.cuda.is_available()


# ---- ranges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected", "dtype"),
    [
        ((5,), [0, 1, 2, 3, 4], I64),
        ((2, 5), [2, 3, 4], I64),
        ((5, 0, -2), [5, 3, 1], I64),
        ((1, 2.5, 0.5), [1, 1.5, 2], F32),
        ((3.0,), [0, 1, 2], F32),
        ((0,), [], I64),
        ((2**53, 2**53 + 3), [2**53, 2**53 + 1, 2**53 + 2], I64),
    ],
)
def test_arange(arguments, expected, dtype):
    t = fg.arange(*arguments)
    assert t.tolist() == expected
    assert t.dtype is dtype


def test_arange_by_name_and_with_dtype():
    assert fg.arange(end=3).tolist() == [0, 1, 2]
    assert fg.arange(start=1, end=3).tolist() == [1, 2]
    assert fg.arange(3, dtype=F64).dtype is F64
    assert fg.arange(3, dtype=U8).tolist() == [0, 1, 2]
    assert fg.arange(fg.tensor(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "arguments", [(0, 1, 0), (5, 1), (1, 5, -1), (0, math.nan), (0, math.inf), (0.0, 1.0, 0.0), (0, 1, math.nan)]
)
def test_ranges_that_cannot_be(arguments):
    with pytest.raises(RuntimeError, match="arange"):
        fg.arange(*arguments)


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 100])
def test_linspace_and_logspace(steps):
    t = fg.linspace(-1, 3, steps, dtype=F64)
    np.testing.assert_allclose(t.numpy(), np.linspace(-1, 3, steps), rtol=1e-15, atol=1e-15)
    np.testing.assert_allclose(
        fg.logspace(-2, 2, steps, base=2, dtype=F64).numpy(), np.logspace(-2, 2, steps, base=2), rtol=1e-14
    )
    if steps > 1:
        assert t[0].item() == -1
        assert t[-1].item() == 3
    with pytest.raises(RuntimeError, match="non-negative"):
        fg.linspace(0, 1, -1)


# ---- numbers and lists -----------------------------------------------------------------------------------------------


def test_one_element_becomes_a_number():
    assert fg.tensor([[2.5]]).item() == 2.5
    assert float(fg.tensor([3])) == 3.0
    assert int(fg.tensor(3.7)) == 3
    assert complex(fg.tensor(1.0)) == 1
    assert [10, 20][fg.tensor(1)] == 20
    assert bool(fg.tensor([0.5])) is True
    assert bool(fg.tensor(0)) is False
    assert isinstance(fg.tensor(True).item(), bool)
    assert f"{fg.tensor(3.14159):.2f}" == "3.14"
    assert f"{fg.tensor(7):d}" == "7"
    assert f"{fg.tensor(1.5)}" == "1.5" and f"{fg.tensor([1.5])}" == "tensor([1.5000])"
    assert round(fg.tensor(2.6).item()) == 3
    assert math.isnan(fg.tensor(math.nan).item())


def test_other_sizes_do_not():
    for t in (fg.ones(2), fg.ones(0)):
        with pytest.raises(RuntimeError, match="elements"):
            t.item()
        with pytest.raises(RuntimeError, match="ambiguous"):
            bool(t)
        with pytest.raises(ValueError, match="one element"):
            float(t)
    with pytest.raises(TypeError, match="index"):
        [1, 2][fg.tensor(1.0)]
    with pytest.raises(ValueError, match="NaN"):
        int(fg.tensor(math.nan))
    with pytest.raises(TypeError, match="format"):
        f"{fg.ones(2):.2f}"


def test_lists_iteration_and_membership():
    t = fg.arange(6).reshape(2, 3)
    assert t.t().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert fg.tensor(1.5).tolist() == 1.5
    assert fg.zeros(2, 0).tolist() == [[], []]
    assert [row.tolist() for row in t] == [[0, 1, 2], [3, 4, 5]]
    _, b = t
    assert b.tolist() == [3, 4, 5]
    assert 5 in t
    assert 6 not in t
    with pytest.raises(TypeError, match="0-d"):
        iter(fg.tensor(1.0))
    assert len(t) == 2


# ---- dtypes ----------------------------------------------------------------------------------------------------------


def test_to():
    x = fg.ones(2)
    assert x.to(F32) is x
    assert x.to("cpu") is x
    assert x.to(F32, copy=True) is not x
    assert x.to(F64).dtype is F64
    assert x.to("cpu", I64).dtype is I64
    assert x.to(fg.device("cpu"), dtype=I32).dtype is I32
    assert x.to(fg.ones(1, dtype=F64)).dtype is F64
    assert x.to(other=fg.ones(1, dtype=I64)).dtype is I64
    assert x.to(dtype=F64, non_blocking=True).dtype is F64
    assert x.cpu() is x
    for f in (x.half, x.bfloat16):
        with pytest.raises(TypeError, match="float16"):
            f()
    with pytest.raises(RuntimeError, match="CPU only"):
        x.cuda()


def test_type():
    x = fg.ones(2)
    assert x.type() == "fastgrad.FloatTensor"
    assert x.type("torch.DoubleTensor").dtype is F64
    assert x.type(I32).dtype is I32
    assert x.type_as(fg.tensor([1])).dtype is I64
    with pytest.raises(ValueError, match="HalfTensor"):
        x.type("HalfTensor")


def test_names_of_dtypes():
    assert (fg.float, fg.double, fg.long, fg.int) == (F32, F64, I64, I32)
    assert repr(fg.float32) == "fastgrad.float32"
    assert isinstance(fg.float32, fg.dtype)
    assert fg.float32.itemsize == 4
    assert fg.tensor(1.0).is_floating_point()
    assert not fg.is_floating_point(fg.tensor(1))
    assert not fg.is_complex(fg.tensor(1.0))
    assert fg.ones(1).element_size() == 4


def test_promotion():
    assert fg.promote_types(I64, F32) is F32
    assert fg.promote_types(U8, I32) is I32
    assert fg.result_type(fg.ones(1, dtype=I64), 2.5) is F32
    assert fg.result_type(fg.ones(1), fg.tensor(1.0, dtype=F64)) is F32
    assert fg.can_cast(I64, F32)
    assert not fg.can_cast(F32, I64)
    assert fg.finfo(F32).eps == np.finfo(np.float32).eps
    assert fg.finfo().bits == 32
    assert fg.iinfo(I32).max == 2**31 - 1


# ---- comparison ------------------------------------------------------------------------------------------------------


def test_equal_and_close():
    a = fg.tensor([1.0, math.inf, math.nan])
    assert not fg.equal(a, a.clone())
    assert fg.equal(a[:2], a[:2].clone())
    assert not fg.equal(fg.ones(2), fg.ones(2, 1))
    assert fg.isclose(a, a).tolist() == [True, True, False]
    assert fg.isclose(a, a, equal_nan=True).tolist() == [True, True, True]
    assert fg.isclose(fg.tensor([1.0, 1.0]), fg.tensor([math.inf, 1.1])).tolist() == [False, False]
    assert fg.tensor([1.0]).allclose(fg.tensor([1.000001]))
    assert not fg.allclose(fg.tensor([1.0]), fg.tensor([1.001]))
    assert fg.isclose(fg.tensor([1, 2]), fg.tensor([1, 3]), rtol=0, atol=0).tolist() == [True, False]
    x = fg.ones(2, requires_grad=True)
    assert not fg.isclose(x, x).requires_grad


# ---- the front of the package ----------------------------------------------------------------------------------------


def test_a_missing_name_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'tensor'"):
        fg.tensro  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'qqqqqqq'$"):
        fg.qqqqqqq  # noqa: B018
    assert not hasattr(fg, "_hidden")
    assert {"tensor", "nn", "optim", "save", "float32", "relu"} <= set(dir(fg))


def test_modules_are_imported_when_they_are_used():
    code = (
        "import sys, fastgrad\n"
        "assert 'fastgrad.nn' not in sys.modules and 'numpy.random' not in sys.modules\n"
        "fastgrad.nn.Linear, fastgrad.optim.SGD, fastgrad.utils.data.DataLoader, fastgrad.autograd.gradcheck\n"
        "fastgrad.load, fastgrad.datasets"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=60)


def test_show_config_prints_what_is_in_use(capsys):
    assert fg.show_config() is None
    text = capsys.readouterr().out
    for word in (fg.__version__, np.__version__, "instruction set", "BLAS"):
        assert word in text
    found = fg.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert [line.removeprefix(name).strip() for name, line in zip(found, text.splitlines(), strict=True)] == list(
        found.values()
    )
    with pytest.raises(ValueError, match="'stdout' or 'dicts', got 'json'"):
        fg.show_config("json")
