from libc.stdint cimport int64_t
from .tensor cimport Layout, Tensor

cdef enum:
    STRICT = 1          # attrs.i[0]: negative indices are errors
    ADD = 1             # attrs.mode of index_put and scatter

cdef Tensor zeros_like(Layout s, int dtype)                                 # expanded: no memory of its own
cdef object out_of_range(str name, Tensor index, int64_t n, int dim)        # the exception, where an index is
