"""Many steps of a program in one native loop, each on its own batch of some tensors.

Gathering a batch and keeping what a step returns are calls of kernels like any other, those of `index_select` and `clone`,
before and after the calls of the program; only their operands move on from step to step. The GIL is released for at most
STRETCH at a time. Guards are checked when a stretch begins: nobody can change what they look at while the GIL is held, and what
another thread changes while it is not holds from the next stretch on, as if it had come a little later.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from libc.stdint cimport int64_t
from libc.string cimport memset

from .program cimport Program, Target, unlock
from .recorder cimport EMPTY, FULL, overlaps
from .signature cimport replaced, tensors_of
from .tensor cimport *

from ._errors import ShapeError
from .table import functions

cdef extern from "<time.h>" nogil:
    struct timespec:
        int64_t tv_sec
        long tv_nsec
    int timespec_get(timespec*, int)
    int TIME_UTC

cdef Op INDEX = declare("index")
cdef Op CLONE = declare("clone")

cdef enum:
    STRETCH = 20000000      # nanoseconds without the GIL, after which signals and other threads have their turn
    LOOK = 500000           # nanoseconds between two looks at the clock, about
    FEW_ROWS = 1024         # rows of results for which room is made at first

cdef int64_t FOREVER = 1 << 62

# ---- the native loop -----------------------------------------------------------------------------------------------

cdef struct loop_t:
    fg_call* gathers
    fg_call* calls
    fg_call* copies
    mover_t* movers
    int64_t ngathers, ncalls, ncopies, nmovers
    void* arena
    size_t poisoned         # bytes of the arena to be overwritten before each step: for tests
    int64_t count, done     # steps
    int64_t at              # the call of the program that runs next
    bint inside             # of a step: a call has asked for scratch
    int64_t end             # of the time


cdef inline int64_t now() noexcept nogil:
    cdef timespec t
    timespec_get(&t, TIME_UTC)
    return t.tv_sec * 1000000000 + t.tv_nsec


cdef int run_calls(fg_call* calls, int64_t n) noexcept nogil:
    cdef int64_t at = 0
    return replay_calls(calls, n, &at)


cdef int run_steps(loop_t* l) noexcept nogil:
    """Runs steps until all are done or the time is over. Any answer but FG_OK is that of a call."""
    cdef mover_t* m
    cdef int code
    cdef int64_t k, until = l.done, several = 1, before = now(), after
    while l.done < l.count:
        if not l.inside:
            for k in range(l.nmovers):
                m = &l.movers[k]
                m.view.data = m.now
                m.now += m.stride
                m.left -= 1
                if m.left == 0:
                    m.now, m.left = m.base, m.period
            code = run_calls(l.gathers, l.ngathers)
            if code != FG_OK:
                return code
            if l.poisoned:
                memset(l.arena, 0xFF, l.poisoned)
            l.inside, l.at = True, 0
        code = replay_calls(l.calls, l.ncalls, &l.at)
        if code != FG_OK:
            return code
        run_calls(l.copies, l.ncopies)
        l.inside = False
        l.done += 1
        if l.done >= until:
            after = now()
            if after >= l.end or after < before:
                break
            if after - before < LOOK:
                several *= 2
            until = l.done + several
            before = after
    return FG_OK


# ---- results -------------------------------------------------------------------------------------------------------

cdef Layout with_rows(Layout lay, int64_t n):
    """The layout of n rows of a tensor."""
    cdef int64_t shape[FG_MAX_DIMS]
    cdef int k
    for k in range(lay.c.ndim):
        shape[k] = lay.c.shape[k]
    shape[0] = n
    return strided_layout(lay.c.ndim, shape, lay.c.stride)


cdef Layout stacked(Layout lay, int64_t n):
    """The dense layout of n tensors of a shape."""
    cdef int64_t shape[FG_MAX_DIMS]
    cdef int k
    if lay.c.ndim == FG_MAX_DIMS:
        raise ShapeError(f"run: a step returns a tensor of {FG_MAX_DIMS} dimensions; those of all steps would have one more")
    shape[0] = n
    for k in range(lay.c.ndim):
        shape[k + 1] = lay.c.shape[k]
    return dense_layout(lay.c.ndim + 1, shape)


cdef inline int64_t row_bytes(Tensor t) noexcept:
    return t.layout.c.stride[0] * fg_itemsize[t.dtype]


cdef Tensor slice_of(Tensor t, int64_t begin, int64_t n):
    return make_tensor(t.storage, with_rows(t.layout, n), <char*>t.data + begin * row_bytes(t), t.dtype)


cdef int copy_into(Tensor to, Tensor source) except -1:
    cdef PyObject* x = <PyObject*>source
    return run_into(CLONE, to, &x, 1, None)


@cython.final
cdef class Rows:
    """What at most `total` steps return."""

    def __cinit__(self, int64_t total):
        self.total = total

    cdef int fit(self, list tensors, int64_t n) except -1:
        """Makes room for n more steps that return these tensors."""
        cdef Tensor t, out, more
        cdef list made
        if self.outs is None:
            self.outs = [new_tensor(stacked((<Tensor>each).layout, 0), (<Tensor>each).dtype) for each in tensors]
        if len(self.outs) != len(tensors):
            raise ShapeError(f"run: a step returns {len(tensors)} tensors, those before it returned {len(self.outs)}")
        for t, out in zip(tensors, self.outs):
            if out.dtype != t.dtype or not same_shape(out.layout, stacked(t.layout, out.layout.c.shape[0])):
                raise ShapeError(f"run: a step returns a tensor {tuple(t.shape)} of {t.dtype}, those before it "
                                 f"{tuple(out.shape[1:])}; return what has one shape in all steps, or pass drop_last=True")
        if self.count + n > self.room:
            self.room = min(self.total, max(2 * self.room, self.count + n, FEW_ROWS))
            made = []
            for t, out in zip(tensors, self.outs):
                more = new_tensor(stacked(t.layout, self.room), t.dtype)
                copy_into(slice_of(more, 0, self.count), slice_of(out, 0, self.count))
                made.append(more)
            self.outs = made
        return 0

    def add(self, result):
        """Keeps what one step has returned."""
        cdef Tensor t, out
        cdef list tensors = []
        tensors_of(result, tensors)
        self.fit(tensors, 1)
        for t, out in zip(tensors, self.outs):
            copy_into(make_tensor(out.storage, dense_form(t.layout), <char*>out.data + self.count * row_bytes(out), t.dtype), t)
        self.last = result
        self.count += 1

    def part(self, int64_t begin):
        """What the steps from `begin` on have returned: views, of rows that are not written again."""
        return replaced(self.last, [slice_of(out, begin, self.count - begin) for out in reversed(self.outs)])

    def all(self):
        """What all steps have returned, in memory that has no room for more."""
        return replaced(self.last, [out if self.room == self.count else slice_of(out, 0, self.count).clone()
                                    for out in reversed(self.outs)])


# ---- the loop ------------------------------------------------------------------------------------------------------

cdef bint steady(Program p):
    """Whether the program leaves .grad as its guards want to find it, in memory that it may write again."""
    cdef Target target
    for target in p.targets:
        if target.exclusive:
            if not target.reusable or target.entry == EMPTY:
                return False
        elif target.source >= 0 or (target.clears and target.entry == FULL):
            return False
    return True


@cython.final
cdef class Loop:
    """Batches of `size` rows of tensors, and programs that run on them."""

    def __cinit__(self, list tensors not None, int64_t size):
        self.tensors, self.size, self.nout = tensors, size, -1
        self.positions = dense_layout(1, &size)
        self.buffers = [new_tensor(dense_form(with_rows((<Tensor>each).layout, size)), (<Tensor>each).dtype) for each in tensors]

    def __dealloc__(self):
        self.free()

    cdef void free(self) noexcept:
        PyMem_Free(self.views)
        PyMem_Free(self.calls)
        PyMem_Free(self.movers)

    def batch(self, order, int64_t first):
        """The batch that begins at row `first`, of the data or of the order, in tensors of its own."""
        rows = functions["arange"](first, first + self.size) if order is None else order.narrow(0, first, self.size)
        return [tensor.index_select(0, rows) for tensor in self.tensors]

    cdef int64_t run(self, Program p, PyObject** args, Rows rows, Tensor order, int64_t first, int64_t period,
                     int64_t count, bint poisons) except -1:
        """Runs up to `count` steps of a program that is steady, that has been entered and whose guards hold for `args`, the
        buffers among them; returns how many. The first batch begins at row `first`, of the order or of the data. Batches come in
        cycles of `period`."""
        cdef loop_t l
        cdef list tensors = [], streams
        cdef Target target
        cdef int code
        p.begin(args)
        count = min(count, max(FEW_ROWS, rows.count))   # the room for results grows with their number
        result = p.rebuilt(p.spec, args)     # tensors over the memory that every step writes
        tensors_of(result, tensors)
        rows.fit(tensors, count)
        self.make_room(len(tensors))
        self.set_gathers(order, first, period)
        self.set_copies(tensors, rows)
        memset(&l, 0, sizeof(l))
        l.gathers, l.ngathers = self.calls, len(self.tensors)
        l.calls, l.ncalls = p.calls, p.ncalls
        l.copies, l.ncopies = self.calls + l.ngathers, len(tensors)
        l.movers, l.nmovers = self.movers, l.ngathers + l.ncopies
        l.arena = p.arena.data
        l.poisoned = <size_t>p.arena.nbytes if poisons and not any([target.free_from for target in p.targets]) else 0
        l.count, l.end = count, now() + STRETCH
        if period == 1 and order is None and self.unwritten(p):     # one batch for all steps: gathered once
            run_calls(l.gathers, l.ngathers)
            l.ngathers = 0
        self.ahead = not p.streams
        streams = p.lock_streams()
        try:
            while True:
                with nogil:
                    code = run_steps(&l)
                if code == FG_OK:
                    break
                if not l.inside:
                    raise IndexError(f"run: an index of the order is out of range for {len(self.tensors[0])} rows")
                p.answer(code, l.at)
        finally:
            unlock(streams)
            rows.count += l.done
            if l.done:
                rows.last = result
                p.install()
            if l.inside:                # a call has failed
                p.clear_gradients(l.at)
        return l.done

    cdef bint unwritten(self, Program p) except -1:
        """Whether no step changes the batch, nor the data it comes from."""
        cdef Tensor t
        cdef Storage s
        if p.written_args:
            return False
        for t in self.tensors:
            for s in p.written:
                if overlaps(<const char*>t.storage.data, t.storage.nbytes, <const char*>s.data, s.nbytes):
                    return False
        return True

    cdef int make_room(self, int nout) except -1:
        cdef Py_ssize_t n = len(self.tensors)
        if self.nout == nout:
            return 0
        self.free()
        self.nout = -1
        self.views = <fg_view*>PyMem_Calloc(3 * n + 2 * nout + 1, sizeof(fg_view))
        self.calls = <fg_call*>PyMem_Calloc(n + nout + 1, sizeof(fg_call))
        self.movers = <mover_t*>PyMem_Calloc(n + nout + 1, sizeof(mover_t))
        if self.views == NULL or self.calls == NULL or self.movers == NULL:
            raise MemoryError()
        self.nout = nout
        return 0

    cdef int set_gathers(self, Tensor order, int64_t first, int64_t period) except -1:
        """The calls that fill the buffers. Where the data lies is looked up anew: its `.data` may have been assigned."""
        cdef Tensor t, buffer
        cdef Layout lay
        cdef Attrs a = new_attrs()          # of the op index: along dimension 0, where nothing is counted from the end
        cdef fg_view* v
        cdef int64_t at = (first // self.size) % period
        cdef int k
        a.c.axes = 1
        a.c.i[0] = 1
        self.kept = [order, a]
        first -= at * self.size
        for k in range(len(self.tensors)):
            t, buffer, v = self.tensors[k], self.buffers[k], self.views + 3 * k
            self.kept.append((t.storage, t.layout))
            set_view(v, buffer.data, buffer.layout, t.dtype)
            set_view(v + 1, t.data, t.layout, t.dtype)
            if order is None:
                lay = with_rows(t.layout, self.size)
                self.kept.append(lay)
                v[1].lay = &lay.c
                set_call(self.calls + k, CLONE, t.dtype, NULL, v, 1)
                set_mover(self.movers + k, v + 1, <char*>t.data + first * row_bytes(t), self.size * row_bytes(t), at, period)
            else:
                set_view(v + 2, NULL, self.positions, FG_I64)
                set_call(self.calls + k, INDEX, t.dtype, &a.c, v, 2)
                set_mover(self.movers + k, v + 2, <char*>order.data + first * 8, self.size * 8, at, period)
        return 0

    cdef int set_copies(self, list tensors, Rows rows) except -1:
        """The calls that copy what a step returns, which lies in these tensors, to the next row."""
        cdef Tensor t, out
        cdef Layout lay
        cdef Py_ssize_t n = len(self.tensors)
        cdef fg_view* v
        cdef int k
        for k in range(len(tensors)):
            t, out, v = tensors[k], rows.outs[k], self.views + 3 * n + 2 * k
            lay = dense_form(t.layout)
            self.kept.append((t, out, lay))
            set_view(v, NULL, lay, t.dtype)
            set_view(v + 1, t.data, t.layout, t.dtype)
            set_call(self.calls + n + k, CLONE, t.dtype, NULL, v, 1)
            set_mover(self.movers + n + k, v, <char*>out.data + rows.count * row_bytes(out), row_bytes(out), 0, FOREVER)
        return 0


cdef inline void set_view(fg_view* v, void* data, Layout lay, int dtype) noexcept:
    v.data, v.lay, v.dtype = data, &lay.c, dtype


cdef inline void set_call(fg_call* c, Op op, int dtype, const fg_attrs* attrs, fg_view* v, int nin) noexcept:
    c.kernel, c.attrs, c.v, c.nout, c.nin = op.kernels[dtype], attrs, v, 1, nin


cdef inline void set_mover(mover_t* m, fg_view* view, char* base, int64_t stride, int64_t at, int64_t period) noexcept:
    m.view, m.base, m.now = view, base, base + at * stride
    view.data = m.now
    m.stride, m.period, m.left = stride, period, period - at
