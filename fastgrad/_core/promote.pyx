"""Operands that are not yet what an op's kernel takes: promoted dtypes, casts, dense copies.

apply() has operands of one dtype in front; the others come here, and so does every mistake, for its message.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject

from .tensor cimport *

cdef Op CAST = declare("cast")
cdef Op COPY = declare("copy")


cdef object apply_prepared(Op op, PyObject** xs, int n, Attrs a):
    """apply_plain() where operands are cast to the op's dtypes, or made dense, first; the checks with messages are here."""
    cdef PyObject* small[2 * SMALL_N]
    cdef PyObject** us = small          # the inputs after casts: what the tape sees
    cdef PyObject** ks                  # ... made dense where the kernel wants it: what the kernel sees
    cdef list kept = []                 # owns what was made here
    cdef Tensor t
    cdef int i, common, k
    if op.shape is None:
        raise NotImplementedError(f"op {op.name} has no record")
    if op.nin >= 0 and n != op.nin:
        raise TypeError(f"{op.name}: expected {op.nin} operands, got {n}")
    common = common_dtype(op, xs, n, a)
    if op.kernels[common] == NULL:
        raise_dtype(op, common)
    if n > SMALL_N:
        us = <PyObject**>PyMem_Malloc(2 * n * sizeof(PyObject*))
        if us == NULL:
            raise MemoryError()
    ks = us + n
    try:
        for i in range(n):
            us[i] = ks[i] = xs[i]
            if xs[i] == NULL:
                continue
            k = wanted_dtype(op, i, common)
            if k >= 0 and (<Tensor>xs[i]).dtype != k:
                t = cast(<Tensor>xs[i], k)
                kept.append(t)
                us[i] = ks[i] = <PyObject*>t
            if op.dense and not (<Tensor>us[i]).layout.c.flags & FG_DENSE:
                t = compact(<Tensor>us[i])
                kept.append(t)
                ks[i] = <PyObject*>t
        return execute(op, common, us, ks, n, a)
    finally:
        if us != small:
            PyMem_Free(us)


cdef int common_dtype(Op op, PyObject** xs, int n, Attrs a) except -1:
    """The promoted dtype of the T and F inputs, as PyTorch promotes: tensors with axes first, 0-d tensors only where their
    category is higher. Without such inputs: that of the first input, or of the attributes."""
    cdef int i, j, with_axes = -1, without = -1, common
    cdef bint real = False
    cdef Tensor t
    for i in range(n):
        j = i if i < MAX_X else MAX_X - 1
        if xs[i] == NULL or op.in_kind[j] > D_REAL:
            continue
        t = <Tensor>xs[i]
        if op.in_kind[j] == D_REAL:
            real = True
        if t.layout.c.ndim:
            with_axes = t.dtype if with_axes < 0 else fg_promote(with_axes, t.dtype)
        else:
            without = t.dtype if without < 0 else fg_promote(without, t.dtype)
    common = fg_promote_standing(with_axes, without)
    if common < 0:
        if a is not None and op.out_kind[0] == D_ATTR and n == 0:
            return <int>a.c.i[3]
        return (<Tensor>xs[0]).dtype if n and xs[0] != NULL else default_real
    if real and not fg_is_real(common):
        return default_real
    return common


cdef int wanted_dtype(Op op, int i, int common) noexcept:
    # the dtype that input i is cast to, -1 = as it is
    cdef int j = i if i < MAX_X else MAX_X - 1
    if op.in_kind[j] <= D_REAL:
        return common
    return op.in_fixed[j] if op.in_kind[j] == D_FIXED else -1


cdef Tensor cast(Tensor x, int dtype):
    cdef Attrs a = new_attrs()
    cdef PyObject* px
    if x.flags & REQUIRES_GRAD and not fg_is_real(dtype):
        x = alias(x)            # an integer or a bool has no gradient
    px = <PyObject*>x
    a.c.i[3] = dtype
    return <Tensor>apply(CAST, &px, 1, a)


cdef Tensor compact(Tensor x):
    cdef Tensor out
    cdef PyObject* px
    cdef PyObject* py
    if x.layout.c.flags & FG_DENSE:
        return x
    out = new_tensor(dense_layout(x.layout.c.ndim, x.layout.c.shape), x.dtype)
    px = <PyObject*>x
    py = <PyObject*>out
    run_kernel(COPY, x.dtype, &py, 1, &px, 1, None)
    return out


slots.apply_prepared = apply_prepared
