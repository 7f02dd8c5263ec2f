"""The functions behind the layers. Imports the core.

Every public function of the table of ops is also found here, under its name; what stands below is only what is not one
op: functions with an `inplace` argument, and compositions of ops, the losses above all.
"""

import warnings

from fastgrad import _core
from fastgrad._core import ShapeError

# Not by a __getattr__ of the module, with which the interpreter would not cache where it found F.linear.
globals().update(_core.functions)


# ---- activations -----------------------------------------------------------------------------------------------------


def _into(input, function, *args):
    """What `inplace=True` asks for; the function is given a copy, whose values its derivative may still read."""
    return input.copy_(function(input.clone(), *args))


def relu(input, inplace=False):
    """max(0, x); the derivative at 0 is 0."""
    return input.relu_() if inplace else _core.relu(input)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope * x."""
    return _into(input, _core.leaky_relu, negative_slope) if inplace else _core.leaky_relu(input, negative_slope)


def relu6(input, inplace=False):
    """min(max(0, x), 6)."""
    return _into(input, _core.relu6) if inplace else _core.relu6(input)


def elu(input, alpha=1.0, inplace=False):
    """x where x > 0, else alpha * (e^x - 1)."""
    return _into(input, _core.elu, alpha) if inplace else _core.elu(input, alpha)


def selu(input, inplace=False):
    """scale * (x where x > 0, else alpha * (e^x - 1)) with the constants of Klambauer et al. 2017."""
    return _into(input, _core.selu) if inplace else _core.selu(input)


def celu(input, alpha=1.0, inplace=False):
    """max(0, x) + min(0, alpha * (e^(x / alpha) - 1))."""
    return _into(input, _core.celu, alpha) if inplace else _core.celu(input, alpha)


def silu(input, inplace=False):
    """x * sigmoid(x)."""
    return _into(input, _core.silu) if inplace else _core.silu(input)


def mish(input, inplace=False):
    """x * tanh(softplus(x))."""
    return _into(input, _core.mish) if inplace else _core.mish(input)


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    """x clamped to [min_val, max_val]."""
    return _into(input, _core.hardtanh, min_val, max_val) if inplace else _core.hardtanh(input, min_val, max_val)


def hardswish(input, inplace=False):
    """x * relu6(x + 3) / 6."""
    return _into(input, _core.hardswish) if inplace else _core.hardswish(input)


def hardsigmoid(input, inplace=False):
    """relu6(x + 3) / 6."""
    return _into(input, _core.hardsigmoid) if inplace else _core.hardsigmoid(input)


def threshold(input, threshold, value, inplace=False):
    """x where x > threshold, else value."""
    return _into(input, _core.threshold, threshold, value) if inplace else _core.threshold(input, threshold, value)


def prelu(input, weight):
    """x where x > 0, else weight * x, with one weight in all or one for each channel (axis 1)."""
    if weight.numel() != 1:
        channels = input.shape[1] if input.dim() > 1 else 1
        if weight.numel() != channels:
            raise ShapeError(
                f"prelu: expected 1 weight, or one for each of {channels} channels, but got {weight.numel()}"
            )
        weight = weight.reshape(-1, *[1] * (input.dim() - 2))
    return _core.where(input > 0, input, weight * input)


def glu(input, dim=-1):
    """a * sigmoid(b), where a and b are the halves of x along `dim`."""
    if input.shape[dim] % 2:
        raise ShapeError(f"glu: the size of dim {dim} must be even to be halved, but got {input.shape[dim]}")
    a, b = input.chunk(2, dim)
    return a * _core.sigmoid(b)


def softmin(input, dim, dtype=None):
    """softmax(-x)."""
    return _core.softmax(-input, dim, dtype)


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, zeroes each element with probability `p` and scales the others by 1 / (1 - p)."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    with _core.no_grad():
        kept = _core.empty_like(input).bernoulli_(1 - p)
        if p < 1:
            kept.mul_(1 / (1 - p))
    return input.mul_(kept) if inplace else input * kept


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`."""
    norms = [_core.norm(x, dim=dim).clamp(min=eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (norms[0] * norms[1])


# ---- losses ----------------------------------------------------------------------------------------------------------
# A loss never broadcasts its target in silence: (N, 1) against (N,) would be an N x N loss, and train to the mean.


def _check_same_shape(name, input, target):
    if input.shape != target.shape:
        raise ShapeError(
            f"{name}: input and target must have the same shape, but got {tuple(input.shape)} and "
            f"{tuple(target.shape)}; reshape or expand one of them first"
        )


def _reduce(loss, reduction):
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction; it may be 'none', 'mean' or 'sum'")


def mse_loss(input, target, *, reduction="mean"):
    """(x - y)^2."""
    _check_same_shape("mse_loss", input, target)
    return _reduce((input - target).square(), reduction)


def l1_loss(input, target, *, reduction="mean"):
    """|x - y|."""
    _check_same_shape("l1_loss", input, target)
    return _reduce((input - target).abs(), reduction)


def smooth_l1_loss(input, target, *, reduction="mean", beta=1.0):
    """d^2 / (2 beta) where d = |x - y| < beta, else d - beta / 2 (Girshick 2015)."""
    _check_same_shape("smooth_l1_loss", input, target)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, but got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return _reduce(_huber(input - target, beta) / beta, reduction)


def huber_loss(input, target, *, reduction="mean", delta=1.0):
    """d^2 / 2 where d = |x - y| < delta, else delta * (d - delta / 2) (Huber 1964)."""
    _check_same_shape("huber_loss", input, target)
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be greater than 0, but got {delta}")
    return _reduce(_huber(input - target, delta), reduction)


def _huber(difference, delta):
    d = difference.abs()
    return _core.where(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta))


def binary_cross_entropy_with_logits(input, target, weight=None, *, reduction="mean", pos_weight=None):
    """-(p y log s + (1 - y) log(1 - s)), s = sigmoid(x), p = pos_weight; exact for large |x|."""
    _check_same_shape("binary_cross_entropy_with_logits", input, target)
    # log(1 - s) = log(s) - x, so one log-sigmoid serves both terms.
    log_s = _core.logsigmoid(input)
    positive = 1.0 if pos_weight is None else 1.0 + (pos_weight - 1.0) * target
    loss = (1.0 - target) * input - positive * log_s
    return _reduce(loss if weight is None else loss * weight, reduction)


def kl_div(input, target, *, reduction="mean", log_target=False):
    """y (log y - x) for log-probabilities x; `log_target` says that the target is log y.

    The divergence is the sum over the support and the mean over the batch, reduction="batchmean"; the default "mean"
    divides by the size of the support too, and says so in a warning.
    """
    if log_target:
        loss = target.exp() * (target - input)
    else:
        loss = _core.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / input.shape[0] if input.dim() else loss.sum()
    if reduction == "mean":
        warnings.warn(
            "reduction='mean' divides the total loss by the batch size and the support size; "
            "reduction='batchmean' divides by the batch size alone, as the definition of the divergence does",
            stacklevel=2,
        )
    return _reduce(loss, reduction)


def cross_entropy(input, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """-log softmax(x)[y], from logits (N, C, ...) or (C).

    Args:
        input: the logits.
        target: class indices, of the input's shape without C, or probabilities of the input's shape.
        weight: a factor for each class (C).
        ignore_index: a class index that contributes nothing.
        reduction: 'mean' (over the weights of the targets), 'sum' or 'none'.
        label_smoothing: the share of the target that is spread evenly over the classes, in [0, 1].
    """
    if target.dtype.is_floating_point:
        return _cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing)
    return _core.cross_entropy(
        input, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


def _cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing):
    _check_same_shape("cross_entropy", input, target)
    axis = 0 if input.dim() == 1 else 1
    classes = input.shape[axis]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        target = target * weight.reshape(classes, *[1] * (input.dim() - axis - 1))
    loss = -(target * _core.log_softmax(input, axis)).sum(axis)
    return _reduce(loss, reduction)


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, *, reduction="mean"):
    """sum over j != y of max(0, margin - x_y + x_j)^p / C: the multiclass SVM.

    Args:
        input: scores (N, C) or (C).
        target: class indices (N) or ().
        p: 1 or 2.
        margin: by how much the score of the target is to exceed the others.
        weight: a factor for each class (C), applied by the class of the target.
    """
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported, but got {p}")
    if input.dim() not in (1, 2) or target.shape != input.shape[:-1]:
        raise ShapeError(
            f"multi_margin_loss: expected scores (N, C) and classes (N), but got {tuple(input.shape)} and "
            f"{tuple(target.shape)}"
        )
    classes = input.shape[-1]
    target = target.unsqueeze(-1)
    excess = (margin - input.gather(-1, target) + input).clamp(min=0)
    if p == 2:
        excess = excess.square()
    if weight is not None:
        excess = excess * weight[target]
    loss = excess.masked_fill(_core.arange(classes) == target, 0).sum(-1) / classes
    return _reduce(loss, reduction)


def hinge_embedding_loss(input, target, margin=1.0, *, reduction="mean"):
    """x where y = 1, max(0, margin - x) where y = -1."""
    zero = _core.zeros_like(input)
    loss = _core.where(target != 1, (margin - input).clamp(min=0), zero) + _core.where(target != -1, input, zero)
    return _reduce(loss, reduction)


def cosine_embedding_loss(input1, input2, target, margin=0.0, *, reduction="mean"):
    """1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1.

    Args:
        input1, input2: vectors (N, D) or (D).
        target: 1 or -1, (N) or ().
        margin: in [-1, 1].
    """
    _check_same_shape("cosine_embedding_loss", input1, input2)
    if input1.dim() not in (1, 2) or target.shape != input1.shape[:-1]:
        raise ShapeError(
            f"cosine_embedding_loss: expected vectors (N, D) and targets (N), but got {tuple(input1.shape)} and "
            f"{tuple(target.shape)}"
        )
    # The small terms make the gradient at a vector of zeros finite; PyTorch's value.
    squares = [x.square().sum(-1) + 1e-12 for x in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (squares[0] * squares[1]).sqrt()
    zero = _core.zeros_like(cosine)
    loss = _core.where(target == 1, 1 - cosine, zero) + _core.where(target == -1, (cosine - margin).clamp(min=0), zero)
    return _reduce(loss, reduction)
