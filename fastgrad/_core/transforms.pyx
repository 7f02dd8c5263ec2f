"""What fastgrad.func is made of: where apply() meets levels, entering and leaving them, and reverse mode inside them.

Reverse mode differentiates by fresh nodes of its inputs. These are first repeated along every vmap under way, so that each
element of a batch has its own gradient also of what the elements share. A pullback may run under newer vmaps: their batches
ride on its gradients in front of everything.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from .backward cimport AUTO, leads_elsewhere, run, widest
from .batch cimport on_batch, view_of_batch, views_of_batch
from .forward cimport view_with_tangents, views_with_tangents, with_tangents
from .levels cimport *
from .promote cimport cast
from .shape cimport contiguous_of, expand_to, permuted
from .tensor cimport *
from .views cimport apply_view, pattern, settle

from ._errors import DTypeError, ShapeError
from .directions import costs

cdef Op COPY = declare("copy")
cdef Op CLONE = declare("clone")
cdef Op WRITE = declare("write")
cdef Op SLICE = declare("slice")
cdef Op RESHAPE = declare("reshape")


# ---- behind apply() ------------------------------------------------------------------------------------------------

cdef object level_apply(Op op, PyObject** xs, int n, Attrs a):
    cdef uint32_t newest = 0
    cdef uint8_t flags = 0
    cdef int i
    for i in range(n):
        if xs[i] != NULL:
            flags |= (<Tensor>xs[i]).flags
    if flags & BOXED:
        for i in range(n):
            if xs[i] != NULL:
                newest = max(newest, newest_batch(<Tensor>xs[i]))
        return on_batch(op, xs, n, a, newest)
    return with_tangents(op, xs, n, a)


cdef Tensor level_view(Op op, Tensor x, Layout lay, int64_t offset, Attrs a):
    if x.flags & BOXED:
        return view_of_batch(op, x, lay, offset, a)
    return view_with_tangents(op, x, lay, offset, a)


cdef list level_views(Op op, Tensor x, list lays, list offsets, Attrs a):
    if x.flags & BOXED:
        return views_of_batch(op, x, lays, offsets, a)
    return views_with_tangents(op, x, lays, offsets, a)


# ---- in place ------------------------------------------------------------------------------------------------------
# The result is computed out of place, by the rules above, and then written: a batch into its values, a value with a tangent
# into the value, while the tangent of the base becomes another one with the view's part replaced; views take theirs from it
# when they are next read. That is the history of in-place operations once more (see inplace.pyx).

cdef object level_inplace(Op op, Tensor t, list others, Attrs a):
    cdef list operands = [t]
    cdef Tensor y
    cdef int k
    for o in others:
        operands.append(None if o is None else as_operand(o, t.dtype, op.name + "_"))
    if op is COPY:
        y = <Tensor>operands[1]
    else:
        if thread().recording:          # what a rule will read must not be what is written
            for k in range(len(operands)):
                if operands[k] is not None and (<Tensor>operands[k]).storage is t.storage:
                    operands[k] = apply1(CLONE, <Tensor>operands[k], None)
        y = <Tensor>apply_list(op, operands, a)
        if not same_shape(y.layout, t.layout):
            raise ShapeError(f"{op.name}_: the target of shape {tuple(t.shape)} cannot hold a result of shape {tuple(y.shape)}")
        if fg_category[y.dtype] > fg_category[t.dtype]:
            raise DTypeError(f"{op.name}_: a result of type {dtype_of(y.dtype).name} can't be cast to the target's type "
                             f"{dtype_of(t.dtype).name}; use the out-of-place form or convert the operand")
    write(t, y, op.name)
    return t


cdef int write(Tensor t, Tensor y, str name) except -1:
    cdef Tensor root = t if t.view is None else t.view.base
    cdef Tensor values
    cdef uint32_t newest
    cdef int64_t size
    settle(t)
    newest = max(newest_batch(y), t.extra.level if t.flags & BOXED else 0)
    if t.flags & BOXED or y.flags & BOXED:
        check_live(newest)
        if not (t.flags & BOXED and t.extra.level == newest):
            raise RuntimeError(f"{name}_: inside vmap a batch cannot be written into a tensor that is none, since one tensor "
                               f"cannot hold all its values; make the target from a batched one (zeros_like(x), x.clone()) or "
                               f"use the out-of-place form")
        size = level_of(newest).size
        values = y
        if newest_batch(y) == newest:
            values = aligned(physical(y, newest, size), y.layout.c.ndim, t.layout.c.ndim)
        t.extra.inner.copy_(values)
        return 0
    return write_dual(t, root, y)


cdef int write_dual(Tensor t, Tensor root, Tensor y) except -1:
    cdef dict found = {}
    cdef Tangent c, chain = None
    cdef Tensor part
    cdef PyObject* xs[2]
    for x in (root, t, y):
        c = live(<Tensor>x)
        while c is not None:
            found[c.level] = None
            c = c.next
    for level in sorted(found):
        part = tangent_at(y, level)
        if not fg_is_real(t.dtype):
            continue
        part = zeros_of(t) if part is None else matched(part, t)
        if t is not root:
            if not root.layout.c.flags & FG_DENSE:
                raise NotImplementedError("an in-place operation in forward mode on a view of a tensor that is not contiguous; "
                                          "use contiguous() first")
            whole = tangent_at(root, level)
            whole = new_zeros(root) if whole is None else contiguous_of(whole)     # the pattern is of dense memory
            xs[0] = <PyObject*>whole
            xs[1] = <PyObject*>part
            part = <Tensor>apply(WRITE, xs, 2, pattern(t, root.data))
        chain = linked(level, part, chain)
    before = live(root)
    root.flags &= ~DUAL
    t.flags &= ~DUAL
    try:
        t.copy_(stripped(y, None))
    except BaseException:
        set_tangents(root, before)
        raise
    set_tangents(root, chain)
    if t is not root:
        settle(t)
    return 0


cdef int level_settle(Tensor t) except -1:
    """The tangents of a view whose base got other ones."""
    cdef Tensor base = t.view.base
    cdef Tangent c = None if base.extra is None else base.extra.tangents
    cdef Tangent own
    if not fg_is_real(t.dtype) or (t.extra is not None and t.extra.seen is c and (c is None or t.extra.tangents is not None)):
        return 0
    if c is not None and not base.layout.c.flags & FG_DENSE:
        raise NotImplementedError("a view of a tensor that is not contiguous, written in place in forward mode; use contiguous() "
                                  "first")
    own = parts_of(t, base, c, pattern(t, base.data))
    set_tangents(t, own)
    more_of(t).seen = c
    return 0


cdef Tangent parts_of(Tensor t, Tensor base, Tangent c, Attrs a):
    cdef Tensor whole
    if c is None:
        return None
    if level_of(c.level) == NULL:
        return parts_of(t, base, c.next, a)
    whole = contiguous_of(c.t)
    return linked(c.level, apply_view(SLICE, whole, strided_layout(a.c.ndim, a.c.shape, a.c.stride), a.c.offset, a),
                  parts_of(t, base, c.next, a))


slots.level_apply = level_apply
slots.level_view = level_view
slots.level_views = level_views
slots.level_inplace = level_inplace
slots.level_settle = level_settle


# ---- vmap ----------------------------------------------------------------------------------------------------------

RANDOMNESS = {"error": RANDOM_ERROR, "different": RANDOM_DIFFERENT, "same": RANDOM_SAME}


def enter_vmap(int64_t size, int randomness):
    """Begins a vmap over `size` elements; returns its level."""
    cdef level_t* level = new_level(VMAP)
    level.size = size
    level.randomness = randomness
    return level.id


def leave(uint32_t level):
    """Ends a level."""
    end_level(level)


cdef Tensor moved(Tensor x, int source, int destination):
    """One dimension moved to another place."""
    cdef int order[8]
    cdef int k, j = 0, n = x.layout.c.ndim
    if source == destination:
        return x
    for k in range(n):
        if k == destination:
            order[k] = source
            continue
        if j == source:
            j += 1
        order[k] = j
        j += 1
    return permuted(x, order)


def add_batch(Tensor x not None, uint32_t level, int dim):
    """x as a batch along one of its dimensions."""
    settle(x)
    return boxed(moved(x, dim, 0), level)


def remove_batch(Tensor y not None, uint32_t level, dim):
    """All values of what the mapped function returned, the batch as dimension `dim`; None: of what is no batch, itself."""
    cdef int64_t size = level_of(level).size
    cdef int where
    settle(y)
    if dim is None:
        if newest_batch(y) == level:
            raise ValueError("vmap: an output depends on the batch, but its out_dims is None; give a dimension")
        return y
    where = dim
    if not -y.layout.c.ndim - 1 <= where <= y.layout.c.ndim:
        raise IndexError(f"vmap: out_dims {where} is out of range for an output of {y.layout.c.ndim} dimensions and the batch")
    return moved(physical(y, level, size), 0, where + y.layout.c.ndim + 1 if where < 0 else where)


# ---- forward mode --------------------------------------------------------------------------------------------------

def enter_forward():
    """Begins a derivative along one direction; returns its level."""
    return new_level(FORWARD).id


def make_dual(Tensor x not None, Tensor t not None, uint32_t level):
    """x with the tangent t."""
    settle(t)
    if has_history(t):
        level_of(level).recorded = True
    return dual(x, t, level)


def tangent_of(Tensor y not None, uint32_t level):
    """The tangent of y at a level; zeros where it has none."""
    cdef Tensor t
    settle(y)
    if y.flags & BOXED:
        return boxed(tangent_of(y.extra.inner, level), y.extra.level)
    t = tangent_at(y, level)
    return t if t is not None else new_zeros(y)


cdef Tensor new_zeros(Tensor x):
    cdef Tensor z = new_tensor(dense_layout(x.layout.c.ndim, x.layout.c.shape), x.dtype)
    z.zero_()
    return z


def primal_of(Tensor y not None, uint32_t level):
    """y without its tangent at a level."""
    cdef Tangent c
    settle(y)
    if y.flags & BOXED:
        return boxed(primal_of(y.extra.inner, level), y.extra.level)
    c = live(y)
    if c is None or c.level != level:
        return y
    return stripped(y, c.next)


def depends(Tensor y not None, uint32_t level):
    """Whether y has a tangent at a level."""
    while y.flags & BOXED:
        y = y.extra.inner
    return tangent_at(y, level) is not None


cdef bint has_history(Tensor t):
    cdef Tangent c
    settle(t)
    if t.flags & BOXED:
        return has_history(t.extra.inner)
    if t.flags & REQUIRES_GRAD:
        return True
    c = live(t)
    while c is not None:
        if has_history(c.t):
            return True
        c = c.next
    return False


# ---- reverse mode --------------------------------------------------------------------------------------------------

cdef list vmaps_under_way():
    """(level, size) of each, oldest first."""
    cdef fg_thread* here = thread()
    cdef level_t* stack = <level_t*>here.levels
    cdef uint32_t k
    return [(stack[k].id, stack[k].size) for k in range(here.nlevels) if stack[k].kind == VMAP] if here.vmaps else []


cdef bint tangents_recorded() noexcept:
    cdef fg_thread* here = thread()
    cdef level_t* stack = <level_t*>here.levels
    cdef uint32_t k
    for k in range(here.nlevels):
        if stack[k].kind == FORWARD and stack[k].recorded:
            return True
    return False


cdef Tensor lifted(Tensor x, list vmaps, int upto):
    """The values of x for all elements of vmaps[:upto], oldest in front."""
    if upto == 0:
        return x
    level, size = vmaps[upto - 1]
    return lifted(physical(x, level, size), vmaps, upto - 1)


cdef bint among(uint32_t level, list vmaps):
    for known, _ in vmaps:
        if known == level:
            return True
    return False


cdef Tensor lowered(Tensor x, list vmaps):
    """x as reverse mode under `vmaps` sees it: their dimensions in front, batches of newer vmaps around that."""
    cdef uint32_t newest = newest_batch(x)
    if newest and not among(newest, vmaps):
        return boxed(moved(lowered(physical(x, newest, level_of(newest).size), vmaps), len(vmaps), 0), newest)
    return lifted(x, vmaps, len(vmaps))


cdef Tensor raised(Tensor r, list vmaps):
    """The inverse of lowered()."""
    if not vmaps:
        return r
    if r.flags & BOXED and not among(r.extra.level, vmaps):
        return boxed(raised(moved(r.extra.inner, 0, len(vmaps)), vmaps), r.extra.level)
    for level, _ in vmaps:
        r = boxed(r, level)
    return r


cdef class Reverse:
    """One use of reverse mode: fresh nodes of inputs, and the gradients of outputs by them.

    Between ``begin`` and ``end`` recording is on. inputs: what the function is called with.
    """

    cdef list vmaps, wanted
    cdef readonly list inputs
    cdef bint before

    def __init__(self, list xs):
        cdef fg_thread* here = thread()
        self.before = here.recording
        self.vmaps = vmaps_under_way()
        self.wanted = []
        here.recording = 1
        try:
            for x in xs:
                self.wanted.append(fresh(lifted(<Tensor>x, self.vmaps, len(self.vmaps))))
        except BaseException:
            here.recording = self.before
            raise
        self.inputs = [raised(<Tensor>w, self.vmaps) for w in self.wanted]

    def end(self):
        """Recording is again what it was."""
        thread().recording = self.before

    def pull(self, list ys, list gs, bint keep, recorded=None):
        """The gradients of the inputs from those of ys (None: ones, for a scalar). They have a history where something else
        than the inputs could be differentiated through them; `recorded` decides it."""
        cdef list outputs = [], weights = [], got
        cdef Tensor y, g
        cdef int create = AUTO
        cdef fg_thread* here = thread()
        cdef uint32_t before = here.recording
        for k in range(len(ys)):
            y = lifted(<Tensor>ys[k], self.vmaps, len(self.vmaps))
            settle(y)
            if not y.flags & REQUIRES_GRAD:
                continue
            if gs[k] is None:
                g = expand_to(scalar(1, y.dtype), y.layout.c.ndim, y.layout.c.shape)
            else:
                g = lowered(<Tensor>gs[k], self.vmaps)
                if g.dtype != y.dtype:
                    g = cast(g, y.dtype)
                if has_history(g):
                    create = 1
            outputs.append(y)
            weights.append(g)
        if tangents_recorded():
            create = 1
        if recorded is not None:
            create = 1 if recorded else 0
        if not (self.before and before):
            create = 0
        if outputs:
            got = run(outputs, weights, self.wanted, keep or create == 1, create, False)
        else:
            got = [None] * len(self.wanted)
        return [raised(new_zeros(<Tensor>w) if r is None else <Tensor>r, self.vmaps) for r, w in zip(got, self.wanted)]

    def widest(self, list ys):
        """The bytes of the largest value that ys were computed from."""
        cdef list outputs = [lifted(<Tensor>y, self.vmaps, len(self.vmaps)) for y in ys]
        for y in outputs:
            settle(<Tensor>y)
        return widest([y for y in outputs if (<Tensor>y).flags & REQUIRES_GRAD])

    def costs(self, list ys):
        """What one direction of a Jacobian costs: (in reverse mode, in forward mode)."""
        return costs([lifted(<Tensor>y, self.vmaps, len(self.vmaps)) for y in ys], self.wanted)

    def outside(self, Tensor y not None):
        """y without the history that ends in the fresh nodes alone."""
        return self.cut(y)

    cdef Tensor cut(self, Tensor y):
        cdef Tensor t
        cdef bint cutting
        settle(y)
        if y.flags & BOXED:
            return boxed(self.cut(y.extra.inner), y.extra.level)
        cutting = y.flags & REQUIRES_GRAD and not (self.before and leads_elsewhere(y, self.wanted))
        if not cutting and not y.flags & DUAL:
            return y
        t = stripped(y, None)
        if cutting:
            t.node = None
            t.flags &= ~REQUIRES_GRAD
        set_tangents(t, self.cut_chain(live(y)))
        return t

    cdef Tangent cut_chain(self, Tangent c):
        return None if c is None else linked(c.level, self.cut(c.t), self.cut_chain(c.next))


cdef Tensor fresh(Tensor x):
    """Another node of x: a leaf, or where x has a history an op of it."""
    cdef Tensor t
    settle(x)
    if x.flags & REQUIRES_GRAD:
        t = apply_view(RESHAPE, x, x.layout, 0, None)
    else:
        t = stripped(x, live(x))
        require_grad(t)
    if t.view is not None:          # a write into the input would not be seen by its owner's history
        t = stripped(t, live(t))
    return t


def unit_vectors(list leaves not None, int64_t start, uint32_t level):
    """As many unit vectors of the space of all leaves together as the batch of a vmap has elements, from number `start` on:
    for each leaf a batch."""
    cdef list found = []
    cdef int64_t shape[8]
    cdef int64_t at = 0, k, n, count = level_of(level).size
    cdef int j
    cdef Tensor x, rows
    for x in leaves:
        n = x.layout.c.size
        if x.layout.c.ndim == FG_MAX_DIMS:
            raise RuntimeError(f"a batch of tensors of {FG_MAX_DIMS} dimensions has too many")
        shape[0] = count
        for j in range(x.layout.c.ndim):
            shape[j + 1] = x.layout.c.shape[j]
        rows = new_tensor(dense_layout(x.layout.c.ndim + 1, shape), x.dtype)
        memset(rows.data, 0, <size_t>(count * n * fg_itemsize[x.dtype]))
        for k in range(max(start, at), min(start + count, at + n)):
            if x.dtype == FG_F32:
                (<float*>rows.data)[(k - start) * n + k - at] = 1
            else:
                (<double*>rows.data)[(k - start) * n + k - at] = 1
        at += n
        found.append(boxed(rows, level))
    if len(leaves) == 1:
        level_of(level).unit = rows.storage.birth
        level_of(level).first = start
    return found


def all_values(Tensor y not None, uint32_t level):
    """The values of y for all elements of the batch, in front, in memory that is no part of another tensor's."""
    cdef Tensor values
    settle(y)
    values = physical(y, level, level_of(level).size)
    if values.storage.birth > level_of(level).born and not values.flags & VIEW and not values.layout.c.flags & FG_OVERLAP:
        return values
    return <Tensor>apply1(CLONE, values, None)


def scalar_output(Tensor y not None, str who):
    """Raises where y is not one real number."""
    if y.layout.c.ndim or not fg_is_real(y.dtype):
        raise RuntimeError(f"{who}: the function must return one real number, a 0-d tensor; got shape {tuple(y.shape)} of "
                           f"{dtype_of(y.dtype).name}")
