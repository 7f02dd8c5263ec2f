from .tensor cimport Attrs, Layout, Tensor

cdef unsigned int axis_mask(Tensor x, Attrs a)          # the axis of a; no axis of a 0-d tensor
cdef unsigned int all_axes(Tensor x)
cdef Layout dense_like(Tensor x)                        # the dense layout of x's shape
cdef object plus(object a, object b)                    # a sum in which None is zero
