"""The family of fused ops of networks: softmax here, losses and normalisation above. Each is one pass over its rows where a
composition would make several; its derivative kernel is an op with a rule of its own, so that second derivatives exist.
"""

from .arguments cimport code_of
from .elementwise cimport cross, times
from .promote cimport cast
from .reduce cimport sum_over
from .shape cimport dim_of, either
from .tensor cimport *

from .table import ROWS, op, publish


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


cdef object plus(object a, object b):
    """A sum in which None is zero."""
    return b if a is None else a if b is None else a + b


# ---- softmax -------------------------------------------------------------------------------------------------------

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
