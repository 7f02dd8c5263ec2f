# In what order a program runs the calls of a record, and where its own buffers lie.

from libc.stdint cimport int64_t

from .recorder cimport GradSlot, Record

cdef class Schedule:
    cdef list calls             # Call, Group, or the index of the slot of a constant that is written here
    cdef list fixed             # calls that always give the same: they run once, when the program is made
    cdef int64_t commits        # from here on, calls that cannot fail and write only what is outside
    cdef dict places            # slot, or -1 - the position of a call for its scratch -> bytes from the arena's begin
    cdef int64_t arena          # bytes
    cdef int64_t sum            # bytes of all buffers, had each its own
    cdef int dropped            # calls whose results nobody reads
    cdef int repeated           # calls whose results an earlier one has
    cdef int joined             # calls that another one does with its own
    cdef set survivors          # slots that outlive the call
    cdef set alone              # those that hold one gradient and no result
    cdef dict first_write       # slot -> position
    cdef list failures          # (position, number in the record) of the calls that may fail

    cdef int64_t free_from(self, GradSlot g) except -1
    cdef bint reusable(self, GradSlot g) except -1

cdef Schedule schedule(Record rec)
cdef list members(object item)
