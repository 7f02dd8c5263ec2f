"""A program: the calls of a record, ready to run again, and what must hold for that.

Views into memory from outside are filled in again where an address has changed ("bound"); all else was filled in once. What
users may keep (results, .grad) gets new memory at each replay, but a gradient that nobody else holds is written where it is.
Guards compare pointers: tensors from outside are held weakly, their memory strongly, so an address is an identity. Nothing that
`epoch` counts is looked at while it stands: a small step's guards would else take as long as the step, most of it misses of the
first-level cache.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

import os
import time

from .explain cimport explained, summary
from .fuse cimport Group
from .memory cimport exact_storage
from .plan cimport Plan
from .random cimport Generator, current, prepare
from .record cimport EMPTY, UNREAD, Call, Operand, Slot, module_changes, overlaps, snapshot
from .recorder cimport collected
from .tensor cimport *

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(void*)
    PyObject** PySequence_Fast_ITEMS(list items)       # borrowed

cdef enum:
    LONG = 1 << 17      # elements of all operands, about 20 us, from which a replay runs without the GIL
    MOST_TOLD = 64      # operands of a call that a watcher is told of


# What a watcher is told of memory that is set anew.
cdef str CONSTANTS = "constants"

cdef double POLL = 5e-5     # seconds between two looks of a thread that waits for a program
cdef int64_t forks = 0      # of this process since it began


def _forked():
    global forks
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


cdef inline char* moved(char* data, Storage old, Storage new) noexcept:
    """Where an address in one storage is in the other; what lies elsewhere stays there."""
    if <char*>old.data <= data < <char*>old.data + old.nbytes:
        return <char*>new.data + (data - <char*>old.data)
    return data


cdef int unlock(list bits) except -1:
    for each in bits:
        each.lock.release()
    return 0


# ---- guards --------------------------------------------------------------------------------------------------------

@cython.final
cdef class Target:
    """A .grad slot."""

    cdef bint free(self) noexcept:
        # Its own memory may be written again: nobody else holds it.
        return (self.reusable and self.mine is not None and fg_sole(<void*>self.mine.storage)
                and Py_REFCNT(<void*>self.mine) == 1 + (self.leaf.grad is self.mine))

    cdef Tensor made(self, Storage storage):
        return make_tensor(storage, self.layout, <char*>storage.data + self.offset, self.dtype)


@cython.final
cdef class Result:
    """A tensor among the results."""


@cython.final
cdef class Program:
    """Calls ready to run again."""

    def __dealloc__(self):
        PyMem_Free(self.calls)
        PyMem_Free(self.views)
        PyMem_Free(self.bases)
        PyMem_Free(self.bind_at)
        PyMem_Free(self.binds)
        PyMem_Free(self.handles)
        PyMem_Free(self.own)
        PyMem_Free(self.ranges)
        PyMem_Free(self.extents)

    def __cinit__(self):
        self.streams = []

    def __repr__(self):
        return f"<Program of {self.ncalls} calls, replayed {self.replays} times>"

    cdef bint holds(self, fg_thread* here, PyObject** args) except -1:
        """Whether the program is known to describe the call. If not, `failing` finds out."""
        cdef PyObject* plan
        cdef Py_ssize_t k
        if (self.epoch != epoch or self.world != world or here.recording != self.recording or here.inference != self.inference
                or self.drawn is not None and self.drawn is not current()):
            return False
        for k in range(len(self.optimizers)):
            plan = (<PyWeakReference*>self.optimizers[k]).wr_object
            if plan == <PyObject*>None or not (<Plan>plan).holds():
                return False
        if self.written_args or self.pairs:
            return self.alias_failing(args) is None
        for k in range(self.nargs):         # where it lay last time, it shared nothing
            if self.bases[k] != <char*>(<Tensor>args[k]).data:
                return self.alias_failing(args) is None
        return True

    cdef str failing(self, PyObject** args):
        """Why this program does not describe the call; None where it does."""
        cdef fg_thread* here = thread()
        cdef uint64_t now = epoch           # the rest may run other code
        cdef str reason
        if self.world != world:
            return "the kernels, BLAS or the default dtype changed"
        if here.recording != self.recording or here.inference != self.inference:
            return "grad mode changed"
        if self.drawn is not None and self.drawn is not current():
            return "another default generator: that of a thread of parallel_map"
        reason = self.differing() or self.alias_failing(args)
        if reason is None:
            self.settled = self.settled and self.epoch == now
            self.epoch = now
        return reason

    cdef str differing(self):
        """Which of what it uses from outside is not as it was."""
        cdef handle_t* h = self.handles
        cdef Tensor t
        cdef PyObject* o
        cdef PyObject** targets = PySequence_Fast_ITEMS(self.targets)
        cdef Py_ssize_t k, _each
        for _each in range(self.nhandles):
            o = h.ref.wr_object
            if o == <PyObject*>None:
                self.dead = True
                return "a tensor from outside died"
            t = <Tensor>o
            if <PyObject*>t.storage != h.storage or t.data != h.data or <PyObject*>t.layout != h.layout:
                return "a tensor from outside has other memory or another layout"
            if ((t.flags & REQUIRES_GRAD) != 0) != h.required:
                return "a tensor from outside changed requires_grad"
            if <PyObject*>t.node != h.leaf:
                return "a tensor from outside got another history"
            h += 1
        for k in range(len(self.targets)):
            if ((<Target>targets[k]).entry != UNREAD
                    and ((<Target>targets[k]).leaf.grad is None) != ((<Target>targets[k]).entry == EMPTY)):
                return "a .grad slot is None, or no longer None"
        for k in range(len(self.paths)):
            if not self.fits(<Leaf>(<tuple>self.paths[k])[0]):
                return "a tensor in .grad has another layout"
        for k in range(len(self.optimizers)):
            o = (<PyWeakReference*>self.optimizers[k]).wr_object
            if o == <PyObject*>None or not (<Plan>o).current():
                return "an optimiser changed more than numbers"
        if self.changes != module_changes() and not self.same_modules():
            return "a module changed"
        return None

    cdef bint fits(self, Leaf leaf) except -1:
        cdef Tensor t = leaf.grad
        return (t is not None and t.flags & (REQUIRES_GRAD | VIEW) == 0 and t.layout.c.flags & FG_DENSE
                and same_shape(t.layout, leaf.lay) and t.dtype == leaf.dtype and not t.storage.readonly)

    cdef bint same_modules(self) except -1:
        for ref, snap in self.modules:
            module = ref()
            if module is None or snapshot(module) != snap:
                return False
        self.changes = module_changes()
        return True

    cdef str alias_failing(self, PyObject** args):
        """Memory that is written meets other memory from outside only where it did when recorded."""
        cdef char* begin
        cdef char* end
        cdef int64_t k, j
        cdef Py_ssize_t i
        cdef Storage s
        if self.pairs:
            return None if self.same_pairs(args) else "arguments share memory with something else than when recorded"
        for k in range(self.nargs):
            begin = <char*>(<Tensor>args[k]).data
            end = begin + self.extents[k]
            for j in range(self.nranges):
                if begin < self.ranges[j].end and self.ranges[j].begin < end:
                    return "an argument shares memory with something that is written"
        for i in range(len(self.written_args)):
            k = self.written_args[i]
            if (<Tensor>args[k]).storage.readonly:
                return "an argument that is written is read-only"
            for j in range(self.nargs):
                if j != k and overlaps(<const char*>(<Tensor>args[k]).data, self.extents[k],
                                       <const char*>(<Tensor>args[j]).data, self.extents[j]):
                    return "arguments share memory, and one is written"
            for j in range(self.nhandles):
                s = <Storage>self.handles[j].storage
                if overlaps(<const char*>(<Tensor>args[k]).data, self.extents[k], <const char*>s.data, s.nbytes):
                    return "an argument that is written shares memory with something from outside"
        for i in range(len(self.paths)):
            leaf, written = self.paths[i]
            s = (<Leaf>leaf).grad.storage
            for k in range(self.nargs):
                if (written or k in self.written_args) and overlaps(
                        <const char*>(<Tensor>args[k]).data, self.extents[k], <const char*>s.data, s.nbytes):
                    return "an argument shares memory with a gradient, and one of them is written"
        return None

    cdef bint same_pairs(self, PyObject** args) except -1:
        # Only whether arguments meet what they met, as they met it, can differ; memory from outside is the same.
        cdef list found = []
        cdef int64_t k, j
        cdef Tensor t, u
        for k in range(self.nargs):
            t = <Tensor>args[k]
            if k in self.written_args and t.storage.readonly:
                return False
            for j in range(k):
                u = <Tensor>args[j]
                if (k in self.written_args or j in self.written_args) and overlaps(
                        <const char*>t.data, self.extents[k], <const char*>u.data, self.extents[j]):
                    found.append((j, k, <char*>t.data - <char*>u.data))
            for number, s, written in self.outside:
                if (written or k in self.written_args) and overlaps(
                        <const char*>t.data, self.extents[k], <const char*>(<Storage>s).data, (<Storage>s).nbytes):
                    found.append((k, number, <char*>(<Storage>s).data - <char*>t.data))
        return sorted(found) == sorted([pair for pair in self.pairs if pair[0] < self.nargs])

    # ---- replay --------------------------------------------------------------------------------------------------

    cdef inline void bind(self, int64_t source, char* base) noexcept:
        cdef int64_t k
        if self.bases[source] == base:
            return
        self.bases[source] = base
        for k in range(self.bind_at[source], self.bind_at[source + 1]):
            self.views[self.binds[k].view].data = base + self.binds[k].offset

    cdef bint idle(self) noexcept:
        return not (self.running or self.waiting)

    cdef bint enter(self) except -1:
        """Waits until no other thread runs the program; returns whether it had to: then the guards may not hold any more.
        `leave` must follow. A flag, since the GIL guards it; whoever waits is let in before whoever ran last."""
        cdef void* here = <void*>thread()
        cdef bint waited = False
        while self.running or (self.waiting and not waited and self.owner == here):
            if self.running and self.era != forks:
                raise RuntimeError("another thread was running this compiled function when the process was forked; "
                                   "compile it again in the child")
            if self.running and self.owner == here:
                raise RuntimeError("a compiled function was called again while it runs")
            waited = True
            self.waiting += 1
            try:
                time.sleep(POLL)
            finally:
                self.waiting -= 1
        self.running, self.owner, self.era = True, here, forks
        return waited

    cdef void leave(self) noexcept:
        cdef int64_t k
        for k in range(self.nfresh):
            self.fresh[k] = None
        self.held = None
        self.running = False

    cdef object replay(self, PyObject** args):
        """Runs the calls on these arguments (borrowed), of which `failing` found nothing; returns the result. Entered."""
        cdef list streams
        self.begin(args)
        if self.streams:
            streams = self.lock_streams()
            try:
                self.run_calls(self.work >= LONG)
            finally:
                unlock(streams)
        else:
            self.run_calls(self.work >= LONG)
        result = self.rebuilt(self.spec, args)
        self.install()
        return result

    cdef int begin(self, PyObject** args) except -1:
        """Finds the memory that is new for each replay, and binds what the calls read and write."""
        cdef Tensor t
        cdef int64_t k
        cdef Py_ssize_t i
        cdef PyObject** targets = PySequence_Fast_ITEMS(self.targets)
        cdef PyObject** written = PySequence_Fast_ITEMS(self.written)
        # First what allocates, and so may run other code, of another thread even; then nothing that does, up to the calls.
        if not (self.settled and self.epoch == epoch and self.unshared()):
            self.own_gradients()
        for k in range(self.nfresh):
            self.fresh[k] = new_storage(self.fresh_bytes[k])
        if self.paths:
            self.held = [(<Leaf>path).grad for path, _ in self.paths]    # which another thread may clear meanwhile
        for k in range(self.nargs):
            self.bind(k, <char*>(<Tensor>args[k]).data)
        for k in range(len(self.paths)):
            t = <Tensor>self.held[k]
            if t is None:
                raise RuntimeError("a .grad slot was cleared by another thread while a compiled function began to run")
            self.bind(self.nargs + k, <char*>t.storage.data)
            if self.paths[k][1]:
                t.storage.version += 1
        for k in range(self.nfresh):
            self.bind(self.fresh_at + k, <char*>(<Storage>self.fresh[k]).data)
        if not self.settled:
            for i in range(len(self.targets)):
                if (<Target>targets[i]).exclusive:
                    self.bind((<Target>targets[i]).source, <char*>(<Target>targets[i]).mine.storage.data)
        for i in range(len(self.written)):
            (<Storage>written[i]).version += 1
        for i in range(len(self.written_args)):
            k = self.written_args[i]
            (<Tensor>args[k]).storage.version += 1
        return 0

    cdef bint unshared(self) noexcept:
        """Whether nobody but .grad and the program holds the gradients of a settled program."""
        cdef Py_ssize_t k
        for k in range(self.nmine):
            if Py_REFCNT(self.own[k].tensor) != 2 or not fg_sole(self.own[k].storage):
                return False
        return True

    cdef int own_gradients(self) except -1:
        """Gives new memory to each gradient that somebody else holds."""
        cdef Target target
        self.settled = False
        for target in self.targets:
            if target.exclusive and not target.free():
                self.renew(target)
        return 0

    cdef int renew(self, Target target) except -1:
        """Gives a gradient new memory, since somebody holds the old one. If that is part of the arena, the arena is theirs now:
        the program goes on in another one, and leaves its gradients beside it from now on."""
        cdef Target each
        cdef list placed
        cdef Storage arena
        cdef int64_t k
        if not target.placed:
            target.mine = target.made(new_storage(target.nbytes))
            return 0
        placed = [each for each in self.targets if each.placed]
        made = [each.made(new_storage(each.nbytes)) for each in placed]
        arena = exact_storage(self.arena.nbytes)
        for each, mine in zip(placed, made):
            each.mine, each.placed = mine, False
        for k in range(self.nviews):
            self.views[k].data = moved(<char*>self.views[k].data, self.arena, arena)
        for k in range(self.ncalls):
            self.calls[k].scratch = moved(<char*>self.calls[k].scratch, self.arena, arena)
        self.arena = arena
        return 0

    cdef int install(self) except -1:
        """Leaves in .grad what the calls have written for it."""
        cdef Target target
        cdef Tensor new
        cdef bint settled = True
        if self.settled and self.epoch == epoch:
            return 0
        self.nmine = 0
        for target in self.targets:
            if target.source < 0 and not target.clears:
                continue
            settled = settled and (target.reusable or target.clears)
            new = None
            if target.exclusive:
                new = target.mine
                self.own[self.nmine].tensor, self.own[self.nmine].storage = <PyObject*>new, <PyObject*>new.storage
                self.nmine += 1
            elif target.source >= 0:
                new = target.made(<Storage>self.fresh[target.source - self.fresh_at])
            if target.leaf.grad is not new:
                target.leaf.grad = new
                change_epoch()
        self.settled = settled and self.epoch == epoch
        return 0

    cdef int run_calls(self, bint release) except -1:
        cdef int64_t k
        cdef int64_t token
        if thread().watcher == NULL:
            return self.run_until(0, self.ncalls, release)
        for k in range(self.ncalls):        # one by one, so that each has its time
            token = self.told(k)
            try:
                self.run_until(k, k + 1, release)
            finally:
                watch.kernel_ends(token)
        return 0

    cdef int64_t told(self, int64_t k) except -2:
        """Tells the thread's watcher of call k, which is about to run. Calls that run together are told as one."""
        cdef PyObject* lays[MOST_TOLD]
        cdef int n = 0
        cdef Call c
        item = self.plan.calls[k]
        if type(item) is int:
            return watch.call_begins(CONSTANTS, 0, lays, 0, 0, None, (<Slot>self.record.slots[item]).line, "forward")
        if type(item) is Group:
            c = (<Group>item).calls[0]
            return watch.call_begins(summary(item), 0, lays, 0, 0, None, c.line, c.phase)
        c = item
        if len(c.operands) <= MOST_TOLD:
            for o in c.operands:
                lays[n] = NULL if o is None else <PyObject*>(<Operand>o).layout
                n += 1
        return watch.call_begins(c.op, 0 if n == 0 else self.calls[k].v[0].dtype, lays, min(n, c.nout), n - min(n, c.nout),
                                 c.attrs, c.line, c.phase)

    cdef int run_until(self, int64_t at, int64_t end, bint release) except -1:
        cdef int code
        while True:
            if release:
                with nogil:
                    code = replay_calls(self.calls, end, &at)
            else:
                code = replay_calls(self.calls, end, &at)
            if code == FG_OK:
                return 0
            self.answer(code, at)

    cdef int answer(self, int code, int64_t at) except -1:
        """Raises for the code; but a call that asks for scratch, as it did not when recorded, gets it and may run again."""
        cdef Storage scratch
        self.clear_gradients(at)
        if code != FG_ESCRATCH:
            raise_code((<Call>self.plan.calls[at]).op, code, &self.calls[at])
        scratch = new_storage(self.calls[at].value)
        self.kept.append(scratch)
        self.calls[at].scratch = scratch.data
        return 0

    cdef int clear_gradients(self, int64_t at) except -1:
        """Leaves what the function itself would, should this call fail: no .grad where it has been cleared by then, since its
        memory may hold something else. `install` puts the new one there."""
        cdef Target target
        for target in self.targets:
            if target.entry == UNREAD and at >= target.free_from and target.leaf.grad is not None:
                target.leaf.grad = None
                change_epoch()
        return 0

    cdef list lock_streams(self):
        """Where random numbers are drawn: each generator where it now is, and locked. `unlock` takes what this returns."""
        cdef Attrs a
        cdef Generator g
        cdef list bits = [], locked = []
        for attrs, stream in self.streams:
            a, g = attrs, stream
            prepare(g)
            a.c.i[0] = <int64_t>g.address
            if g.bits not in bits:
                bits.append(g.bits)             # held: seeding from another thread gives the generator new ones
        bits.sort(key=id)
        try:
            for each in bits:
                each.lock.acquire()
                locked.append(each)
        except BaseException:                   # interrupted while it waited
            unlock(locked)
            raise
        return locked

    cdef object rebuilt(self, object spec, PyObject** args):
        """A result of this structure; its tensors have no history."""
        cdef Result r
        cdef Tensor t
        cdef Storage storage
        if type(spec) is Result:
            r = <Result>spec
            if r.source >= 0 and r.source < self.nargs:
                t = <Tensor>args[r.source]
                return make_tensor(t.storage, r.layout, <char*>t.data + r.offset, r.dtype)
            if r.source >= self.fresh_at:
                storage = <Storage>self.fresh[r.source - self.fresh_at]
            elif r.source >= 0:
                storage = (<Tensor>self.held[r.source - self.nargs]).storage
            else:
                storage = r.storage
            return make_tensor(storage, r.layout, <char*>storage.data + r.offset, r.dtype)
        if spec[0] == "static":
            return spec[1]
        items = [self.rebuilt(x, args) for x in spec[2]]
        return collected(spec[1], items, spec[3])

    def explain(self):
        """What a replay does, as text: a line for each call of a kernel, with what it costs and the line that asked for it."""
        return explained(self.record, self.plan,
                         f"{self.nhandles} tensors from outside; replayed {self.replays} times")

    def poison(self):
        """Fills all buffers with the bits of nan, but what is still in .grad: for tests that no kernel reads what a former replay
        left."""
        cdef Target target
        cdef list kept = [(target, PyBytes_FromStringAndSize(<const char*>target.mine.storage.data, target.nbytes))
                          for target in self.targets if target.placed and not (target.free_from == 0 and target.free())]
        memset(self.arena.data, 0xFF, <size_t>self.arena.nbytes)
        for target, held in kept:
            memcpy(target.mine.storage.data, <const char*>held, <size_t>target.nbytes)
