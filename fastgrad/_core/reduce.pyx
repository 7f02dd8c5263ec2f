"""The family of reductions: sums, products, extremes, means, variances and norms over any dimensions.

Every function also takes NumPy's `axis` for `dim` and `keepdims` for `keepdim`, as PyTorch's do. The attributes
of each: `axes`, the reduced ones as a mask; `mode`, 1 where they stay with size 1.
"""

from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t

from .arguments cimport code_of
from .elementwise cimport over, times, where
from .promote cimport cast
from .shape cimport axes_mask, dim_of, either, expand_to, permuted, reshape_to
from .tensor cimport *

from . import _results as results
from .table import LINEAR, NONE, REDUCED, functions, op, publish

cdef Op DIV = declare("div")
cdef Op EQ = declare("eq")
cdef Op NE = declare("ne")
cdef Op LOGICAL_OR = declare("logical_or")
cdef Op SIGN = declare("sign")
cdef Op ABS = declare("abs")
cdef Op MAXIMUM = declare("maximum")
cdef Op MINIMUM = declare("minimum")


# ---- what rules are written with -----------------------------------------------------------------------------------

cdef Attrs over_axes(unsigned int axes, bint keepdim):
    cdef Attrs a = new_attrs()
    a.c.axes = axes
    a.c.mode = keepdim
    return a


cdef bint kept(object keepdim, object keepdims) except -1:
    """Whether the reduced dimensions stay. An int is refused: in ``x.sum(0, 1)`` it is meant as a second dimension."""
    if keepdim is False and keepdims is False:
        return False
    if type(keepdim) is int or type(keepdims) is int:
        raise TypeError(f"keepdim must be a bool, got {keepdims if keepdim is False else keepdim}; several dimensions are given "
                        f"as one tuple, dim=(0, 1)")
    return bool(keepdim) or bool(keepdims)


cdef Tensor spread(Tensor g, Layout s, Attrs a):
    cdef int64_t shape[8]
    cdef int k
    if g.layout.c.ndim not in (0, s.c.ndim):
        for k in range(s.c.ndim):
            shape[k] = 1 if a.c.axes >> k & 1 else s.c.shape[k]
        g = reshape_to(g, s.c.ndim, shape)
    return g if same_shape(g.layout, s) else expand_to(g, s.c.ndim, s.c.shape)


cdef Tensor sum_over(Tensor x, unsigned int axes, bint keepdim):
    return <Tensor>apply1(SUM, x, over_axes(axes, keepdim))


cdef Tensor mean_over(Tensor x, unsigned int axes, bint keepdim):
    return <Tensor>apply1(MEAN, x, over_axes(axes, keepdim))


cdef int64_t count_of(Layout s, unsigned int axes) noexcept:
    """How many elements there are behind one of the result."""
    cdef int64_t n = 1
    cdef int k
    for k in range(s.c.ndim):
        if axes >> k & 1:
            n *= s.c.shape[k]
    return n


cdef Tensor positions(Layout s, int axis):
    """0, 1, 2, ... along one axis of s, of size 1 along the others."""
    cdef int64_t shape[8]
    cdef int64_t i
    cdef int k
    cdef Tensor t
    for k in range(s.c.ndim):
        shape[k] = s.c.shape[k] if k == axis else 1
    t = new_tensor(dense_layout(s.c.ndim, shape), FG_I64)
    for i in range(t.layout.c.size):
        (<int64_t*>t.data)[i] = i
    return t


# ---- sums and means ------------------------------------------------------------------------------------------------

def some(**kwargs):
    """Samples of one tensor: all dimensions, one, two; values away from 0 and from each other."""
    def draw(r, shape):
        n = 1
        for size in shape:
            n *= size
        return (r.permutation(n).reshape(shape) + r.uniform(0.6, 1.0, shape)) * r.choice([-0.3, 0.3], shape)
    return lambda r: [((draw(r, (2, 3)),), kwargs), ((draw(r, (2, 3, 2)),), {"dim": 1, **kwargs}),
                      ((draw(r, (2, 3, 2)),), {"dim": (0, -1), "keepdim": True, **kwargs})]


def along(**kwargs):
    """Samples for functions that take one dimension."""
    return lambda r: [((r.permutation(6).reshape(2, 3) * 0.7 - 1.5,), {"dim": 1, **kwargs}),
                      ((r.permutation(12).reshape(2, 3, 2) * 0.3 - 1.5,), {"dim": 0, "keepdim": True, **kwargs})]


cdef Op SUM = op("sum", shape="REDUCE", dtype="T->L", vjp=(lambda g, s0, a: spread(g, s0, a),), jvp=LINEAR, family="reduce",
                 sample=some(), doc="The sum over the given dimensions, or over all; of integers as int64.", numpy="{sum}")
cdef Op MEAN = op("mean", shape="REDUCE", dtype="T->T", jvp=LINEAR, family="reduce", sample=some(),
                  vjp=(lambda g, s0, a: spread(<Tensor>apply2(DIV, g, count_of(s0, (<Attrs>a).c.axes)), s0, a),),
                  doc="The mean over the given dimensions, or over all.", numpy="x0.mean({over})")
cdef Op NANSUM = op("nansum", shape="REDUCE", dtype="T->T", jvp=REDUCED, family="reduce", sample=some(),
                    vjp=(lambda g, x0, a: where(apply2(EQ, x0, x0), spread(g, (<Tensor>x0).layout, a), 0),),
                    doc="The sum, where NaN counts as 0.", numpy="np.nansum(x0, {over})")
cdef Op PROD = op("prod", shape="REDUCE", dtype="T->L", vjp=(lambda g, x0, a: prod_vjp(g, x0, a),), jvp=REDUCED, family="reduce",
                  sample=lambda r: [((r.normal(size=(2, 3)),), {}), ((r.normal(size=(2, 5)),), {"dim": 1}),
                                    ((r.normal(size=(3, 2)) * [[1.0], [0.0], [2.0]],), {"dim": 0, "keepdim": True})],
                  doc="The product over one dimension, or over all; of integers as int64.", numpy="x0.prod({over})")


def prod_vjp(Tensor g, Tensor x, Attrs a):
    """g times the product of all other elements, for each: pairs of elements are multiplied, pairs of pairs, and so on, and
    on the way back each half receives the other's product. Unlike y / x it is right, to any order, where elements are 0."""
    cdef int order[8]
    cdef int back[8]
    cdef int64_t shape[8]
    cdef int64_t kept[8]
    cdef int k, nd = x.layout.c.ndim, n = 0, m = 0
    cdef int64_t count = count_of(x.layout, a.c.axes), half
    cdef Tensor v, e
    for reduced in (0, 1):                              # the kept axes, then the reduced ones as one
        for k in range(nd):
            if (a.c.axes >> k & 1) == reduced:
                back[k] = n
                order[n] = k
                shape[n] = x.layout.c.shape[k]
                n += 1
        if not reduced:
            m = n
            for k in range(n):
                kept[k] = shape[k]
    kept[m] = count
    v = reshape_to(permuted(x, order), m + 1, kept)
    kept[m] = 1
    e = reshape_to(g, m + 1, kept)
    levels = []
    cat = functions["cat"]
    while count > 1:
        half = count // 2
        left, right, rest = v[..., :half], v[..., half:2 * half], v[..., 2 * half:]
        levels.append((left, right, half))
        v = cat([left * right, rest], -1)
        count -= half
    for left, right, half in reversed(levels):
        top = e[..., :half]
        e = cat([times(top, right), times(top, left), e[..., half:]], -1)
    return permuted(reshape_to(e, nd, shape), back)


cdef Tensor reduced(Op o, Tensor x, object dim, bint keepdim, object dtype):
    cdef int code = code_of(dtype, o.name)
    cdef Tensor y
    if code >= 0 and code != x.dtype:
        x = cast(x, code)
    y = <Tensor>apply1(o, x, over_axes(axes_mask(dim, x.layout.c.ndim), keepdim))
    return y if code < 0 or y.dtype == code else cast(y, code)


@publish
def sum(Tensor input not None, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """The sum over `dim` (an int or several), or over all dimensions; of integers and bools as int64.

    >>> import fastgrad as fg
    >>> fg.sum(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1, keepdim=True)
    tensor([[4.],
            [6.]])
    """
    return reduced(SUM, input, either(dim, axis), kept(keepdim, keepdims), dtype)


@publish
def nansum(Tensor input not None, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """The sum over `dim`, or over all dimensions, where NaN counts as 0.

    >>> import fastgrad as fg
    >>> fg.nansum(fg.tensor([1.0, fg.nan]))
    tensor(1.)
    """
    return reduced(NANSUM if fg_is_real(input.dtype) else SUM, input, either(dim, axis), kept(keepdim, keepdims), dtype)


@publish
def mean(Tensor input not None, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """The mean over `dim` (an int or several), or over all dimensions.

    >>> import fastgrad as fg
    >>> fg.mean(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=0)
    tensor([2.5000, 2.5000])
    """
    return reduced(MEAN, input, either(dim, axis), kept(keepdim, keepdims), dtype)


@publish
def prod(Tensor input not None, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """The product over `dim`, or over all dimensions; of integers and bools as int64.

    >>> import fastgrad as fg
    >>> fg.prod(fg.tensor([2.0, 3.0]))
    tensor(6.)
    """
    return reduced(PROD, input, either(dim, axis), kept(keepdim, keepdims), dtype)


# ---- variances -----------------------------------------------------------------------------------------------------

cdef Tensor deviations(Tensor x, Attrs a, Tensor g):
    """g (2 / (n - correction)) (x - mean): the derivative of the variance."""
    cdef double left = count_of(x.layout, a.c.axes) - a.c.f[0]
    return times(spread(times(g, 2 / left if left > 0 else NAN), x.layout, a), x - mean_over(x, a.c.axes, True))


cdef Tensor half_over(Tensor g, Tensor y):
    """g / (2 y), and 0 where y is 0: from the derivative of y^2 to that of y."""
    return over(where(apply2(EQ, y, 0), 0, g), y + y)


cdef object both(object a, object b):
    return b if a is None else a if b is None else a + b


cdef object mean_vjp(object g, Tensor x, Attrs a):
    return None if g is None else spread(<Tensor>apply2(DIV, g, count_of(x.layout, a.c.axes)), x.layout, a)


cdef Op VAR = op("var", shape="REDUCE", dtype="T->T", vjp=(lambda g, x0, a: deviations(x0, a, g),), jvp=REDUCED, family="reduce",
                 sample=some(correction=0), doc="The variance: sum (x - mean)^2 / (n - correction), in two passes.",
                 numpy="x0.var(ddof={f0}, {over})")
cdef Op STD = op("std", shape="REDUCE", dtype="T->T", jvp=REDUCED, family="reduce", sample=some(),
                 vjp=(lambda g, x0, y, a: deviations(x0, a, half_over(g, y)),), doc="The square root of the variance.",
                 numpy="x0.std(ddof={f0}, {over})")
cdef Op VAR_MEAN = op("var_mean", shape="REDUCE", dtype="T->TT", outputs=2, kernel="var",
                      jvp=REDUCED, family="reduce", sample=some(),
                      vjp=(lambda g0, g1, x0, a: both(None if g0 is None else deviations(x0, a, g0), mean_vjp(g1, x0, a)),),
                      doc="The variance and the mean.", numpy=("x0.var(ddof={f0}, {over})", "x0.mean({over})"))
cdef Op STD_MEAN = op("std_mean", shape="REDUCE", dtype="T->TT", outputs=2, kernel="std",
                      jvp=REDUCED, family="reduce", sample=some(),
                      vjp=(lambda g0, g1, x0, y0, a: both(None if g0 is None else deviations(x0, a, half_over(g0, y0)),
                                                          mean_vjp(g1, x0, a)),),
                      doc="The standard deviation and the mean.", numpy=("x0.std(ddof={f0}, {over})", "x0.mean({over})"))


cdef object spread_of(Op o, Tensor x, object dim, object unbiased, bint keepdim, object correction):
    cdef Attrs a
    if type(dim) is bool:                   # var(x, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{o.name}: got both unbiased and correction; unbiased=True is correction=1")
    a = over_axes(axes_mask(dim, x.layout.c.ndim), keepdim)
    a.c.f[0] = correction if correction is not None else 1 if unbiased is None else <bint>unbiased
    return apply1(o, x, a)


@publish
def var(Tensor input not None, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=False):
    """The variance over `dim`, or over all dimensions, with n - correction as its divisor (correction 1 if not given).

    >>> import fastgrad as fg
    >>> fg.var(fg.tensor([1.0, 3.0]))
    tensor(2.)
    """
    return spread_of(VAR, input, either(dim, axis), unbiased, kept(keepdim, keepdims), correction)


@publish
def std(Tensor input not None, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None, keepdims=False):
    """The standard deviation over `dim`, or over all dimensions: the square root of `var`.

    >>> import fastgrad as fg
    >>> fg.std(fg.tensor([1.0, 3.0]), correction=0)
    tensor(1.)
    """
    return spread_of(STD, input, either(dim, axis), unbiased, kept(keepdim, keepdims), correction)


@publish(method=False)
def var_mean(Tensor input not None, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None,
             keepdims=False):
    """The variance and the mean, as a pair.

    >>> import fastgrad as fg
    >>> fg.var_mean(fg.tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
    return spread_of(VAR_MEAN, input, either(dim, axis), unbiased, kept(keepdim, keepdims), correction)


@publish(method=False)
def std_mean(Tensor input not None, dim=None, unbiased=None, keepdim=False, *, correction=None, axis=None,
             keepdims=False):
    """The standard deviation and the mean, as a pair.

    >>> import fastgrad as fg
    >>> fg.std_mean(fg.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    return spread_of(STD_MEAN, input, either(dim, axis), unbiased, kept(keepdim, keepdims), correction)


# ---- norms ---------------------------------------------------------------------------------------------------------

cdef Op NORM = op("norm", shape="REDUCE", dtype="T->T", vjp=(lambda g, x0, y, a: norm_vjp(g, x0, y, a),),
                  jvp=REDUCED, family="reduce",
                  sample=lambda r: [(x, {**k, "p": p}) for p in (2, 1, 3, float("inf")) for x, k in some()(r)],
                  doc="(sum |x|^p)^(1/p); for p = inf and -inf the largest and smallest |x|, for p = 0 the number of nonzeros.",
                  numpy="norm(x0, {f0}, {over})")
cdef Op LOGSUMEXP = op("logsumexp", shape="REDUCE", dtype="F->F", jvp=REDUCED, family="reduce", sample=along(),
                       vjp=(lambda g, x0, y, a: times(spread(g, (<Tensor>x0).layout, a),
                                                      (x0 - spread(y, (<Tensor>x0).layout, a)).exp()),),
                       doc="log sum e^x, shifted by the maximum so that nothing overflows.", numpy="logsumexp(x0, {over})")


cdef object safe_power(Tensor x, double p):
    """|x|^p, and 0 where x is 0 also for p < 0."""
    zero = apply2(EQ, x, 0)
    return where(zero, 0, apply1(ABS, where(zero, 1, x), None) ** p)


def norm_vjp(Tensor g, Tensor x, Tensor y, Attrs a):
    cdef double p = a.c.f[0]
    cdef Layout s = x.layout
    if p == 0:
        return None
    if p == 1:
        return times(spread(g, s, a), apply1(SIGN, x, None))
    if p == 2:
        return times(spread(over(where(apply2(EQ, y, 0), 0, g), y), s, a), x)
    if p == INFINITY or p == -INFINITY:
        return times(shared(g, apply1(ABS, x, None), y, a), apply1(SIGN, x, None))
    return times(times(spread(times(g, safe_power(y, 1 - p)), s, a), safe_power(x, p - 1)), apply1(SIGN, x, None))


@publish
def norm(Tensor input not None, p="fro", dim=None, keepdim=False, dtype=None, *, axis=None, keepdims=False):
    """The p-norm of all elements, or of the vectors along `dim`; p a number, inf, -inf or "fro" (2).

    >>> import fastgrad as fg
    >>> fg.norm(fg.tensor([3.0, 4.0]))
    tensor(5.)
    """
    cdef int code = code_of(dtype, "norm")
    cdef Attrs a
    if code >= 0 and code != input.dtype:
        input = cast(input, code)
    a = over_axes(axes_mask(either(dim, axis), input.layout.c.ndim), kept(keepdim, keepdims))
    if p is None or p == "fro":
        p = 2
    elif isinstance(p, str):
        raise ValueError(f"norm: p must be a number or 'fro', got {p!r}")
    a.c.f[0] = p
    if a.c.f[0] in (INFINITY, -INFINITY):
        need_elements("norm", input, a.c.axes)
    return apply1(NORM, input, a)


@publish
def logsumexp(Tensor input not None, dim=None, keepdim=False, *, axis=None, keepdims=False):
    """log(sum(exp(input))) over `dim` (an int or several), without overflow.

    >>> import fastgrad as fg
    >>> fg.logsumexp(fg.tensor([[0.0, 0.0], [1000.0, 1000.0]]), dim=1)
    tensor([6.9315e-01, 1.0007e+03])
    """
    if dim is None and axis is None:
        raise TypeError("logsumexp: say over which dimensions, dim=...")
    return apply1(LOGSUMEXP, input, over_axes(axes_mask(either(dim, axis), input.layout.c.ndim), kept(keepdim, keepdims)))


# ---- extremes ------------------------------------------------------------------------------------------------------
# A tie: amax and amin share the gradient evenly among the extremes, max and min with a dim give it to the first, whose
# index they return. Both as in PyTorch.

cdef Tensor shared(Tensor g, Tensor x, Tensor y, Attrs a):
    best = apply2(LOGICAL_OR, apply2(EQ, x, spread(y, x.layout, a)), apply2(NE, x, x))      # where there is a NaN, y is NaN
    return where(best, spread(<Tensor>apply2(DIV, g, apply1(SUM, <Tensor>best, a)), x.layout, a), 0)


cdef object routed(object g, Tensor index, Layout s, Attrs a):
    if s.c.ndim == 0:
        return g
    return where(apply2(EQ, positions(s, a.c.axis), spread_index(index, s, a)), spread(g, s, a), 0)


cdef Tensor spread_index(Tensor index, Layout s, Attrs a):
    """The index with its axis again, of size 1."""
    cdef int64_t shape[8]
    cdef int k
    for k in range(s.c.ndim):
        shape[k] = 1 if a.c.axes >> k & 1 else s.c.shape[k]
    return reshape_to(index, s.c.ndim, shape)


cdef Op AMAX = op("amax", shape="REDUCE", dtype="T->T", vjp=(lambda g, x0, y, a: shared(g, x0, y, a),),
                  jvp=REDUCED, family="reduce",
                  sample=some(), doc="The largest element; NaN if there is one.", numpy="x0.max({over})")
cdef Op AMIN = op("amin", shape="REDUCE", dtype="T->T", vjp=(lambda g, x0, y, a: shared(g, x0, y, a),),
                  jvp=REDUCED, family="reduce",
                  sample=some(), doc="The smallest element; NaN if there is one.", numpy="x0.min({over})")
cdef Op MAX_DIM = op("max", shape="REDUCE", dtype="T->Ti", outputs=2, kernel="max_dim", dense=True, jvp=REDUCED, family="reduce",
                     vjp=(lambda g0, y1, s0, a: routed(g0, y1, s0, a),), sample=along(),
                     doc="The largest element along a dimension, and its index.",
                     numpy=("x0.max({over})", "x0.argmax({over})"))
cdef Op MIN_DIM = op("min", shape="REDUCE", dtype="T->Ti", outputs=2, kernel="min_dim", dense=True, jvp=REDUCED, family="reduce",
                     vjp=(lambda g0, y1, s0, a: routed(g0, y1, s0, a),), sample=along(),
                     doc="The smallest element along a dimension, and its index.",
                     numpy=("x0.min({over})", "x0.argmin({over})"))
cdef Op ARGMAX = op("argmax", shape="REDUCE", dtype="T->i", vjp=NONE, dense=True, family="reduce", sample=along(),
                    doc="The index of the first largest element, or of the first NaN.", numpy="x0.argmax({over})")
cdef Op ARGMIN = op("argmin", shape="REDUCE", dtype="T->i", vjp=NONE, dense=True, family="reduce", sample=along(),
                    doc="The index of the first smallest element, or of the first NaN.", numpy="x0.argmin({over})")
cdef Op ANY = op("any", shape="REDUCE", dtype="T->b", vjp=NONE, family="reduce", doc="Whether any element is true.",
                 sample=lambda r: [((r.random((2, 3)) < 0.3,), {}), ((r.random((2, 3)) < 0.3,), {"dim": 1})],
                 numpy="x0.any({over})")
cdef Op ALL = op("all", shape="REDUCE", dtype="T->b", vjp=NONE, family="reduce", doc="Whether all elements are true.",
                 sample=lambda r: [((r.random((2, 3)) < 0.7,), {}), ((r.random((2, 3)) < 0.7,), {"dim": 0, "keepdim": True})],
                 numpy="x0.all({over})")


cdef int need_elements(str who, Tensor x, unsigned int axes, bint whole=False) except -1:
    """An extreme of nothing does not exist."""
    cdef int k
    if x.layout.c.size:
        return 0
    if whole:
        raise RuntimeError(f"{who}: the tensor to be reduced has no elements, in shape {tuple(x.shape)}")
    for k in range(x.layout.c.ndim):
        if axes >> k & 1 and x.layout.c.shape[k] == 0:
            raise IndexError(f"{who}: dimension {k} to be reduced has no elements, in shape {tuple(x.shape)}")
    return 0


cdef Tensor extreme(Op o, Tensor x, object dim, bint keepdim):
    cdef unsigned int axes = axes_mask(dim, x.layout.c.ndim)
    need_elements(o.name, x, axes, dim is None or dim == ())
    return <Tensor>apply1(o, x, over_axes(axes, keepdim))


cdef Attrs one_axis(str who, Tensor x, object dim, bint keepdim):
    cdef int axis = dim_of(dim, x.layout.c.ndim)
    cdef Attrs a = over_axes(<unsigned int>1 << axis if x.layout.c.ndim else 0, keepdim)
    a.c.axis = axis
    need_elements(who, x, a.c.axes)
    return a


@publish
def amax(Tensor input not None, dim=(), keepdim=False, *, axis=None, keepdims=False):
    """The largest element over `dim` (an int or several), or over all dimensions. Ties share the gradient evenly.

    >>> import fastgrad as fg
    >>> fg.amax(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1)
    tensor([3., 4.])
    """
    return extreme(AMAX, input, either(dim, axis), kept(keepdim, keepdims))


@publish
def amin(Tensor input not None, dim=(), keepdim=False, *, axis=None, keepdims=False):
    """The smallest element over `dim` (an int or several), or over all dimensions. Ties share the gradient evenly.

    >>> import fastgrad as fg
    >>> fg.amin(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1)
    tensor([1., 2.])
    """
    return extreme(AMIN, input, either(dim, axis), kept(keepdim, keepdims))


@publish
def aminmax(Tensor input not None, *, dim=None, keepdim=False, axis=None, keepdims=False):
    """The smallest and the largest element along `dim`, or of all, as (min, max).

    >>> import fastgrad as fg
    >>> fg.aminmax(fg.tensor([1.0, 3.0, 2.0])).max
    tensor(3.)
    """
    dim = either(dim, axis)
    keepdim = kept(keepdim, keepdims)
    return results.aminmax(extreme(AMIN, input, dim, keepdim), extreme(AMAX, input, dim, keepdim))


cdef object extreme_of(Op whole, Op along_dim, Op pairwise, object result, Tensor x, object dim, bint keepdim):
    if dim is None:
        return extreme(whole, x, None, keepdim)
    if type(dim) is Tensor:
        return apply2(pairwise, x, dim)
    return result(*apply1(along_dim, x, one_axis(along_dim.name, x, dim, keepdim)))


@publish
def max(Tensor input not None, dim=None, keepdim=False, *, other=None, axis=None, keepdims=False):
    """The largest element of all; with a `dim`, (values, indices) along it; with a Tensor, the larger of both, elementwise.

    Of equal elements the index is that of the first; NaN counts as the largest.

    >>> import fastgrad as fg
    >>> fg.max(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1).indices
    tensor([1, 0])
    """
    return extreme_of(AMAX, MAX_DIM, MAXIMUM, results.max, input, either(dim, axis) if other is None else other,
                      kept(keepdim, keepdims))


@publish
def min(Tensor input not None, dim=None, keepdim=False, *, other=None, axis=None, keepdims=False):
    """The smallest element of all; with a `dim`, (values, indices) along it; with a Tensor, the smaller of both, elementwise.

    Of equal elements the index is that of the first; NaN counts as the smallest.

    >>> import fastgrad as fg
    >>> fg.min(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1).values
    tensor([1., 2.])
    """
    return extreme_of(AMIN, MIN_DIM, MINIMUM, results.min, input, either(dim, axis) if other is None else other,
                      kept(keepdim, keepdims))


cdef object index_of(Op o, Tensor x, object dim, bint keepdim):
    cdef Attrs a
    if dim is not None:
        return apply1(o, x, one_axis(o.name, x, dim, keepdim))
    a = over_axes(axes_mask(None, x.layout.c.ndim), keepdim)
    need_elements(o.name, x, a.c.axes)
    return apply1(o, x, a)


@publish
def argmax(Tensor input not None, dim=None, keepdim=False, *, axis=None, keepdims=False):
    """The index of the first largest element along `dim`, or in the flattened tensor.

    >>> import fastgrad as fg
    >>> fg.argmax(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
    return index_of(ARGMAX, input, either(dim, axis), kept(keepdim, keepdims))


@publish
def argmin(Tensor input not None, dim=None, keepdim=False, *, axis=None, keepdims=False):
    """The index of the first smallest element along `dim`, or in the flattened tensor.

    >>> import fastgrad as fg
    >>> fg.argmin(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1)
    tensor([0, 1])
    """
    return index_of(ARGMIN, input, either(dim, axis), kept(keepdim, keepdims))


cdef Tensor truth(Tensor x):
    return x if x.dtype == FG_BOOL else <Tensor>apply2(NE, x, 0)


cdef Tensor verdict(Op o, Tensor x, object dim, bint keepdim):
    """A bool, but uint8 for uint8, as in PyTorch."""
    cdef Tensor y = reduced(o, truth(x), dim, keepdim, None)
    return cast(y, FG_U8) if x.dtype == FG_U8 else y


@publish
def any(Tensor input not None, dim=None, keepdim=False, *, axis=None, keepdims=False):
    """Whether any element over `dim`, or of all, is not 0.

    >>> import fastgrad as fg
    >>> fg.any(fg.tensor([[False, False], [True, False]]), dim=1)
    tensor([False,  True])
    """
    return verdict(ANY, input, either(dim, axis), kept(keepdim, keepdims))


@publish
def all(Tensor input not None, dim=None, keepdim=False, *, axis=None, keepdims=False):
    """Whether all elements over `dim`, or all there are, are not 0.

    >>> import fastgrad as fg
    >>> fg.all(fg.tensor([[True, False], [True, True]]), dim=1)
    tensor([False,  True])
    """
    return verdict(ALL, input, either(dim, axis), kept(keepdim, keepdims))


@publish
def count_nonzero(Tensor input not None, dim=None, *, axis=None):
    """How many elements over `dim`, or of all, are not 0.

    >>> import fastgrad as fg
    >>> fg.count_nonzero(fg.tensor([[0, 5], [6, 7]]), dim=1)
    tensor([1, 2])
    """
    return reduced(SUM, truth(input), either(dim, axis), False, None)
