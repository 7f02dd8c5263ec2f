from libc.stdint cimport uint32_t

from .tensor cimport Layout, Tensor

cdef class Kept:
    # A tensor outside the graph, kept as the tape keeps its saves.
    cdef Tensor tensor          # an alias without history; None where hooks took it
    cdef readonly object packed
    cdef Layout layout
    cdef uint32_t version
    cdef int dtype

    cdef Tensor read(self, str who)
