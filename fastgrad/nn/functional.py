"""The functions behind the layers. Imports the core.

Every public function of the table of ops is also found here, under its name; what stands below is only what is not one
op: compositions of ops, the losses above all.
"""

import math
import warnings

from fastgrad import _core
from fastgrad._core import ShapeError

# Not by a __getattr__ of the module, with which the interpreter would not cache where it found F.linear.
globals().update(_core.functions)


def softmin(input, dim, dtype=None):
    """softmax(-x)."""
    return _core.softmax(-input, dim, dtype)


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, zeroes each element with probability `p` and scales the others by 1 / (1 - p)."""
    y = _core.dropout(input, p, training)
    return input.copy_(y) if inplace and y is not input else y


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`."""
    norms = [_core.norm(x, dim=dim).clamp(min=eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (norms[0] * norms[1])


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None):
    """softmax(q k^T * scale + mask) v, the attention of Vaswani et al. (2017).

    Args:
        query: (..., L, E); key: (..., S, E); value: (..., S, V); leading dimensions broadcast, one of them the heads.
        attn_mask: of a shape that broadcasts to (..., L, S): bool, True where a key takes part, or real, added to the
            scores. A query that no key takes part in gets zeros.
        dropout_p: the probability with which a weight of the softmax is dropped. There is no `training` here: pass 0.
        is_causal: whether query i sees the keys 0 to i only; then there is no other mask.
        scale: 1 / sqrt(E) if not given.

    Returns: (..., L, V).

    Raises: RuntimeError where both a mask and is_causal are given; ShapeError where sizes do not fit.

    >>> import fastgrad as fg
    >>> x = fg.ones(2, 4, 8)  # 2 heads, 4 positions
    >>> fg.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    fastgrad.Size([2, 4, 8])
    """
    if query.dim() < 2 or key.dim() < 2 or value.dim() < 2:
        raise ShapeError(
            "scaled_dot_product_attention: expected query (..., L, E), key (..., S, E) and value (..., S, V), got "
            f"{tuple(query.shape)}, {tuple(key.shape)} and {tuple(value.shape)}"
        )
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention: attn_mask must be None where is_causal is True")
    # The factor goes to the smaller operand: the scores are never read for it.
    scores = query * (query.shape[-1] ** -0.5 if scale is None else scale) @ key.mT
    if is_causal:
        queries, keys = (_core.arange(n) for n in scores.shape[-2:])
        scores = scores.masked_fill(keys > queries.unsqueeze(-1), -math.inf)
    elif attn_mask is not None and attn_mask.dtype is _core.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = _core.softmax(scores, -1)
    if attn_mask is not None:
        weights = weights.masked_fill((scores == -math.inf).all(-1, keepdim=True), 0)
    if dropout_p > 0:
        weights = _core.dropout(weights, dropout_p, True)
    return weights @ value


# ---- losses that are no op; none broadcasts its target in silence -----------------------------------------------------


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
