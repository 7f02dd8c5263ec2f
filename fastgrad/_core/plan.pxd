# What an optimiser keeps between steps; a compiled function asks whether it still holds.

from libc.stdint cimport uint32_t, uint64_t

from .multi cimport Step
from .tensor cimport Tensor

cdef class Plan:
    cdef object __weakref__
    cdef Step native
    cdef readonly Tensor hyper
    cdef readonly dict group
    cdef list params, clock
    cdef tuple keys, numbers, states
    cdef object tick, optimizer
    cdef int changes            # how often only numbers have changed
    # What the last step found in .grad of one parameter: to notice that nobody clears it.
    cdef Py_ssize_t one         # which; -1: none has a gradient
    cdef uint64_t birth
    cdef uint32_t version, added

    cdef bint holds(self) except -1
    cdef bint current(self) except -1
    cdef bint again(self) noexcept
