from cpython.object cimport PyObject
from .tensor cimport Attrs, Op, Tensor

cdef int common_dtype(Op op, PyObject** xs, int n, Attrs a) except -1
cdef int wanted_dtype(Op op, int i, int common) noexcept    # that input i is cast to; -1: as it is
cdef Tensor cast(Tensor x, int dtype)
cdef Tensor compact(Tensor x)                               # x itself if dense, else an unrecorded dense copy
