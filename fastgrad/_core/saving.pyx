"""What the tape saves, given to the user: hooks that pack each saved tensor, and unpack it when backward reads it.

Packed, a save is an object of the user's in the node's extra, and its storage is let go. `slots.pack` is NULL while no hooks are
active on any thread: that one pointer is all that recording a node looks at.
"""

from cpython.object cimport PyObject

from .tensor cimport *

import threading

from ._errors import DTypeError, ShapeError
from .modes import no_grad

cdef extern from "Python.h":
    void raw_decref "Py_DECREF"(PyObject*)

cdef object _here = threading.local()       # .stack: [(pack, unpack)], the innermost last
cdef int active = 0                         # hooks entered and not left, on all threads


class unpacked:
    """Inside, what the tape saves is not packed: for a graph that is differentiated at once and gone."""

    def __enter__(self):
        self.stack = getattr(_here, "stack", None)
        _here.stack = None

    def __exit__(self, *exc):
        _here.stack = self.stack


class _Alone:
    """Runs a hook: unrecorded, and what it computes is not packed in its turn."""

    def __enter__(self):
        self.stack = getattr(_here, "stack", None)
        _here.stack = None
        self.mode = no_grad()
        self.mode.__enter__()

    def __exit__(self, *exc):
        self.mode.__exit__(*exc)
        _here.stack = self.stack


cdef object pack(Tensor t):
    cdef object stack = getattr(_here, "stack", None)
    if not stack:
        return None
    pack_hook, unpack_hook = stack[len(stack) - 1]
    with _Alone():
        held = pack_hook(t)
    # Kept as it is, the tensor still belongs to the caller: as for any save, a change in place is an error.
    same = type(held) is Tensor and (<Tensor>held).storage is t.storage
    return held, unpack_hook, t.storage.version if same else None


cdef Tensor unpack(object packed, Layout lay, int dtype, str who):
    held, hook, version = packed
    if version is not None and (<Tensor>held).storage.version != version:
        raise RuntimeError(f"{who}: a saved tensor of shape {tuple(shape_of(lay))}, which its pack hook kept as it was, was "
                           f"modified by an in-place operation since (it is at version {(<Tensor>held).storage.version}; "
                           f"expected version {version} instead); let the hook return a copy")
    with _Alone():
        t = hook(held)
    if type(t) is not Tensor:
        raise TypeError(f"{who}: an unpack hook must return a Tensor, got {type(t).__name__}")
    if not same_shape((<Tensor>t).layout, lay):
        raise ShapeError(f"{who}: an unpack hook returned shape {tuple(t.shape)} for a tensor of shape {tuple(shape_of(lay))}")
    if (<Tensor>t).dtype != dtype:
        raise DTypeError(f"{who}: an unpack hook returned {t.dtype} for a tensor of {dtype_of(dtype)}")
    return alias(<Tensor>t)


cdef int pack_saves(Node n) except -1:
    cdef save_t* s
    cdef Tensor t
    cdef PyObject* storage
    cdef int i
    for i in range(n.nsaves):
        s = &n.saves[i]
        if s.storage == NULL:
            continue
        t = make_tensor(<Storage>s.storage, <Layout>s.layout, s.data, s.dtype)
        packed = pack(t)
        if packed is None:
            return 0
        if extra_of(n).packed is None:
            n.extra.packed = {}
        n.extra.packed[s.bit] = packed
        storage = s.storage
        s.storage = NULL
        raw_decref(storage)
    return 0


cdef Tensor unpack_save(Node n, const save_t* s):
    return unpack(n.extra.packed[s.bit], <Layout>s.layout, s.dtype, n.op.name)


slots.unpack = unpack_save


cdef class Kept:
    """A tensor kept as the tape keeps its saves: packed by the hooks that are active, and guarded against changes in place."""

    def __cinit__(self, Tensor t not None):
        self.layout = t.layout
        self.dtype = t.dtype
        self.version = t.storage.version
        self.tensor = alias(t)
        self.packed = pack(self.tensor)
        if self.packed is not None:
            self.tensor = None

    cdef Tensor read(self, str who):
        if self.packed is not None:
            return unpack(self.packed, self.layout, self.dtype, who)
        if self.tensor.storage.version != self.version:
            raise RuntimeError(f"{who}: a saved tensor of shape {tuple(shape_of(self.layout))} was modified by an in-place "
                               f"operation (it is at version {self.tensor.storage.version}; expected version {self.version} "
                               f"instead)")
        return alias(self.tensor)

    def get(self, str who not None):
        """The tensor, without history; `who` begins the message of an error."""
        return self.read(who)


class saved_tensors_hooks:
    """Inside, each tensor that the tape saves goes through ``pack_hook(tensor)``, and what that returns is kept in its place;
    ``unpack_hook(packed)`` makes the tensor again when backward reads it, once for every read.

    The innermost hooks are used, on this thread alone. Both run unrecorded. A tensor that unpacks to another shape or dtype
    is an error. Tensors that a custom function saves are packed too.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0, 2.0], requires_grad=True)
    >>> with fg.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().copy(), fg.from_numpy):
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 7.3891])
    """

    def __init__(self, pack_hook, unpack_hook):
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError(f"saved_tensors_hooks: a hook must be callable, got {type(hook).__name__}")
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self):
        global active
        if getattr(_here, "stack", None) is None:
            _here.stack = []
        _here.stack.append((self.pack_hook, self.unpack_hook))
        active += 1
        slots.pack = pack_saves

    def __exit__(self, *exc):
        global active
        _here.stack.pop()
        active -= 1
        if active == 0:
            slots.pack = NULL
