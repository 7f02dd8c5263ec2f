"""In-place operations: the kernel writes the memory, the tape takes ordinary ops.

A target that is no view takes the history ``new = op(old, ...)``. For a view, its base takes ``base' = write(base, new)`` and
the view becomes stale: it is remade as a view of base' when next read (`settle` in views.pyx), so that gradients of the
base see every path. What a rule needs of the old value is copied before the kernel runs; rules that do not read it copy
nothing. Every refusal comes before the first write.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from .promote cimport cast, wanted_dtype
from .tensor cimport *
from .views cimport pattern, settle

from ._errors import DTypeError, ShapeError

cdef Op WRITE = declare("write")        # write(base, new): base with its slice (attrs) replaced
cdef Op COPY = declare("copy")


cdef object inplace(Op op, Tensor t, list others, Attrs a):
    cdef fg_thread* here = thread()
    cdef int n = 1 + len(others), i
    cdef PyObject* small[8]
    cdef PyObject** xs = small
    cdef list operands = [t]
    cdef Tensor root = t if t.view is None else t.view.base
    cdef Tensor o, old, y
    cdef uint64_t named = 0
    cdef bint taped = False
    if op.shape is None:
        raise NotImplementedError(f"op {op.name} has no record")
    if levelled(t, root, others):
        return slots.level_inplace(op, t, others, a)
    for other in others:
        if other is None:
            operands.append(None)
            continue
        o = as_operand(other, t.dtype, op.name + "_")
        settle(o)
        operands.append(o)
    if here.recording and op.differentiable:
        taped = root.flags & REQUIRES_GRAD
        for i in range(1, n):
            if operands[i] is not None and (<Tensor>operands[i]).flags & REQUIRES_GRAD and has_rule(op, i):
                taped = True
    check_target(op, t, root, operands, taped)
    if taped:
        settle(t)
        for i in range(n):
            if operands[i] is not None and (<Tensor>operands[i]).flags & REQUIRES_GRAD:
                named |= op.rules[i if i < op.nrules else op.nrules - 1].mask
    for i in range(1, n):
        if operands[i] is not None:
            operands[i] = prepared(op, t, <Tensor>operands[i], i, named)
    old = t
    if taped:
        old = alias(t)
        old.node, old.at, old.flags = t.node, t.at, t.flags & REQUIRES_GRAD
        if named & 1:
            copy_value(old)
    if n > 8:
        xs = <PyObject**>PyMem_Malloc(n * sizeof(PyObject*))
        if xs == NULL:
            raise MemoryError()
    try:
        for i in range(n):
            xs[i] = NULL if operands[i] is None else <PyObject*>operands[i]
        run_into(op, t, xs, n, a)
        t.storage.version += 1
        if taped:
            y = alias(t)            # version after the bump, no history yet
            xs[0] = <PyObject*>old
            take_history(op, t, root, y, xs, n, a)
            if here.special & WATCHED:
                watch.recorded(op, y.node)
                if t.view is not None:
                    watch.recorded(WRITE, root.node)
    finally:
        if xs != small:
            PyMem_Free(xs)
    return t


cdef bint levelled(Tensor t, Tensor root, list others) except -1:
    """Whether an operand is a batch or has a tangent."""
    cdef uint8_t flags = t.flags | root.flags
    for o in others:
        if type(o) is Tensor:
            settle(<Tensor>o)
            flags |= (<Tensor>o).flags
    return flags & (BOXED | DUAL) != 0


cdef int take_history(Op op, Tensor t, Tensor root, Tensor y, PyObject** xs, int n, Attrs a) except -1:
    cdef PyObject* py = <PyObject*>y
    cdef PyObject* written[2]
    cdef Tensor before
    record(op, xs, n, a, &py, 1)
    if t.view is None:
        return set_history(t, y.node, 0)
    before = alias(root)
    before.node, before.at, before.flags = root.node, root.at, root.flags & REQUIRES_GRAD
    written[0] = <PyObject*>before
    written[1] = <PyObject*>y
    py = <PyObject*>root
    record(WRITE, written, 2, pattern(t, root.data), &py, 1)
    return set_history(root, root.node, 0)


cdef int check_target(Op op, Tensor t, Tensor root, list operands, bint taped) except -1:
    """All that can be wrong is found here, before anything is written."""
    cdef int i, k, j
    cdef int64_t d
    cdef Tensor o
    name = "copy_ (or fill_, or an item assignment)" if op is COPY else op.name + "_"
    if t.storage.readonly:
        raise RuntimeError(f"{name}: the target shares memory that is read-only; clone() it first")
    if t.layout.c.flags & FG_OVERLAP:
        raise RuntimeError(f"{name}: more than one element of the written-to tensor refers to a single memory location "
                           f"(it was expanded); clone() it first")
    if op.out_kind[0] == D_FIXED and op.out_fixed[0] != t.dtype:
        raise DTypeError(f"{name}: the result is {dtype_of(op.out_fixed[0]).name}, which a {dtype_of(t.dtype).name} tensor "
                         f"cannot hold; use the out-of-place form")
    if op.kernels[t.dtype] == NULL:
        raise DTypeError(f"{name}: not implemented in place for {dtype_of(t.dtype).name}; use the out-of-place form")
    for i in range(1, len(operands)):
        if operands[i] is None:
            continue
        o = <Tensor>operands[i]
        if op.in_kind[i if i < MAX_X else MAX_X - 1] <= D_REAL and op is not COPY and fg_category[o.dtype] > fg_category[t.dtype]:
            raise DTypeError(f"{name}: a result of type {dtype_of(o.dtype).name} can't be cast to the target's type "
                             f"{dtype_of(t.dtype).name}; use the out-of-place form or convert the operand")
        if op.elementwise or op.shape == "BROADCAST":
            for k in range(o.layout.c.ndim):
                d = o.layout.c.shape[k]
                j = k - (o.layout.c.ndim - t.layout.c.ndim)
                if d != 1 and (j < 0 or t.layout.c.shape[j] != d) or d == 1 and j < 0 and op is not COPY:
                    raise ShapeError(f"{name}: the target of shape {tuple(shape_of(t.layout))} cannot hold a result that an "
                                     f"operand of shape {tuple(shape_of(o.layout))} is broadcast into")
    if not taped:
        return 0
    if t.view is not None and t.view.kind == MULTI:
        raise RuntimeError(f"{name}: the target is an output of a function that returns several views (split, unbind, chunk); "
                           f"such a view cannot be modified in place; clone() it first")
    if t.view is not None and t.view.kind == UNRECORDED:
        raise RuntimeError(f"{name}: the target is a view made under no_grad; it cannot be modified in place with grad enabled")
    if root.node is not None and root.node.state & N_LEAF:
        what = "a leaf tensor that requires grad" if t is root else "a view of a leaf tensor that requires grad"
        raise RuntimeError(f"{name}: {what} is being used in an in-place operation; do it under no_grad(), or on a clone()")
    return 0


cdef Tensor prepared(Op op, Tensor t, Tensor o, int i, uint64_t named):
    """Operand i as the kernel and the tape may see it: cast, and copied where the write would change it, or change what is
    saved of it."""
    cdef int want = wanted_dtype(op, i, t.dtype)
    cdef bint shared = o.storage is t.storage
    cdef Tensor c
    if want >= 0 and o.dtype != want:
        return cast(o, want)
    if not shared and o.storage.owner is None and t.storage.owner is None:      # else both may lie in somebody else's memory
        return o
    exact = o.data == t.data and (o.layout is t.layout or same_place(o.layout, t.layout)) and op.elementwise
    if (named >> i & 1 and shared) or ((named >> i & 1 or not exact) and meet(o, t)):
        c = alias(o)
        c.node, c.at, c.flags = o.node, o.at, o.flags & REQUIRES_GRAD
        copy_value(c)
        return c
    return o


cdef int copy_value(Tensor t) except -1:
    """Moves t to a dense copy of its value; its history stays."""
    cdef Tensor c = new_tensor(dense_layout(t.layout.c.ndim, t.layout.c.shape), t.dtype)
    cdef PyObject* px = <PyObject*>t
    cdef PyObject* py = <PyObject*>c
    run_kernel(COPY, t.dtype, &py, 1, &px, 1, None)
    t.storage, t.data, t.layout = c.storage, c.data, c.layout
    return 0


cdef bint same_place(Layout a, Layout b) noexcept:
    cdef int k
    if not same_shape(a, b):
        return False
    for k in range(a.c.ndim):
        if a.c.shape[k] > 1 and a.c.stride[k] != b.c.stride[k]:
            return False
    return True


cdef bint meet(Tensor a, Tensor b) noexcept:
    """Whether two tensors may share a byte: whether their address ranges meet."""
    cdef char* a1 = last_byte(a)
    cdef char* b1 = last_byte(b)
    return a.layout.c.size > 0 and b.layout.c.size > 0 and <char*>a.data <= b1 and <char*>b.data <= a1


cdef char* last_byte(Tensor t) noexcept:
    cdef int64_t far = 0
    cdef int k
    for k in range(t.layout.c.ndim):
        far += (t.layout.c.shape[k] - 1) * t.layout.c.stride[k]
    return <char*>t.data + (far + 1) * fg_itemsize[t.dtype] - 1


cdef object inplace_one(Op op, Tensor t, object other):
    operand = coerce(other, t.dtype)
    if operand is None:
        return NotImplemented
    return inplace(op, t, [operand], None)


slots.inplace = inplace_one
