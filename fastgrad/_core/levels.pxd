from libc.stdint cimport int64_t, uint32_t, uint64_t
from cpython.object cimport PyObject
from .tensor cimport Attrs, Layout, Op, Tangent, Tensor

cdef enum:
    VMAP, FORWARD                                       # kinds of level
    RANDOM_ERROR, RANDOM_DIFFERENT, RANDOM_SAME         # what random operations do inside a vmap

cdef struct level_t:        # a transform that is under way on this thread
    uint32_t id             # from one counter: a newer level has a higher number
    int kind
    int randomness
    bint recorded           # a tangent of this level has a history
    int64_t size            # of the batch
    uint64_t born           # how many storages there were before it
    uint64_t unit           # the birth number of the storage of its unit vectors; 0: it has none
    int64_t first           # ... and which of them comes first
    PyObject* touched       # owned list: nodes' extras that hold tangents of this level

cdef level_t* level_of(uint32_t level) noexcept         # NULL where it has ended
cdef int check_live(uint32_t level) except -1
cdef level_t* new_level(int kind, uint32_t again=*) except NULL     # again: a vmap that had ended, under its own number
cdef int end_level(uint32_t level) except -1

# ---- batches
cdef Tensor boxed(Tensor inner, uint32_t level)         # inner without its dimension 0, which is the batch of that level
cdef uint32_t newest_batch(Tensor x)                    # the newest vmap whose batch x, or a tangent of x, stands for; 0: none
cdef Tensor physical(Tensor x, uint32_t level, int64_t size)    # x with the batch of that level in front
cdef Tensor expanded(Tensor x, int64_t size)            # x repeated along a new dimension in front
cdef Tensor aligned(Tensor x, int ndim, int want)       # ... of ndim dimensions behind the batch, then `want`: 1s follow it
cdef Layout behind(Layout lay, int64_t size, int64_t stride)    # lay with a dimension in front

cdef Tensor batched_like(Tensor t, Tensor x)            # t, repeated in memory of its own for every batch that x stands for
cdef list drawn_levels(str who)                         # (level, size) of the vmaps for whose elements random numbers differ

# ---- tangents
cdef Tangent live(Tensor x)                             # the chain of x without levels that have ended in front
cdef Tensor tangent_at(Tensor x, uint32_t level)        # None: zero
cdef Tensor stripped(Tensor x, Tangent chain)           # the value and history of x with these tangents
cdef Tangent linked(uint32_t level, Tensor t, Tangent rest)
cdef int set_tangents(Tensor x, Tangent chain) except -1
cdef Tensor dual(Tensor x, Tensor t, uint32_t level)
cdef Tensor zeros_of(Tensor x)                          # of its shape and dtype, without memory of their own
cdef Tensor matched(Tensor t, Tensor like)               # expanded and cast to the shape and dtype of `like`
