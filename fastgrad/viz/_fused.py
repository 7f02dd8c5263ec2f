"""Fused ops of the library in plain NumPy. Flat code that uses one carries its definition. Imports NumPy and math only."""

import math

import numpy as np


def erf(x):
    return np.vectorize(math.erf, otypes=[np.asarray(x).dtype])(x)


def gelu_tanh_slope(x):
    c = (2 / np.pi) ** 0.5
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 0.134145 * x * x)


def silu_slope(x):
    s = 1 / (1 + np.exp(-x))
    return s * (1 + x * (1 - s))


def softmax(x, axis):
    if x.ndim == 0:
        return np.ones_like(x)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x, axis):
    if x.ndim == 0:
        return np.zeros_like(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def logsumexp(x, axis=None, keepdims=False):
    top = x.max(axis=axis, keepdims=True)
    y = top + np.log(np.exp(x - top).sum(axis=axis, keepdims=True))
    return y if keepdims else y.squeeze(axis)


def norm(x, p, axis=None, keepdims=False):
    if p in (np.inf, -np.inf):
        return (np.max if p > 0 else np.min)(np.abs(x), axis=axis, keepdims=keepdims)
    if p == 0:
        return (x != 0).sum(axis=axis, keepdims=keepdims).astype(x.dtype)
    return (np.abs(x) ** p).sum(axis=axis, keepdims=keepdims) ** (1 / p)


def attention_weights(q, k, mask, scale, causal):
    scores = scale * (q @ k.swapaxes(-1, -2))
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    if mask is None:
        return softmax(scores, -1)
    scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    empty = (scores == -np.inf).all(axis=-1, keepdims=True)
    return np.where(empty, 0, softmax(np.where(empty, 0, scores), -1))


def attention_scores_vjp(g, v, p):
    e = g @ v.swapaxes(-1, -2)
    return p * (e - (e * p).sum(axis=-1, keepdims=True))


def label_terms(shape, labels, weight, axis, mode, ignored):
    """One-hot labels along the axis, the weight of each sample, and what a mean divides by."""
    counts = np.not_equal(labels, ignored)
    hot = np.expand_dims(np.where(counts, labels, 0), axis) == np.arange(shape[axis]).reshape(
        [-1 if k == axis else 1 for k in range(len(shape))]
    )
    each = counts if weight is None else counts * weight[np.where(counts, labels, 0)]
    return hot, each, each.sum() if mode == 1 else 1


def cross_entropy(x, labels, weight, axis, mode, ignored, smoothing):
    hot, each, total = label_terms(x.shape, labels, weight, axis, mode, ignored)
    log_p = log_softmax(x, axis)
    loss = -(log_p * hot).sum(axis=axis) * each * (1 - smoothing)
    if smoothing:
        w = 1 if weight is None else weight.reshape([-1 if k == axis else 1 for k in range(x.ndim)])
        loss = loss - smoothing / x.shape[axis] * (log_p * w).sum(axis=axis) * np.not_equal(labels, ignored)
    return loss if mode == 0 else loss.sum() / total


def cross_entropy_vjp(g, p, labels, weight, axis, mode, ignored, smoothing, scale_only=False):
    hot, each, total = label_terms(p.shape, labels, weight, axis, mode, ignored)
    n = p.shape[axis]
    w = np.ones(n, p.dtype) if weight is None else weight
    w = w.reshape([-1 if k == axis else 1 for k in range(p.ndim)])
    hit = np.expand_dims(g / total * each * (1 - smoothing), axis)
    miss = np.expand_dims(g / total * np.not_equal(labels, ignored) * (smoothing / n), axis)
    dx = p * (hit + miss * w.sum())
    return dx if scale_only else dx - hit * hot - miss * w


def nll_loss(x, labels, weight, axis, mode, ignored):
    hot, each, total = label_terms(x.shape, labels, weight, axis, mode, ignored)
    loss = -(x * hot).sum(axis=axis) * each
    return loss if mode == 0 else loss.sum() / total


def nll_loss_vjp(g, labels, weight, shape, axis, mode, ignored):
    hot, each, total = label_terms(shape, labels, weight, axis, mode, ignored)
    return -np.expand_dims(g / total * each, axis) * hot


def last(function, x, n):
    """A mean or a variance over the last n axes."""
    return function(x, axis=tuple(range(x.ndim - n, x.ndim)))


def leading(function, x, n):
    """A sum over all but the last n axes."""
    return function(x, axis=tuple(range(x.ndim - n)))


def channels(function, x):
    """A reduction over all axes but the second."""
    return function(x, axis=tuple(k for k in range(x.ndim) if k != 1))


def per_channel(w, x):
    return w.reshape([-1 if k == 1 else 1 for k in range(x.ndim)])


def normalize(x, axes, eps):
    """(x - mean) / sqrt(var + eps), and the divisor's reciprocal."""
    r = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return (x - x.mean(axis=axes, keepdims=True)) * r, r


def normalize_vjp(u, z, r, axes):
    return r * (u - u.mean(axis=axes, keepdims=True) - z * (u * z).mean(axis=axes, keepdims=True))


def layer_norm(x, w, b, n, eps):
    z = normalize(x, tuple(range(x.ndim - n, x.ndim)), eps)[0]
    return z * (1 if w is None else w) + (0 if b is None else b)


def layer_norm_dx(g, x, w, n, eps):
    axes = tuple(range(x.ndim - n, x.ndim))
    z, r = normalize(x, axes, eps)
    return normalize_vjp(g if w is None else g * w, z, r, axes)


def layer_norm_dw(g, x, n, eps):
    return leading(np.sum, g * normalize(x, tuple(range(x.ndim - n, x.ndim)), eps)[0], n)


def rms_norm(x, w, n, eps):
    r = 1 / np.sqrt((x * x).mean(axis=tuple(range(x.ndim - n, x.ndim)), keepdims=True) + eps)
    return x * r * (1 if w is None else w)


def rms_norm_dx(g, x, w, n, eps):
    axes = tuple(range(x.ndim - n, x.ndim))
    r = 1 / np.sqrt((x * x).mean(axis=axes, keepdims=True) + eps)
    u, z = g if w is None else g * w, x * r
    return r * (u - z * (u * z).mean(axis=axes, keepdims=True))


def rms_norm_dw(g, x, n, eps):
    return leading(np.sum, g * rms_norm(x, None, n, eps), n)


def batch_norm(x, w, b, eps):
    z = normalize(x, tuple(k for k in range(x.ndim) if k != 1), eps)[0]
    return z * (1 if w is None else per_channel(w, x)) + (0 if b is None else per_channel(b, x))


def batch_norm_dx(g, x, w, eps):
    axes = tuple(k for k in range(x.ndim) if k != 1)
    z, r = normalize(x, axes, eps)
    return normalize_vjp(g if w is None else g * per_channel(w, x), z, r, axes)


def batch_norm_dw(g, x, eps):
    return channels(np.sum, g * normalize(x, tuple(k for k in range(x.ndim) if k != 1), eps)[0])


def placed(x, shape, key):
    """Zeros of a shape with x at a place: the gradient of a slice."""
    y = np.zeros(shape, x.dtype)
    y[key] = x
    return y


def written(x, key, part):
    """A copy of x with a place replaced."""
    y = x.copy()
    y[key] = part
    return y


def put(x, key, values, add):
    y = x.copy()
    if add:
        np.add.at(y, key, values)
    else:
        y[key] = values
    return y


def corner(x, like, axis):
    """The part of x that `like` covers, whole along the axis."""
    return x[tuple(slice(None) if k == axis else slice(n) for k, n in enumerate(like.shape))]


def gather(x, axis, index):
    return np.take_along_axis(corner(x, index, axis), index, axis)


def scatter(x, axis, index, values, add=False):
    y = x.copy()
    part = corner(y, index, axis)
    where = tuple(index if k == axis else i for k, i in enumerate(np.indices(index.shape)))
    values = np.broadcast_to(
        corner(np.broadcast_to(values, np.shape(values)), index, -1) if np.ndim(values) else values, index.shape
    )
    if add:
        np.add.at(part, where, values)
    else:
        part[where] = values
    return y
