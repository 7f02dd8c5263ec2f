"""Attention as one op, where its operands are of one dtype and one batch; else, and with dropout, a composition of ops.

attrs: f[0], the scale; mode, whether a query sees the keys up to its own position only.
"""

from cpython.object cimport PyObject
from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from .elementwise cimport params
from .rows cimport plus
from .table cimport give, shape_rule
from .tensor cimport *

from ._errors import ShapeError
from .create import arange
from .random import dropout
from .rows import softmax
from .table import elements, joint, op, publish

cdef Op SOFTMAX_VJP = declare("softmax_vjp")


cdef Layout with_last(Layout s, int64_t size):
    """The dense layout of a shape with another last size."""
    cdef int64_t shape[8]
    cdef int k
    for k in range(s.c.ndim - 1):
        shape[k] = s.c.shape[k]
    shape[s.c.ndim - 1] = size
    return dense_layout(s.c.ndim, shape)


cdef int infer_attention(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef Layout q = (<Tensor>xs[0]).layout, k = (<Tensor>xs[1]).layout, v = (<Tensor>xs[2]).layout
    give(lays, 0, with_last(q, v.c.shape[v.c.ndim - 1]))
    give(lays, 1, with_last(q, k.c.shape[k.c.ndim - 2]))
    return 0


cdef int infer_attention_vjp(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    """attrs.needs: which of dq, dk and dv are wanted."""
    cdef int k
    for k in range(3):
        if a.c.needs >> k & 1:
            give(lays, k, dense_form((<Tensor>xs[k + 1]).layout))
    return 0


def attention_weights(Tensor q, Tensor k, Tensor mask, causal, scale):
    """softmax(scale q k^T + mask), composed."""
    scores = q * scale @ k.mT       # the factor goes to the smaller operand
    if causal:
        queries, keys = [arange(n) for n in scores.shape[-2:]]
        scores = scores.masked_fill(keys > queries.unsqueeze(-1), -INFINITY)
    elif mask is not None and mask.dtype == FG_BOOL:
        scores = scores.masked_fill(~mask, -INFINITY)
    elif mask is not None:
        scores = scores + mask
    weights = softmax(scores, -1)
    if mask is not None:
        weights = weights.masked_fill((scores == -INFINITY).all(-1, keepdim=True), 0)
    return weights


cdef Tensor weights_for(Tensor q, Tensor k, Tensor mask, Tensor p, Attrs a):
    """The weights for a derivative of a derivative: p has no history, so what is differentiated further computes them again."""
    if thread().recording or (q.flags | k.flags) & (DUAL | BOXED):
        return attention_weights(q, k, mask, a.c.mode, a.c.f[0])
    return p


cdef object through_softmax(object d, Tensor p):
    """p (d - sum(d p)) in each row: from the gradient or tangent of the weights that of the scores, or the reverse."""
    cdef Attrs a = new_attrs()
    a.c.axis = p.layout.c.ndim - 1
    return apply_list(SOFTMAX_VJP, [d, p], a)


cdef object product(object a, object b):
    """a @ b, where None is zero."""
    return None if a is None or b is None else a @ b


cdef object turned(object a):
    return None if a is None else a.mT


def attention_jvp(t0, t1, t2, Tensor q, Tensor k, v, mask, Attrs a):
    p = attention_weights(q, k, mask, a.c.mode, a.c.f[0])
    t = plus(product(t0, k.mT), product(q, turned(t1)))
    return plus(product(p, t2), None if t is None else through_softmax(t * a.c.f[0], p) @ v)


def attention_vjp_vjp(h0, h1, h2, g, Tensor q, Tensor k, v, p, mask, Attrs a):
    """The gradients of dq = c d k, dk = c d^T q and dv = p^T g, with d = p (e - sum(e p)) and e = g v^T, by g, q, k and v;
    p is a function of q and k."""
    c = a.c.f[0]
    p = weights_for(q, k, mask, p, a)
    e = g @ v.mT
    d = through_softmax(e, p)
    dg = dv = None
    dq, dk = product(d, h1), product(turned(d), h0)
    by_p = product(g, turned(h2))
    m = plus(product(h0, k.mT), product(q, turned(h1)))
    if m is not None:
        m = m * c
        n = through_softmax(m, p)
        dg, dv = n @ v, n.mT @ g
        by_p = plus(by_p, m * (e - (e * p).sum(-1, keepdim=True)) - e * (m * p).sum(-1, keepdim=True))
    if h2 is not None:
        dg = plus(dg, p @ h2)
    if by_p is not None:
        s = through_softmax(by_p, p)
        dq, dk = plus(dq, s @ k), plus(dk, s.mT @ q)
    return dg, None if dq is None else dq * c, None if dk is None else dk * c, dv, None, None


def attention_vjp_jvp(t0, t1, t2, t3, g, Tensor q, Tensor k, v, p, mask, Attrs a):
    """The tangents of dq, dk and dv, with the names of attention_vjp_vjp."""
    cdef unsigned int needs = a.c.needs
    c = a.c.f[0]
    p = weights_for(q, k, mask, p, a)
    by_e, by_p, dq, dk, dv = plus(product(t0, v.mT), product(g, turned(t3))), None, None, None, None
    t = plus(product(t1, k.mT), product(q, turned(t2)))
    if t is not None:
        by_p = through_softmax(t * c, p)
    if needs & 3:
        e = g @ v.mT
        d, td = through_softmax(e, p), None if by_e is None else through_softmax(by_e, p)
        if by_p is not None:
            td = plus(td, by_p * (e - (e * p).sum(-1, keepdim=True)) - p * (e * by_p).sum(-1, keepdim=True))
        if needs & 1:
            dq = plus(product(td, k), product(d, t2)) * c
        if needs & 2:
            dk = plus(product(turned(td), q), product(d.mT, t1)) * c
    if needs & 4:
        dv = plus(product(turned(by_p), g), product(turned(p), t0))
    return dq, dk, dv


cdef Tensor masked_batch(Tensor mask, int64_t size, int ndim):
    """A batch of masks, aligned to operands of ndim dimensions."""
    return mask.reshape([size] + [1] * (ndim - mask.layout.c.ndim) + list(mask.shape[1:]))


def attention_batch(Op o, Attrs a, size, which, xs):
    """More batch dimensions; the mask, the last operand, broadcasts by itself."""
    last = len(xs) - 1
    found = [x if which >> i & 1 else x.expand([size, *x.shape]) for i, x in enumerate(xs[:last])]
    mask = xs[last]
    return apply_list(o, [*found, masked_batch(mask, size, found[0].ndim) if which >> last & 1 else mask], a)


def attention_flops(a, q, k, v, mask=None):
    rows, keys = elements(q[:-1]), k[len(k) - 2]
    return 2 * elements(q) * keys + 2 * rows * elements(v[-2:]) + 20 * rows * keys


def attention_vjp_flops(a, g, q, k, v, p, mask=None):
    scores, width, values = elements(p), q[len(q) - 1], v[len(v) - 1]
    return 2 * scores * (values * (1 + (a.needs >> 2 & 1)) + width * bin(a.needs & 3).count("1")) + 5 * scores


def attention_sample(r):
    def operands(*lead):
        return r.normal(size=(*lead, 3, 2)), r.normal(size=(*lead, 4, 2)), r.normal(size=(*lead, 4, 3))
    return [(operands(), {}), (operands(2), {"is_causal": True, "scale": 0.3}),
            ((*operands(2), r.uniform(size=(3, 4)) < 0.7), {})]


cdef Op ATTENTION_VJP = op(
    "scaled_dot_product_attention_vjp", shape=shape_rule(infer_attention_vjp), dtype="TTTTT.->TTT", outputs=3, family="rows",
    vjp=joint(lambda g0, g1, g2, x0, x1, x2, x3, x4, x5, a: attention_vjp_vjp(g0, g1, g2, x0, x1, x2, x3, x4, x5, a)),
    jvp=lambda t0, t1, t2, t3, x0, x1, x2, x3, x4, x5, a: attention_vjp_jvp(t0, t1, t2, t3, x0, x1, x2, x3, x4, x5, a),
    batch=lambda a, size, which, xs: attention_batch(ATTENTION_VJP, a, size, which, xs),
    flops=lambda a, *shapes: attention_vjp_flops(a, *shapes),
    numpy=("{f0} * attention_scores_vjp(x0, x3, x4) @ x2", "{f0} * attention_scores_vjp(x0, x3, x4).swapaxes(-1, -2) @ x1",
           "x4.swapaxes(-1, -2) @ x0"),
    doc="The gradients of attention by q, k and v; g, q, k, v, the weights, the mask.")
cdef Op ATTENTION = op(
    "scaled_dot_product_attention", shape=shape_rule(infer_attention), dtype="TTT.->TT", outputs=2, aux=1, family="rows",
    vjp=joint(lambda g0, x0, x1, x2, x3, y1, a, needs: (
        *apply_list(ATTENTION_VJP, [g0, x0, x1, x2, y1, x3], needing(a, needs)), None)),
    jvp=lambda t0, t1, t2, x0, x1, x2, x3, a: attention_jvp(t0, t1, t2, x0, x1, x2, x3, a),
    batch=lambda a, size, which, xs: attention_batch(ATTENTION, a, size, which, xs),
    sample=attention_sample, flops=lambda a, *shapes: attention_flops(a, *shapes),
    numpy=("attention_weights(x0, x1, x3, {f0}, {mode}) @ x2", "attention_weights(x0, x1, x3, {f0}, {mode})"),
    doc="softmax(scale q k^T + mask) v (Vaswani et al. 2017); its second output are the weights, the softmax.")


cdef bint fits(Tensor q, Tensor k, Tensor v, Tensor mask):
    """Whether the record takes these operands: no leading dimension broadcasts, no dtype is promoted, and nothing is
    differentiated by the mask."""
    cdef fg_layout* a = &q.layout.c
    cdef fg_layout* b = &k.layout.c
    cdef fg_layout* c = &v.layout.c
    cdef fg_layout* m
    cdef int64_t size
    cdef int i, last = a.ndim - 1, at
    if q.dtype != k.dtype or q.dtype != v.dtype or not fg_is_real(q.dtype) or a.ndim != b.ndim or a.ndim != c.ndim:
        return False
    if a.shape[last] != b.shape[last] or b.shape[last - 1] != c.shape[last - 1]:
        return False
    for i in range(last - 1):
        if a.shape[i] != b.shape[i] or a.shape[i] != c.shape[i]:
            return False
    if mask is None:
        return True
    m = &mask.layout.c
    if (mask.dtype != q.dtype and mask.dtype != FG_BOOL) or mask.flags & (REQUIRES_GRAD | DUAL | BOXED) or m.ndim > a.ndim:
        return False
    for i in range(m.ndim):
        at = a.ndim - m.ndim + i
        size = b.shape[last - 1] if at == last else a.shape[at]
        if m.shape[i] != size and m.shape[i] != 1:
            return False
    return True


@publish(method=False)
def scaled_dot_product_attention(Tensor query not None, Tensor key not None, Tensor value not None, Tensor attn_mask=None,
                                 dropout_p=0.0, is_causal=False, scale=None):
    """softmax(q k^T * scale + mask) v, the attention of Vaswani et al. (2017).

    query: (..., L, E); key: (..., S, E); value: (..., S, V); leading dimensions broadcast, one of them the heads. Returns
    (..., L, V).

    attn_mask: of a shape that broadcasts to (..., L, S): bool, True where a key takes part, or real, added to the scores.
    A query that no key takes part in gets zeros.
    dropout_p: the probability with which a weight of the softmax is dropped. There is no `training` here: pass 0.
    is_causal: whether query i sees the keys 0 to i only; then there is no other mask.
    scale: 1 / sqrt(E) if not given.

    Raises RuntimeError where both a mask and is_causal are given, ShapeError where sizes do not fit.

    >>> import fastgrad as fg
    >>> x = fg.ones(2, 4, 8)  # 2 heads, 4 positions
    >>> fg.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    fastgrad.Size([2, 4, 8])
    """
    cdef Attrs a
    if query.layout.c.ndim < 2 or key.layout.c.ndim < 2 or value.layout.c.ndim < 2:
        raise ShapeError(
            "scaled_dot_product_attention: expected query (..., L, E), key (..., S, E) and value (..., S, V), got "
            f"{tuple(query.shape)}, {tuple(key.shape)} and {tuple(value.shape)}")
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention: attn_mask must be None where is_causal is True")
    if scale is None:
        scale = query.shape[-1] ** -0.5
    if not dropout_p and type(scale) in (float, int) and fits(query, key, value, attn_mask):
        a = params(scale)
        a.c.mode = bool(is_causal)
        return apply_list(ATTENTION, [query, key, value, attn_mask], a)
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p, True)
    return weights @ value
