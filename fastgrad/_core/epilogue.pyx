"""Which calls of a program become part of the call that makes what they read: relu where linear stores its sums.

A record says that it does the work of two others (`joins`), with the same bits; nothing here knows an op by name. Its call takes
the place of the first, where nobody but the second reads what the first leaves.
"""

from libc.stdint cimport int64_t

from .record cimport PRODUCT, Call, Operand, Slot, alike, slots_of
from .recorder cimport Record
from .tensor cimport *

from .table import pairs


cdef list joined(Record rec, list calls, set survivors):
    """The calls, two of them made one wherever a record says how."""
    cdef Call c
    cdef Op both
    cdef dict touched = {}          # slot -> the calls that read or write it
    cdef dict made = {}             # position of a call -> what takes its place, None: nothing
    cdef list uses
    cdef int64_t at
    for at in range(len(calls)):
        for k in slots_of(calls[at], 0, len((<Call>calls[at]).operands)):
            touched.setdefault(k, []).append(at)
    for at in range(len(calls)):
        c = calls[at]
        if at in made or len(c.operands) == 0 or c.operands[0] is None:
            continue
        uses = touched[(<Operand>c.operands[0]).slot]
        if uses[0] != at or len(uses) < 2:
            continue
        both = pairs.get((c.op.name, (<Call>calls[uses[1]]).op.name))
        if both is not None and both.kernels[c.common] != NULL and fits(rec, calls, at, uses[1], touched, survivors):
            made[at] = one(both, c, calls[uses[1]])
            made[uses[1]] = None
    return [made.get(at, calls[at]) for at in range(len(calls)) if made.get(at, c) is not None]


cdef bint fits(Record rec, list calls, int64_t at, int64_t to, dict touched, set survivors):
    """Whether call `to` can be done where call `at` stands, and nobody else wants what that leaves for it."""
    cdef Call c = calls[at], d = calls[to]
    cdef Operand left = c.operands[0], out = d.operands[0], taken = d.operands[1], o
    cdef int64_t k
    if d.attrs is not None or taken.slot != left.slot or taken.offset != left.offset:
        return False
    for o in d.operands:                # all of them as the product lies: its kernel has one stride for them
        if (o is None or o.dtype != left.dtype or not alike(o.layout, left.layout) or (<Slot>rec.slots[o.slot]).kind != PRODUCT):
            return False
    if out.slot == left.slot:           # in place
        if out.offset != left.offset:
            return False
    elif len(touched[left.slot]) > 2 or left.slot in survivors or touched[out.slot][0] != to:
        return False
    reads = slots_of(d, 2, len(d.operands))
    for k in range(at, to):
        if not reads.isdisjoint(slots_of(calls[k], 0, (<Call>calls[k]).nout)):
            return False
    return True


cdef Call one(Op both, Call c, Call d):
    cdef Call made = Call.__new__(Call)
    made.op, made.common, made.nout = both, c.common, c.nout
    made.attrs, made.line, made.phase, made.at, made.scratch = c.attrs, c.line, c.phase, c.at, c.scratch
    made.operands = [d.operands[0], *c.operands[1:], *d.operands[2:]]
    return made
