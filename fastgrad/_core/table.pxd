from cpython.object cimport PyObject
from .memory cimport Layout
from .tensor cimport infer_fn

cdef Layout layout_from(object shape)      # the dense layout of a sequence of ints

cdef class ShapeRule:
    cdef infer_fn call

cdef ShapeRule shape_rule(infer_fn call)
cdef int give(PyObject** lays, int k, Layout lay) except -1     # for shape rules: the layout of output k
