from libc.stdint cimport int64_t
from cpython.object cimport PyObject
from .tensor cimport Attrs, Layout, Op, Tensor

cdef object with_tangents(Op op, PyObject** xs, int n, Attrs a)
cdef Tensor view_with_tangents(Op op, Tensor x, Layout lay, int64_t offset, Attrs a)
cdef list views_with_tangents(Op op, Tensor x, list lays, list offsets, Attrs a)
