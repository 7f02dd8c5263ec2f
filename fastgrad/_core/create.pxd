from .tensor cimport Layout, Tensor

cdef Layout layout_like(Tensor x)                                           # the dense layout of x's shape
