"""Records of the table, and what their kernels come from: an instruction set, a BLAS, threads.

The only extension that links the C kernels: all others reach them through the pointers of a record, so that a kernel table
exists once in a process.
"""

cimport cython

import os

from ._errors import DTypeError

cdef extern from "fg.h":
    const char* fg_choose_set(const char* name)
    const char* fg_set_names(int k, int* supported)
    fg_kernel fg_find(const char* name, int dtype)
    const char* fg_kernel_names(int k)

cdef extern from "program.h":
    int fg_replay(fg_call* calls, int64_t n, int64_t* at) noexcept nogil
    int fg_copy_bytes(fg_call* call) noexcept nogil

cdef uint64_t world = 0


cdef void change_world() noexcept:
    global world
    world += 1


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


def records():
    """The table: name -> record, filled ones only."""
    return {name: op for name, op in _records.items() if (<Op>op).shape is not None}


def declared():
    """The names of all ops, recorded or only declared."""
    return list(_records)


# ---- instruction sets ----------------------------------------------------------------------------------------------

cdef str _chosen = None


def use_set(name=None):
    """Takes all kernels from the named instruction set (None: the best this processor has); returns its name.

    For tests and comparisons; programs choose with the environment variable FASTGRAD_ISA before the import.
    """
    global _chosen
    cdef bytes wanted = b"" if name is None else name.encode()
    cdef const char* got = fg_choose_set(NULL if name is None else <const char*>wanted)
    cdef Op op
    if got == NULL:
        known = ", ".join([f"{n}{'' if ok else ' (not on this processor)'}" for n, ok in kernel_sets()])
        raise ImportError(f"FASTGRAD_ISA: instruction set {name!r} is unknown or unsupported here; known are {known}")
    _chosen = got.decode()
    change_world()
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


# ---- what can go wrong -----------------------------------------------------------------------------------------------

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


cdef int raise_dtype(Op op, int dtype) except -1:
    have = ", ".join([(<DType>dtype_of(k)).name for k in range(FG_NDTYPES) if op.kernels[k] != NULL])
    raise DTypeError(f"{op.name}: not implemented for {dtype_of(dtype).name} (it exists for {have}); convert the operands "
                     f"with .to(dtype)")


# ---- threads -------------------------------------------------------------------------------------------------------

cdef extern from "parallel.h":
    enum: FG_PARALLEL_WORK
    int fg_set_threads(int n)
    int fg_threads()
    int fg_run_elementwise(fg_call* call, int cost) noexcept nogil

cdef enum:
    BIG = 32768         # about 10 us of work

cdef int64_t big = BIG


def set_threads(int n):
    """Lets large elementwise operations use up to n threads; returns how many it will be."""
    global big
    n = fg_set_threads(n)
    big = FG_PARALLEL_WORK if n > 1 else BIG
    return n


def threads():
    """How many threads a large elementwise operation may use."""
    return fg_threads()


cdef int run_elementwise(fg_call* c, int cost) noexcept nogil:
    return fg_run_elementwise(c, cost)


cdef int replay_calls(fg_call* calls, int64_t n, int64_t* at) noexcept nogil:
    return fg_replay(calls, n, at)


cdef fg_kernel byte_copier() noexcept:
    return fg_copy_bytes


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
    change_world()
    return fg_blas_open(NULL if path is None else <const char*>path, prefix, suffix)


def close_blas():
    """From now on all matrix products are fastgrad's own."""
    change_world()
    fg_blas_close()


def blas_state():
    """(whether a library is in use, the processor kernel it has chosen or "", its threads or 0)."""
    return bool(fg_blas_loaded()), fg_blas_core().decode(), fg_blas_threads()


def set_blas_threads(int n):
    """Sets the threads of the library for the whole process; False where it cannot."""
    return bool(fg_blas_set_threads(n))


use_set(os.environ.get("FASTGRAD_ISA") or None)
