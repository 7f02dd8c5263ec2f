# The parts of a record, and their keys.

from libc.stdint cimport int32_t, int64_t, uint64_t

from .tensor cimport Attrs, Layout, Leaf, Op, Storage, Tensor

cdef enum:              # kinds of slot
    ARGUMENT            # memory of an argument
    EXTERNAL            # memory from before the call
    PRODUCT             # made in the call and written by it
    CONSTANT            # made in the call from Python data: `value` is what it held when first read

cdef enum:              # what a .grad slot held when it was first touched
    UNREAD              # whatever it was: it was replaced first
    EMPTY
    FULL

cdef class Slot:
    # One storage. `where` is borrowed, and valid while the storage lives.
    cdef int kind, index
    cdef uint64_t birth
    cdef int64_t nbytes
    cdef void* where
    cdef int32_t note
    cdef bint written
    cdef Storage storage            # of externals
    cdef bytes value
    cdef Leaf path                  # of an external found in this leaf's .grad
    cdef object line

cdef class Operand:
    cdef int slot, dtype
    cdef int64_t offset             # bytes from the storage's begin
    cdef Layout layout

    cdef tuple key(self)

cdef class Call:
    cdef Op op
    cdef int common, nout
    cdef list operands              # Operand or None, the outputs first
    cdef Attrs attrs
    cdef object line
    cdef str phase                  # forward, backward or optimiser
    cdef Py_ssize_t at              # how many calls came before it
    cdef int64_t scratch            # bytes that its kernel asks for

    cdef tuple key(self)

cdef class Handle:
    # A tensor over external memory. During the recording `held` keeps it; what nobody else keeps afterwards is forgotten.
    cdef Tensor held
    cdef object ref
    cdef Storage storage
    cdef Layout layout
    cdef Leaf leaf
    cdef void* data
    cdef bint required

cdef class GradSlot:
    cdef Leaf leaf
    cdef int entry
    cdef Py_ssize_t at              # how many calls came before it was touched
    cdef Tensor found               # FULL: what was there
    cdef object final               # after finish: None, "same", or an Operand

cdef enum:                          # where in a record's key
    RESULT = 4
    PAIRS = 5                       # of slots that share memory where one is written
    MODULES = 6
    DISTANCES = 9                   # of the pairs

cdef bint may_fail(Call c)              # whether its kernel may answer with an error
cdef bint draws(Call c)                 # random numbers
cdef set slots_of(Call c, int begin, int end)

cdef int64_t module_changes() noexcept
cdef object snapshot(object module)
cdef object frozen(object v)
cdef object user_line()
cdef str line_text(object line)
cdef str changed_name(tuple before, tuple after)
cdef int overlaps(const char* a, int64_t na, const char* b, int64_t nb) noexcept
cdef int64_t extent(Layout lay) noexcept
cdef bytes layout_bytes(Layout lay)
cdef bint alike(Layout a, Layout b)      # equal; equal dense layouts are one object only while their table has room
cdef object slot_key(Slot s)
cdef object handle_key(Handle h)
cdef object final_key(object final)
cdef object spec_key(object spec)
cdef str first_difference(list slots, list calls, tuple key, list slots2, list calls2, tuple key2)
