"""What users call inside vmap beyond the ops of the table: a batch is a loop, without a warning, and so are its derivatives."""

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn.functional as N
from fastgrad import func as F

rng = np.random.default_rng(0)
X = fg.tensor(rng.normal(size=(3, 4, 5)))
W = fg.tensor(rng.normal(size=(3, 6, 5)))
ROWS = fg.tensor(rng.integers(0, 4, (3, 2)))
LABELS = fg.tensor(rng.integers(0, 5, (3, 4)))
TABLES = fg.tensor(rng.normal(size=(3, 7, 5)))
SHARED = fg.tensor(rng.normal(size=(4, 3)))


def assigned(x, key, value):
    y = fg.zeros_like(x)
    y[key] = value
    y[1:, 2] = 5.0
    return y


def wide(i):
    return i[:, None].expand(2, 5)


# A function of one element, and the batches it is mapped over.
CASES = {
    "an int": (lambda x: x[1, -2:], X),
    "indices that all share": (lambda x: x[fg.tensor([0, 2, 2])], X),
    "indices of each": (lambda x, i: x[i], X, ROWS),
    "indices of each, twice": (lambda x, i: x[i, i], X, ROWS),
    "indices of each, behind a slice": (lambda x, i: x[:, i], X, ROWS),
    "indices into what all share": (lambda i: SHARED[i], ROWS),
    "assigning a row": (lambda x: assigned(x, 0, x[1]), X),
    "assigning at indices": (lambda x, i: assigned(x, i, 0.0), X, ROWS),
    "gather": (lambda x, i: x.gather(0, wide(i)), X, ROWS),
    "index_select": (lambda x, i: x.index_select(0, i), X, ROWS),
    "index_add": (lambda x, i: x.index_add(0, i, x[:2]), X, ROWS),
    "scatter": (lambda x, i: x.scatter(0, wide(i), 1.0), X, ROWS),
    "scatter_add": (lambda x, i: x.scatter_add(0, wide(i), x[:2]), X, ROWS),
    "masked_fill": (lambda x: x.masked_fill(x > 0, 0.0), X),
    "where": (lambda x: fg.where(x > 0, x, 0.0), X),
    "cat": (lambda x: fg.cat([x, fg.ones(1, 5, dtype=fg.float64), x * 2]), X),
    "stack": (lambda x: fg.stack([x, x], 1), X),
    "sort": (lambda x: x.sort(0).values, X),
    "sort down": (lambda x: x.sort(descending=True).values, X),
    "argsort": (lambda x: x.argsort(1), X),
    "topk": (lambda x: x.topk(2).values, X),
    "median": (lambda x: x.median(), X),
    "median along": (lambda x: x.median(1).values, X),
    "cumsum": (lambda x: x.cumsum(1), X),
    "cumprod": (lambda x: x.cumprod(0), X),
    "max": (lambda x: x.max(1).values, X),
    "logsumexp": (lambda x: x.logsumexp(1), X),
    "norm": (lambda x: x.norm(), X),
    "std": (lambda x: x.std(0), X),
    "einsum": (lambda x, w: fg.einsum("ij,kj->ik", x, w), X, W),
    "tensordot": (lambda x, w: fg.tensordot(x, w, ([1], [1])), X, W),
    "bilinear": (lambda x: N.bilinear(x, x, fg.ones(2, 5, 5, dtype=fg.float64)), X),
    "tril": (lambda x: x.tril(), X),
    "pad": (lambda x: N.pad(x, (1, 1)), X),
    "roll": (lambda x: x.roll(1, 0), X),
    "repeat": (lambda x: x.repeat(2, 1), X),
    "one_hot": (lambda i: N.one_hot(i, 5), LABELS),
    "embedding": (lambda e, i: N.embedding(i, e), TABLES, ROWS),
    "embedding, indices that all share": (lambda e: N.embedding(fg.tensor([0, 3]), e), TABLES),
    "embedding, a table that all share": (lambda i: N.embedding(i, SHARED), ROWS),
    "embedding with padding": (lambda e, i: N.embedding(i, e, padding_idx=3), TABLES, ROWS),
    "cross_entropy": (lambda x, t: N.cross_entropy(x, t), X, LABELS),
    "cross_entropy of one": (lambda x, t: N.cross_entropy(x[0], t[0]), X, LABELS),
    "cross_entropy, not reduced": (lambda x, t: N.cross_entropy(x, t, reduction="none"), X, LABELS),
    "cross_entropy, ignoring": (lambda x, t: N.cross_entropy(x, t, ignore_index=1, label_smoothing=0.1), X, LABELS),
    "cross_entropy, weighted": (lambda x, t: N.cross_entropy(x, t, weight=SHARED[:, 0].abs().repeat(2)[:5]), X, LABELS),
    "cross_entropy, logits that all share": (lambda t: N.cross_entropy(X[0], t), LABELS),
    "layer_norm": (lambda x, w: N.layer_norm(x, (5,), w[0], w[1]), X, W),
    "rms_norm": (lambda x: N.rms_norm(x, (5,)), X),
    "batch_norm": (lambda x: N.batch_norm(x, None, None, training=True), X),
    "attention": (lambda x: N.scaled_dot_product_attention(x, x, x), X),
    "huber_loss": (lambda x: N.huber_loss(x, x.flip(0)), X),
}


def looped(f, args):
    return fg.stack([f(*[a[k] for a in args]) for k in range(3)])


@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_a_loop(name):
    f, *args = CASES[name]
    got, want = F.vmap(f)(*args), looped(f, args)
    assert got.dtype is want.dtype
    np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-12, atol=1e-14)


DIFFERENTIABLE = [name for name, (f, *args) in CASES.items() if args[0].is_floating_point() and name != "argsort"]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_derivatives_of_a_batch_are_those_of_a_loop(name):
    f, *args = CASES[name]
    slope = F.grad(lambda *xs: f(*xs).sin().sum())
    np.testing.assert_allclose(F.vmap(slope)(*args).numpy(), looped(slope, args).numpy(), rtol=1e-10, atol=1e-12)
    if name == "embedding with padding":
        return  # a row without a gradient has a tangent
    along = lambda x, *rest: F.jvp(lambda x: f(x, *rest), (x,), (x.cos(),))[1]  # noqa: E731
    np.testing.assert_allclose(F.vmap(along)(*args).numpy(), looped(along, args).numpy(), rtol=1e-10, atol=1e-12)
    one = [a[0] for a in args]
    np.testing.assert_allclose(F.jacrev(f)(*one).numpy(), F.jacfwd(f)(*one).numpy(), rtol=1e-10, atol=1e-12)


def test_a_class_out_of_range_is_an_error_in_a_batch_too():
    with pytest.raises(RuntimeError, match="one_hot"):
        F.vmap(lambda i: N.one_hot(i, 3))(LABELS + 3)
