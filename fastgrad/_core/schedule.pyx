"""Which calls of a record a program keeps, and in which order.

A call is dropped where nothing reads what it writes, where an earlier one has computed the same, and where all it reads is
constant; what only ends a product becomes part of the product's call (epilogue.pyx). A call that writes only memory from outside
(a running statistic, a parameter) and cannot fail waits until all that can fail is done, unless another call depends on it in
between: a replay that fails leaves parameters unchanged. Pointwise calls of one shape are gathered (fuse.pyx). Then buffers get
their places (place.pyx).
"""

cimport cython
from libc.stdint cimport int64_t

from .epilogue cimport joined
from .fuse cimport Group, fused
from .place cimport place
from .record cimport CONSTANT, EMPTY, EXTERNAL, FULL, PAIRS, PRODUCT, Call, GradSlot, Operand, Slot, draws, may_fail, slots_of
from .recorder cimport Record
from .simplify cimport folded, simplified
from .tensor cimport *

cdef enum:
    INLINE = 64             # bytes: a gradient no larger lies in the object of its storage


@cython.final
cdef class Schedule:
    """The order and the places."""

    cdef int64_t free_from(self, GradSlot g) except -1:
        """The position from which on no old gradient is there, whatever fails: the function itself has cleared .grad by then."""
        cdef int64_t at, number, position = 0
        for at, number in self.failures:
            if g.entry != EMPTY and number < g.at:
                position = at + 1
        return position

    cdef bint reusable(self, GradSlot g) except -1:
        """Whether the new gradient may be written where the one of the last replay lies."""
        return g.entry != FULL and self.first_write.get((<Operand>g.final).slot, -1) >= self.free_from(g)


cdef Schedule schedule(Record rec):
    cdef Schedule s = Schedule.__new__(Schedule)
    cdef list kept, others, main, commit
    cdef dict grads = find_survivors(rec, s)
    kept = wanted(rec, rec.calls, s.survivors)
    s.dropped = len(rec.calls) - len(kept)
    kept = simplified(rec, kept, s.survivors)
    s.repeated = len(rec.calls) - len(kept) - s.dropped
    s.fixed, others = folded(rec, kept, s.survivors)
    kept = joined(rec, others, s.survivors)
    s.joined = len(others) - len(kept)
    main, commit = committed(rec, kept)
    main, commit = fused(rec, main, commit, s.survivors), fused(rec, commit, main, s.survivors)
    s.calls = with_constants(rec, main + commit)
    s.commits = len(s.calls) - len(commit)
    find_failures(s)
    s.places, s.arena, s.sum = place(
        rec, s.calls, s.survivors, {k for c in s.fixed for k in slots_of(c, 0, (<Call>c).nout)},
        [(slot, s.first_write[slot], s.free_from(g)) for slot, g in grads.items()
         if slot in s.alone and (<Slot>rec.slots[slot]).nbytes > INLINE and s.reusable(g)])
    return s


cdef dict find_survivors(Record rec, Schedule s):
    """Returns the .grad slots that get a new gradient, by the slot in which it lies."""
    cdef GradSlot g
    cdef dict grads = {}
    s.survivors = {slot for slot in rec.kept if (<Slot>rec.slots[slot]).kind >= PRODUCT}
    s.alone = set()
    for g in rec.grads.values():
        if type(g.final) is Operand:
            slot = (<Operand>g.final).slot
            s.survivors.add(slot)
            if slot in grads or slot in rec.results:
                s.alone.discard(slot)
            else:
                s.alone.add(slot)
            grads[slot] = g
    return grads


cdef list members(object item):
    """The calls of an item of a schedule."""
    return (<Group>item).calls if type(item) is Group else [] if type(item) is int else [item]


cdef list wanted(Record rec, list calls, set survivors):
    """The calls whose effects anything depends on."""
    cdef Call c
    cdef set needed = set(survivors), outs
    cdef list kept = []
    for c in reversed(calls):
        outs = slots_of(c, 0, c.nout)
        if draws(c) or may_fail(c) or not outs.isdisjoint(needed) or any(
                [(<Slot>rec.slots[k]).kind <= EXTERNAL for k in outs]):
            kept.append(c)
            needed |= outs
            needed |= slots_of(c, c.nout, len(c.operands))
    kept.reverse()
    return kept


cdef tuple committed(Record rec, list calls):
    """(calls that run where they are, calls that wait for the end). Memory from outside that meets counts as one."""
    cdef Call c
    cdef dict owner = {k: k for k in range(len(rec.slots))}
    cdef set touched = set(), written = set(), w, r
    cdef list main = [], commit = []
    for a, b in rec.key[PAIRS]:
        one, other = owner[a], owner[b]
        owner = {k: one if v == other else v for k, v in owner.items()}
    for c in reversed(calls):
        outs = slots_of(c, 0, c.nout)
        w = {owner[k] for k in outs}
        r = {owner[k] for k in slots_of(c, c.nout, len(c.operands))}
        outside = all([(<Slot>rec.slots[k]).kind <= EXTERNAL for k in outs])
        if outside and not may_fail(c) and not draws(c) and w.isdisjoint(touched) and r.isdisjoint(written):
            commit.append(c)
        else:
            main.append(c)
            touched |= w | r
            written |= w
    main.reverse()
    commit.reverse()
    return main, commit


cdef list with_constants(Record rec, list items):
    """The items, each constant that is written or survives set anew before its first use."""
    cdef Call c
    cdef Slot slot
    cdef set done = set()
    cdef list out = []
    changing = {k for k in rec.kept if (<Slot>rec.slots[k]).kind == CONSTANT}
    for slot in rec.slots:
        if slot.kind == CONSTANT and slot.written:
            changing.add(slot.index)
    for item in items:
        for c in members(item):
            for k in sorted(slots_of(c, 0, len(c.operands))):
                if k in changing and k not in done:
                    done.add(k)
                    out.append(k)
        out.append(item)
    out.extend(sorted(changing - done))
    return out


cdef int find_failures(Schedule s) except -1:
    cdef int64_t at
    cdef Call c
    s.first_write, s.failures = {}, []
    for at in range(len(s.calls)):
        if type(s.calls[at]) is int:
            s.first_write.setdefault(s.calls[at], at)
        for c in members(s.calls[at]):
            if may_fail(c):
                s.failures.append((at, c.at))
            for k in slots_of(c, 0, c.nout):
                s.first_write.setdefault(k, at)
    return 0
