"""Elementwise functions composed of ops that have kernels."""

import math

from fastgrad._core import Tensor
from fastgrad._core.table import functions as f
from fastgrad._core.tensor import install
from fastgrad._functions._shared import in_place, publish


def _real(x):
    return x if x.is_floating_point() else x.float()


@publish(inplace=True)
def asinh(input):
    """The inverse hyperbolic sine, sign(x) log(|x| + sqrt(x^2 + 1)), without cancellation at 0.

    >>> import fastgrad as fg
    >>> fg.asinh(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """
    x = _real(input)
    a = x.abs()
    return f["copysign"]((a + a * a / (1 + (a * a + 1).sqrt())).log1p(), x)


@publish(inplace=True)
def acosh(input):
    """The inverse hyperbolic cosine, of numbers from 1 on: log1p(t + sqrt(2 t + t^2)) with t = x - 1.

    >>> import fastgrad as fg
    >>> fg.acosh(fg.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """
    t = _real(input) - 1
    return (t + (2 * t + t * t).sqrt()).log1p()


@publish(inplace=True)
def atanh(input):
    """The inverse hyperbolic tangent, of numbers between -1 and 1: (log1p(x) - log1p(-x)) / 2.

    >>> import fastgrad as fg
    >>> fg.atanh(fg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
    """
    x = _real(input)
    return (x.log1p() - (-x).log1p()) * 0.5


@publish(inplace=True)
def deg2rad(input):
    """Degrees as radians.

    >>> import fastgrad as fg
    >>> fg.deg2rad(fg.tensor([180.0]))
    tensor([3.1416])
    """
    return input * (math.pi / 180)


@publish(inplace=True)
def rad2deg(input):
    """Radians as degrees.

    >>> import fastgrad as fg
    >>> fg.rad2deg(fg.tensor([fg.pi]))
    tensor([180.])
    """
    return input * (180 / math.pi)


@publish(inplace=True)
def logit(input, eps=None):
    """log(x / (1 - x)), the inverse of the sigmoid; x is clamped to [eps, 1 - eps] where `eps` is given.

    >>> import fastgrad as fg
    >>> fg.logit(fg.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    x = _real(input) if eps is None else _real(input).clamp(eps, 1 - eps)
    return x.log() - (-x).log1p()


@publish(inplace=True)
def sinc(input):
    """sin(pi x) / (pi x), 1 at 0.

    >>> import fastgrad as fg
    >>> fg.sinc(fg.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    x = _real(input) * math.pi
    zero = x == 0
    # at 0 the series, so that derivatives there are right to second order
    return f["where"](zero, 1 - x * x / 6, x.sin() / x.masked_fill(zero, 1))


@publish
def positive(input):
    """The tensor itself: +x.

    >>> import fastgrad as fg
    >>> fg.positive(fg.tensor([-1.0]))
    tensor([-1.])
    """
    if input.dtype is f["tensor"](True).dtype:
        raise RuntimeError("positive: not defined for bool tensors")
    return input


@publish
def signbit(input):
    """Whether the sign is negative, also that of -0.0, as bool.

    >>> import fastgrad as fg
    >>> fg.signbit(fg.tensor([-0.0, 0.0]))
    tensor([ True, False])
    """
    if not input.is_floating_point():
        return input < 0
    return (input < 0) | ((input == 0) & (1 / input < 0))


@publish
def isposinf(input):
    """Whether it is +inf, as bool.

    >>> import fastgrad as fg
    >>> fg.isposinf(fg.tensor([-fg.inf, fg.inf]))
    tensor([False,  True])
    """
    return input == math.inf


@publish
def isneginf(input):
    """Whether it is -inf, as bool.

    >>> import fastgrad as fg
    >>> fg.isneginf(fg.tensor([-fg.inf, fg.inf]))
    tensor([ True, False])
    """
    return input == -math.inf


@publish
def isreal(input):
    """True everywhere: there are no complex numbers here.

    >>> import fastgrad as fg
    >>> fg.isreal(fg.tensor([1.0]))
    tensor([True])
    """
    return f["ones_like"](input, dtype=isposinf(f["tensor"](0)).dtype)


@publish
def fmax(input, other):
    """The larger of both, and where one is NaN the other.

    >>> import fastgrad as fg
    >>> fg.fmax(fg.tensor([1.0, fg.nan]), fg.tensor([2.0, 3.0]))
    tensor([2., 3.])
    """
    input, other = _pair(input, other)
    return f["where"](input.isnan(), other, f["where"](other.isnan(), input, f["maximum"](input, other)))


@publish
def fmin(input, other):
    """The smaller of both, and where one is NaN the other.

    >>> import fastgrad as fg
    >>> fg.fmin(fg.tensor([1.0, fg.nan]), fg.tensor([2.0, 3.0]))
    tensor([1., 3.])
    """
    input, other = _pair(input, other)
    return f["where"](input.isnan(), other, f["where"](other.isnan(), input, f["minimum"](input, other)))


@publish
def logaddexp2(input, other):
    """log2(2^x + 2^y), without overflow.

    >>> import fastgrad as fg
    >>> fg.logaddexp2(fg.tensor([3.0]), fg.tensor([3.0]))
    tensor([4.])
    """
    input, other = _pair(input, other)
    dtype = f["result_type"](input, other)
    if not dtype.is_floating_point:
        raise NotImplementedError(f"logaddexp2: expected float32 or float64, got {dtype}")
    return f["logaddexp"](input.to(dtype) * math.log(2), other.to(dtype) * math.log(2)) / math.log(2)


@publish(inplace=True)
def copysign(input, other):
    """|input| with the sign of `other`, a tensor or a number.

    >>> import fastgrad as fg
    >>> fg.copysign(fg.tensor([1.0, 2.0]), fg.tensor([-1.0, 1.0]))
    tensor([-1.,  2.])
    """
    x = _real(input)
    if not isinstance(other, Tensor):
        return x.abs() * math.copysign(1.0, other)
    return x.abs() * f["where"](signbit(other), -1.0, 1.0).to(x.dtype if not other.is_floating_point() else other.dtype)


@publish(inplace=True)
def heaviside(input, values):
    """0 where input < 0, 1 where input > 0, `values` where it is 0; NaN stays.

    >>> import fastgrad as fg
    >>> fg.heaviside(fg.tensor([-1.0, 0.0, 1.0]), fg.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    input, values = _pair(input, values)
    if input.dtype is not values.dtype:
        raise RuntimeError(f"heaviside: input and values must have one dtype, got {input.dtype} and {values.dtype}")
    x = input.detach()
    return f["where"](x == 0, values.detach(), f["where"](x != x, x, (x > 0).to(x.dtype)))


def _pair(x, y):
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        raise TypeError(f"expected two Tensors, got {type(x).__name__} and {type(y).__name__}")
    return x, y


@publish(inplace=True)
def sgn(input):
    """-1, 0 or 1, the sign.

    >>> import fastgrad as fg
    >>> fg.sgn(fg.tensor([-3.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    return input.sign()


for _function in (asinh, acosh, atanh):
    publish(_function, name=_function.__name__.replace("a", "arc", 1), inplace=True)
install("float_power_", in_place(f["float_power"]))
