"""Normalisation: layer_norm, rms_norm, batch_norm.

attrs: f[0] = eps; layer_norm and rms_norm: i[0] = how many of the last dimensions make a row.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from .elementwise cimport params
from .reduce cimport mean_over, sum_over
from .rows cimport all_axes, dense_like, plus
from .shape cimport expand_to, read_shape, reshape_to
from .table cimport give, shape_rule
from .tensor cimport *

from ._errors import DTypeError, ShapeError
from .table import NONE, composed, elements, joint, op, publish


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
