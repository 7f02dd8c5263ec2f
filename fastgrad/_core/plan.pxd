# What an optimiser keeps between steps; a compiled function asks whether it still holds.

from .multi cimport Step
from .tensor cimport Tensor

cdef class Plan:
    cdef object __weakref__
    cdef Step native
    cdef readonly Tensor hyper
    cdef readonly dict group
    cdef list params, clock
    cdef tuple keys, numbers, states
    cdef tuple items            # of the group, value after key, when its numbers were last found equal
    cdef object tick, optimizer
    cdef int changes            # how often only numbers have changed

    cdef bint holds(self) except -1
    cdef bint untouched(self) noexcept
    cdef bint equal(self) except -1
    cdef bint current(self) except -1
