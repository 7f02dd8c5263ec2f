"""Views against NumPy on random chains: values, shared memory, and gradients through all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgrad as fg

SHAPES = ((2, 3, 4), (6, 4), (1, 5, 1), (3,), (), (2, 0, 3), (2, 1, 2, 3))


def factorings(n):
    """Shapes of n elements."""
    found = [(n,), (1, n), (n, 1)]
    found += [(d, n // d) for d in range(2, n) if n % d == 0] if n else [(0, 2), (3, 0)]
    return [*found, (2, n // 4, 2)] if n % 4 == 0 else found


@st.composite
def steps(draw, a):
    """A random chain of view operations, as pairs of functions of a Tensor and of an array, with the array's results."""
    chain = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(
            st.sampled_from(["permute", "slice", "reshape", "unsqueeze", "squeeze", "select", "expand", "flatten"])
        )
        if kind == "permute":
            order = tuple(draw(st.permutations(range(a.ndim))))
            pair = (lambda t, o=order: t.permute(*o), lambda x, o=order: x.transpose(o))
        elif kind == "slice" and a.ndim:
            k = draw(st.integers(0, a.ndim - 1))
            i, j, s = draw(st.integers(0, a.shape[k])), draw(st.integers(0, a.shape[k])), draw(st.integers(1, 3))
            key = (slice(None),) * k + (slice(i, j, s),)
            pair = (lambda t, key=key: t[key], lambda x, key=key: x[key])
        elif kind == "select" and a.ndim and a.shape[0]:
            i = draw(st.integers(-a.shape[0], a.shape[0] - 1))
            pair = (lambda t, i=i: t[..., None][i], lambda x, i=i: x[..., None][i])
        elif kind == "reshape":
            shape = draw(st.sampled_from(factorings(a.size)))
            pair = (lambda t, s=shape: t.reshape(s), lambda x, s=shape: x.reshape(s))
        elif kind == "unsqueeze" and a.ndim < 6:
            k = draw(st.integers(-a.ndim - 1, a.ndim))
            pair = (lambda t, k=k: t.unsqueeze(k), lambda x, k=k: np.expand_dims(x, k))
        elif kind == "squeeze":
            pair = (lambda t: t.squeeze(), lambda x: x.squeeze())
        elif kind == "expand" and a.ndim < 6:
            shape = (2, *a.shape)
            pair = (lambda t, s=shape: t.expand(s), lambda x, s=shape: np.broadcast_to(x, s))
        elif kind == "flatten":
            pair = (lambda t: t.flatten(), lambda x: x.reshape(-1))
        else:
            continue
        a = pair[1](a)
        if a.ndim > 7:
            break
        chain.append(pair)
    return chain


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(SHAPES))
def test_chains_are_numpys(data, shape):
    a = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    chain = data.draw(steps(a))
    x = fg.tensor(a, requires_grad=True)
    t, y, owner = x, a, np.arange(a.size)  # owner: which element of x each element of the result is
    owner = owner.reshape(shape)
    for of_tensor, of_array in chain:
        t, y, owner = of_tensor(t), of_array(y), of_array(owner)
        assert t.shape == y.shape
        np.testing.assert_array_equal(t.detach().numpy(), y)
    weights = np.arange(1.0, y.size + 1).reshape(y.shape)
    (t * fg.tensor(weights)).sum().backward()
    expected = np.zeros(a.size)
    np.add.at(expected, owner.reshape(-1), weights.reshape(-1))
    np.testing.assert_array_equal(x.grad.numpy(), expected.reshape(shape))


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(SHAPES))
def test_a_view_is_a_view_where_numpy_makes_one(data, shape):
    base = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    order = tuple(data.draw(st.permutations(range(base.ndim))))
    target = data.draw(st.sampled_from(factorings(base.size)))
    turned = base.transpose(order)
    t = fg.from_numpy(base).permute(*order)
    assert np.shares_memory(t.reshape(target).numpy(), base) == np.shares_memory(turned.reshape(target), base)


def test_sizes_and_dims_may_be_numpy_integers():
    x = fg.arange(6.0)
    assert x.reshape(np.int64(6)).shape == (6,)
    assert x.reshape(np.int64(2), np.int32(3)).sum(dim=np.int64(0)).shape == (3,)
    assert x.expand(np.int64(6)).shape == (6,)


def test_the_gradient_of_a_view_whose_base_got_other_data_is_an_error():
    w = fg.ones(1000, requires_grad=True)
    seen = []
    w.register_hook(lambda g: seen.append(g.shape))
    y = w[500:].sum()
    w.data = fg.ones(2)
    with pytest.raises(RuntimeError, match="replaced"):
        y.backward()
    w.sum().backward()
    assert w.grad.tolist() == [1.0, 1.0]
    assert seen == [(2,)]


def test_a_graph_survives_new_data_of_the_same_shape():
    w = fg.tensor([1.0, 2.0], requires_grad=True)
    y = (w * 3.0).sum()
    w.data = fg.zeros(2)
    y.backward()
    assert w.grad.tolist() == [3.0, 3.0]


def test_a_gradient_is_not_added_to_one_of_another_shape():
    w = fg.ones(1000, requires_grad=True)
    w.sum().backward()
    w.data = fg.ones(2)
    with pytest.raises(RuntimeError, match=r"set \.grad to None"):
        w.sum().backward()
    w.grad = None
    w.sum().backward()
    assert w.grad.tolist() == [1.0, 1.0]
