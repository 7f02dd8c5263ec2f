"""Attention against NumPy and its composition, its derivatives against differences."""

import math

import numpy as np
import pytest
from fastgrad._core.attention import attention_weights

import fastgrad as fg
from fastgrad.autograd import gradcheck, gradgradcheck

attention = fg.nn.functional.scaled_dot_product_attention
RNG = np.random.default_rng(0)
Q, K, V = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 3, 6, 5)), RNG.normal(size=(2, 3, 6, 2))
REAL_MASK = RNG.normal(size=(4, 6))
BOOL_MASK = np.array([[1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 0, 0], [1] * 6, [0, 1] * 3], bool)
CAUSAL = np.tril(np.ones((4, 6), bool))


def reference(q, k, v, mask=0.0, takes_part=True, scale=None):
    scores = q @ np.swapaxes(k, -1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    scores = np.where(takes_part, scores + mask, -np.inf)
    e = np.exp(scores)
    return e / e.sum(-1, keepdims=True) @ v


CASES = {
    "plain": ({}, {}),
    "scale": ({"scale": 0.3}, {"scale": 0.3}),
    "causal": ({"is_causal": True}, {"takes_part": CAUSAL}),
    "real mask": ({"attn_mask": fg.tensor(REAL_MASK)}, {"mask": REAL_MASK}),
    "bool mask": ({"attn_mask": fg.tensor(BOOL_MASK)}, {"takes_part": BOOL_MASK}),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    kwargs, expected = CASES[name]
    q, k, v = (fg.tensor(x, requires_grad=True) for x in (Q, K, V))
    np.testing.assert_allclose(
        attention(q, k, v, **kwargs).detach().numpy(), reference(Q, K, V, **expected), rtol=1e-12
    )
    few = tuple(fg.tensor(x[0, 0], requires_grad=True) for x in (Q, K, V))
    assert gradcheck(lambda *xs: attention(*xs, **kwargs), few)
    assert gradgradcheck(lambda *xs: attention(*xs, **kwargs), few)


def test_leading_dimensions_broadcast():
    found = attention(fg.tensor(Q), fg.tensor(K[:, :1]), fg.tensor(V[:, :1]))
    np.testing.assert_allclose(found.numpy(), reference(Q, K[:, :1], V[:, :1]), rtol=1e-12)


def test_a_query_without_keys_gets_zeros_and_sends_no_gradient():
    mask = fg.tensor(BOOL_MASK.copy())
    mask[1] = False
    q, k, v = (fg.tensor(x, requires_grad=True) for x in (Q, K, V))
    y = attention(q, k, v, mask)
    assert (y[..., 1, :] == 0).all()
    assert (y[..., 0, :] == attention(q, k, v, fg.tensor(BOOL_MASK))[..., 0, :]).all()
    y.sum().backward()
    assert (q.grad[..., 1, :] == 0).all()
    assert all(x.grad.isfinite().all() for x in (q, k, v))


def test_dropout_keeps_the_mean():
    fg.manual_seed(0)
    q = fg.zeros(1, 200, 4)
    y = attention(q, fg.zeros(1, 50, 4), fg.ones(1, 50, 3), dropout_p=0.5)
    assert 0.95 < y.mean().item() < 1.05
    assert y.std().item() > 0.05


def test_what_does_not_fit_is_refused():
    q, k, v = fg.tensor(Q), fg.tensor(K), fg.tensor(V)
    with pytest.raises(RuntimeError, match="attn_mask must be None where is_causal"):
        attention(q, k, v, fg.tensor(BOOL_MASK), is_causal=True)
    with pytest.raises(RuntimeError, match="inner sizes differ"):
        attention(q, v, k)
    with pytest.raises(RuntimeError, match=r"expected query \(\.\.\., L, E\)"):
        attention(q[0, 0, 0], k, v)


def composed(q, k, v, attn_mask=None, is_causal=False, scale=None):
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    return attention_weights(q, k, attn_mask, is_causal, scale) @ v


def agree(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_one_op_agrees_with_its_composition(name):
    """The value, the gradients of first and second order, tangents, batches and a compiled function."""
    kwargs, _ = CASES[name]
    found = []
    for f in (attention, composed):
        xs = [fg.tensor(x, requires_grad=True) for x in (Q, K, V)]
        y = f(*xs, **kwargs)
        first = fg.autograd.grad((y * y).sum(), xs, create_graph=True)
        second = fg.autograd.grad(sum((g * g.sin()).sum() for g in first), xs)
        plain = tuple(x.detach() for x in xs)
        _, tangent = fg.func.jvp(lambda *xs, f=f: f(*xs, **kwargs), plain, tuple(x.cos() for x in plain))
        one = fg.func.vmap(lambda q, k, v, f=f: f(q, k, v, **kwargs), in_dims=(1, None, 1))(
            plain[0], plain[1][:, 0], plain[2]
        )
        compiled = fg.compile(lambda *xs, f=f: f(*xs, **kwargs))
        found.append([y, *first, *second, tangent, one, compiled(*plain), compiled(*plain)])
    agree(*found)


def ops_of(y):
    found, waiting = set(), [y.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in found:
            found.add(node)
            waiting += [n for n, _ in node.next_functions]
    return {node.name() for node in found}


def test_it_is_one_op_where_shapes_and_dtypes_agree():
    q, k, v = (fg.tensor(x, requires_grad=True) for x in (Q, K, V))
    one = ops_of(attention(q, k, v))
    assert len(one) == 2  # with that of the leaves
    for kwargs, _ in CASES.values():
        assert ops_of(attention(q, k, v, **kwargs)) == one
    for y in (
        attention(q, k[:, :1], v),
        attention(q, k, v, dropout_p=0.5),
        attention(q, k, v, scale=fg.tensor(0.5)),
        attention(q, k, v, fg.tensor(REAL_MASK, requires_grad=True)),
        attention(q, k, v, fg.tensor(REAL_MASK).float()),
    ):
        assert len(ops_of(y)) > 2


def test_a_real_mask_has_a_gradient():
    q, k, v = (fg.tensor(x[0, 0]) for x in (Q, K, V))
    assert gradcheck(lambda m: attention(q, k, v, m), (fg.tensor(REAL_MASK, requires_grad=True),))
    _, found = fg.func.jvp(lambda m: attention(q, k, v, m), (fg.tensor(REAL_MASK),), (fg.tensor(REAL_MASK).cos(),))
    _, expected = fg.func.jvp(lambda m: composed(q, k, v, m), (fg.tensor(REAL_MASK),), (fg.tensor(REAL_MASK).cos(),))
    agree([found], [expected])
    masks = fg.stack([fg.tensor(REAL_MASK), fg.tensor(REAL_MASK) * 2])
    many = fg.func.vmap(lambda m: attention(q, k, v, m))(masks)
    agree(list(many), [attention(q, k, v, m) for m in masks])


def test_a_mask_broadcasts_over_heads_queries_and_keys():
    q, k, v = (fg.tensor(x, requires_grad=True) for x in (Q, K, V))
    for shape in ((6,), (1,), (4, 1), (3, 1, 6), (2, 1, 4, 6), (2, 3, 4, 6)):
        mask = fg.tensor(RNG.normal(size=shape))
        for m in (mask, mask > 0):
            found, expected = (
                [y := f(q, k, v, m), *fg.autograd.grad(y.sum(), (q, k, v))] for f in (attention, composed)
            )
            agree(found, expected)


def test_nan_behind_a_bool_mask_does_not_reach_the_weights():
    k = K.copy()
    k[:, :, 1] = np.nan
    mask = np.array([1, 0, 1, 1, 1, 1], bool)
    found = attention(fg.tensor(Q), fg.tensor(k), fg.tensor(V), fg.tensor(mask))
    np.testing.assert_allclose(found.numpy(), reference(Q, K, V, takes_part=mask), rtol=1e-12)


def test_operands_without_elements():
    for lead, queries, keys, size in (
        ((0,), 2, 3, 4),
        ((2,), 0, 3, 4),
        ((2,), 2, 0, 4),
        ((2,), 2, 3, 0),
        ((), 1, 1, 1),
    ):
        xs = [fg.ones(*lead, n, m).requires_grad_() for n, m in ((queries, 5), (keys, 5), (keys, size))]
        for kwargs in ({}, {"is_causal": True}, {"attn_mask": fg.ones(queries, keys, dtype=fg.bool)}):
            found, expected = ([y := f(*xs, **kwargs), *fg.autograd.grad(y.sum(), xs)] for f in (attention, composed))
            agree(found, expected)


@pytest.mark.parametrize("length", [3, 17, 300, 1100])
def test_rows_of_every_length(length):
    q, k, v = (fg.tensor(RNG.normal(size=(2, n, 4)), requires_grad=True) for n in (5, length, length))
    for kwargs in ({}, {"is_causal": True}, {"attn_mask": fg.tensor(RNG.normal(size=(5, length)) > 0)}):
        found, expected = (
            [y := f(q, k, v, **kwargs), *fg.autograd.grad((y * y).sum(), (q, k, v))] for f in (attention, composed)
        )
        agree(found, expected)
