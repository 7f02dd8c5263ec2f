"""vmap: how an op runs on a whole batch, from the kind of its shape rule or the batch rule of its record.

The newest batch is taken off the operands; the op runs on the values, their batch in front, and its result is a batch again.
An op without a rule is an error: running it once for each element would hide how slow that is.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memmove

from .levels cimport *
from .promote cimport cast, common_dtype, wanted_dtype
from .shape cimport contiguous_of, expand_to, swapped, unsqueezed
from .tensor cimport *
from .views cimport apply_view, apply_views

from .table import PATTERN, ROWS, composed

cdef Op RESHAPE = declare("reshape")
cdef Op EXPAND = declare("expand")
cdef Op PERMUTE = declare("permute")
cdef Op SLICE = declare("slice")
cdef Op SPLIT = declare("split")
cdef Op MATMUL = declare("matmul")
cdef Op LINEAR = declare("linear")

cdef object on_batch(Op op, PyObject** xs, int n, Attrs a, uint32_t level):
    cdef list values = [], logical = []
    cdef Tensor x
    cdef int i, want, common, which = 0
    cdef int64_t size
    check_live(level)
    size = level_of(level).size
    if op.shape == "MUTATE":
        raise RuntimeError(f"{op.name}: cannot run inside vmap, since it writes tensors that the batch shares")
    common = common_dtype(op, xs, n, a)         # before a batch gives a 0-d tensor a dimension
    for i in range(n):
        if xs[i] == NULL:
            logical.append(None)
            values.append(None)
            continue
        x = <Tensor>xs[i]
        want = wanted_dtype(op, i, common)
        if want >= 0 and x.dtype != want:
            x = cast(x, want)
        logical.append(x)
        if newest_batch(x) == level:
            if i < 31:
                which |= 1 << i
            x = physical(x, level, size)
        values.append(x)
    return run_rule(op, a, level, size, which, logical, values)


cdef object run_rule(Op op, Attrs a, uint32_t level, int64_t size, int which, list logical, list values):
    if (which == 1 or which == 2) and (op is MATMUL or op is LINEAR) and level_of(level).unit:
        y = rows_of_matrix(op, level_of(level), which, logical, values)
        if y is not None:
            return boxed(<Tensor>y, level)
    if op.batch is None:
        if op.elementwise or op.shape == "BROADCAST" or (op.shape == "SAME" and len(values) == 1 and not op.dense):
            return boxes(elementwise(op, a, which, logical, values), level, size)
        if op.shape == "REDUCE":
            return boxes(reduction(op, a, <Tensor>logical[0], <Tensor>values[0]), level, size)
        if op.shape == "MATMUL":
            return boxes(product(<Tensor>logical[0], <Tensor>values[0], <Tensor>logical[1], <Tensor>values[1], which),
                         level, size)
        raise NotImplementedError(f"{op.name}: has no rule for batches, so it cannot run inside vmap")
    if type(op.batch) is composed:
        y = op.batch.rule(a, *logical)
        if y is not NotImplemented:
            return y
    elif op.batch != ROWS and op.batch != PATTERN:
        return boxes(op.batch(a, size, which, values), level, size)
    return boxes(in_front(op, a, level, size, logical), level, size)


cdef object boxes(object y, uint32_t level, int64_t size):
    if type(y) is Tensor:
        return boxed(<Tensor>y, level)
    return tuple([None if t is None else boxed(<Tensor>t, level) for t in y])


cdef object rows_of_matrix(Op op, level_t* level, int which, list logical, list values):
    """The product of unit vectors, as Jacobians begin with, and a matrix: rows of the matrix, without a product or a copy.
    Older batches repeat both."""
    cdef Tensor units = values[which - 1], matrix = logical[2 - which], rows
    cdef int k, ndim = units.layout.c.ndim
    cdef int64_t* shape = units.layout.c.shape
    if not is_basis(units, level) or units.dtype != matrix.dtype or matrix.layout.c.ndim != 2 or (which == 2 and ndim > 2):
        return None
    if op is LINEAR and (which == 2 or logical[2] is not None):
        return None
    if op is LINEAR or which == 2:
        matrix = swapped(matrix, 0, 1)
    if shape[ndim - 1] != matrix.layout.c.shape[0]:
        return None
    rows = matrix.narrow(0, level.first, level.size)
    for k in range(1, ndim - 1):
        rows = expanded_at(rows, k, shape[k])
    return rows


cdef bint is_basis(Tensor x, level_t* level) noexcept:
    """Whether x is the unit vectors of the level, untouched; between their number and their elements it may repeat them."""
    cdef const fg_layout* l = &x.layout.c
    cdef int k, last = l.ndim - 1
    if x.storage.birth != level.unit or x.storage.version or x.flags & (BOXED | DUAL | REQUIRES_GRAD):
        return False
    if last < 1 or l.shape[0] != level.size:
        return False
    for k in range(1, last):
        if l.stride[k] != 0:
            return False
    return l.stride[last] == 1 and l.stride[0] == l.shape[last] and x.data == x.storage.data


cdef Tensor expanded_at(Tensor x, int axis, int64_t size):
    """x repeated along a new dimension."""
    cdef int64_t shape[8]
    cdef int k
    for k in range(x.layout.c.ndim + 1):
        shape[k] = size if k == axis else x.layout.c.shape[k if k < axis else k - 1]
    return expand_to(unsqueezed(x, axis), x.layout.c.ndim + 1, shape)


# ---- the kinds -----------------------------------------------------------------------------------------------------

cdef object elementwise(Op op, Attrs a, int which, list logical, list values):
    cdef int i, most = 0
    for x in logical:
        if x is not None:
            most = max(most, (<Tensor>x).layout.c.ndim)
    for i in range(len(values)):
        if which >> i & 1:
            values[i] = aligned(<Tensor>values[i], (<Tensor>logical[i]).layout.c.ndim, most)
    return apply_list(op, values, a)


cdef Attrs copied(Attrs a):
    cdef Attrs b = new_attrs()
    if a is not None:
        b.c = a.c
        b.py = a.py
    return b


cdef int grow(Attrs a, int64_t size) except -1:
    """A dimension in front of attrs.shape."""
    if a.c.ndim >= FG_MAX_DIMS:
        raise RuntimeError(f"vmap: a tensor has at most {FG_MAX_DIMS} dimensions, those of its batches included")
    memmove(&a.c.shape[1], &a.c.shape[0], a.c.ndim * sizeof(int64_t))
    a.c.shape[0] = size
    a.c.ndim += 1
    return 0


cdef object reduction(Op op, Attrs a, Tensor logical, Tensor x):
    cdef Attrs b = copied(a)
    if logical.layout.c.ndim == 0:          # one number: a row of one
        x = unsqueezed(x, 1)
        b.c.axes = 2
        b.c.mode = 0 if b.c.mode == 1 else b.c.mode
    else:
        b.c.axes <<= 1
    b.c.axis += 1
    if b.c.mode == 2:
        grow(b, x.layout.c.shape[0])
    return apply1(op, x, b)


cdef object product(Tensor lx, Tensor x, Tensor ly, Tensor y, int which):
    cdef int nx = lx.layout.c.ndim, ny = ly.layout.c.ndim, lead
    cdef Tensor z
    if nx == 0 or ny == 0:
        return apply2(MATMUL, lx, ly)       # raises
    if which == 1 and (ny == 1 or ny == 2):
        return apply2(MATMUL, x, y)
    if which == 2 and ny == 1 and nx <= 2:
        return apply2(MATMUL, y, x if nx == 1 else swapped(x, 0, 1))
    if which == 2 and ny >= 2 and nx <= 2:
        return apply2(MATMUL, x, y)
    if nx == 1:
        x = unsqueezed(x, x.layout.c.ndim - 1)
    if ny == 1:
        y = unsqueezed(y, y.layout.c.ndim)
    lead = max(nx, ny, 2)
    if which & 1:
        x = aligned(x, max(nx, 2), lead)
    if which & 2:
        y = aligned(y, max(ny, 2), lead)
    z = <Tensor>apply2(MATMUL, x, y)
    if nx == 1:
        z = z.squeeze(-1 if ny == 1 else -2)
    if ny == 1:
        z = z.squeeze(-1)
    return z


cdef object in_front(Op op, Attrs a, uint32_t level, int64_t size, list logical):
    """ROWS and PATTERN: every operand with the batch in front."""
    cdef Attrs b = copied(a)
    cdef Tensor x
    cdef list values = []
    cdef int64_t whole
    cdef bint numbers = True
    for t in logical:
        if t is not None and (<Tensor>t).layout.c.ndim:
            numbers = False
    for t in logical:
        if t is None:
            values.append(None)
            continue
        x = physical(<Tensor>t, level, size)
        if op.batch == PATTERN:             # of dense memory: one base for the whole batch is repeated
            values.append(contiguous_of(x))
        else:
            values.append(unsqueezed(x, 1) if numbers else x)
    b.c.axis += 1
    b.c.axes <<= 1
    if op.batch == PATTERN:
        # a step of the batch is a whole tensor: of the result for unslice, of the base for write
        whole = 1
        if op.shape == "GIVEN":
            for k in range(b.c.ndim):
                whole *= b.c.shape[k]
            memmove(&b.c.stride[1], &b.c.stride[0], (<Tensor>logical[0]).layout.c.ndim * sizeof(int64_t))
        else:
            whole = (<Tensor>logical[0]).layout.c.size
            memmove(&b.c.stride[1], &b.c.stride[0], b.c.ndim * sizeof(int64_t))
        b.c.stride[0] = whole
        grow(b, size)
    elif op.shape == "GIVEN":
        grow(b, size)
    y = apply_list(op, values, b)
    return y.squeeze(1) if numbers and op.batch != PATTERN and y.ndim > 1 else y


# ---- views ---------------------------------------------------------------------------------------------------------

cdef Attrs view_attrs(Op op, Tensor x, Layout lay, Attrs a, int64_t size):
    """The attributes of the same view behind a batch."""
    cdef Attrs b
    if op is RESHAPE or op is EXPAND:
        return a
    b = copied(a)
    if op is PERMUTE:
        for k in range(b.c.ndim):
            b.c.shape[k] += 1
        grow(b, 0)
    elif op is SLICE:
        memmove(&b.c.stride[1], &b.c.stride[0], b.c.ndim * sizeof(int64_t))
        b.c.stride[0] = x.layout.c.size
        grow(b, size)
    elif op is SPLIT:
        b.c.axis += 1
    else:
        raise NotImplementedError(f"{op.name}: vmap has no rule for this view")
    return b


cdef Tensor view_of_batch(Op op, Tensor x, Layout lay, int64_t offset, Attrs a):
    cdef Tensor inner = x.extra.inner
    cdef uint32_t level = x.extra.level
    cdef int64_t size = inner.layout.c.shape[0], step = inner.layout.c.stride[0]
    cdef Layout whole
    check_live(level)
    whole = behind(lay, size, step)
    if op is EXPAND and lay.c.ndim > x.layout.c.ndim:       # the batch stays in front of the new dimensions
        inner = aligned(inner, x.layout.c.ndim, lay.c.ndim)
    return boxed(apply_view(op, inner, whole, offset, view_attrs(op, x, lay, a, size)), level)


cdef list views_of_batch(Op op, Tensor x, list lays, list offsets, Attrs a):
    cdef Tensor inner = x.extra.inner
    cdef uint32_t level = x.extra.level
    cdef int64_t size = inner.layout.c.shape[0], step = inner.layout.c.stride[0]
    check_live(level)
    parts = apply_views(op, inner, [behind(<Layout>lay, size, step) for lay in lays], offsets, view_attrs(op, x, None, a, size))
    return [boxed(<Tensor>part, level) for part in parts]
