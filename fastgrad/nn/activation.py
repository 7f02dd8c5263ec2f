"""Activations as layers: each calls its function. Imports Module and functional."""

from fastgrad import _core
from fastgrad._core import Parameter, relu
from fastgrad._core.call import direct
from fastgrad.nn import functional as F
from fastgrad.nn import init
from fastgrad.nn.module import Module


class _InPlace(Module):
    """An activation without parameters that may write into its input."""

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """max(0, x); the derivative at 0 is 0.

    Example:
        >>> fg.nn.ReLU()(fg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    @direct(relu, "inplace")
    def forward(self, input):
        return relu(input, self.inplace)


class ReLU6(_InPlace):
    """min(max(0, x), 6).

    Example:
        >>> fg.nn.ReLU6()(fg.tensor([-1.0, 2.0, 9.0]))
        tensor([0., 2., 6.])
    """

    def forward(self, input):
        return F.relu6(input, self.inplace)


class SELU(_InPlace):
    """Self-normalising: scale * (x where x > 0, else alpha * (e^x - 1)); use with LeCun initialisation.

    Example:
        >>> fg.nn.SELU()(fg.tensor([-1.0, 2.0]))
        tensor([-1.1113,  2.1014])
    """

    def forward(self, input):
        return F.selu(input, self.inplace)


class SiLU(_InPlace):
    """x * sigmoid(x).

    Example:
        >>> fg.nn.SiLU()(fg.tensor([-1.0, 2.0]))
        tensor([-0.2689,  1.7616])
    """

    def forward(self, input):
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    """x * tanh(softplus(x)).

    Example:
        >>> fg.nn.Mish()(fg.tensor([-1.0, 2.0]))
        tensor([-0.3034,  1.9440])
    """

    def forward(self, input):
        return F.mish(input, self.inplace)


class Hardswish(_InPlace):
    """x * relu6(x + 3) / 6.

    Example:
        >>> fg.nn.Hardswish()(fg.tensor([-1.0, 2.0, 4.0]))
        tensor([-0.3333,  1.6667,  4.0000])
    """

    def forward(self, input):
        return F.hardswish(input, self.inplace)


class Hardsigmoid(_InPlace):
    """relu6(x + 3) / 6.

    Example:
        >>> fg.nn.Hardsigmoid()(fg.tensor([-4.0, 0.0, 4.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """

    def forward(self, input):
        return F.hardsigmoid(input, self.inplace)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope * x.

    Example:
        >>> fg.nn.LeakyReLU(0.1)(fg.tensor([-1.0, 2.0]))
        tensor([-0.1000,  2.0000])
    """

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """x where x > 0, else weight * x, with a trained weight in all or for each channel (axis 1).

    Args:
        num_parameters: 1, or the number of channels.
        init: the weight to start with.

    Example:
        >>> fg.nn.PReLU()(fg.tensor([-1.0, 2.0]))
        tensor([-0.2500,  2.0000], grad_fn=<WhereBackward0>)
    """

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(_core.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self):
        """Sets the weight to `init`."""
        init.constant_(self.weight, self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class _Alpha(Module):
    """An activation with a scale `alpha` of its negative part."""

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def extra_repr(self):
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class ELU(_Alpha):
    """x where x > 0, else alpha * (e^x - 1).

    Example:
        >>> fg.nn.ELU()(fg.tensor([-1.0, 2.0]))
        tensor([-0.6321,  2.0000])
    """

    def forward(self, input):
        return F.elu(input, self.alpha, self.inplace)


class CELU(_Alpha):
    """max(0, x) + min(0, alpha * (e^(x / alpha) - 1)).

    Example:
        >>> fg.nn.CELU(2.0)(fg.tensor([-1.0, 2.0]))
        tensor([-0.7869,  2.0000])
    """

    def forward(self, input):
        return F.celu(input, self.alpha, self.inplace)


class GELU(Module):
    """x * Phi(x), Phi the normal distribution; approximate='tanh' for the usual approximation by tanh.

    Example:
        >>> fg.nn.GELU()(fg.tensor([-1.0, 2.0]))
        tensor([-0.1587,  1.9545])
    """

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class Hardtanh(Module):
    """x clamped to [min_val, max_val].

    Example:
        >>> fg.nn.Hardtanh(-1.0, 0.5)(fg.tensor([-3.0, 0.25, 2.0]))
        tensor([-1.0000,  0.2500,  0.5000])
    """

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False):
        super().__init__()
        if not min_val < max_val:
            raise ValueError(f"max_val must be larger than min_val, but got {min_val} and {max_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class Threshold(Module):
    """x where x > threshold, else value.

    Example:
        >>> fg.nn.Threshold(1.0, -9.0)(fg.tensor([0.5, 2.0]))
        tensor([-9.,  2.])
    """

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self):
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class Softplus(Module):
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold.

    Example:
        >>> fg.nn.Softplus()(fg.tensor([-1.0, 30.0]))
        tensor([ 0.3133, 30.0000])
    """

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class _Shrink(Module):
    """An activation that is zero on [-lambd, lambd]."""

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def extra_repr(self):
        return str(self.lambd)


class Hardshrink(_Shrink):
    """x where |x| > lambd, else 0.

    Example:
        >>> fg.nn.Hardshrink()(fg.tensor([-1.0, 0.25, 2.0]))
        tensor([-1.,  0.,  2.])
    """

    def forward(self, input):
        return F.hardshrink(input, self.lambd)


class Softshrink(_Shrink):
    """x - lambd where x > lambd, x + lambd where x < -lambd, else 0.

    Example:
        >>> fg.nn.Softshrink(0.5)(fg.tensor([-1.0, 0.25, 2.0]))
        tensor([-0.5000,  0.0000,  1.5000])
    """

    def forward(self, input):
        return F.softshrink(input, self.lambd)


class Sigmoid(Module):
    """1 / (1 + e^-x).

    Example:
        >>> fg.nn.Sigmoid()(fg.tensor([-1.0, 2.0]))
        tensor([0.2689, 0.8808])
    """

    @direct(F.sigmoid)
    def forward(self, input):
        return F.sigmoid(input)


class Tanh(Module):
    """tanh(x).

    Example:
        >>> fg.nn.Tanh()(fg.tensor([-1.0, 2.0]))
        tensor([-0.7616,  0.9640])
    """

    @direct(F.tanh)
    def forward(self, input):
        return F.tanh(input)


class LogSigmoid(Module):
    """log(sigmoid(x)).

    Example:
        >>> fg.nn.LogSigmoid()(fg.tensor([-1.0, 2.0]))
        tensor([-1.3133, -0.1269])
    """

    def forward(self, input):
        return F.logsigmoid(input)


class Softsign(Module):
    """x / (1 + |x|).

    Example:
        >>> fg.nn.Softsign()(fg.tensor([-1.0, 3.0]))
        tensor([-0.5000,  0.7500])
    """

    def forward(self, input):
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x).

    Example:
        >>> fg.nn.Tanhshrink()(fg.tensor([-1.0, 2.0]))
        tensor([-0.2384,  1.0360])
    """

    def forward(self, input):
        return F.tanhshrink(input)


class GLU(Module):
    """a * sigmoid(b), where a and b are the halves of x along `dim`.

    Example:
        >>> fg.nn.GLU()(fg.tensor([1.0, 2.0, 0.0, 0.0]))
        tensor([0.5000, 1.0000])
    """

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class _AlongDim(Module):
    """An activation that normalises along `dim`."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """e^x / sum(e^x) along `dim`.

    Example:
        >>> fg.nn.Softmax(dim=1)(fg.tensor([[0.0, 0.0], [0.0, 100.0]]))
        tensor([[5.0000e-01, 5.0000e-01],
                [3.7835e-44, 1.0000e+00]])
    """

    def forward(self, input):
        return F.softmax(input, self.dim)


class LogSoftmax(_AlongDim):
    """x - log(sum(e^x)) along `dim`.

    Example:
        >>> fg.nn.LogSoftmax(dim=1)(fg.tensor([[0.0, 0.0], [0.0, 100.0]]))
        tensor([[  -0.6931,   -0.6931],
                [-100.0000,    0.0000]])
    """

    def forward(self, input):
        return F.log_softmax(input, self.dim)


class Softmin(_AlongDim):
    """softmax(-x) along `dim`.

    Example:
        >>> fg.nn.Softmin(dim=1)(fg.tensor([[0.0, 0.0], [0.0, 100.0]]))
        tensor([[5.0000e-01, 5.0000e-01],
                [1.0000e+00, 3.7835e-44]])
    """

    def forward(self, input):
        return F.softmin(input, self.dim)
