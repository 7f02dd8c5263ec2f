"""What a compiled function does, heard while it runs eagerly.

A Record holds the calls of kernels in their order, with the storages they read and wrote (slots, numbered by first appearance),
and what of the world outside they depended on: tensors, .grad slots, modules, optimisers. Two records that are equal up to the
names of storages have equal keys.

A recorder hears of kernels, not of memory: what else writes a storage (numbers, lists, arrays that become tensors) is found
when a kernel first reads a storage that no kernel has written. Its bytes are then a constant of the record, and a constant
that differs in the next record is what a frozen number would have been.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

import gc
import weakref
from functools import partial

from .call cimport expect_watcher
from .memory cimport births, forget_notes, foreign_storage, lives, note
from .plan cimport Plan
from .record cimport *
from .tensor cimport *
from .views cimport settle

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(void*)


class CompileError(RuntimeError):
    """A function that `compile` cannot replay; the message says why, and where."""


# ---- the record ----------------------------------------------------------------------------------------------------

cdef str OUTLIVES = "outlives the call; return it, or copy_() it into a buffer that stays"

cdef int active = 0             # records under way, of all threads


@cython.final
cdef class Record:
    """One call of a compiled function. lenient: what cannot be replayed is noted, not raised."""

    def __cinit__(self, bint lenient):
        self.lenient = lenient
        self.slots, self.calls, self.aliases, self.escaped = [], [], [], []
        self.by_birth, self.handles, self.grads, self.modules, self.plans, self.kept = {}, {}, {}, {}, {}, {}
        self.results, self.young = set(), set()

    cdef list arguments(self, list tensors):
        """The tensors as the function gets them: other tensors over other storages of the same memory, so that an argument is
        told from the same tensor used from outside, and one that is kept is seen."""
        cdef Tensor t, x
        cdef Slot s
        cdef int64_t nbytes
        cdef list made = []
        self.start = births()
        for x in tensors:
            t = alias(x)
            nbytes = extent(t.layout) * fg_itemsize[t.dtype]
            t.storage = foreign_storage(x.data, nbytes, x.storage, x.storage.readonly)
            s = self.add(t.storage, ARGUMENT)
            s.storage = x.storage
            self.aliases.append(t.storage)
            made.append(t)
        return made

    cdef int begin(self, Record before) except -1:
        """Listens. `before`: the last record of the same arguments, whose optimisers are brought up to date first: numbers that
        change later change inside the call."""
        cdef fg_thread* here = thread()
        cdef Plan plan
        global active
        self.known = {}
        if before is not None:
            for key, (ref, _) in before.plans.items():
                plan = ref()
                if plan is not None and plan.current():
                    self.known[key] = plan.changes
        self.recording, self.inference = here.recording, here.inference
        self.world = world
        here.special |= RECORDED
        here.recorder = <PyObject*>self
        active += 1
        expect_watcher(1)
        return 0

    cdef int end(self) except -1:
        """Stops listening; `finish` or nothing follows."""
        cdef fg_thread* here = thread()
        global active
        if here.recorder != <PyObject*>self:
            return 0
        here.special &= ~RECORDED
        here.recorder = NULL
        active -= 1
        expect_watcher(-1)
        return 0

    cdef int forget(self) except -1:
        """No storage that lives on is noted any more."""
        cdef Slot s
        self.end()
        for s in self.slots:
            if s.note and lives(s.note):
                (<Storage>s.where).noted = 0
            s.note = 0
        if active == 0:
            forget_notes()
        return 0

    cdef int release(self) except -1:
        """Keeps none of the user's tensors alive: what is left is for comparison and messages."""
        cdef Slot s
        for s in self.slots:
            s.storage = None
            s.path = None
        self.handles, self.grads, self.kept, self.modules = {}, {}, {}, {}
        self.spec = None
        self.aliases = []
        return 0

    # ---- while it runs -------------------------------------------------------------------------------------------

    cdef Slot add(self, Storage storage, int kind):
        cdef Slot s = Slot.__new__(Slot)
        s.kind = kind
        s.index = len(self.slots)
        s.birth = storage.birth
        s.nbytes = storage.nbytes
        s.where = <void*>storage
        s.line = user_line()
        self.by_birth[s.birth] = s
        self.slots.append(s)
        return s

    cdef Slot slot_of(self, Tensor t, bint written):
        cdef Storage storage = t.storage
        cdef Slot s = self.by_birth.get(storage.birth)
        cdef GradSlot g
        if s is None:
            if storage.birth <= self.start:
                s = self.add(storage, EXTERNAL)
                s.storage = storage
                for g in self.grads.values():
                    if g.found is not None and g.found.storage is storage:
                        s.path = g.leaf
            elif written and t.layout.c.flags & FG_DENSE and t.layout.c.size * fg_itemsize[t.dtype] == storage.nbytes:
                s = self.add(storage, PRODUCT)
                s.note = note(storage)
            else:
                if storage.owner is not None and storage.nbytes > 8:
                    self.refuse("a NumPy array (or another library's) as an operand", "pass it as a tensor argument")
                s = self.add(storage, CONSTANT)
                s.note = note(storage)
                s.value = PyBytes_FromStringAndSize(<const char*>storage.data, storage.nbytes)
        if s.kind == EXTERNAL:
            self.handle(t)
        if written:
            s.written = True
        return s

    cdef int handle(self, Tensor t) except -1:
        cdef Handle h
        if <size_t><void*>t in self.handles:
            return 0
        h = Handle.__new__(Handle)
        h.held = t
        h.storage, h.layout, h.data = t.storage, t.layout, t.data
        h.required = (t.flags & REQUIRES_GRAD) != 0
        if t.node is not None and t.node.state & N_LEAF:
            h.leaf = <Leaf>t.node
        self.handles[<size_t><void*>t] = h
        return 0

    cdef Operand operand(self, Tensor t, bint written):
        cdef Operand o = Operand.__new__(Operand)
        o.slot = self.slot_of(t, written).index
        o.dtype = t.dtype
        o.offset = <char*>t.data - <char*>t.storage.data
        o.layout = t.layout
        return o

    cdef int gradient(self, Leaf leaf, bint read) except -1:
        cdef GradSlot g
        if <size_t><void*>leaf in self.grads:
            return 0
        g = GradSlot.__new__(GradSlot)
        g.leaf = leaf
        g.entry = UNREAD
        g.at = len(self.calls)
        if read:
            g.found = leaf.grad
            g.entry = EMPTY if leaf.grad is None else FULL
        self.grads[<size_t><void*>leaf] = g
        return 0

    cdef int refuse(self, str what, str advice) except -1:
        """Raises; a lenient record only remembers."""
        message = f"{what} at {line_text(user_line())} cannot be replayed by a compiled function: {advice}"
        if self.lenient:
            if self.broken is None:
                self.broken = message
            return 0
        raise CompileError(message)

    # ---- when it has run -----------------------------------------------------------------------------------------

    cdef object strip(self, object r, str place=""):
        """The structure of a result, its tensors as Operands; their storages are kept for `rebuilt`. `place` is for messages."""
        cdef Tensor t
        cdef Operand o
        if type(r) is Tensor:
            t = <Tensor>r
            settle(t)
            o = self.operand(t, False)
            if t.flags & REQUIRES_GRAD and not t.node.state & (N_LEAF | N_FREED):
                self.refuse(f"returning a tensor whose graph has not been differentiated (the result{place}, made at "
                            f"{line_text((<Slot>self.slots[o.slot]).line)})", "return x.detach(), or call backward() inside")
            self.kept[o.slot] = t.storage
            return o
        if isinstance(r, (tuple, list)):
            items = [self.strip(x, f"{place}[{k}]") for k, x in enumerate(r)]
            return ("items", type(r), items)
        if isinstance(r, dict):
            return ("dict", type(r), list(r), [self.strip(x, f"{place}[{k!r}]") for k, x in r.items()])
        return ("static", r)

    cdef object finish(self, list result):
        """Judges the call. `result` holds the function's result alone, and is emptied."""
        cdef Handle h
        cdef GradSlot g
        cdef Slot s
        cdef Call c
        cdef int k
        for k in range(len(self.aliases)):
            (<Slot>self.slots[k]).storage.version += (<Storage>self.aliases[k]).version
        self.spec = self.strip(result[0])
        result.clear()
        self.results = set(self.kept)
        self.loosen()
        self.finish_grads()
        self.loosen()
        self.drop_paths()
        overlapping = self.overlapping()
        self.state = (self.recording, self.inference, self.world,
                      tuple([(key, dict(snap).get("training")) for key, (_, snap) in self.modules.items()]),
                      tuple([(*pair, self.distance(pair[0], pair[1])) for pair in overlapping if pair[0] < len(self.aliases)]),
                      tuple([(key, (<GradSlot>g).entry) for key, g in self.grads.items()]))
        for h in self.handles.values():
            if h.leaf is not None:
                self.modules[<size_t><void*>h.leaf] = partial(itself, h.leaf), snapshot(h.leaf)
        self.judge()
        self.key = (
            tuple([slot_key(s) for s in self.slots]),
            tuple([c.key() for c in self.calls]),
            tuple([handle_key(h) for h in self.handles.values()]),
            tuple([(key, final_key(g.final)) for key, g in self.grads.items()]),
            spec_key(self.spec),
            overlapping,
            tuple([snap for _, snap in self.modules.values()]),
            tuple(self.plans),
            # State that an optimiser made for itself is no side effect that repeats: the next call finds it.
            object() if self.begins and self.escaped else None,
            tuple([self.distance(pair[0], pair[1]) for pair in overlapping]),
        )
        return None

    cdef int look_again(self) except -1:
        """What is to be refused is judged once more: cycles may hold dead tensors. Milliseconds: not for a record that does not
        matter, as a first one with its new optimiser state."""
        gc.collect()
        self.escaped.clear()
        return self.judge()

    cdef int loosen(self) except -1:
        """Forgets the tensors that nobody else holds."""
        cdef Handle h
        for h in self.handles.values():
            if h.held is not None:
                h.ref = weakref.ref(h.held, died)
                h.held = None
        self.handles = {key: h for key, h in self.handles.items() if h.ref() is not None}
        return 0

    cdef int finish_grads(self) except -1:
        """Only slots of leaves that live outside count; what they hold now."""
        cdef GradSlot g
        cdef Handle h
        cdef Tensor t
        cdef Operand o
        cdef Slot s
        outside = {<size_t><void*>h.leaf for h in self.handles.values() if h.leaf is not None}
        self.grads = {key: g for key, g in self.grads.items() if key in outside}
        for g in self.grads.values():
            t = g.leaf.grad
            if t is None:
                g.final = None
            elif t is g.found:
                g.final = "same"
            else:
                o = self.operand(t, False)
                s = self.slots[o.slot]
                if g.found is not None and g.found.storage is t.storage and same_shape(g.found.layout, t.layout):
                    g.final = "same"        # zero_grad(set_to_none=False) leaves another tensor over the same memory
                elif s.kind == EXTERNAL or s.kind == ARGUMENT:
                    self.refuse("leaving a tensor from outside in .grad", "copy it with clone()")
                    g.final = None
                else:
                    g.final = o
                    self.kept.setdefault(o.slot, t.storage)
            g.found = None
        return 0

    cdef int drop_paths(self) except -1:
        """A tensor found in .grad is found there again; all other memory from outside needs a tensor that stays."""
        cdef Handle h
        cdef Slot s
        for s in self.slots:
            if s.kind == EXTERNAL and s.path is None and not any(
                    [h.storage is s.storage for h in self.handles.values()]):
                self.loose = (f"a tensor from outside, used at {line_text(s.line)}, that nothing holds after the call: pass it "
                              f"as an argument")
        self.handles = {key: h for key, h in self.handles.items() if (<Slot>self.by_birth[h.storage.birth]).path is None}
        return 0

    cdef int judge(self) except -1:
        """Finds what outlives the call though it was not returned, and what outside was changed in ways no kernel does."""
        cdef Slot s
        cdef Handle h
        cdef GradSlot g
        cdef Operand o
        cdef Tensor t
        cdef Plan plan
        cdef Py_ssize_t expected
        held = {}
        for g in self.grads.values():
            if type(g.final) is Operand:
                o = g.final
                held[o.slot] = held.get(o.slot, 0) + 1
                if Py_REFCNT(<void*>g.leaf.grad) > 1:
                    self.escaped.append(f"the tensor in a .grad slot {OUTLIVES}")
        for s in self.slots:
            expected = held.get(s.index, 0) + (1 if s.index in self.kept else 0)
            if s.kind == ARGUMENT:
                expected += 1
            if s.kind == EXTERNAL or (s.note and not lives(s.note)):
                continue
            if Py_REFCNT(s.where) > expected:
                what = "an argument, or a view of one," if s.kind == ARGUMENT else f"the tensor made at {line_text(s.line)}"
                self.escaped.append(f"{what} {OUTLIVES}")
        for h in self.handles.values():
            t = h.ref()
            if t is not None and t.node is not None and not t.node.state & N_LEAF:
                self.refuse(f"using a tensor of shape {tuple(t.shape)} from outside that has a history", "detach() it")
            elif t is not None and (t.storage is not h.storage or t.layout is not h.layout
                                    or ((t.flags & REQUIRES_GRAD) != 0) != h.required):
                self.escaped.append(f"a tensor of shape {tuple(t.shape)} from outside has another requires_grad, or other "
                                    f"memory, after the call; change that outside")
            t = None
        for module, snap in self.modules.values():
            if module() is not None and snapshot(module()) != snap:
                self.escaped.append(f"an attribute of a module, {changed_name(snap, snapshot(module()))}, is changed by the "
                                    f"call; change it outside, or copy_() into a buffer")
        for ref, number in self.plans.values():
            plan = ref()
            if plan is not None and (plan.changes != number or not plan.holds()):
                self.escaped.append("a hyperparameter of an optimiser is set by the call, as by a scheduler's step(); set it "
                                    "outside")
            plan = None
        return 0

    cdef tuple overlapping(self):
        """Pairs of memory from outside that meet, where one is written."""
        cdef list outside = [s for s in self.slots if (<Slot>s).kind <= EXTERNAL]
        cdef Slot a, b
        cdef int i, j
        found = []
        for i in range(len(outside)):
            a = outside[i]
            for j in range(i):
                b = outside[j]
                if (a.written or b.written) and meet(a, b):
                    found.append((b.index, a.index))
        return tuple(found)

    cdef int64_t distance(self, int a, int b) except? -1:
        """Bytes from where one slot begins to where another does: how they meet says whether operands are copied."""
        cdef Slot s = self.slots[a], t = self.slots[b]
        return 0 if s.path is not None or t.path is not None else (
            <char*>(<Storage>t.where).data - <char*>(<Storage>s.where).data)

    cdef object rebuilt(self, list roots):
        """The result of the recorded call, detached; `roots` are the caller's own argument tensors."""
        return rebuild(self.spec, self, roots)


def itself(x):
    return x


cdef bint meet(Slot a, Slot b) noexcept:
    cdef Storage s = <Storage>a.where, t = <Storage>b.where
    return overlaps(<const char*>s.data, s.nbytes, <const char*>t.data, t.nbytes)


cdef object rebuild(object spec, Record rec, list roots):
    cdef Operand o
    cdef Tensor t
    cdef Storage storage
    cdef Slot s
    if type(spec) is Operand:
        o = spec
        s = rec.slots[o.slot]
        if s.kind == ARGUMENT:
            t = <Tensor>roots[s.index]
            return make_tensor(t.storage, o.layout, <char*>t.data + o.offset, o.dtype)
        storage = rec.kept[o.slot]
        return make_tensor(storage, o.layout, <char*>storage.data + o.offset, o.dtype)
    if spec[0] == "static":
        return spec[1]
    if spec[0] == "dict":
        return collected(spec[1], [rebuild(x, rec, roots) for x in spec[3]], spec[2])
    return collected(spec[1], [rebuild(x, rec, roots) for x in spec[2]])


cdef object collected(object kind, list items, object names=None):
    """A tuple, list or dictionary (of these names) of that type."""
    if kind is tuple:
        return tuple(items)
    if kind is list:
        return items
    if kind is dict:
        return dict(zip(names, items))
    try:
        if names is not None:
            return kind(zip(names, items))
        return kind(*items) if hasattr(kind, "_fields") else kind(items)
    except Exception as error:
        raise CompileError(f"{kind.__name__} cannot be made of its items again, as a compiled function does with what it takes "
                           f"and returns ({error}); use a tuple, a list or a dictionary") from error


cdef str difference(Record a, Record b):
    """In words, where b first differs from a, the record before."""
    return first_difference(a.slots, a.calls, a.key, b.slots, b.calls, b.key)


# ---- what the core tells -------------------------------------------------------------------------------------------

cdef inline Record listening():
    return <Record>thread().recorder


cdef int on_call(Op op, int common, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1:
    cdef Record rec = listening()
    cdef Call c = Call.__new__(Call)
    cdef list ins = [], outs = []
    cdef int i
    if op.keeps_history:            # what it overwrites it does not read: that is no constant
        rec.operand(<Tensor>ys[0], True)
    if op.shape == "MUTATE":        # ... and these read what they write
        for i in range(nys):
            rec.slot_of(<Tensor>ys[i], False)
    for i in range(n):
        ins.append(None if xs[i] == NULL else rec.operand(<Tensor>xs[i], False))
    for i in range(nys):
        outs.append(None if ys[i] == NULL else rec.operand(<Tensor>ys[i], True))
    c.op, c.common, c.nout, c.attrs, c.at = op, common, nys, a, len(rec.calls)
    c.operands = outs + ins
    c.line = user_line()
    c.phase = "backward" if thread().runs else "optimiser" if op.family == "multi" else "forward"
    rec.calls.append(c)
    return 0


cdef int on_scratch(int64_t nbytes) except -1:
    cdef list calls = listening().calls
    (<Call>calls[len(calls) - 1]).scratch = nbytes
    return 0


def died(_):
    """What the weak references of programs call."""
    change_epoch()


cdef int on_operand(Tensor t) except -1:
    cdef Record rec = listening()
    if t.storage.birth <= rec.start:
        rec.slot_of(t, False)
    return 0


cdef int on_gradient(Leaf leaf, bint read) except -1:
    return listening().gradient(leaf, read)


cdef int on_plan(object plan) except -1:
    cdef Record rec = listening()
    if plan is None:
        rec.begins = True
    elif id(plan) not in rec.plans:
        rec.plans[id(plan)] = weakref.ref(plan), rec.known.get(id(plan), (<Plan>plan).changes)
    return 0


cdef int on_module(object module) except -1:
    cdef Record rec = listening()
    if not module.__dict__:         # it is just being made: nothing that the next call depends on
        rec.young.add(id(module))
    elif id(module) not in rec.modules and id(module) not in rec.young:
        module.__dict__["_watched"] = True
        rec.modules[id(module)] = (weakref.ref(module), snapshot(module))
    return 0


cdef int on_door(Tensor t, str what) except -1:
    cdef Record rec = listening()
    cdef Slot s
    if t is None:
        return rec.refuse(what, "do it outside")
    if t.storage.birth > rec.start:
        s = rec.by_birth.get(t.storage.birth)
        if s is None or (s.kind == CONSTANT and not s.written):
            return 0                # Python data on its way back to Python
    what, _, advice = what.partition("; ")
    return rec.refuse(what, advice or "a value that Python reads would be frozen; return the tensor instead")


def module_replaced(module not None):
    """Says that attributes of a module are about to be others for a while: a compiled function depends on those it has now."""
    if thread().special & RECORDED:
        on_module(module)


def forbid_recorded(what):
    """Refuses what a compiled function cannot do, where one is being recorded."""
    if thread().special & RECORDED:
        listening().refuse(what, "do it outside")


slots.record_call = on_call
slots.record_scratch = on_scratch
slots.record_operand = on_operand
slots.record_gradient = on_gradient
slots.record_plan = on_plan
slots.record_module = on_module
slots.record_door = on_door
