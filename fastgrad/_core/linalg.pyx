"""The family of matrix products: matmul and linear are kernels, everything else here is composed of them.

`linear` is one op although it is a product and a sum: its gradients are one call (`linear_vjp`) that hands transposed
layouts to the product instead of making transposed views, and the bias costs no pass of its own over the tape.
"""

from cpython.object cimport PyObject

from functools import partial

from .memory cimport Attrs, Layout
from .shape cimport swapped
from .table cimport give, shape_rule
from .tensor cimport *

from ._blas import choose
from ._errors import DTypeError, ShapeError
from .table import MULTILINEAR, NONE, composed, elements, joint, op, publish

choose()


# ---- matmul --------------------------------------------------------------------------------------------------------

def matmul_left(Tensor g, Layout s0, Tensor x1):
    """The gradient of the left factor."""
    if x1.layout.c.ndim == 1:
        return g * x1 if s0.c.ndim == 1 else g.unsqueeze(-1) * x1
    if s0.c.ndim == 1 and x1.layout.c.ndim > 2:
        return apply2(MATMUL, x1, g.unsqueeze(-1)).squeeze(-1)
    return apply2(MATMUL, g, swapped(x1, x1.layout.c.ndim - 2, x1.layout.c.ndim - 1))


def matmul_right(Tensor g, Tensor x0, Layout s1):
    """The gradient of the right factor."""
    cdef int n = x0.layout.c.ndim
    if n == 1:
        return g * x0 if s1.c.ndim == 1 else x0.unsqueeze(-1) * g.unsqueeze(-2)
    if s1.c.ndim == 1:
        return apply2(MATMUL, g.reshape(-1), x0.reshape(-1, x0.shape[n - 1]))
    if s1.c.ndim == 2 and n > 2:    # one matrix for a whole batch: one product sums over the batch
        g = g.reshape(-1, g.shape[g.layout.c.ndim - 1])
        x0 = x0.reshape(-1, x0.shape[n - 1])
        n = 2
    return apply2(MATMUL, swapped(x0, n - 2, n - 1), g)


def matmul_flops(a, x, y):
    n = 2 * x[len(x) - 1]
    for d in x[:len(x) - 1]:
        n *= d
    batch = 1
    for k, d in enumerate(y[:-2]):
        at = len(x) - len(y) + k        # the axes y alone has repeat the product
        batch *= d if at < 0 or x[at] == 1 else 1
    return n * batch * (y[len(y) - 1] if len(y) > 1 else 1)


cdef Op MATMUL = op(
    "matmul", shape="MATMUL", dtype="TT->T", jvp=MULTILINEAR, family="linalg", flops=matmul_flops,
    vjp=(lambda g, s0, x1: matmul_left(g, s0, x1), lambda g, x0, s1: matmul_right(g, x0, s1)),
    sample=lambda r: [((r.normal(size=a), r.normal(size=b)), {}) for a, b in (
        ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 1, 2, 3), (4, 3, 2)), ((2, 4, 3), (3, 2)),
        ((3,), (2, 3, 2)), ((2, 2, 3), (3,)))],
    doc="The product of matrices; vectors are rows on the left and columns on the right, leading dimensions broadcast.",
    numpy="x0 @ x1")


@publish
def matmul(Tensor input not None, other):
    """The product of two tensors, as the operator ``@``: of matrices, of vectors (a row on the left, a column on the right),
    or of stacks of matrices, whose leading dimensions broadcast.

    input: (..., m, k) or (k); other: (..., k, n) or (k). Returns (..., m, n), without m or n where a vector stood.
    Raises ShapeError where the sizes k differ or the leading dimensions do not broadcast.

    >>> import fastgrad as fg
    >>> fg.matmul(fg.ones(2, 3), fg.ones(3, 4)).shape
    fastgrad.Size([2, 4])
    """
    if type(other) is not Tensor:
        raise TypeError(f"matmul: expected a Tensor, got {type(other).__name__}")
    return apply2(MATMUL, input, other)


# ---- linear --------------------------------------------------------------------------------------------------------

cdef int infer_linear(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef fg_layout* x = &(<Tensor>xs[0]).layout.c
    cdef fg_layout* w = &(<Tensor>xs[1]).layout.c
    cdef int64_t shape[8]
    cdef int k
    if w.ndim != 2 or x.ndim == 0 or x.shape[x.ndim - 1] != w.shape[1]:
        raise_linear(xs)
    if xs[2] != NULL:
        b = (<Tensor>xs[2]).layout
        if b.c.ndim != 1 or b.c.shape[0] != w.shape[0]:
            raise_linear(xs)
    for k in range(x.ndim - 1):
        shape[k] = x.shape[k]
    shape[x.ndim - 1] = w.shape[0]
    give(lays, 0, dense_layout(x.ndim, shape))
    return 0


cdef int raise_linear(PyObject** xs) except -1:
    x, w = tuple((<Tensor>xs[0]).shape), tuple((<Tensor>xs[1]).shape)
    if len(w) != 2:
        raise ShapeError(f"linear: the weight must have shape (out_features, in_features), got {w}")
    if not x or x[len(x) - 1] != w[1]:
        raise ShapeError(f"linear: an input of shape {x} does not fit a weight of shape {w}: expected (..., {w[1]})")
    raise ShapeError(f"linear: a bias of shape {tuple((<Tensor>xs[2]).shape)} does not fit a weight of shape {w}: expected "
                     f"({w[0]},)")


cdef int raise_mixed(Tensor x, Tensor w) except -1:
    double = x.dtype == FG_F64
    raise DTypeError(f"linear: the input is {dtype_of(x.dtype).name} and the weight {dtype_of(w.dtype).name}: "
                     + ("convert the input with .float() (NumPy's arrays are float64 unless they say otherwise), or the model "
                        "with .double()" if double else "convert the input with .double(), or the model with .float()"))


cdef int infer_linear_vjp(Op o, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    """attrs.needs: which of dx, dweight and dbias are wanted."""
    cdef Layout w = (<Tensor>xs[2]).layout
    if a.c.needs & 1:
        give(lays, 0, dense_form((<Tensor>xs[1]).layout))
    if a.c.needs & 2:
        give(lays, 1, dense_form(w))
    if a.c.needs & 4:
        give(lays, 2, dense_layout(1, w.c.shape))
    return 0


cdef object linear_vjp(Tensor g, Tensor x, Tensor w, unsigned int needs):
    cdef PyObject* xs[3]
    xs[0] = <PyObject*>g
    xs[1] = <PyObject*>x
    xs[2] = <PyObject*>w
    return apply(LINEAR_VJP, xs, 3, needing(None, needs))


def linear_vjp_vjp(Tensor g0, Tensor g1, Tensor g2, Tensor x0, Tensor x1, Tensor x2, needs):
    """From dx = g w, dw = g^T x, db = sum g: linear in each of g, x, w."""
    dg = dx = dw = None
    if needs & 1:
        if g0 is not None:
            dg = linear(g0, x2, g2)
        elif g2 is not None:
            dg = g2.expand(x0.shape)
        if g1 is not None:
            other = linear(x1, g1)
            dg = other if dg is None else dg + other
    wanted = (1 if needs & 2 and g1 is not None else 0) | (2 if needs & 4 and g0 is not None else 0)
    if wanted:
        dx, dw, _ = linear_vjp(x0, g0 if g0 is not None else x1, g1 if g1 is not None else x2, wanted)
    return dg, dx, dw


def linear_numpy(a, x, w, b):
    return "x0 @ x1.T" if b is None else "x0 @ x1.T + x2"


def linear_vjp_numpy(a, g, x, w):
    """dx, dw, db as expressions; rows in more dimensions than one are counted as one."""
    if len(g) == 1:
        return "x0 @ x2", "np.outer(x0, x1)", "x0"
    if len(g) == 2:
        return "x0 @ x2", "x0.T @ x1", "x0.sum(axis=0)"
    rows = f"x0.reshape(-1, {w[0]})"
    return "x0 @ x2", f"{rows}.T @ x1.reshape(-1, {w[1]})", f"{rows}.sum(axis=0)"


def linear_jvp(t0, t1, t2, Tensor x, Tensor w):
    """The product rule, in one call where only one factor moves; the bias rides along."""
    y = None
    if t0 is not None:
        y = linear(t0, w, t2 if t1 is None else None)
    if t1 is not None:
        other = linear(x, t1, t2)
        return other if y is None else y + other
    return t2 if y is None else y


def linear_vjp_jvp(t0, t1, t2, Tensor g, Tensor x, Tensor w, Attrs a):
    """dx = g w, dw = g^T x, db = sum g: linear in each of g, x, w."""
    cdef unsigned int needs = a.c.needs
    dx = dw = db = None
    if t0 is not None:
        dx, dw, db = linear_vjp(t0, x, w, needs)
    if t1 is not None and needs & 2:
        other = linear_vjp(g, t1, w, 2)[1]
        dw = other if dw is None else dw + other
    if t2 is not None and needs & 1:
        other = linear_vjp(g, x, t2, 1)[0]
        dx = other if dx is None else dx + other
    return dx, dw, db


def linear_batch(a, size, which, xs):
    """Only weights of a batch make it more than one product."""
    x, w, b = xs
    if not which & 6:
        return linear(x, w, b)
    if which & 2 and x.ndim == 1 + (which & 1):     # one vector each: weights to the left, and their gradient lies as they do
        y = apply2(MATMUL, w, x.unsqueeze(-1)).squeeze(-1) if which & 1 else apply2(MATMUL, w, x)
    elif which & 2:
        lead = x.shape[1:] if which & 1 else x.shape
        rows = x.reshape([size, -1, x.shape[-1]] if which & 1 else [-1, x.shape[-1]])
        y = apply2(MATMUL, rows, w.mT).reshape([size, *lead[:-1], w.shape[1]])
    else:
        y = linear(x, w)
        if not which & 1:
            y = y.expand([size, *y.shape])
    if b is None:
        return y
    return y + (b.reshape([size] + [1] * (y.ndim - 2) + [b.shape[-1]]) if which & 4 else b)


def linear_vjp_composed(Attrs a, Tensor g, Tensor x, Tensor w):
    cdef unsigned int needs = a.c.needs
    rows = None if not needs & 6 else g.reshape(-1, g.shape[g.ndim - 1])
    return (apply2(MATMUL, g, w) if needs & 1 else None,
            apply2(MATMUL, rows.mT, x.reshape(-1, x.shape[x.ndim - 1])) if needs & 2 else None,
            rows.sum(0) if needs & 4 else None)


def linear_sample(r):
    w, b = r.normal(size=(4, 3)), r.normal(size=4)
    return [((r.normal(size=(2, 3)), w, b), {}), ((r.normal(size=(2, 2, 3)), w), {}), ((r.normal(size=3), w, b), {})]


cdef Op LINEAR_VJP = op(
    "linear_vjp", shape=shape_rule(infer_linear_vjp), dtype="TTT->TTT", outputs=3, family="linalg",
    vjp=joint(lambda g0, g1, g2, x0, x1, x2, needs: linear_vjp_vjp(g0, g1, g2, x0, x1, x2, needs)),
    jvp=lambda t0, t1, t2, x0, x1, x2, a: linear_vjp_jvp(t0, t1, t2, x0, x1, x2, a),
    batch=composed(lambda a, g, x, w: linear_vjp_composed(a, g, x, w)),
    flops=lambda a, g, x, w: 2 * matmul_flops(None, g, w) * bin(a.needs & 3).count("1") // 2,
    numpy=linear_vjp_numpy,
    doc="The gradients of linear from that of its output: g weight, g^T x, and g summed over its rows.")
cdef Op LINEAR = op(
    "linear", shape=shape_rule(infer_linear), dtype="TTT->T", family="linalg", sample=linear_sample,
    vjp=joint("linear_vjp g x0 x1 needs"),
    jvp=lambda t0, t1, t2, x0, x1: linear_jvp(t0, t1, t2, x0, x1),
    batch=lambda a, size, which, xs: linear_batch(a, size, which, xs),
    flops=lambda a, x, w, b=None: matmul_flops(None, x, w[::-1]),
    numpy=linear_numpy, doc="x weight^T + bias.")


# ---- products and the activation after them: in programs (epilogue.pyx) ---------------------------------------------

def ended_flops(Op first, a, *shapes):
    """Those of the product and one for each of its outputs, which is the sum of k products."""
    n = first.flops(a, *shapes[:first.nin])
    return n + (n // (2 * max(1, shapes[0][len(shapes[0]) - 1])) if first.nin == len(shapes) else elements(shapes[first.nin]))


def ended(Op first, str then, shape, str dtype):
    """Records the op that does `first` and `then`."""
    op(f"{first.name} + {then}", joins=(first.name, then), kernel=f"{first.name}_{then}", shape=shape, dtype=dtype, vjp=NONE,
       outputs=first.outputs, family="linalg", flops=partial(ended_flops, first),
       doc=f"{first.name}, and {then} of what it gives while that is in a register or was just stored.")


ended(MATMUL, "relu", "MATMUL", "TT->T")
ended(MATMUL, "relu_vjp", "MATMUL", "TTT->T")
ended(LINEAR, "relu", shape_rule(infer_linear), "TTT->T")
ended(LINEAR_VJP, "relu_vjp", shape_rule(infer_linear_vjp), "TTTT->TTT")


@publish(method=False)
def linear(Tensor input not None, Tensor weight not None, Tensor bias=None):
    """An affine map of the last dimension: ``input @ weight.T + bias``.

    input: (..., in_features); weight: (out_features, in_features); bias: (out_features) or None.
    Returns (..., out_features). Raises ShapeError where the sizes do not fit, DTypeError where input and weight are of two
    floating-point types.

    >>> import fastgrad as fg
    >>> fg.nn.functional.linear(fg.ones(2, 3), fg.ones(4, 3), fg.zeros(4)).tolist()
    [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
    cdef PyObject* xs[3]
    if input.dtype != weight.dtype and fg_is_real(input.dtype) and fg_is_real(weight.dtype):
        raise_mixed(input, weight)
    xs[0] = <PyObject*>input
    xs[1] = <PyObject*>weight
    xs[2] = NULL if bias is None else <PyObject*>bias
    return apply(LINEAR, xs, 3, None)


# ---- composed of matmul --------------------------------------------------------------------------------------------

cdef int expect(str name, Tensor x, int ndim) except -1:
    if x.layout.c.ndim != ndim:
        raise ShapeError(f"{name}: expected a {ndim}-d tensor, got shape {tuple(x.shape)}")
    return 0


@publish
def mm(Tensor input not None, Tensor mat2 not None):
    """The product of two matrices, (m, k) and (k, n).

    >>> import fastgrad as fg
    >>> fg.mm(fg.zeros(2, 3), fg.zeros(3, 4)).shape
    fastgrad.Size([2, 4])
    """
    expect("mm", input, 2)
    expect("mm", mat2, 2)
    return apply2(MATMUL, input, mat2)


@publish
def bmm(Tensor input not None, Tensor mat2 not None):
    """The products of two stacks of as many matrices, (b, m, k) and (b, k, n).

    >>> import fastgrad as fg
    >>> fg.bmm(fg.zeros(5, 2, 3), fg.zeros(5, 3, 4)).shape
    fastgrad.Size([5, 2, 4])
    """
    expect("bmm", input, 3)
    expect("bmm", mat2, 3)
    if input.layout.c.shape[0] != mat2.layout.c.shape[0]:
        raise ShapeError(f"bmm: the stacks have {input.shape[0]} and {mat2.shape[0]} matrices; use matmul to broadcast")
    return apply2(MATMUL, input, mat2)


@publish
def mv(Tensor input not None, Tensor vec not None):
    """The product of a matrix (m, k) and a vector (k).

    >>> import fastgrad as fg
    >>> fg.mv(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), fg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    expect("mv", input, 2)
    expect("mv", vec, 1)
    return apply2(MATMUL, input, vec)


@publish
def dot(Tensor input not None, Tensor tensor not None):
    """The scalar product of two vectors of one size.

    >>> import fastgrad as fg
    >>> fg.dot(fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    expect("dot", input, 1)
    expect("dot", tensor, 1)
    return apply2(MATMUL, input, tensor)


@publish
def outer(Tensor input not None, Tensor vec2 not None):
    """All products of an element of one vector and one of another: (m), (n) -> (m, n).

    >>> import fastgrad as fg
    >>> fg.outer(fg.tensor([1, 2]), fg.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    expect("outer", input, 1)
    expect("outer", vec2, 1)
    return input.unsqueeze(1) * vec2


@publish
def inner(Tensor input not None, Tensor other not None):
    """Scalar products over the last dimensions of both: (..., k), (...', k) -> (..., ...'); a number just multiplies.

    >>> import fastgrad as fg
    >>> fg.inner(fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    if input.layout.c.ndim == 0 or other.layout.c.ndim == 0:
        return input * other
    return tensordot(input, other, ([-1], [-1]))


cdef object combined(object input, object product, object beta, object alpha, str name):
    """beta input + alpha product, without the factors that are 1; with beta 0 the input is not read."""
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    shape = product.shape
    result = (input if beta == 1 else input * beta) + product
    if result.shape != shape:
        raise ShapeError(f"{name}: an input of shape {tuple(input.shape)} cannot be expanded to the product's {tuple(shape)}")
    return result


@publish
def addmm(Tensor input not None, Tensor mat1 not None, Tensor mat2 not None, *, beta=1, alpha=1):
    """``beta * input + alpha * (mat1 @ mat2)`` for matrices; input broadcasts.

    >>> import fastgrad as fg
    >>> fg.addmm(fg.ones(2), fg.eye(2), fg.eye(2), beta=0.5)
    tensor([[1.5000, 0.5000],
            [0.5000, 1.5000]])
    """
    return combined(input, mm(mat1, mat2), beta, alpha, "addmm")


@publish
def addmv(Tensor input not None, Tensor mat not None, Tensor vec not None, *, beta=1, alpha=1):
    """``beta * input + alpha * (mat @ vec)`` for a matrix and a vector; input broadcasts.

    >>> import fastgrad as fg
    >>> fg.addmv(fg.ones(2), fg.eye(2), fg.tensor([3.0, 4.0]))
    tensor([4., 5.])
    """
    return combined(input, mv(mat, vec), beta, alpha, "addmv")


@publish
def baddbmm(Tensor input not None, Tensor batch1 not None, Tensor batch2 not None, *, beta=1, alpha=1):
    """``beta * input + alpha * (batch1 @ batch2)`` for stacks of matrices; input broadcasts.

    >>> import fastgrad as fg
    >>> fg.baddbmm(fg.zeros(5, 2, 4), fg.zeros(5, 2, 3), fg.zeros(5, 3, 4)).shape
    fastgrad.Size([5, 2, 4])
    """
    return combined(input, bmm(batch1, batch2), beta, alpha, "baddbmm")


def product_of(sizes):
    n = 1
    for d in sizes:
        n *= d
    return n


@publish(method=False)
def tensordot(Tensor a not None, Tensor b not None, dims=2):
    """The sum of products over chosen dimensions of both tensors.

    dims: how many of the last dimensions of a and the first of b; or a pair of lists of dimensions, matched in order.
    Returns the other dimensions of a, then those of b.

    >>> import fastgrad as fg
    >>> fg.tensordot(fg.zeros(2, 3, 4), fg.zeros(4, 3, 5), dims=([1, 2], [1, 0])).shape
    fastgrad.Size([2, 5])
    """
    na, nb = a.layout.c.ndim, b.layout.c.ndim
    if isinstance(dims, int):
        if not 0 <= dims <= min(na, nb):
            raise RuntimeError(f"tensordot: dims must be from 0 to {min(na, nb)}, got {dims}")
        over_a, over_b = list(range(na - dims, na)), list(range(dims))
    else:
        over_a, over_b = [[d % n if -n <= d < n else bad_dim(d, n) for d in ([ds] if isinstance(ds, int) else ds)]
                          for ds, n in ((dims[0], na), (dims[1], nb))]
    if [a.shape[d] for d in over_a] != [b.shape[d] for d in over_b]:
        raise ShapeError(f"tensordot: dimensions {over_a} of {tuple(a.shape)} and {over_b} of {tuple(b.shape)} differ in size")
    free_a = [d for d in range(na) if d not in over_a]
    free_b = [d for d in range(nb) if d not in over_b]
    k = product_of([a.shape[d] for d in over_a])
    out_a, out_b = [a.shape[d] for d in free_a], [b.shape[d] for d in free_b]
    left = a.permute(free_a + over_a).reshape(product_of(out_a), k)
    right = b.permute(over_b + free_b).reshape(k, product_of(out_b))
    return apply2(MATMUL, left, right).reshape(out_a + out_b)


def bad_dim(d, n):
    raise IndexError(f"tensordot: dimension {d} is out of range for {n} dimensions")


@publish(method=False)
def bilinear(Tensor input1 not None, Tensor input2 not None, Tensor weight not None, Tensor bias=None):
    """``y[..., o] = input1 weight[o] input2 + bias[o]``, a bilinear form for each output.

    input1: (..., in1); input2: (..., in2); weight: (out, in1, in2); bias: (out) or None. Returns (..., out).

    >>> import fastgrad as fg
    >>> fg.nn.functional.bilinear(fg.zeros(8, 2), fg.zeros(8, 3), fg.zeros(4, 2, 3)).shape
    fastgrad.Size([8, 4])
    """
    expect("bilinear", weight, 3)
    _, n1, n2 = weight.shape
    lead = input1.shape[:-1]
    if input1.shape[-1:] != (n1,) or input2.shape[-1:] != (n2,) or input2.shape[:-1] != lead:
        raise ShapeError(f"bilinear: inputs of shapes {tuple(input1.shape)} and {tuple(input2.shape)} do not fit a weight of "
                         f"shape {tuple(weight.shape)}: expected (..., {n1}) and (..., {n2})")
    forms = tensordot(input1, weight, ([-1], [1]))              # (..., out, in2)
    y = apply2(MATMUL, forms, input2.unsqueeze(-1)).squeeze(-1)
    return y if bias is None else y + bias
