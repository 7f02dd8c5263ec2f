# A program in words.

from libc.stdint cimport int64_t

from .fuse cimport Group
from .recorder cimport Record
from .schedule cimport Schedule

cdef str explained(Record rec, Schedule s, str more)      # more: at the end of the head

cdef class Summary:
    cdef readonly str name
    cdef readonly int64_t flops, bytes

cdef Summary summary(Group g)       # a group as a watcher is told of it
