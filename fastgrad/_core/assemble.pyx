"""Makes a program of a record: the calls with their views, what is bound at each replay, what is guarded."""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from .fuse cimport Group
from .memory cimport exact_storage, foreign_storage
from .program cimport PyWeakReference, Program, Result, Target, bind_t, handle_t, own_t, range_t
from .random cimport current
from .record cimport (
    CONSTANT, DISTANCES, EXTERNAL, PAIRS, Call, GradSlot, Handle, Operand, Slot, draws, layout_bytes, module_changes)
from .recorder cimport Record
from .schedule cimport Schedule, members, schedule
from .tensor cimport *

cdef extern from "fuse.h":
    ctypedef struct fg_fusion:
        fg_call* calls
        fg_view* views
        int64_t* step
        const fg_layout** last
        int64_t ncalls, nviews, tiles
    int fg_fused(fg_call* call) noexcept nogil


cdef enum:
    LEAST_ARENA = 128       # bytes: smaller storages lie inside an object, where a vector may straddle lines or even pages


@cython.final
cdef class Fusion:
    """What the kernel of a fused call finds by the address in its attributes."""

    cdef fg_fusion c

    def __cinit__(self, int64_t ncalls, int64_t nviews):
        self.c.calls = <fg_call*>PyMem_Calloc(ncalls, sizeof(fg_call))
        self.c.step = <int64_t*>PyMem_Calloc(nviews, sizeof(int64_t))
        self.c.last = <const fg_layout**>PyMem_Calloc(nviews, sizeof(void*))
        if self.c.calls == NULL or self.c.step == NULL or self.c.last == NULL:
            raise MemoryError()
        self.c.ncalls, self.c.nviews = ncalls, nviews

    def __dealloc__(self):
        PyMem_Free(self.c.calls)
        PyMem_Free(self.c.step)
        PyMem_Free(self.c.last)


cdef Program assembled(Record rec):
    """The program of a record that is like the one before it."""
    cdef Program p = Program.__new__(Program)
    cdef Schedule s = schedule(rec)
    cdef Slot slot
    p.plan = s
    p.kept, p.streams = [], []
    p.recording, p.inference, p.world = rec.recording, rec.inference, rec.world
    p.modules = list(rec.modules.values())
    p.changes = module_changes()
    p.optimizers = [ref for ref, _ in rec.plans.values()]
    p.outside = []
    source = build_sources(p, rec, s)
    build_calls(p, rec, s, source)
    build_handles(p, rec)
    build_targets(p, rec, s, source)
    p.spec = with_results(rec.spec, rec, source)
    for slot in rec.slots:
        if slot.kind == EXTERNAL and slot.path is None:
            p.kept.append(slot.storage)
            if slot.written:
                p.written.append(slot.storage)
            if rec.key[PAIRS]:
                p.outside.append((slot.index, slot.storage, slot.written))
    build_ranges(p)
    return p


cdef int build_ranges(Program p) except -1:
    cdef Storage s
    p.ranges = <range_t*>PyMem_Calloc(len(p.written) + 1, sizeof(range_t))
    if p.ranges == NULL:
        raise MemoryError()
    for s in p.written:
        if s.nbytes:
            p.ranges[p.nranges].begin = <char*>s.data
            p.ranges[p.nranges].end = <char*>s.data + s.nbytes
            p.nranges += 1
    return 0


cdef dict build_sources(Program p, Record rec, Schedule s):
    """Numbers the memory that each replay finds anew: arguments, what is in .grad, what survives."""
    cdef Slot slot
    cdef dict source = {}
    p.nargs = len(rec.aliases)
    p.written = []
    p.written_args = []
    for slot in rec.slots[:p.nargs]:
        source[slot.index] = slot.index
        if slot.written:
            p.written_args.append(slot.index)
    p.paths = []
    for slot in rec.slots:
        if slot.kind == EXTERNAL and slot.path is not None:
            source[slot.index] = len(source)
            p.paths.append((slot.path, slot.written))
    p.fresh_at = len(source)
    p.fresh_bytes = [(<Slot>rec.slots[k]).nbytes for k in sorted(s.survivors - s.alone)]
    p.nfresh = len(p.fresh_bytes)
    p.fresh = [None] * p.nfresh
    for k in sorted(s.survivors - s.alone) + sorted(s.alone):
        source[k] = len(source)
    p.nsources = len(source)
    p.extents = <int64_t*>PyMem_Calloc(p.nargs + 1, sizeof(int64_t))
    if p.extents == NULL:
        raise MemoryError()
    for slot in rec.slots[:p.nargs]:
        p.extents[slot.index] = slot.nbytes
    p.pairs = tuple([(*pair, distance) for pair, distance in zip(rec.key[PAIRS], rec.key[DISTANCES])])
    return source


cdef int build_calls(Program p, Record rec, Schedule s, dict source) except -1:
    cdef int64_t nviews = 0, at, v = 0, k
    cdef Call c
    cdef Slot slot
    cdef dict base = {}             # slot -> address where it never changes
    cdef list binds = [[] for _ in range(p.nsources)]
    for item in s.calls + s.fixed:
        nviews += 2 if type(item) is int else sum([len((<Call>c).operands) for c in members(item)])
    p.ncalls, p.nviews = len(s.calls), nviews
    p.calls = <fg_call*>PyMem_Calloc(p.ncalls + 1, sizeof(fg_call))
    p.views = <fg_view*>PyMem_Calloc(nviews + 1, sizeof(fg_view))
    p.bases = <char**>PyMem_Calloc(p.nsources + 1, sizeof(char*))
    p.bind_at = <int64_t*>PyMem_Calloc(p.nsources + 2, sizeof(int64_t))
    if p.calls == NULL or p.views == NULL or p.bases == NULL or p.bind_at == NULL:
        raise MemoryError()
    p.arena = exact_storage(max(s.arena, LEAST_ARENA))
    for slot in rec.slots:
        if slot.index in s.places:
            base[slot.index] = <size_t>p.arena.data + <size_t>s.places[slot.index]
        elif slot.kind == EXTERNAL and slot.path is None:
            base[slot.index] = <size_t>slot.storage.data
        elif slot.kind == CONSTANT and slot.index not in source:
            base[slot.index] = <size_t>constant(p, slot).data
    for c in s.fixed:
        v = run_now(p, rec, c, binds, source, base, v)
    for at in range(p.ncalls):
        item = s.calls[at]
        if type(item) is int:
            v = fill_constant(p, &p.calls[at], rec.slots[item], binds, source, base, v)
        elif type(item) is Group:
            v = fill_group(p, &p.calls[at], item, binds, source, base, v)
        else:
            v = fill_call(p, &p.calls[at], item, binds, source, base, v)
            if -1 - at in s.places:
                p.calls[at].scratch = <char*>p.arena.data + <int64_t>s.places[-1 - at]
    p.binds = <bind_t*>PyMem_Calloc(sum([len(b) for b in binds]) + 1, sizeof(bind_t))
    if p.binds == NULL:
        raise MemoryError()
    v = 0
    for k in range(p.nsources):
        p.bind_at[k] = v
        for view, offset in binds[k]:
            p.binds[v].view = view
            p.binds[v].offset = offset
            v += 1
    p.bind_at[p.nsources] = v
    return 0


cdef int64_t run_now(Program p, Record rec, Call c, list binds, dict source, dict base, int64_t v) except -1:
    """Runs a call whose results are constant into memory that the program keeps."""
    cdef fg_call f
    cdef Operand o
    cdef Storage memory, scratch = None
    cdef int64_t at = 0
    cdef int code = FG_ESCRATCH
    memset(&f, 0, sizeof(f))
    for o in c.operands[:c.nout]:
        if o is not None:
            memory = new_storage((<Slot>rec.slots[o.slot]).nbytes)
            p.kept.append(memory)
            base[o.slot] = <size_t>memory.data
    v = fill_call(p, &f, c, binds, source, base, v)
    while code == FG_ESCRATCH:
        code = replay_calls(&f, 1, &at)
        if code == FG_ESCRATCH:
            scratch = new_storage(f.value)
            f.scratch = scratch.data
    if code != FG_OK:
        raise_code(c.op, code, &f)
    return v


cdef int64_t fill_constant(Program p, fg_call* f, Slot slot, list binds, dict source, dict base, int64_t v) except -1:
    """A call that sets the memory of a constant anew."""
    cdef Attrs a = new_attrs()
    cdef Storage memory = constant(p, slot)
    a.c.i[0] = slot.nbytes
    p.kept.append(a)
    f.kernel = byte_copier()
    f.attrs = &a.c
    f.nout = f.nin = 1
    f.v = p.views + v
    fill_view(p, binds, source, base, v, slot.index, 0, scalar_layout, FG_U8)
    set_data(&p.views[v + 1], <char*>memory.data, scalar_layout, FG_U8)
    return v + 2


cdef int64_t fill_call(Program p, fg_call* f, Call c, list binds, dict source, dict base, int64_t v) except -1:
    """All of the call but its views; then these, from number v on. Returns the number after them."""
    cdef Operand o
    cdef Attrs a = c.attrs
    if draws(c):
        a = new_attrs()
        a.c = c.attrs.c
        p.streams.append((a, c.attrs.py))
        if c.attrs.py is current():
            p.drawn = c.attrs.py
    p.kept.append(a)
    f.kernel = c.op.kernels[c.common]
    f.attrs = NULL if a is None else &a.c
    f.nout = c.nout
    f.nin = len(c.operands) - c.nout
    f.v = p.views + v
    for o in c.operands:
        if o is None:
            p.views[v].lay = &scalar_layout.c
        else:
            p.kept.append(o.layout)
            p.work += o.layout.c.size
            fill_view(p, binds, source, base, v, o.slot, o.offset, o.layout, o.dtype)
        v += 1
    return v


cdef int64_t fill_group(Program p, fg_call* f, Group g, list binds, dict source, dict base, int64_t v) except -1:
    cdef int64_t first = v, k = 0
    cdef Attrs a = new_attrs()
    cdef Call c
    cdef Operand o
    cdef Layout part
    cdef Fusion fusion = Fusion.__new__(Fusion, len(g.calls), sum([len((<Call>c).operands) for c in g.calls]))
    cdef dict parts = {}            # layouts that are equal become one: kernels compare pointers
    fusion.c.views = p.views + v
    fusion.c.tiles = g.tiles
    a.c.i[0] = <int64_t>&fusion.c
    p.kept.extend((a, fusion, parts))
    f.kernel = <fg_kernel>fg_fused
    f.attrs = &a.c
    f.v = p.views + v
    for c in g.calls:
        v = fill_call(p, &fusion.c.calls[k], c, binds, source, base, v)
        k += 1
    for c in g.calls:
        for o in c.operands:
            if o is not None:
                if o.slot in g.private:
                    p.views[first].data = <char*><size_t>base[o.slot]
                fusion.c.step[first - (v - fusion.c.nviews)] = g.step(o)
                part = interned(parts, g.part(o, False))
                p.views[first].lay = &part.c
                part = interned(parts, g.part(o, True))
                fusion.c.last[first - (v - fusion.c.nviews)] = &part.c
            else:
                fusion.c.last[first - (v - fusion.c.nviews)] = &scalar_layout.c
            first += 1
    return v


cdef Layout interned(dict parts, Layout lay):
    return parts.setdefault(layout_bytes(lay), lay)


cdef Storage constant(Program p, Slot slot):
    """The value of a constant in memory of the program."""
    cdef Storage memory = new_storage(slot.nbytes)
    memcpy(memory.data, <const char*>slot.value, <size_t>slot.nbytes)
    p.kept.append(memory)
    return memory


cdef int fill_view(Program p, list binds, dict source, dict base, int64_t v, int slot, int64_t offset, Layout lay,
                   int dtype) except -1:
    if slot in source:
        binds[source[slot]].append((v, offset))
        set_data(&p.views[v], NULL, lay, dtype)
    else:
        set_data(&p.views[v], <char*><size_t>base[slot] + offset, lay, dtype)
    return 0


cdef inline void set_data(fg_view* v, char* data, Layout lay, int dtype) noexcept:
    v.data = data
    v.lay = &lay.c
    v.dtype = dtype


cdef int build_handles(Program p, Record rec) except -1:
    cdef Handle h
    cdef handle_t* t
    p.nhandles = len(rec.handles)
    p.handles = <handle_t*>PyMem_Calloc(p.nhandles + 1, sizeof(handle_t))
    if p.handles == NULL:
        raise MemoryError()
    t = p.handles
    for h in rec.handles.values():
        p.kept.append((h.ref, h.storage, h.layout, h.leaf))
        t.ref = <PyWeakReference*>h.ref
        t.storage = <PyObject*>h.storage
        t.layout = <PyObject*>h.layout
        t.leaf = <PyObject*>h.leaf
        t.data = h.data
        t.required = h.required
        t += 1
    return 0


cdef int build_targets(Program p, Record rec, Schedule s, dict source) except -1:
    cdef GradSlot g
    cdef Target target
    cdef Operand o
    p.targets = []
    p.own = <own_t*>PyMem_Calloc(len(rec.grads) + 1, sizeof(own_t))
    if p.own == NULL:
        raise MemoryError()
    for g in rec.grads.values():
        target = Target.__new__(Target)
        target.leaf, target.entry = g.leaf, g.entry
        target.clears = g.final is None
        target.free_from = s.free_from(g)
        target.source = -1
        if type(g.final) is Operand:
            o = g.final
            target.source = source[o.slot]
            target.exclusive = target.source >= p.fresh_at + p.nfresh
            target.layout, target.dtype, target.offset = o.layout, o.dtype, o.offset
            target.nbytes = (<Slot>rec.slots[o.slot]).nbytes
            target.reusable = s.reusable(g)
            if o.slot in s.places:
                target.placed = True
                target.mine = target.made(foreign_storage(<char*>p.arena.data + <int64_t>s.places[o.slot], target.nbytes,
                                                          p.arena, False))
        p.targets.append(target)
    return 0


cdef object with_results(object spec, Record rec, dict source):
    """The structure of the result with a Result for each tensor: (kind, type, items, keys)."""
    cdef Operand o
    cdef Result r
    if type(spec) is Operand:
        o = spec
        r = Result.__new__(Result)
        r.source = source.get(o.slot, -1)
        r.layout, r.dtype, r.offset = o.layout, o.dtype, o.offset
        r.storage = (<Slot>rec.slots[o.slot]).storage if r.source < 0 else None
        return r
    if spec[0] == "static":
        return spec
    items = [with_results(x, rec, source) for x in spec[len(spec) - 1]]
    return spec[0], spec[1], items, (spec[2] if spec[0] == "dict" else None)
