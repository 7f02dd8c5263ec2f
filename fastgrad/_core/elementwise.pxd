from .tensor cimport Attrs, Op, Tensor

cdef Attrs params(double p, double q=*, double r=*)             # p, q, r = f[0], f[1], f[2] of an elementwise kernel
cdef object factor(Attrs a)                                     # p
cdef object apply3(Op o, object x, object y, object z, Attrs a)    # operands may be numbers; z None: two operands
cdef object of(Op o, object x)                                 # op of one tensor, without attributes
cdef object times(object g, object d)                           # g * d, and 0 where g is 0 whatever d is
cdef object over(object g, object d)                            # g / d, and 0 where g is 0 whatever d is
cdef object cross(object g, object x)                           # g * x, and 0 where either is 0
cdef object zeros_like(Tensor g)                                # expanded: no memory of its own
cdef object where(object condition, object x, object y)
