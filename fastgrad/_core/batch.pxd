from libc.stdint cimport int64_t, uint32_t
from cpython.object cimport PyObject
from .tensor cimport Attrs, Layout, Op, Tensor

cdef object on_batch(Op op, PyObject** xs, int n, Attrs a, uint32_t level)
cdef Tensor view_of_batch(Op op, Tensor x, Layout lay, int64_t offset, Attrs a)
cdef list views_of_batch(Op op, Tensor x, list lays, list offsets, Attrs a)
