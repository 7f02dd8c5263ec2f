"""Indexing: random keys against NumPy, gradients against scattering in NumPy and finite differences, errors by message."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgrad as fg
import fastgrad.nn.functional as F
from fastgrad.autograd import gradcheck, gradgradcheck

ANY = settings(max_examples=300, deadline=None)


def counting(shape, dtype=np.float64):
    return np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)


@st.composite
def keys(draw):
    """A shape and a key for it with at least one array, as NumPy takes it."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    beside = draw(st.sampled_from([(), (1,), (2,), (3, 2), (0,)]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    key, axis = [], 0
    dots = draw(st.booleans())
    while axis < len(shape):
        n = shape[axis]
        kind = draw(st.sampled_from("iaammms:nd."))
        if kind == "i":
            key.append(int(rng.integers(-n, n)))
        elif kind == "a":
            part = tuple(1 if rng.random() < 0.2 else s for s in beside[rng.integers(0, len(beside) + 1) :])
            key.append(rng.integers(-n, n, size=part))
        elif kind == "m":
            ndim = int(rng.integers(1, min(2, len(shape) - axis) + 1))
            mask = rng.random(shape[axis : axis + ndim]) < 0.5
            if mask.sum() != 1 and beside != ():  # so that it broadcasts with the other arrays
                mask[...] = False
                mask.flat[rng.integers(0, mask.size)] = True
            key.append(mask)
            axis += ndim - 1
        elif kind == "s":
            start, stop = sorted(rng.integers(-n, n + 1, size=2).tolist())
            key.append(slice(start, stop, int(rng.integers(1, 3))))
        elif kind == "n":
            if sum(k is None for k in key) < 2:
                key.append(None)
            continue
        elif kind == "." and dots:
            dots = False
            key.append(Ellipsis)
            axis += int(rng.integers(0, len(shape) - axis + 1))
            continue
        else:
            key.append(slice(None))
        axis += 1
    if not any(isinstance(k, np.ndarray) for k in key):
        key.insert(0, np.array(True))
    return tuple(shape), tuple(key)


def as_tensors(key):
    return tuple(fg.tensor(k) if isinstance(k, np.ndarray) else k for k in key)


def try_numpy(x, key):
    try:
        return x[key], None
    except IndexError:
        return None, IndexError


@ANY
@given(keys())
def test_any_key_gives_what_numpy_gives(case):
    shape, key = case
    x = counting(shape)
    want, error = try_numpy(x, key)
    if error is not None:
        with pytest.raises(error):
            fg.tensor(x)[as_tensors(key)]
        return
    for t in (fg.tensor(x), fg.tensor(np.ascontiguousarray(x.T)).permute(*range(x.ndim)[::-1])):
        got = t[as_tensors(key)]
        assert tuple(got.shape) == want.shape
        np.testing.assert_array_equal(got.numpy(), want)
        np.testing.assert_array_equal(t[key].numpy(), want)  # arrays instead of tensors


@ANY
@given(keys())
def test_the_gradient_of_a_key_adds_up_what_was_read(case):
    shape, key = case
    want, error = try_numpy(counting(shape), key)
    if error is not None:
        return
    x = fg.tensor(counting(shape), requires_grad=True)
    g = np.random.default_rng(0).normal(size=want.shape)
    x[as_tensors(key)].backward(fg.tensor(g))
    expected = np.zeros(shape)
    np.add.at(expected, key, g)
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-12)


@ANY
@given(keys(), st.booleans())
def test_assignment_and_its_gradients(case, spread):
    shape, key = case
    want, error = try_numpy(counting(shape), key)
    if error is not None:
        return
    named = counting(shape, np.int64)[key].ravel()
    if len(set(named.tolist())) < len(named):
        return  # which of several values stays is not defined
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=shape), rng.normal(size=() if spread else want.shape)
    g = rng.normal(size=shape)
    leaf, value = fg.tensor(x, requires_grad=True), fg.tensor(v, requires_grad=True)
    target = leaf * 1.0
    target[as_tensors(key)] = value
    x[key] = v
    np.testing.assert_array_equal(target.detach().numpy(), x)
    target.backward(fg.tensor(g))
    np.testing.assert_allclose(value.grad.numpy(), g[key].sum() if spread else g[key], rtol=1e-12)
    g[key] = 0
    np.testing.assert_array_equal(leaf.grad.numpy(), g)


def test_lists_ranges_and_python_bools_are_keys():
    x = counting((3, 4))
    t = fg.tensor(x)
    for key in ([0, 2], range(2), [True, False, True], True, False, ([0, 1], [2, 3]), (slice(1, None), [3, 0]), []):
        want = x[list(key) if isinstance(key, range) else key]
        assert tuple(t[key].shape) == want.shape
        np.testing.assert_array_equal(t[key].numpy(), want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_])
def test_every_dtype_can_be_read_and_written(dtype):
    x = (counting((3, 4), np.int64) % 2).astype(dtype)
    t = fg.tensor(x)
    np.testing.assert_array_equal(t[fg.tensor([2, 0])].numpy(), x[[2, 0]])
    t[fg.tensor([1])] = 1
    x[[1]] = 1
    np.testing.assert_array_equal(t.numpy(), x)
    t[t == 0] = 1
    assert t.bool().all()


def test_assignment_through_a_view_reaches_the_base():
    base = fg.zeros(3, 4)
    base[1:, ::2][:, fg.tensor([1])] = 5.0
    want = np.zeros((3, 4), np.float32)
    want[1:, 2] = 5
    np.testing.assert_array_equal(base.numpy(), want)


def test_a_mask_assignment_keeps_the_history_of_the_rest():
    w = fg.ones(4, requires_grad=True)
    y = w * fg.tensor([1.0, 2.0, 3.0, 4.0])
    y[fg.tensor([True, False, True, False])] = 0.0
    y.sum().backward()
    assert w.grad.tolist() == [0.0, 2.0, 0.0, 4.0]


def test_augmented_assignment_counts_each_place_once():
    t = fg.zeros(3)
    t[fg.tensor([0, 0, 2])] += 1.0
    assert t.tolist() == [1.0, 0.0, 1.0]


def real(*shape):
    return fg.tensor(np.random.default_rng(2).normal(size=shape), requires_grad=True)


TWICE = fg.tensor([2, 0, 2])
DIFFERENTIABLE = {
    "one tensor": (lambda x: x[TWICE], (3, 2)),
    "two tensors": (lambda x: x[TWICE, fg.tensor([[0], [1]])], (3, 2)),
    "apart": (lambda x: x[TWICE, :, fg.tensor([1, 0, 1])], (3, 2, 2)),
    "mask": (lambda x: x[fg.tensor([True, False, True])], (3, 2)),
    "index_select": (lambda x: fg.index_select(x, 1, fg.tensor([1, 0, 1])), (3, 2)),
    "gather": (lambda x: fg.gather(x, 1, fg.tensor([[0, 1, 1], [1, 1, 0]])), (3, 2)),
    "take_along_dim": (lambda x: fg.take_along_dim(x, fg.tensor([[1]]), 0), (3, 2)),
    "masked_select": (lambda x: fg.masked_select(x, fg.tensor([True, False])), (3, 2)),
    "masked_fill": (lambda x, v: fg.masked_fill(x, fg.tensor([[True, False]]), v), (3, 2), ()),
    "index_put": (lambda x, v: fg.index_put(x, (fg.tensor([2, 0]),), v), (3, 2), (2,)),
    "index_put, adding": (lambda x, v: fg.index_put(x, (TWICE,), v, accumulate=True), (3, 2), (3, 2)),
    "index_add": (lambda x, v: fg.index_add(x, 0, TWICE, v, alpha=2), (3, 2), (3, 2)),
    "index_copy": (lambda x, v: fg.index_copy(x, 1, fg.tensor([1]), v), (3, 2), (3, 1)),
    "index_fill": (lambda x: fg.index_fill(x, 0, fg.tensor([1]), 3.0), (3, 2)),
    "scatter": (lambda x, v: fg.scatter(x, 0, fg.tensor([[2, 0]]), v), (3, 2), (2, 2)),
    "scatter_add": (lambda x, v: fg.scatter_add(x, 0, fg.tensor([[2, 0], [2, 2]]), v), (3, 2), (2, 2)),
    "cat": (lambda x, v: fg.cat([x, v, x], 1), (3, 2), (3, 1)),
    "stack": (lambda x, v: fg.stack([x, v], -1), (3, 2), (3, 2)),
    "hstack": (lambda x, v: fg.hstack([x, v]), (3, 2), (3, 1)),
    "vstack": (lambda x, v: fg.vstack([x, v]), (3, 2), (2,)),
    "embedding": (lambda x: F.embedding(fg.tensor([[2, 0], [2, 1]]), x), (3, 2)),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_to_second_order(name):
    function, *shapes = DIFFERENTIABLE[name]
    inputs = tuple(real(*shape) for shape in shapes)
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)

    def cubed(*xs):  # a linear op has a zero second derivative: let the chain rule meet it
        return function(*(x**3 for x in xs))

    assert gradgradcheck(cubed, inputs)


INPLACE = {
    "index_put_": lambda x, v: x.index_put_((fg.tensor([2, 0]),), v),
    "index_add_": lambda x, v: x.index_add_(0, fg.tensor([2, 2]), v),
    "index_copy_": lambda x, v: x.index_copy_(0, fg.tensor([2, 0]), v),
    "index_fill_": lambda x, v: x.index_fill_(0, fg.tensor([1]), v[0, 0]),
    "masked_fill_": lambda x, v: x.masked_fill_(fg.tensor([True, False]), v[0, 0]),
    "scatter_": lambda x, v: x.scatter_(0, fg.tensor([[2, 0], [1, 1]]), v),
    "scatter_add_": lambda x, v: x.scatter_add_(0, fg.tensor([[2, 0], [1, 0]]), v),
}


@pytest.mark.parametrize("name", INPLACE)
def test_in_place_forms_give_what_the_others_give(name):
    write = INPLACE[name]
    x, v = real(3, 2), real(2, 2)

    def on_a_copy(x, v):
        t = x * 1.0
        assert write(t, v) is t
        return t

    def on_a_view(x, v):
        t = fg.zeros(3, 4, dtype=fg.float64) + 1.0
        t[:, 1:3] = x
        write(t[:, 1:3], v)
        return t

    assert gradcheck(on_a_copy, (x, v))
    assert gradcheck(on_a_view, (x, v))
    out_of_place = {
        "index_put_": lambda: fg.index_put(x, (fg.tensor([2, 0]),), v),
        "scatter_": lambda: fg.scatter(x, 0, fg.tensor([[2, 0], [1, 1]]), v),
        "masked_fill_": lambda: fg.masked_fill(x, fg.tensor([True, False]), v[0, 0]),
    }.get(name)
    if out_of_place is not None:
        assert fg.equal(on_a_copy(x, v), out_of_place())


def test_gather_and_scatter_against_numpy():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4, 5, 3))
    for axis in range(3):
        index = rng.integers(0, x.shape[axis], size=(4, 5, 3))
        got = fg.gather(fg.tensor(x), axis, fg.tensor(index))
        np.testing.assert_array_equal(got.numpy(), np.take_along_axis(x, index, axis))
        source = rng.normal(size=x.shape)
        where = list(np.indices(x.shape))
        where[axis] = index
        want = x.copy()
        np.add.at(want, tuple(where), source)
        got = fg.scatter_add(fg.tensor(x), axis, fg.tensor(index), fg.tensor(source))
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)
    assert fg.scatter(fg.zeros(2, 3), 1, fg.tensor([[2], [0]]), 7).tolist() == [[0, 0, 7], [7, 0, 0]]
    assert fg.gather(fg.ones(2, 3), 0, fg.zeros(0, 3, dtype=fg.int64)).shape == (0, 3)


def test_nonzero_against_numpy():
    x = np.random.default_rng(4).integers(-1, 2, size=(3, 4, 2))
    for t in (fg.tensor(x), fg.tensor(x).double(), fg.tensor(x) != 0):
        np.testing.assert_array_equal(fg.nonzero(t).numpy(), np.argwhere(x))
        for got, want in zip(t.nonzero(as_tuple=True), np.nonzero(x), strict=True):
            np.testing.assert_array_equal(got.numpy(), want)
    assert fg.nonzero(fg.tensor(3.0)).shape == (1, 0)
    np.testing.assert_array_equal(fg.nonzero(fg.tensor(x).permute(2, 0, 1)).numpy(), np.argwhere(x.transpose(2, 0, 1)))


def test_cat_promotes_and_lets_empty_vectors_pass():
    assert fg.cat([fg.ones(1, dtype=fg.int64), fg.ones(1)]).dtype is fg.float32
    assert fg.cat([fg.zeros(0), fg.ones(2, 3)], 1).shape == (2, 3)
    many = [fg.full((1, 2), float(k), requires_grad=True) for k in range(100)]
    joined = fg.cat(many)
    assert joined[:, 0].tolist() == list(range(100))
    (joined * joined).sum().backward()
    assert all(x.grad.tolist() == [[2 * k, 2 * k]] for k, x in enumerate(many))


def test_the_padding_row_of_an_embedding_gets_no_gradient():
    weight = real(4, 2)
    F.embedding(fg.tensor([1, 3, 1, -1 + 4]), weight, padding_idx=-1).sum().backward()
    assert weight.grad.tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]


X = counting((3, 4))
WRONG = [
    (lambda: fg.tensor(X)[fg.tensor([0, 3])], IndexError, "index 3 is out of bounds for dimension 0 with size 3"),
    (lambda: fg.tensor(X)[:, fg.tensor([-5])], IndexError, "index -5 is out of bounds for dimension 1 with size 4"),
    (lambda: fg.tensor(X)[0, fg.tensor([9])], IndexError, "index 9 is out of bounds for dimension 1"),
    (lambda: fg.tensor(X)[7, fg.tensor([0])], IndexError, "index 7 is out of bounds for dimension 0"),
    (lambda: fg.tensor(X)[fg.tensor([0]), 0, 0], IndexError, "too many indices"),
    (lambda: fg.tensor(X)[fg.tensor([0.5])], IndexError, "must be int64, int32 or bool"),
    (lambda: fg.tensor(X)[fg.tensor([1], dtype=fg.uint8)], IndexError, r"\.bool\(\) for a mask"),
    (lambda: fg.tensor(X)["a"], IndexError, "only integers, slices"),
    (lambda: fg.tensor(X)[fg.tensor([True, False])], IndexError, r"mask \(2,\) at dimension 0 does not match"),
    (lambda: fg.tensor(X)[fg.tensor([0, 1]), fg.tensor([0, 1, 2])], IndexError, "cannot be broadcast together"),
    (lambda: fg.index_select(fg.tensor(X), 0, fg.tensor([-1])), IndexError, "index_select: index -1 is out of range"),
    (lambda: fg.index_select(fg.tensor(X), 0, fg.tensor([[0]])), IndexError, "vector of indices"),
    (lambda: fg.index_add(fg.tensor(X), 0, fg.tensor([0]), fg.ones(2, 4)), RuntimeError, "1 indices along dimension 0"),
    (
        lambda: fg.gather(fg.tensor(X), 0, fg.tensor([[3]])),
        IndexError,
        "gather: index 3 is out of range for dimension 0",
    ),
    (lambda: fg.gather(fg.tensor(X), 0, fg.tensor([0])), RuntimeError, "as many dimensions"),
    (lambda: fg.gather(fg.tensor(X), 0, fg.tensor([[0] * 5])), RuntimeError, "larger than the tensor"),
    (lambda: fg.scatter(fg.zeros(2, 2), 0, fg.tensor([[5, 0]]), fg.ones(1, 2)), IndexError, "scatter: index 5"),
    (lambda: fg.scatter(fg.zeros(2), 0, fg.tensor([0, 1]), fg.ones(1)), RuntimeError, "larger than the source"),
    (lambda: fg.masked_fill(fg.ones(2), fg.tensor([1, 0]), 0), RuntimeError, "mask must be bool"),
    (lambda: fg.masked_fill(fg.ones(2), fg.tensor([True, False]), fg.ones(2)), RuntimeError, "0-d tensor"),
    (lambda: fg.cat([]), RuntimeError, "at least one tensor"),
    (lambda: fg.cat([fg.ones(2), 1]), TypeError, "got int at position 1"),
    (lambda: fg.cat([fg.ones(2, 3), fg.ones(2, 4)]), RuntimeError, "sizes must match except in dimension 0"),
    (lambda: fg.cat([fg.tensor(1.0)]), RuntimeError, "use stack"),
    (lambda: fg.stack([fg.ones(2), fg.ones(3)]), RuntimeError, "must have one shape"),
    (lambda: F.embedding(fg.tensor([4]), fg.ones(3, 2)), IndexError, "embedding: index 4 is out of range"),
    (lambda: F.embedding(fg.ones(2), fg.ones(3, 2)), RuntimeError, "the weight comes second"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "write",
    [
        lambda t: t.__setitem__(fg.tensor([0, 5]), 1.0),
        lambda t: t.__setitem__(fg.tensor([0, 1]), fg.ones(3)),
        lambda t: t.index_add_(0, fg.tensor([0, 5]), fg.ones(2)),
        lambda t: t.scatter_(0, fg.tensor([0, 5]), 1.0),
    ],
)
def test_a_refused_write_changes_nothing(write):
    t = fg.zeros(3)
    with pytest.raises((IndexError, RuntimeError)):
        write(t)
    assert t.tolist() == [0.0, 0.0, 0.0]
    assert t._version == 0
