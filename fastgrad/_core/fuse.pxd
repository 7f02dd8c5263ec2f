# Which calls of a program run together, tile by tile.

from libc.stdint cimport int64_t

from .memory cimport Layout
from .record cimport Call, Operand
from .recorder cimport Record

cdef class Group:
    # Pointwise calls of one shape. A slot that one of them writes is seen by all of them as one and the same view.
    cdef list calls
    cdef Layout over            # of every output, dense
    cdef dict seen              # slot -> the Operand by which all see it, None where they differ
    cdef set written            # slots
    cdef set private            # slots that no other call touches: they need room for one tile only
    cdef int axis               # -1: the tiles are pieces of the elements in their order, else of this axis
    cdef int64_t tile, tiles    # elements of a tile, or indices along the axis; how many
    cdef set read_after, written_after      # while calls are gathered: by what stands behind
    cdef bint fails_after
    cdef object told            # what a watcher is told of it, once it was asked for

    cdef bint takes(self, Call c, bint lasting)
    cdef int add(self, Call c) except -1
    cdef bint cut(self)
    cdef bint keeps_sizes(self)
    cdef Layout part(self, Operand o, bint last)        # of a tile
    cdef int64_t step(self, Operand o)                  # bytes from a tile to the next
    cdef int64_t room(self, int dtype)                  # bytes of a buffer for one tile

cdef list fused(Record rec, list calls, list others, set survivors)
