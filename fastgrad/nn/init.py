"""Initialisers: they fill a Tensor in place, are not recorded, and return it. Imports the core.

For a weight (out, in, *kernel): fan_in = in * prod(kernel), fan_out = out * prod(kernel).
Variances: Xavier 2 / (fan_in + fan_out) (Glorot & Bengio 2010), He 2 / fan_in (He et al. 2015), LeCun 1 / fan_in (LeCun
et al. 1998; the one SELU networks need, Klambauer et al. 2017). A uniform variable on (-b, b) has variance b^2 / 3.
"""

import math
import warnings

import numpy as np

from fastgrad import _core


def calculate_gain(nonlinearity, param=None):
    """The factor on the standard deviation that keeps activations' scale through this nonlinearity.

    Args:
        nonlinearity: name in nn.functional: 'linear', 'conv1d', ..., 'sigmoid', 'tanh', 'relu', 'leaky_relu', 'selu'.
        param: the negative slope of leaky_relu, 0.01 if None.

    Example:
        >>> fastgrad.nn.init.calculate_gain("leaky_relu", 0.2)
        1.3867504905630728
    """
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4, "sigmoid": 1.0, "linear": 1.0}
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"negative_slope {slope} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity.startswith("conv"):
        return 1.0
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}; known are leaky_relu, {', '.join(gains)}")
    return gains[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor):
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _fan(tensor, mode):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return fan_in if mode == "fan_in" else fan_out


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fills with draws from U(a, b).

    Example:
        >>> w = fg.nn.init.uniform_(fg.empty(100), -0.5, 0.5)
        >>> bool((w.abs() <= 0.5).all())
        True
    """
    with _core.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fills with draws from N(mean, std^2).

    Example:
        >>> w = fg.nn.init.normal_(fg.empty(10000), mean=5.0, std=0.1)
        >>> round(w.mean().item(), 1)
        5.0
    """
    with _core.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Fills with draws from N(mean, std^2) conditioned on [a, b].

    Rejection from a uniform proposal, so the distribution is right for every interval, far tails included.

    Example:
        >>> w = fg.nn.init.trunc_normal_(fg.empty(1000), std=3.0, a=-1.0, b=2.0)
        >>> bool((w >= -1).all() and (w <= 2).all())
        True
    """
    low, high = (a - mean) / std, (b - mean) / std
    if not low < high:
        raise ValueError(f"trunc_normal_: a must be less than b, but got a={a}, b={b}, std={std}")
    peak = min(max(0.0, low), high)
    # Where the density is below 1e-16 of its largest value in the interval no draw would be accepted.
    reach = math.sqrt(peak**2 + 74.0)
    low, high = max(low, -reach), min(high, reach)

    def draw(count):
        return _core.empty(count, dtype=_core.float64).uniform_(generator=generator).numpy()

    values = np.empty(tensor.numel())
    filled = 0
    while filled < values.size:
        x = low + (high - low) * draw(values.size - filled)
        x = x[draw(x.size) < np.exp((peak**2 - x**2) / 2)]
        values[filled : filled + x.size] = x
        filled += x.size
    values = np.clip(mean + std * values, a, b).reshape(tuple(tensor.shape))
    with _core.no_grad():
        return tensor.copy_(_core.from_numpy(values))


def constant_(tensor, val):
    """Fills with `val`.

    Example:
        >>> fg.nn.init.constant_(fg.empty(2), 0.5)
        tensor([0.5000, 0.5000])
    """
    with _core.no_grad():
        return tensor.fill_(val)


def ones_(tensor):
    """Fills with 1.

    Example:
        >>> fg.nn.init.ones_(fg.empty(2))
        tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor):
    """Fills with 0.

    Example:
        >>> fg.nn.init.zeros_(fg.empty(2))
        tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def eye_(tensor):
    """Fills a matrix with the identity: ones on the diagonal, zeros elsewhere.

    Example:
        >>> fg.nn.init.eye_(fg.empty(2, 2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with _core.no_grad():
        return tensor.copy_(_core.eye(*tensor.shape))


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fills with draws from U(-b, b), b = gain * sqrt(6 / (fan_in + fan_out)).

    Example:
        >>> w = fg.nn.init.xavier_uniform_(fg.empty(200, 100))
        >>> bool((w.abs() <= (6 / 300) ** 0.5).all())
        True
    """
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fills with draws from N(0, std^2), std = gain * sqrt(2 / (fan_in + fan_out)).

    Example:
        >>> w = fg.nn.init.xavier_normal_(fg.empty(200, 200))
        >>> round(w.std().item(), 2) == 0.07
        True
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    return calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fills with draws from U(-b, b), b = gain * sqrt(3 / fan), gain = calculate_gain(nonlinearity, a).

    Example:
        >>> w = fg.nn.init.kaiming_uniform_(fg.empty(200, 100), nonlinearity="relu")
        >>> bool((w.abs() <= (6 / 100) ** 0.5).all())
        True
    """
    if _warn_if_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fills with draws from N(0, std^2), std = gain / sqrt(fan), gain = calculate_gain(nonlinearity, a).

    Example:
        >>> w = fg.nn.init.kaiming_normal_(fg.empty(200, 200), nonlinearity="relu")
        >>> round(w.std().item(), 1)
        0.1
    """
    if _warn_if_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _warn_if_empty(tensor):
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def lecun_uniform_(tensor, gain=1.0, generator=None):
    """Fills with draws from U(-b, b), b = gain * sqrt(3 / fan_in).

    Example:
        >>> w = fg.nn.init.lecun_uniform_(fg.empty(200, 100))
        >>> bool((w.abs() <= (3 / 100) ** 0.5).all())
        True
    """
    bound = gain * math.sqrt(3.0 / _fan(tensor, "fan_in"))
    return uniform_(tensor, -bound, bound, generator)


def lecun_normal_(tensor, gain=1.0, generator=None):
    """Fills with draws from N(0, std^2), std = gain / sqrt(fan_in).

    Example:
        >>> w = fg.nn.init.lecun_normal_(fg.empty(200, 100))
        >>> round(w.std().item(), 1)
        0.1
    """
    return normal_(tensor, 0.0, gain / math.sqrt(_fan(tensor, "fan_in")), generator)


def orthogonal_(tensor, gain=1, generator=None):
    """Fills with a (semi-)orthogonal matrix, uniform under rotations; further axes are flattened (Saxe et al. 2014).

    Example:
        >>> w = fg.nn.init.orthogonal_(fg.empty(3, 5))
        >>> fg.allclose(w @ w.T, fg.eye(3), atol=1e-6)
        True
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    normal = _core.empty(rows, columns, dtype=_core.float64).normal_(generator=generator).numpy()
    q, r = np.linalg.qr(normal if rows >= columns else normal.T)
    q *= np.sign(np.diag(r))  # makes the factorisation unique, and so the distribution uniform
    q = np.ascontiguousarray(gain * (q if rows >= columns else q.T))
    with _core.no_grad():
        return tensor.copy_(_core.from_numpy(q.reshape(tuple(tensor.shape))))


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Fills a matrix with draws from N(0, std^2), of which a fraction `sparsity` of each column is set to zero.

    Example:
        >>> w = fg.nn.init.sparse_(fg.empty(10, 4), sparsity=0.3)
        >>> (w == 0).sum(0)
        tensor([3, 3, 3, 3])
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    normal_(tensor, 0.0, std, generator)
    with _core.no_grad():
        for column in range(columns):
            tensor[_core.randperm(rows, generator=generator)[:zeros], column] = 0
    return tensor
