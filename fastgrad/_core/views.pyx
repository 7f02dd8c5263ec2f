"""Views: tensors over the memory of another, their histories, and how they follow writes to their base.

Above apply(), beside it: a view runs no kernel, but is recorded as any op is.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.string cimport memcpy

from .tensor cimport *

cdef Op SLICE = declare("slice")
cdef Op UNSLICE = declare("unslice")


cdef Attrs pattern(Tensor t, const void* origin):
    """Attributes of `slice`: where t's elements are in a dense buffer that begins at `origin`."""
    cdef Attrs a = shape_attrs(t.layout.c.ndim, t.layout.c.shape)
    memcpy(a.c.stride, t.layout.c.stride, sizeof(a.c.stride))
    a.c.offset = (<char*>t.data - <char*>origin) // fg_itemsize[t.dtype]
    return a


cdef int settle(Tensor t) except -1:
    """Remakes the history of a view whose base was written since it was made. Every question "does it require grad" comes
    here first, through the SPECIAL mask."""
    cdef View w = t.view
    cdef Tensor base, flat
    cdef PyObject* x
    cdef PyObject* y
    cdef Attrs a
    cdef int64_t extent
    cdef int k
    if w is None:
        return 0
    base = w.base
    if (base.flags | t.flags) & DUAL:
        slots.level_settle(t)
    if base.node is w.seen and base.at == w.seen_at:
        return 0
    if w.kind == UNRECORDED:
        if base.node is not None and not base.node.state & N_LEAF:
            raise RuntimeError("this view was made under no_grad, and its base was then modified in place with grad enabled; "
                               "make the view outside no_grad, or detach() it")
        return 0
    if base.node is None:
        set_history(t, None, 0)
    else:
        x = <PyObject*>base
        if not base.layout.c.flags & FG_DENSE:
            # lay the base out with its own strides first: a pattern over memory is a pattern over that buffer
            extent = 1
            for k in range(base.layout.c.ndim):
                extent += (base.layout.c.shape[k] - 1) * base.layout.c.stride[k]
            flat = make_tensor(None, dense_layout(1, &extent), NULL, base.dtype)
            a = unslice_attrs(base, extent)
            y = <PyObject*>flat
            record(UNSLICE, &x, 1, a, &y, 1)
            x = <PyObject*>flat
        a = pattern(t, base.data)
        y = <PyObject*>t
        record(SLICE, &x, 1, a, &y, 1)
        set_history(t, t.node, 0)
    w.seen = base.node
    w.seen_at = base.at
    return 0


cdef Attrs unslice_attrs(Tensor base, int64_t extent):
    cdef Attrs a = shape_attrs(1, &extent)
    memcpy(a.c.stride, base.layout.c.stride, sizeof(a.c.stride))
    return a


cdef inline int note_view(Tensor out, Tensor x, int kind, const fg_thread* here) except -1:
    # Views made inside a backward run that does not record need no record: a write into one is history to nobody, unless it
    # carries a tangent, which goes to the base.
    if here.runs and not here.recording and not here.nlevels:
        return 0
    cdef View w = View.__new__(View)
    if x.view is None:
        w.base = x
    else:
        w.base = x.view.base
        if x.view.kind != PLAIN:
            kind = x.view.kind
    w.kind = kind if here.recording else UNRECORDED
    w.seen = w.base.node
    w.seen_at = w.base.at
    out.view = w
    out.flags |= VIEW
    return 0


cdef Tensor apply_view(Op op, Tensor x, Layout lay, int64_t offset, Attrs a):
    """The half of apply() for views: no kernel, the memory of x. `a` describes the view logically, for its rule."""
    if (thread().special | x.flags) & SPECIAL:
        settle(x)
        if x.flags & (BOXED | DUAL):
            return slots.level_view(op, x, lay, offset, a)
    return view_plain(op, x, lay, offset, a)


cdef Tensor view_plain(Op op, Tensor x, Layout lay, int64_t offset, Attrs a):
    cdef fg_thread* here = thread()
    cdef Tensor out
    cdef PyObject* y
    cdef PyObject* px
    if here.special & RECORDED:
        slots.record_operand(x)
    out = make_tensor(x.storage, lay, <char*>x.data + offset * fg_itemsize[x.dtype], x.dtype)
    if here.recording and x.flags & REQUIRES_GRAD:
        y = <PyObject*>out
        px = <PyObject*>x
        record(op, &px, 1, a, &y, 1)
    note_view(out, x, PLAIN, here)
    if here.special & WATCHED:
        watch.view(op, x, [out], a)
    return out


cdef list apply_views(Op op, Tensor x, list lays, list offsets, Attrs a):
    """One node, many views (split, unbind)."""
    if (thread().special | x.flags) & SPECIAL:
        settle(x)
        if x.flags & (BOXED | DUAL):
            return slots.level_views(op, x, lays, offsets, a)
    return views_plain(op, x, lays, offsets, a)


cdef list views_plain(Op op, Tensor x, list lays, list offsets, Attrs a):
    cdef fg_thread* here = thread()
    cdef list outs = []
    cdef Tensor out
    cdef int k, n = len(lays)
    cdef PyObject* px = <PyObject*>x
    cdef PyObject** ys
    if here.special & RECORDED:
        slots.record_operand(x)
    for k in range(n):
        out = make_tensor(x.storage, <Layout>lays[k], <char*>x.data + <int64_t>offsets[k] * fg_itemsize[x.dtype], x.dtype)
        outs.append(out)
    if n and here.recording and x.flags & REQUIRES_GRAD:
        ys = <PyObject**>PyMem_Malloc(n * sizeof(PyObject*))
        if ys == NULL:
            raise MemoryError()
        for k in range(n):
            ys[k] = <PyObject*>outs[k]
        try:
            record(op, &px, 1, a, ys, n)
            if n == 1:
                extra_of((<Tensor>outs[0]).node).lays = ((<Tensor>outs[0]).layout,)
        finally:
            PyMem_Free(ys)
    for out in outs:
        note_view(out, x, MULTI, here)
    if here.special & WATCHED:
        watch.view(op, x, outs, a)
    return outs


slots.settle = settle
