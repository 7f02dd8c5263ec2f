"""Losses: values against NumPy, gradients against differences, reductions, shapes."""

import math
import warnings

import numpy as np
import pytest

import fastgrad
import fastgrad.nn.functional as F
from fastgrad import nn

N, C = 6, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, C))
Y = RNG.normal(size=(N, C))
LABELS = np.array([0, 3, 1, 2, 2, 0])
WEIGHT = np.array([0.5, 2.0, 1.0, 1.5])
P = RNG.dirichlet(np.ones(C), size=N)
Q = RNG.dirichlet(np.ones(C), size=N)
SIGNS = np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0])
LOG_SOFTMAX = X - np.log(np.exp(X).sum(1, keepdims=True))
D = np.abs(X - Y)


def t(array, **kwargs):
    return fastgrad.tensor(array, **kwargs)


def cosine(a, b):
    return (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))


def margins(p, weight=None):
    z = np.maximum(0, 0.8 - X[np.arange(N), LABELS][:, None] + X) ** p
    z[np.arange(N), LABELS] = 0
    return z.sum(1) / C * (1 if weight is None else weight[LABELS])


# name: the layer, its arguments, the loss of each element
LOSSES = {
    "mse": (nn.MSELoss, {}, (X, Y), D**2),
    "l1": (nn.L1Loss, {}, (X, Y), D),
    "smooth_l1": (nn.SmoothL1Loss, {"beta": 0.7}, (X, Y), np.where(D < 0.7, D**2 / 1.4, D - 0.35)),
    "smooth_l1 of beta 0": (nn.SmoothL1Loss, {"beta": 0.0}, (X, Y), D),
    "huber": (nn.HuberLoss, {"delta": 0.7}, (X, Y), np.where(D < 0.7, D**2 / 2, 0.7 * (D - 0.35))),
    "bce": (nn.BCELoss, {}, (P, Q), -(Q * np.log(P) + (1 - Q) * np.log(1 - P))),
    "bce weighted": (nn.BCELoss, {"weight": t(WEIGHT)}, (P, Q), -WEIGHT * (Q * np.log(P) + (1 - Q) * np.log(1 - P))),
    "bce_with_logits": (nn.BCEWithLogitsLoss, {}, (X, Q), np.log1p(np.exp(X)) - Q * X),
    "bce_with_logits weighted": (
        nn.BCEWithLogitsLoss,
        {"weight": t(WEIGHT), "pos_weight": t(WEIGHT[::-1].copy())},
        (X, Q),
        WEIGHT * (WEIGHT[::-1] * Q * np.log1p(np.exp(-X)) + (1 - Q) * np.log1p(np.exp(X))),
    ),
    "nll": (nn.NLLLoss, {}, (X, LABELS), -X[np.arange(N), LABELS]),
    "cross_entropy": (nn.CrossEntropyLoss, {}, (X, LABELS), -LOG_SOFTMAX[np.arange(N), LABELS]),
    "cross_entropy of probabilities": (nn.CrossEntropyLoss, {}, (X, P), -(P * LOG_SOFTMAX).sum(1)),
    "cross_entropy of weighted smooth probabilities": (
        nn.CrossEntropyLoss,
        {"weight": t(WEIGHT), "label_smoothing": 0.1},
        (X, P),
        -((0.9 * P + 0.1 / C) * WEIGHT * LOG_SOFTMAX).sum(1),
    ),
    "cross_entropy smoothed": (
        nn.CrossEntropyLoss,
        {"label_smoothing": 0.1},
        (X, LABELS),
        -(0.9 * LOG_SOFTMAX[np.arange(N), LABELS] + 0.1 * LOG_SOFTMAX.mean(1)),
    ),
    "kl_div of logarithms": (
        nn.KLDivLoss,
        {"log_target": True},
        (np.log(P), np.log(Q)),
        Q * (np.log(Q) - np.log(P)),
    ),
    "multi_margin": (nn.MultiMarginLoss, {"margin": 0.8}, (X, LABELS), margins(1)),
    "multi_margin squared": (
        nn.MultiMarginLoss,
        {"p": 2, "margin": 0.8, "weight": t(WEIGHT)},
        (X, LABELS),
        margins(2, WEIGHT),
    ),
    "hinge_embedding": (
        nn.HingeEmbeddingLoss,
        {"margin": 0.7},
        (X[:, 0], SIGNS),
        np.where(SIGNS == 1, X[:, 0], np.maximum(0, 0.7 - X[:, 0])),
    ),
    "cosine_embedding": (
        nn.CosineEmbeddingLoss,
        {"margin": 0.1},
        (X, Y, SIGNS),
        np.where(SIGNS == 1, 1 - cosine(X, Y), np.maximum(0, cosine(X, Y) - 0.1)),
    ),
}
CASES = pytest.mark.parametrize(("layer", "kwargs", "args", "expected"), LOSSES.values(), ids=LOSSES.keys())


@pytest.fixture(autouse=True)
def _without_the_warning_of_kl_div():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction='mean' divides")
        yield


@CASES
def test_value(layer, kwargs, args, expected):
    tensors = [t(a) for a in args]
    for reduction, reduce in (("none", np.asarray), ("sum", np.sum), ("mean", np.mean)):
        loss = layer(reduction=reduction, **kwargs)(*tensors)
        np.testing.assert_allclose(loss.numpy(), reduce(expected), rtol=1e-11, atol=1e-13)


@CASES
def test_gradient(layer, kwargs, args, expected):
    """The derivative along a random direction against central differences, for every real input."""
    loss = layer(reduction="sum", **kwargs)
    for k, arg in enumerate(args):
        if arg.dtype != np.float64 or (k == len(args) - 1 and layer in (nn.HingeEmbeddingLoss, nn.CosineEmbeddingLoss)):
            continue
        tensors = [t(a) for a in args]
        tensors[k].requires_grad_()
        loss(*tensors).backward()
        direction = np.random.default_rng(1).normal(size=arg.shape)

        def along(h, k=k, arg=arg, direction=direction):
            return loss(*[t(a + h * direction) if j == k else t(a) for j, a in enumerate(args)]).item()

        difference = (along(1e-6) - along(-1e-6)) / 2e-6
        assert (tensors[k].grad.numpy() * direction).sum() == pytest.approx(difference, rel=1e-7, abs=1e-7)


@CASES
def test_unknown_reduction(layer, kwargs, args, expected):
    with pytest.raises(ValueError, match="not a valid value for reduction"):
        layer(reduction="avg", **kwargs)(*[t(a) for a in args])


@pytest.mark.parametrize("loss", [F.nll_loss, F.cross_entropy])
def test_class_weights_and_ignored_labels(loss):
    labels = LABELS.copy()
    labels[[1, 4]] = -1
    kept = labels >= 0
    scores = LOG_SOFTMAX if loss is F.cross_entropy else X
    each = np.where(kept, -WEIGHT[labels] * scores[np.arange(N), labels], 0)
    arguments = (t(X), t(labels), t(WEIGHT))
    np.testing.assert_allclose(loss(*arguments, ignore_index=-1, reduction="none").numpy(), each, rtol=1e-12)
    total = WEIGHT[labels][kept].sum()
    assert loss(*arguments, ignore_index=-1).item() == pytest.approx(each.sum() / total, rel=1e-12)
    assert loss(*arguments, ignore_index=-1, reduction="sum").item() == pytest.approx(each.sum(), rel=1e-12)


def test_weighted_smoothed_cross_entropy():
    """As the paper and PyTorch define it: weights also act on the evenly spread share."""
    smooth = 0.2
    w = WEIGHT[LABELS]
    hard = -w * LOG_SOFTMAX[np.arange(N), LABELS]
    even = -(WEIGHT * LOG_SOFTMAX).sum(1) / C
    expected = ((1 - smooth) * hard.sum() + smooth * even.sum()) / w.sum()
    loss = F.cross_entropy(t(X), t(LABELS), t(WEIGHT), label_smoothing=smooth)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_cross_entropy_over_further_axes_and_of_one_sample():
    x = RNG.normal(size=(2, C, 3))
    labels = RNG.integers(0, C, size=(2, 3))
    rows = x.transpose(0, 2, 1).reshape(-1, C)
    flat = F.cross_entropy(t(rows), t(labels.reshape(-1)), reduction="none").numpy()
    np.testing.assert_allclose(F.cross_entropy(t(x), t(labels), reduction="none").numpy(), flat.reshape(2, 3))
    assert F.cross_entropy(t(X[0]), t(LABELS[0])).item() == pytest.approx(-LOG_SOFTMAX[0, LABELS[0]])
    spread = np.full((2, C, 3), 1 / C)
    assert F.cross_entropy(t(x), t(spread), reduction="none").shape == (2, 3)


def test_a_label_out_of_range_is_an_error():
    with pytest.raises(IndexError, match="4"):
        F.cross_entropy(t(X), t(np.full(N, 4)))


@pytest.mark.parametrize("shape", [(64, 10), (5, 1000), (4, 7, 30)], ids=str)
def test_a_graph_that_is_kept_gives_the_same_gradient_again(shape):
    """The last run may write the gradient over the probabilities; one that keeps the graph may not."""
    r = np.random.default_rng(0)
    x = fastgrad.tensor(r.normal(size=shape), requires_grad=True)
    loss = F.cross_entropy(x, t(r.integers(0, shape[1], (shape[0], *shape[2:]))), label_smoothing=0.1)
    first, second, third = (fastgrad.autograd.grad(loss, x, retain_graph=keep)[0] for keep in (True, True, False))
    assert first.tolist() == second.tolist() == third.tolist()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_the_gradient_takes_the_place_of_the_probabilities():
    x = fastgrad.zeros(256, 256, requires_grad=True)

    def grown(**options):
        x.grad = None
        fastgrad.reset_peak_memory_stats()
        before = fastgrad.memory_stats()["peak"]
        F.cross_entropy(x, fastgrad.zeros(256, dtype=fastgrad.int64)).backward(**options)
        return fastgrad.memory_stats()["peak"] - before

    assert grown() < 1.5 * x.nbytes
    assert grown(retain_graph=True) > 1.5 * x.nbytes


def test_cross_entropy_gradient_is_softmax_minus_target():
    x = t(X, requires_grad=True)
    F.cross_entropy(x, t(LABELS), reduction="sum").backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(LOG_SOFTMAX) - np.eye(C)[LABELS], atol=1e-14)


def test_large_logits_stay_finite():
    x = t([[1e4, 0.0], [-1e4, 0.0]], requires_grad=True)
    y = t([[1.0, 0.0], [0.0, 1.0]])
    losses = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    np.testing.assert_allclose(losses.tolist(), np.array([[0, math.log(2)], [0, math.log(2)]]), atol=1e-12)
    F.cross_entropy(x, t([0, 0])).backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_bce_at_certainty():
    x = t([0.0, 1.0, 0.0, 1.0], dtype=fastgrad.float64, requires_grad=True)
    loss = F.binary_cross_entropy(x, t([0.0, 1.0, 1.0, 0.0], dtype=fastgrad.float64), reduction="none")
    assert loss.tolist() == [0.0, 0.0, 100.0, 100.0]
    loss.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    for k, outside in ((0, [1.5, 0.5]), (1, [0.5, math.nan])):
        with pytest.raises(RuntimeError, match=f"binary_cross_entropy: element {k} is outside"):
            F.binary_cross_entropy(t(outside), t([1.0, 1.0]))


def test_kl_div():
    divergence = (Q * np.log(Q / P)).sum(1).mean()
    assert F.kl_div(t(np.log(P)), t(Q), reduction="batchmean").item() == pytest.approx(divergence, rel=1e-12)
    certain = np.eye(C)[LABELS]
    loss = F.kl_div(t(np.log(P)), t(certain), reduction="none").numpy()
    np.testing.assert_allclose(loss, -certain * np.log(P), rtol=1e-12, atol=0)
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(t(np.log(P)), t(Q))


def test_multi_margin_of_one_sample():
    loss = F.multi_margin_loss(t(X[0]), t(LABELS[0]), margin=0.8)
    assert loss.item() == pytest.approx(margins(1)[0], rel=1e-12)
    with pytest.raises(ValueError, match="only p == 1 and p == 2"):
        F.multi_margin_loss(t(X), t(LABELS), p=3)


@pytest.mark.parametrize(
    "loss",
    [
        F.mse_loss,
        F.l1_loss,
        F.smooth_l1_loss,
        F.huber_loss,
        F.binary_cross_entropy,
        F.binary_cross_entropy_with_logits,
        F.kl_div,
        F.hinge_embedding_loss,
    ],
)
def test_a_target_is_never_broadcast(loss):
    with pytest.raises(ValueError, match=r"same shape, but got \(6, 1\) and \(6,\)") as info:
        loss(fastgrad.zeros(6, 1), fastgrad.zeros(6))
    assert isinstance(info.value, RuntimeError)


def test_shapes_that_do_not_fit():
    with pytest.raises(RuntimeError, match=r"scores \(N, C\)"):
        F.multi_margin_loss(t(X), t(LABELS[:3]))
    with pytest.raises(RuntimeError, match=r"vectors \(N, D\)"):
        F.cosine_embedding_loss(t(X), t(Y), t(SIGNS[:3]))
    with pytest.raises(RuntimeError, match=r"in the shape of the scores, \(6, 4\), but got \(3, 4\)"):
        F.cross_entropy(t(X), t(P[:3]))


@pytest.mark.parametrize(("loss", "kwargs"), [(F.smooth_l1_loss, {"beta": -1.0}), (F.huber_loss, {"delta": 0.0})])
def test_scale_out_of_range(loss, kwargs):
    with pytest.raises(RuntimeError, match="must"):
        loss(t(X), t(Y), **kwargs)


def test_weights_are_state():
    assert list(nn.CrossEntropyLoss(t(WEIGHT)).state_dict()) == ["weight"]
    assert list(nn.BCEWithLogitsLoss(pos_weight=t(WEIGHT)).state_dict()) == ["pos_weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []


def test_swapping_the_hinge_loss_for_cross_entropy_needs_no_other_edit():
    x = t(X, requires_grad=True)
    for loss in (nn.MultiMarginLoss(), nn.CrossEntropyLoss()):
        x.grad = None
        (loss(x, t(LABELS)) + 0.1 * x.square().sum()).backward()
        assert x.grad.shape == x.shape
