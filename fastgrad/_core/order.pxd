cpdef int axis_of(object dim, int ndim, str who) except -2       # a dimension counted from the front; of a 0-d tensor, 0
