"""Watching: what one thread does, event by event: ops, views, nodes of a backward run, modules, named ranges.

A Watcher sets the bit WATCHED of its thread. Only there do the fast fronts of apply() fall through, and the few places that
ask for the bit call the functions below; with no watcher on, nothing here runs. The profiler reads times and layouts from the
events; pictures and flat code of a graph are made from a watcher that keeps the tensors themselves.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from .call cimport call_unwatched, expect_watcher, has_hooks
from .memory cimport in_use
from .tensor cimport *
from .views cimport settle

import os
import time
import weakref

cdef extern from "clock.h":
    int64_t fg_ticks() noexcept

cdef extern from "finite.h":
    bint fg_finite32(const uint32_t* x, int64_t n) noexcept
    bint fg_finite64(const uint64_t* x, int64_t n) noexcept

cdef extern from "Python.h":
    ctypedef struct PyFrameObject
    PyFrameObject* PyEval_GetFrame()                # borrowed
    PyFrameObject* PyFrame_GetBack(PyFrameObject*)  # new
    void* PyFrame_GetCode(PyFrameObject*)           # new: a PyCodeObject
    int PyFrame_GetLasti(PyFrameObject*)
    void raw_incref "Py_INCREF"(PyObject*)
    void raw_decref "Py_DECREF"(PyObject*)
    void raw_xincref "Py_XINCREF"(PyObject*)
    void raw_xdecref "Py_XDECREF"(PyObject*)
    ctypedef struct PyTypeObject
    PyTypeObject* Py_TYPE(PyObject*)

cdef enum:              # kinds of event
    AN_OP, A_VIEW, A_NODE, A_MODULE, A_RANGE, A_CALL

KINDS = ("op", "view", "node", "module", "range", "call")

cdef struct event_t:
    int64_t enter, begin, end, exit     # ticks; begin and end: of the kernel, 0 where there was none
    PyObject* what                      # owned: the Op, the module, or the name of a range
    PyObject* attrs                     # owned, or NULL
    PyObject* code                      # owned, or NULL: the user's code that called, ...
    void* node                          # the Node recorded or visited; an address, not a reference. A call: its phase's name
    int64_t bytes                       # in use by tensors when it was over
    int64_t things                      # index of the first of its outputs and inputs
    int32_t lasti                       # ... and where in it
    int32_t parent                      # the event around this one, -1
    uint8_t kind, dtype, nout, nin
    bint inherits                       # a module whose forward is of this package: no line of the user's is inside

cdef enum:
    MOST_CHAINS = 1 << 16

cdef enum:
    A_LINE = -2         # in place of an offset: the code is a (file, line)

cdef struct held_t:                     # a value that a node saved
    int64_t event
    void* storage                       # an address
    int64_t nbytes
    uint8_t bit
    bint leaf                           # of a leaf, which exists anyway

cdef str LEAF = "accumulate"            # what stands for the op of a leaf
_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


# Whether code, or the `forward` of a class, is of this package. Found by address: to hash a code object costs more than all
# else about an event.
cdef struct known_t:
    PyObject* what                      # owned, so that the address stays its own
    bint ours

cdef enum:
    KNOWN = 256

cdef known_t known[KNOWN]


cdef bint is_ours(PyObject* what) except -1:
    cdef known_t* k = &known[(<size_t>what >> 5) % KNOWN]
    if k.what != what:
        code = <object>what
        if isinstance(code, type):
            code = getattr(code.forward, "__code__", None)
        ours = code is not None and code.co_filename.startswith(_package)
        raw_incref(what)
        raw_xdecref(k.what)
        k.what, k.ours = what, ours
    return k.ours


def line_of(where):
    """(file, line) of a (code, offset) or of what a recorder noted, which begins with that; None for None."""
    if where is None:
        return None
    if type(where[0]) is str:
        return where[:2]
    code, offset = where
    for start, end, line in code.co_lines():
        if start <= offset < end and line is not None:
            return code.co_filename, line
    return code.co_filename, code.co_firstlineno


def written_as(where):
    """What the code at a (code, offset) does to a tensor, by its own name: the method that it calls, an item assignment; None
    where it is neither. One method may run another's op (`fill_` copies)."""
    import dis
    code, offset = where
    methods = {}
    for each in dis.get_instructions(code):
        start = each.positions and each.positions[0::2]      # (line, column)
        if each.opname in ("LOAD_METHOD", "LOAD_ATTR"):
            methods[start] = each.argval        # of a.b().c() the last that begins there is the one called last
        elif each.offset == offset:
            if each.opname.startswith("STORE_"):
                return "item assignment"
            return methods.get(start) if "CALL" in each.opname else None
    return None


@cython.final
cdef class Watcher:
    """Records what this thread does between `start()` and `stop()`.

    keep: hold the tensors that ops read and made, else only their layouts. lines: note the line of the caller's code.
    limit: events after which recording ends, and `full` becomes true. check: called with (op, outputs, inputs, whether in a
    backward pass, modules, line) where a kernel has made a NaN or an infinity; events that are over are forgotten then.
    """

    cdef event_t* log
    cdef PyObject** things              # owned: Tensors or Layouts, or NULL
    cdef held_t* held
    cdef int64_t count, room, nthings, things_room, nheld, held_room, limit
    cdef int32_t open
    cdef bint keep, lines
    cdef readonly object check          # called with a description of each output that is not finite, or None
    cdef dict origins                   # with check: address of a node -> where its op ran
    cdef dict writes                    # with check: address of a storage -> (the op that wrote it in place last, line)
    cdef dict differentiated            # with check: address of a node -> the line of the last backward pass that ran it
    cdef object differentiates          # with check: the line of the backward pass under way
    cdef dict chains                    # with check: birth of a storage -> None where its tensor had a history, or (why, line)
    cdef readonly object failed         # with check: (op, modules, line) of the node whose backward an exception left
    cdef readonly bint full, running
    cdef Watcher outer                  # the watcher that was on before
    cdef int64_t from_ticks, to_ticks
    cdef readonly int64_t from_ns, to_ns, from_bytes

    def __cinit__(self, *, bint keep=False, bint lines=True, int64_t limit=1000000, check=None):
        self.keep, self.lines, self.limit, self.open = keep or check is not None, lines, limit, -1
        self.check, self.origins, self.writes, self.differentiated, self.chains = check, {}, {}, {}, {}

    def __dealloc__(self):
        cdef int64_t k
        for k in range(self.count):
            raw_xdecref(self.log[k].what)
            raw_xdecref(self.log[k].attrs)
            raw_xdecref(self.log[k].code)
        for k in range(self.nthings):
            raw_xdecref(self.things[k])
        PyMem_Free(self.log)
        PyMem_Free(self.things)
        PyMem_Free(self.held)

    def start(self):
        """Begins to record what this thread does; a watcher that was on before rests until `stop()`."""
        cdef fg_thread* here = thread()
        if self.from_ns:
            raise RuntimeError("a Watcher records once")
        self.running = True
        self.outer = None if here.watcher == NULL else <Watcher>here.watcher
        raw_incref(<PyObject*>self)     # the thread's
        here.watcher = <PyObject*>self
        here.special |= WATCHED
        expect_watcher(1)
        self.from_ns = time.perf_counter_ns()
        self.from_bytes = in_use()
        self.from_ticks = fg_ticks()

    def stop(self):
        """Ends recording."""
        cdef fg_thread* here = thread()
        cdef int64_t k
        if here.watcher != <PyObject*>self:
            raise RuntimeError("a Watcher ends on the thread where it began, after those begun later")
        self.to_ticks = fg_ticks()
        self.to_ns = time.perf_counter_ns()
        here.watcher = <PyObject*>self.outer if self.outer is not None else NULL
        if self.outer is None:
            here.special &= ~<uint32_t>WATCHED
        self.outer = None
        expect_watcher(-1)
        self.running = False
        for k in range(self.count):     # ranges that an exception left open
            if self.log[k].exit == 0:
                self.log[k].exit = self.to_ticks
        raw_decref(<PyObject*>self)

    def enter(self, str name not None):
        """Opens a named range; returns what `leave` wants."""
        return self.push(A_RANGE, <PyObject*>name)

    def leave(self, int64_t k):
        """Closes the range that `enter` opened."""
        self.pop(k)

    def __len__(self):
        return self.count

    @property
    def looks(self):
        """Whether it looks at tensors, and not only at times and layouts."""
        return self.keep

    cdef int64_t push(self, uint8_t kind, PyObject* what) except -2:
        """Opens an event; -1 where the log is full."""
        cdef event_t* grown
        cdef event_t* e
        if self.count >= self.limit:
            self.full = True
            return -1
        if self.count == self.room:
            grown = <event_t*>PyMem_Realloc(self.log, <size_t>(2 * self.room + 256) * sizeof(event_t))
            if grown == NULL:
                raise MemoryError("no memory for the events of a watcher")
            self.log = grown
            self.room = 2 * self.room + 256
        e = &self.log[self.count]
        raw_incref(what)
        e.what = what
        e.kind = kind
        e.parent = self.open
        e.attrs = e.code = NULL
        e.node = NULL
        e.begin = e.end = e.exit = 0
        e.nout = e.nin = e.dtype = 0
        e.inherits = False
        e.bytes = 0
        e.things = 0
        e.lasti = -1
        self.open = <int32_t>self.count
        self.count += 1
        e.enter = fg_ticks()
        return self.count - 1

    cdef int pop(self, int64_t k) except -1:
        if k >= 0:
            self.log[k].exit = fg_ticks()
            self.log[k].bytes = in_use()
            if self.check is not None and self.open > k and self.log[self.open].kind == A_NODE:
                self.failed = (<object>self.log[self.open].what, *self.here(self.open))
            self.open = self.log[k].parent
            if self.check is not None:
                self.forget(k)
        return 0

    cdef int forget(self, int64_t k) except -1:
        """Drops event k and all after it, which are inside it: the log becomes a stack."""
        cdef int64_t i, first = self.nthings
        for i in range(k, self.count):
            raw_xdecref(self.log[i].what)
            raw_xdecref(self.log[i].attrs)
            raw_xdecref(self.log[i].code)
            if self.log[i].nout and self.log[i].things < first:
                first = self.log[i].things
        for i in range(first, self.nthings):
            raw_xdecref(self.things[i])
        self.nthings = first
        self.count = k
        return 0

    cdef tuple here(self, int64_t k):
        """(modules around event k, its line): in a backward pass those of the op that it belongs to."""
        cdef int64_t i = k
        cdef list modules = []
        line = None if self.log[k].code == NULL else (<object>self.log[k].code, self.log[k].lasti)
        while i >= 0:
            if self.log[i].kind == A_MODULE:
                modules.append(<object>self.log[i].what)
            elif self.log[i].kind == A_NODE:
                return self.origins.get(<size_t>self.log[i].node, ((), None))
            i = self.log[i].parent
        modules.reverse()
        return tuple(modules), line

    cdef int inspect(self, int64_t k) except -1:
        cdef event_t* e = &self.log[k]
        cdef int i
        for i in range(e.nout):
            if self.things[e.things + i] != NULL and not is_finite(<Tensor>self.things[e.things + i]):
                break
        else:
            return 0
        modules, line = self.here(k)
        outs = tuple([thing(self.things[e.things + i]) for i in range(e.nout)])
        ins = tuple([thing(self.things[e.things + e.nout + i]) for i in range(e.nin)])
        op = <object>e.what
        thread().special &= ~<uint32_t>WATCHED      # what the check computes is not watched
        try:
            self.check(op, outs, ins, thread().runs > 0, modules, line)
        finally:
            thread().special |= WATCHED
        return 0

    cdef int locate(self, event_t* e) except -1:
        """Notes the innermost line that is not of this package."""
        cdef PyFrameObject* frame
        cdef PyFrameObject* back
        cdef PyObject* code
        cdef event_t* around = &self.log[e.parent]
        if e.parent >= 0 and around.inherits and around.code != NULL:     # inside a layer of ours it is the line that called it
            e.code, e.lasti = around.code, around.lasti
            raw_incref(e.code)
            return 0
        frame = PyEval_GetFrame()
        if frame == NULL:
            return 0
        raw_incref(<PyObject*>frame)
        while True:
            code = <PyObject*>PyFrame_GetCode(frame)
            if not is_ours(code):
                e.code = code
                e.lasti = PyFrame_GetLasti(frame)
                break
            raw_decref(code)
            back = PyFrame_GetBack(frame)
            raw_decref(<PyObject*>frame)
            frame = back
            if frame == NULL:
                return 0
        raw_decref(<PyObject*>frame)
        return 0

    cdef int attach(self, event_t* e, int dtype, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1:
        cdef PyObject** grown
        if nys > 255 or n > 200:        # optimisers of many parameters: neither counts nor room are made for so many
            n = nys = 0
        if self.nthings + nys + n > self.things_room:
            grown = <PyObject**>PyMem_Realloc(self.things, <size_t>(2 * self.things_room + 1024) * sizeof(PyObject*))
            if grown == NULL:
                raise MemoryError("no memory for the events of a watcher")
            self.things = grown
            self.things_room = 2 * self.things_room + 1024
        e.things = self.nthings
        e.dtype = <uint8_t>dtype
        e.nout = <uint8_t>nys
        e.nin = <uint8_t>n
        if a is not None:
            e.attrs = <PyObject*>a
            raw_incref(e.attrs)
        self.put(ys, nys)
        self.put(xs, n)
        return 0

    cdef inline void put(self, PyObject** parts, int n) noexcept:
        """Keeps tensors, or their layouts; layouts are kept as they are."""
        cdef PyObject** to = self.things + self.nthings
        cdef PyObject* t
        cdef int i
        for i in range(n):
            t = parts[i]
            if t != NULL:
                if not self.keep and <PyObject*>Py_TYPE(t) == <PyObject*>Tensor:
                    t = <PyObject*>(<Tensor>t).layout
                raw_incref(t)
            to[i] = t
        self.nthings += n

    cdef int follow(self, int64_t k, Op op, PyObject** xs, int n, object result) except -1:
        """Notes which results have a history, and why others have none although an input had: what `cut` tells."""
        cdef Tensor x, y
        cdef int i
        cdef object why = None
        cdef tuple outs = (result,) if type(result) is Tensor else result
        if thread().runs:
            return 0
        if len(self.chains) > MOST_CHAINS:
            self.chains.clear()
        for y in outs:
            if y is not None and y.flags & REQUIRES_GRAD:
                self.chains[y.storage.birth] = None
                return 0
        for i in range(n):
            x = None if xs[i] == NULL else <Tensor>xs[i]
            if x is None:
                continue
            if x.flags & REQUIRES_GRAD:
                reason = f"{op.name} has no derivative" if thread().recording else f"{op.name} ran under no_grad()"
                why = reason, self.here(k)[1]
            elif x.storage.birth in self.chains:
                reason = f"detach() before {op.name}"
                if op.name == "cast":       # to integers, which detaches what it casts
                    reason = f"a cast to {dtype_of((<Tensor>result).dtype).name} has no derivative"
                why = self.chains[x.storage.birth] or (reason, self.here(k)[1])
            if why is not None:
                break
        for y in outs:
            if y is not None and why is not None:
                self.chains[y.storage.birth] = why
        return 0

    cdef int writing(self, int64_t k, Op op, PyObject** ys, int nys, PyObject** xs, int n) except -1:
        """Notes where memory is written that was there before: by an operation in place, or an optimiser."""
        cdef int i
        if not nys or ys[0] == NULL or (op.family != "multi" and (
                n == 0 or xs[0] == NULL or (<Tensor>xs[0]).storage is not (<Tensor>ys[0]).storage)):
            return 0
        line = None if self.log[k].code == NULL else (<object>self.log[k].code, self.log[k].lasti)
        for i in range(nys):
            self.writes[<size_t><void*>(<Tensor>ys[i]).storage] = op, line
        return 0

    cdef int note(self, int64_t k, Node node) except -1:
        """Notes the node that event k has recorded."""
        self.log[k].node = <void*>node
        if self.check is None:
            return self.hold(k, node)
        self.origins[<size_t><void*>node] = self.here(k)
        return 0

    cdef int hold(self, int64_t k, Node node) except -1:
        """Notes what the node saved."""
        cdef held_t* grown
        cdef held_t* h
        cdef save_t* s
        cdef int i
        for i in range(node.nsaves):
            s = &node.saves[i]
            if s.storage == NULL:
                continue
            if self.nheld == self.held_room:
                grown = <held_t*>PyMem_Realloc(self.held, <size_t>(2 * self.held_room + 256) * sizeof(held_t))
                if grown == NULL:
                    raise MemoryError("no memory for the events of a watcher")
                self.held = grown
                self.held_room = 2 * self.held_room + 256
            h = &self.held[self.nheld]
            self.nheld += 1
            h.event = k
            h.storage = s.storage
            h.nbytes = (<Storage>s.storage).nbytes
            h.bit = s.bit
            h.leaf = s.bit < BIT_Y and (node.edges[s.bit].node == NULL
                                        or (<Node>node.edges[s.bit].node).state & N_LEAF != 0)
        return 0

    def tensors(self):
        """The tensors kept so far, in order, each as often as it was read or made."""
        cdef int64_t k
        return [<object>self.things[k] for k in range(self.nthings) if self.keep and self.things[k] != NULL]

    def events(self):
        """All events in order of entry, as tuples (kind, parent, what, times, dtype, outputs, inputs, attributes, node, line).

        times: entry, begin and end of the kernel (None where there was none) and exit, in nanoseconds since `start`. outputs
        and inputs: Layouts, or Tensors with `keep`. node: an address; of a call in a compiled step, its phase. line: what
        `line_of` reads, or None.
        """
        cdef event_t* e
        cdef int64_t k, i
        cdef double ns = 1
        found = []
        if self.running:
            raise RuntimeError("stop() the Watcher first")
        if self.to_ticks > self.from_ticks:
            ns = <double>(self.to_ns - self.from_ns) / <double>(self.to_ticks - self.from_ticks)
        for k in range(self.count):
            e = &self.log[k]
            times = ((e.enter - self.from_ticks) * ns, (e.begin - self.from_ticks) * ns if e.begin else None,
                     (e.end - self.from_ticks) * ns if e.begin else None, (e.exit - self.from_ticks) * ns)
            outs = tuple([thing(self.things[e.things + i]) for i in range(e.nout)])
            ins = tuple([thing(self.things[e.things + e.nout + i]) for i in range(e.nin)])
            found.append((
                KINDS[e.kind], e.parent, <object>e.what, times, dtype_of(e.dtype), outs, ins,
                None if e.attrs == NULL else <object>e.attrs,
                <str>e.node if e.kind == A_CALL else <size_t>e.node,
                None if e.code == NULL else <object>e.code if e.lasti == A_LINE else (<object>e.code, e.lasti)))
        return found

    def kernels(self):
        """For each kernel that ran, in their order: (its op, where it comes from), the latter (modules around it, weakly; name of
        the op; line); what runs in the backward pass comes from the op that it belongs to."""
        cdef event_t* e
        cdef int64_t k
        cdef list found = [], around = []       # of each event: (modules, None or what the node under way comes from)
        cdef dict made = {}
        if self.running:
            raise RuntimeError("stop() the Watcher first")
        for k in range(self.count):
            e = &self.log[k]
            modules, within = around[e.parent] if e.parent >= 0 else ((), None)
            if e.kind == A_MODULE:
                modules = (*modules, weakref.ref(<object>e.what))
            elif e.kind == A_NODE:
                name = "" if <object>e.what is LEAF else (<Op>e.what).name
                within = made.get(<size_t>e.node) or ((), name, None)
            elif e.kind == AN_OP or e.kind == A_VIEW:
                where = None if e.code == NULL else (<object>e.code, e.lasti)
                origin = within or (modules, (<Op>e.what).name, where)
                if e.node != NULL and within is None:
                    made[<size_t>e.node] = origin
                if e.begin:
                    found.append((e.begin, e.things, <object>e.what, origin))
            around.append((modules, within))
        found.sort(key=lambda each: each[:2])
        return [each[2:] for each in found]

    def bytes(self, int64_t k):
        """What tensors used when event k was over."""
        return self.log[k].bytes if 0 <= k < self.count else 0

    def saves(self):
        """What nodes saved: (event, address, bytes, name, whether it is a leaf's, or data's, and exists anyway)."""
        cdef int64_t k
        cdef held_t* h
        found = []
        for k in range(self.nheld):
            h = &self.held[k]
            found.append((h.event, <size_t>h.storage, h.nbytes, save_name(h.bit), bool(h.leaf)))
        return found


cdef bint is_finite(Tensor t) noexcept:
    """Whether no element is NaN or infinite."""
    cdef int64_t n = t.layout.c.size
    if not t.layout.c.flags & FG_DENSE:
        return True
    if t.dtype == FG_F32:
        return fg_finite32(<const uint32_t*>t.data, n)
    if t.dtype == FG_F64:
        return fg_finite64(<const uint64_t*>t.data, n)
    return True


cdef object thing(PyObject* p):
    return None if p == NULL else <object>p


cdef str save_name(int bit):
    return f"x{bit}" if bit < BIT_Y else f"y{bit - BIT_Y}" if bit < BIT_S else f"s{bit - BIT_S}"


def current():
    """The watcher of this thread, or None."""
    cdef fg_thread* here = thread()
    return None if here.watcher == NULL else <object>here.watcher


# ---- what the core calls on a watched thread -----------------------------------------------------------------------

cdef object watched_apply(Op op, PyObject** xs, int n, Attrs a):
    cdef Watcher w = <Watcher>thread().watcher
    cdef int64_t k = w.push(AN_OP, <PyObject*>op)
    cdef Node node = None
    if k < 0:
        return apply_plain(op, xs, n, a)
    if w.lines and thread().runs == 0:
        w.locate(&w.log[k])
    try:
        y = apply_plain(op, xs, n, a)
    except BaseException:
        w.pop(k)
        raise
    if type(y) is Tensor:
        node = (<Tensor>y).node
    else:
        for t in <tuple>y:
            if t is not None and (<Tensor>t).node is not None:
                node = (<Tensor>t).node
                break
    if node is not None:
        w.note(k, node)
    if w.check is not None:
        w.follow(k, op, xs, n, y)
    w.pop(k)
    return y


cdef int64_t kernel_begins(Op op, int dtype, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -2:
    cdef Watcher w = <Watcher>thread().watcher
    cdef int64_t k = w.open
    cdef bint own = k < 0 or w.log[k].kind != AN_OP or w.log[k].what != <PyObject*>op or w.log[k].begin != 0
    if own:
        k = w.push(AN_OP, <PyObject*>op)
        if k < 0:
            return -1
        if w.lines and thread().runs == 0:
            w.locate(&w.log[k])
    if w.check is not None:
        w.writing(k, op, ys, nys, xs, n)
    w.attach(&w.log[k], dtype, ys, nys, xs, n, a)
    w.log[k].begin = fg_ticks()
    return k << 1 | own


cdef int64_t call_begins(object what, int dtype, PyObject** lays, int nout, int nin, Attrs a, object line, str phase) except -2:
    # what: an Op, a Summary or a literal, which live on
    cdef Watcher w = <Watcher>thread().watcher
    cdef int64_t k = w.push(A_CALL, <PyObject*>what)
    if k < 0:
        return -1
    if line is not None:
        w.log[k].code = <PyObject*>line
        raw_incref(w.log[k].code)
        w.log[k].lasti = A_LINE
    w.log[k].node = <void*>phase        # a literal, which lives on
    w.attach(&w.log[k], dtype, lays, nout, lays + nout, nin, a)
    w.log[k].begin = fg_ticks()
    return k << 1 | 1


cdef int recorded(Op op, Node n) except -1:
    cdef Watcher w = <Watcher>thread().watcher
    cdef int64_t k = w.count - 1
    cdef bint own = k < 0 or w.log[k].kind != AN_OP or w.log[k].what != <PyObject*>op or w.log[k].node != NULL
    if own:
        k = w.push(AN_OP, <PyObject*>op)
        if k < 0:
            return 0
        if w.lines and thread().runs == 0:
            w.locate(&w.log[k])
    w.note(k, n)
    if own:
        w.pop(k)
    return 0


cdef str modified(Node n, void* storage):
    cdef Watcher w = <Watcher>thread().watcher
    saved = w.origins.get(<size_t><void*>n)
    written = w.writes.get(<size_t>storage)
    text = ""
    if saved is not None and saved[1] is not None:
        text = ": saved at %s:%d" % line_of(saved[1])
    if written is not None and written[1] is not None:
        op = <Op>written[0]
        name = op.name if op.name.endswith("_") else op.name + "_"
        if op.family != "multi":
            name = written_as(written[1]) or name
        text += (", written by " if text else ": written by ") + "%s at %s:%d" % (name, *line_of(written[1]))
    return text


cdef str differentiated(Node n):
    cdef Watcher w = <Watcher>thread().watcher
    called = w.origins.get(<size_t><void*>n)
    first = w.differentiated.get(<size_t><void*>n)
    if called is None or called[1] is None or first is None:
        return ""
    return ": it was called at %s:%d, " % line_of(called[1]) + "and differentiated at %s:%d" % line_of(first)


cdef str cut(Tensor t):
    cdef Watcher w = <Watcher>thread().watcher
    if t.storage.birth not in w.chains:
        return ""
    why, where = w.chains[t.storage.birth] or ("detach() of it", None)
    return f"the chain was cut: {why}" + (" at %s:%d" % line_of(where) if where is not None else "")


cdef int kernel_ends(int64_t token) except -1:
    cdef Watcher w = <Watcher>thread().watcher
    if token >= 0:
        w.log[token >> 1].end = fg_ticks()
        if w.check is not None:
            w.inspect(token >> 1)
        if token & 1:
            w.pop(token >> 1)
    return 0


cdef int watched_view(Op op, Tensor x, list outs, Attrs a) except -1:
    cdef Watcher w = <Watcher>thread().watcher
    cdef PyObject* px = <PyObject*>x
    cdef PyObject* ys[64]
    cdef int i, n = <int>min(len(outs), 64)
    cdef int64_t k = w.push(A_VIEW, <PyObject*>op)
    if k < 0:
        return 0
    if w.lines and thread().runs == 0:
        w.locate(&w.log[k])
    for i in range(n):
        ys[i] = <PyObject*>outs[i]
    w.attach(&w.log[k], x.dtype, ys, n, &px, 1, a)
    if n and (<Tensor>outs[0]).node is not None and (<Tensor>outs[0]).flags & REQUIRES_GRAD:
        w.log[k].node = <void*>(<Tensor>outs[0]).node
    return w.pop(k)


cdef int64_t node_begins(Node n) except -2:
    cdef Watcher w = <Watcher>thread().watcher
    cdef int64_t k = w.push(A_NODE, <PyObject*>LEAF if n.state & N_LEAF else <PyObject*>n.op)
    if k >= 0:
        w.log[k].node = <void*>n
        if w.check is not None:
            w.differentiated[<size_t><void*>n] = w.differentiates
    return k


cdef int range_ends(int64_t k) except -1:
    return (<Watcher>thread().watcher).pop(k)


cdef int64_t range_begins(str name) except -2:
    cdef Watcher w = <Watcher>thread().watcher
    cdef int64_t k = w.push(A_RANGE, <PyObject*>name)
    if w.check is not None and k >= 0:
        w.locate(&w.log[k])
        w.differentiates = w.here(k)[1]
    return k


cdef object watched_module(object module, tuple args, dict kwargs):
    cdef Watcher w = <Watcher>thread().watcher
    cdef int64_t k = w.push(A_MODULE, <PyObject*>module)
    if k >= 0 and w.lines:
        w.locate(&w.log[k])
        w.log[k].inherits = is_ours(<PyObject*>Py_TYPE(<PyObject*>module)) and not has_hooks(module)
    try:
        return call_unwatched(module, args, kwargs)
    finally:
        if thread().watcher == <PyObject*>w:
            w.pop(k)


watch.apply = watched_apply
watch.kernel_begins = kernel_begins
watch.kernel_ends = kernel_ends
watch.view = watched_view
watch.node_begins = node_begins
watch.range_begins = range_begins
watch.range_ends = range_ends
watch.module = watched_module
watch.recorded = recorded
watch.modified = modified
watch.differentiated = differentiated
watch.cut = cut
watch.call_begins = call_begins


# ---- reading a node ------------------------------------------------------------------------------------------------

def describe(Node node not None):
    """What a node is: (its Op, None for a leaf; its attributes; the shapes of its outputs; its dtype; {name: Tensor saved})."""
    cdef int i
    cdef save_t* s
    lays = node.extra.lays if node.extra is not None and node.extra.lays is not None else (node.lay,)
    saved = {}
    for i in range(node.nsaves):
        s = &node.saves[i]
        if s.storage == NULL:
            continue
        saved[save_name(s.bit)] = make_tensor(<Storage>s.storage, <Layout>s.layout, s.data, s.dtype)
    shapes = tuple([None if lay is None else shape_of(<Layout>lay) for lay in lays])
    return (None if node.state & N_LEAF else node.op, node.attrs, shapes, dtype_of(node.dtype), saved)


def history(Tensor t not None):
    """The node of a tensor, a leaf's too, as (node, output); None where it has none."""
    settle(t)
    return None if t.node is None else (t.node, t.at)


def is_freed(Node node not None):
    """Whether a backward run took what the node saved."""
    return (node.state & N_FREED) != 0


def place(Tensor t not None):
    """Where a tensor's elements are: (address of the storage object, of the first element, shape, strides, dtype)."""
    return (<size_t><void*>t.storage, <size_t>t.data, tuple(shape_of(t.layout)),
            tuple([t.layout.c.stride[i] for i in range(t.layout.c.ndim)]), t.dtype)
