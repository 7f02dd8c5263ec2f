# The arguments of a compiled function, as its programs (compiled.pyx) ask for them.

from cpython.object cimport PyObject

from .tensor cimport Layout

cdef class Signature:
    cdef int kind, dtype
    cdef Layout layout
    cdef type type
    cdef object value           # SIMPLE: the value; OBJECT: the object, or a weak reference to it
    cdef object key             # hashable: equal where the signatures are
    cdef bint weak
    cdef bint keywords          # of a call: the pair of its arguments and its keyword arguments
    cdef list items
    cdef tuple names            # DICT

    cdef bint matches(self, object x, PyObject** tensors, int* n) except -1
    cdef bint takes(self, PyObject** xs, Py_ssize_t count, PyObject** tensors, int* n) except -1

cdef Signature call_signature(tuple args, dict kwargs, list tensors)    # `tensors`: gets those in the arguments
cdef object replaced(object x, list tensors)        # x with these for its tensors
cdef bint unchanged(object x, object y, list tensors) except -1     # of replaced(y, ...): that nobody put anything else into it
cdef int tensors_of(object x, list found) except -1
