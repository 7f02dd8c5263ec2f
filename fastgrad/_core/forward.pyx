"""Forward mode: how the tangent of a result follows from the record of its op.

The newest level is taken off the operands, the op runs on what is left (older levels do the same there), and the kind of its
jvp gives the tangent. Rules are those of reverse mode wherever the Jacobian is diagonal, linear or a sum; a tangent that has
no kind is the transpose of the vjp, found by differentiating that with respect to its gradient.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from .backward cimport fitted, run
from .levels cimport *
from .promote cimport cast, common_dtype, wanted_dtype
from .reduce cimport sum_over
from .shape cimport contiguous_of, expand_to, permuted, reshape_to
from .tensor cimport *
from .views cimport apply_view, apply_views, view_plain, views_plain

cdef Op ADD = declare("add")
cdef Op MUL_VJP = declare("mul_vjp")
cdef Op RESHAPE = declare("reshape")
cdef Op EXPAND = declare("expand")
cdef Op PERMUTE = declare("permute")
cdef Op SLICE = declare("slice")


cdef object with_tangents(Op op, PyObject** xs, int n, Attrs a):
    cdef uint32_t newest = 0
    cdef list full = [], below = [], ts = [], ys
    cdef Tensor x
    cdef Tangent c
    cdef int i, k, want, common = common_dtype(op, xs, n, a)
    for i in range(n):
        if xs[i] == NULL:
            full.append(None)
            continue
        x = <Tensor>xs[i]
        want = wanted_dtype(op, i, common)
        full.append(cast(x, want) if want >= 0 and x.dtype != want else x)
        x = <Tensor>full[i]
        if x.flags & DUAL:
            c = live(x)
            if c is not None:
                newest = max(newest, c.level)
    for i in range(n):
        x = <Tensor>full[i]
        t = None
        if x is not None and x.flags & DUAL:
            c = live(x)
            if c is not None and c.level == newest:
                t = c.t
                c = c.next
            x = stripped(x, c)
        below.append(x)
        ts.append(t)
    y = apply_list(op, below, a)
    if newest == 0 or op.jvp_kind == J_NONE:
        return y
    ys = [y] if op.outputs - op.aux == 1 else list(y)
    found = tangents(op, below, ts, ys, a)
    for k in range(len(ys)):
        x = <Tensor>ys[k]
        if x is not None and found[k] is not None and fg_is_real(x.dtype):
            set_tangents(x, linked(newest, matched(<Tensor>found[k], x), live(x)))
    keep_in_saves(op, full, ys, newest)
    return ys[0] if op.outputs - op.aux == 1 else tuple(ys)


cdef int keep_in_saves(Op op, list xs, list ys, uint32_t newest) except -1:
    """Forward over reverse: what the node has saved keeps its tangents."""
    cdef Node node = None
    cdef NodeExtra extra
    cdef Tensor t
    cdef int k, bit
    for y in ys:
        if y is not None and (<Tensor>y).flags & REQUIRES_GRAD:
            node = (<Tensor>y).node
    if node is None or node.op is not op:
        return 0
    for k in range(node.nsaves):
        bit = node.saves[k].bit
        if bit >= BIT_S:
            continue
        if bit >= BIT_Y:
            t = <Tensor>ys[bit - BIT_Y] if bit - BIT_Y < len(ys) else None
        else:
            t = <Tensor>xs[bit]
        if t is None or not t.flags & DUAL or t.extra.tangents is None:
            continue
        extra = extra_of(node)
        if extra.tangents is None:
            extra.tangents = {}
        extra.tangents[bit] = t.extra.tangents
        touch(newest, extra)
    return 0


# ---- the kinds -----------------------------------------------------------------------------------------------------

cdef list tangents(Op op, list xs, list ts, list ys, Attrs a):
    """The tangents of ys from those of xs, None where there is none. Of any shape that broadcasts to that of y."""
    if op.jvp_kind == J_GIVEN:
        t = call(op, &op.forward, xs, ys, ts, [], a)
        return [t] if len(ys) == 1 else list(t)
    if op.jvp_kind == J_LINEAR:
        return linear(op, xs, ts, ys, a)
    if op.jvp_kind == J_DIAGONAL:
        return [through_rules(op, xs, ts, ys, a)]
    if op.jvp_kind == J_MULTILINEAR:
        return [product_rule(op, xs, ts, a)]
    if op.jvp_kind == J_REDUCED:
        return [reduced(op, xs, ts, ys, k, a) for k in range(len(ys))]
    return transposed(op, xs, ts, ys, a)


cdef object plus(object a, object b):
    return b if a is None else a if b is None else apply2(ADD, a, b)


cdef inline rule_t* rule_of(Op op, int i):
    return &op.rules[i if i < op.nrules else op.nrules - 1]


cdef object through_rules(Op op, list xs, list ts, list ys, Attrs a):
    """The Jacobian is diagonal: the vjp rule of each operand, applied to its tangent."""
    cdef object total = None
    cdef int i
    for i in range(len(xs)):
        if ts[i] is not None and rule_of(op, i).call != NULL:
            total = plus(total, call(op, rule_of(op, i), xs, ys, ts, [ts[i]], a))
    return total


cdef list linear(Op op, list xs, list ts, list ys, Attrs a):
    cdef int i
    cdef bint missing = False
    cdef list operands = []
    if not fg_is_real((<Tensor>ys[0]).dtype):
        return [None] * len(ys)
    for i in range(len(xs)):
        if xs[i] is not None and has_rule(op, i) and ts[i] is None:
            missing = True
    if missing and (op.elementwise or op.shape == "BROADCAST"):
        return [through_rules(op, xs, ts, ys, a)]
    for i in range(len(xs)):
        if xs[i] is None or not has_rule(op, i):
            operands.append(xs[i])
        else:
            operands.append(zeros_of(<Tensor>xs[i]) if ts[i] is None else ts[i])
    y = apply_list(op, operands, a)
    return [y] if len(ys) == 1 else list(y)


cdef object product_rule(Op op, list xs, list ts, Attrs a):
    cdef object total = None
    cdef int i
    cdef list operands
    for i in range(len(xs)):
        if ts[i] is not None and has_rule(op, i):
            operands = list(xs)
            operands[i] = ts[i]
            total = plus(total, apply_list(op, operands, a))
    return total


cdef object reduced(Op op, list xs, list ts, list ys, int k, Attrs a):
    """Each element of y is a sum of functions of one element of x each, so far as first derivatives go."""
    cdef Tensor y = ys[k]
    cdef object total = None, slope
    cdef list gs
    cdef int i
    if y is None or not fg_is_real(y.dtype):
        return None
    for i in range(len(xs)):
        if ts[i] is None or rule_of(op, i).call == NULL:
            continue
        gs = [None] * len(ys)
        gs[k] = expand_to(scalar(1, y.dtype), y.layout.c.ndim, y.layout.c.shape)
        slope = call(op, rule_of(op, i), xs, ys, ts, gs, a)
        if slope is None:
            continue
        t = <Tensor>apply2(MUL_VJP, ts[i], slope)
        if op.shape == "REDUCE":
            t = sum_over(t, a.c.axes, a.c.mode == 1)
        else:
            t = fitted(t, y.layout, y.dtype)
        total = plus(total, t)
    return total


cdef list transposed(Op op, list xs, list ts, list ys, Attrs a):
    """vjp(g) is linear in g, so the gradient of <vjp(g), t> by g is the tangent, whatever g is."""
    cdef fg_thread* here = thread()
    cdef uint32_t before = here.recording
    cdef list gs = [], outputs = [], weights = [], wanted
    cdef Tensor g, t
    cdef int i
    here.recording = 1
    try:
        for y in ys:
            g = None
            if y is not None and fg_is_real((<Tensor>y).dtype):
                g = new_tensor(dense_layout((<Tensor>y).layout.c.ndim, (<Tensor>y).layout.c.shape), (<Tensor>y).dtype)
                g.zero_()
                require_grad(g)
            gs.append(g)
        if op.joint:
            found = call(op, &op.rules[0], xs, ys, ts, gs, a)
        else:
            found = [None if ts[i] is None or rule_of(op, i).call == NULL else call(op, rule_of(op, i), xs, ys, ts, gs, a)
                     for i in range(len(xs))]
        for i in range(len(xs)):
            if ts[i] is None or found[i] is None or not (<Tensor>found[i]).requires_grad:
                continue
            outputs.append(found[i])
            t = <Tensor>ts[i]
            if not same_shape(t.layout, (<Tensor>found[i]).layout):     # the tape sums a gradient over what was broadcast
                t = expand_to(t, (<Tensor>found[i]).layout.c.ndim, (<Tensor>found[i]).layout.c.shape)
            weights.append(t)
    finally:
        here.recording = before
    wanted = [g for g in gs if g is not None]
    if not outputs:
        return [None] * len(ys)
    got = iter(run(outputs, weights, wanted, True, before, False))
    return [None if g is None else next(got) for g in gs]


cdef object call(Op op, const rule_t* r, list xs, list ys, list ts, list gs, Attrs a):
    cdef int k, i, kind
    cdef uint64_t needs = 0
    cdef list args = []
    for k in range(r.nargs):
        kind = r.args[k].kind
        i = r.args[k].index
        if kind == ARG_G:
            args.append(gs[i] if i < len(gs) else None)
        elif kind == ARG_T:
            args.append(ts[i] if i < len(ts) else None)
        elif kind == ARG_X:
            args.append(xs[i] if i < len(xs) else None)
        elif kind == ARG_Y:
            if i >= len(ys):
                raise NotImplementedError(f"{op.name}: forward mode needs an output that is for the rules only; give its record "
                                          f"a jvp")
            args.append(ys[i])
        elif kind == ARG_S:
            args.append((<Tensor>xs[i]).layout if i < len(xs) and xs[i] is not None else None)
        elif kind == ARG_A:
            args.append(a)
        elif kind == ARG_NEEDS:
            for i in range(len(ts)):
                if ts[i] is not None:
                    needs |= <uint64_t>1 << i
            args.append(needs)
        elif kind == ARG_GS:
            args.append(gs)
        elif kind == ARG_SHAPES:
            args.append(tuple([None if x is None else x.shape for x in xs]))
        else:
            raise NotImplementedError(f"{op.name}: a custom function needs a jvp of its own for forward mode")
    return (<object>r.call)(*args)


# ---- views ---------------------------------------------------------------------------------------------------------

cdef Tensor view_with_tangents(Op op, Tensor x, Layout lay, int64_t offset, Attrs a):
    """A view of x whose tangents are the same view of x's: both share memory the same way."""
    cdef Tensor out = view_plain(op, x, lay, offset, a)
    if fg_is_real(x.dtype):
        set_tangents(out, view_chain(op, x, live(x), lay, offset, a))
        note_source(out)
    return out


cdef int note_source(Tensor out) except -1:
    cdef TensorExtra base
    if out.view is not None and out.extra is not None:
        base = out.view.base.extra
        out.extra.seen = None if base is None else base.tangents
    return 0


cdef Tangent view_chain(Op op, Tensor x, Tangent c, Layout lay, int64_t offset, Attrs a):
    if c is None:
        return None
    return linked(c.level, view_of_tangent(op, x, c.t, lay, offset, a), view_chain(op, x, c.next, lay, offset, a))


cdef Tensor view_of_tangent(Op op, Tensor x, Tensor t, Layout lay, int64_t offset, Attrs a):
    cdef int order[8]
    cdef int k
    if same_strides(x.layout, t.layout):
        return apply_view(op, t, lay, offset, a)
    if op is RESHAPE:
        return reshape_to(t, lay.c.ndim, lay.c.shape)
    if op is EXPAND:
        return expand_to(t, lay.c.ndim, lay.c.shape)
    if op is PERMUTE:
        for k in range(a.c.ndim):
            order[k] = <int>a.c.shape[k]
        return permuted(t, order)
    t = contiguous_of(t)
    if op is SLICE:
        return apply_view(op, t, strided_layout(a.c.ndim, a.c.shape, a.c.stride), a.c.offset, a)
    if x.layout.c.flags & FG_DENSE:
        return apply_view(op, t, lay, offset, a)
    raise NotImplementedError(f"{op.name}: forward mode cannot follow this view of a tensor that is not contiguous; use "
                              f"contiguous() first")


cdef bint same_strides(Layout a, Layout b) noexcept:
    cdef int k
    if a is b:
        return True
    if not same_shape(a, b):
        return False
    for k in range(a.c.ndim):
        if a.c.stride[k] != b.c.stride[k]:
            return False
    return True


cdef list views_with_tangents(Op op, Tensor x, list lays, list offsets, Attrs a):
    cdef list outs = views_plain(op, x, lays, offsets, a), parts
    cdef list chain = []
    cdef Tangent c
    cdef Tensor t
    cdef int k
    if not fg_is_real(x.dtype):
        return outs
    c = live(x)
    while c is not None:
        t = c.t
        if same_strides(x.layout, t.layout):
            parts = apply_views(op, t, lays, offsets, a)
        else:
            parts = split_like(t, a)
        chain.append((c.level, parts))
        c = c.next
    for k in range(len(outs)):
        c = None
        for level, parts in reversed(chain):
            c = linked(level, <Tensor>parts[k], c)
        set_tangents(<Tensor>outs[k], c)
        note_source(<Tensor>outs[k])
    return outs


cdef list split_like(Tensor t, Attrs a):
    """The parts of t along a dimension, as SPLIT's attributes say."""
    return list(t.unbind(a.c.axis) if a.c.mode else t.split(list(a.py), a.c.axis))
