"""Layers that are linear in their input. Imports Module, init and the core."""

import math

from fastgrad import _core
from fastgrad._core import Parameter, linear
from fastgrad._core.call import direct
from fastgrad.nn import functional as F
from fastgrad.nn import init
from fastgrad.nn.module import Module


class Identity(Module):
    """Returns its input; takes and ignores any arguments.

    Example:
        >>> fg.nn.Identity()(fg.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return input


class Linear(Module):
    """y = x W^T + b.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: whether to add b.

    Parameters: `weight` (out_features, in_features) and `bias` (out_features), both drawn from
    U(-1/sqrt(in_features), 1/sqrt(in_features)).

    Example:
        >>> fastgrad.nn.Linear(20, 30)(fastgrad.zeros(128, 20)).shape
        fastgrad.Size([128, 30])
    """

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(_core.empty(out_features, in_features, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(_core.empty(out_features, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self):
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0.0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    @direct(linear, "weight", "bias")
    def forward(self, input):
        return linear(input, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y_k = x1 A_k x2^T + b_k.

    Args:
        in1_features, in2_features: sizes of the last axes of the two inputs.
        out_features: size of the last axis of the output.
        bias: whether to add b.

    Parameters: `weight` (out_features, in1_features, in2_features) and `bias` (out_features), both drawn from
    U(-1/sqrt(in1_features), 1/sqrt(in1_features)).

    Example:
        >>> fg.nn.Bilinear(20, 30, 40)(fg.zeros(128, 20), fg.zeros(128, 30)).shape
        fastgrad.Size([128, 40])
    """

    def __init__(self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(_core.empty(out_features, in1_features, in2_features, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(_core.empty(out_features, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self):
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1, input2):
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )
