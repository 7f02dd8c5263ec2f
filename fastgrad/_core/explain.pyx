"""A program in words: its calls with their shapes, costs and places, and what planning made of them."""

cimport cython
from libc.stdint cimport int64_t

from .fuse cimport Group
from .record cimport ARGUMENT, EXTERNAL, Call, Operand, Slot, line_text, slots_of
from .recorder cimport Record
from .schedule cimport Schedule, members
from .tensor cimport *

from ._costs import bytes_of, flops_of

cdef enum:
    WIDTH = 96              # of a line, without the place in the source
    MOST_NAMES = 8          # of the calls in a group


cdef str amount(int64_t n, str unit):
    """n in three or four digits: 1234 flop, 12.3 kflop."""
    cdef double x = n
    for prefix in ("", "k", "M", "G"):
        if x < 10000 or prefix == "G":
            return f"{n} {unit}" if prefix == "" else f"{x:.4g} {prefix}{unit}"
        x /= 1000


cdef str shapes(list operands):
    return ", ".join(["-" if o is None else "x".join([str(d) for d in shape_of((<Operand>o).layout)]) or "1" for o in operands])


cdef int64_t flops_in(Call c) except -1:
    ins = [None if o is None else tuple(shape_of((<Operand>o).layout)) for o in c.operands[c.nout:]]
    outs = [None if o is None else tuple(shape_of((<Operand>o).layout)) for o in c.operands[:c.nout]]
    return int(flops_of(c.op, c.attrs, ins, outs))


cdef int64_t moved_by(Call c, set met) except -1:
    """Bytes that a call of a group moves, if those of the slots in `met` do not move again."""
    cdef Operand o
    cdef int64_t moved = 0
    for o in c.operands:
        if o is not None and o.slot not in met:
            met.add(o.slot)
            moved += o.layout.c.size * fg_itemsize[o.dtype]
    return moved


# ---- groups --------------------------------------------------------------------------------------------------------

cdef dict summaries = {}        # what a watcher was told of outlives the program


@cython.final
cdef class Summary:
    """A group of calls as one: its name says what runs together; flops, bytes: of all."""


cdef Summary summary(Group g):
    """What a watcher is told of a group, made once."""
    cdef Summary s
    cdef set met
    if g.told is None:
        s, met = Summary.__new__(Summary), set(g.private)
        s.name = group_name(g)
        s.flops = sum([flops_in(c) for c in g.calls])
        s.bytes = sum([moved_by(c, met) for c in g.calls])
        g.told = summaries.setdefault((s.name, s.flops, s.bytes), s)
    return g.told


cdef str group_name(Group g):
    names = [(<Call>c).op.name for c in g.calls]
    if len(names) > MOST_NAMES:
        names[MOST_NAMES - 1:] = [f"{len(names) - MOST_NAMES + 1} more"]
    return f"fused({', '.join(names)})"


# ---- programs ------------------------------------------------------------------------------------------------------

@cython.final
cdef class Explained:
    """The lines of a program, and its sums."""

    cdef Record rec
    cdef Schedule s
    cdef list lines
    cdef int64_t flops, moved

    def __cinit__(self, Record rec, Schedule s):
        self.rec, self.s, self.lines = rec, s, []

    cdef str places(self, Call c, set private):
        cdef list found = []
        cdef Slot slot
        for k in sorted(slots_of(c, 0, c.nout)):
            slot = self.rec.slots[k]
            what = ("tile" if k in private else "argument" if slot.kind == ARGUMENT else "outside" if slot.kind == EXTERNAL
                    else "buffer" if k not in self.s.survivors else "gradient" if k in self.s.places else "new")
            found.append(f"{what} {self.s.places[k]}" if k in self.s.places else what)
        return ", ".join(found) if len(set(found)) > 1 else found[0]

    cdef int call(self, str number, Call c, int64_t moved, set private) except -1:
        flops = flops_in(c)
        if moved < 0:
            ins = [None if o is None else tuple(shape_of((<Operand>o).layout)) for o in c.operands[c.nout:]]
            outs = [None if o is None else tuple(shape_of((<Operand>o).layout)) for o in c.operands[:c.nout]]
            moved = int(bytes_of(c.op, ins, outs, fg_itemsize[c.common]))
        self.flops += flops
        self.moved += moved
        what = f"{shapes(c.operands[:c.nout])} <- {shapes(c.operands[c.nout:])}"
        costs = f"{amount(flops, 'flop')}, {amount(moved, 'B')} -> {self.places(c, private)}"
        room = max(20, WIDTH - 29 - len(costs))
        what = what if len(what) <= room else what[:room - 3] + "..."
        self.lines.append(f"{number:>4}  {c.op.name:<21} {what}  {costs}  ({line_text(c.line)})")
        return 0

    cdef int group(self, int64_t number, Group g) except -1:
        """A line for the group, then its calls: what is read or written by several of them moves once, tiles not at all."""
        cdef Summary whole = summary(g)
        cdef set met = set(g.private)
        what = "elements" if g.axis < 0 else f"of dimension {g.axis}"
        costs = f"{amount(whole.flops, 'flop')}, {amount(whole.bytes, 'B')}"
        self.lines.append(f"{number:4}  {whole.name}  {costs} in {g.tiles} tiles of {g.tile} {what}:")
        for c in g.calls:
            self.call("", c, moved_by(c, met), g.private)
        return 0


cdef str explained(Record rec, Schedule s, str more):
    cdef Explained e = Explained.__new__(Explained, rec, s)
    cdef int64_t at, calls = 0, fused = 0
    for at in range(len(s.calls)):
        item = s.calls[at]
        calls += max(1, len(members(item)))
        if type(item) is Group:
            fused += len(members(item))
            e.group(at, item)
        elif type(item) is int:
            e.lines.append(f"{at:4}  constant of {(<Slot>rec.slots[item]).nbytes} bytes")
        else:
            e.call(str(at), item, -1, set())
    what = "temporaries" if s.survivors.isdisjoint(s.places) else "temporaries and gradients"
    head = (f"{calls} calls, {len(s.calls) - s.commits} of them after all that can fail, {fused} of them fused; left out: "
            f"{s.dropped} unused, {s.repeated} repeated, {len(s.fixed)} constant, {s.joined} done by the call before\n"
            f"in all {amount(e.flops, 'flop')} and {amount(e.moved, 'B')}; {what} in {amount(s.arena, 'B')}, one by one "
            f"{amount(s.sum, 'B')}; {more}")
    return "\n".join([head, *e.lines])
