"""Levels: the transforms under way, batches (vmap) and tangents (forward mode).

A *batch* is a Tensor that stands for all values of one vmap at once: `extra.inner` holds them, the batch as its dimension 0,
and the batch itself has the shape of one. Batches nest, the newest outermost. A *dual* tensor has a chain of tangents, the
newest level first; a tangent may be dual at older levels, and a batch where its tensor is none (one value, many directions).

apply() looks at flags once. Behind that test, in this order: the newest batch is taken off and the op runs on the values by
its batch rule (batch.pyx); the newest tangent is taken off, the op runs, and its record gives the tangent (forward.pyx); then
the plain op. So the tape and the kernels see only values: a batch never enters the tape, and a save keeps its tangents.

Reverse mode needs no level: it differentiates by fresh nodes of its inputs (transforms.pyx).
"""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc
from cpython.object cimport PyObject

from .memory cimport births
from .promote cimport cast
from .shape cimport expand_to, reshape_to
from .tensor cimport *
from .views cimport settle

cdef extern from "Python.h":
    void raw_incref "Py_INCREF"(PyObject*)
    void raw_xdecref "Py_XDECREF"(PyObject*)

cdef enum:
    DEPTH = 64          # transforms inside each other

cdef Op CLONE = declare("clone")

cdef uint32_t counter = 0


# ---- the stack -----------------------------------------------------------------------------------------------------

cdef level_t* level_of(uint32_t level) noexcept:
    cdef fg_thread* here = thread()
    cdef level_t* stack = <level_t*>here.levels
    cdef int k
    for k in range(<int>here.nlevels - 1, -1, -1):
        if stack[k].id == level:
            return &stack[k]
    return NULL


cdef int check_live(uint32_t level) except -1:
    if level_of(level) == NULL:
        raise RuntimeError("this tensor stands for a batch of a vmap that has ended (or of another thread); return it from the "
                           "mapped function instead of keeping it")
    return 0


cdef level_t* new_level(int kind, uint32_t again=0) except NULL:
    cdef fg_thread* here = thread()
    cdef level_t* stack = <level_t*>here.levels
    cdef level_t* new
    global counter
    if here.nlevels == DEPTH:
        raise RecursionError(f"more than {DEPTH} transforms are nested")
    if stack == NULL:
        stack = <level_t*>malloc(DEPTH * sizeof(level_t))
        if stack == NULL:
            raise MemoryError()
        here.levels = stack
    if not again:
        counter += 1
    new = &stack[here.nlevels]
    new.id = again or counter
    new.kind = kind
    new.size = 0
    new.born = births()
    new.unit = 0
    new.randomness = RANDOM_ERROR
    new.recorded = False
    new.touched = NULL
    here.nlevels += 1
    here.vmaps += kind == VMAP
    return new


cdef int end_level(uint32_t level) except -1:
    """Ends a level, and any newer one that an exception left behind. Tangents that saves keep go: they could make cycles."""
    cdef fg_thread* here = thread()
    cdef level_t* top
    cdef PyObject* held
    cdef uint32_t ended = 0
    if level_of(level) == NULL:
        return 0
    while ended != level:
        top = &(<level_t*>here.levels)[here.nlevels - 1]
        ended = top.id
        held = top.touched
        here.nlevels -= 1
        here.vmaps -= top.kind == VMAP
        if held != NULL:
            forget(<list>held)
            raw_xdecref(held)
    if here.nlevels == 0:
        free(here.levels)
        here.levels = NULL
    return 0


cdef int forget(list touched) except -1:
    cdef NodeExtra e
    cdef Tangent chain
    for e in touched:
        if e.tangents is None:
            continue
        kept = {}
        for bit in e.tangents:
            chain = <Tangent>e.tangents[bit]
            while chain is not None and level_of(chain.level) == NULL:
                chain = chain.next
            if chain is not None:
                kept[bit] = chain
        e.tangents = kept or None
    return 0


# ---- batches -------------------------------------------------------------------------------------------------------

cdef Layout behind(Layout lay, int64_t size, int64_t stride):
    cdef int64_t shape[8]
    cdef int64_t strides[8]
    cdef int k, n = lay.c.ndim
    if n == FG_MAX_DIMS:
        raise RuntimeError(f"vmap: a tensor has at most {FG_MAX_DIMS} dimensions, those of its batches included; this one has "
                           f"{n} and a batch")
    shape[0] = size
    strides[0] = stride
    for k in range(n):
        shape[k + 1] = lay.c.shape[k]
        strides[k + 1] = lay.c.stride[k]
    return strided_layout(n + 1, shape, strides)


cdef Tensor boxed(Tensor inner, uint32_t level):
    cdef fg_layout* l = &inner.layout.c
    cdef Tensor t = make_tensor(inner.storage, strided_layout(l.ndim - 1, l.shape + 1, l.stride + 1), inner.data, inner.dtype)
    t.flags = BOXED
    t.extra = TensorExtra.__new__(TensorExtra)
    t.extra.inner = inner
    t.extra.level = level
    return t


cdef uint32_t newest_batch(Tensor x):
    cdef uint32_t newest = 0
    cdef Tangent c
    if x.flags & BOXED:
        return x.extra.level
    if x.flags & DUAL:
        c = live(x)
        while c is not None:
            newest = max(newest, newest_batch(c.t))
            c = c.next
    return newest


cdef Tensor expanded(Tensor x, int64_t size):
    cdef int64_t shape[8]
    cdef int k, n = x.layout.c.ndim
    if n == FG_MAX_DIMS:
        behind(x.layout, size, 0)       # raises
    shape[0] = size
    for k in range(n):
        shape[k + 1] = x.layout.c.shape[k]
    return expand_to(x, n + 1, shape)


cdef Tensor physical(Tensor x, uint32_t level, int64_t size):
    cdef Tensor values
    if x.flags & BOXED and x.extra.level == level:
        return x.extra.inner
    if x.flags & DUAL and newest_batch(x) == level:
        values = expanded(stripped(x, None), size)
        set_tangents(values, batched_chain(live(x), level, size))
        return values
    return expanded(x, size)


cdef Tangent batched_chain(Tangent c, uint32_t level, int64_t size):
    if c is None:
        return None
    return linked(c.level, physical(c.t, level, size), batched_chain(c.next, level, size))


cdef Tensor aligned(Tensor x, int ndim, int want):
    cdef int64_t shape[8]
    cdef int k
    if ndim >= want:
        return x
    if want + 1 > FG_MAX_DIMS:
        raise RuntimeError(f"vmap: a tensor has at most {FG_MAX_DIMS} dimensions, those of its batches included")
    shape[0] = x.layout.c.shape[0]
    for k in range(want):
        shape[k + 1] = x.layout.c.shape[k - want + ndim + 1] if k >= want - ndim else 1
    return reshape_to(x, want + 1, shape)


cdef Tensor batched_like(Tensor t, Tensor x):
    if not x.flags & BOXED:
        return t
    check_live(x.extra.level)
    t = batched_like(expanded(t, x.extra.inner.layout.c.shape[0]), x.extra.inner)
    return boxed(t if t.flags & BOXED else <Tensor>apply1(CLONE, t, None), x.extra.level)


cdef list drawn_levels(str who):
    cdef fg_thread* here = thread()
    cdef level_t* stack = <level_t*>here.levels
    cdef list found = []
    cdef uint32_t k
    for k in range(here.nlevels):
        if stack[k].kind != VMAP:
            continue
        if stack[k].randomness == RANDOM_ERROR:
            raise RuntimeError(f"{who}: random operations inside vmap need its argument randomness='different' (draws for each "
                               f"element) or 'same'")
        if stack[k].randomness == RANDOM_DIFFERENT:
            found.append((stack[k].id, stack[k].size))
    return found


# ---- tangents ------------------------------------------------------------------------------------------------------

cdef Tangent linked(uint32_t level, Tensor t, Tangent rest):
    cdef Tangent c = Tangent.__new__(Tangent)
    c.level = level
    c.t = t
    c.next = rest
    return c


cdef Tangent live(Tensor x):
    cdef Tangent c = None if x.extra is None else x.extra.tangents
    while c is not None and level_of(c.level) == NULL:
        c = c.next
    return c


cdef Tensor tangent_at(Tensor x, uint32_t level):
    cdef Tangent c
    settle(x)
    c = None if x.extra is None else x.extra.tangents
    while c is not None:
        if c.level == level:
            return c.t
        c = c.next
    return None


cdef int set_tangents(Tensor x, Tangent chain) except -1:
    if chain is None:
        x.flags &= ~DUAL
        if x.extra is not None:
            x.extra.tangents = None
        return 0
    more_of(x).tangents = chain
    x.flags |= DUAL
    return 0


cdef Tensor stripped(Tensor x, Tangent chain):
    cdef Tensor t = alias(x)
    t.node = x.node
    t.at = x.at
    t.flags |= x.flags & REQUIRES_GRAD
    if chain is not None:
        set_tangents(t, chain)
    return t


cdef Tensor zeros_of(Tensor x):
    return expand_to(scalar(0, x.dtype), x.layout.c.ndim, x.layout.c.shape)


cdef Tensor matched(Tensor t, Tensor like):
    if not same_shape(t.layout, like.layout):
        t = expand_to(t, like.layout.c.ndim, like.layout.c.shape)
    return t if t.dtype == like.dtype else cast(t, like.dtype)


cdef Tensor dual(Tensor x, Tensor t, uint32_t level):
    """x with tangent t. Where x is a batch both become one; else t may be one: one value, many directions."""
    cdef uint32_t newest
    cdef int64_t size
    settle(x)
    if x.flags & BOXED:
        newest = max(newest_batch(x), newest_batch(t))
        check_live(newest)
        size = level_of(newest).size
        return boxed(dual(physical(x, newest, size), physical(t, newest, size), level), newest)
    return stripped(x, linked(level, t, live(x)))
