"""copy, deepcopy and pickle of tensors; Parameter."""

import copy
import pickle

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.nn import Parameter


def test_parameter_is_a_tensor_with_a_flag():
    data = fg.ones(2)
    p = Parameter(data)
    assert isinstance(p, Parameter)
    assert isinstance(p, fg.Tensor)
    assert not isinstance(data, Parameter)
    assert not isinstance(3, Parameter)
    assert p.requires_grad
    assert p.is_leaf
    assert p.data_ptr() == data.data_ptr()
    assert not isinstance(p * 1, Parameter)
    assert not isinstance(p.detach(), Parameter)
    assert not Parameter(data, requires_grad=False).requires_grad
    assert Parameter(p * 2).is_leaf
    assert Parameter().shape == (0,)
    with pytest.raises(TypeError, match="list"):
        Parameter([1.0])
    with pytest.raises(RuntimeError, match="floating point"):
        Parameter(fg.tensor([1]))


@pytest.mark.parametrize("how", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
@pytest.mark.parametrize("make", [fg.ones, lambda n: Parameter(fg.ones(n)), lambda n: Parameter(fg.ones(n), False)])
def test_a_copy_has_the_same_values_and_flags_in_its_own_memory(how, make):
    t = make(3)
    t.note = ["kept"]
    c = how(t)
    assert type(c) is fg.Tensor
    assert fg.equal(c, t)
    assert c.requires_grad == t.requires_grad
    assert isinstance(c, Parameter) == isinstance(t, Parameter)
    assert c.note == ["kept"]
    assert c.note is not t.note
    assert c.data_ptr() != t.data_ptr()
    with fg.no_grad():
        c.zero_()
    assert t.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [fg.float32, fg.float64, fg.int64, fg.int32, fg.uint8, fg.bool])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_of_every_dtype_and_layout(dtype, protocol):
    for t in (fg.arange(6, dtype=dtype).reshape(2, 3).t(), fg.zeros(0, 2, dtype=dtype), fg.tensor(1, dtype=dtype)):
        c = pickle.loads(pickle.dumps(t, protocol))
        assert c.dtype is t.dtype
        assert c.shape == t.shape
        assert fg.equal(c, t)


def test_deepcopy_keeps_what_is_shared_shared():
    base = fg.arange(6.0)
    view, p = base[2:5], Parameter(base)
    b, v, q, again = copy.deepcopy([base, view, p, p])
    assert q is again
    b[2] = 10
    assert v[0].item() == 10
    assert q[2].item() == 10
    assert base[2].item() == 2
    assert v.shape == (3,)


def test_deepcopy_of_memory_shared_with_numpy():
    a = np.arange(6.0).reshape(2, 3)
    t = fg.from_numpy(a[:, 1:])
    c = copy.deepcopy(t)
    a[:] = 0
    assert c.tolist() == [[1, 2], [4, 5]]
    a.flags.writeable = False
    copy.deepcopy(fg.from_numpy(a)).add_(1)


def test_deepcopy_copies_the_gradient():
    p = Parameter(fg.ones(2))
    (p * 3).sum().backward()
    c = copy.deepcopy(p)
    assert c.grad.tolist() == [3, 3]
    c.grad.zero_()
    assert p.grad.tolist() == [3, 3]
    assert pickle.loads(pickle.dumps(p)).grad is None


def test_copy_shares_memory():
    p = Parameter(fg.ones(2))
    p.note = 1
    c = copy.copy(p)
    assert c is not p
    assert c.data_ptr() == p.data_ptr()
    assert isinstance(c, Parameter)
    assert c.note == 1


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_only_leaves_are_copied(how):
    y = fg.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match=r"leaves.*detach"):
        how(y)


def test_dtypes_sizes_and_devices_are_copied_as_themselves():
    for x in (fg.float32, fg.int64, fg.device("cpu"), fg.Size((2, 3)), fg.strided):
        assert pickle.loads(pickle.dumps(x)) == x
        assert copy.deepcopy(x) == x
    assert pickle.loads(pickle.dumps(fg.float32)) is fg.float32
