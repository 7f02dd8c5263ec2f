"""Losses of elements against targets of their shape, and what all losses share: reductions, broadcasting.

attrs: mode, the reduction; f[0], the parameter. A loss never broadcasts its target in silence: (N, 1) against (N,) would
be an N x N loss, and train to the mean.
"""

from cpython.object cimport PyObject

from .elementwise cimport cross, params, times, where
from .reduce cimport mean_over, sum_over
from .rows cimport all_axes, dense_like, plus
from .shape cimport expand_to
from .table cimport give, shape_rule
from .tensor cimport *

import warnings

from ._errors import ShapeError
from .table import REDUCED, composed, elements, functions, op, publish


# ---- what losses share ---------------------------------------------------------------------------------------------

cdef int mode_of(object reduction, str who) except -1:
    if reduction == "mean":
        return MEAN_REDUCTION
    if reduction == "sum":
        return SUM_REDUCTION
    if reduction == "none":
        return NO_REDUCTION
    raise ValueError(f"{who}: {reduction!r} is not a valid value for reduction; it may be 'none', 'mean' or 'sum'")


cdef Tensor ones_like(Tensor g):
    return expand_to(scalar(1, g.dtype), g.layout.c.ndim, g.layout.c.shape)


cdef Attrs unreduced(Attrs a):
    cdef Attrs b = new_attrs()
    b.c = a.c
    b.c.mode = NO_REDUCTION
    return b


cdef object reduce_loss(Tensor x, object reduction):
    cdef int mode = mode_of(reduction, "loss")
    if mode == NO_REDUCTION:
        return x
    return mean_over(x, all_axes(x), False) if mode == MEAN_REDUCTION else sum_over(x, all_axes(x), False)


cdef bint broadcasts = False        # what set_loss_broadcasting() said


def set_loss_broadcasting(bint allow):
    """Whether elementwise losses broadcast an input and a target of different shapes, with a warning, as PyTorch's do; an
    error by default. Returns what held before.

    (n, 1) against (n,) is then the mean of n x n differences: it trains every output to the mean of the targets.

    >>> import fastgrad as fg
    >>> fg.set_loss_broadcasting(False)
    False
    """
    global broadcasts
    before, broadcasts = broadcasts, allow
    return before


def broadcast_loss(str who, Tensor x, Tensor t, bint allowed=True):
    """The two operands of a loss, of one shape; an error unless `set_loss_broadcasting(True)` allows it."""
    if not allowed or not broadcasts:
        raise ShapeError(f"{who}: input and target must have the same shape, but got {tuple(x.shape)} and {tuple(t.shape)}; "
                         f"reshape or expand one of them first")
    warnings.warn(f"{who}: input and target of shapes {tuple(x.shape)} and {tuple(t.shape)} are broadcast, which is likely to "
                  f"train to wrong results; give them the same shape", UserWarning, stacklevel=2)
    return functions["broadcast_tensors"](x, t)


# ---- records -------------------------------------------------------------------------------------------------------

cdef int infer_loss(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    give(lays, 0, dense_like(<Tensor>xs[0]) if a.c.mode == NO_REDUCTION else scalar_layout)
    return 0


cdef object weighted(Tensor g, Tensor x, Attrs a):
    """The gradient of each element's loss."""
    if a.c.mode == MEAN_REDUCTION:
        return g / <double>x.layout.c.size
    return g


cdef object bent(Tensor h, Tensor g, Tensor x, Attrs a, object second):
    """The gradient of a loss's gradient: h for it, g for the loss, times a second derivative."""
    return times(cross(h, weighted(g, x, a)), second)


cdef object loss_sum(Tensor h, Tensor y, Attrs a):
    return times(h, y) if a.c.mode == NO_REDUCTION else sum_over(<Tensor>times(h, y), all_axes(h), False)


def loss_composed(Op o, Attrs a, x, t):
    """A reduced loss of a batch from the losses of its elements."""
    if a.c.mode == NO_REDUCTION:
        return NotImplemented
    each = apply_list(o, [x, t], unreduced(a))
    return each.mean() if a.c.mode == MEAN_REDUCTION else each.sum()


def loss_vjp_composed(Op o, Attrs a, x, t, g):
    if a.c.mode == NO_REDUCTION:
        return NotImplemented
    return apply_list(o, [x, t, weighted(g, x, a).expand(x.shape)], unreduced(a))


def loss(name, curvature, mixed, target_slope, sample, doc, numpy):
    """Records an elementwise loss f(x, t) and its vjp with respect to x.

    curvature(x, t, p) and mixed(x, t, p) are the derivatives of df/dx by x and t, target_slope(x, t, p) is df/dt; None: 0.
    numpy: f and df/dx as expressions.
    """
    value, slope = numpy
    by_x = None if curvature is None else lambda g, x0, x1, x2, a: bent(g, x2, x0, a, curvature(x0, x1, parameter(a)))
    by_target = None if mixed is None else lambda g, x0, x1, x2, a: bent(g, x2, x0, a, mixed(x0, x1, parameter(a)))

    def forward(t0, t1, t2, x0, x1, x2, a):
        d = None if t0 is None or by_x is None else by_x(t0, x0, x1, x2, a)
        d = plus(d, None if t1 is None or by_target is None else by_target(t1, x0, x1, x2, a))
        return plus(d, None if t2 is None else apply_list(vjp, [x0, x1, t2], a))

    cdef Op vjp = op(
        name + "_vjp", shape="SAME", dtype="TTT->T", dense=True, family="rows", jvp=forward,
        batch=composed(lambda a, x, t, g: loss_vjp_composed(vjp, a, x, t, g)), doc=f"g times the derivative of {name} by x.",
        flops=3, numpy=lambda a, *shapes: f"x2 / x0.size * ({slope})" if a.mode == MEAN_REDUCTION else f"x2 * ({slope})",
        vjp=(by_x, by_target,
             lambda g, x0, x1, x2, a: loss_sum(g, apply_list(vjp, [x0, x1, ones_like(x2)], a), a)))
    return op(name, shape=shape_rule(infer_loss), dtype="TT->T", dense=True, jvp=REDUCED, family="rows", sample=sample, doc=doc,
              batch=composed(lambda a, x, t: loss_composed(declare(name), a, x, t)), flops=lambda a, x, t: 4 * elements(x),
              numpy=lambda a, *shapes: f"({value})" + ("", ".mean()", ".sum()")[a.mode],
              vjp=(lambda g, x0, x1, a: apply_list(vjp, [x0, x1, g], a),
                   lambda g, x0, x1, a: times(weighted(g, x0, a), target_slope(x0, x1, parameter(a)))))


cdef object parameter(Attrs a):
    return a.c.f[0]


cdef object mask(object condition, object yes):
    return where(condition, yes, 0)


cdef object log_or_least(object x):
    return x.log().clamp(min=-100)


cdef object product(Tensor x):
    """x (1 - x), but for the slope's divisor no less than 1e-12."""
    return (x * (1 - x)).clamp(min=1e-12)


def two(**kwargs):
    """Samples of two tensors of one shape, with each reduction; differences away from 0 and 1."""
    def draw(r, shape):
        t = r.normal(size=shape)
        return t + r.choice([-1.0, 1.0], shape) * r.uniform([0.2, 1.3], [0.7, 1.9], (*shape, 2))[..., r.integers(0, 2)], t
    return lambda r: [(draw(r, (2, 3)), {**kwargs, "reduction": reduction}) for reduction in ("mean", "sum", "none")]


def probabilities(logits):
    """The same for losses of probabilities: logits, or probabilities, against probabilities."""
    def draw(r, shape):
        return r.normal(size=shape) if logits else r.uniform(0.1, 0.9, shape), r.uniform(0.1, 0.9, shape)
    return lambda r: [(draw(r, (2, 3)), {"reduction": reduction}) for reduction in ("mean", "sum", "none")]


cdef Op MSE = loss("mse_loss", lambda x, t, p: 2, lambda x, t, p: -2, lambda x, t, p: 2 * (t - x), two(), "(x - t)^2.",
                   ("np.square(x0 - x1)", "2 * (x0 - x1)"))
cdef Op L1 = loss("l1_loss", None, None, lambda x, t, p: (t - x).sign(), two(), "|x - t|.",
                  ("np.abs(x0 - x1)", "np.sign(x0 - x1)"))
cdef Op HUBER = loss(
    "huber_loss", lambda x, t, p: mask((x - t).abs() <= p, 1.0), lambda x, t, p: mask((x - t).abs() <= p, -1.0),
    lambda x, t, p: (t - x).clamp(-p, p), two(), "d^2 / 2 where d = |x - t| <= delta, else delta (d - delta / 2).",
    ("np.where(np.abs(x0 - x1) <= {f0}, np.square(x0 - x1) / 2, {f0} * (np.abs(x0 - x1) - {f0} / 2))",
     "np.clip(x0 - x1, -{f0}, {f0})"))
cdef Op SMOOTH_L1 = loss(
    "smooth_l1_loss", lambda x, t, p: mask((x - t).abs() < p, 1 / p if p else 0.0),
    lambda x, t, p: mask((x - t).abs() < p, -1 / p if p else 0.0),
    lambda x, t, p: ((t - x) / p).clamp(-1, 1) if p else (t - x).sign(), two(),
    "d^2 / (2 beta) where d = |x - t| < beta, else d - beta / 2.",
    ("np.where(np.abs(x0 - x1) < {f0}, np.square(x0 - x1) / (2 * {f0}), np.abs(x0 - x1) - {f0} / 2)",
     "np.clip((x0 - x1) / {f0}, -1, 1)"))
cdef Op BCE = loss(
    "binary_cross_entropy",
    lambda x, t, p: mask(x * (1 - x) > 1e-12, (1 - (x - t) * (1 - 2 * x) / product(x)) / product(x)),
    lambda x, t, p: -1 / product(x), lambda x, t, p: log_or_least(1 - x) - log_or_least(x), probabilities(False),
    "-(t log x + (1 - t) log(1 - x)) for probabilities x, the logarithms no less than -100.",
    ("-x1 * np.maximum(np.log(x0), -100) - (1 - x1) * np.maximum(np.log1p(-x0), -100)",
     "(x0 - x1) / np.maximum(x0 * (1 - x0), 1e-12)"))
cdef Op BCE_LOGITS = loss(
    "binary_cross_entropy_with_logits", lambda x, t, p: x.sigmoid() * (-x).sigmoid(), lambda x, t, p: -1.0,
    lambda x, t, p: -x, probabilities(True), "The binary cross entropy of sigmoid(x), exact for large |x|.",
    ("np.maximum(x0, 0) - x0 * x1 + np.log1p(np.exp(-np.abs(x0)))", "1 / (1 + np.exp(-x0)) - x1"))


cdef object elementwise_loss(Op o, Tensor x, Tensor t, object reduction, double p):
    cdef Attrs a = params(p)
    a.c.mode = mode_of(reduction, o.name)
    if not same_shape(x.layout, t.layout):
        x, t = broadcast_loss(o.name, x, t, o is not BCE and o is not BCE_LOGITS)
    return apply_list(o, [x, t], a)


@publish(method=False)
def mse_loss(Tensor input not None, Tensor target not None, *, reduction="mean"):
    """(x - t)^2. reduction: 'mean', 'sum' or 'none'.

    >>> import fastgrad as fg
    >>> fg.nn.functional.mse_loss(fg.tensor([1.0, -2.0]), fg.zeros(2))
    tensor(2.5000)
    """
    return elementwise_loss(MSE, input, target, reduction, 0)


@publish(method=False)
def l1_loss(Tensor input not None, Tensor target not None, *, reduction="mean"):
    """|x - t|. reduction: 'mean', 'sum' or 'none'.

    >>> import fastgrad as fg
    >>> fg.nn.functional.l1_loss(fg.tensor([1.0, -2.0]), fg.zeros(2))
    tensor(1.5000)
    """
    return elementwise_loss(L1, input, target, reduction, 0)


@publish(method=False)
def huber_loss(Tensor input not None, Tensor target not None, *, reduction="mean", double delta=1.0):
    """d^2 / 2 where d = |x - t| <= delta, else delta * (d - delta / 2) (Huber 1964).

    >>> import fastgrad as fg
    >>> fg.nn.functional.huber_loss(fg.tensor([0.5, 2.0]), fg.zeros(2), reduction="none")
    tensor([0.1250, 1.5000])
    """
    if not delta > 0:
        raise RuntimeError(f"huber_loss: delta must be greater than 0, but got {delta}")
    return elementwise_loss(HUBER, input, target, reduction, delta)


@publish(method=False)
def smooth_l1_loss(Tensor input not None, Tensor target not None, *, reduction="mean", double beta=1.0):
    """d^2 / (2 beta) where d = |x - t| < beta, else d - beta / 2 (Girshick 2015).

    >>> import fastgrad as fg
    >>> fg.nn.functional.smooth_l1_loss(fg.tensor([0.5, 2.0]), fg.zeros(2), reduction="none")
    tensor([0.1250, 1.5000])
    """
    if not beta >= 0:
        raise RuntimeError(f"smooth_l1_loss: beta must not be negative, but got {beta}")
    return elementwise_loss(SMOOTH_L1, input, target, reduction, beta)


@publish(method=False)
def binary_cross_entropy(Tensor input not None, Tensor target not None, Tensor weight=None, *, reduction="mean"):
    """-(t log x + (1 - t) log(1 - x)) for probabilities x in [0, 1]; weight, a factor for each element, broadcasts.

    >>> import fastgrad as fg
    >>> fg.nn.functional.binary_cross_entropy(fg.tensor([0.5, 0.9]), fg.tensor([0.0, 1.0]))
    tensor(0.3993)
    """
    if weight is None:
        return elementwise_loss(BCE, input, target, reduction, 0)
    return reduce_loss(elementwise_loss(BCE, input, target, "none", 0) * weight, reduction)


@publish(method=False)
def binary_cross_entropy_with_logits(Tensor input not None, Tensor target not None, Tensor weight=None, *, reduction="mean",
                                     Tensor pos_weight=None):
    """-(p t log s + (1 - t) log(1 - s)) with s = sigmoid(x) and p = pos_weight, exact for large |x|.

    >>> import fastgrad as fg
    >>> fg.nn.functional.binary_cross_entropy_with_logits(fg.tensor([0.0, 200.0]), fg.tensor([0.0, 1.0]))
    tensor(0.3466)
    """
    if weight is None and pos_weight is None:
        return elementwise_loss(BCE_LOGITS, input, target, reduction, 0)
    if pos_weight is None:
        each = elementwise_loss(BCE_LOGITS, input, target, "none", 0)
    else:       # log(1 - s) = log(s) - x, so one log s serves both terms
        elementwise_loss(BCE_LOGITS, input, target, "none", 0)
        each = (1 - target) * input - (1 + (pos_weight - 1) * target) * functions["logsigmoid"](input)
    return reduce_loss(each if weight is None else each * weight, reduction)
