# A program, as it is assembled (assemble.pyx) and called (compiled.pyx).

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from .random cimport Generator
from .recorder cimport Record
from .schedule cimport Schedule
from .signature cimport Signature
from .tensor cimport Layout, Leaf, Storage, Tensor, fg_call, fg_thread, fg_view

cdef extern from "Python.h":
    ctypedef struct PyWeakReference:
        PyObject* wr_object

cdef struct bind_t:         # a view to be filled in when its source has another address
    int64_t view, offset

cdef struct range_t:        # memory from outside that is written
    char* begin
    char* end

cdef struct handle_t:       # a tensor from outside as it was; all but `ref` only compared
    PyWeakReference* ref    # borrowed
    PyObject* storage
    PyObject* layout
    PyObject* leaf
    void* data
    bint required

cdef struct own_t:          # a gradient in memory of its own (Target.mine), and that memory: borrowed, only compared
    PyObject* tensor
    PyObject* storage

cdef class Target:
    # What becomes of the .grad of a leaf.
    cdef Leaf leaf
    cdef int entry, dtype           # entry: UNREAD, EMPTY, FULL
    cdef bint clears                # it becomes None
    cdef bint exclusive             # it gets memory that is part of nothing else: `mine`
    cdef bint reusable              # ... which may be written while it is still in .grad
    cdef bint placed                # ... and lies in the arena
    cdef int64_t source, offset, nbytes     # source: of a new gradient, -1 where there is none
    cdef int64_t free_from          # the call from which on the old gradient is gone
    cdef Layout layout
    cdef Tensor mine

    cdef bint free(self) noexcept
    cdef Tensor made(self, Storage storage)

cdef class Result:
    cdef int64_t source, offset     # source -1: in `storage`, memory from outside
    cdef int dtype
    cdef Layout layout
    cdef Storage storage

cdef class Program:
    # Sources are memory found or made anew at each replay: arguments, then what is in .grad, then what is new: first the
    # `nfresh` that results (perhaps .grad too) share, then one for each exclusive target.
    cdef fg_call* calls
    cdef fg_view* views
    cdef char** bases               # by source, the address it is bound to
    cdef bind_t* binds
    cdef int64_t* bind_at           # by source, where its binds begin
    cdef handle_t* handles
    cdef own_t* own                 # of each exclusive target, once .grad holds what a replay leaves
    cdef range_t* ranges
    cdef int64_t* extents           # bytes of each argument
    cdef int64_t ncalls, nviews, nhandles, nranges, nsources, fresh_at, nfresh, nmine
    cdef int64_t work               # elements of all operands
    cdef int nargs
    cdef Signature signature        # of the arguments
    cdef uint64_t world
    cdef uint64_t epoch             # of the process when all that it counts was last looked at and found to hold
    cdef bint settled               # in that epoch, each .grad holds what a replay leaves in it
    cdef int recording, inference
    cdef int64_t changes            # module_changes() when the modules were last compared
    cdef list fresh_bytes, paths, targets, written, written_args, streams, optimizers, modules
    cdef tuple pairs                # of memory from outside that meets, where one is written: (slot, slot, bytes between)
    cdef list outside               # (slot, Storage, written) where there are pairs
    cdef object spec
    cdef Generator drawn            # the default generator, where it draws from that
    cdef bint running               # on a thread, `owner`, `era` forks after the process began; `waiting` threads wait
    cdef void* owner
    cdef int64_t era
    cdef int waiting
    cdef list held                  # while it runs: what was found in .grad
    cdef list fresh                 # while it runs: the new memory
    cdef Storage arena
    cdef list kept                  # what the calls point to
    cdef Schedule plan
    cdef bint dead                  # a tensor from outside died: it will never hold again
    cdef readonly int64_t replays
    cdef object key                 # of its record
    cdef Record record              # for messages: without what keeps things alive

    cdef bint holds(self, fg_thread* here, PyObject** args) except -1
    cdef str failing(self, PyObject** args)
    cdef str differing(self)
    cdef bint fits(self, Leaf leaf) except -1
    cdef bint same_modules(self) except -1
    cdef str alias_failing(self, PyObject** args)
    cdef bint same_pairs(self, PyObject** args) except -1
    cdef void bind(self, int64_t source, char* base) noexcept
    cdef bint idle(self) noexcept
    cdef bint enter(self) except -1
    cdef void leave(self) noexcept
    cdef object replay(self, PyObject** args)
    cdef int begin(self, PyObject** args) except -1
    cdef int install(self) except -1
    cdef bint unshared(self) noexcept
    cdef int own_gradients(self) except -1
    cdef int renew(self, Target target) except -1
    cdef int run_calls(self, bint release) except -1
    cdef int64_t told(self, int64_t k) except -2
    cdef int run_until(self, int64_t at, int64_t end, bint release) except -1
    cdef int answer(self, int code, int64_t at) except -1
    cdef int clear_gradients(self, int64_t at) except -1
    cdef list lock_streams(self)
    cdef object rebuilt(self, object spec, PyObject** args)

cdef int unlock(list bits) except -1
