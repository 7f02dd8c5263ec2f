"""`compile`: a function that is recorded until two records are equal, and replayed from then on."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

import functools
import warnings

from .assemble cimport assembled
from .loop cimport Loop, Rows, steady
from .program cimport Program
from .record cimport Call
from .recorder cimport Record, difference
from .signature cimport Signature, call_signature, replaced, unchanged
from .tensor cimport *

from .recorder import CompileError
from .watch import Watcher

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_vectorcall_offset
        unsigned long tp_flags
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL, Py_TPFLAGS_METHOD_DESCRIPTOR
    void PyType_Modified(PyTypeObject*)
    Py_ssize_t PyVectorcall_NARGS(size_t)

cdef enum:
    FEW = 16                # tensor arguments that need no allocation
    MOST = 64               # programs that are kept: what was rebound again and again left some that will never hold
    MANY = 16               # programs of one function from which a warning says what keeps changing


# ---- the function --------------------------------------------------------------------------------------------------

cdef class Compiled:
    """What `compile` returns: call it as the function.

    programs: its programs, the latest first. why: for each program that the last call did not use, the reason.
    """

    cdef readonly object function
    cdef readonly int check, limit
    cdef readonly bint fallback
    cdef readonly int64_t records, replays
    cdef void* vectorcall       # how the interpreter calls it: `called`
    cdef list kept              # the programs
    cdef dict seen              # (signature, state) -> (last record, how many)
    cdef Record last
    cdef readonly list why
    cdef bint eager, warned
    cdef public bint poisons
    cdef dict __dict__
    cdef object __weakref__

    def __cinit__(self, *args, **kwargs):
        self.vectorcall = <void*>called

    def __init__(self, function, int check=0, int limit=5, bint fallback=False):
        if not callable(function):
            raise TypeError(f"compile: expected a function, got {type(function).__name__}")
        if check < 0 or limit < 2:
            raise ValueError(f"compile: expected check >= 0 and limit >= 2, got {check} and {limit}")
        self.function, self.check, self.limit, self.fallback = function, check, limit, fallback
        self.kept, self.seen, self.why = [], {}, []
        functools.update_wrapper(self, function)

    def __get__(self, instance, owner):
        return self if instance is None else Method(self, instance)

    def __repr__(self):
        return f"<compiled {getattr(self.function, '__qualname__', self.function)}>"

    @property
    def programs(self):
        return list(self.kept)

    def explain(self):
        """What each program does, as text: its operations in their order, with shapes and lines, and its memory."""
        if not self.kept:
            return f"{self!r} has no program yet: {self.records} calls recorded"
        return "\n\n".join([f"program {k}: {program.explain()}" for k, program in enumerate(self.programs)])

    def __call__(self, *args, **kwargs):
        cdef fg_thread* here = thread()
        cdef Program p
        cdef tuple found
        cdef list why = []
        if here.special & ~WATCHED or self.eager:          # part of what is being recorded or transformed
            return self.function(*args, **kwargs)
        if here.special & WATCHED:
            return self.watched(args, kwargs)
        for p in self.kept:
            found = self.attempt(p, args, kwargs, why)
            if found is not None:
                return found[0]
        self.why = why
        return self.recorded(args, kwargs)

    cdef tuple attempt(self, Program p, tuple args, dict kwargs, list why):
        """(result,) where the program describes the call; else None, and `why` is told the reason."""
        cdef int n = 0
        cdef str reason
        cdef PyObject** tensors = <PyObject**>PyMem_Malloc((p.nargs + 1) * sizeof(PyObject*))
        if tensors == NULL:
            raise MemoryError()
        try:
            if p.signature.keywords != bool(kwargs) or not p.signature.matches((args, kwargs) if kwargs else args, tensors, &n):
                return None
            if not p.holds(thread(), tensors):
                reason = p.failing(tensors)
                if reason is not None:
                    why.append(reason)
                    return None
            if self.check and (p.replays + 1) % self.check == 0:
                p.replays += 1
                return (self.checked(p, args, kwargs),)
            if not p.enter() or self.still(p, tensors):
                return (self.entered(p, tensors),)
            return (self(*args, **kwargs),)
        finally:
            PyMem_Free(tensors)

    cdef bint still(self, Program p, PyObject** tensors) except -1:
        """Whether an entered program describes the call after another thread ran it; if not, it is left."""
        cdef bint describes = False
        try:
            describes = p.failing(tensors) is None
        finally:
            if not describes:
                p.leave()
        return describes

    cdef object entered(self, Program p, PyObject** tensors):
        """The result of a replay on these tensors; lets the next thread in."""
        try:
            if self.poisons:
                if p.differing() is not None:
                    raise AssertionError("something that a program depends on was changed and not counted by change_epoch()")
                p.poison()
            result = p.replay(tensors)
            p.replays += 1
            self.replays += 1
            return result
        finally:
            p.leave()

    cdef object watched(self, tuple args, dict kwargs):
        """On a watched thread: a watcher that looks at tensors sees the function itself, one that takes times a range."""
        cdef fg_thread* here = thread()
        watcher = <object>here.watcher
        if watcher.looks:
            return self.function(*args, **kwargs)
        token = watcher.enter("compiled step")
        here.special &= ~<uint32_t>WATCHED
        try:
            return self(*args, **kwargs)
        finally:
            here.special |= WATCHED
            watcher.leave(token)

    def steps(self, tuple args, Loop loop not None, Rows rows not None, Tensor order, int64_t first, int64_t period,
              int64_t count):
        """Runs up to `count` steps of a program in a native loop, on `args` followed by the batches of the loop (see Loop.run);
        returns how many: 0 where only a call of the function can tell what to do."""
        cdef PyObject** tensors
        cdef Program p
        cdef int64_t done
        cdef bint waited
        cdef int n
        if thread().special or self.eager:
            return 0
        args += tuple(loop.buffers)
        for p in self.kept:
            n = 0
            tensors = <PyObject**>PyMem_Malloc((p.nargs + 1) * sizeof(PyObject*))
            if tensors == NULL:
                raise MemoryError()
            try:
                if (p.signature.keywords or not p.signature.matches(args, tensors, &n) or not steady(p)
                        or p.failing(tensors) is not None):
                    continue
                if self.check:
                    count = min(count, self.check - 1 - p.replays % self.check)
                if count == 0:
                    return 0
                waited = p.enter()
                done = rows.count
                try:
                    if waited and p.failing(tensors) is not None:
                        return 0
                    return loop.run(p, tensors, rows, order, first, period, count, self.poisons)
                finally:
                    p.leave()
                    p.replays += rows.count - done
                    self.replays += rows.count - done
            finally:
                PyMem_Free(tensors)
        return 0

    cdef object checked(self, Program p, tuple args, dict kwargs):
        """Runs the function instead of its program, and compares."""
        rec, result, _ = self.run(args, kwargs, [], [], p.record)
        if (<Record>rec).key != p.key or (<Record>rec).escaped:
            what = (<Record>rec).escaped[0] if (<Record>rec).escaped else difference(p.record, <Record>rec)
            raise CompileError(f"check: the program no longer describes the function: {what}")
        return result

    cdef bint repeats(self, Signature s, Record rec) except -1:
        """Whether the last record of such a call was the same."""
        before, _ = self.seen.get((s.key, rec.state), (None, 0))
        return before is not None and (<Record>before).key == rec.key

    cdef tuple run(self, tuple args, dict kwargs, list found, list signatures, Record expected=None):
        """Runs the function under a recorder: (record, result, what a Watcher saw). The signature is left in `signatures`."""
        cdef list tensors = found
        cdef Record rec = Record.__new__(Record, self.fallback)
        cdef uint32_t bits = thread().special
        cdef list passed, aliases
        signatures.append(call_signature(args, kwargs, tensors))
        aliases = rec.arguments(tensors)
        passed = aliases[::-1]
        given = replaced(args, passed), replaced(kwargs, passed)
        result = None
        watcher = Watcher()
        rec.begin(self.last)
        watcher.start()
        try:
            try:
                result = [self.function(*given[0], **given[1])]
            finally:
                watcher.stop()
                thread().special = thread().special & ~<uint32_t>WATCHED | bits & WATCHED
            rec.end()
            kernels = watcher.kernels()
            watcher = None          # it holds the modules that were called
            if not unchanged(given, (args, kwargs), aliases):
                rec.refuse("changing a list or a dictionary that is an argument", "copy it first, and return what is new")
            given = aliases = None  # an argument that is still alive has escaped
            rec.finish(result)
            if rec.escaped and (expected is not None or self.repeats(signatures[0], rec)):
                rec.look_again()
        finally:
            rec.forget()
        return rec, rec.rebuilt(tensors), kernels

    cdef object recorded(self, tuple args, dict kwargs):
        cdef Record rec, before
        cdef list tensors = [], signatures = []
        cdef int count
        try:
            rec, result, kernels = self.run(args, kwargs, tensors, signatures)
        except CompileError as error:
            if not self.fallback or not signatures:
                raise
            return self.give_up(str(error), args, kwargs)
        self.records += 1
        if rec.broken is not None:
            self.say_eager(rec.broken)
            return result
        key = (<Signature>signatures[0]).key, rec.state
        before, count = self.seen.get(key, (None, 0))
        try:
            if self.repeats(signatures[0], rec):
                if rec.escaped:
                    self.refuse(f"a side effect: {rec.escaped[0]}")
                    return result
                if rec.loose is not None:
                    self.refuse(rec.loose)
                    return result
                located(rec, kernels)
                self.add(signatures[0], rec)
                del self.seen[key]
            elif count + 1 >= self.limit:
                self.refuse(f"{self.limit} calls, no two consecutive ones alike: {difference(before, rec)}")
            else:
                self.seen[key] = rec, count + 1
                if len(self.seen) > (MOST if self.kept else MANY):
                    self.warn(f"has recorded {len(self.seen)} calls, no two of one kind", [key for key, _ in self.seen])
                    if len(self.seen) > MOST:
                        self.seen.clear()
        finally:
            rec.release()
            self.last = rec
        return result

    cdef int add(self, Signature s, Record rec) except -1:
        cdef Program p = assembled(rec)
        p.key = rec.key
        p.record = rec
        p.signature = s
        self.kept = [p, *[other for other in self.kept if not (<Program>other).dead]][:MOST]
        if len(self.kept) > MANY:
            self.warn(f"has {len(self.kept)} programs", [(<Program>other).signature.key for other in self.kept])
        return 0

    cdef int warn(self, str what, list keys) except -1:
        """Once: that calls are too many kinds to be replayed, and which argument makes them so."""
        if not self.warned:
            self.warned = True
            warnings.warn(f"{self!r} {what}: {changing(keys, self.function)}", stacklevel=3)
        return 0

    cdef object give_up(self, str message, tuple args, dict kwargs):
        self.say_eager(message)
        return self.function(*args, **kwargs)

    cdef int refuse(self, str message) except -1:
        if not self.fallback:
            raise CompileError(message)
        self.say_eager(message)
        return 0

    cdef int say_eager(self, str message) except -1:
        self.eager = True
        warnings.warn(f"{self!r} runs eagerly: {message}", stacklevel=3)
        return 0


@cython.final
cdef class Method:
    """A compiled function as a method of an object, which is its first argument."""

    cdef readonly object __func__, __self__

    def __init__(self, function, instance):
        self.__func__, self.__self__ = function, instance

    def __call__(self, *args, **kwargs):
        return self.__func__(self.__self__, *args, **kwargs)

    def __getattr__(self, name):
        return getattr(self.__func__, name)

    def __repr__(self):
        return f"{self.__func__!r} of {self.__self__!r}"

    @property
    def run(self):
        return functools.partial(self.__func__.run, args=(self.__self__,))


cdef int located(Record rec, list kernels) except -1:
    """Has each call know where it comes from, as a Watcher saw it: what a profile of replays says of it."""
    cdef Call c
    if len(kernels) != len(rec.calls):
        return 0
    for c, (op, origin) in zip(rec.calls, kernels):
        if c.line is not None and c.op is op:
            c.line = (*c.line, origin)
    return 0


cdef str changing(list keys, object function):
    """In words, which argument differs between signatures with these keys, and what to do."""
    cdef list calls = [by_place(key) for key in keys]
    names = getattr(getattr(function, "__code__", None), "co_varnames", ())
    shift = 1 if hasattr(function, "__self__") else 0       # of a bound method the object is no argument
    for place in calls[0]:
        found = {call.get(place) for call in calls}
        if len(found) == 1:
            continue
        first = calls[0][place]
        name = f"argument {place!r}"
        if type(place) is int and place + shift < len(names):
            name = f"argument {place} ({names[place + shift]})"
        if first[0] == "tensor":
            return f"{name} keeps changing its shape, layout or dtype; pad it, or cut it, to a few sizes"
        if type(first[0]) is type and first[0] is not int and type(first[1]) is int:
            return (f"{name} is another {first[0].__name__} in each call, and is compared as an object; pass the tensors and "
                    f"numbers that are in it, in tuples, lists and dictionaries")
        return f"{name} keeps changing its value; pass a number that changes as a 0-d tensor"
    return "what it uses from outside keeps changing"


cdef dict by_place(object key):
    """The keys of the arguments, by position or name; from that of a call's signature."""
    keywords, whole = key
    found = dict(enumerate((whole[1][0] if keywords else whole)[1]))
    if keywords:
        _, (_, names), items = whole[1][1]
        found.update(zip([name for _, name in names], items))
    return found


# ---- the call ------------------------------------------------------------------------------------------------------

cdef object called(object self, PyObject** xs, size_t flagged, PyObject* names):
    """How the interpreter calls a Compiled (PEP 590): a program that holds at once, else as `__call__`."""
    cdef Compiled c = <Compiled>self
    cdef PyObject* tensors[FEW]
    cdef fg_thread* here = thread()
    cdef Py_ssize_t count = PyVectorcall_NARGS(flagged)
    cdef Program p
    cdef int n
    if names == NULL and not (here.special or c.eager or c.check):
        for p in c.kept:
            n = 0
            if (p.nargs <= FEW and not p.signature.keywords and p.signature.takes(xs, count, tensors, &n)
                    and p.holds(here, tensors) and p.idle()):
                p.enter()
                return c.entered(p, tensors)
    args = tuple([<object>xs[k] for k in range(count)])
    kwargs = {} if names == NULL else {name: <object>xs[count + k] for k, name in enumerate(<tuple><object>names)}
    return c.__call__(*args, **kwargs)


def vectorcalled(type cls not None):
    """Decorates a subclass of Compiled (and is applied to Compiled itself): it is called by `called`, and like a function that
    lies in a class it needs no method object for that."""
    cdef Compiled c = Compiled.__new__(Compiled)
    cdef PyTypeObject* t = <PyTypeObject*>cls
    t.tp_vectorcall_offset = <char*>&c.vectorcall - <char*><void*>c
    t.tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR
    PyType_Modified(t)
    return cls


vectorcalled(Compiled)
