# What a watcher and a recorder need of the way a module is called.

cdef int expect_watcher(int count) noexcept                 # this many more (or fewer) threads are watched or recorded
cdef bint has_hooks(object module) except -1                # or a `forward` of its own
cdef object call_unwatched(object module, tuple args, dict kwargs)
