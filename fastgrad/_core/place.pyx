"""Where the buffers of a program lie in one block of memory.

By lifetime, the largest first; the output of a pointwise call takes the place of an input that ends there. The calls of a Group
take turns at every tile: to all others each of them lasts as long as the Group. Between themselves the buffers of one tile, which
only they see, last from call to call.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t

from .fuse cimport Group
from .record cimport CONSTANT, PRODUCT, Call, Operand, Slot, alike, slots_of
from .recorder cimport Record
from .tensor cimport *

cdef enum:
    ALIGNMENT = 64

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

    def __cinit__(self, Record rec, set own):
        self.rec, self.own = rec, own
        self.begin, self.end, self.wide, self.size, self.root = {}, {}, {}, {}, {}

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
        return 0

    cdef int share(self, list items) except -1:
        """Finds outputs that take the place of an input. Only pointwise kernels may write what they read."""
        cdef int64_t at = 0
        for item in items:
            if type(item) is Group:
                for c in (<Group>item).calls:
                    self.share_one(c, at, item)
                    at += 1
                continue
            if type(item) is Call and (<Call>item).op.elementwise:
                self.share_one(item, at, None)
            at += 1
        return 0

    cdef int share_one(self, Call c, int64_t at, Group g) except -1:
        cdef Operand out = c.operands[0], o
        if out.slot not in self.own or self.begin[out.slot] != at or not c.op.elementwise:
            return 0
        inside = g is not None and out.slot in g.private
        if not inside and not whole(self.rec, out):
            return 0
        for o in c.operands[1:]:
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


cdef tuple place(Record rec, list items, set survivors, set fixed):
    cdef Buffers buffers
    cdef Slot slot
    cdef set own = {slot.index for slot in rec.slots if slot.index not in survivors and slot.index not in fixed
                    and (slot.kind == PRODUCT or (slot.kind == CONSTANT and slot.written))}
    buffers = Buffers.__new__(Buffers, rec, own)
    buffers.live(items)
    buffers.share(items)
    groups = {}
    for key in buffers.begin:
        head = root_of(buffers.root, key)
        size = (buffers.size[key] + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        b, e = buffers.wide[key]
        if head in groups:
            first, last, most = groups[head]
            b, e, size = min(b, first), max(e, last), max(size, most)
        groups[head] = b, e, size
    offsets, high = offsets_of(groups)
    alone = sum([((<Slot>rec.slots[key]).nbytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT for key in buffers.begin])
    return {key: offsets[root_of(buffers.root, key)] for key in buffers.begin}, high, alone


cdef tuple offsets_of(dict groups):
    """(offset of each life, bytes of all)."""
    cdef life_t* lives
    cdef life_t fresh
    cdef int64_t offset, high = 0
    cdef int n = 0, k, j
    offsets = {}
    order = sorted(groups, key=lambda key: (-groups[key][2], groups[key][0]))
    lives = <life_t*>PyMem_Malloc((len(order) + 1) * sizeof(life_t))
    if lives == NULL:
        raise MemoryError()
    try:
        for key in order:
            lives[n].begin, lives[n].end, lives[n].nbytes = groups[key]
            offset = lowest(lives, n)
            # keep the placed ones sorted by offset
            k = n
            while k > 0 and lives[k - 1].offset > offset:
                k -= 1
            fresh = lives[n]
            for j in range(n, k, -1):
                lives[j] = lives[j - 1]
            lives[k] = fresh
            lives[k].offset = offset
            n += 1
            offsets[key] = offset
            high = max(high, offset + groups[key][2])
    finally:
        PyMem_Free(lives)
    return offsets, high


cdef int64_t lowest(const life_t* lives, int n) noexcept:
    """The lowest offset at which the n-th life meets none of those before it, which are sorted by offset."""
    cdef int64_t at = 0
    cdef int k
    for k in range(n):
        if lives[k].end < lives[n].begin or lives[k].begin > lives[n].end:
            continue
        if at + lives[n].nbytes <= lives[k].offset:
            break
        if lives[k].offset + lives[k].nbytes > at:
            at = lives[k].offset + lives[k].nbytes
    return at


cdef object root_of(dict root, object key):
    while key in root:
        key = root[key]
    return key


cdef bint whole(Record rec, Operand o):
    return (o.layout.c.flags & FG_DENSE) != 0 and o.layout.c.size * fg_itemsize[o.dtype] == (<Slot>rec.slots[o.slot]).nbytes
