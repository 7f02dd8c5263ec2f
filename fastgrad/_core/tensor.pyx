"""Ops, nodes and tensors, and the one way to run an op: apply().

Design. Ops, nodes and tensors know each other, so they share this file; all else (views' user functions, in-place ops,
backward, the table's families) sits above it. apply1() and apply2() are apply() with the common case in front: elementwise,
one dtype, dense operands of one shape. They fall through to apply() for everything else.
Rejected: an ndarray per tensor (+35 ns per op), Python subclasses as results (+50-90 ns), nodes tracked by the garbage
collector (a graph of a million nodes takes 4.5 times as long to build).
"""

cimport cython
from cpython.bool cimport PyBool_Check
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.string cimport memcpy

import os
import weakref

from ._errors import DTypeError

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(void*)
    void PyObject_GC_Track(void*)
    bint PyObject_GC_IsTracked(object)
    void raw_incref "Py_INCREF"(PyObject*)
    void raw_decref "Py_DECREF"(PyObject*)
    void raw_xdecref "Py_XDECREF"(PyObject*)
    ctypedef struct PyTypeObject:
        PyObject* tp_dict
    void PyType_Modified(PyTypeObject*)

cdef extern from "state.h":
    fg_thread* fg_here() noexcept
    void fg_defer(PyObject* node) noexcept
    void fg_drain() noexcept

cdef extern from "tensorobject.h":
    Tensor fg_tensor_take(Storage storage, Layout layout, void* data, int dtype)
    bint fg_tensor_prepare(PyTypeObject* type)

cdef extern from "nodeobject.h":
    ctypedef struct block_t "fg_node_block":
        PyObject* g
        void* edges
        void* saves
        uint32_t nedges
        uint8_t nsaves
        uint8_t block_class
    Node fg_node_take(Op op, Layout lay, Attrs attrs, int dtype)
    bint fg_node_prepare(PyTypeObject* type, void (*finalize)(block_t*) noexcept)

cdef extern from "block.h":
    int block_class "fg_block_class"(size_t nbytes) noexcept
    void* take_block "fg_take_block"(size_t nbytes) noexcept
    void give_block "fg_give_block"(void* block, int size_class) noexcept
    int lowest_bit "fg_lowest_bit"(uint64_t m) noexcept
    int count_bits "fg_count_bits"(uint64_t m) noexcept

cdef extern from "fg.h":
    const char* fg_choose_set(const char* name)
    const char* fg_set_names(int k, int* supported)
    fg_kernel fg_find(const char* name, int dtype)
    const char* fg_kernel_names(int k)

cdef extern from "program.h":
    int fg_replay(fg_call* calls, int64_t n, int64_t* at) noexcept nogil
    int fg_copy_bytes(fg_call* call) noexcept nogil

cdef enum:
    BIG = 32768         # elements of all operands together from which a kernel runs without the GIL (about 10 us)
    SMALL_N = 8         # operands up to which a call needs no allocation


cdef fg_thread* thread() noexcept:
    return fg_here()


# ---- records -------------------------------------------------------------------------------------------------------

cdef dict _records = {}


@cython.final
cdef class Op:
    """A record of the table: how an op computes, what shape it gives, how it is differentiated."""

    def __repr__(self):
        return f"<op {self.name}>"


cdef Op declare(str name):
    op = _records.get(name)
    if op is None:
        op = Op.__new__(Op)
        (<Op>op).name = name
        _records[name] = op
    return <Op>op


cdef Op ADD = declare("add")
cdef Op SUB = declare("sub")
cdef Op MUL = declare("mul")
cdef Op DIV = declare("div")
cdef Op POW = declare("pow")
cdef Op NEG = declare("neg")
cdef Op ABS = declare("abs")
cdef Op MATMUL = declare("matmul")
cdef Op FLOOR_DIVIDE = declare("floor_divide")
cdef Op REMAINDER = declare("remainder")
cdef Op EQ = declare("eq")
cdef Op NE = declare("ne")
cdef Op LT = declare("lt")
cdef Op LE = declare("le")
cdef Op GT = declare("gt")
cdef Op GE = declare("ge")
cdef Op BITWISE_AND = declare("bitwise_and")
cdef Op BITWISE_OR = declare("bitwise_or")
cdef Op BITWISE_XOR = declare("bitwise_xor")
cdef Op BITWISE_NOT = declare("bitwise_not")
cdef Op CAST = declare("cast")
cdef Op COPY = declare("copy")          # copy(old, value): value, expanded to old's shape
cdef Op SLICE = declare("slice")
cdef Op UNSLICE = declare("unslice")


def records():
    """The table: name -> record, filled ones only."""
    return {name: op for name, op in _records.items() if (<Op>op).shape is not None}


def declared():
    """The names of all ops, recorded or only declared."""
    return list(_records)


# ---- the tape ------------------------------------------------------------------------------------------------------

@cython.final
cdef class NodeExtra:
    """What few nodes have."""


cdef class Node:
    """One use of an op on the tape; what ``grad_fn`` shows."""

    def __cinit__(self):
        PyObject_GC_UnTrack(<void*>self)

    def __init__(self):
        raise TypeError("nodes are made by recording operations")

    def name(self):
        """The op's name as PyTorch writes it: ``MulBackward0``."""
        if self.state & N_LEAF:
            return "AccumulateGrad"
        if self.extra is not None and self.extra.ctx is not None:
            return self.extra.ctx._function.__name__ + "Backward"
        return "".join([w.capitalize() for w in self.op.name.split("_")]) + "Backward0"

    @property
    def next_functions(self):
        """Pairs (node, output) of the inputs' histories, as in PyTorch; (None, 0) for an input without one."""
        cdef int i
        if self.edges == NULL:
            return ()
        return tuple([(<object>self.edges[i].node, self.edges[i].at) if self.edges[i].node != NULL else (None, 0)
                      for i in range(self.nedges)])

    def __repr__(self):
        return f"<{self.name()}>"


@cython.final
cdef class Leaf(Node):
    """The node of a leaf that requires grad: it owns the gradient."""


cdef void finalize_node(block_t* b) noexcept:
    cdef PyObject* g = b.g
    if g != NULL:
        b.g = NULL
        raw_decref(g)
    if b.edges != NULL:
        free_fields(b)


cdef void free_block(Node n) noexcept:
    if n.edges != NULL:
        free_fields(<block_t*>&n.g)


cdef void free_fields(block_t* b) noexcept:
    # Parents go to the worklist whatever their reference counts: freeing a chain of a million nodes must not recurse.
    cdef uint32_t i
    cdef edge_t* edges = <edge_t*>b.edges
    cdef save_t* saves = <save_t*>b.saves
    b.edges = NULL
    for i in range(b.nsaves):
        raw_xdecref(saves[i].storage)
        raw_decref(saves[i].layout)
    for i in range(b.nedges):
        if edges[i].node != NULL:
            fg_defer(edges[i].node)
    b.nsaves = 0
    b.nedges = 0
    give_block(edges, b.block_class)
    fg_drain()


cdef NodeExtra extra_of(Node n):
    if n.extra is None:
        n.extra = NodeExtra.__new__(NodeExtra)
        if not PyObject_GC_IsTracked(n):
            PyObject_GC_Track(<void*>n)
    return n.extra


cdef object record(Op op, PyObject** xs, int n, Attrs a, PyObject** ys, int nys):
    """Gives outputs ys[0..nys) the history op(xs). At least one input requires grad. Returns the Node."""
    cdef Node node
    cdef Tensor t
    cdef uint64_t mask = 0
    cdef int i = 0
    cdef size_t nbytes
    cdef save_t* s
    cdef edge_t* edge
    while ys[i] == NULL:        # of several outputs, the first may be left out
        i += 1
    t = <Tensor>ys[i]
    node = fg_node_take(op, t.layout, a, t.dtype)
    for i in range(n):
        if xs[i] != NULL and (<Tensor>xs[i]).flags & REQUIRES_GRAD:
            mask |= op.rules[i if i < op.nrules else op.nrules - 1].mask    # 0 for an input without a derivative
    nbytes = n * sizeof(edge_t) + count_bits(mask) * sizeof(save_t)     # at most: an input left out is not saved
    node.block_class = block_class(nbytes)
    node.edges = <edge_t*>take_block(nbytes)
    if node.edges == NULL:
        raise MemoryError(f"{op.name}: no memory for the tape")
    node.nedges = n
    s = node.saves = <save_t*>(node.edges + n)
    for i in range(n):
        edge = &node.edges[i]
        edge.node = NULL
        if xs[i] != NULL and (<Tensor>xs[i]).flags & REQUIRES_GRAD and has_rule(op, i):
            edge.node = <PyObject*>(<Tensor>xs[i]).node
            edge.at = (<Tensor>xs[i]).at
            raw_incref(edge.node)
    while mask:
        i = lowest_bit(mask)
        mask &= mask - 1
        if i < BIT_Y:
            if i < n and xs[i] != NULL:
                fill_save(s, <Tensor>xs[i], i)
                s += 1
        elif i < BIT_S:
            if ys[i - BIT_Y] != NULL:
                fill_save(s, <Tensor>ys[i - BIT_Y], i)
                s += 1
        elif i - BIT_S < n and xs[i - BIT_S] != NULL and node.edges[i - BIT_S].node == NULL:
            s.storage = NULL                                # with an edge the layout is the parent's
            s.layout = <PyObject*>(<Tensor>xs[i - BIT_S]).layout
            raw_incref(s.layout)
            s.bit = i
            s += 1
    node.nsaves = <uint8_t>(s - node.saves)
    if slots.pack != NULL:
        slots.pack(node)
    if op.joint or nys - op.aux > 1:
        record_more(node, xs, n, ys, nys)
    else:
        t.node = node
        t.at = 0
        t.flags |= REQUIRES_GRAD
    return node


cdef int record_more(Node node, PyObject** xs, int n, PyObject** ys, int nys) except -1:
    cdef Op op = node.op
    cdef Tensor y
    cdef int i, k
    nys -= op.aux
    if nys > 1:
        extra_of(node).lays = tuple([None if ys[k] == NULL else (<Tensor>ys[k]).layout for k in range(nys)])
    if op.joint and names_shapes(&op.rules[0]):
        extra_of(node).shapes = tuple([None if xs[i] == NULL else shape_of((<Tensor>xs[i]).layout) for i in range(n)])
    for k in range(nys):
        if ys[k] == NULL:
            continue
        y = <Tensor>ys[k]
        if fg_is_real(y.dtype):
            y.node = node
            y.at = k
            y.flags |= REQUIRES_GRAD
    return 0


cdef bint has_rule(Op op, int i) noexcept:
    return op.rules[i if i < op.nrules else op.nrules - 1].call != NULL


cdef bint names_shapes(const rule_t* r) noexcept:
    cdef int k
    for k in range(r.nargs):
        if r.args[k].kind == ARG_SHAPES:
            return True
    return False


cdef inline void fill_save(save_t* s, Tensor t, int bit) noexcept:
    s.storage = <PyObject*>t.storage
    raw_incref(s.storage)
    s.layout = <PyObject*>t.layout
    raw_incref(s.layout)
    s.data = t.data
    s.version = t.storage.version
    s.bit = bit
    s.dtype = t.dtype


cdef Tensor unsave(Node n, int bit, bint with_history):
    """The saved x or y of that bit as a Tensor again, with the history of its parent, or of this node for y."""
    cdef int i
    cdef save_t* s
    cdef Tensor t
    cdef PyObject* parent
    for i in range(n.nsaves):
        s = &n.saves[i]
        if s.bit == bit:
            break
    else:
        return None         # an input left out
    if s.storage == NULL:
        t = slots.unpack(n, s)
    else:
        t = fg_tensor_take(<Storage>s.storage, <Layout>s.layout, s.data, s.dtype)
        if s.version != t.storage.version:
            raise_modified(n, bit, s.version, t.storage.version)
    if with_history:
        if bit >= BIT_Y:
            t.node = n
            t.at = bit - BIT_Y
            t.flags = REQUIRES_GRAD
        else:
            parent = n.edges[bit].node
            if parent != NULL:
                t.node = <Node>parent
                t.at = n.edges[bit].at
                t.flags = REQUIRES_GRAD
    if n.extra is not None and n.extra.tangents is not None and bit in n.extra.tangents:
        more_of(t).tangents = <Tangent>n.extra.tangents[bit]
        t.flags |= DUAL
    return t


cdef int raise_modified(Node n, int bit, uint32_t saved, uint32_t now) except -1:
    what = f"its input {bit}" if bit < BIT_Y else "its output"
    raise RuntimeError(
        f"{n.op.name}: a value needed to compute the gradient, {what} of shape {tuple(shape_of(n.lay))}, was modified by an "
        f"in-place operation after it was saved (it is at version {now}; expected version {saved} instead). "
        f"Use the out-of-place form of that operation, or clone() before it")


# ---- tensors -------------------------------------------------------------------------------------------------------

@cython.final
cdef class Tangent:
    """A tangent of one level."""


@cython.final
cdef class TensorExtra:
    """What few tensors have: a retained gradient, the batch it stands for, tangents."""


@cython.final
@cython.freelist(64)
cdef class View:
    """How a tensor is part of its base."""


@cython.final
cdef class Tensor:
    """An array of numbers that can remember how it was computed.

    Made by `tensor()`, `zeros()`, `from_numpy()` and by operations; see the functions of `fastgrad`.
    """

    def __init__(self, *args):
        raise TypeError("make tensors with fastgrad.tensor(data), fastgrad.zeros(...), fastgrad.from_numpy(array)")

    def __add__(self, other):
        return apply2(ADD, self, other)

    def __radd__(self, other):
        return apply2(ADD, other, self)

    def __sub__(self, other):
        return apply2(SUB, self, other)

    def __rsub__(self, other):
        return apply2(SUB, other, self)

    def __mul__(self, other):
        return apply2(MUL, self, other)

    def __rmul__(self, other):
        return apply2(MUL, other, self)

    def __truediv__(self, other):
        return apply2(DIV, self, other)

    def __rtruediv__(self, other):
        return apply2(DIV, other, self)

    def __floordiv__(self, other):
        return apply2(FLOOR_DIVIDE, self, other)

    def __rfloordiv__(self, other):
        return apply2(FLOOR_DIVIDE, other, self)

    def __mod__(self, other):
        return apply2(REMAINDER, self, other)

    def __rmod__(self, other):
        return apply2(REMAINDER, other, self)

    def __pow__(self, other, modulo):
        if modulo is not None:
            return NotImplemented
        return apply2(POW, self, other)

    def __rpow__(self, other, modulo):
        if modulo is not None:
            return NotImplemented
        return apply2(POW, other, self)

    def __matmul__(self, other):
        return apply2(MATMUL, self, other)

    def __rmatmul__(self, other):
        return apply2(MATMUL, other, self)

    def __and__(self, other):
        return apply2(BITWISE_AND, self, other)

    def __rand__(self, other):
        return apply2(BITWISE_AND, other, self)

    def __or__(self, other):
        return apply2(BITWISE_OR, self, other)

    def __ror__(self, other):
        return apply2(BITWISE_OR, other, self)

    def __xor__(self, other):
        return apply2(BITWISE_XOR, self, other)

    def __rxor__(self, other):
        return apply2(BITWISE_XOR, other, self)

    def __neg__(self):
        return apply1(NEG, self, None)

    def __pos__(self):
        return self

    def __abs__(self):
        return apply1(ABS, self, None)

    def __invert__(self):
        return apply1(BITWISE_NOT, self, None)

    def __eq__(self, other):
        return apply2(EQ, self, other)

    def __ne__(self, other):
        return apply2(NE, self, other)

    def __lt__(self, other):
        return apply2(LT, self, other)

    def __le__(self, other):
        return apply2(LE, self, other)

    def __gt__(self, other):
        return apply2(GT, self, other)

    def __ge__(self, other):
        return apply2(GE, self, other)

    def __hash__(self):
        return <Py_hash_t>(<size_t><void*>self >> 4)

    def __iadd__(self, other):
        return slots.inplace(ADD, self, other)

    def __isub__(self, other):
        return slots.inplace(SUB, self, other)

    def __imul__(self, other):
        return slots.inplace(MUL, self, other)

    def __itruediv__(self, other):
        return slots.inplace(DIV, self, other)

    def __ifloordiv__(self, other):
        return slots.inplace(FLOOR_DIVIDE, self, other)

    def __imod__(self, other):
        return slots.inplace(REMAINDER, self, other)

    def __ipow__(self, other):
        return slots.inplace(POW, self, other)

    def __iand__(self, other):
        return slots.inplace(BITWISE_AND, self, other)

    def __ior__(self, other):
        return slots.inplace(BITWISE_OR, self, other)

    def __ixor__(self, other):
        return slots.inplace(BITWISE_XOR, self, other)

    def __getitem__(self, key):
        return slots.getitem(self, key)

    def __setitem__(self, key, value):
        slots.setitem(self, key, value)

    def __len__(self):
        if self.layout.c.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.layout.c.shape[0]

    @property
    def shape(self):
        """The sizes of all dimensions, a `Size`."""
        return shape_of(self.layout)

    @property
    def ndim(self):
        """The number of dimensions."""
        return self.layout.c.ndim

    @property
    def dtype(self):
        """The type of the elements: ``fastgrad.float32``, ..."""
        return dtype_of(self.dtype)

    @property
    def itemsize(self):
        """Bytes of one element."""
        return fg_itemsize[self.dtype]

    @property
    def nbytes(self):
        """Bytes of all elements."""
        return self.layout.c.size * fg_itemsize[self.dtype]

    @property
    def requires_grad(self):
        """Whether operations on this tensor are recorded."""
        if self.flags & BOXED:
            return self.extra.inner.requires_grad
        settle(self)
        return (self.flags & REQUIRES_GRAD) != 0

    @requires_grad.setter
    def requires_grad(self, bint on):
        self.requires_grad_(on)

    def requires_grad_(self, bint requires_grad=True):
        """Makes this leaf record (or no longer record) operations on it; returns it."""
        settle(self)
        only_plain(self, "requires_grad_", BOXED)
        if requires_grad:
            if not self.flags & REQUIRES_GRAD:
                require_grad(self)
        elif self.flags & REQUIRES_GRAD:
            if not self.node.state & N_LEAF:
                raise RuntimeError("you can only change requires_grad of leaf tensors; use detach() for a tensor without "
                                   "the history of this one")
            self.flags &= ~REQUIRES_GRAD
            self.node = None
        return self

    @property
    def is_leaf(self):
        """True where no recorded operation made this tensor."""
        settle(self)
        return self.node is None or (self.node.state & N_LEAF) != 0

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor, None for a leaf."""
        settle(self)
        return None if self.node is None or self.node.state & N_LEAF else self.node

    @property
    def output_nr(self):
        """Which output of ``grad_fn`` this tensor is."""
        return self.at

    @property
    def _version(self):
        return self.storage.version

    @property
    def _base(self):
        return None if self.view is None else self.view.base


cdef _prepare_types():
    if not fg_tensor_prepare(<PyTypeObject*>Tensor):
        raise SystemError("fg_tensor does not mirror the fields of Tensor")
    if not fg_node_prepare(<PyTypeObject*>Node, finalize_node):
        raise SystemError("fg_node does not mirror the fields of Node")


_prepare_types()


cdef Tensor make_tensor(Storage storage, Layout lay, void* data, int dtype):
    return fg_tensor_take(storage, lay, data, dtype)


cdef Tensor new_tensor(Layout lay, int dtype):
    cdef Storage storage = new_storage(lay.c.size * fg_itemsize[dtype])
    return fg_tensor_take(storage, lay, storage.data, dtype)


cdef Tensor alias(Tensor x):
    cdef Tensor t
    if fg_here().special & RECORDED:
        slots.record_operand(x)
    t = fg_tensor_take(x.storage, x.layout, x.data, x.dtype)
    if x.flags & BOXED:
        t.flags = BOXED
        more_of(t).inner = alias(x.extra.inner)
        t.extra.level = x.extra.level
    return t


cdef TensorExtra more_of(Tensor t):
    if t.extra is None:
        t.extra = TensorExtra.__new__(TensorExtra)
    return t.extra


cdef int only_plain(Tensor t, str what, int flags) except -1:
    if t.flags & flags & BOXED:
        raise RuntimeError(f"{what}: not possible inside vmap, where this tensor stands for a whole batch of values; compute "
                           f"with operations on tensors (where() instead of if), or move this out of vmap")
    if t.flags & flags & DUAL and t.extra.tangents is not None:
        raise RuntimeError(f"{what}: not possible for a tensor with a tangent, which would be lost; use tensor.detach()")
    return 0


cdef Tensor scalar(double value, int dtype):
    cdef Tensor t = new_tensor(scalar_layout, dtype)
    if dtype == FG_F32:
        (<float*>t.data)[0] = <float>value
    elif dtype == FG_F64:
        (<double*>t.data)[0] = value
    elif dtype == FG_I64:
        (<int64_t*>t.data)[0] = <int64_t>value
    elif dtype == FG_I32:
        (<int32_t*>t.data)[0] = <int32_t>value
    elif dtype == FG_U8:
        (<uint8_t*>t.data)[0] = <uint8_t><int64_t>value
    else:
        (<uint8_t*>t.data)[0] = value != 0
    return t


cdef int default_real = FG_F32
cdef uint64_t world = 0


def set_default_dtype(DType dtype):
    """Sets the dtype of new real tensors made from Python numbers: ``float32`` (the default) or ``float64``."""
    global default_real, world
    if not dtype.is_floating_point:
        raise TypeError(f"the default dtype must be float32 or float64, got {dtype}")
    default_real = dtype.code
    world += 1


def get_default_dtype():
    """The dtype of new real tensors made from Python numbers."""
    return dtype_of(default_real)


cdef object coerce(object x, int like):
    """A 0-d tensor from a Python number: of dtype `like` where its category holds the number, else the default of the
    number's category, so that a number never widens a tensor. Arrays keep their dtype. None where x is neither."""
    cdef Tensor t
    cdef int dtype
    if PyFloat_CheckExact(x):
        return scalar(PyFloat_AS_DOUBLE(x), like if fg_is_real(like) else default_real)
    if type(x) is Tensor:
        return x
    if PyBool_Check(x):
        return scalar(1 if x else 0, like)
    if PyLong_CheckExact(x):
        dtype = FG_I64 if like == FG_BOOL else like
        t = new_tensor(scalar_layout, dtype)
        if dtype == FG_F32:
            (<float*>t.data)[0] = <float><double>x
        elif dtype == FG_F64:
            (<double*>t.data)[0] = <double>x
        elif dtype == FG_I64:
            (<int64_t*>t.data)[0] = x
        elif dtype == FG_I32:
            (<int32_t*>t.data)[0] = <int32_t><int64_t>x
        else:
            (<uint8_t*>t.data)[0] = <uint8_t><int64_t>x
        return t
    if isinstance(x, float):
        return coerce(float(x), like)
    if isinstance(x, int):
        return coerce(int(x), like)
    if hasattr(x, "__array__") and slots.from_array != NULL:
        return slots.from_array(x)
    return None


cdef Tensor as_operand(object x, int like, str what):
    if type(x) is Tensor:
        return <Tensor>x
    t = coerce(x, like)
    if t is None:
        raise TypeError(f"{what}: expected a Tensor or a number, got {type(x).__name__}")
    return <Tensor>t


cdef int require_grad(Tensor t) except -1:
    if not fg_is_real(t.dtype):
        raise RuntimeError(f"only tensors of a floating point dtype can require gradients, got {dtype_of(t.dtype)}; "
                           f"convert it with .float() first")
    only_plain(t, "requires_grad", BOXED)
    cdef Leaf leaf = Leaf.__new__(Leaf)
    leaf.lay = t.layout
    leaf.dtype = t.dtype
    leaf.state = N_LEAF
    t.node = leaf
    t.at = 0
    t.flags |= REQUIRES_GRAD
    if t.view is not None:              # a view that becomes a leaf is its own base
        t.view = None
        t.flags &= ~VIEW
    return 0


cdef int set_history(Tensor t, Node node, uint32_t at) except -1:
    """Replaces the history of t; a retained gradient follows it."""
    t.node = node
    t.at = at
    if node is None:
        t.flags &= ~REQUIRES_GRAD
        return 0
    t.flags |= REQUIRES_GRAD
    if t.flags & RETAINS and not node.state & N_LEAF:
        extra = extra_of(node)
        if extra.retain is None:
            extra.retain = []
        extra.retain.append(weakref.ref(t))
    return 0


# ---- views ---------------------------------------------------------------------------------------------------------

cdef Attrs pattern(Tensor t, const void* origin):
    """Attributes of `slice`: where t's elements are in a dense buffer that begins at `origin`."""
    cdef Attrs a = shape_attrs(t.layout.c.ndim, t.layout.c.shape)
    memcpy(a.c.stride, t.layout.c.stride, sizeof(a.c.stride))
    a.c.offset = (<char*>t.data - <char*>origin) // fg_itemsize[t.dtype]
    return a


cdef int settle(Tensor t) except -1:
    """Remakes the history of a view whose base was written since it was made. Every question "does it require grad" comes
    here first, through the SPECIAL mask."""
    cdef View w = t.view
    cdef Tensor base, flat
    cdef PyObject* x
    cdef PyObject* y
    cdef Attrs a
    cdef int64_t extent
    cdef int k
    if w is None:
        return 0
    base = w.base
    if (base.flags | t.flags) & DUAL:
        slots.level_settle(t)
    if base.node is w.seen and base.at == w.seen_at:
        return 0
    if w.kind == UNRECORDED:
        if base.node is not None and not base.node.state & N_LEAF:
            raise RuntimeError("this view was made under no_grad, and its base was then modified in place with grad enabled; "
                               "make the view outside no_grad, or detach() it")
        return 0
    if base.node is None:
        set_history(t, None, 0)
    else:
        x = <PyObject*>base
        if not base.layout.c.flags & FG_DENSE:
            # lay the base out with its own strides first: a pattern over memory is a pattern over that buffer
            extent = 1
            for k in range(base.layout.c.ndim):
                extent += (base.layout.c.shape[k] - 1) * base.layout.c.stride[k]
            flat = fg_tensor_take(None, dense_layout(1, &extent), NULL, base.dtype)
            a = unslice_attrs(base, extent)
            y = <PyObject*>flat
            record(UNSLICE, &x, 1, a, &y, 1)
            x = <PyObject*>flat
        a = pattern(t, base.data)
        y = <PyObject*>t
        record(SLICE, &x, 1, a, &y, 1)
        set_history(t, t.node, 0)
    w.seen = base.node
    w.seen_at = base.at
    return 0


cdef Attrs unslice_attrs(Tensor base, int64_t extent):
    cdef Attrs a = shape_attrs(1, &extent)
    memcpy(a.c.stride, base.layout.c.stride, sizeof(a.c.stride))
    return a


cdef inline int note_view(Tensor out, Tensor x, int kind, const fg_thread* here) except -1:
    # Views made inside a backward run that does not record never reach in-place writes: they need no record.
    if here.runs and not here.recording:
        return 0
    cdef View w = View.__new__(View)
    if x.view is None:
        w.base = x
    else:
        w.base = x.view.base
        if x.view.kind != PLAIN:
            kind = x.view.kind
    w.kind = kind if here.recording else UNRECORDED
    w.seen = w.base.node
    w.seen_at = w.base.at
    out.view = w
    out.flags |= VIEW
    return 0


cdef Tensor apply_view(Op op, Tensor x, Layout lay, int64_t offset, Attrs a):
    """The half of apply() for views: no kernel, the memory of x. `a` describes the view logically, for its rule."""
    if (fg_here().special | x.flags) & SPECIAL:
        settle(x)
        if x.flags & (BOXED | DUAL):
            return slots.level_view(op, x, lay, offset, a)
    return view_plain(op, x, lay, offset, a)


cdef Tensor view_plain(Op op, Tensor x, Layout lay, int64_t offset, Attrs a):
    cdef fg_thread* here = fg_here()
    cdef Tensor out
    cdef PyObject* y
    cdef PyObject* px
    if here.special & RECORDED:
        slots.record_operand(x)
    out = fg_tensor_take(x.storage, lay, <char*>x.data + offset * fg_itemsize[x.dtype], x.dtype)
    if here.recording and x.flags & REQUIRES_GRAD:
        y = <PyObject*>out
        px = <PyObject*>x
        record(op, &px, 1, a, &y, 1)
    note_view(out, x, PLAIN, here)
    if here.special & WATCHED:
        watch.view(op, x, [out], a)
    return out


cdef list apply_views(Op op, Tensor x, list lays, list offsets, Attrs a):
    """One node, many views (split, unbind)."""
    if (fg_here().special | x.flags) & SPECIAL:
        settle(x)
        if x.flags & (BOXED | DUAL):
            return slots.level_views(op, x, lays, offsets, a)
    return views_plain(op, x, lays, offsets, a)


cdef list views_plain(Op op, Tensor x, list lays, list offsets, Attrs a):
    cdef fg_thread* here = fg_here()
    cdef list outs = []
    cdef Tensor out
    cdef int k, n = len(lays)
    cdef PyObject* px = <PyObject*>x
    cdef PyObject** ys
    if here.special & RECORDED:
        slots.record_operand(x)
    for k in range(n):
        out = fg_tensor_take(x.storage, <Layout>lays[k], <char*>x.data + <int64_t>offsets[k] * fg_itemsize[x.dtype], x.dtype)
        outs.append(out)
    if n and here.recording and x.flags & REQUIRES_GRAD:
        ys = <PyObject**>PyMem_Malloc(n * sizeof(PyObject*))
        if ys == NULL:
            raise MemoryError()
        for k in range(n):
            ys[k] = <PyObject*>outs[k]
        try:
            record(op, &px, 1, a, ys, n)
            if n == 1:
                extra_of((<Tensor>outs[0]).node).lays = ((<Tensor>outs[0]).layout,)
        finally:
            PyMem_Free(ys)
    for out in outs:
        note_view(out, x, MULTI, here)
    if here.special & WATCHED:
        watch.view(op, x, outs, a)
    return outs


# ---- threads -------------------------------------------------------------------------------------------------------

cdef extern from "parallel.h":
    enum: FG_PARALLEL_WORK
    int fg_set_threads(int n)
    int fg_threads()
    int fg_run_elementwise(fg_call* call, int cost) noexcept nogil

cdef int64_t big = BIG      # less while there are threads to run it on


def set_threads(int n):
    """Lets large elementwise operations use up to n threads; returns how many it will be."""
    global big
    n = fg_set_threads(n)
    big = FG_PARALLEL_WORK if n > 1 else BIG
    return n


def threads():
    """How many threads a large elementwise operation may use."""
    return fg_threads()


# ---- running a kernel ----------------------------------------------------------------------------------------------

cdef inline int run_call(Op op, fg_call* c, int64_t work) except -1:
    """Runs one filled call; its code becomes an exception."""
    cdef int rc
    if work >= big:
        with nogil:
            rc = fg_run_elementwise(c, op.cost) if op.elementwise else c.kernel(c)
    else:
        rc = c.kernel(c)
    return 0 if rc == FG_OK else run_again(op, c, rc, work)


cdef int run_again(Op op, fg_call* c, int rc, int64_t work) except -1:
    """Gives a kernel the scratch it asks for; any other code becomes an exception."""
    cdef Storage scratch
    if rc == FG_ESCRATCH:
        scratch = new_storage(c.value)
        c.scratch = scratch.data
        if work >= big:
            with nogil:
                rc = c.kernel(c)
        else:
            rc = c.kernel(c)
    if rc != FG_OK:
        raise_code(op, rc, c)
    return 0


cdef int replay_calls(fg_call* calls, int64_t n, int64_t* at) noexcept nogil:
    return fg_replay(calls, n, at)


cdef fg_kernel byte_copier() noexcept:
    return fg_copy_bytes


cdef int raise_code(Op op, int rc, fg_call* c) except -1:
    if rc == FG_EINDEX:
        raise IndexError(f"{op.name}: index {c.value} (at position {c.where} of the index) is out of range")
    if rc == FG_EDIVZERO:
        raise RuntimeError(f"{op.name}: integer division by zero at element {c.where}")
    if rc == FG_ENOMEM:
        raise MemoryError(f"{op.name}: no memory for scratch space")
    if rc == FG_EDOMAIN:
        raise RuntimeError(f"{op.name}: element {c.where} is outside the domain of the operation")
    raise RuntimeError(f"{op.name}: the kernel failed with code {rc}")


cdef inline void set_view(fg_view* v, Tensor t) noexcept:
    v.data = t.data
    v.lay = &t.layout.c
    v.dtype = t.dtype


cdef inline int64_t fill_view(fg_view* v, PyObject* t) noexcept:
    # returns the number of elements; NULL: an operand left out
    if t == NULL:
        v.data = NULL
        v.lay = &scalar_layout.c
        v.dtype = 0
        return 0
    set_view(v, <Tensor>t)
    return v.lay.size


cdef int run_kernel(Op op, int common, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1:
    """Fills a call for given outputs and inputs and runs it."""
    cdef fg_view small[2 * SMALL_N]
    cdef fg_view* v
    if nys + n <= 2 * SMALL_N:
        return run_views(op, common, small, ys, nys, xs, n, a)
    v = <fg_view*>PyMem_Malloc((nys + n) * sizeof(fg_view))
    if v == NULL:
        raise MemoryError()
    try:
        return run_views(op, common, v, ys, nys, xs, n, a)
    finally:
        PyMem_Free(v)


cdef inline int run_views(Op op, int common, fg_view* v, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1:
    cdef fg_call c
    cdef int i
    cdef int64_t work = 0
    for i in range(nys):
        work += fill_view(&v[i], ys[i])
    for i in range(n):
        work += fill_view(&v[nys + i], xs[i])
    c.kernel = op.kernels[common]
    c.attrs = NULL if a is None else &a.c
    c.v = v
    c.scratch = NULL
    c.nout = nys
    c.nin = n
    if fg_here().special & (WATCHED | RECORDED):
        return run_heard(op, common, &c, work, ys, nys, xs, n, a)
    return run_call(op, &c, work)


cdef int run_heard(Op op, int common, fg_call* c, int64_t work, PyObject** ys, int nys, PyObject** xs, int n,
                   Attrs a) except -1:
    cdef int64_t token
    if fg_here().special & RECORDED:
        slots.record_call(op, common, ys, nys, xs, n, a)
    if not fg_here().special & WATCHED:
        return run_call(op, c, work)
    token = watch.kernel_begins(op, common, ys, nys, xs, n, a)
    try:
        return run_call(op, c, work)
    finally:
        watch.kernel_ends(token)


cdef Tensor compact(Tensor x):
    cdef Tensor out
    cdef PyObject* px
    cdef PyObject* py
    if x.layout.c.flags & FG_DENSE:
        return x
    out = new_tensor(dense_layout(x.layout.c.ndim, x.layout.c.shape), x.dtype)
    px = <PyObject*>x
    py = <PyObject*>out
    run_kernel(COPY, x.dtype, &py, 1, &px, 1, None)
    return out


# ---- what a recorder must hear of ----------------------------------------------------------------------------------

cdef int door(Tensor t, str what) except -1:
    if fg_here().special & RECORDED:
        slots.record_door(t, what)
    return 0


cdef int forbid(str what) except -1:
    if fg_here().special & RECORDED:
        slots.record_door(None, what)
    return 0


cdef Tensor peek(Leaf leaf):
    if fg_here().special & RECORDED:
        slots.record_gradient(leaf, True)
    return leaf.grad


cdef int replace_grad(Leaf leaf, Tensor value) except -1:
    if fg_here().special & RECORDED:
        slots.record_gradient(leaf, False)
    leaf.grad = value
    return 0


# ---- the choke point -----------------------------------------------------------------------------------------------

cdef object apply1(Op op, Tensor x, Attrs a):
    cdef fg_thread* here = fg_here()
    cdef fg_view v[2]
    cdef fg_call c
    cdef Tensor out
    cdef PyObject* px = <PyObject*>x
    cdef PyObject* py
    cdef int dtype = x.dtype
    cdef int rc
    if ((here.special | x.flags) & SPECIAL or not op.elementwise or not x.layout.c.flags & FG_DENSE
            or x.layout.c.size >= big or op.kernels[dtype] == NULL):
        return apply(op, &px, 1, a)
    out = new_tensor(x.layout, op.fast_out if op.fast_out >= 0 else dtype)
    set_view(&v[0], out)
    set_view(&v[1], x)
    c.kernel = op.kernels[dtype]
    c.attrs = NULL if a is None else &a.c
    c.v = v
    c.scratch = NULL
    c.nout = 1
    c.nin = 1
    rc = c.kernel(&c)
    if rc != FG_OK:
        raise_code(op, rc, &c)
    if x.flags & REQUIRES_GRAD and here.recording and op.differentiable:
        py = <PyObject*>out
        record(op, &px, 1, a, &py, 1)
    return out


cdef object apply2(Op op, object x, object y):
    cdef fg_thread* here = fg_here()
    cdef fg_view v[3]
    cdef fg_call c
    cdef PyObject* ps[2]
    cdef PyObject* py
    cdef Tensor a, b, out
    cdef Layout lay
    cdef int dtype, rc
    if type(x) is Tensor:
        a = <Tensor>x
        if type(y) is Tensor:
            b = <Tensor>y
        else:
            y = coerce(y, a.dtype)
            if y is None:
                return NotImplemented
            b = <Tensor>y
    else:
        if type(y) is not Tensor:
            raise TypeError(f"{op.name}: expected a Tensor among the operands, got {type(x).__name__} and "
                            f"{type(y).__name__}")
        b = <Tensor>y
        x = coerce(x, b.dtype)
        if x is None:
            return NotImplemented
        a = <Tensor>x
    ps[0] = <PyObject*>a
    ps[1] = <PyObject*>b
    dtype = a.dtype
    if ((here.special | a.flags | b.flags) & SPECIAL or not op.elementwise or dtype != b.dtype
            or op.kernels[dtype] == NULL):
        return apply(op, ps, 2, None)
    if not (a.layout.c.flags & b.layout.c.flags & FG_DENSE):
        return apply(op, ps, 2, None)
    if a.layout is b.layout:
        lay = a.layout
    elif b.layout.c.size == 1 and b.layout.c.ndim <= a.layout.c.ndim:
        lay = a.layout
    elif a.layout.c.size == 1 and a.layout.c.ndim <= b.layout.c.ndim:
        lay = b.layout
    elif same_shape(a.layout, b.layout):
        lay = a.layout
    else:
        return apply(op, ps, 2, None)
    if lay.c.size >= big:
        return apply(op, ps, 2, None)
    out = new_tensor(lay, op.fast_out if op.fast_out >= 0 else dtype)
    set_view(&v[0], out)
    set_view(&v[1], a)
    set_view(&v[2], b)
    c.kernel = op.kernels[dtype]
    c.attrs = NULL
    c.v = v
    c.scratch = NULL
    c.nout = 1
    c.nin = 2
    rc = c.kernel(&c)
    if rc != FG_OK:
        raise_code(op, rc, &c)
    if (a.flags | b.flags) & REQUIRES_GRAD and here.recording and op.differentiable:
        py = <PyObject*>out
        record(op, ps, 2, None, &py, 1)
    return out


cdef object apply_list(Op op, list xs, Attrs a):
    cdef int i, n = len(xs)
    cdef PyObject* small[SMALL_N]
    cdef PyObject** ps = small
    if n > SMALL_N:
        ps = <PyObject**>PyMem_Malloc(n * sizeof(PyObject*))
        if ps == NULL:
            raise MemoryError()
    try:
        for i in range(n):
            x = xs[i]
            if x is None:
                ps[i] = NULL
            elif type(x) is Tensor:
                ps[i] = <PyObject*>x
            else:
                raise TypeError(f"{op.name}: expected a Tensor as operand {i}, got {type(x).__name__}")
        return apply(op, ps, n, a)
    finally:
        if ps != small:
            PyMem_Free(ps)


cdef object apply(Op op, PyObject** xs, int n, Attrs a):
    """Runs op on xs (borrowed; NULL: an input left out): dtypes, shapes, kernel, tape. Returns a Tensor, or a tuple where
    the record says several outputs (None for one that was not asked for)."""
    cdef uint32_t special = fg_here().special
    cdef int i
    for i in range(n):
        if xs[i] != NULL:
            special |= (<Tensor>xs[i]).flags
    if special & SPECIAL:
        return apply_special(op, xs, n, a)
    return apply_plain(op, xs, n, a)


cdef object apply_special(Op op, PyObject** xs, int n, Attrs a):
    # The order is fixed: batched operands, tangents (see levels.pyx), a watcher, the plain op, of whose kernel a recorder hears.
    cdef int i
    cdef uint8_t flags = 0
    for i in range(n):
        if xs[i] != NULL:
            if (<Tensor>xs[i]).flags & VIEW:
                settle(<Tensor>xs[i])
            flags |= (<Tensor>xs[i]).flags
    if flags & (BOXED | DUAL):
        return slots.level_apply(op, xs, n, a)
    if fg_here().special & WATCHED:
        return watch.apply(op, xs, n, a)
    return apply_plain(op, xs, n, a)


cdef object apply_plain(Op op, PyObject** xs, int n, Attrs a):
    cdef int common = settled_dtype(op, xs, n)
    if common >= 0:
        return execute(op, common, xs, xs, n, a)
    return apply_prepared(op, xs, n, a)


cdef inline int settled_dtype(Op op, PyObject** xs, int n) noexcept:
    """The common dtype of operands that go to the kernel as they are; -1 where one must be cast or made dense first, or where
    something is wrong with them."""
    cdef int i, kind, common = -1
    cdef int8_t dtype
    if n != op.nin or n > SMALL_N:
        return -1
    for i in range(n):
        if xs[i] == NULL:
            continue
        kind = op.in_kind[i]
        dtype = (<Tensor>xs[i]).dtype
        if kind <= D_REAL:
            if common < 0:
                common = dtype
            if dtype != common or (kind == D_REAL and not fg_is_real(dtype)):
                return -1
        elif kind == D_FIXED and dtype != op.in_fixed[i]:
            return -1
        if op.dense and not (<Tensor>xs[i]).layout.c.flags & FG_DENSE:
            return -1
    if common < 0 or op.kernels[common] == NULL:
        return -1
    return common


cdef object apply_prepared(Op op, PyObject** xs, int n, Attrs a):
    """apply_plain() where operands are cast to the op's dtypes, or made dense, first; the checks with messages are here."""
    cdef PyObject* small[2 * SMALL_N]
    cdef PyObject** us = small          # the inputs after casts: what the tape sees
    cdef PyObject** ks                  # ... made dense where the kernel wants it: what the kernel sees
    cdef list kept = []                 # owns what was made here
    cdef Tensor t
    cdef int i, common, k
    if op.shape is None:
        raise NotImplementedError(f"op {op.name} has no record")
    if op.nin >= 0 and n != op.nin:
        raise TypeError(f"{op.name}: expected {op.nin} operands, got {n}")
    common = common_dtype(op, xs, n, a)
    if op.kernels[common] == NULL:
        raise_dtype(op, common)
    if n > SMALL_N:
        us = <PyObject**>PyMem_Malloc(2 * n * sizeof(PyObject*))
        if us == NULL:
            raise MemoryError()
    ks = us + n
    try:
        for i in range(n):
            us[i] = ks[i] = xs[i]
            if xs[i] == NULL:
                continue
            k = wanted_dtype(op, i, common)
            if k >= 0 and (<Tensor>xs[i]).dtype != k:
                t = cast(<Tensor>xs[i], k)
                kept.append(t)
                us[i] = ks[i] = <PyObject*>t
            if op.dense and not (<Tensor>us[i]).layout.c.flags & FG_DENSE:
                t = compact(<Tensor>us[i])
                kept.append(t)
                ks[i] = <PyObject*>t
        return execute(op, common, us, ks, n, a)
    finally:
        if us != small:
            PyMem_Free(us)


cdef object execute(Op op, int common, PyObject** us, PyObject** ks, int n, Attrs a):
    """Makes the outputs, runs the kernel, records. us: the operands as the tape sees them, ks: as the kernel does."""
    cdef PyObject* ys[MAX_Y]
    cdef PyObject* lays[MAX_Y]
    cdef Tensor out
    cdef int i, k, nys = op.outputs, shown = op.outputs - op.aux
    cdef object result, item
    for k in range(nys):
        ys[k] = NULL
        lays[k] = NULL
    try:
        op.infer(op, us, n, a, lays)
        for k in range(nys):
            if lays[k] != NULL:
                out = new_tensor(<Layout>lays[k], out_dtype(op, k, common, a))
                ys[k] = <PyObject*>out
                raw_incref(ys[k])
        run_kernel(op, common, ys, nys, ks, n, a)
        if op.differentiable and fg_here().recording:
            for i in range(n):
                if us[i] != NULL and (<Tensor>us[i]).flags & REQUIRES_GRAD and has_rule(op, i):
                    record(op, us, n, a, ys, nys)
                    break
        if shown == 1:
            return <object>ys[0]
        result = PyTuple_New(shown)
        for k in range(shown):
            item = None if ys[k] == NULL else <object>ys[k]
            Py_INCREF(item)
            PyTuple_SET_ITEM(result, k, item)
        return result
    finally:
        for k in range(nys):
            raw_xdecref(lays[k])
            raw_xdecref(ys[k])


cdef int common_dtype(Op op, PyObject** xs, int n, Attrs a) except -1:
    """The promoted dtype of the T and F inputs, as PyTorch promotes: tensors with axes first, 0-d tensors only where their
    category is higher. Without such inputs: that of the first input, or of the attributes."""
    cdef int i, j, with_axes = -1, without = -1, common
    cdef bint real = False
    cdef Tensor t
    for i in range(n):
        j = i if i < MAX_X else MAX_X - 1
        if xs[i] == NULL or op.in_kind[j] > D_REAL:
            continue
        t = <Tensor>xs[i]
        if op.in_kind[j] == D_REAL:
            real = True
        if t.layout.c.ndim:
            with_axes = t.dtype if with_axes < 0 else fg_promote(with_axes, t.dtype)
        else:
            without = t.dtype if without < 0 else fg_promote(without, t.dtype)
    common = fg_promote_standing(with_axes, without)
    if common < 0:
        if a is not None and op.out_kind[0] == D_ATTR and n == 0:
            return <int>a.c.i[3]
        return (<Tensor>xs[0]).dtype if n and xs[0] != NULL else default_real
    if real and not fg_is_real(common):
        return default_real
    return common


cdef int wanted_dtype(Op op, int i, int common) noexcept:
    # the dtype that input i is cast to, -1 = as it is
    cdef int j = i if i < MAX_X else MAX_X - 1
    if op.in_kind[j] <= D_REAL:
        return common
    return op.in_fixed[j] if op.in_kind[j] == D_FIXED else -1


cdef int out_dtype(Op op, int k, int common, Attrs a) noexcept:
    if op.out_kind[k] <= D_REAL:
        return common
    if op.out_kind[k] == D_FIXED:
        return op.out_fixed[k]
    if op.out_kind[k] == D_ACCUMULATE:
        return common if fg_is_real(common) else FG_I64
    return <int>a.c.i[3]


cdef int raise_dtype(Op op, int dtype) except -1:
    have = ", ".join([(<DType>dtype_of(k)).name for k in range(FG_NDTYPES) if op.kernels[k] != NULL])
    raise DTypeError(f"{op.name}: not implemented for {dtype_of(dtype).name} (it exists for {have}); convert the operands "
                     f"with .to(dtype)")


cdef Tensor cast(Tensor x, int dtype):
    cdef Attrs a = new_attrs()
    cdef PyObject* px = <PyObject*>x
    a.c.i[3] = dtype
    return <Tensor>apply(CAST, &px, 1, a)


cdef int run_into(Op op, Tensor out, PyObject** xs, int n, Attrs a) except -1:
    """Runs op's kernel on operands of its common dtype, writing into `out`, which may be exactly xs[0]. No tape, no version,
    no levels: operands have their flags tested before."""
    cdef PyObject* py = <PyObject*>out
    return run_kernel(op, out.dtype if n == 0 or op.in_kind[0] > D_REAL else (<Tensor>xs[0]).dtype, &py, 1, xs, n, a)


cdef int apply_mutating(Op op, int dtype, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1:
    """The part of apply() for ops that write given tensors, all dense; their versions are bumped, nothing is recorded."""
    cdef int k
    if op.kernels[dtype] == NULL:
        raise_dtype(op, dtype)
    for k in range(nys):
        only_plain(<Tensor>ys[k], op.name, BOXED)
    for k in range(n):
        if xs[k] != NULL:
            only_plain(<Tensor>xs[k], op.name, BOXED)
    run_kernel(op, dtype, ys, nys, xs, n, a)
    for k in range(nys):
        (<Tensor>ys[k]).storage.version += 1
    return 0


def install(str name, value):
    """Gives Tensor an attribute: a method or a property of a module above this one."""
    (<dict>(<PyTypeObject*>Tensor).tp_dict)[name] = value
    PyType_Modified(<PyTypeObject*>Tensor)


# ---- BLAS ----------------------------------------------------------------------------------------------------------

cdef extern from "blas.h":
    int fg_blas_open(const char* path, const char* prefix, const char* suffix)
    void fg_blas_close()
    int fg_blas_loaded()
    const char* fg_blas_core()
    int fg_blas_threads()
    int fg_blas_set_threads(int n)


def open_blas(bytes path, bytes prefix, bytes suffix):
    """Makes a library the provider of matrix products (path None: one that is loaded already). Returns 0, or why not: 1 no
    such library, 2 no cblas_?gemm under these names, 3 a wrong product."""
    global world
    world += 1
    return fg_blas_open(NULL if path is None else <const char*>path, prefix, suffix)


def close_blas():
    """From now on all matrix products are fastgrad's own."""
    global world
    world += 1
    fg_blas_close()


def blas_state():
    """(whether a library is in use, the processor kernel it has chosen or "", its threads or 0)."""
    return bool(fg_blas_loaded()), fg_blas_core().decode(), fg_blas_threads()


def set_blas_threads(int n):
    """Sets the threads of the library for the whole process; False where it cannot."""
    return bool(fg_blas_set_threads(n))


# ---- instruction sets ----------------------------------------------------------------------------------------------

cdef str _chosen = None


def use_set(name=None):
    """Takes all kernels from the named instruction set (None: the best this processor has); returns its name.

    For tests and comparisons; programs choose with the environment variable FASTGRAD_ISA before the import.
    """
    global _chosen, world
    cdef bytes wanted = b"" if name is None else name.encode()
    cdef const char* got = fg_choose_set(NULL if name is None else <const char*>wanted)
    cdef Op op
    if got == NULL:
        known = ", ".join([f"{n}{'' if ok else ' (not on this processor)'}" for n, ok in kernel_sets()])
        raise ImportError(f"FASTGRAD_ISA: instruction set {name!r} is unknown or unsupported here; known are {known}")
    _chosen = got.decode()
    world += 1
    for op in _records.values():
        if op.shape is not None:
            find_kernels(op)
    return _chosen


def kernel_sets():
    """The instruction sets this build has kernels for: [(name, whether this processor supports it)]."""
    cdef int k = 0, ok = 0
    cdef const char* name
    found = []
    while True:
        name = fg_set_names(k, &ok)
        if name == NULL:
            return found
        found.append((name.decode(), bool(ok)))
        k += 1


def chosen_set():
    """The instruction set in use."""
    return _chosen


cdef int find_kernels(Op op) except -1:
    """Fills op.kernels from the chosen set; returns how many dtypes there are."""
    cdef int k, found = 0
    cdef bytes name = b"" if op.kernel is None else op.kernel.encode()
    for k in range(FG_NDTYPES):
        op.kernels[k] = fg_find(name, k) if op.kernel is not None else NULL
        found += op.kernels[k] != NULL
    return found


def kernel_names():
    """The names of all kernels, to be compared with the table."""
    cdef int k = 0
    names = []
    while fg_kernel_names(k) != NULL:
        names.append(fg_kernel_names(k).decode())
        k += 1
    return names


use_set(os.environ.get("FASTGRAD_ISA") or None)
