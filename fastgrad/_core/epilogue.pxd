# Which calls of a program become part of the call that makes what they read.

from .recorder cimport Record

cdef list joined(Record rec, list calls, set survivors)
