# What a compiled function did in one call, as the program (program.pyx) reads it.

from libc.stdint cimport int64_t, uint64_t

from .record cimport *
from .tensor cimport Leaf, Storage, Tensor

cdef class Record:
    cdef uint64_t start
    cdef list slots, calls, aliases, escaped
    cdef dict by_birth, handles, grads, modules, plans
    cdef dict kept                  # slot -> Storage that outlives the call
    cdef set results                # slots of results
    cdef set young                  # ids of modules that were made in the call
    cdef dict known                 # id of a plan -> its changes when the call began
    cdef uint64_t world
    cdef str broken                 # why there can be no program of it, nor of any like it
    cdef str loose                  # memory from outside that no tensor there holds any more
    cdef tuple key
    cdef object spec, state
    cdef bint begins                # an optimiser took a step without a plan: it may have made state
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
    cdef object strip(self, object r, str place=*)
    cdef int loosen(self) except -1
    cdef int finish_grads(self) except -1
    cdef int drop_paths(self) except -1
    cdef int judge(self) except -1
    cdef int look_again(self) except -1
    cdef tuple overlapping(self)
    cdef int64_t distance(self, int a, int b) except? -1
    cdef int release(self) except -1

cdef object collected(object kind, list items, object names=*)      # of a result's type
cdef str difference(Record a, Record b)
