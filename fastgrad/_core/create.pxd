from libc.stdint cimport int64_t
from .tensor cimport Layout, Tensor

cdef int check_options(object which, object layout, str who) except -1      # device= and layout=, or an error
cdef int code_of(object dtype, str who) except -2                           # of a dtype= argument; -1 for None
cdef int default_code() except -1
cdef Layout sizes_layout(tuple sizes, object size, str who)                 # of f(2, 3), f((2, 3)), f(size=(2, 3))
cdef Layout layout_like(Tensor x)                                           # the dense layout of x's shape
cdef Tensor finished(Tensor t, bint requires_grad)
cdef void put_real(Tensor t, int64_t k, double value) noexcept               # writes element k of dense memory
cdef object array_of(Tensor t)                                              # the NumPy array over t's memory
