"""What one call of a compiled function did, as it is compared with the next: storages, operands, calls of kernels, what was met
from outside; and the keys of all that, which are equal where the calls did the same up to the names of storages."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t

import os
import struct
import sys

import numpy as np

from .random cimport Generator
from .tensor cimport *

cdef Op ADD = declare("add")
cdef Op COPY = declare("copy")
cdef Op BINARY_CROSS_ENTROPY = declare("binary_cross_entropy")


# ---- where the user's code did it ----------------------------------------------------------------------------------

cdef str PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


cdef object user_line():
    """(file, line) of the innermost frame outside this package."""
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


cdef str line_text(object line):
    return "an unknown line" if line is None else f"{os.path.basename(line[0])}:{line[1]}"


# ---- values --------------------------------------------------------------------------------------------------------

cdef object frozen(object v):
    """What a static value is compared by: numbers by type and bits (nan equals itself; 0.0, -0.0, 1 and True differ), what
    has no value of its own by identity."""
    cdef type t = type(v)
    if v is None or t is bool or t is int or t is str or t is bytes:
        return t, v
    if t is float:
        return t, struct.pack("d", v)
    if t is tuple or t is list:
        return t, tuple([frozen(x) for x in v])
    if t is dict:
        return t, tuple([(frozen(k), frozen(x)) for k, x in v.items()])
    if t is slice:
        return t, (frozen(v.start), frozen(v.stop), frozen(v.step))
    if t is complex:
        return t, struct.pack("dd", v.real, v.imag)
    if t is range:
        return t, (v.start, v.stop, v.step)
    if t is frozenset:
        return t, frozenset([frozen(x) for x in v])
    if isinstance(v, np.generic):
        return t, v.tobytes()
    return t, id(v)


cdef tuple UNWATCHED = ("_watched", "_chain", "_hooks")


cdef object snapshot(object watched):
    """The attributes of a module and its hooks, as far as a program depends on them; of a leaf its hooks."""
    if type(watched) is Leaf:
        return hook_numbers(watched)
    found = [(name, frozen(value)) for name, value in watched.__dict__.items() if name not in UNWATCHED]
    hooks = watched._hooks
    if hooks is not None:
        numbers = tuple([tuple(getattr(hooks, kind)) for kind in hooks.__slots__])
        if any(numbers):
            found.append(("(its hooks)", numbers))
    return tuple(found)


cdef tuple hook_numbers(Leaf leaf):
    if leaf.extra is None or not leaf.extra.hooks:
        return ()
    return (("(the hooks of a parameter)", tuple([number for _, number, _ in leaf.extra.hooks])),)


cdef int64_t changes = 0        # of attributes of modules that a record has seen


cdef int64_t module_changes() noexcept:
    return changes


def module_changed():
    """Says that an attribute of a module that a compiled function has called was assigned, or a hook registered or removed."""
    global changes
    changes += 1
    change_epoch()


cdef int overlaps(const char* a, int64_t na, const char* b, int64_t nb) noexcept:
    return na > 0 and nb > 0 and a < b + nb and b < a + na


cdef int64_t extent(Layout lay) noexcept:
    cdef int64_t far = 1
    cdef int k
    if lay.c.size == 0:
        return 0
    for k in range(lay.c.ndim):
        far += (lay.c.shape[k] - 1) * lay.c.stride[k]
    return far


# ---- its parts -------------------------------------------------------------------------------------------------------

@cython.final
cdef class Slot:
    """One storage."""


@cython.final
cdef class Operand:
    """A view of a slot."""

    cdef tuple key(self):
        return self.slot, self.dtype, self.offset, layout_bytes(self.layout)


cdef bytes layout_bytes(Layout lay):
    return PyBytes_FromStringAndSize(<const char*>&lay.c, sizeof(lay.c))


cdef bint alike(Layout a, Layout b):
    return a is b or layout_bytes(a) == layout_bytes(b)


@cython.final
cdef class Call:
    """One run of one kernel."""

    cdef tuple key(self):
        cdef Operand o
        attrs = None
        stream = None
        if self.attrs is not None:
            attrs = PyBytes_FromStringAndSize(<const char*>&self.attrs.c, sizeof(self.attrs.c))
            if type(self.attrs.py) is Generator:        # whose address changes when it is seeded
                attrs = attrs_without_address(self.attrs)
                stream = id(self.attrs.py)
        return (self.op.name, self.common, self.nout, attrs, stream,
                tuple([None if o is None else o.key() for o in self.operands]))


cdef bytes attrs_without_address(Attrs a):
    cdef Attrs b = new_attrs()
    b.c = a.c
    b.c.i[0] = 0
    return PyBytes_FromStringAndSize(<const char*>&b.c, sizeof(b.c))


@cython.final
cdef class Handle:
    """A tensor from outside."""


@cython.final
cdef class GradSlot:
    """The .grad of a leaf from outside."""


# ---- what a call may do ----------------------------------------------------------------------------------------------

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


# ---- keys ----------------------------------------------------------------------------------------------------------

cdef object slot_key(Slot s):
    if s.kind == EXTERNAL:
        return ("external", 0, id(s.path)) if s.path is not None else ("external", s.birth, None)
    if s.kind == CONSTANT:
        return ("constant", s.value, None)
    return ("argument" if s.kind == ARGUMENT else "product", s.nbytes, None)


cdef object handle_key(Handle h):
    return (id(h.ref()), h.storage.birth, h.required)


cdef object final_key(object final):
    return (<Operand>final).key() if type(final) is Operand else final


@cython.final
cdef class Same:
    """What is equal to itself alone. It is held: another one may not come to lie where it was."""

    cdef object x

    def __eq__(self, other):
        return type(other) is Same and (<Same>other).x is self.x


cdef object spec_key(object spec):
    cdef Same same
    if type(spec) is Operand:
        return (<Operand>spec).key()
    if spec[0] == "static":
        key = frozen(spec[1])
        if type(spec[1]) is int or key != (type(spec[1]), id(spec[1])):
            return key
        same = Same.__new__(Same)
        same.x = spec[1]
        return type(spec[1]), same
    return (spec[0], spec[1], frozen(tuple(spec[2])) if spec[0] == "dict" else None,
            tuple([spec_key(x) for x in spec[len(spec) - 1]]))


cdef str first_difference(list slots, list calls, tuple key, list slots2, list calls2, tuple key2):
    """In words, where what is given second first differs from the record before."""
    cdef Slot s, t
    cdef Call c
    turned = another_turn(calls, calls2)
    if turned is not None:
        return turned
    for (s, t) in zip(slots, slots2):
        if slot_key(s) == slot_key(t):
            continue
        where = line_text(t.line)
        if t.kind == CONSTANT and s.kind == CONSTANT:
            return f"a number, list or array that becomes a tensor at {where} differs; pass it as a tensor argument"
        if t.kind == EXTERNAL and s.kind == EXTERNAL:
            for made in slots:
                if (<Slot>made).kind >= PRODUCT and (<Slot>made).birth == t.birth:
                    return (f"state is carried in Python: a tensor made by the previous call is read by this one at {where}; "
                            f"copy_() it into a buffer that stays")
            return f"a tensor from outside, used at {where}, is another one in each call; pass it as an argument"
        return f"what is used at {where} is another kind of tensor in each call"
    for c, d in zip(calls, calls2):
        if c.key() != (<Call>d).key():
            return f"the operands or attributes of {c.op.name} at {line_text((<Call>d).line)} differ from call to call"
    if key[RESULT] != key2[RESULT]:
        return another_result(key[RESULT], key2[RESULT], "")
    if key[MODULES] != key2[MODULES]:
        for x, y in zip(key[MODULES], key2[MODULES]):
            if x != y:
                return (f"an attribute of a module, {changed_name(x, y)}, differs from call to call; return a tensor instead of "
                        f"keeping it there, pass a number as an argument")
        return "the modules that are called differ from call to call; make them outside"
    names = ("tensors", "operations", "tensors from outside", ".grad slots", "", "which tensors share memory", "",
             "optimisers", "what an optimiser keeps, made anew each time (make the optimiser outside),",
             "how far apart tensors lie that share memory")
    for name, x, y in zip(names, key, key2):
        if x != y:
            return f"{name} differ{'s' if name[:3] in ('wha', 'how') else ''} from call to call"
    return "nothing differs"


cdef str another_turn(list calls, list calls2):
    """In words, where one call went on to another operation than the call before; None where both ran the same ones."""
    cdef Call c, d
    cdef Py_ssize_t k
    for k in range(max(len(calls), len(calls2))):
        c = calls[k] if k < len(calls) else None
        d = calls2[k] if k < len(calls2) else None
        if c is None or d is None or c.op is not d.op or line_text(c.line) != line_text(d.line):
            return (f"a choice that Python makes: one call {went_on(c)}, the next {went_on(d)}; pass what it depends on as an "
                    f"argument")
    return None


cdef str went_on(Call c):
    return "was over" if c is None else f"went on to {c.op.name} at {line_text(c.line)}"


cdef str another_result(object a, object b, str place):
    """In words, where the structure of one result differs from another; both as spec_key gives them."""
    if a[0] == b[0] and a[0] in ("items", "dict") and a[1:3] == b[1:3] and len(a[3]) == len(b[3]):
        names = [name for _, name in a[2][1]] if a[0] == "dict" else range(len(a[3]))
        for name, x, y in zip(names, a[3], b[3]):
            if x != y:
                return another_result(x, y, f"{place}[{name!r}]")
    if isinstance(a[0], type) and a[0] is b[0]:
        return (f"the result{place}, a Python {a[0].__name__}, is another one in each call and would be frozen; return tensors, "
                f"and tuples, lists and dictionaries of them")
    return f"the result{place} differs from call to call in its structure, or in which memory it is"


cdef str changed_name(tuple before, tuple after):
    known = dict(before)
    for name, value in after:
        if name not in known or known[name] != value:
            return name
    return "one that is gone"
