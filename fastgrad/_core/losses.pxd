from .tensor cimport Attrs, Tensor

cdef enum:          # attrs.mode of a loss
    NO_REDUCTION, MEAN_REDUCTION, SUM_REDUCTION

cdef int mode_of(object reduction, str who) except -1
cdef Attrs unreduced(Attrs a)                           # a, with NO_REDUCTION
cdef Tensor ones_like(Tensor g)                         # expanded: no memory of its own
cdef object reduce_loss(Tensor x, object reduction)     # the reduced loss, from that of each element
