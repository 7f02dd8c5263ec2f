# The step of an optimiser on all its parameters.

from .memory cimport Attrs
from .tensor cimport Op, Tensor

cdef class Step:
    cdef Op op
    cdef int buffers, numbers
    cdef bint counted
    cdef Attrs attrs        # of the last call: as many parameters as a rule

cdef Step step_named(str name)
cdef int run_step(Step step, Tensor hyper, list params, tuple states) except -1
