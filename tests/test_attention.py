"""Attention against NumPy and its derivatives against differences."""

import math

import numpy as np
import pytest

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
