from libc.stdint cimport int64_t
from .memory cimport Layout
from .tensor cimport Tensor

cdef enum:
    AUTO = 2        # create: recorded if something else than `wanted` could be differentiated through the result

cdef object run(list outputs, list gradients, list wanted, bint keep, int create, bint fill_leaves)
cdef bint leads_elsewhere(Tensor y, list wanted) except -1      # whether y's history reaches leaves other than `wanted`
cdef int64_t widest(list outputs) except -1                     # bytes of the largest value in the history of the outputs
cdef Tensor fitted(Tensor g, Layout lay, int dtype)             # summed over what was broadcast, cast back
