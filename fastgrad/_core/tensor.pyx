"""Nodes, tensors, and the one way to run an op: apply().

Design. Nodes and tensors know each other, and recording is most of what an op costs, so they share this file; all else (views,
promotion, in-place ops, backward, the table's families) sits above it. apply1() and apply2() are apply() with the common case in
front: elementwise, one dtype, dense operands of one shape. They fall through to apply() for everything else.
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

from . cimport memory

import weakref

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

cdef extern from "tensorobject.h":
    Tensor fg_tensor_take(object storage, object layout, void* data, int dtype)
    bint fg_tensor_prepare(PyTypeObject* type)
    void fg_tensors_empty() noexcept

cdef extern from "nodeobject.h":
    Node fg_node_take(object op, object lay, object attrs, int dtype)
    void fg_node_release(object node) noexcept
    bint fg_node_prepare(PyTypeObject* type)
    void fg_nodes_empty() noexcept

cdef extern from "block.h":
    int block_class "fg_block_class"(size_t nbytes) noexcept
    void* take_block "fg_take_block"(int size_class, size_t nbytes) noexcept
    int lowest_bit "fg_lowest_bit"(uint64_t m) noexcept
    int count_bits "fg_count_bits"(uint64_t m) noexcept


cdef fg_thread* thread() noexcept:
    return fg_here()


cdef uint64_t epoch = 1             # 0: of a program whose guards nobody has looked at


cdef void change_epoch() noexcept:
    global epoch
    epoch += 1


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


cdef void free_block(Node n) noexcept:
    fg_node_release(n)


@cython.final
cdef class Written:
    """A rule written as one op."""

    def __call__(self, *args):
        if self.op is None:
            return args[0]
        cdef Py_ssize_t n = len(args) - self.takes_attrs - self.takes_needs
        a = args[n] if self.takes_attrs else None
        return apply_list(self.op, list(args[:n]), needing(a, args[len(args) - 1]) if self.takes_needs else a)


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
    cdef PyObject* x
    cdef uint64_t mask = 0
    cdef int i = 0, last = op.nrules - 1, kind
    cdef size_t nbytes
    cdef edge_t* edges
    cdef save_t* s
    cdef rule_t* r
    while ys[i] == NULL:        # of several outputs, the first may be left out
        i += 1
    t = <Tensor>ys[i]
    node = fg_node_take(op, t.layout, a, t.dtype)
    for i in range(n):
        if xs[i] != NULL and (<Tensor>xs[i]).flags & REQUIRES_GRAD:
            mask |= op.rules[i if i < last else last].mask      # 0 for an input without a derivative
    nbytes = n * sizeof(edge_t) + count_bits(mask) * sizeof(save_t)     # at most: an input left out is not saved
    kind = block_class(nbytes)
    edges = <edge_t*>take_block(kind, nbytes)
    if edges == NULL:
        raise MemoryError(f"{op.name}: no memory for the tape")
    node.block_class = kind
    node.edges = edges
    node.nedges = n
    for i in range(n):
        x = xs[i]
        r = &op.rules[i if i < last else last]
        if x != NULL and (<Tensor>x).flags & REQUIRES_GRAD and r.call != NULL:
            edges[i].node = <PyObject*>(<Tensor>x).node
            edges[i].at = (<Tensor>x).at
            raw_incref(edges[i].node)
        else:
            edges[i].node = NULL
    s = node.saves = <save_t*>(edges + n)
    while mask:
        i = lowest_bit(mask)
        mask &= mask - 1
        if i < BIT_Y:
            x = xs[i] if i < n else NULL
        elif i < BIT_S:
            x = ys[i - BIT_Y]
        else:
            if i - BIT_S < n and xs[i - BIT_S] != NULL and edges[i - BIT_S].node == NULL:
                s.storage = NULL                                # with an edge the layout is the parent's
                s.layout = <PyObject*>(<Tensor>xs[i - BIT_S]).layout
                raw_incref(s.layout)
                s.bit = i
                s += 1
            continue
        if x != NULL:
            s.storage = <PyObject*>(<Tensor>x).storage
            raw_incref(s.storage)
            s.layout = <PyObject*>(<Tensor>x).layout
            raw_incref(s.layout)
            s.data = (<Tensor>x).data
            s.version = (<Storage>s.storage).version
            s.bit = i
            s.dtype = (<Tensor>x).dtype
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
        t = fg_tensor_take(<object>s.storage, <object>s.layout, s.data, s.dtype)
        if s.version != t.storage.version:
            raise_modified(n, s)
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


cdef int raise_modified(Node n, const save_t* s) except -1:
    what = f"its input {s.bit}" if s.bit < BIT_Y else "its output"
    # Where both happened is not known otherwise: to note the line of every node would cost more than most nodes do.
    lines = watch.modified(n, s.storage) if fg_here().special & WATCHED else ""
    raise RuntimeError(
        f"{n.op.name}: a value needed to compute the gradient, {what} of shape {tuple(shape_of(<Layout>s.layout))}, was modified "
        f"by an in-place operation after it was saved (it is at version {(<Storage>s.storage).version}; expected version "
        f"{s.version} instead){lines}. Use the out-of-place form of that operation, or clone() before it"
        + ("" if lines else "; inside `with fastgrad.detect_anomaly():` this message names both lines"))


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

    def __init__(self, *data):
        cdef Tensor made
        if self.storage is not None:
            raise TypeError("a Tensor is made once; write into it with copy_(), or make another with fastgrad.tensor(data)")
        made = maker(data)
        self.storage, self.data, self.layout, self.dtype = made.storage, made.data, made.layout, made.dtype

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
        if type(other) is int and not fg_is_real(self.dtype):
            return self.pow(other)          # refuses a negative one
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
        slots.settle(self)
        return (self.flags & REQUIRES_GRAD) != 0

    @requires_grad.setter
    def requires_grad(self, bint on):
        self.requires_grad_(on)

    def requires_grad_(self, bint requires_grad=True):
        """Makes this leaf record (or no longer record) operations on it; returns it."""
        slots.settle(self)
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
            change_epoch()
        return self

    @property
    def is_leaf(self):
        """True where no recorded operation made this tensor."""
        slots.settle(self)
        return self.node is None or (self.node.state & N_LEAF) != 0

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor, None for a leaf."""
        slots.settle(self)
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


cdef void empty_kept() noexcept:
    fg_tensors_empty()
    fg_nodes_empty()


cdef _prepare_types():
    memory.empty_above = empty_kept
    if not fg_tensor_prepare(<PyTypeObject*>Tensor):
        raise SystemError("fg_tensor does not mirror the fields of Tensor")
    if not fg_node_prepare(<PyTypeObject*>Node):
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
        raise_boxed(what)
    if t.flags & flags & DUAL and t.extra.tangents is not None:
        raise RuntimeError(f"{what}: not possible for a tensor with a tangent, which would be lost; use tensor.detach()")
    return 0


cdef int raise_boxed(str what) except -1:
    raise RuntimeError(f"{what}: not possible inside vmap, where this tensor stands for a whole batch of values; compute "
                       f"with operations on tensors (where() instead of if), or move this out of vmap")


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


def set_default_dtype(DType dtype):
    """Sets the dtype of new real tensors made from Python numbers: ``float32`` (the default) or ``float64``."""
    global default_real
    if not dtype.is_floating_point:
        raise TypeError(f"the default dtype must be float32 or float64, got {dtype}")
    default_real = dtype.code
    change_world()


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
    change_epoch()
    if t.view is not None:              # a view that becomes a leaf is its own base
        t.view = None
        t.flags &= ~VIEW
    return 0


cdef int set_history(Tensor t, Node node, uint32_t at) except -1:
    """Replaces the history of t; a retained gradient follows it."""
    change_epoch()
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


# ---- running a kernel ----------------------------------------------------------------------------------------------

cdef inline int run_call(Op op, fg_call* c, int64_t work) except -1:
    """Runs one filled call; its code becomes an exception."""
    cdef int rc
    if work >= big:
        with nogil:
            rc = run_elementwise(c, op.cost) if op.elementwise else c.kernel(c)
    else:
        rc = c.kernel(c)
    return 0 if rc == FG_OK else run_again(op, c, rc, work)


cdef int run_filled(Op op, fg_call* c, int64_t work) except -1:
    return run_call(op, c, work)


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
        run_call(op, c, work)
    else:
        token = watch.kernel_begins(op, common, ys, nys, xs, n, a)
        try:
            run_call(op, c, work)
        finally:
            watch.kernel_ends(token)
    if c.scratch != NULL and fg_here().special & RECORDED:
        slots.record_scratch(c.value)
    return 0


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
    change_epoch()
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
    if type(x) is Tensor:
        if type(y) is not Tensor:
            y = coerce(y, (<Tensor>x).dtype)
            if y is None:
                return NotImplemented
    elif type(y) is Tensor:
        x = coerce(x, (<Tensor>y).dtype)
        if x is None:
            return NotImplemented
    else:
        raise TypeError(f"{op.name}: expected a Tensor among the operands, got {type(x).__name__} and {type(y).__name__}")
    return pair(op, <PyObject*>x, <PyObject*>y)


cdef object pair(Op op, PyObject* x, PyObject* y):
    # Pointers: a Cython variable takes and drops a reference, six instructions for each.
    cdef fg_thread* here = fg_here()
    cdef fg_view v[3]
    cdef fg_call c
    cdef PyObject* ps[2]
    cdef PyObject* py
    cdef PyObject* lay
    cdef Tensor out
    cdef int rc, dtype = (<Tensor>x).dtype
    cdef uint32_t flags = (<Tensor>x).flags | (<Tensor>y).flags
    ps[0] = x
    ps[1] = y
    v[1].data = (<Tensor>x).data
    v[1].lay = &(<Tensor>x).layout.c
    v[1].dtype = dtype
    v[2].data = (<Tensor>y).data
    v[2].lay = &(<Tensor>y).layout.c
    v[2].dtype = dtype
    c.kernel = op.kernels[dtype]
    if ((here.special | flags) & SPECIAL or not op.elementwise or dtype != (<Tensor>y).dtype or c.kernel == NULL
            or not v[1].lay.flags & v[2].lay.flags & FG_DENSE):
        return apply(op, ps, 2, None)
    if v[1].lay == v[2].lay or (v[2].lay.size == 1 and v[2].lay.ndim <= v[1].lay.ndim):
        lay = <PyObject*>(<Tensor>x).layout
    elif v[1].lay.size == 1 and v[1].lay.ndim <= v[2].lay.ndim:
        lay = <PyObject*>(<Tensor>y).layout
    elif same_shape((<Tensor>x).layout, (<Tensor>y).layout):
        lay = <PyObject*>(<Tensor>x).layout
    else:
        return apply(op, ps, 2, None)
    if (<Layout>lay).c.size >= big:
        return apply(op, ps, 2, None)
    out = new_tensor(<Layout>lay, op.fast_out if op.fast_out >= 0 else dtype)
    set_view(&v[0], out)
    c.attrs = NULL
    c.v = v
    c.scratch = NULL
    c.nout = 1
    c.nin = 2
    rc = c.kernel(&c)
    if rc != FG_OK:
        raise_code(op, rc, &c)
    if flags & REQUIRES_GRAD and here.recording and op.differentiable:
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
                slots.settle(<Tensor>xs[i])
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
    return slots.apply_prepared(op, xs, n, a)


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


cdef int out_dtype(Op op, int k, int common, Attrs a) noexcept:
    if op.out_kind[k] <= D_REAL:
        return common
    if op.out_kind[k] == D_FIXED:
        return op.out_fixed[k]
    if op.out_kind[k] == D_ACCUMULATE:
        return common if fg_is_real(common) else FG_I64
    return <int>a.c.i[3]


cdef int run_into(Op op, Tensor out, PyObject** xs, int n, Attrs a) except -1:
    """Runs op's kernel on operands of its common dtype, writing into `out`, which may be exactly xs[0]. No tape, no version,
    no levels: operands have their flags tested before."""
    cdef PyObject* py = <PyObject*>out
    return run_kernel(op, out.dtype if n == 0 or op.in_kind[0] > D_REAL else (<Tensor>xs[0]).dtype, &py, 1, xs, n, a)


cdef int apply_mutating(Op op, int dtype, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1:
    """The part of apply() for ops that write given tensors, all dense; their versions are bumped, nothing is recorded."""
    cdef int k
    cdef uint8_t flags = 0
    if op.kernels[dtype] == NULL:
        raise_dtype(op, dtype)
    for k in range(nys):
        flags |= (<Tensor>ys[k]).flags
    for k in range(n):
        flags |= 0 if xs[k] == NULL else (<Tensor>xs[k]).flags
    if flags & BOXED:
        raise_boxed(op.name)
    run_kernel(op, dtype, ys, nys, xs, n, a)
    for k in range(nys):
        (<Tensor>ys[k]).storage.version += 1
    return 0


cdef object maker = None        # from the arguments of Tensor(...) to a tensor: of convert, above this module


def set_maker(function):
    """Gives the function that Tensor(...) calls with its arguments."""
    global maker
    maker = function


def install(str name, value):
    """Gives Tensor an attribute: a method or a property of a module above this one."""
    (<dict>(<PyTypeObject*>Tensor).tp_dict)[name] = value
    PyType_Modified(<PyTypeObject*>Tensor)
