"""softmax, losses and norms: their kernels in every instruction set against plain float64 formulas, and their edges."""

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn.functional as F

REALS = [np.float32, np.float64]


def close(t, expected, dtype, factor=1):
    bound = factor * 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(t.detach().numpy(), expected, rtol=bound, atol=bound)


def tape(f, *arrays):
    """f of tensors, and the gradients of sum(f * weights): (value, weights, gradients)."""
    xs = [fg.tensor(a, requires_grad=True) for a in arrays]
    y = f(*xs)
    g = np.random.default_rng(9).normal(size=y.shape).astype(arrays[0].dtype)
    return y, g.astype(float), fg.autograd.grad(y, xs, fg.tensor(g))


# ---- softmax -------------------------------------------------------------------------------------------------------

# Rows shorter and longer than a vector and than a tile of rows, few and many; a dimension that is not the last.
ALONG = [((1, 2), 1), ((64, 10), 1), ((300, 3), 1), ((3, 1000), 1), ((2, 3000), 1), ((64, 10), 0), ((4, 5, 200), 1)]


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(("shape", "dim"), ALONG)
def test_softmax(kernels, shape, dim, dtype):
    x = np.random.default_rng(1).normal(size=shape).astype(dtype) * 3
    e = np.exp(x.astype(float))
    p = e / e.sum(dim, keepdims=True)
    y, g, (dx,) = tape(lambda t: F.softmax(t, dim), x)
    close(y, p, dtype)
    close(dx, p * (g - (g * p).sum(dim, keepdims=True)), dtype, 4)
    y, g, (dx,) = tape(lambda t: F.log_softmax(t, dim), x)
    close(y, np.log(p), dtype)
    close(dx, g - p * g.sum(dim, keepdims=True), dtype, 20)


def test_softmax_is_exact_under_shifts(kernels):
    for x in (fg.tensor([[1.0, 2.0, 4.0]]), fg.tensor([[float(k % 17) for k in range(1500)]])):
        assert (F.softmax(x, 1) == F.softmax(x + 1024, 1)).all()


def test_softmax_of_infinities(kernels):
    x = fg.tensor([[-np.inf, -np.inf], [-np.inf, 1.0], [np.nan, 1.0], [1e30, 1e30]])
    for t, dim in ((x, 1), (x.T, 0)):
        y = F.softmax(t, dim).numpy()
        np.testing.assert_array_equal(y if dim else y.T, [[np.nan] * 2, [0, 1], [np.nan] * 2, [0.5, 0.5]])
    long = fg.zeros(4, 600)
    long[0, 300], long[1, 599], long[2, 0], long[3] = np.nan, -np.inf, np.inf, -np.inf
    y = F.softmax(long, 1).numpy()
    assert np.isnan(y[[0, 2, 3]]).all()
    assert y[1, 599] == 0
    np.testing.assert_allclose(y[1, :599], 1 / 599, rtol=1e-6)


def test_softmax_of_nothing():
    assert F.softmax(fg.zeros(0, 3), 1).shape == (0, 3)
    assert F.softmax(fg.zeros(3, 0), 1).shape == (3, 0)
    assert F.softmax(fg.tensor(2.0), 0).item() == 1


# ---- cross entropy -------------------------------------------------------------------------------------------------


def cross_entropy(x, labels, weight, ignored, smoothing, reduction):
    """Value and gradient by the definition, one sample after the other; x: (N, C, ...)."""
    scores = np.moveaxis(x.astype(float), 1, -1)
    classes = scores.shape[-1]
    w = np.ones(classes) if weight is None else weight.astype(float)
    losses, slopes, total = np.zeros(labels.shape), np.zeros(scores.shape), 0.0
    for at in np.ndindex(labels.shape):
        if labels[at] == ignored:
            continue
        log_p = scores[at] - np.log(np.exp(scores[at]).sum())
        target = smoothing / classes * w
        target[labels[at]] += (1 - smoothing) * w[labels[at]]
        losses[at] = -(target * log_p).sum()
        slopes[at] = np.exp(log_p) * target.sum() - target
        total += w[labels[at]]
    slopes = np.moveaxis(slopes, -1, 1)
    if reduction == "none":
        return losses, slopes
    divisor = total if reduction == "mean" else 1
    return losses.sum() / divisor, slopes / divisor


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(1, 2), (64, 10), (5, 1000), (3, 4, 2, 5)])
def test_cross_entropy(kernels, shape, reduction, dtype):
    rng = np.random.default_rng(2)
    x = rng.normal(size=shape).astype(dtype)
    labels = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    for weight in (None, rng.uniform(0.5, 2, shape[1]).astype(dtype)):
        for ignored, smoothing in ((-100, 0.0), (0, 0.0), (1, 0.1)):
            if (labels == ignored).all():
                continue
            value, slope = cross_entropy(x, labels, weight, ignored, smoothing, reduction)
            options = {"ignore_index": ignored, "label_smoothing": smoothing, "reduction": reduction}
            w = None if weight is None else fg.tensor(weight)
            y, g, (dx,) = tape(lambda t, w=w, o=options: F.cross_entropy(t, fg.tensor(labels), w, **o), x)
            close(y, value, dtype, np.sqrt(labels.size))
            close(dx, slope * (np.expand_dims(g, 1) if reduction == "none" else g), dtype, 4)
            if smoothing:
                continue
            del options["label_smoothing"]
            y, g, (dz,) = tape(lambda t, w=w, o=options: F.nll_loss(F.log_softmax(t, 1), fg.tensor(labels), w, **o), x)
            close(y, value, dtype, np.sqrt(labels.size))
            close(dz, slope * (np.expand_dims(g, 1) if reduction == "none" else g), dtype, 20)


def test_cross_entropy_of_large_scores(kernels):
    x = fg.tensor([[1000.0, 0.0, -1000.0]], requires_grad=True)
    for label, loss in ((0, 0.0), (1, 1000.0), (2, 2000.0)):
        y = F.cross_entropy(x, fg.tensor([label]))
        assert y.item() == loss
        (g,) = fg.autograd.grad(y, x)
        assert g.isfinite().all()
        assert g.sum().item() == 0


def test_a_wrong_label_is_named():
    for f in (F.cross_entropy, F.nll_loss):
        with pytest.raises(IndexError, match=r"label 3, at position 1"):
            f(fg.zeros(2, 3), fg.tensor([0, 3]))
        with pytest.raises(IndexError, match="label -1"):
            f(fg.zeros(2, 3), fg.tensor([0, -1]))


def test_labels_that_do_not_fit():
    x = fg.zeros(4, 3)
    with pytest.raises(ValueError, match=r"need labels of shape \(4,\), got \(3,\)"):
        F.nll_loss(x, fg.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="a weight for each of the 3 classes"):
        F.cross_entropy(x, fg.tensor([0, 1, 2, 0]), fg.ones(4))
    with pytest.raises(ValueError, match="'none', 'mean' or 'sum'"):
        F.cross_entropy(x, fg.tensor([0, 1, 2, 0]), reduction="average")
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.cross_entropy(x, fg.tensor([0, 1, 2, 0]), label_smoothing=2.0)


def test_all_labels_ignored():
    x, labels = fg.zeros(2, 3), fg.full((2,), -100)
    assert F.cross_entropy(x, labels).isnan().item()  # the mean of nothing, as in PyTorch
    assert F.cross_entropy(x, labels, reduction="sum").item() == 0


# ---- elementwise losses --------------------------------------------------------------------------------------------

LOSSES = {
    "mse_loss": (lambda x, t: (x - t) ** 2, lambda x, t: 2 * (x - t)),
    "l1_loss": (lambda x, t: abs(x - t), lambda x, t: np.sign(x - t)),
    "huber_loss": (
        lambda x, t: np.where(abs(x - t) <= 1, (x - t) ** 2 / 2, abs(x - t) - 0.5),
        lambda x, t: np.clip(x - t, -1, 1),
    ),
    "smooth_l1_loss": (
        lambda x, t: np.where(abs(x - t) < 1, (x - t) ** 2 / 2, abs(x - t) - 0.5),
        lambda x, t: np.clip(x - t, -1, 1),
    ),
    "binary_cross_entropy_with_logits": (
        lambda x, t: np.logaddexp(0, x) - x * t,
        lambda x, t: 1 / (1 + np.exp(-x)) - t,
    ),
}


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("name", LOSSES)
def test_elementwise_losses(kernels, name, dtype):
    rng = np.random.default_rng(3)
    value, slope = LOSSES[name]
    for n in (1, 10, 2500):
        x, t = rng.normal(size=(n, 2)).astype(dtype), rng.uniform(0, 1, (n, 2)).astype(dtype)
        for reduction, scale, reduce in (("none", 1, np.array), ("sum", 1, np.sum), ("mean", 1 / x.size, np.mean)):
            f = getattr(F, name)
            y, g, (dx,) = tape(lambda u, f=f, t=t, r=reduction: f(u, fg.tensor(t), reduction=r), x)
            close(y, reduce(value(x.astype(float), t.astype(float))), dtype, np.sqrt(x.size))
            close(dx, g * scale * slope(x.astype(float), t.astype(float)), dtype)


def test_binary_cross_entropy_at_its_ends():
    x = fg.tensor([0.0, 1.0, 0.25], requires_grad=True)
    y = F.binary_cross_entropy(x, fg.tensor([1.0, 1.0, 0.0]), reduction="none")
    np.testing.assert_allclose(y.detach().numpy(), [100, 0, -np.log(0.75)], rtol=1e-6)
    with pytest.raises(RuntimeError, match="binary_cross_entropy: element 2"):
        F.binary_cross_entropy(fg.tensor([0.5, 0.1, 1.5]), fg.zeros(3))


# ---- normalisation -------------------------------------------------------------------------------------------------


def normalised(x, axes, eps, centred=True):
    z = x - x.mean(axes, keepdims=True) if centred else x
    r = 1 / np.sqrt((z * z).mean(axes, keepdims=True) + eps)
    return z * r, r


def slope(g, z, r, axes, centred=True):
    mean = g.mean(axes, keepdims=True) if centred else 0
    return r * (g - mean - z * (g * z).mean(axes, keepdims=True))


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize(("shape", "n"), [((3, 4), 1), ((64, 100), 1), ((2, 3, 5, 7), 2), ((2, 1500), 1)])
def test_layer_norm_and_rms_norm(kernels, shape, n, dtype):
    rng = np.random.default_rng(4)
    rows = shape[-n:]
    x = rng.normal(size=shape).astype(dtype)
    w, b = rng.normal(size=rows).astype(dtype), rng.normal(size=rows).astype(dtype)
    axes, batch = tuple(range(-n, 0)), tuple(range(len(shape) - n))
    for centred in (True, False):
        z, r = normalised(x.astype(float), axes, 1e-5, centred)
        if centred:
            y, g, grads = tape(lambda x, w, b: F.layer_norm(x, rows, w, b), x, w, b)
            close(y, z * w + b, dtype, 4)
            close(grads[2], g.sum(batch), dtype, 8)
        else:
            y, g, grads = tape(lambda x, w: F.rms_norm(x, rows, w, 1e-5), x, w)
            close(y, z * w, dtype, 4)
        close(grads[0], slope(g * w, z, r, axes, centred), dtype, 8)
        close(grads[1], (g * z).sum(batch), dtype, 8)
    y, g, (dx,) = tape(lambda x: F.layer_norm(x, rows), x)
    z, r = normalised(x.astype(float), axes, 1e-5)
    close(y, z, dtype, 4)
    close(dx, slope(g, z, r, axes), dtype, 8)


@pytest.mark.parametrize("dtype", REALS)
@pytest.mark.parametrize("shape", [(5, 3), (64, 150), (4, 3, 50), (2, 3, 4, 5)])
def test_batch_norm(kernels, shape, dtype):
    rng = np.random.default_rng(5)
    channels, axes = shape[1], tuple(k for k in range(len(shape)) if k != 1)
    x = rng.normal(size=shape).astype(dtype)
    w, b = rng.normal(size=channels).astype(dtype), rng.normal(size=channels).astype(dtype)
    mean, var = fg.zeros(channels, dtype=fg.tensor(x).dtype), fg.ones(channels, dtype=fg.tensor(x).dtype)
    y, g, grads = tape(lambda x, w, b: F.batch_norm(x, mean, var, w, b, True, 0.1), x, w, b)
    z, r = normalised(x.astype(float), axes, 1e-5)
    wide = [1, channels] + [1] * (len(shape) - 2)
    close(y, z * w.reshape(wide) + b.reshape(wide), dtype, 4)
    close(grads[0], slope(g * w.reshape(wide), z, r, axes), dtype, 8)
    close(grads[1], (g * z).sum(axes), dtype, 16)
    close(grads[2], g.sum(axes), dtype, 16)
    close(mean, 0.1 * x.mean(axes, dtype=float), dtype)
    close(var, 0.9 + 0.1 * x.var(axes, dtype=float, ddof=1), dtype)
    y = F.batch_norm(fg.tensor(x), mean, var, fg.tensor(w), fg.tensor(b))
    m, v = (t.numpy().astype(float).reshape(wide) for t in (mean, var))
    close(y, (x - m) / np.sqrt(v + 1e-5) * w.reshape(wide) + b.reshape(wide), dtype, 8)


def test_norms_refuse_what_does_not_fit():
    x = fg.zeros(4, 3)
    with pytest.raises(ValueError, match=r"normalized_shape \[4\] must be the last dimensions"):
        F.layer_norm(x, (4,))
    with pytest.raises(ValueError, match=r"must have the normalized shape \[3\]"):
        F.layer_norm(x, (3,), fg.ones(4))
    with pytest.raises(ValueError, match="more than 1 value for each channel"):
        F.batch_norm(fg.zeros(1, 3), None, None, training=True)
    with pytest.raises(ValueError, match="expected vectors of 3 elements"):
        F.batch_norm(x, fg.zeros(4), fg.ones(4))
    with pytest.raises(ValueError, match="expected running_mean and running_var"):
        F.batch_norm(x, None, None)
