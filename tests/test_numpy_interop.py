"""Memory shared with NumPy and other libraries, and NumPy functions on Tensors."""

import gc
import weakref

import numpy as np
import pytest

import fastgrad as fg

ARRAYS = [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_]


@pytest.mark.parametrize("dtype", ARRAYS)
@pytest.mark.parametrize("cut", [(), slice(None), (slice(None, None, 2), slice(1, None)), (1,), (Ellipsis, 0)])
def test_from_numpy_and_back_share_memory(dtype, cut):
    a = np.arange(12).reshape(4, 3).astype(dtype)[cut]
    if a.ndim == 2:
        a = a.T
    t = fg.from_numpy(a) if a.ndim else fg.from_numpy(np.array(a))
    b = t.numpy()
    assert b.dtype == a.dtype
    np.testing.assert_array_equal(b, a)
    if a.ndim:
        assert np.shares_memory(a, b)
        assert b.strides == a.strides
        b.flat[0] = 1
        assert t.flatten()[0].item() == 1


def test_memory_lives_as_long_as_someone_uses_it():
    a = np.ones(1000)
    held = weakref.ref(a)
    t = fg.from_numpy(a)[10:]
    del a
    gc.collect()
    assert held() is not None
    assert t.sum().item() == 990
    del t
    gc.collect()
    assert held() is None
    b = fg.full((500,), 3.0).numpy()
    gc.collect()
    fg.zeros(500)
    assert (b == 3).all()


def test_read_only_arrays_give_tensors_that_cannot_be_written():
    a = np.ones(3)
    a.flags.writeable = False
    t = fg.from_numpy(a)
    with pytest.raises(RuntimeError, match="read-only"):
        t.add_(1)
    assert not t.numpy().flags.writeable
    assert (t + 1).add_(1).tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.arange(3)[::-1], "negative"),
        (np.arange(3).astype(">i8"), "byte order"),
        (np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")]))["b"], "aligned"),
        (np.zeros(3, np.dtype([("b", "f8"), ("a", "f4")], align=False))["b"], "aligned|multiples"),
        (np.zeros((1,) * 9), "dimensions"),
    ],
)
def test_memory_that_cannot_be_shared(array, word):
    with pytest.raises(ValueError, match=word):
        fg.from_numpy(array)


def test_from_numpy_of_something_else():
    with pytest.raises(TypeError, match="list"):
        fg.from_numpy([1])
    with pytest.raises(TypeError, match="float16"):
        fg.from_numpy(np.ones(2, np.float16))


def test_a_tensor_that_requires_grad_gives_no_array():
    x = fg.ones(2, requires_grad=True)
    for f in (x.numpy, lambda: np.asarray(x), lambda: np.array(x)):
        with pytest.raises(RuntimeError, match="detach"):
            f()
    assert x.numpy(force=True).tolist() == [1, 1]
    assert x.detach().numpy().tolist() == [1, 1]


def test_array_protocol():
    t = fg.ones(2)
    assert np.shares_memory(np.asarray(t), t.numpy())
    assert not np.shares_memory(np.array(t), t.numpy())
    assert np.asarray(t, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="float64"):
        np.array(t, dtype=np.float64, copy=False)
    assert np.shares_memory(np.array(t, copy=False), t.numpy())


class Arrayish:
    """What pandas and others have."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0])


def test_objects_with_array_are_data_and_operands():
    assert fg.tensor(Arrayish()).tolist() == [1, 2]
    assert (fg.ones(2, dtype=fg.float64) + Arrayish()).tolist() == [2, 3]


# ---- NumPy functions on Tensors --------------------------------------------------------------------------------------


def test_operators_between_arrays_and_tensors_are_recorded():
    x = fg.tensor([1.0, 2.0], dtype=fg.float64, requires_grad=True)
    a = np.array([3.0, 4.0])
    for y in (a * x, x * a, np.float64(2) * x, x / np.float32(2), a - x, a**x, a @ x, np.array([[1.0, 2.0]]) @ x):
        assert fg.is_tensor(y)
        assert y.requires_grad
    assert (a - x).tolist() == [2, 2]
    assert (a > x).tolist() == [True, True]
    (a * x).sum().backward()
    assert x.grad.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: np.add(x, np.ones(2)), [2, 3]),
        (lambda x: np.negative(x), [-1, -2]),
        (lambda x: np.exp(x), [np.e, np.e**2]),
        (lambda x: np.maximum(x, 1.5), [1.5, 2]),
        (lambda x: np.power(x, 2), [1, 4]),
        (lambda x: np.true_divide(x, 2), [0.5, 1]),
        (lambda x: np.sum(x), 3),
        (lambda x: np.mean(x, axis=0, keepdims=True), [1.5]),
        (lambda x: np.concatenate([x, np.zeros(1)]), [1, 2, 0]),
        (lambda x: np.stack([x, x], axis=1), [[1, 1], [2, 2]]),
        (lambda x: np.where(np.array([True, False]), x, 0.0), [1, 0]),
        (lambda x: np.reshape(x, (2, 1)), [[1], [2]]),
    ],
)
def test_numpy_functions_are_recorded(call, expected):
    x = fg.tensor([1.0, 2.0], dtype=fg.float64, requires_grad=True)
    y = call(x)
    assert fg.is_tensor(y)
    assert y.requires_grad
    np.testing.assert_allclose(y.detach().numpy(), expected)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.spacing(x),
        lambda x: np.add.reduce(x),
        lambda x: np.add(x, 1, out=np.zeros(2)),
        lambda x: np.add(x, 1, dtype=np.float64),
        lambda x: np.percentile(x, 50),
        lambda x: np.linalg.norm(x),
        lambda x: np.allclose(x, 1),
        lambda x: np.std(x),
    ],
)
def test_others_are_refused_where_a_history_would_be_lost(call):
    x = fg.tensor([1.0, 2.0], dtype=fg.float64, requires_grad=True)
    with pytest.raises(TypeError, match="detach"):
        call(x)
    result = call(x.detach())
    assert not fg.is_tensor(result)
    np.testing.assert_array_equal(result, call(x.detach().numpy()))


def test_an_array_takes_a_tensor_in_place_only_without_a_history():
    a = np.zeros(2)
    a += fg.ones(2)
    assert a.tolist() == [1, 1]
    with pytest.raises(TypeError, match="detach"):
        a += fg.ones(2, requires_grad=True)


# ---- DLPack ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ARRAYS)
def test_dlpack_both_ways(dtype):
    a = np.arange(6).reshape(2, 3).astype(dtype).T
    t = fg.from_dlpack(a)
    np.testing.assert_array_equal(t.numpy(), a)
    assert np.shares_memory(t.numpy(), a)
    b = np.from_dlpack(t)
    np.testing.assert_array_equal(b, a)
    assert np.shares_memory(b, a)
    assert fg.equal(fg.from_dlpack(t), t)
    assert t.__dlpack_device__() == (1, 0)


def test_dlpack_keeps_memory_alive_and_frees_it():
    a = np.ones(1000)
    held = weakref.ref(a)
    t = fg.from_dlpack(a)
    view = t[5:]
    del a, t
    gc.collect()
    assert held() is not None
    del view
    gc.collect()
    assert held() is None
    for arguments in ({}, {"max_version": (1, 0)}):
        owner = np.ones(100)
        held = weakref.ref(owner)
        capsule = fg.from_numpy(owner).__dlpack__(**arguments)
        del owner
        gc.collect()
        assert held() is not None
        b = fg.from_dlpack(capsule)
        with pytest.raises(TypeError, match="used"):
            fg.from_dlpack(capsule)
        del capsule
        gc.collect()
        assert b.sum().item() == 100
        del b
        gc.collect()
        assert held() is None
        owner = np.ones(100)
        held = weakref.ref(owner)
        capsule = fg.from_numpy(owner).__dlpack__(**arguments)
        del owner, capsule  # a capsule that nobody takes frees what it holds
        gc.collect()
        assert held() is None


def test_dlpack_honours_read_only():
    a = np.ones(3)
    a.flags.writeable = False
    t = fg.from_dlpack(a)
    with pytest.raises(RuntimeError, match="read-only"):
        t.zero_()
    assert not np.from_dlpack(t).flags.writeable
    with pytest.raises(BufferError, match="read-only"):
        t.__dlpack__()


def test_dlpack_refusals():
    with pytest.raises(BufferError, match="detach"):
        fg.ones(2, requires_grad=True).__dlpack__()
    with pytest.raises(BufferError, match="stream"):
        fg.ones(2).__dlpack__(stream=1)
    with pytest.raises(BufferError, match="device"):
        fg.ones(2).__dlpack__(dl_device=(2, 0))
    with pytest.raises(TypeError, match="complex128"):
        fg.from_dlpack(np.ones(2, np.complex128))
    with pytest.raises(TypeError, match="list"):
        fg.from_dlpack([1])
    with pytest.raises(BufferError, match="negative"):
        fg.from_dlpack(np.arange(3)[::-1])
    t = fg.ones(2)
    copied = fg.from_dlpack(t.__dlpack__(max_version=(1, 0), copy=True))
    copied.zero_()
    assert t.tolist() == [1, 1]
