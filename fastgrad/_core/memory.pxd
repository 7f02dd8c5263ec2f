# What a tensor is made of: dtype, layout, storage; and the attributes of an op. Knows nothing of tensors or the tape.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from cpython.object cimport PyObject


cdef extern from "fg.h":
    enum: FG_MAX_DIMS
    enum: FG_F32, FG_F64, FG_I64, FG_I32, FG_U8, FG_BOOL, FG_NDTYPES
    enum: FG_DENSE, FG_OVERLAP
    ctypedef struct fg_layout:
        int32_t ndim
        uint32_t flags
        int64_t size
        int64_t shape[8]
        int64_t stride[8]
    ctypedef struct fg_attrs:
        uint32_t axes
        int32_t axis
        int32_t mode
        uint32_t needs
        int64_t i[4]
        double f[6]
        int32_t ndim
        int64_t offset
        int64_t shape[8]
        int64_t stride[8]


cdef extern from "dtype.h" nogil:
    int64_t fg_itemsize[6]
    int fg_category[6]
    bint fg_is_real(int dtype)
    int fg_promote(int a, int b)
    int fg_promote_standing(int higher, int lower)


cdef class DType:
    cdef readonly str name
    cdef readonly int code
    cdef readonly int itemsize
    cdef readonly bint is_floating_point
    cdef readonly bint is_signed
    cdef readonly object numpy_dtype

cdef DType dtype_of(int code)           # borrowed from the table: float32, ...


cdef class Layout:
    # Immutable and shared. Dense layouts are interned where the table has room, so that "same shape, dense" is first a
    # comparison of pointers; two different Layouts may still describe the same shape.
    cdef fg_layout c
    cdef object _shape                  # the Size, made when first asked for

cdef Layout dense_layout(int ndim, const int64_t* shape)
cdef Layout strided_layout(int ndim, const int64_t* shape, const int64_t* stride)
cdef inline Layout dense_form(Layout l):     # the dense layout of the same shape
    return l if l.c.flags & FG_DENSE else dense_layout(l.c.ndim, l.c.shape)
cdef object shape_of(Layout lay)        # the Size of a layout
cdef bint same_shape(Layout a, Layout b) noexcept
cdef Layout scalar_layout


cdef class Storage:
    # These fields are mirrored in csrc/storageobject.h.
    cdef void* data                     # = small, a block of the cache, or memory of `owner`
    cdef uint32_t version               # bumped by every write
    cdef int32_t size_class             # 0: inline or foreign
    cdef uint64_t birth                 # its number among all storages: identity, which an address is not
    cdef int32_t noted                  # a recorder asks whether it still lives: its place there; 0: none does
    cdef int64_t nbytes
    cdef object owner                   # keeps foreign memory alive (a NumPy array, a capsule)
    cdef bint readonly
    cdef int64_t small[8]               # 64 bytes, aligned for every dtype

cdef Storage new_storage(int64_t nbytes)
cdef Storage exact_storage(int64_t nbytes)      # not of a size class, and not kept for reuse: for what lives long
cdef Storage foreign_storage(void* data, int64_t nbytes, object owner, bint readonly)
cdef void (*empty_above)() noexcept     # frees what is kept for reuse of tensors and nodes
cdef int64_t in_use() noexcept          # bytes of the blocks that tensors use: "allocated" of memory_stats()
cdef uint64_t births() noexcept         # how many storages there have been
cdef int32_t note(Storage s) except -1  # from now on `lives` tells of it by this number
cdef bint lives(int32_t number) noexcept
cdef void forget_notes() noexcept       # no storage that was noted may be alive and noted still


cdef class Attrs:
    # One immutable fg_attrs, owned by whoever made the call and by the node that recorded it.
    cdef fg_attrs c
    cdef readonly object py             # what C cannot hold: sizes of a split, a user's function

cdef Attrs new_attrs()
cdef Attrs shape_attrs(int ndim, const int64_t* shape)
cdef Attrs needing(Attrs a, uint32_t needs)     # a, or empty ones, that say which gradients are wanted
