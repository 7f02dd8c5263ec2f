from libc.stdint cimport int64_t
from .tensor cimport Attrs, Layout, Tensor

cdef int dim_of(object dim, int ndim) except -1                             # 0 <= dim < ndim, or IndexError
cdef Tensor reshape_to(Tensor x, int ndim, const int64_t* shape)            # a view where strides allow, else of a copy
cdef Tensor expand_to(Tensor x, int ndim, const int64_t* shape)
cdef Tensor permuted(Tensor x, const int* order)
cdef Tensor swapped(Tensor x, int i, int j)
cdef Tensor unsqueezed(Tensor x, int axis)
cdef Tensor contiguous_of(Tensor x)                                         # recorded
cdef int read_shape(object shape, int64_t* out, str who) except -1          # returns the number of dimensions
cdef object either(object dim, object axis)                                  # NumPy's name of a keyword, if given
cdef unsigned int axes_mask(object dim, int ndim) except? 0xFFFFFFFF        # None: all
