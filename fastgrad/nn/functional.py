"""The functions behind the layers. Imports the core.

Every public function of the table of ops is also found here, under its name; what stands below is only what is not one
op: compositions of ops, the losses above all.
"""

from fastgrad import _core
from fastgrad._core import ShapeError
from fastgrad.nn._losses import (  # noqa: F401  (they are public here)
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    kl_div,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    pairwise_distance,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from fastgrad.nn._windows import fold, pixel_shuffle, pixel_unshuffle, unfold  # noqa: F401

# Not by a __getattr__ of the module, with which the interpreter would not cache where it found F.linear.
globals().update(_core.functions)


def softmin(input, dim, dtype=None):
    """softmax(-x).

    Example:
        >>> fg.nn.functional.softmin(fg.tensor([0.0, 0.0]), dim=0)
        tensor([0.5000, 0.5000])
    """
    return _core.softmax(-input, dim, dtype)


def dropout(input, p=0.5, training=True, inplace=False):
    """In training, zeroes each element with probability `p` and scales the others by 1 / (1 - p)."""
    y = _core.dropout(input, p, training)
    return input.copy_(y) if inplace and y is not input else y


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`.

    Example:
        >>> fg.nn.functional.cosine_similarity(fg.tensor([[1.0, 0.0]]), fg.tensor([[1.0, 1.0]]))
        tensor([0.7071])
    """
    x1, x2 = _core.broadcast_tensors(x1, x2)
    norms = [_core.norm(x, dim=dim).clamp(min=eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (norms[0] * norms[1])


def gumbel_softmax(logits, tau=1.0, hard=False, eps=1e-10, dim=-1):
    """softmax((logits + Gumbel noise) / tau) (Jang, Gu & Poole 2017); if `hard`, one-hot with the gradient of the soft sample.

    Example:
        >>> fg.nn.functional.gumbel_softmax(fg.tensor([0.0, 1e9]), hard=True)
        tensor([0., 1.])
    """
    noise = -_core.empty_like(logits).exponential_().log()
    soft = _core.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)
    return _core.zeros_like(soft).scatter(dim, index, 1.0) - soft.detach() + soft


def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    """x where x >= 0, else a x: a drawn for each element between lower and upper in training, else their mean.

    Example:
        >>> fg.nn.functional.rrelu(fg.tensor([-1.0, 2.0]), 0.25, 0.25)
        tensor([-0.2500,  2.0000])
    """
    slope = (lower + upper) / 2
    if training:
        slope = _core.rand_like(input) * (upper - lower) + lower
    y = _core.where(input >= 0, input, input * slope)
    return input.copy_(y) if inplace else y


def _per_channel(x, input):
    return x.reshape([1, -1] + [1] * (input.dim() - 2))


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalises groups of channels of each sample (Wu & He 2018): (x - mean) / sqrt(var + eps) * weight + bias.

    Args:
        input: (N, C, ...), C a multiple of num_groups.
        weight, bias: (C).

    Example:
        >>> fg.nn.functional.group_norm(fg.zeros(8, 4, 5), 2).shape
        fastgrad.Size([8, 4, 5])
    """
    if input.dim() < 2 or input.shape[1] % num_groups:
        raise ShapeError(
            f"group_norm: expected (N, C, ...) with C a multiple of num_groups, {num_groups}, got {tuple(input.shape)}"
        )
    rows = input.reshape(input.shape[0], num_groups, -1)
    y = _core.layer_norm(rows, rows.shape[2:], eps=eps).reshape(input.shape)
    y = y if weight is None else y * _per_channel(weight, y)
    return y if bias is None else y + _per_channel(bias, y)


def instance_norm(
    input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    """Normalises each channel of each sample (Ulyanov, Vedaldi & Lempitsky 2016).

    Args:
        input: (N, C, ...).
        running_mean, running_var: (C); what is used if not `use_input_stats`, otherwise moved towards the means over the
            batch of the statistics of this input by the share `momentum`.
        weight, bias: (C).

    Example:
        >>> fg.nn.functional.instance_norm(fg.zeros(8, 4, 5)).shape
        fastgrad.Size([8, 4, 5])
    """
    if input.dim() < 3:
        raise ShapeError(f"instance_norm: expected (N, C, ...), got {tuple(input.shape)}")
    if not use_input_stats:
        return _core.batch_norm(input, running_mean, running_var, weight, bias, False, 0.0, eps)
    if running_mean is not None:
        with _core.no_grad():
            var, mean = _core.var_mean(input, tuple(range(2, input.dim())))
            running_mean.lerp_(mean.mean(0).to(running_mean.dtype), momentum)
            running_var.lerp_(var.mean(0).to(running_var.dtype), momentum)
    return group_norm(input, input.shape[1], weight, bias, eps)


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """x / (k + alpha * the mean of x^2 over `size` neighbouring channels)^beta (Krizhevsky et al. 2012).

    Example:
        >>> fg.nn.functional.local_response_norm(fg.ones(1, 3, 4), size=2).shape
        fastgrad.Size([1, 3, 4])
    """
    if input.dim() < 3:
        raise ShapeError(f"local_response_norm: expected (N, C, ...), got {tuple(input.shape)}")
    squares = _core.pad(input.square(), (0, 0) * (input.dim() - 2) + (size // 2, (size - 1) // 2))
    return input / (squares.unfold(1, size, 1).mean(-1) * alpha + k) ** beta
