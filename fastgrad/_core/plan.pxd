# What an optimiser keeps between steps; a compiled function asks whether it still holds.

from libc.stdint cimport uint64_t

from .multi cimport Step
from .tensor cimport Tensor

cdef class Clock:
    cdef readonly uint64_t time

cdef class Noted(dict):
    cdef readonly Clock clock

cdef class Plan:
    cdef object __weakref__
    cdef Step native
    cdef readonly Tensor hyper
    cdef readonly list groups   # of the optimiser
    cdef readonly object group  # that which it is for
    cdef Py_ssize_t at, count   # its place among them, and how many there were
    cdef list params            # as they were when it was made
    cdef list listed            # ... and the group's own list of them, where the group is noted
    cdef Clock clock
    cdef uint64_t time          # of the clock, when it was last found to hold
    cdef tuple keys, numbers, states
    cdef object optimizer
    cdef int changes            # how often only numbers have changed

    cdef bint holds(self) except -1
    cdef bint placed(self) noexcept
    cdef bint equal(self) except -1
    cdef bint current(self) except -1
