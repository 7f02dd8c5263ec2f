# Generators: a recorded draw refers to the generator, not to its state.

from libc.stdint cimport uint64_t

cdef class Generator:
    cdef object bits            # NumPy's bit generator, None before the first use
    cdef void* address          # its bitgen_t
    cdef uint64_t start

cdef int prepare(Generator g) except -1         # makes g's bit generator
cdef Generator current()                        # the default one of this thread
