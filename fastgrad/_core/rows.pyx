"""The family of fused ops of networks: softmax, losses, normalisation. Each is one pass over its rows where a composition
would make several; its derivative kernel is an op with a rule of its own, so that second derivatives exist.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from .create cimport code_of
from .elementwise cimport cross, params, times, where
from .promote cimport cast
from .reduce cimport mean_over, sum_over
from .shape cimport dim_of, either, expand_to, read_shape, reshape_to
from .table cimport give, shape_rule
from .tensor cimport *

import warnings

from ._errors import DTypeError, ShapeError
from .table import LINEAR, MULTILINEAR, NONE, REDUCED, ROWS, composed, elements, functions, joint, op, publish

cdef enum:          # attrs.mode of a loss
    NO_REDUCTION, MEAN_REDUCTION, SUM_REDUCTION


# ---- what rules and user functions are written with ----------------------------------------------------------------

cdef Attrs along(int axis):
    cdef Attrs a = new_attrs()
    a.c.axis = axis
    return a


cdef unsigned int axis_mask(Tensor x, Attrs a):
    return <unsigned int>1 << a.c.axis if x.layout.c.ndim else 0


cdef Tensor sums(Tensor x, Attrs a):
    """The sums along the axis of a, which stays with size 1."""
    return sum_over(x, axis_mask(x, a), True)


cdef Layout dense_like(Tensor x):
    return x.layout if x.layout.c.flags & FG_DENSE else dense_layout(x.layout.c.ndim, x.layout.c.shape)


cdef unsigned int all_axes(Tensor x):
    return (<unsigned int>1 << x.layout.c.ndim) - 1


cdef int mode_of(object reduction, str who) except -1:
    if reduction == "mean":
        return MEAN_REDUCTION
    if reduction == "sum":
        return SUM_REDUCTION
    if reduction == "none":
        return NO_REDUCTION
    raise ValueError(f"{who}: {reduction!r} is not a valid value for reduction; it may be 'none', 'mean' or 'sum'")


# ---- softmax -------------------------------------------------------------------------------------------------------

cdef object plus(object a, object b):
    """A sum in which None is zero."""
    return b if a is None else a if b is None else a + b


def softmax_vjp_jvp(t0, t1, x0, x1, Attrs a):
    by_g = None if t0 is None else apply_list(SOFTMAX_VJP, [t0, x1], a)
    return plus(by_g, None if t1 is None else t1 * (x0 - sums(x0 * x1, a)) - x1 * sums(x0 * t1, a))


def log_softmax_vjp_jvp(t0, t1, x0, x1, Attrs a):
    by_g = None if t0 is None else apply_list(LOG_SOFTMAX_VJP, [t0, x1], a)
    return plus(by_g, None if t1 is None else -t1 * x1.exp() * sums(x0, a))


cdef Op SOFTMAX_VJP = op(
    "softmax_vjp", shape="SAME", dtype="TT->T", dense=True, batch=ROWS, family="rows", doc="y (g - sum(g y)).",
    jvp=lambda t0, t1, x0, x1, a: softmax_vjp_jvp(t0, t1, x0, x1, a),
    vjp=(lambda g, x1, a: apply_list(SOFTMAX_VJP, [g, x1], a),
         lambda g, x0, x1, a: cross(g, x0 - sums(times(x0, x1), a)) - cross(x0, sums(times(g, x1), a))),
    flops=4, numpy="x1 * (x0 - (x0 * x1).sum(axis={axis}, keepdims=True))")
cdef Op SOFTMAX = op(
    "softmax", shape="SAME", dtype="T->T", dense=True, batch=ROWS, family="rows",
    vjp=("softmax_vjp g y a",),
    jvp=lambda t0, y, a: apply_list(SOFTMAX_VJP, [t0, y], a),         # the Jacobian is symmetric
    sample=lambda r: [((r.normal(size=(2, 3)),), {"dim": 1}), ((r.normal(size=(2, 3, 2)),), {"dim": -2})],
    doc="e^x / sum e^x along one dimension, shifted by the maximum.", flops=20, numpy="softmax(x0, {axis})")
cdef Op LOG_SOFTMAX_VJP = op(
    "log_softmax_vjp", shape="SAME", dtype="TT->T", dense=True, batch=ROWS, family="rows", doc="g - e^y sum(g).",
    jvp=lambda t0, t1, x0, x1, a: log_softmax_vjp_jvp(t0, t1, x0, x1, a),
    vjp=(lambda g, x1, a: g - sums(times(g, x1.exp()), a), lambda g, x0, x1, a: -times(cross(g, sums(x0, a)), x1.exp())),
    flops=20, numpy="x0 - np.exp(x1) * x0.sum(axis={axis}, keepdims=True)")
cdef Op LOG_SOFTMAX = op(
    "log_softmax", shape="SAME", dtype="T->T", dense=True, batch=ROWS, family="rows",
    vjp=("log_softmax_vjp g y a",),
    jvp=lambda t0, y, a: t0 - sums(t0 * y.exp(), a),
    sample=lambda r: [((r.normal(size=(2, 3)),), {"dim": 1}), ((r.normal(size=(2, 3, 2)),), {"dim": -2})],
    doc="x - log sum e^x along one dimension, shifted by the maximum.", flops=20, numpy="log_softmax(x0, {axis})")


cdef object along_dim(Op o, Tensor x, object dim, object dtype):
    cdef int code = code_of(dtype, o.name)
    if code >= 0 and code != x.dtype:
        x = cast(x, code)
    if dim is None:
        raise TypeError(f"{o.name}: say along which dimension, dim=...")
    return apply1(o, x, along(dim_of(dim, x.layout.c.ndim)))


@publish
def softmax(Tensor input not None, dim=None, dtype=None, *, axis=None):
    """exp(x) / sum(exp(x)) along `dim`.

    >>> import fastgrad as fg
    >>> fg.softmax(fg.tensor([[0.0, 0.0], [0.0, 100.0]]), dim=1)
    tensor([[5.0000e-01, 5.0000e-01],
            [3.7835e-44, 1.0000e+00]])
    """
    return along_dim(SOFTMAX, input, either(dim, axis), dtype)


@publish
def log_softmax(Tensor input not None, dim=None, dtype=None, *, axis=None):
    """log(softmax(x)) along `dim`, without computing the softmax.

    >>> import fastgrad as fg
    >>> fg.log_softmax(fg.tensor([[0.0, 0.0], [0.0, 100.0]]), dim=1)
    tensor([[  -0.6931,   -0.6931],
            [-100.0000,    0.0000]])
    """
    return along_dim(LOG_SOFTMAX, input, either(dim, axis), dtype)


# ---- losses against labels -----------------------------------------------------------------------------------------
# attrs: axis, that of the classes; mode, the reduction; i[0], the label to ignore; f[0], the label smoothing.

cdef int infer_label_loss(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef Tensor labels = <Tensor>xs[1]
    give(lays, 0, dense_like(labels) if a.c.mode == NO_REDUCTION else scalar_layout)
    if o.outputs > 1:
        give(lays, 1, dense_like(<Tensor>xs[0]))
    return 0


cdef object gradient_sum(Tensor h, Tensor y, Attrs a):
    """The gradient of a loss's own gradient, from h for y: y is y of g = 1."""
    if a.c.mode == NO_REDUCTION:
        return sum_over(<Tensor>(h * y), axis_mask(h, a), False)
    return sum_over(<Tensor>(h * y), all_axes(h), False)


cdef Tensor ones_like(Tensor g):
    return expand_to(scalar(1, g.dtype), g.layout.c.ndim, g.layout.c.shape)


cdef Attrs unreduced(Attrs a):
    cdef Attrs b = new_attrs()
    b.c = a.c
    b.c.mode = NO_REDUCTION
    return b


def label_loss_composed(Op o, Attrs a, x, labels, weight):
    """A reduced loss of a batch from the losses of its samples: each element of the batch has its own mean."""
    if a.c.mode == NO_REDUCTION:
        return NotImplemented
    each = apply_list(o, [x, labels, weight], unreduced(a)).sum()
    if a.c.mode == SUM_REDUCTION:
        return each
    kept = labels != <int64_t>a.c.i[0]
    count = kept.sum() if weight is None else (weight[where(kept, labels, 0)] * kept).sum()
    return each / count


cdef Tensor gradient_of_each(Tensor g, labels, weight, Attrs a):
    """The gradient of each sample's loss from that of the reduced one."""
    if a.c.mode == MEAN_REDUCTION:
        kept = labels != <int64_t>a.c.i[0]
        g = g / (kept.sum() if weight is None else (weight[where(kept, labels, 0)] * kept).sum())
    return g.expand(labels.shape)


def cross_entropy_vjp_composed(Op o, Attrs a, x, g, rest, labels, weight):
    if a.c.mode == NO_REDUCTION:
        return NotImplemented
    return apply_list(o, [x, gradient_of_each(g, labels, weight, a), *rest, labels, weight], unreduced(a))


def nll_loss_vjp_composed(Attrs a, g, labels, weight):
    if a.c.mode == NO_REDUCTION:
        return NotImplemented
    return apply_list(NLL_LOSS_VJP, [gradient_of_each(g, labels, weight, a), labels, weight], unreduced(a))


cdef object cross_entropy_jvp(Tensor t, Tensor x, Tensor y, labels, weight, Attrs a):
    p = apply1(SOFTMAX, x, a)
    return gradient_sum(t, apply_list(CROSS_ENTROPY_VJP, [x, ones_like(y), p, labels, weight], a), a)


cdef object cross_entropy_slope(object t, Tensor x, object g, Tensor softmax, object labels, object weight, Attrs a):
    """The scaled, symmetric Jacobian of cross_entropy_vjp by the scores, times t. What is differentiated further is a function
    of the scores; else their softmax is there already."""
    if thread().recording or x.flags & (DUAL | BOXED):
        softmax = <Tensor>apply1(SOFTMAX, x, a)
    return apply_list(CROSS_ENTROPY_SCALE, [apply_list(SOFTMAX_VJP, [t, softmax], a), g, labels, weight], a)


def cross_entropy_vjp_jvp(t0, t1, x0, x1, x2, x3, x4, Attrs a):
    """By the scores the Jacobian is a scaled symmetric one, by the gradient it is linear."""
    by_x = None if t0 is None else cross_entropy_slope(t0, x0, x1, x2, x3, x4, a)
    return plus(by_x, None if t1 is None else apply_list(CROSS_ENTROPY_VJP, [x0, t1, x2, x3, x4], a))


cdef Op CROSS_ENTROPY_SCALE = op(
    "cross_entropy_scale", shape="SAME", dtype="TTiT->T", dense=True, jvp=MULTILINEAR, family="rows",
    batch=composed(lambda a, x, g, labels, weight: cross_entropy_vjp_composed(CROSS_ENTROPY_SCALE, a, x, g, [], labels, weight)),
    vjp=(lambda g, x1, x2, x3, a: apply_list(CROSS_ENTROPY_SCALE, [g, x1, x2, x3], a),
         lambda g, x0, x1, x2, x3, a: gradient_sum(g, apply_list(CROSS_ENTROPY_SCALE, [x0, ones_like(x1), x2, x3], a), a),
         None, None),
    doc="The part of cross_entropy_vjp that is linear in the probabilities.",
    flops=2, numpy="cross_entropy_vjp(x1, x0, x2, x3, {axis}, {mode}, {i0}, {f0}, scale_only=True)")
cdef Op CROSS_ENTROPY_VJP = op(
    "cross_entropy_vjp", shape="SAME", dtype="TTTiT->T", dense=True, family="rows",
    jvp=lambda t0, t1, x0, x1, x2, x3, x4, a: cross_entropy_vjp_jvp(t0, t1, x0, x1, x2, x3, x4, a),
    batch=composed(lambda a, x, g, p, labels, weight: cross_entropy_vjp_composed(CROSS_ENTROPY_VJP, a, x, g, [p], labels,
                                                                                 weight)),
    vjp=(lambda g, x0, x1, x2, x3, x4, a: cross_entropy_slope(g, x0, x1, x2, x3, x4, a),
         lambda g, x0, x1, x2, x3, x4, a: gradient_sum(
             g, apply_list(CROSS_ENTROPY_VJP, [x0, ones_like(x1), x2, x3, x4], a), a),
         None, None, None),
    doc="g (softmax(x) - target), times weights and divided as the reduction says; x2 is the softmax.",
    flops=3, numpy="cross_entropy_vjp(x1, x2, x3, x4, {axis}, {mode}, {i0}, {f0})")


cdef Op CROSS_ENTROPY = op(
    "cross_entropy", shape=shape_rule(infer_label_loss), dtype="TiT->TT", outputs=2, aux=1, dense=True, family="rows",
    vjp=("cross_entropy_vjp x0 g y1 x1 x2 a", None, None),
    jvp=lambda t0, x0, y, x1, x2, a: cross_entropy_jvp(t0, x0, y, x1, x2, a),
    batch=composed(lambda a, x, labels, weight: label_loss_composed(CROSS_ENTROPY, a, x, labels, weight)),
    sample=lambda r: [((r.normal(size=(4, 3)), r.integers(0, 3, 4)), {}),
                      ((r.normal(size=(2, 3, 2)), r.integers(0, 3, (2, 2))), {"reduction": "none", "label_smoothing": 0.1}),
                      ((r.normal(size=(4, 3)), r.integers(0, 3, 4)), {"reduction": "sum", "ignore_index": 1}),
                      ((r.normal(size=3), r.integers(0, 3, ())), {})],
    doc="-log softmax(x)[label], with class weights, label smoothing and a label to ignore; its second output is the softmax.",
    flops=lambda a, x, *rest: 20 * elements(x),
    numpy=("cross_entropy(x0, x1, x2, {axis}, {mode}, {i0}, {f0})", "softmax(x0, {axis})"))
cdef Op NLL_LOSS_VJP = op(
    "nll_loss_vjp", shape="GIVEN", dtype="TiT->T", dense=True, jvp=LINEAR, family="rows",
    batch=composed(lambda a, g, labels, weight: nll_loss_vjp_composed(a, g, labels, weight)),
    vjp=(lambda g, x1, x2, a: apply_list(NLL_LOSS, [g, x1, x2], a), None, None),
    doc="-g times the weight at the label, 0 elsewhere.", numpy="nll_loss_vjp(x0, x1, x2, {out}, {axis}, {mode}, {i0})")
cdef Op NLL_LOSS = op(
    "nll_loss", shape=shape_rule(infer_label_loss), dtype="TiT->T", dense=True, jvp=LINEAR, family="rows",
    batch=composed(lambda a, x, labels, weight: label_loss_composed(NLL_LOSS, a, x, labels, weight)),
    vjp=(lambda g, s0, x1, x2, a: apply_list(NLL_LOSS_VJP, [g, x1, x2], shaped(a, s0)), None, None),
    sample=lambda r: [((r.normal(size=(4, 3)), r.integers(0, 3, 4)), {}),
                      ((r.normal(size=(2, 3, 2)), r.integers(0, 3, (2, 2))), {"reduction": "none"})],
    doc="-x[label], with class weights and a label to ignore.", numpy="nll_loss(x0, x1, x2, {axis}, {mode}, {i0})")


cdef Attrs shaped(Attrs a, Layout s):
    """a, with the shape of s."""
    cdef Attrs b = new_attrs()
    b.c = a.c
    b.c.ndim = s.c.ndim
    memcpy(b.c.shape, s.c.shape, sizeof(b.c.shape))
    return b


cdef Attrs last_label_attrs = new_attrs()   # immutable as all are; a training loop asks for the same again and again


cdef Attrs label_attrs(int axis, int mode, int64_t ignored, double smoothing):
    global last_label_attrs
    cdef Attrs a = last_label_attrs
    if a.c.axis == axis and a.c.mode == mode and a.c.i[0] == ignored and a.c.f[0] == smoothing:
        return a
    a = new_attrs()
    a.c.axis = axis
    a.c.mode = mode
    a.c.i[0] = ignored
    a.c.f[0] = smoothing
    last_label_attrs = a
    return a


cdef object label_loss(Op o, Tensor x, Tensor labels, Tensor weight, object ignore_index, object reduction, double smoothing):
    cdef Attrs a
    cdef fg_layout* l = &x.layout.c
    cdef fg_layout* t = &labels.layout.c
    cdef int axis = 1 if l.ndim > 1 else 0
    cdef int k
    cdef PyObject* xs[3]
    a = label_attrs(axis, mode_of(reduction, o.name), ignore_index, smoothing)
    if l.ndim == 0:
        raise ShapeError(f"{o.name}: expected scores of shape (N, C), (C) or (N, C, ...), got a 0-d tensor")
    if not 0 <= smoothing <= 1:
        raise RuntimeError(f"{o.name}: label_smoothing must be between 0 and 1, got {smoothing}")
    if fg_is_real(labels.dtype) or labels.dtype == FG_BOOL:
        raise DTypeError(f"{o.name}: expected labels of an integer dtype, got {dtype_of(labels.dtype).name}")
    if t.ndim != l.ndim - 1:
        raise_labels(o, x, labels)
    for k in range(t.ndim):
        if t.shape[k] != l.shape[k if k < axis else k + 1]:
            raise_labels(o, x, labels)
    if weight is not None and (weight.layout.c.ndim != 1 or weight.layout.c.size != l.shape[axis]):
        raise ShapeError(f"{o.name}: expected a weight for each of the {l.shape[axis]} classes, got shape {tuple(weight.shape)}")
    xs[0] = <PyObject*>x
    xs[1] = <PyObject*>labels
    xs[2] = NULL if weight is None else <PyObject*>weight
    try:
        return apply(o, xs, 3, a)
    except IndexError:
        raise_label(o, labels, l.shape[axis], a.c.i[0])


cdef int raise_label(Op o, Tensor labels, int64_t classes, int64_t ignored) except -1:
    for k, label in enumerate(labels.reshape(-1).tolist()):
        if label != ignored and not 0 <= label < classes:
            raise IndexError(
                f"{o.name}: label {label}, at position {k}, is out of range: there are scores for {classes} classes, 0 to "
                f"{classes - 1}; count labels from 0, or name the one to leave out with ignore_index=")
    raise IndexError(f"{o.name}: a label is out of range")


cdef int raise_labels(Op o, Tensor x, Tensor labels) except -1:
    shape = list(x.shape)
    del shape[1 if len(shape) > 1 else 0]
    raise ShapeError(f"{o.name}: scores of shape {tuple(x.shape)} need labels of shape {tuple(shape)}, got {tuple(labels.shape)}")


@publish(method=False)
def cross_entropy(Tensor input not None, Tensor target not None, Tensor weight=None, *, ignore_index=-100, reduction="mean",
                  double label_smoothing=0.0):
    """-log softmax(x)[label] from logits (N, C, ...) or (C) and integer labels of that shape without C.

    weight: a factor for each class. ignore_index: a label that contributes nothing. reduction: 'mean' (over the weights of
    the labels), 'sum' or 'none'. label_smoothing: the share of the target that is spread evenly over the classes.

    A target of a floating-point dtype and of the shape of the logits holds the probability of each class instead: the
    loss of a sample is the sum of -p log softmax(x), and 'mean' divides by the number of samples.

    >>> import fastgrad as fg
    >>> fg.nn.functional.cross_entropy(fg.tensor([[0.0, 0.0], [0.0, 100.0]]), fg.tensor([0, 1]), reduction="none")
    tensor([0.6931, 0.0000])
    """
    if fg_is_real(target.dtype):
        return cross_entropy_of_probabilities(input, target, weight, reduction, label_smoothing)
    return label_loss(CROSS_ENTROPY, input, target, weight, ignore_index, reduction, label_smoothing)


@publish(method=False)
def nll_loss(Tensor input not None, Tensor target not None, Tensor weight=None, *, ignore_index=-100, reduction="mean"):
    """-x[label] from log-probabilities (N, C, ...) or (C) and integer labels of that shape without C.

    weight: a factor for each class. ignore_index: a label that contributes nothing. reduction: 'mean' (over the weights of
    the labels), 'sum' or 'none'.

    >>> import fastgrad as fg
    >>> fg.nn.functional.nll_loss(fg.tensor([[-0.5, -1.0], [-3.0, -0.25]]), fg.tensor([0, 1]))
    tensor(0.3750)
    """
    return label_loss(NLL_LOSS, input, target, weight, ignore_index, reduction, 0.0)


cdef object cross_entropy_of_probabilities(Tensor x, Tensor p, Tensor weight, object reduction, double smoothing):
    cdef int ndim = x.layout.c.ndim
    cdef int axis = 1 if ndim > 1 else 0
    if not same_shape(x.layout, p.layout):
        raise ShapeError(f"cross_entropy: a target of {dtype_of(p.dtype)} holds probabilities, in the shape of the scores, "
                         f"{tuple(x.shape)}, but got {tuple(p.shape)}; class labels are integers: convert them with .long()")
    if smoothing:
        p = p * (1 - smoothing) + smoothing / x.shape[axis]
    if weight is not None:
        p = p * weight.reshape(-1, *[1] * (ndim - axis - 1))
    return reduce_loss(-(p * log_softmax(x, axis)).sum(axis), reduction)


# ---- elementwise losses --------------------------------------------------------------------------------------------
# attrs: mode, the reduction; f[0], the parameter. A loss never broadcasts its target in silence: (N, 1) against (N,) would
# be an N x N loss, and train to the mean.

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


cdef object reduce_loss(Tensor x, object reduction):
    cdef int mode = mode_of(reduction, "loss")
    if mode == NO_REDUCTION:
        return x
    return mean_over(x, all_axes(x), False) if mode == MEAN_REDUCTION else sum_over(x, all_axes(x), False)


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


# ---- normalisation -------------------------------------------------------------------------------------------------
# f[0] = eps; layer_norm and rms_norm: i[0] = how many of the last dimensions make a row.

cdef Layout leading(Layout s, int n):
    return dense_layout(n, s.c.shape)


cdef Layout trailing(Layout s, int n):
    return dense_layout(n, s.c.shape + s.c.ndim - n)


cdef int infer_layer_norm(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef Tensor x = <Tensor>xs[0]
    cdef int k
    give(lays, 0, dense_like(x))
    for k in range(1, o.outputs):
        give(lays, k, leading(x.layout, x.layout.c.ndim - <int>a.c.i[0]))
    return 0


cdef int infer_layer_norm_vjp(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef Tensor x = <Tensor>xs[1]
    cdef int k
    if a.c.needs & 1:
        give(lays, 0, dense_like(x))
    for k in range(1, o.outputs):
        if a.c.needs >> k & 1:
            give(lays, k, trailing(x.layout, <int>a.c.i[0]))
    return 0


cdef int infer_batch_norm(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef Tensor x = <Tensor>xs[0]
    cdef Layout channels = dense_layout(1, x.layout.c.shape + 1)
    give(lays, 0, dense_like(x))
    give(lays, 1, channels)
    give(lays, 2, channels)
    return 0


cdef int infer_batch_norm_vjp(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef Tensor x = <Tensor>xs[1]
    cdef int k
    if a.c.needs & 1:
        give(lays, 0, dense_like(x))
    for k in range(1, 3):
        if a.c.needs >> k & 1:
            give(lays, k, dense_layout(1, x.layout.c.shape + 1))
    return 0


cdef unsigned int row_axes(Tensor x, Attrs a):
    return all_axes(x) & ~((<unsigned int>1 << (x.layout.c.ndim - <int>a.c.i[0])) - 1)


cdef unsigned int channel_axes(Tensor x):
    return all_axes(x) & ~<unsigned int>2


cdef Tensor per_channel(object t, Tensor x):
    """A vector with one element for each channel, so that it broadcasts against x (N, C, ...)."""
    cdef int64_t shape[8]
    cdef int k
    if t is None:
        return None
    for k in range(x.layout.c.ndim - 1):
        shape[k] = 1
    shape[0] = (<Tensor>t).layout.c.size
    return reshape_to(<Tensor>t, x.layout.c.ndim - 1, shape)


def norm_vjp_vjp(h0, h1, h2, Tensor g, Tensor x, w, unsigned int axes, double eps, bint centred):
    """The gradients of the vjp of a normalisation over `axes` of x, by g, x and w, from h0, h1, h2 for its dx, dw, db.

    With z = (x - mean) r, u = g w and the projection P(v) = v - mean(v) - z mean(v z), where dx = r P(u), dw = sum g z and
    db = sum g; without the mean where not centred. Everything broadcasts against x; the gradient by w has the shape of x.
    """
    deviation = x - mean_over(x, axes, True) if centred else x
    r = (mean_over(<Tensor>(deviation * deviation), axes, True) + eps).rsqrt()
    z = deviation * r
    dg = dx = dw = None
    if h0 is not None:
        u = g if w is None else g * w
        uz = mean_over(<Tensor>(u * z), axes, True)
        pu = project(u, z, axes, centred)
        dg = r * project(h0, z, axes, centred)
        if w is not None:
            dw = dg * g
            dg = dg * w
        dz = -r * (h0 * uz + u * mean_over(<Tensor>(h0 * z), axes, True))
        dx = -r * r * z * mean_over(<Tensor>(h0 * pu), axes, True)
    else:
        dz = None
    if h1 is not None:
        dg = h1 * z if dg is None else dg + h1 * z
        dz = h1 * g if dz is None else dz + h1 * g
    if dz is not None:
        dz = r * project(dz, z, axes, centred)
        dx = dz if dx is None else dx + dz
    if h2 is not None:
        h2 = expand_to(h2, x.layout.c.ndim, x.layout.c.shape)
        dg = h2 if dg is None else dg + h2
    return dg, dx, dw


cdef object project(object v, object z, unsigned int axes, bint centred):
    y = v - z * mean_over(<Tensor>(v * z), axes, True)
    return y - mean_over(<Tensor>v, axes, True) if centred else y


def layer_norm_vjp_vjp(h0, h1, h2, g, x, w, Attrs a):
    dg, dx, dw = norm_vjp_vjp(h0, h1, h2, g, x, w, row_axes(x, a), a.c.f[0], True)
    return dg, dx, None, None, dw


def rms_norm_vjp_vjp(h0, h1, g, x, w, Attrs a):
    dg, dx, dw = norm_vjp_vjp(h0, h1, None, g, x, w, row_axes(x, a), a.c.f[0], False)
    return dg, dx, None, dw


def batch_norm_vjp_vjp(h0, h1, h2, g, Tensor x, w, Attrs a):
    cdef unsigned int axes = channel_axes(x)
    h1, h2, w = per_channel(h1, x), per_channel(h2, x), per_channel(w, x)
    dg, dx, dw = norm_vjp_vjp(h0, h1, h2, g, x, w, axes, a.c.f[0], True)
    return dg, dx, None, None, None if dw is None else sum_over(dw, axes, False)


def norm_jvp(t0, t1, t2, Tensor x, w, unsigned int axes, double eps, bint centred):
    """The tangent of a normalisation over `axes` of x, weighted and shifted: d = r P(t0), with the names of norm_vjp_vjp."""
    deviation = x - mean_over(x, axes, True) if centred else x
    r = (mean_over(<Tensor>(deviation * deviation), axes, True) + eps).rsqrt()
    z = deviation * r
    d = None
    if t0 is not None:
        d = r * project(t0, z, axes, centred)
        d = d if w is None else d * w
    return plus(plus(d, None if t1 is None else z * t1), t2)


def batch_norm_jvp(t0, t1, t2, Tensor x, w, Attrs a):
    t1, t2, w = per_channel(t1, x), per_channel(t2, x), per_channel(w, x)
    return norm_jvp(t0, t1, t2, x, w, channel_axes(x), a.c.f[0], True), None, None


def rows_batch(Op o, Attrs a, size, which, xs):
    """layer_norm and rms_norm; weights of a batch are applied behind the normalisation."""
    cdef int rows = <int>a.c.i[0]
    if not which & 6:
        return apply_list(o, xs, a)
    x = xs[0] if which & 1 else xs[0].expand([size, *xs[0].shape])
    y = apply_list(o, [x] + [None] * (len(xs) - 1), a)
    for k, t in enumerate(xs[1:]):
        if t is not None:
            if which >> (k + 1) & 1:
                t = t.reshape([size, *[1] * (y.ndim - 1 - rows), *t.shape[1:]])
            y = y * t if k == 0 else y + t
    return y


def rows_vjp_composed(Op o, Op norm, Attrs a, list xs):
    """The gradients of layer_norm (mean and 1 / deviation given) or rms_norm: by x row for row, by weight and bias sums."""
    cdef Tensor g = xs[0], x = xs[1]
    w = xs[len(xs) - 1]
    lead = list(range(x.layout.c.ndim - <int>a.c.i[0]))
    if a.c.needs == 1 and w is None:
        return NotImplemented
    count = o.outputs
    found = [None] * count
    if a.c.needs & 1:
        found[0] = apply_list(o, [g if w is None else g * w, *xs[1:-1], None], needing(a, 1))[0]
    if a.c.needs & 2:
        found[1] = g * apply_list(norm, [x] + [None] * (count - 1), a)
    if a.c.needs & 4:
        found[2] = g
    return tuple([t if k == 0 or t is None or not lead else t.sum(lead) for k, t in enumerate(found)])


cdef Tensor channels_joined(t, size, bint batched, int axis):
    """A batch as more channels: (size, ..., C, ...) -> (..., size * C, ...), C at `axis` of one element."""
    if t is None:
        return None
    if not batched:
        t = t.expand([size, *t.shape])
    shape = t.shape[1:]
    return t.movedim(0, axis).reshape([*shape[:axis], size * shape[axis], *shape[axis + 1:]])


cdef object channels_parted(t, size, int axis):
    """The inverse of channels_joined."""
    if t is None:
        return None
    shape = t.shape
    return t.reshape([*shape[:axis], size, shape[axis] // size if size else 0, *shape[axis + 1:]]).movedim(axis, 0)


def batch_norm_batch(Op o, Attrs a, size, which, xs, full):
    """full: which operands have all dimensions, as a mask; the others are vectors over the channels."""
    joined = [channels_joined(t, size, which >> k & 1, full >> k & 1) for k, t in enumerate(xs)]
    ys = apply_list(o, joined, a)
    return tuple([channels_parted(y, size, 1 if k == 0 else 0) for k, y in enumerate(ys)])


cdef Op LAYER_NORM_VJP = op(
    "layer_norm_vjp", shape=shape_rule(infer_layer_norm_vjp), dtype="TTTTT->TTT", outputs=3, dense=True, family="rows",
    vjp=joint(lambda g0, g1, g2, x0, x1, x4, a: layer_norm_vjp_vjp(g0, g1, g2, x0, x1, x4, a)),
    batch=composed(lambda a, g, x, m, r, w: rows_vjp_composed(LAYER_NORM_VJP, LAYER_NORM, a, [g, x, m, r, w])),
    doc="The gradients of layer_norm by x, weight and bias; g, x, mean, 1 / deviation, weight.",
    flops=lambda a, g, x, *rest: 12 * elements(x),
    numpy=("layer_norm_dx(x0, x1, x4, {i0}, {f0})", "layer_norm_dw(x0, x1, {i0}, {f0})", "leading(np.sum, x0, {i0})"))
cdef Op LAYER_NORM = op(
    "layer_norm", shape=shape_rule(infer_layer_norm), dtype="TTT->TTT", outputs=3, aux=2, dense=True, family="rows",
    vjp=joint("layer_norm_vjp g x0 y1 y2 x1 a needs"),
    jvp=lambda t0, t1, t2, x0, x1, a: norm_jvp(t0, t1, t2, x0, x1, row_axes(x0, a), (<Attrs>a).c.f[0], True),
    batch=lambda a, size, which, xs: rows_batch(LAYER_NORM, a, size, which, xs),
    sample=lambda r: [((r.normal(size=(4, 5)), (5,), r.normal(size=5), r.normal(size=5)), {}),
                      ((r.normal(size=(2, 3, 2)), (3, 2), r.normal(size=(3, 2))), {}), ((r.normal(size=(2, 4)), (4,)), {})],
    doc="(x - mean) / sqrt(var + eps) * weight + bias over the last dimensions (Ba et al. 2016).",
    flops=lambda a, x, *rest: 8 * elements(x),
    numpy=("layer_norm(x0, x1, x2, {i0}, {f0})", "last(np.mean, x0, {i0})", "1 / np.sqrt(last(np.var, x0, {i0}) + {f0})"))
cdef Op RMS_NORM_VJP = op(
    "rms_norm_vjp", shape=shape_rule(infer_layer_norm_vjp), dtype="TTTT->TT", outputs=2, dense=True, family="rows",
    vjp=joint(lambda g0, g1, x0, x1, x3, a: rms_norm_vjp_vjp(g0, g1, x0, x1, x3, a)),
    batch=composed(lambda a, g, x, r, w: rows_vjp_composed(RMS_NORM_VJP, RMS_NORM, a, [g, x, r, w])),
    doc="The gradients of rms_norm by x and weight; g, x, 1 / root mean square, weight.",
    flops=lambda a, g, x, *rest: 10 * elements(x),
    numpy=("rms_norm_dx(x0, x1, x3, {i0}, {f0})", "rms_norm_dw(x0, x1, {i0}, {f0})"))
cdef Op RMS_NORM = op(
    "rms_norm", shape=shape_rule(infer_layer_norm), dtype="TT->TT", outputs=2, aux=1, dense=True, family="rows",
    vjp=joint("rms_norm_vjp g x0 y1 x1 a needs"),
    jvp=lambda t0, t1, x0, x1, a: norm_jvp(t0, t1, None, x0, x1, row_axes(x0, a), (<Attrs>a).c.f[0], False),
    batch=lambda a, size, which, xs: rows_batch(RMS_NORM, a, size, which, xs),
    sample=lambda r: [((r.normal(size=(4, 5)), (5,), r.normal(size=5)), {}), ((r.normal(size=(2, 3, 2)), (3, 2)), {})],
    doc="x / sqrt(mean(x^2) + eps) * weight over the last dimensions (Zhang & Sennrich 2019).",
    flops=lambda a, x, *rest: 5 * elements(x),
    numpy=("rms_norm(x0, x1, {i0}, {f0})", "1 / np.sqrt(last(np.mean, x0 * x0, {i0}) + {f0})"))
cdef Op BATCH_NORM_VJP = op(
    "batch_norm_vjp", shape=shape_rule(infer_batch_norm_vjp), dtype="TTTTT->TTT", outputs=3, dense=True, family="rows",
    vjp=joint(lambda g0, g1, g2, x0, x1, x4, a: batch_norm_vjp_vjp(g0, g1, g2, x0, x1, x4, a)),
    batch=lambda a, size, which, xs: batch_norm_batch(BATCH_NORM_VJP, a, size, which, xs, 3),
    doc="The gradients of batch_norm by x, weight and bias; g, x, mean, variance, weight.",
    flops=lambda a, g, x, *rest: 12 * elements(x),
    numpy=("batch_norm_dx(x0, x1, x4, {f0})", "batch_norm_dw(x0, x1, {f0})", "channels(np.sum, x0)"))
cdef Op BATCH_NORM = op(
    "batch_norm", shape=shape_rule(infer_batch_norm), dtype="TTT->TTT", outputs=3, dense=True, family="rows",
    vjp=joint(lambda g0, x0, x1, y1, y2, a, needs: apply_list(BATCH_NORM_VJP, [g0, x0, y1, y2, x1], needing(a, needs))),
    jvp=lambda t0, t1, t2, x0, x1, a: batch_norm_jvp(t0, t1, t2, x0, x1, a),
    batch=lambda a, size, which, xs: batch_norm_batch(BATCH_NORM, a, size, which, xs, 1),
    sample=lambda r: [((r.normal(size=(4, 3)), None, None, r.normal(size=3), r.normal(size=3), True), {}),
                      ((r.normal(size=(3, 2, 4)), None, None, None, None, True), {}),
                      ((r.normal(size=(3, 2)), r.normal(size=2), r.uniform(0.5, 2, 2), r.normal(size=2), r.normal(size=2)), {})],
    doc="(x - mean) / sqrt(var + eps) * weight + bias for each channel (Ioffe & Szegedy 2015); also the mean and variance.",
    flops=lambda a, x, *rest: 8 * elements(x),
    numpy=("batch_norm(x0, x1, x2, {f0})", "channels(np.mean, x0)", "channels(np.var, x0)"))
cdef Op RUNNING_STATS = op("running_stats_", shape="MUTATE", dtype="TT->T", vjp=NONE, family="rows",
                           doc="Moves the running mean and variance towards those of a batch.")


cdef int check_rows(str who, Tensor x, object normalized_shape, Tensor weight, Tensor bias) except -1:
    """The number of dimensions that make a row."""
    cdef int64_t shape[8]
    cdef int k, n = read_shape(normalized_shape, shape, who)
    cdef int first = x.layout.c.ndim - n
    cdef bint fits = n > 0 and first >= 0
    for k in range(n):
        fits = fits and x.layout.c.shape[first + k] == shape[k]
    if not fits:
        raise ShapeError(f"{who}: normalized_shape {[shape[k] for k in range(n)]} must be the last dimensions of the input, "
                         f"which has shape {tuple(x.shape)}")
    for t in (weight, bias):
        if t is not None and not same_shape((<Tensor>t).layout, trailing(x.layout, n)):
            raise ShapeError(f"{who}: weight and bias must have the normalized shape {[shape[k] for k in range(n)]}, got "
                             f"{tuple(t.shape)}")
    return n


@publish(method=False)
def layer_norm(Tensor input not None, normalized_shape, Tensor weight=None, Tensor bias=None, double eps=1e-5):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and (biased) variance over the last dimensions.

    normalized_shape: their sizes, the shape of weight and bias.

    >>> import fastgrad as fg
    >>> fg.nn.functional.layer_norm(fg.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    cdef Attrs a = params(eps)
    a.c.i[0] = check_rows("layer_norm", input, normalized_shape, weight, bias)
    return apply_list(LAYER_NORM, [input, weight, bias], a)


@publish(method=False)
def rms_norm(Tensor input not None, normalized_shape, Tensor weight=None, eps=None):
    """x / sqrt(mean(x^2) + eps) * weight, with the mean over the last dimensions; eps: that of the dtype if not given.

    normalized_shape: their sizes, the shape of weight.

    >>> import fastgrad as fg
    >>> fg.nn.functional.rms_norm(fg.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    cdef Attrs a = params((1.1920928955078125e-07 if input.dtype == FG_F32 else 2.220446049250313e-16) if eps is None else eps)
    a.c.i[0] = check_rows("rms_norm", input, normalized_shape, weight, None)
    return apply_list(RMS_NORM, [input, weight], a)


@publish(method=False)
def batch_norm(Tensor input not None, Tensor running_mean, Tensor running_var, Tensor weight=None, Tensor bias=None,
               bint training=False, double momentum=0.1, double eps=1e-5):
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of x (N, C) or (N, C, ...).

    In training mean and variance are those of the batch, and the running ones, where given, move towards them by
    `momentum`, the variance with n - 1 as its divisor; else they are the running ones.

    >>> import fastgrad as fg
    >>> fg.nn.functional.batch_norm(fg.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    cdef fg_layout* l = &input.layout.c
    cdef Tensor y, m, v
    cdef int64_t n
    if l.ndim < 2:
        raise ShapeError(f"batch_norm: expected an input of shape (N, C) or (N, C, ...), got {tuple(input.shape)}")
    for t in (running_mean, running_var, weight, bias):
        if t is not None and ((<Tensor>t).layout.c.ndim != 1 or (<Tensor>t).layout.c.size != l.shape[1]):
            raise ShapeError(f"batch_norm: expected vectors of {l.shape[1]} elements, one for each channel of an input of shape "
                             f"{tuple(input.shape)}, got {tuple(t.shape)}")
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: expected running_mean and running_var when training is False")
        scale = (running_var + eps).rsqrt() if weight is None else (running_var + eps).rsqrt() * weight
        z = (input - per_channel(running_mean, input)) * per_channel(scale, input)
        return z if bias is None else z + per_channel(bias, input)
    n = l.size // l.shape[1] if l.shape[1] else 0
    if n <= 1:
        raise ValueError(f"batch_norm: expected more than 1 value for each channel when training, got input of shape "
                         f"{tuple(input.shape)}")
    y, m, v = apply_list(BATCH_NORM, [input, weight, bias], params(eps))
    if running_mean is not None and running_var is not None:
        update_running(running_mean, running_var, m, v, momentum, n)
    return y


cdef int update_running(Tensor mean, Tensor var, Tensor m, Tensor v, double momentum, int64_t n) except -1:
    cdef PyObject* ys[2]
    cdef PyObject* xs[2]
    if mean.dtype != m.dtype or var.dtype != m.dtype or not mean.layout.c.flags & var.layout.c.flags & FG_DENSE:
        raise DTypeError(f"batch_norm: the running statistics must be dense and of the input's dtype {dtype_of(m.dtype).name}, "
                         f"got {dtype_of(mean.dtype).name} and {dtype_of(var.dtype).name}")
    ys[0] = <PyObject*>mean
    ys[1] = <PyObject*>var
    xs[0] = <PyObject*>m
    xs[1] = <PyObject*>v
    apply_mutating(RUNNING_STATS, m.dtype, ys, 2, xs, 2, params(momentum, <double>n / (n - 1)))
    return 0
