from libc.stdint cimport int64_t
from .tensor cimport Attrs, Layout, Op, Tensor

cdef int settle(Tensor t) except -1             # remakes the history of a stale view
cdef Attrs pattern(Tensor t, const void* origin)
cdef Tensor apply_view(Op op, Tensor x, Layout lay, int64_t offset, Attrs a)
cdef list apply_views(Op op, Tensor x, list lays, list offsets, Attrs a)
cdef Tensor view_plain(Op op, Tensor x, Layout lay, int64_t offset, Attrs a)        # whatever tangents x has
cdef list views_plain(Op op, Tensor x, list lays, list offsets, Attrs a)
