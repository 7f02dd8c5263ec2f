from .tensor cimport Tensor

cdef int fill(Tensor t, object value) except -1                             # new, dense memory with one number
cdef int number_code(object x, str who) except -1                           # the dtype that one number has
cdef object plain_number(object x, str who)                                 # an int or float
cdef object array_of(Tensor t)                                              # the NumPy array over t's memory
cdef Tensor finished(Tensor t, bint requires_grad)
