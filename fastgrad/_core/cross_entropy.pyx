"""Losses of scores against labels: cross_entropy and nll_loss.

attrs: axis, that of the classes; mode, the reduction; i[0], the label to ignore; f[0], the label smoothing.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from .elementwise cimport where
from .losses cimport MEAN_REDUCTION, NO_REDUCTION, SUM_REDUCTION, mode_of, ones_like, reduce_loss, unreduced
from .reduce cimport sum_over
from .rows cimport all_axes, axis_mask, dense_like, plus
from .table cimport give, shape_rule
from .tensor cimport *

from ._errors import DTypeError, ShapeError
from .rows import log_softmax
from .table import LINEAR, MULTILINEAR, composed, elements, op, publish

cdef Op SOFTMAX = declare("softmax")
cdef Op SOFTMAX_VJP = declare("softmax_vjp")


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
    "cross_entropy_vjp", shape="SAME", dtype="TTTiT->T", dense=True, over=2, family="rows",
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
    cdef fg_thread* here = thread()
    cdef uint32_t recorded = here.special & RECORDED
    here.special &= ~recorded           # what is read for a message is not frozen
    try:
        values = labels.reshape(-1).tolist()
    finally:
        here.special |= recorded
    for k, label in enumerate(values):
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
