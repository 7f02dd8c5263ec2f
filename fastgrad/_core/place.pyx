"""Where the buffers of a program, and the gradients that it leaves, lie in one block of memory.

By lifetime, the largest first; the output of a pointwise call takes the place of an input that ends there, and so does that of a
call that may write over one input. The calls of a Group take turns at every tile: to all others each of them lasts as long as the
Group. Between themselves the buffers of one tile, which only they see, last from call to call. A gradient lives from its first
write to the end, and on in the next replay until it is gone there.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t

from .fuse cimport Group
from .record cimport CONSTANT, PRODUCT, Call, Operand, Slot, alike, slots_of
from .recorder cimport Record
from .tensor cimport *

cdef enum:
    LINE = 64           # bytes, to which buffers are aligned
    LEAST = 8           # bytes of a buffer
    TRIES = 20          # of each order of buffers; fewer where there are many, so that it takes some milliseconds at most
    WORK = 300000       # pairs of buffers to be compared in all

cdef struct life_t:
    int64_t begin, end, nbytes, offset


@cython.final
cdef class Buffers:
    """The slots that get a place, with their lives, counted in calls."""

    cdef Record rec
    cdef set own
    cdef dict begin, end        # slot -> its first and last call
    cdef dict wide              # slot -> begin and end as all other calls see it
    cdef dict size, root
    cdef list starts            # the number of the first call of each item, and of the one after the last

    def __cinit__(self, Record rec, set own):
        self.rec, self.own = rec, own
        self.begin, self.end, self.wide, self.size, self.root = {}, {}, {}, {}, {}
        self.starts = []

    cdef int touch(self, int slot, int64_t at, int64_t first, int64_t last) except -1:
        if slot in self.own:
            self.begin.setdefault(slot, at)
            self.end[slot] = at
            b, e = self.wide.get(slot, (first, last))
            self.wide[slot] = min(b, first), max(e, last)
            self.size.setdefault(slot, (<Slot>self.rec.slots[slot]).nbytes)
        return 0

    cdef int live(self, list items) except -1:
        cdef Call c
        cdef Group g
        cdef Operand o
        cdef int64_t at = 0, first
        for item in items:
            self.starts.append(at)
            if type(item) is int:
                self.touch(item, at, at, at)
                at += 1
            elif type(item) is Group:
                g = item
                first = at
                for c in g.calls:
                    for o in c.operands:
                        if o is not None and o.slot in g.private:
                            self.size[o.slot] = g.room(o.dtype)
                            self.touch(o.slot, at, at, at)
                        elif o is not None:
                            self.touch(o.slot, at, first, first + len(g.calls) - 1)
                    at += 1
            else:
                for slot in slots_of(item, 0, len((<Call>item).operands)):
                    self.touch(slot, at, at, at)
                at += 1
        self.starts.append(at)
        return 0

    cdef int share(self, list items, bint backwards, bint over) except -1:
        """Finds outputs that take the place of an input, of the last one that may be (`backwards`) or of the first; with `over`
        also where a call only may write over an input: one place for both then lasts as long as both."""
        cdef int64_t at = 0
        self.root = {}
        for item in items:
            if type(item) is Group:
                for c in (<Group>item).calls:
                    self.share_one(c, at, item, backwards, over)
                    at += 1
                continue
            if type(item) is Call:
                self.share_one(item, at, None, backwards, over)
            at += 1
        return 0

    cdef int share_one(self, Call c, int64_t at, Group g, bint backwards, bint over) except -1:
        cdef Operand out = c.operands[0], o
        cdef list read
        if out is None or out.slot not in self.own or self.begin[out.slot] != at:
            return 0
        if c.op.elementwise:
            read = c.operands[:0:-1] if backwards else c.operands[1:]
        elif over and c.op.over >= 0 and c.nout == 1:
            read = [c.operands[1 + c.op.over]]
        else:
            return 0
        inside = g is not None and out.slot in g.private
        if not inside and not whole(self.rec, out):
            return 0
        for o in read:
            if (o is None or o.slot not in self.own or o.slot == out.slot or self.end[o.slot] != at
                    or not alike(o.layout, out.layout) or fg_itemsize[o.dtype] != fg_itemsize[out.dtype]):
                continue
            # In a group the calls before may read a later tile of it only where all see it alike.
            if g is None or not inside:
                if not whole(self.rec, o) or (g is not None and (o.slot in g.private or g.seen[o.slot] is None)):
                    continue
            elif o.slot not in g.private:
                continue
            self.root[root_of(self.root, out.slot)] = root_of(self.root, o.slot)
            break
        return 0

    cdef dict lives(self):
        """Slot -> life, as `packed` takes it, of all that have a place of their own."""
        found = {}
        for key in self.begin:
            head = root_of(self.root, key)
            size = self.size[key]
            b, e = self.wide[key]
            e += 1
            if head in found:
                first, last, most = found[head]
                b, e, size = min(b, first), max(e, last), max(size, most)
            found[head] = b, e, size
        return found


cdef tuple place(Record rec, list items, set survivors, set fixed, list gradients):
    cdef Slot slot
    cdef set own = {slot.index for slot in rec.slots if slot.index not in survivors and slot.index not in fixed
                    and (slot.kind == PRODUCT or (slot.kind == CONSTANT and slot.written))}
    cdef Buffers buffers = Buffers.__new__(Buffers, rec, own)
    cdef dict lives, others = {}
    cdef int64_t k
    buffers.live(items)
    for k in range(len(items)):
        if type(items[k]) is Call and (<Call>items[k]).scratch:
            others[-1 - k] = buffers.starts[k], buffers.starts[k] + 1, (<Call>items[k]).scratch
    for key, begin, end in gradients:
        others[key] = buffers.starts[begin], buffers.starts[end], (<Slot>rec.slots[key]).nbytes
    best = None
    for backwards, over in ((False, True), (True, True), (False, False)):
        buffers.share(items, backwards, over)
        lives = {**others, **buffers.lives()}
        offsets, high = packed(list(lives.values()))
        if best is None or high < best[0]:
            best = high, dict(zip(lives, offsets)), buffers.root
    high, where, root = best
    alone = [others[key][2] if key in others else (<Slot>rec.slots[key]).nbytes for key in [*buffers.begin, *others]]
    return {key: where[root_of(root, key)] for key in [*buffers.begin, *others]}, high, sum([aligned(n) for n in alone])


cdef inline int64_t aligned(int64_t nbytes) noexcept:
    """Whole lines of the cache; what is smaller than one takes a power of two bytes, so that it lies in one."""
    cdef int64_t room = LEAST
    if nbytes >= LINE:
        return (nbytes + LINE - 1) // LINE * LINE
    while room < nbytes:
        room *= 2
    return room


def packed(list lives not None):
    """Finds places for buffers: (offsets, bytes of all).

    lives: (begin, end, bytes), from the moment `begin` up to but not at `end`; with an end no later than its begin: at all
    moments before the end, and from the begin on.

    The largest first, then the longest first, each as low as it can lie. While that takes more than lives at any moment, what
    lies on top gets its place first in another try.
    """
    cdef list order
    cdef int64_t least = most_alive(lives)
    best = None
    for first in (largest, longest):
        order = sorted(range(len(lives)), key=lambda k: first(*lives[k]))
        for _ in range(min(TRIES, 1 + WORK // (1 + len(lives) ** 2))):
            offsets, high, top = placed(lives, order)
            if best is None or high < best[1]:
                best = offsets, high
            if high == least:
                return best
            order.remove(top)
            order.insert(0, top)
    return best


def largest(begin, end, nbytes):
    return -nbytes, begin


def longest(begin, end, nbytes):
    return end > begin, begin - end, -nbytes


cdef int64_t most_alive(list lives) except -1:
    """The most bytes that live at one moment: no packing takes less."""
    cdef int64_t now = 0, most = 0, begin, end, nbytes
    changes = {}
    for begin, end, nbytes in lives:
        nbytes = aligned(nbytes)
        now += nbytes if begin >= end else 0        # alive at the first moment
        changes[begin] = changes.get(begin, 0) + nbytes
        changes[end] = changes.get(end, 0) - nbytes
    most = now
    for at in sorted(changes):
        now += changes[at]
        most = max(most, now)
    return most


cdef tuple placed(list lives, list order):
    """(offsets, bytes of all, one that lies on top), with places given in this order."""
    cdef life_t* found
    cdef life_t fresh
    cdef int64_t high = 0
    cdef int n = 0, k, j
    offsets, top = [0] * len(lives), None
    found = <life_t*>PyMem_Malloc((len(lives) + 1) * sizeof(life_t))
    if found == NULL:
        raise MemoryError()
    try:
        for at in order:
            fresh.begin, fresh.end, fresh.nbytes = lives[at]
            fresh.nbytes = aligned(fresh.nbytes)
            fresh.offset = lowest(found, n, &fresh)
            k = n               # sorted by offset
            while k > 0 and found[k - 1].offset > fresh.offset:
                k -= 1
            for j in range(n, k, -1):
                found[j] = found[j - 1]
            found[k] = fresh
            n += 1
            offsets[at] = fresh.offset
            if fresh.offset + fresh.nbytes > high:
                high, top = fresh.offset + fresh.nbytes, at
    finally:
        PyMem_Free(found)
    return offsets, high, top


cdef int64_t lowest(const life_t* found, int n, const life_t* fresh) noexcept:
    """The lowest offset at which it meets none of those found before."""
    cdef int64_t at = 0, grain = min(fresh.nbytes, <int64_t>LINE)
    cdef int k
    for k in range(n):
        if not meet(&found[k], fresh):
            continue
        if at + fresh.nbytes <= found[k].offset:
            break
        at = max(at, (found[k].offset + found[k].nbytes + grain - 1) // grain * grain)
    return at


cdef bint meet(const life_t* a, const life_t* b) noexcept:
    if a.begin >= a.end and b.begin >= b.end:
        return True
    if a.begin >= a.end:
        return b.begin < a.end or b.end > a.begin
    if b.begin >= b.end:
        return a.begin < b.end or a.end > b.begin
    return a.begin < b.end and b.begin < a.end


cdef object root_of(dict root, object key):
    while key in root:
        key = root[key]
    return key


cdef bint whole(Record rec, Operand o):
    return (o.layout.c.flags & FG_DENSE) != 0 and o.layout.c.size * fg_itemsize[o.dtype] == (<Slot>rec.slots[o.slot]).nbytes
