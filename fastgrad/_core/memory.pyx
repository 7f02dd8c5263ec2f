"""What a tensor is made of: dtype, layout, storage; and the attributes of an op.

Storage takes its memory from a size-class cache: fresh pages cost microseconds, and a training step asks for the same
sizes again and again. Blocks grow in steps of 2 and 1.5 (64, 96, 128, 192, ... bytes), so at most a third is wasted.
Rejected: malloc alone (10x slower above 64 KB, where every step faults its pages in again), one free list per exact size
(a sweep over batch sizes would hold memory of every size ever seen).
"""

cimport cython
from cpython.mem cimport PyMem_Realloc

import numpy as np

cdef extern from *:
    """
    #include <stdlib.h>
    #if defined(_WIN32)
    #include <malloc.h>
    #define fg_aligned_alloc(bytes) _aligned_malloc(bytes, 64)
    #define fg_aligned_free _aligned_free
    #else
    static inline void *fg_aligned_alloc(size_t bytes) {
        void *p = NULL;
        return posix_memalign(&p, 64, bytes) ? NULL : p;
    }
    #define fg_aligned_free free
    #endif
    """
    void* fg_aligned_alloc(size_t nbytes) nogil
    void fg_aligned_free(void* p) nogil


# ---- dtypes --------------------------------------------------------------------------------------------------------

@cython.final
cdef class DType:
    """The type of a tensor's elements: ``float32``, ``float64``, ``int64``, ``int32``, ``uint8`` or ``bool``.

    `name` ("float32"), `itemsize` (bytes of an element), `is_floating_point`, `is_signed`, `numpy_dtype`, and `code`, the
    number that the kernels know it by, tell it. Others cannot be made: TypeError.

    >>> import fastgrad as fg
    >>> fg.float64.itemsize, fg.int32.numpy_dtype
    (8, dtype('int32'))
    """

    def __init__(self):
        raise TypeError("dtypes are fastgrad.float32, float64, int64, int32, uint8 and bool; no others can be made")

    def __repr__(self):
        return f"fastgrad.{self.name}"

    def __reduce__(self):
        return _dtype_named, (self.name,)


def _dtype_named(name):
    return DTYPES[name]


cdef DType _make_dtype(str name, int code):
    cdef DType d = DType.__new__(DType)
    d.name = name
    d.code = code
    d.itemsize = <int>fg_itemsize[code]
    d.is_floating_point = fg_is_real(code)
    d.is_signed = code not in (FG_U8, FG_BOOL)
    d.numpy_dtype = np.dtype(name)
    return d


cdef list _by_code = [_make_dtype(name, code) for code, name in enumerate(
    ("float32", "float64", "int64", "int32", "uint8", "bool"))]
DTYPES = {(<DType>d).name: d for d in _by_code}


cdef DType dtype_of(int code):
    return <DType>_by_code[code]


# ---- layouts -------------------------------------------------------------------------------------------------------

class Size(tuple):
    """The shape of a tensor: a tuple of ints that prints as PyTorch's and can count its elements.

    >>> Size((2, 3)).numel()
    6
    """

    __slots__ = ()

    def numel(self):
        """The number of elements of a tensor of this shape."""
        n = 1
        for d in self:
            n *= d
        return n

    def __repr__(self):
        return f"fastgrad.Size([{', '.join(map(str, self))}])"

    def __getitem__(self, i):
        item = tuple.__getitem__(self, i)
        return Size(item) if isinstance(i, slice) else item

    def __add__(self, other):
        return Size(tuple(self) + tuple(other))


@cython.final
@cython.no_gc
cdef class Layout:
    """Shape and strides (in elements) of a tensor; immutable."""

    @property
    def shape(self):
        return shape_of(self)

    @property
    def strides(self):
        return tuple([self.c.stride[k] for k in range(self.c.ndim)])

    @property
    def ndim(self):
        return self.c.ndim

    @property
    def size(self):
        return self.c.size

    @property
    def dense(self):
        return (self.c.flags & FG_DENSE) != 0

    def __repr__(self):
        return f"Layout(shape={tuple(self.shape)}, strides={self.strides})"


cdef object shape_of(Layout lay):
    cdef int k
    if lay._shape is None:
        lay._shape = Size([lay.c.shape[k] for k in range(lay.c.ndim)])
    return lay._shape


cdef bint same_shape(Layout a, Layout b) noexcept:
    cdef int k
    if a is b:
        return True
    if a.c.ndim != b.c.ndim or a.c.size != b.c.size:
        return False
    for k in range(a.c.ndim):
        if a.c.shape[k] != b.c.shape[k]:
            return False
    return True


cdef enum:
    INTERNED = 1024

cdef PyObject* _interned[INTERNED]      # owned for the life of the process


cdef Layout dense_layout(int ndim, const int64_t* shape):
    """The row-major layout of a shape; the same object for the same shape, as long as its place is not taken."""
    cdef int k
    cdef uint32_t h = <uint32_t>ndim
    cdef Layout lay
    cdef int64_t size = 1
    for k in range(ndim):
        h = h * <uint32_t>0x9E3779B1 + <uint32_t>shape[k]
    h = (h ^ (h >> 15)) % INTERNED
    if _interned[h] != NULL:
        lay = <Layout>_interned[h]
        if lay.c.ndim == ndim:
            for k in range(ndim):
                if lay.c.shape[k] != shape[k]:
                    break
            else:
                return lay
    if ndim > FG_MAX_DIMS:
        raise RuntimeError(f"a tensor has at most {FG_MAX_DIMS} dimensions, got {ndim}")
    lay = Layout.__new__(Layout)
    lay.c.ndim = ndim
    lay.c.flags = FG_DENSE
    for k in range(ndim - 1, -1, -1):
        if shape[k] < 0:
            raise RuntimeError(f"a size cannot be negative: got {shape[k]} for dimension {k}")
        lay.c.shape[k] = shape[k]
        lay.c.stride[k] = size
        if shape[k] > 1 and size > (<int64_t>1 << 59) // shape[k]:
            raise MemoryError(f"a tensor of shape {tuple([shape[j] for j in range(ndim)])} does not fit into memory")
        size *= shape[k] if shape[k] > 1 else 1
    for k in range(ndim):
        if shape[k] == 0:
            size = 0
    lay.c.size = size
    if _interned[h] == NULL:
        _interned[h] = <PyObject*>lay
        cython_incref(lay)
    return lay


cdef extern from "Python.h":
    void cython_incref "Py_INCREF"(object)


cdef Layout strided_layout(int ndim, const int64_t* shape, const int64_t* stride):
    """A layout with any strides; the interned dense one where the strides are row-major."""
    cdef int k
    cdef int64_t size = 1, want = 1
    cdef bint dense = True
    for k in range(ndim):
        size *= shape[k]
    for k in range(ndim - 1, -1, -1):
        if shape[k] != 1:
            if stride[k] != want:
                dense = False
            want *= shape[k]
    if dense or size == 0:
        return dense_layout(ndim, shape)
    cdef Layout lay = Layout.__new__(Layout)
    lay.c.ndim = ndim
    lay.c.size = size
    for k in range(ndim):
        lay.c.shape[k] = shape[k]
        lay.c.stride[k] = stride[k]
    lay.c.flags = FG_OVERLAP if _overlaps(&lay.c) else 0
    return lay


cdef bint _overlaps(const fg_layout* l) noexcept:
    # Sorted by stride, every axis must step over all that the finer ones span. Exact for what slicing, permuting and
    # expanding can make; an as_strided pattern that interleaves without meeting is called overlapping, which is safe.
    cdef int k, best, n = 0
    cdef int64_t span = 0, s
    cdef bint used[8]
    for k in range(l.ndim):
        used[k] = l.shape[k] <= 1
        n += not used[k]
    for _ in range(n):
        best = -1
        for k in range(l.ndim):
            if not used[k] and (best < 0 or abs64(l.stride[k]) < abs64(l.stride[best])):
                best = k
        used[best] = True
        s = abs64(l.stride[best])
        if s <= span:
            return True
        span += s * (l.shape[best] - 1)
    return False


cdef inline int64_t abs64(int64_t x) noexcept:
    return -x if x < 0 else x


cdef Layout scalar_layout = dense_layout(0, NULL)


# ---- storages ------------------------------------------------------------------------------------------------------

cdef extern from "reuse.h":
    enum:
        FG_REUSES

cdef enum:
    CLASSES = 72                # the largest is far above any memory there is
    PER_CLASS = 64              # blocks kept of one class
    INLINE = 64                 # bytes a Storage holds itself, where FG_REUSES

cdef struct class_t:
    int32_t count
    void* blocks[PER_CLASS]

cdef class_t _cache[CLASSES]
cdef int64_t _cached = 0, _in_use = 0, _peak = 0, _allocations = 0, _hits = 0
cdef int64_t _cap = FG_REUSES * (512 << 20)   # bytes the cache may hold


cdef inline int64_t class_bytes(int c) noexcept:
    # classes 1, 2, 3, ...: 96, 128, 192, 256, ...
    cdef int64_t base = <int64_t>64 << (c >> 1)
    return base + (base >> 1) if c & 1 else base


cdef inline int class_for(int64_t nbytes) noexcept:
    cdef int c = 1
    if not FG_REUSES and nbytes <= INLINE:
        return c
    cdef uint64_t_ n = <uint64_t_>(nbytes - 1) >> 6      # nbytes > 64, so n >= 1
    c = 2 * (63 - leading_zeros(n))                     # 64 << (c / 2) <= nbytes - 1
    if nbytes <= class_bytes(c + 1):
        return c + 1
    return c + 2

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #include <intrin.h>
    static inline int fg_clz(unsigned long long x) { unsigned long i; _BitScanReverse64(&i, x); return 63 - (int)i; }
    #else
    #define fg_clz(x) __builtin_clzll(x)
    #endif
    """
    ctypedef unsigned long long uint64_t_ "unsigned long long"
    int leading_zeros "fg_clz"(uint64_t_ x) nogil


@cython.final
@cython.no_gc
cdef class Storage:
    """Memory of one or more tensors, with a version that every write bumps."""


cdef uint8_t* _alive = NULL         # by the number of a note
cdef int32_t _notes = 0, _room = 0


cdef uint64_t births() noexcept:
    return fg_births()


cdef int32_t note(Storage s) except -1:
    global _alive, _notes, _room
    cdef uint8_t* grown
    if _notes + 1 >= _room:
        grown = <uint8_t*>PyMem_Realloc(_alive, <size_t>(2 * _room + 256))
        if grown == NULL:
            raise MemoryError()
        _alive = grown
        _room = 2 * _room + 256
        fg_storage_watch(_alive)
    _notes += 1
    _alive[_notes] = True
    s.noted = _notes
    return _notes


cdef bint lives(int32_t number) noexcept:
    return _alive[number]


cdef void forget_notes() noexcept:
    global _notes
    _notes = 0


cdef void give_back(void* data, int c) noexcept:
    global _cached, _in_use
    cdef int64_t nbytes = class_bytes(c)
    _in_use -= nbytes
    if _cache[c].count < PER_CLASS and _cached + nbytes <= _cap:
        _cache[c].blocks[_cache[c].count] = data
        _cache[c].count += 1
        _cached += nbytes
    else:
        fg_aligned_free(data)


cdef extern from "storageobject.h":
    ctypedef struct PyTypeObject
    Storage fg_storage_take(int64_t nbytes)
    uint64_t fg_births() noexcept
    void fg_storage_watch(uint8_t* alive) noexcept
    void fg_storages_empty() noexcept
    bint fg_storage_prepare(PyTypeObject* type, void (*give_back)(void* data, int size_class) noexcept)


if not fg_storage_prepare(<PyTypeObject*>Storage, give_back):
    raise SystemError("fg_storage does not mirror the fields of Storage")


cdef Storage new_storage(int64_t nbytes):
    """Uninitialised memory, 64-byte aligned above 64 bytes. Raises MemoryError before anything else has changed."""
    cdef Storage s = fg_storage_take(nbytes)
    if nbytes > INLINE or not FG_REUSES:
        _take(s, nbytes)
    return s


cdef int _take(Storage s, int64_t nbytes) except -1:
    global _cached, _in_use, _peak, _allocations, _hits
    cdef int c = class_for(nbytes)
    cdef int64_t size = class_bytes(c), room = size if FG_REUSES else nbytes
    if c >= CLASSES:
        raise MemoryError(f"cannot allocate {nbytes} bytes for a tensor")
    if _cache[c].count > 0:
        _cache[c].count -= 1
        s.data = _cache[c].blocks[_cache[c].count]
        _cached -= size
        _hits += 1
    else:
        s.data = fg_aligned_alloc(<size_t>room)
        if s.data == NULL:
            empty_cache()       # perhaps the cache holds what is missing
            s.data = fg_aligned_alloc(<size_t>room)
            if s.data == NULL:
                s.size_class = 0
                raise MemoryError(f"cannot allocate {nbytes} bytes for a tensor")
    s.size_class = c
    _allocations += 1
    _in_use += size
    if _in_use > _peak:
        _peak = _in_use
    return 0


@cython.final
@cython.no_gc
cdef class Block:
    """Memory of exactly the bytes asked for, counted as in use."""

    cdef void* data
    cdef int64_t nbytes

    def __cinit__(self, int64_t nbytes):
        global _in_use, _peak
        self.data = fg_aligned_alloc(<size_t>nbytes)
        if self.data == NULL:
            raise MemoryError(f"cannot allocate {nbytes} bytes")
        self.nbytes = nbytes
        _in_use += nbytes
        _peak = max(_peak, _in_use)

    def __dealloc__(self):
        global _in_use
        if self.data != NULL:
            _in_use -= self.nbytes
            fg_aligned_free(self.data)


cdef Storage exact_storage(int64_t nbytes):
    """As new_storage, for what is large and lives long: a class of sizes may take half as much again."""
    cdef Block block
    if nbytes <= INLINE:
        return new_storage(nbytes)
    block = Block.__new__(Block, (nbytes + 63) // 64 * 64)
    return foreign_storage(block.data, nbytes, block, False)


cdef Storage foreign_storage(void* data, int64_t nbytes, object owner, bint readonly):
    """A storage over memory that `owner` keeps alive."""
    cdef Storage s = fg_storage_take(nbytes)
    s.data = data
    s.owner = owner
    s.readonly = readonly
    return s


def empty_cache():
    """Returns the memory that is kept for reuse, but nothing uses, to the operating system."""
    global _cached
    cdef int c
    fg_storages_empty()
    if empty_above != NULL:
        empty_above()
    for c in range(CLASSES):
        while _cache[c].count > 0:
            _cache[c].count -= 1
            fg_aligned_free(_cache[c].blocks[_cache[c].count])
    _cached = 0


def memory_stats():
    """Figures of the storage cache, in bytes and calls, as a dict.

    ``allocated`` and ``peak`` count blocks in use by tensors above 64 bytes (smaller ones live inside their storage and
    arrays shared with NumPy belong to NumPy); ``cached`` what is kept for reuse, at most ``cap``; ``requests`` and ``hits``
    how often memory was asked for and found in the cache.

    >>> sorted(memory_stats())
    ['allocated', 'cached', 'cap', 'hits', 'peak', 'requests']
    """
    return {"allocated": _in_use, "peak": _peak, "cached": _cached, "cap": _cap, "requests": _allocations, "hits": _hits}


cdef int64_t in_use() noexcept:
    return _in_use


def reset_peak_memory_stats():
    """Sets ``memory_stats()["peak"]`` to what is in use now."""
    global _peak
    _peak = _in_use


# ---- attributes ----------------------------------------------------------------------------------------------------

@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class Attrs:
    """The attributes of one use of an op, as its rule sees them; which fields mean something is the op's to say."""

    @property
    def axes(self):
        return self.c.axes

    @property
    def axis(self):
        return self.c.axis

    @property
    def mode(self):
        return self.c.mode

    @property
    def needs(self):
        return self.c.needs

    @property
    def i(self):
        return (self.c.i[0], self.c.i[1], self.c.i[2], self.c.i[3])

    @property
    def f(self):
        return (self.c.f[0], self.c.f[1], self.c.f[2], self.c.f[3], self.c.f[4], self.c.f[5])

    @property
    def shape(self):
        return tuple([self.c.shape[k] for k in range(self.c.ndim)])

    @property
    def stride(self):
        return tuple([self.c.stride[k] for k in range(self.c.ndim)])

    @property
    def offset(self):
        return self.c.offset


cdef Attrs new_attrs():
    return Attrs.__new__(Attrs)


cdef Attrs shape_attrs(int ndim, const int64_t* shape):
    cdef Attrs a = Attrs.__new__(Attrs)
    cdef int k
    a.c.ndim = ndim
    for k in range(ndim):
        a.c.shape[k] = shape[k]
    return a


cdef Attrs needing(Attrs a, uint32_t needs):
    cdef Attrs b = Attrs.__new__(Attrs)
    if a is not None:
        b.c = a.c
    b.c.needs = needs
    return b


def attrs(*, axes=0, axis=0, mode=0, needs=0, i=(), f=(), shape=None, stride=(), offset=0, py=None):
    """Attributes from Python, for ops whose user function is written there; see csrc/fg.h for the fields."""
    cdef Attrs a = Attrs.__new__(Attrs)
    cdef int k
    a.c.axes = axes
    a.c.axis = axis
    a.c.mode = mode
    a.c.needs = needs
    a.c.offset = offset
    for k, v in enumerate(i):
        a.c.i[k] = v
    for k, v in enumerate(f):
        a.c.f[k] = v
    if shape is not None:
        a.c.ndim = len(shape)
        for k, v in enumerate(shape):
            a.c.shape[k] = v
    for k, v in enumerate(stride):
        a.c.stride[k] = v
    a.py = py
    return a
