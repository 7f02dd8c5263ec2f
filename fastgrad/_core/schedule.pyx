"""Which calls of a record a program keeps, in which order, and where its buffers lie in one block of memory.

A call is dropped where nothing reads what it writes. A call that writes only memory from outside (a running statistic, a
parameter) and cannot fail waits until all that can fail is done, unless another call depends on it in between: a replay that
fails leaves parameters unchanged. Buffers are placed by lifetime, the largest first; the output of an elementwise call takes
the place of an input that ends there.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t

from .random cimport Generator
from .recorder cimport CONSTANT, EXTERNAL, PRODUCT, Call, GradSlot, Operand, Record, Slot
from .tensor cimport *

cdef Op ADD = declare("add")
cdef Op COPY = declare("copy")
cdef Op BINARY_CROSS_ENTROPY = declare("binary_cross_entropy")

cdef enum:
    ALIGNMENT = 64


@cython.final
cdef class Schedule:
    """The order and the places."""


cdef bint may_fail(Call c):
    """Whether the kernel may answer with an error: it looks at integers (indices, labels, divisors) or at probabilities."""
    cdef Operand o
    if c.op.shape == "MUTATE" or c.op is ADD or c.op is COPY:
        return False
    if c.op is BINARY_CROSS_ENTROPY:
        return True
    for o in c.operands[c.nout:]:
        if o is not None and o.dtype in (FG_I64, FG_I32, FG_U8):
            return True
    return False


cdef bint draws(Call c):
    return c.attrs is not None and type(c.attrs.py) is Generator


cdef set slots_of(Call c, int begin, int end):
    return {(<Operand>o).slot for o in c.operands[begin:end] if o is not None}


cdef Schedule schedule(Record rec):
    cdef Schedule s = Schedule.__new__(Schedule)
    cdef GradSlot g
    cdef list kept, main, commit
    s.survivors = {slot for slot in rec.kept if (<Slot>rec.slots[slot]).kind >= PRODUCT}
    for g in rec.grads.values():
        if type(g.final) is Operand:
            s.survivors.add((<Operand>g.final).slot)
    kept = wanted(rec, s.survivors)
    s.dropped = len(rec.calls) - len(kept)
    main, commit = committed(rec, kept)
    s.calls = with_constants(rec, main + commit)
    s.commits = len(s.calls) - len(commit)
    find_failures(s)
    place(rec, s)
    return s


cdef list wanted(Record rec, set survivors):
    """The calls whose effects anything depends on."""
    cdef Call c
    cdef set needed = set(survivors), outs
    cdef list kept = []
    for c in reversed(rec.calls):
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
    for a, b in rec.key[5]:
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


cdef list with_constants(Record rec, list calls):
    """The calls, each constant that is written or survives set anew before its first use."""
    cdef Call c
    cdef Slot slot
    cdef set done = set()
    cdef list out = []
    changing = {k for k in rec.kept if (<Slot>rec.slots[k]).kind == CONSTANT}
    for slot in rec.slots:
        if slot.kind == CONSTANT and slot.written:
            changing.add(slot.index)
    for c in calls:
        for k in sorted(slots_of(c, 0, len(c.operands))):
            if k in changing and k not in done:
                done.add(k)
                out.append(k)
        out.append(c)
    out.extend(sorted(changing - done))
    return out


cdef int find_failures(Schedule s) except -1:
    cdef int64_t at
    s.first_write = {}
    s.last_failure = -1
    for at in range(len(s.calls)):
        c = s.calls[at]
        if type(c) is int:
            s.first_write.setdefault(c, at)
            continue
        if may_fail(c):
            s.last_failure = at
        for k in slots_of(c, 0, (<Call>c).nout):
            s.first_write.setdefault(k, at)
    return 0


# ---- places --------------------------------------------------------------------------------------------------------

cdef struct life_t:
    int64_t begin, end, nbytes, offset

cdef int place(Record rec, Schedule s) except -1:
    """Gives every buffer that does not survive its place."""
    cdef dict begin = {}, end = {}, root = {}
    cdef int64_t at, offset, high = 0
    cdef Slot slot
    cdef life_t* lives
    cdef int n = 0, k, j
    own = set()
    for slot in rec.slots:
        if slot.index not in s.survivors and (slot.kind == PRODUCT or (slot.kind == CONSTANT and slot.written)):
            own.add(slot.index)
    for at in range(len(s.calls)):
        c = s.calls[at]
        for key in ([c] if type(c) is int else slots_of(c, 0, len((<Call>c).operands))):
            if key in own:
                begin.setdefault(key, at)
                end[key] = at
    share(rec, s, own, begin, end, root)
    groups = {}
    for key in begin:
        head = root_of(root, key)
        size = ((<Slot>rec.slots[key]).nbytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        s.sum += size
        if head in groups:
            b, e, most = groups[head]
            groups[head] = min(b, begin[key]), max(e, end[key]), max(most, size)
        else:
            groups[head] = begin[key], end[key], size
    order = sorted(groups, key=lambda key: (-groups[key][2], groups[key][0]))
    lives = <life_t*>PyMem_Malloc((len(order) + 1) * sizeof(life_t))
    if lives == NULL:
        raise MemoryError()
    try:
        offsets = {}
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
        s.places = {key: offsets[root_of(root, key)] for key in begin}
    finally:
        PyMem_Free(lives)
    s.arena = high
    return 0


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


cdef int share(Record rec, Schedule s, set own, dict begin, dict end, dict root) except -1:
    """The output of an elementwise call takes the place of an input that ends there."""
    cdef Call c
    cdef Operand out, o
    cdef int64_t at
    for at in range(len(s.calls)):
        if type(s.calls[at]) is int:
            continue
        c = s.calls[at]
        if not c.op.elementwise:
            continue
        out = c.operands[0]
        if out.slot not in own or begin[out.slot] != at or not whole(rec, out):
            continue
        for o in c.operands[1:]:
            if (o is not None and o.slot in own and o.slot != out.slot and end[o.slot] == at and whole(rec, o)
                    and o.layout is out.layout and fg_itemsize[o.dtype] == fg_itemsize[out.dtype]):
                root[root_of(root, out.slot)] = root_of(root, o.slot)
                break
    return 0


cdef bint whole(Record rec, Operand o):
    return (o.layout.c.flags & FG_DENSE) != 0 and o.layout.c.size * fg_itemsize[o.dtype] == (<Slot>rec.slots[o.slot]).nbytes
