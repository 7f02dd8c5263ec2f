from .tensor cimport Attrs, Layout, Op, Tensor

cdef Tensor spread(Tensor g, Layout s, Attrs a)                 # the result of a reduction, expanded to its input's shape
cdef Tensor sum_over(Tensor x, unsigned int axes, bint keepdim)
cdef Tensor mean_over(Tensor x, unsigned int axes, bint keepdim)
