# Where the buffers of a program lie.

from .recorder cimport Record

cdef tuple place(Record rec, list items, set survivors, set fixed)  # ({slot: offset}, bytes, bytes had each buffer its own)
