"""Normalisation layers. Imports Module, functional and init.

All compute (x - mean) / sqrt(var + eps) with the biased variance over some axes, times `weight`, plus `bias`.
"""

from fastgrad import _core
from fastgrad._core import Parameter
from fastgrad.nn import functional as F
from fastgrad.nn import init
from fastgrad.nn.module import Module


class _Affine(Module):
    """What all have: a weight that begins as ones and a bias that begins as zeros; None where they are not wanted."""

    def _add_parameters(self, shape, device, dtype, **wanted):
        for name, is_wanted in wanted.items():
            self.register_parameter(
                name, Parameter(_core.empty(shape, device=device, dtype=dtype)) if is_wanted else None
            )
        self.reset_parameters()

    def reset_parameters(self):
        """Sets weight to 1 and bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if getattr(self, "bias", None) is not None:
            init.zeros_(self.bias)


class _ByChannel(_Affine):
    """What BatchNorm and InstanceNorm share: a weight, a bias and running statistics for each channel."""

    _dims = ()  # how many dimensions an input may have

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = tracked = track_running_stats
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, _core.empty(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", _core.tensor(0, device=device) if tracked else None)
        self._add_parameters(num_features, device, dtype, weight=affine, bias=affine and bias)

    def reset_running_stats(self):
        """Forgets all batches: mean 0, variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """Forgets all batches and sets weight to 1, bias to 0."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check(self, input):
        if input.dim() not in self._dims:
            wanted = " or ".join(f"{n}D" for n in self._dims)
            raise ValueError(f"expected {wanted} input (got {input.dim()}D input)")

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_ByChannel):
    """Normalises each feature over the batch (Ioffe & Szegedy 2015).

    In training by the statistics of the batch, which also update the running ones; in evaluation by the running ones.

    Args:
        num_features: C of the input (N, C) or (N, C, L).
        eps: added to the variance.
        momentum: weight of the new batch in the running statistics; None for the plain average over all batches.
        affine: whether to have `weight` and `bias` (C).
        bias: whether to have `bias`.
        track_running_stats: whether to have running statistics; without them, batch statistics are always used.

    Buffers: `running_mean` (C), `running_var` (C, of the unbiased variance), `num_batches_tracked`.

    Example:
        >>> fg.nn.BatchNorm1d(1, affine=False)(fg.tensor([[1.0], [3.0]]))
        tensor([[-1.0000],
                [ 1.0000]])
    """

    _dims = (2, 3)

    def forward(self, input):
        self._check(input)
        if not (self.training and self.track_running_stats):
            by_batch = self.training or self.running_mean is None
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, by_batch, 0.0, self.eps
            )
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, True, momentum, self.eps
        )


class BatchNorm2d(BatchNorm1d):
    """As BatchNorm1d, for images (N, C, H, W).

    Example:
        >>> fg.nn.BatchNorm2d(3)(fg.zeros(2, 3, 4, 4)).shape
        fastgrad.Size([2, 3, 4, 4])
    """

    _dims = (4,)


class BatchNorm3d(BatchNorm1d):
    """As BatchNorm1d, for volumes (N, C, D, H, W).

    Example:
        >>> fg.nn.BatchNorm3d(3)(fg.zeros(2, 3, 4, 4, 4)).shape
        fastgrad.Size([2, 3, 4, 4, 4])
    """

    _dims = (5,)


class InstanceNorm1d(_ByChannel):
    """Normalises each channel of each sample (Ulyanov, Vedaldi & Lempitsky 2016).

    Args:
        num_features: C of the input (N, C, L) or (C, L).
        eps: added to the variance.
        momentum: weight of the new batch in the running statistics.
        affine: whether to have `weight` and `bias` (C).
        track_running_stats: whether to have running statistics, which are then used in evaluation.

    Example:
        >>> fg.nn.InstanceNorm1d(4)(fg.zeros(8, 4, 5)).shape
        fastgrad.Size([8, 4, 5])
    """

    _dims = (2, 3)

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input):
        self._check(input)
        alone = input.dim() == self._dims[0]
        if input.shape[0 if alone else 1] != self.num_features:
            raise ValueError(f"expected {self.num_features} channels, got an input of shape {tuple(input.shape)}")
        by_input = self.training or not self.track_running_stats
        y = F.instance_norm(
            input.unsqueeze(0) if alone else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            by_input,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y[0] if alone else y


class InstanceNorm2d(InstanceNorm1d):
    """As InstanceNorm1d, for images (N, C, H, W) or (C, H, W).

    Example:
        >>> fg.nn.InstanceNorm2d(4)(fg.zeros(8, 4, 5, 5)).shape
        fastgrad.Size([8, 4, 5, 5])
    """

    _dims = (3, 4)


class InstanceNorm3d(InstanceNorm1d):
    """As InstanceNorm1d, for volumes (N, C, D, H, W) or (C, D, H, W).

    Example:
        >>> fg.nn.InstanceNorm3d(4)(fg.zeros(8, 4, 5, 5, 5)).shape
        fastgrad.Size([8, 4, 5, 5, 5])
    """

    _dims = (4, 5)


class GroupNorm(_Affine):
    """Normalises groups of channels of each sample (Wu & He 2018).

    Args:
        num_groups: how many groups; num_channels is a multiple of it.
        num_channels: C of the input (N, C, ...).
        eps: added to the variance.
        affine: whether to have `weight` and `bias` (C).
        bias: whether to have `bias`.

    Example:
        >>> fg.nn.GroupNorm(2, 4)(fg.zeros(8, 4, 5)).shape
        fastgrad.Size([8, 4, 5])
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError("num_channels must be divisible by num_groups")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._add_parameters(num_channels, device, dtype, weight=affine, bias=affine and bias)

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


def _as_shape(normalized_shape):
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class LayerNorm(_Affine):
    """Normalises each sample over its last axes (Ba, Kiros & Hinton 2016).

    Args:
        normalized_shape: sizes of those axes; a number for the last axis alone.
        eps: added to the variance.
        elementwise_affine: whether to have `weight` and `bias` (normalized_shape).
        bias: whether to have `bias`.

    Example:
        >>> fg.nn.LayerNorm(2, elementwise_affine=False)(fg.tensor([[1.0, 3.0]]))
        tensor([[-1.0000,  1.0000]])
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._add_parameters(
            self.normalized_shape, device, dtype, weight=elementwise_affine, bias=elementwise_affine and bias
        )

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """x / sqrt(mean(x^2) + eps), the mean over each sample's last axes (Zhang & Sennrich 2019).

    Args:
        normalized_shape: sizes of those axes; a number for the last axis alone.
        eps: added to the mean square; None for the smallest step of the dtype.
        elementwise_affine: whether to have `weight` (normalized_shape).

    Example:
        >>> fg.nn.RMSNorm(2, elementwise_affine=False)(fg.tensor([[3.0, 4.0]]))
        tensor([[0.8485, 1.1314]])
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._add_parameters(self.normalized_shape, device, dtype, weight=elementwise_affine)

    def forward(self, input):
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
