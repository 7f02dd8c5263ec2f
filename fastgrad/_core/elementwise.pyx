"""The elementwise family: arithmetic, functions of one number, comparisons, choices.

Singular points. A rule multiplies and divides by what can be infinite or NaN through mul_vjp and div_vjp, for which a
gradient of 0 stays 0: the branch of a `where` that was not taken sends nothing back, whatever its value. (PyTorch sends
NaN.) mul_vjp(g, d) as a function of d is constant where g is 0, so its own derivative there is 0 whatever arrives: that is
mul_vjp_vjp, 0 where either factor is. The second derivative by g is d: infinite or NaN perhaps, but it runs back along the
gradients of the first pass and ends at the `where` that made them 0. So it holds to any order, without a rule that knows of
`where`. Where a function has a kink its derivative is PyTorch's choice.
"""

from cpython.object cimport PyObject
from libc.math cimport INFINITY

from .inplace cimport inplace
from .promote cimport cast
from .shape cimport expand_to
from .tensor cimport *

import numpy as np

from .modes import no_grad
from .table import DIAGONAL, LINEAR, NONE, functions, op, publish
from .tensor import install

cdef object LN2 = 0.6931471805599453
cdef object LN10 = 2.302585092994046
cdef object SLOPE_ERF = 1.1283791670955126      # 2 / sqrt(pi)


# ---- what rules and user functions are written with ----------------------------------------------------------------

cdef Attrs params(double p, double q=0, double r=0):
    cdef Attrs a = new_attrs()
    a.c.f[0] = p
    a.c.f[1] = q
    a.c.f[2] = r
    return a


cdef object apply3(Op o, object x, object y, object z, Attrs a):
    cdef PyObject* xs[3]
    cdef Tensor tx, ty, tz = None
    cdef int like = FG_F32
    for t in (z, y, x):
        if type(t) is Tensor:
            like = (<Tensor>t).dtype
    tx = as_operand(x, like, o.name)
    ty = as_operand(y, like, o.name)
    if z is not None:
        tz = as_operand(z, like, o.name)
    xs[0] = <PyObject*>tx
    xs[1] = <PyObject*>ty
    xs[2] = <PyObject*>tz
    return apply(o, xs, 2 if z is None else 3, a)


cdef object of(Op o, object x):
    return apply1(o, <Tensor?>x, None)


cdef object times(object g, object d):
    return apply2(MUL_VJP, g, d)


cdef object over(object g, object d):
    return apply2(DIV_VJP, g, d)


cdef object cross(object g, object x):
    """g times x, the gradient that a fused derivative was given: what its rule for the other factor begins with."""
    return apply2(MUL_VJP_VJP, g, x)


cdef object zeros_like(Tensor g):
    cdef Tensor zero = scalar(0, g.dtype)
    return expand_to(zero, g.layout.c.ndim, g.layout.c.shape)


cdef object where(object condition, object x, object y):
    cdef PyObject* xs[3]
    # two numbers keep their own categories: ints int64, floats the default real dtype
    cdef int like = (<Tensor>x).dtype if type(x) is Tensor else (<Tensor>y).dtype if type(y) is Tensor else FG_BOOL
    cdef Tensor tc = as_operand(condition, FG_BOOL, "where")
    cdef Tensor tx = as_operand(x, like, "where")
    cdef Tensor ty = as_operand(y, like, "where")
    xs[0] = <PyObject*>tc
    xs[1] = <PyObject*>tx
    xs[2] = <PyObject*>ty
    return apply(WHERE, xs, 3, None)


def one(lo, hi, either=False):
    """Samples for one input between lo and hi, of both signs if `either`."""
    def draw(r, shape):
        return np.asarray(r.uniform(lo, hi, shape) * (r.choice([-1.0, 1.0], shape) if either else 1.0))
    return lambda r: [((draw(r, (2, 3)),), {}), ((draw(r, ()),), {})]


def two(lo=0.5, hi=2.0, either=True):
    """Samples for two inputs: of one shape, broadcast both ways, 0-d."""
    def draw(r, shape):
        return np.asarray(r.uniform(lo, hi, shape) * (r.choice([-1.0, 1.0], shape) if either else 1.0))
    return lambda r: [((draw(r, a), draw(r, b)), {}) for a, b in
                      [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,)), ((), ())]]


def function(name, rule, sample, doc, dtype="F->F", public="fmi", jvp=DIAGONAL, flops=1, numpy=None):
    """Records a function of one input."""
    return op(name, shape="SAME", dtype=dtype, vjp=(rule,), jvp=jvp, family="elementwise", public=public, sample=sample,
              doc=doc, flops=flops, numpy=numpy)


def operation(name, rules, sample, doc, dtype="TT->T", public="", jvp=DIAGONAL, flops=1, numpy=None):
    """Records a function of several inputs."""
    return op(name, shape="BROADCAST", dtype=dtype, vjp=rules, jvp=jvp, family="elementwise", public=public, sample=sample,
              doc=doc, flops=flops, numpy=numpy)


# ---- choices, comparisons, tests -----------------------------------------------------------------------------------

cdef Op WHERE = operation(
    "where", (None, lambda g, x0: where(x0, g, 0), lambda g, x0: where(x0, 0, g)),
    lambda r: [((r.random((2, 3)) < 0.5, r.normal(size=(2, 3)), r.normal(size=3)), {}),
               ((r.random(3) < 0.5, r.normal(size=(2, 1)), 0.5), {})],
    "x1 where the condition x0 holds, else x2.", dtype="bTT->T", numpy="np.where(x0, x1, x2)")
for _name, _sign in (("eq", "=="), ("ne", "!="), ("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")):
    op(_name, shape="BROADCAST", dtype="TT->b", vjp=NONE, family="elementwise", public="fm",
       sample=lambda r: [((r.integers(-2, 3, (2, 3)), r.integers(-2, 3, 3)), {})], doc=f"x0 {_sign} x1, as bool.",
       numpy=f"x0 {_sign} x1")
for _name, _doc in (("logical_and", "both are"), ("logical_or", "either is"), ("logical_xor", "exactly one is")):
    op(_name, shape="BROADCAST", dtype="TT->b", vjp=NONE, family="elementwise", public="fm",
       sample=lambda r: [((r.integers(0, 2, (2, 3)), r.integers(0, 2, 3)), {})], doc=f"Whether {_doc} not 0, as bool.",
       numpy=f"np.{_name}(x0, x1)")
for _name, _doc in (("logical_not", "it is 0"), ("isnan", "it is NaN"), ("isinf", "it is infinite"),
                    ("isfinite", "it is neither infinite nor NaN")):
    op(_name, shape="SAME", dtype="T->b", vjp=NONE, family="elementwise", public="fm",
       sample=lambda r: [((r.choice([0.0, 1.0, float("nan"), float("inf"), -float("inf")], (2, 3)),), {})],
       doc=f"Whether {_doc}, as bool.", numpy=f"np.{_name}(x0)")
for _name, _sign in (("bitwise_and", "&"), ("bitwise_or", "|"), ("bitwise_xor", "^")):
    op(_name, shape="BROADCAST", dtype="TT->T", vjp=NONE, family="elementwise", public="fmi",
       sample=lambda r: [((r.integers(0, 99, (2, 3)), r.integers(0, 99, 3)), {})], doc=f"x0 {_sign} x1, of integers or bools.",
       numpy=f"x0 {_sign} x1")
op("bitwise_not", shape="SAME", dtype="T->T", vjp=NONE, family="elementwise", public="fmi",
   sample=lambda r: [((r.integers(0, 99, (2, 3)),), {})], doc="~x0, of integers or bools.", numpy="~x0")
cdef Op EQ = declare("eq")
cdef Op NE = declare("ne")
cdef Op LT = declare("lt")
cdef Op GT = declare("gt")
cdef Op ISFINITE = declare("isfinite")
cdef Op COPY = declare("copy")


# ---- arithmetic ----------------------------------------------------------------------------------------------------

cdef Op ADD = operation("add", ("g", "g"), two(), "x0 + x1.", jvp=LINEAR, numpy="x0 + x1")
cdef Op SUB = operation("sub", ("g", "neg g"), two(), "x0 - x1.", jvp=LINEAR, numpy="x0 - x1")
cdef Op MUL = operation("mul", ("mul_vjp g x1", "mul_vjp g x0"), two(), "x0 * x1.", public="fmi",
                        numpy="x0 * x1")
cdef Op DIV = operation("div", ("div_vjp g x1", lambda g, x1, y: -over(times(g, y), x1)), two(), "x0 / x1.",
                        dtype="FF->F", numpy="x0 / x1")
cdef Op MUL_VJP = operation("mul_vjp", ("mul_vjp g x1", "mul_vjp_vjp g x0"), None,
                            "x0 * x1, and 0 where x0 is 0.", numpy="x0 * x1")
cdef Op MUL_VJP_VJP = operation("mul_vjp_vjp", ("mul_vjp_vjp g x1", "mul_vjp_vjp g x0"), None,
                                "x0 * x1, and 0 where either is 0.", numpy="x0 * x1")
cdef Op DIV_VJP = operation("div_vjp", ("div_vjp g x1", lambda g, x0, x1: -over(over(cross(g, x0), x1), x1)), None,
                            "x0 / x1, and 0 where x0 is 0.", numpy="x0 / x1")
cdef Op POW = operation("pow", ("pow_vjp g x0 x1",
                                lambda g, x0, x1, y: where((x0 == 0) & (x1 >= 0), 0, times(times(g, y), of(LOG, x0)))),
                        two(either=False), "x0 to the power x1.", flops=20, numpy="x0**x1")
cdef Op POW_VJP = operation("pow_vjp", ("pow_vjp g x1 x2",
                                        lambda g, x0, x1, x2: apply3(POW_VJP, times(cross(g, x0), x2), x1, x2 - 1, None),
                                        lambda g, x0, x1, x2: power_slope(cross(g, x0), x1, x2)), None,
                            "x0 * x2 * x1^(x2 - 1).", dtype="TTT->T", flops=20, numpy="x0 * x2 * x1 ** (x2 - 1)")
function("neg", "neg g", one(0.5, 2, True), "-x0.", dtype="T->T", jvp=LINEAR, numpy="-x0")
cdef Op ABS = function("abs", lambda g, x0: times(g, of(SIGN, x0)), one(0.5, 2, True), "|x0|; the derivative at 0 is 0.",
                       dtype="T->T", numpy="np.abs(x0)")
cdef Op SIGN = function("sign", lambda g: zeros_like(g), one(0.5, 2, True), "-1, 0 or 1, the sign of x0.", dtype="T->T",
                        numpy="np.sign(x0)")
function("square", lambda g, x0: times(g, x0 + x0), one(0.5, 2, True), "x0^2.", dtype="T->T", numpy="np.square(x0)")
function("reciprocal", lambda g, y: -times(times(g, y), y), one(0.5, 2, True), "1 / x0.", numpy="1 / x0")
cdef Op SQRT = function("sqrt", lambda g, y: over(g, y + y), one(0.5, 2), "The square root.", numpy="np.sqrt(x0)")
function("rsqrt", lambda g, y: times(times(g, y), y * y) * -0.5, one(0.5, 2), "1 / sqrt(x0).", flops=2,
         numpy="1 / np.sqrt(x0)")
cdef Op MAXIMUM = operation("maximum", ("maximum_vjp g x0 x1",
                                        "maximum_vjp g x1 x0"), two(), public="fm",
                            doc="The larger of both, NaN if either is; equal ones share the gradient.",
                            numpy="np.maximum(x0, x1)")
cdef Op MINIMUM = operation("minimum", ("maximum_vjp g x1 x0",
                                        "maximum_vjp g x0 x1"), two(), public="fm",
                            doc="The smaller of both, NaN if either is; equal ones share the gradient.",
                            numpy="np.minimum(x0, x1)")
cdef Op MAXIMUM_VJP = operation("maximum_vjp", ("maximum_vjp g x1 x2", None, None), None,
                                "x0 where x1 > x2, half of it where they are equal, else 0.", dtype="TTT->T",
                                numpy="x0 * ((x1 > x2) + 0.5 * (x1 == x2))")
cdef Op LERP = operation(
    "lerp", (lambda g, x2: times(g, 1 - x2), "mul_vjp g x2", lambda g, x0, x1: times(g, x1 - x0)),
    lambda r: [((r.normal(size=(2, 3)), r.normal(size=(2, 3)), 0.3), {}),
               ((r.normal(size=(2, 1)), r.normal(size=3), r.uniform(0.6, 0.9, (2, 3))), {})],
    "x0 + x2 (x1 - x0).", dtype="TTT->T", flops=3, numpy="x0 + x2 * (x1 - x0)")
cdef Op ADDCMUL = operation("addcmul", ("g", lambda g, x2, a: times(g * factor(a), x2),
                                        lambda g, x1, a: times(g * factor(a), x1)),
                            lambda r: [((r.normal(size=(2, 3)), r.normal(size=(2, 1)), r.normal(size=3)), {"value": 0.5})],
                            "x0 + value * x1 * x2.", dtype="TTT->T", flops=3, numpy="x0 + {f0} * x1 * x2")
cdef Op ADDCDIV = operation("addcdiv", ("g", lambda g, x2, a: over(g * factor(a), x2),
                                        lambda g, x1, x2, a: -over(over(times(g * factor(a), x1), x2), x2)),
                            lambda r: [((r.normal(size=(2, 3)), r.normal(size=(2, 1)), r.uniform(0.5, 2, 3)), {"value": 0.5})],
                            "x0 + value * x1 / x2.", dtype="TTT->T", flops=3, numpy="x0 + {f0} * x1 / x2")
operation("hypot", (lambda g, x0, y: over(times(g, x0), y), lambda g, x1, y: over(times(g, x1), y)), two(),
          "sqrt(x0^2 + x1^2).", public="fmi", flops=4, numpy="np.hypot(x0, x1)")
cdef Op FMOD = operation("fmod", ("g", lambda g, x0, x1: -times(g, of(TRUNC, x0 / x1))), two(),
                         "The remainder of x0 / x1 with the sign of x0.", public="fmi", flops=4, numpy="np.fmod(x0, x1)")
operation("remainder", ("g", lambda g, x0, x1: -times(g, apply2(FLOOR_DIVIDE, x0, x1))), two(),
          "The remainder of x0 / x1 with the sign of x1, as Python's %.", public="fmi", flops=4, numpy="x0 % x1")
cdef Op FLOOR_DIVIDE = operation("floor_divide", (lambda g: zeros_like(g), lambda g: zeros_like(g)), two(),
                                 "floor(x0 / x1), as Python's //.", public="fmi", flops=4, numpy="x0 // x1")


cdef object factor(Attrs a):
    return a.c.f[0]


cdef object power_slope(object g, object x, object n):
    """g times the derivative of n x^(n - 1) by n."""
    cdef object p = apply2(POW, x, n - 1)
    return times(g, p) + times(times(times(g, n), p), of(LOG, x))


# ---- clamping ------------------------------------------------------------------------------------------------------

cdef Op CLAMP = function("clamp", "clamp_vjp g x0 a",
                         lambda r: [((r.uniform(0.5, 2, (2, 3)), 0.8, 1.2), {}), ((r.normal(size=(2, 3)),), {"min": 9.0})],
                         "x0 between two bounds; the derivative at a bound is 1.", dtype="T->T", public="", flops=2,
                         numpy="np.clip(x0, {f0}, {f1})")
cdef Op CLAMP_MIN = function("clamp_min", lambda g, x0, a: apply3(CLAMP_VJP, g, x0, None, params(factor(a), INFINITY)),
                             lambda r: [((r.uniform(0.5, 2, (2, 3)), 1.2), {})], "x0, but at least a bound.", dtype="T->T",
                             public="", numpy="np.maximum(x0, {f0})")
cdef Op CLAMP_MAX = function("clamp_max", lambda g, x0, a: apply3(CLAMP_VJP, g, x0, None, params(-INFINITY, factor(a))),
                             lambda r: [((r.uniform(0.5, 2, (2, 3)), 1.2), {})], "x0, but at most a bound.", dtype="T->T",
                             public="", numpy="np.minimum(x0, {f0})")
cdef Op CLAMP_VJP = operation("clamp_vjp", ("clamp_vjp g x1 a", None), None,
                              "x0 where x1 lies between two bounds, else 0.", flops=2,
                              numpy="x0 * ((x1 >= {f0}) & (x1 <= {f1}))")


cdef object clamped(Tensor x, object lo, object hi, bint here):
    """x clamped; by inplace if `here`. Bounds are numbers, tensors or None."""
    cdef Op o
    cdef Attrs a
    if lo is None and hi is None:
        raise RuntimeError("clamp: at least one of min and max must not be None")
    numbers = not (isinstance(lo, Tensor) or isinstance(hi, Tensor))
    if numbers and fg_is_real(x.dtype):
        if hi is None:
            o, a = CLAMP_MIN, params(lo)
        elif lo is None:
            o, a = CLAMP_MAX, params(hi)
        else:
            o, a = CLAMP, params(lo, hi)
        return inplace(o, x, [], a) if here else apply1(o, x, a)
    if here:
        y = clamped(x, lo, hi, False)
        return inplace(COPY, x, [y], None)
    if numbers:                     # integers: exact
        y = x if lo is None else apply2(MAXIMUM, x, lo)
        return y if hi is None else apply2(MINIMUM, y, hi)
    # a bound takes the gradient only where it is strictly passed
    y = x if lo is None else where(apply2(LT, x, lo), lo, x)
    return y if hi is None else where(apply2(GT, y, hi), hi, y)


def clamp_(Tensor self not None, min=None, max=None):
    """In-place form of `clamp`."""
    return clamped(self, min, max, True)


def clamp_min_(Tensor self not None, min):
    """In-place form of `clamp_min`."""
    return clamped(self, min, None, True)


def clamp_max_(Tensor self not None, max):
    """In-place form of `clamp_max`."""
    return clamped(self, None, max, True)


@publish(inplace=clamp_)
def clamp(Tensor input not None, min=None, max=None):
    """Elements between `min` and `max`, numbers or tensors; either may be None. The derivative at a bound is 1.

    >>> import fastgrad as fg
    >>> fg.clamp(fg.tensor([-2.0, 0.5, 2.0]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    return clamped(input, min, max, False)


@publish(inplace=clamp_min_)
def clamp_min(Tensor input not None, min):
    """Elements, but at least `min`.

    >>> import fastgrad as fg
    >>> fg.clamp_min(fg.tensor([-2.0, 2.0]), 1)
    tensor([1., 2.])
    """
    return clamped(input, min, None, False)


@publish(inplace=clamp_max_)
def clamp_max(Tensor input not None, max):
    """Elements, but at most `max`.

    >>> import fastgrad as fg
    >>> fg.clamp_max(fg.tensor([-2.0, 2.0]), 1)
    tensor([-2.,  1.])
    """
    return clamped(input, None, max, False)


# ---- rounding ------------------------------------------------------------------------------------------------------

function("floor", lambda g: zeros_like(g), one(0.1, 0.9, True), "The next integer below.", dtype="T->T", numpy="np.floor(x0)")
function("ceil", lambda g: zeros_like(g), one(0.1, 0.9, True), "The next integer above.", dtype="T->T", numpy="np.ceil(x0)")
cdef Op TRUNC = function("trunc", lambda g: zeros_like(g), one(0.1, 0.9, True), "The next integer towards 0.", dtype="T->T",
                         numpy="np.trunc(x0)")
cdef Op ROUND = function("round", lambda g: zeros_like(g), one(0.1, 0.4, True), "The nearest integer, the even one at a half.",
                         dtype="T->T", public="", numpy="np.rint(x0)")
function("frac", "g", one(0.1, 0.9, True), "x0 - trunc(x0).", dtype="T->T", numpy="x0 - np.trunc(x0)")


# ---- exponentials and logarithms -----------------------------------------------------------------------------------

cdef Op EXP = function("exp", "mul_vjp g y", one(0.2, 2, True), "e^x0.", flops=15, numpy="np.exp(x0)")
function("exp2", lambda g, y: times(g, y) * LN2, one(0.2, 2, True), "2^x0.", flops=15, numpy="np.exp2(x0)")
function("expm1", lambda g, y: times(g, y + 1), one(0.2, 2, True), "e^x0 - 1, accurate near 0.", flops=15,
         numpy="np.expm1(x0)")
cdef Op LOG = function("log", "div_vjp g x0", one(0.5, 2), "The natural logarithm.", flops=20, numpy="np.log(x0)")
function("log2", lambda g, x0: over(g, x0) * (1 / LN2), one(0.5, 2), "The logarithm to base 2.", flops=20, numpy="np.log2(x0)")
function("log10", lambda g, x0: over(g, x0) * (1 / LN10), one(0.5, 2), "The logarithm to base 10.", flops=20,
         numpy="np.log10(x0)")
function("log1p", lambda g, x0: over(g, x0 + 1), one(0.2, 0.8, True), "log(1 + x0), accurate near 0.", flops=20,
         numpy="np.log1p(x0)")
operation("logaddexp", (lambda g, x0, x1: times(g, of(SIGMOID, x0 - x1)), lambda g, x0, x1: times(g, of(SIGMOID, x1 - x0))),
          two(), "log(e^x0 + e^x1).", public="fm", flops=40, numpy="np.logaddexp(x0, x1)")
operation("xlogy", (lambda g, x0, x1: where((x0 == 0) & (x1 <= 0), 0, times(g, of(LOG, x1))),
                    lambda g, x0, x1: over(times(g, x0), x1)), two(either=False), "x0 log(x1), and 0 where x0 is 0.",
          dtype="FF->F", public="fmi", flops=20, numpy="np.where(x0 == 0, 0, x0 * np.log(x1))")


# ---- trigonometric, hyperbolic and error functions -----------------------------------------------------------------

cdef Op SIN = function("sin", lambda g, x0: times(g, of(COS, x0)), one(0.2, 2, True), "The sine.", flops=20,
                       numpy="np.sin(x0)")
cdef Op COS = function("cos", lambda g, x0: -times(g, of(SIN, x0)), one(0.2, 2, True), "The cosine.", flops=20,
                       numpy="np.cos(x0)")
function("tan", lambda g, y: times(g, 1 + y * y), one(0.2, 1, True), "The tangent.", flops=30, numpy="np.tan(x0)")
function("asin", lambda g, x0: over(g, of(SQRT, 1 - x0 * x0)), one(0.1, 0.9, True), "The inverse sine.", flops=20,
         numpy="np.arcsin(x0)")
function("acos", lambda g, x0: -over(g, of(SQRT, 1 - x0 * x0)), one(0.1, 0.9, True), "The inverse cosine.", flops=20,
         numpy="np.arccos(x0)")
function("atan", lambda g, x0: over(g, 1 + x0 * x0), one(0.2, 2, True), "The inverse tangent.", flops=20,
         numpy="np.arctan(x0)")
operation("atan2", (lambda g, x0, x1: over(times(g, x1), x0 * x0 + x1 * x1),
                    lambda g, x0, x1: -over(times(g, x0), x0 * x0 + x1 * x1)), two(),
          "The angle of the point (x1, x0).", dtype="FF->F", public="fmi", flops=30, numpy="np.arctan2(x0, x1)")
cdef Op SINH = function("sinh", lambda g, x0: times(g, of(COSH, x0)), one(0.2, 2, True), "The hyperbolic sine.", flops=20,
                        numpy="np.sinh(x0)")
cdef Op COSH = function("cosh", lambda g, x0: times(g, of(SINH, x0)), one(0.2, 2, True), "The hyperbolic cosine.", flops=20,
                        numpy="np.cosh(x0)")
cdef Op TANH = function("tanh", "tanh_vjp g y", one(0.2, 2, True), "The hyperbolic tangent.", flops=20,
                        numpy="np.tanh(x0)")
cdef Op TANH_VJP = operation("tanh_vjp", ("tanh_vjp g x1",
                                          lambda g, x0, x1: times(cross(g, x0), x1) * -2), None, "x0 (1 - x1^2).", flops=3,
                             numpy="x0 * (1 - x1 * x1)")
function("erf", lambda g, x0: times(g, of(EXP, -(x0 * x0))) * SLOPE_ERF, one(0.2, 2, True), "The error function.", flops=30,
         numpy="erf(x0)")
function("erfc", lambda g, x0: times(g, of(EXP, -(x0 * x0))) * -SLOPE_ERF, one(0.2, 2, True), "1 - erf(x0), accurate far out.",
         flops=30, numpy="1 - erf(x0)")
cdef Op SIGMOID = function("sigmoid", "sigmoid_vjp g y", one(0.2, 2, True), "1 / (1 + e^-x0).", flops=20,
                           numpy="1 / (1 + np.exp(-x0))")
cdef Op SIGMOID_VJP = operation("sigmoid_vjp", ("sigmoid_vjp g x1",
                                                lambda g, x0, x1: times(cross(g, x0), 1 - x1 - x1)), None,
                                "x0 x1 (1 - x1).", flops=3, numpy="x0 * x1 * (1 - x1)")
cdef Op NAN_TO_NUM = function("nan_to_num", lambda g, x0: where(of(ISFINITE, x0), g, 0), one(0.5, 2, True),
                              "NaN and infinities replaced by numbers.", dtype="T->T", public="",
                              numpy="np.nan_to_num(x0, nan={f0}, posinf={f1}, neginf={f2})")


# ---- user functions with parameters --------------------------------------------------------------------------------

cdef object scaled(object x, object alpha):
    return x if alpha == 1 else x * alpha


def add_(Tensor self not None, other, *, alpha=1):
    """In-place form of `add`."""
    return inplace(ADD, self, [scaled(other, alpha)], None)


def sub_(Tensor self not None, other, *, alpha=1):
    """In-place form of `sub`."""
    return inplace(SUB, self, [scaled(other, alpha)], None)


cdef object checked(object y, str name, object x, object other):
    if y is NotImplemented:
        bad = other if type(x) is Tensor else x
        raise TypeError(f"{name}: expected a Tensor or a number, got {type(bad).__name__}")
    return y


@publish(inplace=add_)
def add(input, other, *, alpha=1):
    """input + alpha * other.

    >>> import fastgrad as fg
    >>> fg.add(fg.tensor([1.0, 2.0]), fg.tensor([10.0, 20.0]), alpha=0.5)
    tensor([ 6., 12.])
    """
    return checked(apply2(ADD, input, scaled(other, alpha)), "add", input, other)


@publish(inplace=sub_)
def sub(input, other, *, alpha=1):
    """input - alpha * other.

    >>> import fastgrad as fg
    >>> fg.sub(fg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    return checked(apply2(SUB, input, scaled(other, alpha)), "sub", input, other)


@publish
def rsub(input, other, *, alpha=1):
    """other - alpha * input.

    >>> import fastgrad as fg
    >>> fg.rsub(fg.tensor([1.0, 2.0]), 10)
    tensor([9., 8.])
    """
    return checked(apply2(SUB, other, scaled(input, alpha)), "rsub", input, other)


cdef object divided(object x, object y, object rounding_mode):
    cdef Tensor q
    if rounding_mode is None:
        return checked(apply2(DIV, x, y), "div", x, y)
    if rounding_mode == "floor":
        return checked(apply2(FLOOR_DIVIDE, x, y), "div", x, y)
    if rounding_mode != "trunc":
        raise RuntimeError(f"div: expected rounding_mode to be None, 'trunc' or 'floor', but got {rounding_mode!r}")
    q = checked(apply2(FMOD, x, y), "div", x, y)
    if fg_is_real(q.dtype):
        return apply1(TRUNC, apply2(DIV, x, y), None)
    return apply2(FLOOR_DIVIDE, apply2(SUB, x, q), y)       # exact: y divides it


def div_(Tensor self not None, other, *, rounding_mode=None):
    """In-place form of `div`."""
    if rounding_mode is None:
        return inplace(DIV, self, [other], None)
    return inplace(COPY, self, [divided(self, other, rounding_mode)], None)


@publish(inplace=div_)
def div(input, other, *, rounding_mode=None):
    """input / other; rounded towards 0 if `rounding_mode` is "trunc", down if it is "floor".

    >>> import fastgrad as fg
    >>> fg.div(fg.tensor([7.0, -7.0]), 2, rounding_mode="floor")
    tensor([ 3., -4.])
    """
    return divided(input, other, rounding_mode)


cdef object power(object x, object n, bint here):
    if type(n) is int and n < 0 and type(x) is Tensor and not fg_is_real((<Tensor>x).dtype):
        raise RuntimeError(f"pow: integers to a negative power, {n}, are no integers; convert with .float() or use float_power")
    return inplace(POW, x, [n], None) if here else checked(apply2(POW, x, n), "pow", x, n)


def pow_(Tensor self not None, exponent):
    """In-place form of `pow`."""
    return power(self, exponent, True)


@publish(inplace=pow_)
def pow(input, exponent):
    """input to the power `exponent`; one of them may be a number.

    >>> import fastgrad as fg
    >>> fg.pow(fg.tensor([2.0, 3.0]), 2)
    tensor([4., 9.])
    """
    return power(input, exponent, False)


def lerp_(Tensor self not None, end, weight):
    """In-place form of `lerp`."""
    return inplace(LERP, self, [end, weight], None)


@publish(inplace=lerp_)
def lerp(Tensor input not None, end, weight):
    """input + weight * (end - input); `weight` is a number or a tensor.

    >>> import fastgrad as fg
    >>> fg.lerp(fg.zeros(2), fg.tensor([10.0, 20.0]), 0.25)
    tensor([2.5000, 5.0000])
    """
    return apply3(LERP, input, end, weight, None)


def addcmul_(Tensor self not None, tensor1, tensor2, *, value=1):
    """In-place form of `addcmul`."""
    return inplace(ADDCMUL, self, [tensor1, tensor2], params(value))


def addcdiv_(Tensor self not None, tensor1, tensor2, *, value=1):
    """In-place form of `addcdiv`."""
    return inplace(ADDCDIV, self, [tensor1, tensor2], params(value))


@publish(inplace=addcmul_)
def addcmul(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 * tensor2.

    >>> import fastgrad as fg
    >>> fg.addcmul(fg.ones(2), fg.tensor([1.0, 2.0]), fg.tensor([4.0, 4.0]), value=0.5)
    tensor([3., 5.])
    """
    return apply3(ADDCMUL, input, tensor1, tensor2, params(value))


@publish(inplace=addcdiv_)
def addcdiv(input, tensor1, tensor2, *, value=1):
    """input + value * tensor1 / tensor2.

    >>> import fastgrad as fg
    >>> fg.addcdiv(fg.ones(2), fg.tensor([1.0, 2.0]), fg.tensor([4.0, 4.0]), value=2)
    tensor([1.5000, 2.0000])
    """
    return apply3(ADDCDIV, input, tensor1, tensor2, params(value))


def round_(Tensor self not None, *, decimals=0):
    """In-place form of `round`."""
    if decimals == 0:
        return inplace(ROUND, self, [], None)
    return inplace(COPY, self, [round(self, decimals=decimals)], None)


@publish(inplace=round_)
def round(Tensor input not None, *, decimals=0):
    """The nearest integer, the even one at a half; with `decimals` that many digits after the point.

    >>> import fastgrad as fg
    >>> fg.round(fg.tensor([0.5, 1.5, 2.25]), decimals=1)
    tensor([0.5000, 1.5000, 2.2000])
    """
    if decimals == 0:
        return apply1(ROUND, input, None)
    scale = 10.0 ** decimals
    return apply1(ROUND, input * scale, None) / scale


cdef Attrs finite_values(Tensor x, nan, posinf, neginf):
    largest = 3.4028234663852886e38 if x.dtype == FG_F32 else 1.7976931348623157e308
    return params(nan, largest if posinf is None else posinf, -largest if neginf is None else neginf)


def nan_to_num_(Tensor self not None, nan=0.0, posinf=None, neginf=None):
    """In-place form of `nan_to_num`."""
    return inplace(NAN_TO_NUM, self, [], finite_values(self, nan, posinf, neginf)) if fg_is_real(self.dtype) else self


@publish(inplace=nan_to_num_)
def nan_to_num(Tensor input not None, nan=0.0, posinf=None, neginf=None):
    """NaN and the infinities replaced by numbers: 0, and the largest and smallest of the dtype, where none are given.

    >>> import fastgrad as fg
    >>> fg.nan_to_num(fg.tensor([fg.nan, fg.inf]), nan=-1.0, posinf=9.0)
    tensor([-1.,  9.])
    """
    if not fg_is_real(input.dtype):
        return input.clone()
    return apply1(NAN_TO_NUM, input, finite_values(input, nan, posinf, neginf))


@publish
def float_power(input, exponent):
    """input ** exponent, computed in float64.

    >>> import fastgrad as fg
    >>> fg.float_power(fg.tensor([2, 3]), 0.5)
    tensor([1.4142, 1.7321], dtype=fastgrad.float64)
    """
    x = cast(as_operand(input, FG_F64, "float_power"), FG_F64)
    return apply2(POW, x, cast(as_operand(exponent, FG_F64, "float_power"), FG_F64))


cdef object chosen(object condition, object x, object y):
    if type(condition) is Tensor and (<Tensor>condition).dtype not in (FG_BOOL, FG_U8):
        raise RuntimeError(f"where: expected a condition of dtype bool, got {dtype_of((<Tensor>condition).dtype).name}; compare "
                           f"first, as in x != 0")
    return where(condition, x, y)


def _where(condition, input=None, other=None):
    """input where the condition, a bool tensor, holds, else other; with the condition alone, the indices where it holds.

    >>> import fastgrad as fg
    >>> fg.where(fg.tensor([True, False]), fg.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
    if input is None and other is None:
        return functions["nonzero"](condition, as_tuple=True)
    return chosen(condition, input, other)


def _where_method(Tensor self not None, condition, other):
    """This tensor where the condition, a bool tensor, holds, else other."""
    return chosen(condition, self, other)


functions["where"] = _where
install("where", _where_method)


@publish
def isclose(Tensor input not None, Tensor other not None, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether |input - other| <= atol + rtol * |other|, elementwise; NaN equals NaN only if `equal_nan`.

    >>> import fastgrad as fg
    >>> fg.isclose(fg.tensor([1.0, 1.0]), fg.tensor([1.0 + 1e-7, 1.1]))
    tensor([ True, False])
    """
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"isclose: rtol and atol must be at least 0, got {rtol} and {atol}")
    with no_grad():
        near = apply2(EQ, input, other)
        if not (fg_is_real(input.dtype) or fg_is_real(other.dtype)):
            input, other = cast(input, FG_F64), cast(other, FG_F64)     # differences of unsigned integers would wrap
        near = near | (of(ABS, input - other) <= atol + rtol * of(ABS, other)) & of(ISFINITE, other)
        if equal_nan:
            near = near | apply2(NE, input, input) & apply2(NE, other, other)
    return near


# ---- second names --------------------------------------------------------------------------------------------------

for _alias, _name in (("multiply", "mul"), ("divide", "div"), ("true_divide", "div"), ("subtract", "sub"), ("negative", "neg"),
                      ("absolute", "abs"), ("clip", "clamp"), ("fix", "trunc"), ("greater", "gt"), ("greater_equal", "ge"),
                      ("less", "lt"), ("less_equal", "le"), ("not_equal", "ne"), ("arcsin", "asin"), ("arccos", "acos"),
                      ("arctan", "atan"), ("arctan2", "atan2")):
    functions[_alias] = functions[_name]
    install(_alias, getattr(Tensor, _name))
    if hasattr(Tensor, _name + "_"):
        install(_alias + "_", getattr(Tensor, _name + "_"))
