"""Reverse mode: one pass over the tape, each node after all its consumers, gradients summed over consumers.

The order is a depth-first postorder made with an explicit stack, so that a chain of ten million nodes needs no C stack, and
the same pass tells which nodes lead to a wanted input. Rules are functions of Tensors that call ops: with `create_graph`
the run itself is recorded, and that is all there is to higher orders.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from .memory cimport Layout
from .promote cimport cast
from .tensor cimport *

from ._errors import ShapeError

cdef extern from "Python.h":
    void raw_incref "Py_INCREF"(PyObject*)
    void raw_decref "Py_DECREF"(PyObject*)
    void raw_xdecref "Py_XDECREF"(PyObject*)
    Py_ssize_t holders "Py_REFCNT"(PyObject*)
    object PyObject_Vectorcall(PyObject* call, PyObject** args, size_t nargs, PyObject* kwnames)

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define fg_prefetch(p) __builtin_prefetch(p)
    #else
    #define fg_prefetch(p) ((void)(p))
    #endif
    """
    void prefetch "fg_prefetch"(const void* p) noexcept

cdef Op ADD = declare("add")
cdef Op SUM = declare("sum")
cdef Op COPY = declare("copy")
cdef Op CLONE = declare("clone")
cdef Op WRITE = declare("write")

cdef enum:
    RUNS = 64                       # nested or concurrent backward runs
    SCRATCH = 512                   # bytes of a gradient that is computed on the C stack

cdef uint32_t active[RUNS]
cdef int nactive = 0
cdef uint32_t last_run = 0


cdef bint is_active(uint32_t run) noexcept:
    cdef int k
    for k in range(nactive):
        if active[k] == run:
            return True
    return False


# ---- the order -----------------------------------------------------------------------------------------------------

cdef enum:
    FEW = 64                        # nodes up to which a run allocates nothing

cdef struct order_t:
    PyObject** nodes                # owned; inputs before consumers
    int64_t count, room
    bint nested                     # other runs have not ended
    bint met                        # ... and their nodes were met
    PyObject* few[FEW]

cdef struct frame_t:
    PyObject* node                  # borrowed: an edge or the caller holds it
    int32_t next

cdef void begin(order_t* o) noexcept:
    o.nodes = o.few
    o.count = 0
    o.room = FEW
    o.nested = False
    o.met = False


cdef void end(order_t* o) noexcept:
    if o.nodes != o.few:
        PyMem_Free(o.nodes)


cdef void* grown(void* old, const void* few, int64_t room, size_t itemsize) except NULL:
    """Room for twice as many items; the first, `few`, is not on the heap."""
    cdef void* new = PyMem_Realloc(NULL if old == few else old, <size_t>(2 * room) * itemsize)
    if new == NULL:
        raise MemoryError("no memory for the order of the backward pass")
    if old == few:
        memcpy(new, few, <size_t>room * itemsize)
    return new


cdef int append(order_t* o, PyObject* node) except -1:
    if o.count == o.room:
        o.nodes = <PyObject**>grown(o.nodes, o.few, o.room, sizeof(PyObject*))
        o.room *= 2
    raw_incref(node)
    o.nodes[o.count] = node
    o.count += 1
    return 0


cdef int sort(order_t* o, list outputs, uint32_t run, bint freed=False) except -1:
    """Appends every node that the outputs depend on, inputs first, and stamps it with this run. freed: nodes whose saves are gone
    are no error.

    Nodes of another run that has not ended are left out, and all behind them, which are that run's too: a rule may
    differentiate by what is newer than they are (see `check_met`).
    """
    cdef frame_t few[FEW]
    cdef frame_t* stack = few
    cdef int64_t depth = 0, room = FEW
    cdef PyObject* n        # borrowed, as in the frames: an output or an edge holds it
    try:
        for y in outputs:
            n = <PyObject*>(<Tensor>y).node
            if (<Node>n).run == run or left_out(n, o):
                continue
            while n != NULL:
                enter(n, run, freed)
                if depth == room:
                    stack = <frame_t*>grown(stack, few, room, sizeof(frame_t))
                    room *= 2
                stack[depth].node = n
                stack[depth].next = 0
                depth += 1
                n = NULL
                while depth and n == NULL:
                    n = next_child(&stack[depth - 1], run, o, freed)
                    if n == NULL:
                        depth -= 1
                        append(o, stack[depth].node)
    finally:
        if stack != few:
            PyMem_Free(stack)
    return 0


cdef inline PyObject* next_child(frame_t* top, uint32_t run, order_t* o, bint freed) except? NULL:
    """The next node below the top one that was not met and has some below it; those that have none are appended at once."""
    cdef PyObject* p
    while top.next < <int32_t>(<Node>top.node).nedges:
        p = (<Node>top.node).edges[top.next].node
        top.next += 1
        if p != NULL and (<Node>p).run != run and not left_out(p, o):
            if (<Node>p).nedges:
                return p
            enter(p, run, freed)
            append(o, p)
    return NULL


cdef inline bint left_out(PyObject* n, order_t* o) noexcept:
    if o.nested and is_active((<Node>n).run):
        o.met = True
        return True
    return False


cdef inline int enter(PyObject* n, uint32_t run, bint freed) except -1:
    if (<Node>n).state & N_FREED and not freed:
        raise_freed(<Node>n)
    (<Node>n).run = run
    (<Node>n).state &= ~N_NEEDED
    return 0


cdef int raise_freed(Node n) except -1:
    if n.state & N_LEAF:
        raise RuntimeError("backward: the data of a leaf was replaced by data of another shape or dtype after this graph was "
                           "recorded; run the forward pass again")
    lines = watch.differentiated(n) if thread().special & WATCHED else ""
    raise RuntimeError(
        f"{n.op.name}: trying to backward through the graph a second time, but its saved values were freed by the first; pass "
        f"retain_graph=True to the first call, or detach() what an earlier step made"
        + (lines or "; inside `with fastgrad.detect_anomaly():` this message names both lines"))


# ---- gradients under way -------------------------------------------------------------------------------------------

cdef Layout layout_of(Node n, uint32_t at):
    """The layout of output `at` of a node."""
    if n.extra is not None and n.extra.lays is not None:
        return <Layout>n.extra.lays[at]
    return n.lay


cdef object gradient(Node n, uint32_t at):
    if at == 0:
        return None if n.g == NULL else <object>n.g
    if n.extra is None or n.extra.gs is None:
        return None
    return n.extra.gs[at - 1]


cdef int set_gradient(Node n, uint32_t at, object g) except -1:
    cdef PyObject* old
    if at == 0:
        old = n.g
        if g is None:
            n.g = NULL
        else:
            n.g = <PyObject*>g
            raw_incref(n.g)
        raw_xdecref(old)
        return 0
    if extra_of(n).gs is None:
        if g is None:
            return 0
        n.extra.gs = [None] * (len(n.extra.lays) - 1)
    n.extra.gs[at - 1] = g
    return 0


cdef Tensor fitted(Tensor g, Layout lay, int dtype):
    """g undone to the shape and dtype of what it is the gradient of: summed over what was broadcast, cast back."""
    cdef PyObject* px
    cdef Attrs a
    cdef int k, lead
    if not same_shape(g.layout, lay):
        lead = g.layout.c.ndim - lay.c.ndim
        a = shape_attrs(lay.c.ndim, lay.c.shape)
        a.c.mode = 2
        for k in range(g.layout.c.ndim):
            if k < lead or (lay.c.shape[k - lead] == 1 and g.layout.c.shape[k] != 1):
                a.c.axes |= <uint32_t>1 << k
            elif lay.c.shape[k - lead] != g.layout.c.shape[k]:
                raise ShapeError(f"a gradient of shape {tuple(shape_of(g.layout))} does not fit a value of shape "
                                 f"{tuple(shape_of(lay))}")
        if lead < 0:
            raise ShapeError(f"a gradient of shape {tuple(shape_of(g.layout))} does not fit a value of shape "
                             f"{tuple(shape_of(lay))}")
        px = <PyObject*>g
        g = <Tensor>apply(SUM, &px, 1, a)
    if g.dtype != dtype:
        g = cast(g, dtype)
    return g


cdef int accumulate(Node n, uint32_t at, Tensor g, bint recording) except -1:
    """Adds g to the gradient of output `at`: in place where the tape alone holds what is there."""
    cdef Layout lay
    cdef Tensor acc
    if n.extra is not None or g.layout is not n.lay or g.dtype != n.dtype:
        lay = layout_of(n, at)
        if g.layout is not lay or g.dtype != n.dtype:
            g = fitted(g, lay, n.dtype)
    if at == 0:
        if n.g == NULL:
            n.g = <PyObject*>g
            raw_incref(n.g)
            return 0
        # The reference count is read through the node's own pointer, before a local holds another reference.
        if not recording and held_alone(n.g) and add_to(n.g, g):
            return 0
        acc = <Tensor>apply2(ADD, <Tensor>n.g, g)
        return set_gradient(n, 0, acc)
    before = gradient(n, at)
    return set_gradient(n, at, g if before is None else apply2(ADD, before, g))


cdef inline bint held_alone(PyObject* g) noexcept:
    """Whether the tape alone holds a gradient and its memory, which may then be written."""
    return fg_sole(g) and fg_sole(<void*>(<Tensor>g).storage) and (<Tensor>g).storage.owner is None


cdef bint add_to(PyObject* sum, Tensor g) except -1:
    """Adds g to a sum of its shape and dtype in place; False where that cannot be done."""
    cdef fg_view v[3]
    cdef fg_call c
    cdef PyObject* ps[2]
    cdef uint32_t special = thread().special | (<Tensor>sum).flags | g.flags
    if special & LEVELLED or (<Tensor>sum).layout.c.flags & FG_OVERLAP:
        return False
    if special & SPECIAL or not (<Tensor>sum).layout.c.flags & g.layout.c.flags & FG_DENSE or g.layout.c.size >= big:
        ps[0] = sum
        ps[1] = <PyObject*>g
        run_into(ADD, <Tensor>sum, ps, 2, None)
        return True
    view_of(&v[0], <Tensor>sum)
    v[1] = v[0]
    view_of(&v[2], g)
    v[2].lay = v[0].lay         # of one shape, both dense
    c.kernel = ADD.kernels[g.dtype]
    c.attrs = NULL
    c.v = v
    c.scratch = NULL
    c.nout = 1
    c.nin = 2
    c.kernel(&c)                # of real numbers: cannot fail
    return True


cdef inline void view_of(fg_view* v, Tensor t) noexcept:
    v.data = t.data
    v.lay = &t.layout.c
    v.dtype = t.dtype


cdef Tensor owned(Tensor g):
    """A dense copy of a gradient, for the user: shares memory with nothing."""
    cdef PyObject* px = <PyObject*>g
    return <Tensor>apply(CLONE, &px, 1, None)


cdef Tensor dense_gradient(PyObject* held):
    """The gradient in `held` as the user gets it: itself where the tape alone holds it, else a copy."""
    return <Tensor>held if unshared(held, 1) else owned(<Tensor>held)


cdef bint unshared(PyObject* held, int tensors) noexcept:
    """Whether `held` is the only reference to a dense tensor, of whose memory it is number `tensors`: a batch shares it with its
    values."""
    if not fg_sole(held):
        return False
    if (<Tensor>held).flags & BOXED:
        return unshared(<PyObject*>(<Tensor>held).extra.inner, tensors + 1)
    return (holders(<PyObject*>(<Tensor>held).storage) == tensors and (<Tensor>held).storage.owner is None
            and (<Tensor>held).layout.c.flags & FG_DENSE and not (<Tensor>held).flags & SPECIAL)


cdef int into_leaf(Leaf leaf, bint recording) except -1:
    cdef Tensor old = peek(leaf)
    cdef Tensor g
    if old is None:
        leaf.grad = dense_gradient(leaf.g)
        change_epoch()
        if recording:
            extra_of(leaf)              # .grad may now hold its own leaf: let the collector see it
        return 0
    g = <Tensor>leaf.g
    if not same_shape(old.layout, g.layout):
        raise ShapeError(f"backward: .grad has shape {tuple(shape_of(old.layout))}, the gradient to be added "
                         f"{tuple(shape_of(g.layout))}: the data of this leaf was replaced; set .grad to None first")
    if (recording or old.dtype != g.dtype or (old.flags | g.flags) & (REQUIRES_GRAD | SPECIAL) or old.storage.readonly
            or not add_to(<PyObject*>old, g)):
        leaf.grad = <Tensor>apply2(ADD, old, g)
        change_epoch()
        return 0
    old.storage.version += 1
    leaf.added += 1
    return 0


# ---- rules ---------------------------------------------------------------------------------------------------------

cdef object call_rule(Node n, const rule_t* r, uint64_t needs, bint recording):
    cdef PyObject* args[MAX_ARGS + 1]
    cdef object held
    cdef int k, i, filled = 0
    cdef uint8_t kind
    cdef Written rule = <Written>r.call if type(<object>r.call) is Written else None
    if rule is not None and rule.op is None:
        return gradient(n, 0)
    try:
        for k in range(r.nargs):
            kind = r.args[k].kind
            i = r.args[k].index
            if kind == ARG_G:
                held = gradient(n, i)
            elif kind == ARG_X:
                held = unsave(n, i, recording)
            elif kind == ARG_Y:
                held = unsave(n, BIT_Y + i, recording)
            elif kind == ARG_S:
                held = layout_of_input(n, i)
            elif kind == ARG_A:
                held = n.attrs
            elif kind == ARG_NEEDS and rule is not None:
                held = needing(n.attrs if rule.takes_attrs else None, <uint32_t>needs)
            elif kind == ARG_NEEDS:
                held = needs
            elif kind == ARG_GS:
                held = [gradient(n, at) for at in range(len(n.extra.lays))]
            elif kind == ARG_SHAPES:
                held = n.extra.shapes
            else:
                held = n
            args[k] = <PyObject*>held
            raw_incref(args[k])
            filled += 1
        held = None
        if rule is not None:
            i = r.nargs - rule.takes_attrs - rule.takes_needs
            for k in range(i):
                if args[k] == <PyObject*>None:          # an input left out
                    raw_decref(args[k])
                    args[k] = NULL
            return apply(rule.op, args, i, None if i == r.nargs else <Attrs>args[r.nargs - 1])
        return PyObject_Vectorcall(r.call, args, <size_t>r.nargs, NULL)
    finally:
        for k in range(filled):
            raw_xdecref(args[k])


cdef int send_written(Node n, int i, const rule_t* r, bint restricted) except -1:
    """call_rule() and send() for a rule written as one elementwise op, where its operands are small and dense: no tensors are
    made of them, and none of the result where it is only added to a gradient, or where this is the last use of the gradient
    that arrived. False: it takes more than that."""
    cdef fg_view v[MAX_ARGS + 1]
    cdef fg_call c
    cdef char scratch[SCRATCH]
    cdef const fg_layout* lay
    cdef PyObject* op = <PyObject*>(<Written>r.call).op
    cdef PyObject* g = n.g
    cdef PyObject* parent = n.edges[i].node
    cdef PyObject* sum
    cdef Tensor out
    if g == NULL or n.extra is not None:
        return False
    if op == <PyObject*>None:
        accumulate(<Node>parent, n.edges[i].at, <Tensor>g, False)
        return True
    if not (<Op>op).elementwise:
        return send_all(n, r, i, 1, <uint64_t>1 << i)
    lay = &(<Tensor>g).layout.c
    c.kernel = (<Op>op).kernels[n.dtype]
    if (((<Tensor>g).flags | thread().special) & SPECIAL or (<Op>op).fast_out >= 0 or c.kernel == NULL or lay.size >= big
            or not lay.flags & FG_DENSE or not fill_call(n, r, &c, v, 1, True)):
        return False
    c.attrs = &n.attrs.c if (<Written>r.call).takes_attrs else NULL
    sum = (<Node>parent).g
    if (sum != NULL and lay.size * fg_itemsize[n.dtype] <= SCRATCH and &(<Tensor>sum).layout.c == lay
            and n.edges[i].at == 0 and (<Node>parent).dtype == n.dtype and (<Node>parent).extra is None
            and held_alone(sum) and not (<Tensor>sum).flags & SPECIAL):
        v[0].data = scratch
        v[0].lay = lay
        v[0].dtype = n.dtype
        if c.kernel(&c) != FG_OK:
            return False
        v[2] = v[0]
        v[0].data = v[1].data = (<Tensor>sum).data
        v[1].lay = lay
        c.nin = 2
        c.kernel = ADD.kernels[n.dtype]
        c.kernel(&c)                # of real numbers: cannot fail
        return True
    if held_alone(g) and not leads_later(n, i, restricted):
        view_of(&v[0], <Tensor>g)
        if c.kernel(&c) != FG_OK:
            return False
        accumulate(<Node>parent, n.edges[i].at, <Tensor>g, False)
        return True
    out = new_tensor((<Tensor>g).layout, n.dtype)
    view_of(&v[0], out)
    if c.kernel(&c) != FG_OK:
        return False
    accumulate(<Node>parent, n.edges[i].at, out, False)
    return True


cdef int send_all(Node n, const rule_t* r, int first, int count, uint64_t needs) except -1:
    """As send_written(), for a rule written as any op: its `count` outputs are the gradients of the inputs from `first` on, in
    their shapes, of which it makes those with a bit in `needs`."""
    cdef fg_view v[MAX_Y + MAX_ARGS]
    cdef fg_call c
    cdef fg_attrs attrs
    cdef PyObject* made[MAX_Y]
    cdef PyObject* rule = r.call
    cdef PyObject* op = <PyObject*>(<Written>rule).op
    cdef edge_t* edge = n.edges + first
    cdef Layout lay
    cdef Tensor out
    cdef int64_t work = 0
    cdef int k
    if (n.g == NULL or n.extra is not None or ((<Tensor>n.g).flags | thread().special) & SPECIAL
            or (<Op>op).outputs != count or not fill_call(n, r, &c, v, count, False)):
        return False
    c.kernel = (<Op>op).kernels[n.dtype]
    c.attrs = &n.attrs.c if (<Written>rule).takes_attrs else NULL
    if (<Written>rule).takes_needs:
        if c.attrs != NULL:
            attrs = n.attrs.c
        else:
            memset(&attrs, 0, sizeof(attrs))
        attrs.needs = <uint32_t>needs
        c.attrs = &attrs
    needs >>= first
    for k in range(count):
        made[k] = NULL
        if needs >> k & 1 and (<Node>edge[k].node).dtype != n.dtype:
            return False
    if c.kernel == NULL:
        return False
    try:
        for k in range(count):
            if needs >> k & 1:
                lay, out = layout_of(<Node>edge[k].node, edge[k].at), None
                if (<Op>op).over >= 0 and n.state & N_SPENT:
                    out = spent(n, &r.args[(<Op>op).over], lay)
                if out is None:
                    out = new_tensor(dense_form(lay), n.dtype)
                made[k] = <PyObject*>out
                raw_incref(made[k])
                view_of(&v[k], out)
                work += v[k].lay.size
            else:
                nothing(&v[k])
        out = None
        for k in range(count, count + c.nin):
            work += v[k].lay.size
        run_filled(<Op>op, &c, work)
        for k in range(count):
            if made[k] != NULL:
                accumulate(<Node>edge[k].node, edge[k].at, <Tensor>made[k], False)
    finally:
        for k in range(count):
            raw_xdecref(made[k])
    return True


cdef Tensor spent(Node n, const arg_t* arg, Layout lay):
    """What a rule's argument has saved, to be written over, where the tape alone holds it and will not ask for it again. Of
    1024 x 1000 scores the softmax becomes the gradient: memory is what limits that loss, and this is half of what backward
    moves."""
    cdef save_t* s
    cdef int i
    for i in range(n.nsaves):
        s = &n.saves[i]
        if s.bit == saved_under(arg):
            if s.storage == NULL or not fg_sole(s.storage) or <Layout>s.layout is not lay or s.dtype != n.dtype:
                return None
            (<Storage>s.storage).version += 1       # should the run fail before this node is freed: the save is refused then
            return make_tensor(<Storage>s.storage, lay, s.data, s.dtype)
    return None


cdef inline int saved_under(const arg_t* arg) noexcept:
    return arg.index if arg.kind == ARG_X else BIT_Y + arg.index


cdef inline void nothing(fg_view* v) noexcept:
    v.data = NULL
    v.lay = &scalar_layout.c
    v.dtype = 0


cdef inline bint fill_call(Node n, const rule_t* r, fg_call* c, fg_view* v, int nout, bint alike) noexcept:
    """Fills the inputs with the gradient and saves, as a rule names them, behind `nout` outputs. False where one is not there as
    it was saved, or not as the op takes it: an elementwise one (`alike`) in the layout of the gradient, or a single number."""
    cdef const save_t* s
    cdef const save_t* end = n.saves + n.nsaves
    cdef const fg_layout* lay = &(<Tensor>n.g).layout.c
    cdef PyObject* op = <PyObject*>(<Written>r.call).op
    cdef int k, bit
    cdef fg_view* x = v + nout
    for k in range(r.nargs):
        if r.args[k].kind == ARG_A or r.args[k].kind == ARG_NEEDS:
            continue
        if r.args[k].kind == ARG_G:
            x.data = (<Tensor>n.g).data
            x.lay = lay
            x.dtype = n.dtype
        else:
            bit = saved_under(&r.args[k])
            s = n.saves
            while s < end and s.bit != bit:
                s += 1
            if s == end:            # an input left out
                if alike:
                    return False
                nothing(x)
                x += 1
                continue
            # no storage: a hook has packed it; modified: the error is raised elsewhere
            if s.storage == NULL or s.version != (<Storage>s.storage).version:
                return False
            x.data = s.data
            x.lay = &(<Layout>s.layout).c
            x.dtype = s.dtype
            if alike and (s.dtype != n.dtype or (x.lay != lay and not (x.lay.size == 1 and x.lay.ndim <= lay.ndim))):
                return False
        if not alike:
            if (<Op>op).dense and not x.lay.flags & FG_DENSE:
                return False
            bit = <int>(x - v) - nout
            if x.dtype != ((<Op>op).in_fixed[bit] if (<Op>op).in_kind[bit] == D_FIXED else n.dtype):
                return False
        x += 1
    c.v = v
    c.scratch = NULL
    c.nout = nout
    c.nin = <int>(x - v) - nout
    return True


cdef Layout layout_of_input(Node n, int i):
    cdef int k
    if n.edges[i].node != NULL:
        return layout_of(<Node>n.edges[i].node, n.edges[i].at)
    for k in range(n.nsaves):
        if n.saves[k].bit == BIT_S + i:
            return <Layout>n.saves[k].layout
    return None


cdef inline bint leads(Node n, int i, bint restricted) noexcept:
    cdef PyObject* p = n.edges[i].node
    return p != NULL and (not restricted or ((<Node>p).state & N_NEEDED and (<Node>p).run == n.run))


cdef inline bint leads_later(Node n, int i, bint restricted) noexcept:
    """Whether the gradient of n is still to be read when that of its input i has been made."""
    cdef int k
    for k in range(i + 1, <int>n.nedges):
        if leads(n, k, restricted):
            return True
    return False


cdef int apply_rules(Node n, bint restricted, bint recording) except -1:
    """Sends the gradients of n's outputs on to its inputs."""
    cdef PyObject* op = <PyObject*>n.op
    cdef const rule_t* r
    cdef int i, last = (<Op>op).nrules - 1
    if op == <PyObject*>WRITE and not recording and leads(n, 0, restricted) and passed_on(n, restricted):
        return 0
    if (<Op>op).joint:
        return apply_joint(n, restricted, recording)
    for i in range(<int>n.nedges):
        if leads(n, i, restricted):
            r = &(<Op>op).rules[i if i < last else last]
            if recording or type(<object>r.call) is not Written or not send_written(n, i, r, restricted):
                send_called(n, i, r, recording)
    return 0


cdef int send_called(Node n, int i, const rule_t* r, bint recording) except -1:
    g = call_rule(n, r, 0, recording)
    return 0 if g is None else send(n, i, g, recording)


cdef int apply_joint(Node n, bint restricted, bint recording) except -1:
    cdef const rule_t* r = &n.op.rules[0]
    cdef int i, count = n.nedges
    cdef uint64_t needs = 0
    cdef tuple gs
    for i in range(count if count < 64 else 64):
        if leads(n, i, restricted):
            needs |= <uint64_t>1 << i
    if not recording and type(<object>r.call) is Written and send_all(n, r, 0, count, needs):
        return 0
    gs = tuple(call_rule(n, r, needs, recording))
    if len(gs) != count:
        raise RuntimeError(f"{n.op.name}: its rule returned {len(gs)} gradients for {count} inputs")
    for i in range(count):
        if leads(n, i, restricted) and gs[i] is not None:
            send(n, i, gs[i], recording)
    return 0


cdef bint passed_on(Node n, bint restricted) except -1:
    """The rule of `write` without the copy of the whole gradient: where the tape alone holds it, the slice is zeroed in place,
    so that a buffer filled row by row costs a row for each row."""
    cdef Layout base = layout_of_input(n, 0)
    cdef Tensor g, part
    cdef PyObject* xs[2]
    if not (fg_sole(n.g) and fg_sole(<void*>(<Tensor>n.g).storage) and base.c.flags & (<Tensor>n.g).layout.c.flags & FG_DENSE
            and not ((<Tensor>n.g).flags | thread().special) & LEVELLED):
        return False
    g = <Tensor>n.g
    part = alias(g)
    part.data = <char*>g.data + n.attrs.c.offset * fg_itemsize[g.dtype]
    part.layout = strided_layout(n.attrs.c.ndim, n.attrs.c.shape, n.attrs.c.stride)
    if leads(n, 1, restricted):
        send(n, 1, owned(part), False)
    zero = scalar(0, g.dtype)
    xs[0] = <PyObject*>part
    xs[1] = <PyObject*>zero
    run_into(COPY, part, xs, 2, None)
    part = None
    send(n, 0, g, False)
    return True


cdef inline int send(Node n, int i, object g, bint recording) except -1:
    if type(g) is not Tensor:
        raise TypeError(f"{n.op.name}: the gradient of input {i} is no Tensor but {type(g).__name__}")
    return accumulate(<Node>n.edges[i].node, n.edges[i].at, <Tensor>g, recording)


# ---- one run -------------------------------------------------------------------------------------------------------

cdef object run(list outputs, list gradients, list wanted, bint keep, int create, bint fill_leaves):
    """Differentiates `outputs` (weighted by `gradients`). With `wanted`, a list of tensors that require grad, only nodes
    that lead to them run and their gradients are returned; `fill_leaves` puts gradients into `.grad`. `create` may be AUTO:
    recorded where the graph has other leaves than the wanted."""
    cdef fg_thread* here = thread()
    cdef order_t order
    cdef uint32_t before = here.recording, me
    cdef int64_t k = 0, whole = 0, token = 0
    cdef PyObject* n
    cdef Tensor t
    cdef bint restricted = wanted is not None
    cdef bint watched = here.special & WATCHED != 0
    cdef list got = [None] * len(wanted) if restricted else None
    global nactive, last_run
    if nactive == RUNS:
        raise RecursionError(f"more than {RUNS} backward runs are active at once")
    begin(&order)
    last_run += 1
    if last_run == 0:
        last_run = 1
    me = last_run
    order.nested = nactive > 0
    active[nactive] = me
    nactive += 1
    here.recording = 1 if create == 1 else 0
    here.runs += 1
    if watched:
        whole = watch.range_begins("backward")
    try:
        sort(&order, outputs, me)
        if order.met:
            check_met(outputs, wanted, me)
        if restricted:
            for t in wanted:
                if t.node.run == me:
                    t.node.state |= N_NEEDED
            if create == AUTO:
                create = 1 if before and other_leaves(&order) else 0
                here.recording = <uint32_t>create
                keep = keep or create
            mark_needed(&order)
        for i in range(len(outputs)):
            t = outputs[i]
            accumulate(t.node, t.at, <Tensor>gradients[i], True)     # True: the user's gradient is never written
        gradients.clear()
        for k in range(order.count - 1, -1, -1):
            if k >= 8:                  # large graphs lie in memory, not in a cache
                prefetch(order.nodes[k - 8])
                prefetch((<Node>order.nodes[k - 4]).edges)
            n = order.nodes[k]
            if (<Node>n).g != NULL or ((<Node>n).extra is not None and (<Node>n).extra.gs is not None):
                if not restricted or (<Node>n).state & N_NEEDED:
                    if watched:
                        token = watch.node_begins(<Node>n)
                    (<Node>n).state = (<Node>n).state & ~N_SPENT if keep else (<Node>n).state | N_SPENT
                    visit(<Node>n, wanted, got, create, fill_leaves, restricted)
                    if watched:
                        watch.range_ends(token)
                    if not (<Node>n).state & N_LEAF and not keep:
                        release(<Node>n)
                drop_gradients(<Node>n)
            order.count = k
            raw_decref(n)
    finally:
        for k in range(order.count):
            drop_gradients(<Node>order.nodes[k])
            raw_decref(order.nodes[k])
        end(&order)
        here.recording = before
        here.runs -= 1
        forget_run(me)
        if watched:
            watch.range_ends(whole)
    return got


cdef int check_met(list outputs, list wanted, uint32_t me) except -1:
    """Nodes of a run that has not ended were left out: right where nothing that is wanted, or begun with, lies behind them. All
    that does is stamped with that run."""
    cdef Tensor t
    if wanted is not None:
        for t in outputs + wanted:
            if t.node.run != me and is_active(t.node.run):
                break
        else:
            return 0
    raise RuntimeError("backward: this graph is being differentiated by another run that has not ended (another thread, or a "
                       "backward call inside a hook, a custom function or a checkpoint's second run); give each its own graph, "
                       "or pass what is differentiated by as an argument")


cdef bint other_leaves(order_t* order) noexcept:
    """Whether there are leaves that are not marked as needed; what was left out may have some."""
    cdef int64_t k
    if order.met:
        return True
    for k in range(order.count):
        if (<Node>order.nodes[k]).state & (N_LEAF | N_NEEDED) == N_LEAF:
            return True
    return False


cdef int survey(order_t* order, list outputs) except -1:
    """The history of the outputs in order, outside of a run."""
    global last_run
    order.nested = nactive > 0
    last_run += 1
    if last_run == 0:
        last_run = 1
    return sort(order, outputs, last_run, True)


cdef void leave_order(order_t* order) noexcept:
    cdef int64_t k
    for k in range(order.count):
        raw_decref(order.nodes[k])
    end(order)


cdef bint leads_elsewhere(Tensor y, list wanted) except -1:
    cdef order_t order
    cdef Tensor t
    begin(&order)
    try:
        survey(&order, [y])
        for t in wanted:
            if t.node.run == last_run:
                t.node.state |= N_NEEDED
        return other_leaves(&order)
    finally:
        leave_order(&order)


cdef int64_t widest(list outputs) except -1:
    cdef order_t order
    cdef int64_t k, most = 0
    cdef Node n
    begin(&order)
    try:
        survey(&order, outputs)
        for k in range(order.count):
            n = <Node>order.nodes[k]
            most = max(most, n.lay.c.size * fg_itemsize[n.dtype])
        return most
    finally:
        leave_order(&order)


cdef int forget_run(uint32_t me) except -1:
    global nactive
    cdef int k
    for k in range(nactive):
        if active[k] == me:
            active[k] = active[nactive - 1]
            nactive -= 1
            return 0
    return 0


cdef int mark_needed(order_t* order) except -1:
    cdef int64_t k
    cdef int i
    cdef Node n
    for k in range(order.count):
        n = <Node>order.nodes[k]
        for i in range(n.nedges):
            if leads(n, i, True):
                n.state |= N_NEEDED
                break
    return 0


cdef int visit(Node n, list wanted, list got, bint create, bint fill_leaves, bint restricted) except -1:
    if n.extra is not None:
        call_hooks(n)
        retain(n)
    if restricted:
        keep_wanted(n, wanted, got, fill_leaves)
    if n.state & N_LEAF:
        if fill_leaves and n.g != NULL:
            into_leaf(<Leaf>n, create)
        return 0
    return apply_rules(n, restricted, create)


cdef int keep_wanted(Node n, list wanted, list got, bint fill_leaves) except -1:
    cdef Tensor t
    cdef int i
    for i in range(len(got)):
        t = <Tensor>wanted[i]
        if t.node is n:
            if t.at == 0 and n.g != NULL and not fill_leaves:
                got[i] = dense_gradient(n.g)
                continue
            got[i] = gradient(n, t.at)
            if got[i] is not None and not fill_leaves:
                got[i] = owned(<Tensor>got[i])
    return 0


cdef int call_hooks(Node n) except -1:
    if n.extra.hooks is None:
        return 0
    for at, _, hook in list(n.extra.hooks):
        g = gradient(n, at)
        if g is None:
            continue
        new = hook(g)
        if new is not None:
            if type(new) is not Tensor:
                raise TypeError(f"a gradient hook must return a Tensor or None, got {type(new).__name__}")
            if not same_shape((<Tensor>new).layout, layout_of(n, at)):
                raise ShapeError(f"a gradient hook returned shape {tuple(new.shape)} for a gradient of shape {tuple(g.shape)}")
            set_gradient(n, at, new)
    return 0


cdef int retain(Node n) except -1:
    cdef Tensor t
    if n.extra.retain is None:
        return 0
    for ref in n.extra.retain:
        t = ref()
        if t is not None and t.node is n:
            g = gradient(n, t.at)
            if g is not None:
                before = more_of(t).retained
                t.extra.retained = owned(<Tensor>g) if before is None else <Tensor>apply2(ADD, before, g)
    return 0


cdef int release(Node n) except -1:
    """What a run without retain_graph takes from a node it has visited."""
    n.state |= N_FREED
    free_block(n)
    n.attrs = None
    if n.extra is not None:
        n.extra.hooks = None
        n.extra.retain = None
        n.extra.ctx = None
        n.extra.packed = None
        n.extra.tangents = None
    return 0


cdef int drop_gradients(Node n) except -1:
    cdef PyObject* g = n.g
    n.g = NULL
    raw_xdecref(g)
    if n.extra is not None:
        n.extra.gs = None
    return 0


def pull(Node node not None, list gs not None):
    """What a node sends to each of its inputs (None: nothing) where `gs` are the gradients of its outputs. For explanations:
    nothing else changes, and the node may be visited again."""
    cdef fg_thread* here = thread()
    cdef uint32_t before = here.recording
    cdef int i, count = node.nedges
    cdef uint64_t needs = 0
    if node.state & N_LEAF:
        return []
    if node.state & N_FREED:
        raise RuntimeError(f"{node.op.name}: the values saved for this node were freed by a backward run; pass retain_graph=True")
    here.recording = 0
    here.runs += 1
    try:
        for i in range(len(gs)):
            set_gradient(node, i, gs[i])
        if node.op.joint:
            for i in range(count if count < 64 else 64):
                needs |= <uint64_t>leads(node, i, False) << i
            found = list(call_rule(node, &node.op.rules[0], needs, False))
        else:
            found = [call_rule(node, &node.op.rules[i if i < node.op.nrules else node.op.nrules - 1], 0, False)
                     if leads(node, i, False) else None for i in range(count)]
        for i in range(count):
            if found[i] is not None:
                found[i] = fitted(<Tensor?>found[i], layout_of(<Node>node.edges[i].node, node.edges[i].at),
                                  (<Node>node.edges[i].node).dtype) if leads(node, i, False) else None
        return found
    finally:
        drop_gradients(node)
        here.recording = before
        here.runs -= 1
