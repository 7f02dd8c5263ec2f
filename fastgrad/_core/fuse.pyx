"""Which calls of a program run together, tile by tile: what one leaves for the next then stays in the first-level cache.

A call is pointwise where its record says so; nothing here knows an op by name. Pointwise calls of one shape that share operands
become a Group, at the place of its first call, as long as nothing in between depends on the order. The calls of a Group run as
they would alone, over views of one tile (csrc/fuse.h).

The result has the same bits. A kernel may round an element otherwise in the last, scalar turns of a loop than in vectors, or in a
block with a number far out (WITHIN in csrc/elementwise.inc.c), so a tile holds whole blocks, and what broadcasts has rows of a
length that fg_broadcast takes one by one.
"""

cimport cython
from libc.stdint cimport int64_t

from .memory cimport Layout, dense_layout, strided_layout
from .record cimport EXTERNAL, PAIRS, PRODUCT, Call, Operand, Slot, alike, draws, may_fail, slots_of
from .recorder cimport Record
from .tensor cimport *

cdef enum:
    WHOLE = 256         # elements: a block of WITHIN, and so whole vectors
    ROW = 64            # elements: the least row that fg_broadcast does not put together with others

cdef int64_t TILE = 1024        # elements: with three or four operands half of a first-level cache
cdef int64_t LEAST = 4096       # elements from which calls are gathered: fewer are in the cache in any case


def tile_calls(int64_t tile, int64_t least):
    """Elements of a tile, a multiple of 256, and of the smallest output that is made in tiles, for programs made from now on:
    for tests and measurements. Returns what was set before."""
    global TILE, LEAST
    before = TILE, LEAST
    TILE, LEAST = tile, least
    return before


cdef bint pointwise(Call c):
    """Whether an element of the output depends on the elements of the inputs at its place alone."""
    cdef Op op = c.op
    return op.elementwise or (op.shape == "BROADCAST" and op.outputs == 1) or (
        op.shape == "SAME" and op.outputs == 1 and not op.dense and len(c.operands) == 2)


cdef bint same_view(Operand a, Operand b):
    return a.slot == b.slot and a.dtype == b.dtype and a.offset == b.offset and alike(a.layout, b.layout)


@cython.final
cdef class Group:
    """Calls that run together."""

    def __cinit__(self):
        self.calls, self.seen, self.written, self.private = [], {}, set(), set()
        self.read_after, self.written_after = set(), set()
        self.axis = -1

    cdef bint takes(self, Call c, bint lasting):
        """Whether c may run here, instead of where it stands. lasting: it writes what outlives the program's run."""
        cdef Operand o, first
        cdef Py_ssize_t k
        if not same_shape((<Operand>c.operands[0]).layout, self.over) or (lasting and self.fails_after):
            return False
        ins, outs = slots_of(c, 1, len(c.operands)), slots_of(c, 0, 1)
        if (ins | outs).isdisjoint(self.seen) or not ins.isdisjoint(self.written_after):
            return False
        if not outs.isdisjoint(self.written_after) or not outs.isdisjoint(self.read_after):
            return False
        for k in range(len(c.operands)):
            o = c.operands[k]
            if o is None or o.slot not in self.seen:
                continue
            first = self.seen[o.slot]
            if (k == 0 or o.slot in self.written) and (first is None or not same_view(o, first)):
                return False
        return True

    cdef int add(self, Call c) except -1:
        cdef Operand o, first
        self.calls.append(c)
        self.written.add((<Operand>c.operands[0]).slot)
        for o in c.operands:
            if o is not None:
                first = self.seen.setdefault(o.slot, o)
                if first is not None and not same_view(o, first):
                    self.seen[o.slot] = None
        return 0

    cdef bint cut(self):
        """Decides what a tile is; False where the calls do not pay together."""
        cdef Operand o
        cdef Call c
        cdef int64_t inner = 1, total = self.over.c.size
        cdef int k
        self.axis = -1
        for c in self.calls:
            for o in c.operands:
                if o is not None and o.layout.c.size != 1 and not (o.layout.c.flags & FG_DENSE and o.layout.c.size == total):
                    self.axis = 0
        if self.axis < 0:
            self.tile = TILE if total % TILE != 1 else TILE - WHOLE
        else:
            if self.over.c.shape[self.over.c.ndim - 1] < ROW:
                return False
            while self.over.c.shape[self.axis] == 1:
                self.axis += 1
            for k in range(self.axis + 1, self.over.c.ndim):
                inner *= self.over.c.shape[k]
            self.tile = (TILE + inner - 1) // inner
            while self.tile * inner % WHOLE != 0:
                self.tile += 1
            if self.tile * inner > 8 * TILE:
                return False
            total = self.over.c.shape[self.axis]
        if self.tile == 0:
            return False
        self.tiles = (total + self.tile - 1) // self.tile
        return self.tiles > 1 and self.keeps_sizes()

    cdef bint keeps_sizes(self):
        """Whether no part is a single number where the whole is not: a kernel may treat one apart (an exponent of 2)."""
        cdef Operand o
        cdef Call c
        for c in self.calls:
            for o in c.operands:
                if o is not None and o.layout.c.size != 1 and (
                        self.part(o, False).c.size == 1 or self.part(o, True).c.size == 1):
                    return False
        return True

    cdef Layout part(self, Operand o, bint last):
        cdef int64_t shape[FG_MAX_DIMS]
        cdef int64_t total = self.over.c.size if self.axis < 0 else self.over.c.shape[self.axis]
        cdef int64_t size = total - (self.tiles - 1) * self.tile if last else self.tile
        cdef int k, at
        if o.layout.c.size == 1:
            return scalar_layout
        if self.axis < 0:
            return dense_layout(1, &size)
        at = self.axis - (self.over.c.ndim - o.layout.c.ndim)
        if at < 0 or o.layout.c.shape[at] == 1:
            return o.layout
        for k in range(o.layout.c.ndim):
            shape[k] = o.layout.c.shape[k]
        shape[at] = size
        return strided_layout(o.layout.c.ndim, shape, o.layout.c.stride)

    cdef int64_t step(self, Operand o):
        cdef int at = self.axis - (self.over.c.ndim - o.layout.c.ndim)
        if o.slot in self.private or o.layout.c.size == 1:
            return 0
        if self.axis < 0:
            return self.tile * fg_itemsize[o.dtype]
        if at < 0 or o.layout.c.shape[at] == 1:
            return 0
        return self.tile * o.layout.c.stride[at] * fg_itemsize[o.dtype]

    cdef int64_t room(self, int dtype):
        cdef int64_t inner = 1
        if self.axis >= 0:
            inner = self.over.c.size // self.over.c.shape[self.axis]
        return self.tile * inner * fg_itemsize[dtype]


cdef list fused(Record rec, list calls, list others, set survivors):
    """The calls, some of them gathered in Groups. others: calls that run before or after all of these."""
    cdef Call c
    cdef Group g
    cdef list items = []
    cdef dict open = {}             # shape -> position of the last group of that shape
    meeting = {k for pair in rec.key[PAIRS] for k in pair}
    for c in calls:
        touched = slots_of(c, 0, len(c.operands))
        outs = slots_of(c, 0, c.nout)
        lasting = any([(<Slot>rec.slots[k]).kind <= EXTERNAL or k in survivors for k in outs])
        place = len(items)
        if fusable(c) and touched.isdisjoint(meeting):
            shape = shape_of((<Operand>c.operands[0]).layout)
            place = open.get(shape, place)
            if place == len(items) or not (<Group>items[place]).takes(c, lasting):
                place = len(items)
                g = Group.__new__(Group)
                g.over = (<Operand>c.operands[0]).layout
                open[shape] = place
                items.append(g)
            g = items[place]
            g.add(c)
        else:
            items.append(c)
        for at in open.values():
            if at < place:
                g = items[at]
                g.written_after |= outs
                g.read_after |= touched
                g.fails_after = g.fails_after or may_fail(c)
    return settled(rec, items, others, survivors)


cdef bint fusable(Call c):
    cdef Operand out, o
    if not pointwise(c) or draws(c) or may_fail(c):
        return False
    out = c.operands[0]
    if not out.layout.c.flags & FG_DENSE or out.layout.c.size < LEAST:
        return False
    for o in c.operands[1:]:
        if o is not None and o.slot == out.slot and not same_view(o, out):
            return False
    return True


cdef list settled(Record rec, list items, list others, set survivors):
    """The groups that pay, with what is private to them; the calls of others alone."""
    cdef Group g
    cdef list out = []
    cdef dict users = {}            # slot -> how many items touch it
    for item in items + others:
        for k in (<Group>item).seen if type(item) is Group else slots_of(item, 0, len((<Call>item).operands)):
            users[k] = users.get(k, 0) + 1
    for item in items:
        if type(item) is not Group:
            out.append(item)
            continue
        g = item
        if len(g.calls) < 2 or not g.cut():
            out.extend(g.calls)
            continue
        g.private = {k for k in g.written if users[k] == 1 and k not in survivors and (<Slot>rec.slots[k]).kind == PRODUCT}
        out.append(g)
    return out
