"""`compile`: a function that is recorded until two records are equal, and replayed from then on."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

import functools
import types
import warnings
import weakref

import numpy as np

from .assemble cimport assembled
from .program cimport Program
from .recorder cimport Record, collected, difference, frozen
from .tensor cimport *
from .views cimport settle

from .recorder import CompileError

cdef enum:
    FEW = 16                # tensor arguments that need no allocation
    MOST = 64               # programs that are kept: what was rebound again and again left some that will never hold
    MANY = 16               # programs of one function from which a warning says what keeps changing


# ---- arguments -----------------------------------------------------------------------------------------------------

cdef enum:
    TENSOR, SIMPLE, OBJECT, ITEMS, DICT


@cython.final
cdef class Signature:
    """What a program asks of its arguments: the structure, layouts and dtypes of tensors, static values."""

    cdef int kind, dtype
    cdef Layout layout
    cdef type type
    cdef object value           # SIMPLE: the value; OBJECT: the object, or a weak reference to it
    cdef object key             # hashable: equal where the signatures are
    cdef bint weak
    cdef list items
    cdef tuple names            # DICT

    cdef bint matches(self, object x, PyObject** tensors, int* n) except -1:
        """Whether x is what this describes; its tensors, borrowed, are added to those found so far."""
        cdef Tensor t
        cdef Py_ssize_t k
        if self.kind == TENSOR:
            if type(x) is not Tensor:
                return False
            t = <Tensor>x
            if t.flags & VIEW:
                settle(t)
            if t.layout is not self.layout and not same_layout(t.layout, self.layout):
                return False
            if t.dtype != self.dtype or t.flags & (REQUIRES_GRAD | BOXED | DUAL):
                return False
            tensors[n[0]] = <PyObject*>t
            n[0] += 1
            return True
        if self.kind == OBJECT:
            return x is not None and (self.value() if self.weak else self.value) is x
        if type(x) is not self.type:
            return False
        if self.kind == SIMPLE:
            return x is self.value or frozen(x) == self.key
        if self.kind == DICT:
            if len(x) != len(self.names) or tuple(x) != self.names:
                return False
            x = list(x.values())
        elif len(x) != len(self.items):
            return False
        for k in range(len(self.items)):
            if not (<Signature>self.items[k]).matches(x[k], tensors, n):
                return False
        return True


cdef bint same_layout(Layout a, Layout b) noexcept:
    cdef int k
    if not same_shape(a, b) or a.c.flags != b.c.flags:
        return False
    for k in range(a.c.ndim):
        if a.c.shape[k] > 1 and a.c.stride[k] != b.c.stride[k]:
            return False
    return True


cdef Signature signature(object x, list tensors):
    cdef Signature s = Signature.__new__(Signature)
    cdef Tensor t
    s.type = type(x)
    if type(x) is Tensor:
        t = <Tensor>x
        if t.requires_grad:
            raise CompileError("an argument of a compiled function requires grad: its gradient would be lost; detach() it, or "
                               "let the function use it from outside, as it does parameters")
        if t.flags & (BOXED | DUAL):
            raise CompileError("an argument of a compiled function is under a transform")
        tensors.append(t)
        s.kind, s.layout, s.dtype = TENSOR, t.layout, t.dtype
        s.key = ("tensor", t.dtype, tuple(shape_of(t.layout)), t.layout.strides)
    elif isinstance(x, (tuple, list)):
        s.kind = ITEMS
        s.items = [signature(item, tensors) for item in x]
        s.key = (s.type, tuple([(<Signature>item).key for item in s.items]))
    elif type(x) is dict:
        s.kind = DICT
        s.names = tuple(x)
        s.items = [signature(item, tensors) for item in x.values()]
        s.key = (dict, frozen(s.names), tuple([(<Signature>item).key for item in s.items]))
    elif isinstance(x, np.ndarray):
        raise CompileError("an argument of a compiled function is a NumPy array, whose values would be frozen; pass "
                           "fastgrad.from_numpy(array)")
    else:
        s.key = frozen(x)
        s.value = x
        s.kind = SIMPLE
        if s.key == (type(x), id(x)) and type(x) is not int:
            s.kind = OBJECT
            try:
                s.value = weakref.ref(x)
                s.weak = True
            except TypeError:
                pass
    return s


cdef object replaced(object x, list tensors):
    """x with its tensors replaced by these, in their order (taken from the end of the reversed list)."""
    if type(x) is Tensor:
        return tensors.pop()
    if isinstance(x, (tuple, list)):
        return collected(type(x), [replaced(item, tensors) for item in x])
    if type(x) is dict:
        return {key: replaced(item, tensors) for key, item in x.items()}
    return x


# ---- the function --------------------------------------------------------------------------------------------------

cdef class Compiled:
    """What `compile` returns: call it as the function.

    programs: its programs, the latest first. why: for each program that the last call did not use, the reason.
    """

    cdef readonly object function
    cdef readonly int check, limit
    cdef readonly bint fallback
    cdef readonly int64_t records, replays
    cdef list entries           # (Signature, Program)
    cdef dict seen              # (signature, state) -> (last record, how many)
    cdef Record last
    cdef readonly list why
    cdef bint eager, warned
    cdef public bint poisons
    cdef dict __dict__
    cdef object __weakref__

    def __init__(self, function, int check=0, int limit=5, bint fallback=False):
        if not callable(function):
            raise TypeError(f"compile: expected a function, got {type(function).__name__}")
        if check < 0 or limit < 2:
            raise ValueError(f"compile: expected check >= 0 and limit >= 2, got {check} and {limit}")
        self.function, self.check, self.limit, self.fallback = function, check, limit, fallback
        self.entries, self.seen, self.why = [], {}, []
        functools.update_wrapper(self, function)

    def __get__(self, instance, owner):
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self):
        return f"<compiled {getattr(self.function, '__qualname__', self.function)}>"

    @property
    def programs(self):
        return [program for _, program in self.entries]

    def explain(self):
        """What each program does, as text: its operations in their order, with shapes and lines, and its memory."""
        if not self.entries:
            return f"{self!r} has no program yet: {self.records} calls recorded"
        return "\n\n".join([f"program {k}: {program.explain()}" for k, program in enumerate(self.programs)])

    def __call__(self, *args, **kwargs):
        cdef PyObject* small[FEW]
        cdef fg_thread* here = thread()
        cdef int n
        cdef str reason
        cdef tuple entry
        cdef Program p
        cdef list why = None
        if here.special & ~WATCHED or self.eager:          # part of what is being recorded or transformed
            return self.function(*args, **kwargs)
        if here.special & WATCHED:
            return self.watched(args, kwargs)
        for entry in self.entries:
            p = <Program>entry[1]
            if p.nargs > FEW:
                found = self.with_many(entry, args, kwargs)
                if found is not None:
                    return found[0]
                continue
            n = 0
            if not (<Signature>entry[0]).matches((args, kwargs) if kwargs else args, small, &n):
                continue
            reason = p.failing(small)
            if reason is None:
                return self.replayed(p, small, args, kwargs)
            if why is None:
                why = []
            why.append(reason)
        self.why = why or []
        return self.recorded(args, kwargs)

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

    cdef object with_many(self, tuple entry, tuple args, dict kwargs):
        """As the loop of __call__ for a program of many tensors: (result,), or None where it does not hold."""
        cdef Program p = <Program>entry[1]
        cdef int n = 0
        cdef PyObject** tensors = <PyObject**>PyMem_Malloc(p.nargs * sizeof(PyObject*))
        if tensors == NULL:
            raise MemoryError()
        try:
            if not (<Signature>entry[0]).matches((args, kwargs) if kwargs else args, tensors, &n) or p.failing(tensors):
                return None
            return (self.replayed(p, tensors, args, kwargs),)
        finally:
            PyMem_Free(tensors)

    cdef object replayed(self, Program p, PyObject** tensors, tuple args, dict kwargs):
        p.replays += 1
        if self.check and p.replays % self.check == 0:
            return self.checked(p, args, kwargs)
        self.replays += 1
        if self.poisons:
            p.poison()
        return p.replay(tensors)

    cdef object checked(self, Program p, tuple args, dict kwargs):
        """Runs the function instead of its program, and compares."""
        rec, result = self.run(args, kwargs, [], [])
        if (<Record>rec).key != p.key or (<Record>rec).escaped:
            what = f"{(<Record>rec).escaped[0]} outlives the call" if (<Record>rec).escaped else difference(p.record, <Record>rec)
            raise CompileError(f"check: the program no longer describes the function: {what}")
        return result

    cdef tuple run(self, tuple args, dict kwargs, list found, list signatures):
        """Runs the function under a recorder: (record, result). The signature is left in `signatures`."""
        cdef list tensors = found
        cdef Record rec = Record.__new__(Record, self.fallback)
        cdef list passed
        signatures.append(signature((args, kwargs) if kwargs else args, tensors))
        passed = rec.arguments(tensors)
        passed.reverse()
        given = replaced(args, passed), replaced(kwargs, passed)
        result = None
        rec.begin(self.last)
        try:
            result = [self.function(*given[0], **given[1])]
            rec.end()
            given = None            # an argument that is still alive has escaped
            rec.finish(result)
        finally:
            rec.forget()
        return rec, rec.rebuilt(tensors)

    cdef object recorded(self, tuple args, dict kwargs):
        cdef Record rec, before
        cdef list tensors = [], signatures = []
        cdef int count
        try:
            rec, result = self.run(args, kwargs, tensors, signatures)
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
            if before is not None and before.key == rec.key:
                if rec.escaped:
                    self.refuse(f"a side effect: {rec.escaped[0]} outlives the call or is changed by it; return it, or copy_() "
                                f"it into a buffer that stays")
                    return result
                if rec.loose is not None:
                    self.refuse(rec.loose)
                    return result
                self.add(signatures[0], rec)
                del self.seen[key]
            elif count + 1 >= self.limit:
                self.refuse(f"{self.limit} calls, no two consecutive ones alike: {difference(before, rec)}")
            else:
                if len(self.seen) >= MOST:
                    self.seen.clear()
                self.seen[key] = rec, count + 1
        finally:
            rec.release()
            self.last = rec
        return result

    cdef int add(self, Signature s, Record rec) except -1:
        cdef Program p = assembled(rec)
        p.key = rec.key
        p.record = rec
        self.entries = [entry for entry in self.entries if not (<Program>entry[1]).dead]
        self.entries.insert(0, (s, p))
        del self.entries[MOST:]
        if len(self.entries) > MANY and not self.warned:
            self.warned = True
            warnings.warn(f"{self!r} has {len(self.entries)} programs: {changing([e[0] for e in self.entries])}", stacklevel=3)
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


cdef str changing(list signatures):
    """In words, what differs between the signatures of one function's programs."""
    cdef list arguments = [(<Signature>s).items or [s] for s in signatures]
    for k in range(min([len(a) for a in arguments])):
        if len({(<Signature>a[k]).key for a in arguments}) > 1:
            return (f"argument {k} keeps changing its shape, dtype or (if it is no tensor) its value; pass a number that changes "
                    f"as a 0-d tensor")
    return "what it uses from outside keeps changing"
