# Records of the table and their kernels. Arrows: cimports memory alone.

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint64_t
from cpython.object cimport PyObject
from .memory cimport Attrs, dtype_of, fg_attrs, fg_layout, DType, FG_F32, FG_NDTYPES


cdef extern from "fg.h":
    enum: FG_OK, FG_EINDEX, FG_EDIVZERO, FG_ENOMEM, FG_EDOMAIN, FG_ESCRATCH
    ctypedef struct fg_view:
        void* data
        const fg_layout* lay
        int64_t dtype
    ctypedef struct fg_call
    ctypedef int (*fg_kernel)(fg_call*) noexcept nogil
    ctypedef struct fg_call:
        fg_kernel kernel
        const fg_attrs* attrs
        fg_view* v
        void* scratch
        int32_t nout
        int32_t nin
        int64_t where
        int64_t value


# ---- records -------------------------------------------------------------------------------------------------------
cdef enum:
    MAX_X = 24          # inputs that a rule can name: bit i of a mask is x_i, ...
    BIT_Y = 24          # ... bit 24 + k is y_k, ...
    BIT_S = 32          # ... bit 32 + i is s_i
    MAX_ARGS = 16
    MAX_Y = 8           # outputs of an op

cdef enum:              # where an argument of a rule comes from
    ARG_G, ARG_GS, ARG_Y, ARG_X, ARG_S, ARG_A, ARG_NEEDS, ARG_SHAPES, ARG_NODE, ARG_T

cdef struct arg_t:
    uint8_t kind
    uint8_t index

cdef struct rule_t:
    PyObject* call      # owned; NULL: this input has no derivative
    uint64_t mask       # what it names, hence what the tape saves for it
    int32_t nargs
    arg_t args[MAX_ARGS]

cdef enum:              # how a tangent follows from the record
    J_NONE, J_DERIVED, J_GIVEN, J_DIAGONAL, J_LINEAR, J_MULTILINEAR, J_REDUCED

cdef enum:              # the dtype letters of a record
    D_COMMON            # T  cast to the promoted dtype of all T and F inputs
    D_REAL              # F  as T, and integers become the default real dtype
    D_ANY               # .  (inputs) taken as it is
    D_FIXED             # i b f d  int64, bool, float32, float64
    D_ACCUMULATE        # L  (outputs) as T, but int64 for integers and bool
    D_ATTR              # a  (outputs) attrs.i[3]

# Fills `lays` with new references to the layouts of the outputs; NULL leaves an output out.
ctypedef int (*infer_fn)(Op op, PyObject** xs, int n, Attrs a, PyObject** lays) except -1

cdef class Op:
    cdef readonly str name
    cdef fg_kernel kernels[6]           # by common dtype
    cdef infer_fn infer
    cdef object infer_py                # a shape rule written in Python: rule(a, *shapes) -> shape or tuple of shapes
    cdef int8_t in_kind[MAX_X]
    cdef int8_t in_fixed[MAX_X]
    cdef int8_t out_kind[MAX_Y]
    cdef int8_t out_fixed[MAX_Y]
    cdef int8_t fast_out                # elementwise: dtype of the output, -1 = that of the input
    cdef readonly bint elementwise      # SAME or BROADCAST over T or F inputs, one output
    cdef int cost                       # operations for each element of the output, where `flops` is a number
    cdef readonly bint dense            # the kernel wants dense inputs
    cdef readonly int over              # the input that the kernel may write its output over, -1 = none
    cdef readonly bint is_view
    cdef readonly bint keeps_history    # copy_, fill_: an in-place target keeps its history (zero, but known)
    cdef readonly bint joint
    cdef readonly bint differentiable
    cdef readonly int nin               # -1: any number, the last letter repeats
    cdef readonly int outputs
    cdef readonly int aux               # the last `aux` outputs are for the rules only: returned to nobody, no history
    cdef rule_t* rules                  # one per input, or one if joint
    cdef int nrules
    cdef rule_t forward                 # the rule of a jvp that is given
    cdef int8_t jvp_kind
    cdef readonly str kernel, shape, dtype, jvp, family
    cdef readonly object vjp, jvp_rule, batch, flops, sample, doc, public, numpy

cdef Op declare(str name)               # the record of that name, filled or still to be filled by op()
cdef int find_kernels(Op op) except -1
cdef int raise_code(Op op, int rc, fg_call* c) except -1            # what a kernel answered, as an exception
cdef int raise_dtype(Op op, int dtype) except -1                    # there is no kernel for it

# ---- running them --------------------------------------------------------------------------------------------------
cdef int64_t big        # elements of all operands together from which a kernel runs without the GIL; fewer with threads
cdef int run_elementwise(fg_call* c, int cost) noexcept nogil       # in parts, where there are threads
cdef int replay_calls(fg_call* calls, int64_t n, int64_t* at) noexcept nogil        # csrc/program.h
cdef fg_kernel byte_copier() noexcept
cdef uint64_t world                                                 # counts changes of kernels, BLAS and default dtype
cdef void change_world() noexcept
