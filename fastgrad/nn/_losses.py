"""Losses that are compositions of ops. None broadcasts its target in silence. Imports the core; part of nn.functional."""

import math
import warnings

from fastgrad import _core
from fastgrad._core import ShapeError


def _same_shape(name, input, target):
    return (input, target) if input.shape == target.shape else _core.broadcast_loss(name, input, target)


def _reduce(loss, reduction):
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction; it may be 'none', 'mean' or 'sum'")


def kl_div(input, target, *, reduction="mean", log_target=False):
    """y (log y - x) for log-probabilities x; `log_target` says that the target is log y.

    The divergence is the sum over the support and the mean over the batch, reduction="batchmean"; the default "mean"
    divides by the size of the support too, and says so in a warning.

    Example:
        >>> fg.nn.functional.kl_div(fg.tensor([[0.5, 0.5]]).log(), fg.tensor([[0.25, 0.75]]), reduction="batchmean")
        tensor(0.1308)
    """
    input, target = _same_shape("kl_div", input, target)
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


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, *, reduction="mean"):
    """sum over j != y of max(0, margin - x_y + x_j)^p / C: the multiclass SVM.

    Args:
        input: scores (N, C) or (C).
        target: class indices (N) or ().
        p: 1 or 2.
        margin: by how much the score of the target is to exceed the others.
        weight: a factor for each class (C), applied by the class of the target.

    Example:
        >>> fg.nn.functional.multi_margin_loss(fg.tensor([[0.0, 0.5]]), fg.tensor([1]))
        tensor(0.2500)
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
    """x where y = 1, max(0, margin - x) where y = -1.

    Example:
        >>> fg.nn.functional.hinge_embedding_loss(fg.tensor([0.5, 0.25]), fg.tensor([1, -1]))
        tensor(0.6250)
    """
    input, target = _same_shape("hinge_embedding_loss", input, target)
    zero = _core.zeros_like(input)
    loss = _core.where(target != 1, (margin - input).clamp(min=0), zero) + _core.where(target != -1, input, zero)
    return _reduce(loss, reduction)


def cosine_embedding_loss(input1, input2, target, margin=0.0, *, reduction="mean"):
    """1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1.

    Args:
        input1, input2: vectors (N, D) or (D).
        target: 1 or -1, (N) or ().
        margin: in [-1, 1].

    Example:
        >>> fg.nn.functional.cosine_embedding_loss(fg.eye(2), fg.eye(2), fg.tensor([1, -1]))
        tensor(0.5000)
    """
    input1, input2 = _same_shape("cosine_embedding_loss", input1, input2)
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


def margin_ranking_loss(input1, input2, target, margin=0.0, *, reduction="mean"):
    """max(0, margin - y (x1 - x2)): y = 1 where the first is to rank higher, y = -1 where the second is.

    Example:
        >>> fg.nn.functional.margin_ranking_loss(fg.tensor([1.0]), fg.tensor([0.75]), fg.tensor([1.0]), margin=0.5)
        tensor(0.2500)
    """
    input1, input2 = _same_shape("margin_ranking_loss", input1, input2)
    input1, target = _same_shape("margin_ranking_loss", input1, target)
    return _reduce((margin - target * (input1 - input2)).clamp(min=0), reduction)


def soft_margin_loss(input, target, *, reduction="mean"):
    """log(1 + exp(-y x)) for labels y = 1 and y = -1.

    Example:
        >>> fg.nn.functional.soft_margin_loss(fg.tensor([0.0, 2.0]), fg.tensor([1.0, -1.0]))
        tensor(1.4100)
    """
    input, target = _same_shape("soft_margin_loss", input, target)
    return _reduce(-_core.logsigmoid(target * input), reduction)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norms of x1 - x2 + eps along the last dimension, the distances of rows of the same number.

    Example:
        >>> fg.nn.functional.pairwise_distance(fg.zeros(1, 2), fg.tensor([[3.0, 4.0]]))
        tensor([5.0000])
    """
    return _core.norm(x1 - x2 + eps, p, -1, keepdim)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, *, reduction="mean"):
    """max(0, margin + |a - p| - |a - n|): the anchor is to be nearer to the positive than to the negative by the margin.

    Args:
        anchor, positive, negative: vectors (N, D) or (D).
        margin: by how much.
        p: of the norm, see `pairwise_distance`.
        swap: whether |p - n| takes the place of |a - n| where it is smaller (Balntas et al. 2016).

    Example:
        >>> fg.nn.functional.triplet_margin_loss(fg.zeros(1, 2), fg.ones(1, 2), fg.tensor([[0.0, 1.5]]))
        tensor(0.9142)
    """

    def distance(a, b):
        return pairwise_distance(a, b, p, eps)

    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=distance, margin=margin, swap=swap, reduction=reduction
    )


def triplet_margin_with_distance_loss(
    anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """As `triplet_margin_loss`, with any function of two tensors as the distance.

    Example:
        >>> fg.nn.functional.triplet_margin_with_distance_loss(fg.zeros(1, 2), fg.ones(1, 2), fg.tensor([[0.0, 1.5]]))
        tensor(0.9142)
    """
    anchor, positive = _same_shape("triplet_margin_loss", anchor, positive)
    anchor, negative = _same_shape("triplet_margin_loss", anchor, negative)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = _core.minimum(far, distance(positive, negative))
    return _reduce((margin + near - far).clamp(min=0), reduction)


def poisson_nll_loss(input, target, log_input=True, *, full=False, eps=1e-8, reduction="mean"):
    """exp(x) - y x for logarithms of a Poisson rate, or x - y log(x + eps) for rates if not `log_input`.

    full: whether to add Stirling's approximation of log y! where y > 1, which has no gradient in x.

    Example:
        >>> fg.nn.functional.poisson_nll_loss(fg.zeros(2), fg.tensor([1.0, 3.0]))
        tensor(1.)
    """
    input, target = _same_shape("poisson_nll_loss", input, target)
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        many = target > 1
        y = target.masked_fill(~many, 1)
        loss = loss + _core.where(many, y * y.log() - y + 0.5 * (2 * math.pi * y).log(), 0)
    return _reduce(loss, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, *, reduction="mean"):
    """(log v + (x - y)^2 / v) / 2 for the mean x and the variance v of a normal distribution.

    Args:
        input, target: of one shape.
        var: of the same shape, or with a last dimension of size 1 or none, or a number; at least `eps` where it is used.
        full: whether to add the constant log(2 pi) / 2.

    Example:
        >>> fg.nn.functional.gaussian_nll_loss(fg.zeros(2), fg.tensor([1.0, 4.0]), fg.ones(2))
        tensor(4.2500)
    """
    input, target = _same_shape("gaussian_nll_loss", input, target)
    if not isinstance(var, _core.Tensor):
        var = _core.full_like(input, var)
    if var.shape == input.shape[:-1] and var.shape != input.shape:
        var = var.unsqueeze(-1)
    if var.dim() != input.dim() or any(n not in (1, m) for n, m in zip(var.shape, input.shape, strict=True)):
        raise ShapeError(
            f"gaussian_nll_loss: var has shape {tuple(var.shape)}, which does not fit {tuple(input.shape)}"
        )
    if bool((var.detach() < 0).any()):
        raise ValueError("gaussian_nll_loss: var has negative entries")
    # at least eps, with the gradient of var itself: PyTorch's
    var = var + (var.detach().clamp(min=eps) - var.detach())
    loss = (var.log() + (input - target).square() / var) / 2
    return _reduce(loss + math.log(2 * math.pi) / 2 if full else loss, reduction)


def multilabel_soft_margin_loss(input, target, weight=None, *, reduction="mean"):
    """-(y log s(x) + (1 - y) log s(-x)), s the sigmoid, averaged over the classes (..., C); `weight` (C) scales them.

    Example:
        >>> fg.nn.functional.multilabel_soft_margin_loss(fg.zeros(1, 3), fg.tensor([[1.0, 0.0, 1.0]]))
        tensor(0.6931)
    """
    input, target = _same_shape("multilabel_soft_margin_loss", input, target)
    loss = -(target * _core.logsigmoid(input) + (1 - target) * _core.logsigmoid(-input))
    return _reduce((loss if weight is None else loss * weight).mean(-1), reduction)


def multilabel_margin_loss(input, target, *, reduction="mean"):
    """sum of max(0, 1 - x[y] + x[j]) / C over the classes y of a sample and all others j.

    Args:
        input: scores (N, C) or (C).
        target: class indices of the same shape: those before the first -1 of a row count.

    Example:
        >>> fg.nn.functional.multilabel_margin_loss(fg.tensor([[0.1, 0.2, 0.4]]), fg.tensor([[2, -1, -1]]))
        tensor(0.5000)
    """
    input, target = _same_shape("multilabel_margin_loss", input, target)
    x, y = (t.reshape(-1, t.shape[-1]) for t in (input, target))
    counted = (y < 0).long().cumsum(1) == 0
    index = y.masked_fill(~counted, 0)
    chosen = _core.zeros_like(x).scatter_add(1, index, counted.to(x.dtype)) > 0
    excess = (1 - x.gather(1, index).unsqueeze(2) + x.unsqueeze(1)).clamp(min=0)  # (N, labels, classes)
    loss = excess.masked_fill(~(counted.unsqueeze(2) & ~chosen.unsqueeze(1)), 0).sum((1, 2)) / x.shape[1]
    return _reduce(loss if input.dim() > 1 else loss[0], reduction)
