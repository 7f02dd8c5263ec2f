# The map of the core: nodes, tensors, and the one way to run an op.
# Arrows: everything else in _core cimports this; this cimports kernels and memory.

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cpython.object cimport PyObject
from .memory cimport (
    Attrs, DType, Layout, Storage, dense_form, dense_layout, dtype_of, fg_attrs, fg_category, fg_is_real, fg_itemsize, fg_layout,
    fg_promote, fg_promote_standing, needing, new_attrs, new_storage, same_shape, scalar_layout, shape_attrs, shape_of,
    strided_layout, FG_BOOL, FG_DENSE, FG_F32, FG_F64, FG_I32, FG_I64, FG_MAX_DIMS, FG_NDTYPES, FG_OVERLAP, FG_U8)


from .kernels cimport (
    ARG_A, ARG_G, ARG_GS, ARG_NEEDS, ARG_NODE, ARG_S, ARG_SHAPES, ARG_T, ARG_X, ARG_Y, BIT_S, BIT_Y, D_ACCUMULATE,
    D_ANY, D_ATTR, D_COMMON, D_FIXED, D_REAL, J_DERIVED, J_DIAGONAL, J_GIVEN, J_LINEAR, J_MULTILINEAR, J_NONE,
    J_REDUCED, MAX_ARGS, MAX_X, MAX_Y, Op, arg_t, big, byte_copier, change_world, declare, fg_call, fg_kernel, fg_view,
    find_kernels, infer_fn, raise_code, raise_dtype, replay_calls, rule_t, run_elementwise, world, FG_EDIVZERO,
    FG_EDOMAIN, FG_EINDEX, FG_ENOMEM, FG_ESCRATCH, FG_OK)

cdef extern from "thread.h":
    ctypedef struct fg_thread:
        uint32_t special
        uint32_t recording
        uint32_t inference
        uint32_t runs
        PyObject* watcher
        PyObject* recorder
        uint32_t vmaps
        uint32_t nlevels
        void* levels
    bint fg_sole(void* object)

cdef fg_thread* thread() noexcept       # this thread's state

# Counts changes of what a compiled function depends on (program.pyx): that a tensor got other memory, another history or another
# .grad, or that one which a program uses died. While it stands, none of them needs to be looked at.
cdef uint64_t epoch
cdef void change_epoch() noexcept


# ---- flags of a Tensor ---------------------------------------------------------------------------------------------
cdef enum:
    REQUIRES_GRAD = 1   # it has a history: its node is a Leaf or the op that made it
    VIEW = 2            # it has a view record; its history may be stale
    PARAMETER = 4
    RETAINS = 8         # retain_grad() was called: `retained` follows its history
    BOXED = 16          # a batch of vmap: `extra.inner` has the values, the batch in front (levels.pyx)
    DUAL = 32           # it has tangents (levels.pyx)
    WATCHED = 64        # of a thread, never of a tensor: its Watcher is told of every op (watch.pyx)
    RECORDED = 256      # of a thread, never of a tensor: a recorder hears of every call (recorder.pyx)
    LEVELLED = VIEW | BOXED | DUAL
    SPECIAL = LEVELLED | WATCHED | RECORDED     # what apply() must look at before the plain path


# ---- the tape ------------------------------------------------------------------------------------------------------
cdef extern from "tape.h":
    ctypedef struct edge_t "fg_edge":
        PyObject* node
        uint32_t at
    ctypedef struct save_t "fg_save":
        PyObject* storage
        PyObject* layout
        void* data
        uint32_t version
        uint8_t bit
        uint8_t dtype

cdef class NodeExtra:
    cdef list hooks     # [(output, id, callable)], in order of registration
    cdef list retain    # weak references to tensors that retain their gradient
    cdef object ctx     # of a custom function
    cdef dict packed    # bit of a save -> what hooks made of it (saving.pyx)
    cdef list gs        # gradients of outputs 1, 2, ... during a run
    cdef dict tangents  # bit of a save -> the Tangent chain of what was saved
    cdef tuple lays     # layouts of all outputs with a history, where there are several
    cdef tuple shapes   # of all inputs, where a rule names `shapes`

cdef class Written:
    # A rule written as one op on what it names, called like any other rule; backward knows it as the op.
    cdef Op op                          # None: it hands the gradient on
    cdef bint takes_attrs, takes_needs

cdef class Node:
    # One use of an op. It holds op, earlier nodes, attributes and saves, never a Tensor (but for the gradient under way),
    # so arrows point only backwards in time. A GC type untracked at birth; tracked when it first gets an extra.
    # The fields are mirrored in csrc/nodeobject.h.
    cdef Op op
    cdef Layout lay                     # of output 0
    cdef Attrs attrs
    cdef NodeExtra extra
    cdef PyObject* g                    # owned: the gradient of output 0 during a run
    cdef edge_t* edges                  # one block: `nedges` edges, then `nsaves` saves; NULL once freed
    cdef save_t* saves
    cdef uint32_t run                   # id of the backward run that has visited it
    cdef uint32_t nedges
    cdef uint8_t nsaves
    cdef uint8_t block_class            # how large the block is
    cdef uint8_t dtype
    cdef uint8_t state                  # bits of N_*

cdef enum:
    N_LEAF = 1
    N_FREED = 2                         # a backward run without retain_graph took its saves; a leaf: its data was replaced
    N_NEEDED = 4                        # during a run: leads to a wanted node
    N_SPENT = 8                         # its last visit: nobody will ask for its saves again

cdef class Leaf(Node):
    # The node of a leaf that requires grad; graphs hold this, never the leaf itself.
    cdef Tensor grad
    cdef uint32_t added                 # how often something was added to, or scaled in, a gradient that was there

cdef void free_block(Node n) noexcept
cdef NodeExtra extra_of(Node n)
cdef object record(Op op, PyObject** xs, int n, Attrs a, PyObject** ys, int nys)
cdef Tensor unsave(Node n, int bit, bint with_history)


# ---- tensors -------------------------------------------------------------------------------------------------------
cdef enum:              # kinds of view
    PLAIN = 0
    MULTI = 1           # an output of a multi-output view
    UNRECORDED = 2      # made under no_grad

cdef class View:
    # How a tensor is part of another. `base` is never itself a view.
    cdef Tensor base
    cdef Node seen      # the base's history when this view's own was made: another one now means stale
    cdef uint32_t seen_at
    cdef uint8_t kind

cdef class Tangent:
    # One link of a chain, the highest level first; immutable and shared. Levels that have ended mean nothing.
    cdef uint32_t level
    cdef Tensor t
    cdef Tangent next

cdef class TensorExtra:
    cdef Tensor retained        # the gradient of a non-leaf after retain_grad()
    cdef Tensor inner           # of a batch: the tensor with the batch as its dimension 0
    cdef uint32_t level         # ... and which vmap it belongs to
    cdef Tangent tangents       # of a dual tensor
    cdef Tangent seen           # of a view: the base's chain when its own was made

cdef class Tensor:
    cdef void* data             # first element, inside storage
    cdef Storage storage
    cdef Layout layout
    cdef Node node              # history: None, a Leaf, or the node of which it is output `at`
    cdef View view
    cdef TensorExtra extra      # what few tensors have
    cdef uint32_t at
    cdef uint8_t dtype
    cdef uint8_t flags
    cdef object __weakref__
    cdef PyObject* attributes   # the instance's __dict__, made when first needed. All fields: csrc/tensorobject.h

cdef Tensor make_tensor(Storage storage, Layout lay, void* data, int dtype)     # part of a storage; no history
cdef int default_real           # the dtype of new real tensors
cdef Tensor new_tensor(Layout lay, int dtype)                                   # uninitialised
cdef Tensor alias(Tensor x)                     # same memory, no history, no tangents, no view record
cdef TensorExtra more_of(Tensor t)              # its extra, made when first needed
cdef int only_plain(Tensor t, str what, int flags) except -1    # an error where t has one of the flags BOXED, DUAL
cdef Tensor scalar(double value, int dtype)
cdef object coerce(object x, int like)          # a Tensor from a number or array; None where it cannot be
cdef Tensor as_operand(object x, int like, str what)
cdef int set_history(Tensor t, Node node, uint32_t at) except -1
cdef int require_grad(Tensor t) except -1       # makes t a leaf that requires grad

cdef enum:
    SMALL_N = 8         # operands up to which a call needs no allocation

# ---- the choke point -----------------------------------------------------------------------------------------------
cdef object apply(Op op, PyObject** xs, int n, Attrs a)
cdef object apply_plain(Op op, PyObject** xs, int n, Attrs a)       # apply() without views, levels and watchers
cdef object apply1(Op op, Tensor x, Attrs a)
cdef object apply2(Op op, object x, object y)
cdef object apply_list(Op op, list xs, Attrs a)                     # None = an input left out
cdef object execute(Op op, int common, PyObject** us, PyObject** ks, int n, Attrs a)    # the part of apply() that computes
cdef int run_kernel(Op op, int common, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1
cdef int run_filled(Op op, fg_call* c, int64_t work) except -1      # a filled call; work: how many elements it touches
cdef int apply_mutating(Op op, int dtype, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1   # writes ys
cdef bint has_rule(Op op, int i) noexcept
cdef int run_into(Op op, Tensor out, PyObject** xs, int n, Attrs a) except -1   # writes `out`: no history, no version

# What Tensor's slots call and modules above this one fill in at import.
cdef struct slots_t:
    object (*inplace)(Op op, Tensor t, object other)
    object (*getitem)(Tensor t, object key)
    int (*setitem)(Tensor t, object key, object value) except -1
    object (*from_array)(object array)
    # of saving; pack is NULL while no saved_tensors_hooks are active
    int (*pack)(Node n) except -1
    Tensor (*unpack)(Node n, const save_t* s)
    # of views, and of promotion
    int (*settle)(Tensor t) except -1
    object (*apply_prepared)(Op op, PyObject** xs, int n, Attrs a)
    # of the recorder, where the thread's RECORDED is set
    int (*record_call)(Op op, int common, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -1   # before it runs
    int (*record_scratch)(int64_t nbytes) except -1     # that it has asked for
    int (*record_operand)(Tensor t) except -1           # whose memory another Tensor is about to share
    int (*record_gradient)(Leaf leaf, bint read) except -1      # whose .grad is about to be read or only replaced
    int (*record_plan)(object plan) except -1           # of an optimiser, that is about to step; None: one stepped without
    int (*record_module)(object module) except -1       # that is being called
    int (*record_door)(Tensor t, str what) except -1    # whose value is about to reach Python
    # of levels: operands that are batches or have tangents
    object (*level_apply)(Op op, PyObject** xs, int n, Attrs a)
    Tensor (*level_view)(Op op, Tensor x, Layout lay, int64_t offset, Attrs a)
    list (*level_views)(Op op, Tensor x, list lays, list offsets, Attrs a)
    object (*level_inplace)(Op op, Tensor t, list others, Attrs a)
    int (*level_settle)(Tensor t) except -1
cdef slots_t slots

# What is called on a thread with WATCHED set; filled by watch.pyx.
cdef struct watch_t:
    object (*apply)(Op op, PyObject** xs, int n, Attrs a)
    int64_t (*kernel_begins)(Op op, int dtype, PyObject** ys, int nys, PyObject** xs, int n, Attrs a) except -2
    int (*kernel_ends)(int64_t token) except -1
    int (*view)(Op op, Tensor x, list outs, Attrs a) except -1
    int64_t (*node_begins)(Node n) except -2
    int64_t (*range_begins)(str name) except -2
    int (*range_ends)(int64_t token) except -1
    object (*module)(object module, tuple args, dict kwargs)
    int (*recorded)(Op op, Node n) except -1            # by an operation in place, whose kernel has run
    str (*modified)(Node n, void* storage)              # in words: where n saved it, and where it was written since
    str (*differentiated)(Node n)                       # in words: where n's op was called, and its gradient computed
    str (*cut)(Tensor t)                                # in words: where what t was made from lost its history
    # of a compiled function: one of its calls, with the layouts of its operands; kernel_ends() follows
    int64_t (*call_begins)(object what, int dtype, PyObject** lays, int nout, int nin, Attrs a, object line, str phase) except -2
cdef watch_t watch
cdef int door(Tensor t, str what) except -1     # before a value reaches Python: raises where it cannot be replayed
cdef Tensor peek(Leaf leaf)                     # the .grad of a leaf
cdef int replace_grad(Leaf leaf, Tensor value) except -1
cdef int forbid(str what) except -1             # before something that a compiled function cannot do
