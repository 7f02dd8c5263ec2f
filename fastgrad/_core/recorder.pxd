# What a compiled function did in one call, as the program (program.pyx) reads it.

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
    cdef Tensor found               # FULL: what was there
    cdef object final               # after finish: None, "same", or an Operand

cdef class Record:
    cdef uint64_t start
    cdef list slots, calls, aliases, escaped
    cdef dict by_birth, handles, grads, modules, plans
    cdef dict kept                  # slot -> Storage that outlives the call
    cdef set results                # slots of results
    cdef dict known                 # id of a plan -> its changes when the call began
    cdef uint64_t world
    cdef str broken                 # why there can be no program of it, nor of any like it
    cdef str loose                  # memory from outside that no tensor there holds any more
    cdef object spec, key, state
    cdef bint lenient
    cdef int recording, inference

    cdef list arguments(self, list tensors)
    cdef int begin(self, Record before) except -1
    cdef int end(self) except -1
    cdef object finish(self, list result)
    cdef object rebuilt(self, list roots)
    cdef int forget(self) except -1
    cdef Slot add(self, Storage storage, int kind)
    cdef Slot slot_of(self, Tensor t, bint written)
    cdef int handle(self, Tensor t) except -1
    cdef Operand operand(self, Tensor t, bint written)
    cdef int gradient(self, Leaf leaf, bint read) except -1
    cdef int refuse(self, str what, str advice) except -1
    cdef object strip(self, object r)
    cdef int loosen(self) except -1
    cdef int finish_grads(self) except -1
    cdef int drop_paths(self) except -1
    cdef int judge(self) except -1
    cdef int look_again(self) except -1
    cdef tuple overlapping(self)
    cdef int release(self) except -1

cdef int64_t module_changes() noexcept
cdef object snapshot(object module)
cdef object frozen(object v)
cdef object collected(object kind, list items)      # of a result's type
cdef str line_text(object line)
cdef str difference(Record a, Record b)
cdef int overlaps(const char* a, int64_t na, const char* b, int64_t nb) noexcept
