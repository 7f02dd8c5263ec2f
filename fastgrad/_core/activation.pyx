"""The family of activations: elementwise functions of networks, with the parameters and names of nn.functional.

Derivatives at kinks are PyTorch's: 0 for relu at 0, the inner slope for clamp-like functions only strictly inside.
"""

from .elementwise cimport apply3, cross, of, over, params, times, where
from .inplace cimport inplace as run_inplace
from .tensor cimport *

from .elementwise import one
from .table import DIAGONAL, functions, op, publish

cdef Op SIGMOID = declare("sigmoid")
cdef Op TANH = declare("tanh")
cdef Op EXP = declare("exp")
cdef Op SIGMOID_VJP = declare("sigmoid_vjp")
cdef Op ABS = declare("abs")

cdef object TWO_PI_ROOT = 0.3989422804014327        # 1 / sqrt(2 pi)


def activation(name, rule, sample, doc, public="", flops=1, kernel=None, numpy=None):
    """Records an activation: one real input."""
    return op(name, shape="SAME", dtype="T->T", vjp=(rule,), jvp=DIAGONAL, family="activation", public=public, sample=sample,
              doc=doc, flops=flops, kernel=kernel, numpy=numpy)


def backward(name, g_rule, x_rule, doc, flops=2, numpy=None):
    """Records a fused derivative of x0 (the gradient that arrived) and x1 (the input or output)."""
    return op(name, shape="BROADCAST", dtype="TT->T", vjp=(g_rule, x_rule), jvp=DIAGONAL, family="activation", doc=doc,
              flops=flops, numpy=numpy)


cdef object fused(Op o, object g, object x, Attrs a):
    return apply3(o, g, x, None, a)


# ---- piecewise linear ----------------------------------------------------------------------------------------------

cdef Op RELU = activation("relu", "relu_vjp g y", one(0.2, 2, True), "max(x, 0).",
                          numpy="np.maximum(x0, 0)")
cdef Op RELU_VJP = backward("relu_vjp", "relu_vjp g x1", None, "x0, and 0 where x1 <= 0.",
                            numpy="x0 * (x1 > 0)")
cdef Op LEAKY_RELU = activation("leaky_relu", "leaky_relu_vjp g x0 a",
                                lambda r: [((r.uniform(0.2, 2, (2, 3)) * r.choice([-1, 1], (2, 3)),), {"negative_slope": 0.1})],
                                "x where x > 0, else negative_slope * x.", numpy="np.where(x0 > 0, x0, {f0} * x0)")
cdef Op LEAKY_RELU_VJP = backward("leaky_relu_vjp", "leaky_relu_vjp g x1 a", None,
                                  "x0 where x1 > 0, else negative_slope * x0.", numpy="np.where(x1 > 0, x0, {f0} * x0)")
cdef Op THRESHOLD = activation("threshold", "threshold_vjp g x0 a",
                               lambda r: [((r.uniform(0.2, 2, (2, 3)) * r.choice([-1, 1], (2, 3)), 0.1, 20.0), {})],
                               "x where x > threshold, else a value.", numpy="np.where(x0 > {f0}, x0, {f1})")
cdef Op THRESHOLD_VJP = backward("threshold_vjp", "threshold_vjp g x1 a", None,
                                 "x0, and 0 where x1 <= threshold.", numpy="x0 * (x1 > {f0})")
cdef Op HARDTANH = activation("hardtanh", "hardtanh_vjp g x0 a", one(0.2, 0.9, True),
                              "x between min_val and max_val; the derivative at a bound is 0.", kernel="clamp",
                              numpy="np.clip(x0, {f0}, {f1})")
cdef Op HARDTANH_VJP = backward("hardtanh_vjp", "hardtanh_vjp g x1 a", None,
                                "x0 where x1 lies strictly between two bounds, else 0.",
                                numpy="x0 * ((x1 > {f0}) & (x1 < {f1}))")
cdef Op HARDSHRINK = activation("hardshrink", "shrink_vjp g x0 a", one(0.6, 2, True),
                                "x, and 0 where |x| <= lambd.", numpy="np.where(np.abs(x0) > {f0}, x0, 0)")
cdef Op SOFTSHRINK = activation("softshrink", "shrink_vjp g x0 a", one(0.6, 2, True),
                                "x moved towards 0 by lambd, and 0 where |x| <= lambd.",
                                numpy="np.sign(x0) * np.maximum(np.abs(x0) - {f0}, 0)")
cdef Op SHRINK_VJP = backward("shrink_vjp", "shrink_vjp g x1 a", None,
                              "x0, and 0 where |x1| <= lambd.", numpy="x0 * (np.abs(x1) > {f0})")
cdef Op HARDSIGMOID = activation("hardsigmoid", lambda g, x0: fused(HARDTANH_VJP, g, x0, params(-3, 3)) * (1 / 6.0),
                                 one(0.2, 2, True), "x / 6 + 1/2 between 0 and 1.", numpy="np.clip(x0 / 6 + 0.5, 0, 1)")
cdef Op HARDSWISH = activation("hardswish", lambda g, x0: where(x0 <= -3, 0, where(x0 < 3, times(g, x0 * (1 / 3.0) + 0.5), g)),
                               one(0.2, 2, True), "x hardsigmoid(x).", numpy="x0 * np.clip(x0 / 6 + 0.5, 0, 1)")


# ---- smooth --------------------------------------------------------------------------------------------------------

cdef Op SOFTPLUS = activation("softplus", "softplus_vjp g x0 a",
                              lambda r: [((r.normal(size=(2, 3)),), {}), ((r.normal(size=3),), {"beta": 2.0, "threshold": 1.0})],
                              "log(1 + e^(beta x)) / beta, and x where beta x > threshold.", flops=40,
                              numpy="np.where({f0} * x0 > {f1}, x0, np.log1p(np.exp({f0} * x0)) / {f0})")
cdef Op SOFTPLUS_VJP = backward("softplus_vjp", "softplus_vjp g x1 a",
                                lambda g, x0, x1, a: softplus_bend(cross(g, x0), x1, a), "x0 sigmoid(beta x1).", flops=20,
                                numpy="np.where({f0} * x1 > {f1}, x0, x0 / (1 + np.exp(-{f0} * x1)))")
cdef Op LOGSIGMOID = activation("logsigmoid", lambda g, x0: times(g, of(SIGMOID, -x0)), one(0.2, 2, True), "log(sigmoid(x)).",
                                flops=40, numpy="-np.logaddexp(0, -x0)")
cdef Op GELU = activation("gelu", "gelu_vjp g x0",
                          lambda r: [((r.normal(size=(2, 3)),), {}), ((r.normal(size=3),), {"approximate": "tanh"})],
                          "x times the standard normal distribution function of x (Hendrycks and Gimpel 2016).", flops=40,
                          numpy="x0 * 0.5 * (1 + erf(x0 / 2**0.5))")
cdef Op GELU_VJP = backward("gelu_vjp", "gelu_vjp g x1",
                            lambda g, x0, x1: times(cross(g, x0), of(EXP, x1 * x1 * -0.5) * (2 - x1 * x1)) * TWO_PI_ROOT,
                            "x0 times the derivative of gelu at x1.", flops=50,
                            numpy="x0 * (0.5 * (1 + erf(x1 / 2**0.5)) + x1 * np.exp(-x1 * x1 / 2) / (2 * np.pi) ** 0.5)")
cdef Op GELU_TANH = activation("gelu_tanh", "gelu_tanh_vjp g x0", None,
                               "gelu with tanh in place of the distribution function.", flops=30,
                               numpy="x0 * 0.5 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x0 + 0.044715 * x0**3)))")
cdef Op GELU_TANH_VJP = backward("gelu_tanh_vjp", "gelu_tanh_vjp g x1",
                                 lambda g, x0, x1: gelu_tanh_bend(cross(g, x0), x1),
                                 "x0 times the derivative of gelu_tanh at x1.", flops=35, numpy="x0 * gelu_tanh_slope(x1)")
cdef Op SILU = activation("silu", "silu_vjp g x0", one(0.2, 2, True), "x sigmoid(x).", flops=20,
                          numpy="x0 / (1 + np.exp(-x0))")
cdef Op SILU_VJP = backward("silu_vjp", "silu_vjp g x1", lambda g, x0, x1: silu_bend(cross(g, x0), x1),
                            "x0 times the derivative of silu at x1.", flops=25, numpy="x0 * silu_slope(x1)")
cdef Op MISH = activation("mish", lambda g, x0: times(g, mish_slope(x0)), one(0.2, 2, True), "x tanh(softplus(x)).", flops=40,
                          numpy="x0 * np.tanh(np.logaddexp(0, x0))")
cdef Op ELU = activation("elu", "elu_vjp g x0 a",
                         lambda r: [((r.uniform(0.2, 2, (2, 3)) * r.choice([-1, 1], (2, 3)),), {"alpha": 1.5})],
                         "scale * (x where x > 0, else alpha (e^(input_scale x) - 1)).", flops=20,
                         numpy="np.where(x0 > 0, {f1} * x0, {f0} * {f1} * np.expm1({f2} * x0))")
cdef Op ELU_VJP = backward("elu_vjp", "elu_vjp g x1 a",
                           lambda g, x0, x1, a: where(x1 > 0, 0, fused(ELU_VJP, cross(g, x0), x1, a) * (<Attrs>a).c.f[2]),
                           "x0 times the derivative of elu at x1.", flops=20,
                           numpy="np.where(x1 > 0, {f1} * x0, {f0} * {f1} * {f2} * x0 * np.exp({f2} * x1))")
cdef Op SOFTSIGN = activation("softsign", lambda g, x0: over(g, softsign_square(x0)), one(0.2, 2, True), "x / (1 + |x|).",
                              flops=3, numpy="x0 / (1 + np.abs(x0))")
cdef Op TANHSHRINK = activation("tanhshrink", lambda g, x0: times(g, squared(of(TANH, x0))), one(0.2, 2, True), "x - tanh(x).",
                                flops=20, numpy="x0 - np.tanh(x0)")


cdef object squared(object t):
    return t * t


cdef object softsign_square(object x):
    return squared(1 + of(ABS, x))


cdef object softplus_bend(object g, object x, Attrs a):
    """g times the second derivative of softplus: beta s (1 - s) with s = sigmoid(beta x), and 0 on the linear part."""
    z = x * a.c.f[0]
    s = of(SIGMOID, z)
    return where(z > a.c.f[1], 0, apply2(SIGMOID_VJP, g, s) * a.c.f[0])


cdef object silu_bend(object g, object x):
    """g times the second derivative of silu: s (1 - s) (2 + x (1 - 2 s)) with s = sigmoid(x)."""
    s = of(SIGMOID, x)
    return times(apply2(SIGMOID_VJP, g, s), 2 + x * (1 - s - s))


cdef object gelu_tanh_bend(object g, object x):
    """g times the second derivative of x s(u), u = c (x + 0.044715 x^3): s (1 - s) (2 u' + x u'' + x u'^2 (1 - 2 s))."""
    cdef double c = 1.5957691216057308
    s = of(SIGMOID, x * (1 + x * x * 0.044715) * c)
    slope = (1 + x * x * 0.134145) * c
    return times(apply2(SIGMOID_VJP, g, s), slope * 2 + x * x * (0.26829 * c) + x * slope * slope * (1 - s - s))


cdef object mish_slope(object x):
    """t + x s (1 - t^2) with t = tanh(softplus(x)), s = sigmoid(x)."""
    t = of(TANH, apply1(SOFTPLUS, x, params(1, 20)))
    return t + x * of(SIGMOID, x) * (1 - t * t)


# ---- user functions ------------------------------------------------------------------------------------------------

cdef object run(Op o, Tensor x, Attrs a, bint here):
    return run_inplace(o, x, [], a) if here else apply1(o, x, a)


def relu_(Tensor self not None):
    """In-place form of `relu`."""
    return run_inplace(RELU, self, [], None)


@publish(inplace=relu_)
def relu(Tensor input not None, inplace=False):
    """max(x, 0); the derivative at 0 is 0.

    >>> import fastgrad as fg
    >>> fg.relu(fg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return run(RELU, input, None, inplace)


@publish(method=False)
def leaky_relu(Tensor input not None, negative_slope=0.01, inplace=False):
    """x where x > 0, else negative_slope * x.

    >>> import fastgrad as fg
    >>> fg.nn.functional.leaky_relu(fg.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    return run(LEAKY_RELU, input, params(negative_slope), inplace)


@publish(method=False)
def threshold(Tensor input not None, threshold, value, inplace=False):
    """x where x > threshold, else `value`.

    >>> import fastgrad as fg
    >>> fg.nn.functional.threshold(fg.tensor([0.5, 2.0]), 1.0, -9.0)
    tensor([-9.,  2.])
    """
    return run(THRESHOLD, input, params(threshold, value), inplace)


@publish(method=False)
def hardtanh(Tensor input not None, min_val=-1.0, max_val=1.0, inplace=False):
    """x between two bounds; the derivative at a bound is 0.

    >>> import fastgrad as fg
    >>> fg.nn.functional.hardtanh(fg.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val ({min_val}) must not be greater than max_val ({max_val})")
    return run(HARDTANH, input, params(min_val, max_val), inplace)


@publish(method=False)
def relu6(Tensor input not None, inplace=False):
    """min(max(x, 0), 6).

    >>> import fastgrad as fg
    >>> fg.nn.functional.relu6(fg.tensor([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])
    """
    return run(HARDTANH, input, params(0, 6), inplace)


@publish
def hardshrink(Tensor input not None, lambd=0.5):
    """x, and 0 where |x| <= lambd.

    >>> import fastgrad as fg
    >>> fg.nn.functional.hardshrink(fg.tensor([-1.0, 0.25, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    return apply1(HARDSHRINK, input, params(lambd))


@publish(method=False)
def softshrink(Tensor input not None, lambd=0.5):
    """x moved towards 0 by lambd, and 0 where |x| <= lambd.

    >>> import fastgrad as fg
    >>> fg.nn.functional.softshrink(fg.tensor([-1.0, 0.25, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    if lambd < 0:
        raise RuntimeError(f"softshrink: lambd must be greater or equal to 0, but got {lambd}")
    return apply1(SOFTSHRINK, input, params(lambd))


@publish(method=False)
def hardsigmoid(Tensor input not None, inplace=False):
    """x / 6 + 1/2 between 0 and 1.

    >>> import fastgrad as fg
    >>> fg.nn.functional.hardsigmoid(fg.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return run(HARDSIGMOID, input, None, inplace)


@publish(method=False)
def hardswish(Tensor input not None, inplace=False):
    """x hardsigmoid(x) (Howard et al. 2019).

    >>> import fastgrad as fg
    >>> fg.nn.functional.hardswish(fg.tensor([-1.0, 2.0, 4.0]))
    tensor([-0.3333,  1.6667,  4.0000])
    """
    return run(HARDSWISH, input, None, inplace)


@publish(method=False)
def softplus(Tensor input not None, beta=1.0, threshold=20.0):
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold.

    >>> import fastgrad as fg
    >>> fg.nn.functional.softplus(fg.tensor([-1.0, 30.0]))
    tensor([ 0.3133, 30.0000])
    """
    return apply1(SOFTPLUS, input, params(beta, threshold))


@publish(method=False)
def logsigmoid(Tensor input not None):
    """log(sigmoid(x)), accurate for all x.

    >>> import fastgrad as fg
    >>> fg.nn.functional.logsigmoid(fg.tensor([-1.0, 2.0]))
    tensor([-1.3133, -0.1269])
    """
    return apply1(LOGSIGMOID, input, None)


@publish(method=False)
def gelu(Tensor input not None, approximate="none"):
    """x times the standard normal distribution function of x; approximated with tanh if `approximate` is "tanh".

    >>> import fastgrad as fg
    >>> fg.nn.functional.gelu(fg.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
    if approximate == "none":
        return apply1(GELU, input, None)
    if approximate != "tanh":
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', but got {approximate!r}")
    return apply1(GELU_TANH, input, None)


@publish(method=False)
def silu(Tensor input not None, inplace=False):
    """x sigmoid(x), also known as swish.

    >>> import fastgrad as fg
    >>> fg.nn.functional.silu(fg.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    return run(SILU, input, None, inplace)


@publish(method=False)
def mish(Tensor input not None, inplace=False):
    """x tanh(softplus(x)) (Misra 2019).

    >>> import fastgrad as fg
    >>> fg.nn.functional.mish(fg.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """
    return run(MISH, input, None, inplace)


@publish(method=False)
def elu(Tensor input not None, alpha=1.0, inplace=False):
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015).

    >>> import fastgrad as fg
    >>> fg.nn.functional.elu(fg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return run(ELU, input, params(alpha, 1, 1), inplace)


@publish(method=False)
def selu(Tensor input not None, inplace=False):
    """elu with the scale and alpha that keep mean 0 and variance 1 through layers (Klambauer et al. 2017).

    >>> import fastgrad as fg
    >>> fg.nn.functional.selu(fg.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    return run(ELU, input, params(1.6732632423543772, 1.0507009873554805, 1), inplace)


@publish(method=False)
def celu(Tensor input not None, alpha=1.0, inplace=False):
    """x where x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017).

    >>> import fastgrad as fg
    >>> fg.nn.functional.celu(fg.tensor([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("celu: alpha must not be 0")
    return run(ELU, input, params(alpha, 1, 1 / alpha), inplace)


@publish(method=False)
def softsign(Tensor input not None):
    """x / (1 + |x|).

    >>> import fastgrad as fg
    >>> fg.nn.functional.softsign(fg.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return apply1(SOFTSIGN, input, None)


@publish(method=False)
def tanhshrink(Tensor input not None):
    """x - tanh(x).

    >>> import fastgrad as fg
    >>> fg.nn.functional.tanhshrink(fg.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """
    return apply1(TANHSHRINK, input, None)


@publish
def prelu(Tensor input not None, Tensor weight not None):
    """x where x > 0, else weight * x; one weight, or one for each index of dimension 1.

    >>> import fastgrad as fg
    >>> fg.nn.functional.prelu(fg.tensor([-1.0, 2.0]), fg.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
    if weight.layout.c.ndim > 1:
        raise RuntimeError(f"prelu: weight must have 0 or 1 dimension, but has shape {tuple(weight.shape)}")
    if weight.layout.c.size != 1:
        channels = input.layout.c.shape[1] if input.layout.c.ndim > 1 else input.layout.c.size if input.layout.c.ndim else 1
        if weight.layout.c.size != channels:
            raise RuntimeError(f"prelu: {weight.layout.c.size} weights for an input with {channels} channels")
        if input.layout.c.ndim > 2:
            weight = weight.reshape([-1] + [1] * (input.layout.c.ndim - 2))
    return where(input > 0, input, weight * input)


@publish(method=False)
def glu(Tensor input not None, dim=-1):
    """a * sigmoid(b) with a and b the halves of the input along `dim`.

    >>> import fastgrad as fg
    >>> fg.nn.functional.glu(fg.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    size = input.shape[dim]
    if size % 2:
        raise RuntimeError(f"glu: the size of dimension {dim} must be even, but is {size}")
    a, b = functions["split"](input, size // 2, dim)
    return a * of(SIGMOID, b)
