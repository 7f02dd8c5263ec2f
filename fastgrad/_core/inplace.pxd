from .tensor cimport Attrs, Op, Tensor

cdef object inplace(Op op, Tensor t, list others, Attrs a)      # t = op(t, *others), in t's memory
