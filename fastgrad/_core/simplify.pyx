"""Calls that a program need not make: what an earlier call has computed, and what is the same at every replay.

Only calls on memory that is written once, or never, are looked at: such a slot names a value.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

from .record cimport CONSTANT, PAIRS, PRODUCT, Call, Operand, Slot, draws, layout_bytes, slots_of
from .recorder cimport Record
from .tensor cimport *

cdef enum:
    LARGEST = 1 << 16       # bytes of a folded result, which the program keeps for good
    SMALL = 4096            # bytes of a result that may be kept for a later use


cdef set values(Record rec, list calls):
    """The slots that are written once, before they are read, or never: each has one value throughout."""
    cdef Call c
    cdef Slot s
    cdef dict writes = {}
    meeting = {k for pair in rec.key[PAIRS] for k in pair}
    for c in calls:
        for k in slots_of(c, 0, c.nout):
            writes[k] = writes.get(k, 0) + (1 if k not in slots_of(c, c.nout, len(c.operands)) else 2)
    return {s.index for s in rec.slots
            if s.index not in meeting and (writes.get(s.index, 0) == 1 if s.kind == PRODUCT else not s.written)}


cdef bint pure(Record rec, Call c, set known, set survivors):
    """Whether the call is a function of values, and its results are values of the program's own."""
    outs = slots_of(c, 0, c.nout)
    return (not draws(c) and (c.attrs is None or c.attrs.py is None) and outs.isdisjoint(survivors)
            and slots_of(c, 0, len(c.operands)) <= known
            and all([(<Slot>rec.slots[k]).kind == PRODUCT for k in outs]))


cdef list simplified(Record rec, list calls, set survivors):
    """Where two calls compute the same, the later one goes if the earlier result is in memory then in any case, or is small:
    what is computed anew to save memory (checkpoints) stays."""
    cdef Call c, first
    cdef Operand o
    cdef dict seen = {}, same = {}, last = {}
    cdef list kept = []
    cdef int64_t at, k
    cdef set known = values(rec, calls)
    for at in range(len(calls)):
        for slot in slots_of(calls[at], 0, len((<Call>calls[at]).operands)):
            last[slot] = at
    for at in range(len(calls)):
        c = renamed(calls[at], same)
        if pure(rec, c, known, survivors):
            key = meaning(c)
            first = seen.get(key)
            if first is not None and all([last[slot] >= at or (<Slot>rec.slots[slot]).nbytes <= SMALL
                                         for slot in slots_of(first, 0, first.nout)]):
                for k in range(c.nout):
                    o = c.operands[k]
                    if o is not None:
                        slot = (<Operand>first.operands[k]).slot
                        same[o.slot] = slot
                        last[slot] = max(last[slot], last[o.slot])
                continue
            seen[key] = c
        kept.append(c)
    return kept


cdef object meaning(Call c):
    """What two calls have in common whose results are the same."""
    cdef Operand o
    attrs = None if c.attrs is None else PyBytes_FromStringAndSize(<const char*>&c.attrs.c, sizeof(c.attrs.c))
    return (c.op.name, c.common, attrs,
            tuple([None if o is None else (o.dtype, o.offset, layout_bytes(o.layout)) for o in c.operands[:c.nout]]),
            tuple([None if o is None else o.key() for o in c.operands[c.nout:]]))


cdef Call renamed(Call c, dict same):
    """The call with slots replaced by those that have the same value."""
    cdef Call d
    cdef Operand o, p
    if slots_of(c, 0, len(c.operands)).isdisjoint(same):
        return c
    d = Call.__new__(Call)
    d.op, d.common, d.nout, d.attrs = c.op, c.common, c.nout, c.attrs
    d.line, d.phase, d.at, d.scratch, d.operands = c.line, c.phase, c.at, c.scratch, []
    for o in c.operands:
        if o is not None and o.slot in same:
            p = Operand.__new__(Operand)
            p.slot, p.dtype, p.offset, p.layout = same[o.slot], o.dtype, o.offset, o.layout
            o = p
        d.operands.append(o)
    return d


cdef tuple folded(Record rec, list calls, set survivors):
    # A call that may fail did not on these operands.
    cdef Call c
    cdef list fixed = [], others = []
    cdef set known = values(rec, calls), constant
    constant = {k for k in known if (<Slot>rec.slots[k]).kind == CONSTANT and k not in survivors}
    for c in calls:
        outs = slots_of(c, 0, c.nout)
        if (pure(rec, c, known, survivors) and slots_of(c, c.nout, len(c.operands)) <= constant
                and all([(<Slot>rec.slots[k]).nbytes <= LARGEST for k in outs])):
            fixed.append(c)
            constant |= outs
        else:
            others.append(c)
    return fixed, others
