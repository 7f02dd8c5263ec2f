# Where the buffers of a program lie.

from .recorder cimport Record

# ({slot, or -1 - the position of a call: offset, or that of its scratch}, bytes, bytes had each buffer its own).
# gradients: (slot, position of its first write, position at which that of the last replay is gone).
cdef tuple place(Record rec, list items, set survivors, set fixed, list gradients)
