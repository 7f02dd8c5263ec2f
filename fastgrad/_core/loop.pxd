# Many steps of a program, as a compiled function (compiled.pyx) starts them.

from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from .program cimport Program
from .tensor cimport Layout, Tensor, fg_call, fg_view

cdef struct mover_t:        # an operand that is elsewhere in each step
    fg_view* view
    char* base              # where a cycle begins
    char* now
    int64_t stride          # bytes from one step to the next
    int64_t period, left    # steps of a cycle; that are left of this one

cdef class Rows:
    # What steps return: for each tensor one that has a row for every step.
    cdef list outs              # None before the first step
    cdef object last            # the last result: the structure, and what in it is no tensor
    cdef readonly int64_t count
    cdef int64_t total, room

    cdef int fit(self, list tensors, int64_t n) except -1

cdef class Loop:
    cdef readonly list buffers      # the batch, where a program finds it
    cdef readonly bint ahead        # the last steps were of a program that draws no random numbers
    cdef list tensors, kept
    cdef int64_t size
    cdef int nout                   # tensors that a step returns; -1: not known yet
    cdef Layout positions           # of the numbers of a batch's rows
    cdef fg_view* views
    cdef fg_call* calls             # a gather for each tensor, then a copy for each result
    cdef mover_t* movers

    cdef void free(self) noexcept
    cdef int64_t run(self, Program p, PyObject** args, Rows rows, Tensor order, int64_t first, int64_t period,
                     int64_t count, bint poisons) except -1
    cdef bint unwritten(self, Program p) except -1
    cdef int make_room(self, int nout) except -1
    cdef int set_gathers(self, Tensor order, int64_t first, int64_t period) except -1
    cdef int set_copies(self, list tensors, Rows rows) except -1

cdef bint steady(Program p)
