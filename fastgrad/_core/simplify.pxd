# Calls that a program need not make, since their results are there already.

from .recorder cimport Record

cdef list simplified(Record rec, list calls, set survivors)     # without those that an earlier one makes superfluous
cdef tuple folded(Record rec, list calls, set survivors)        # (those whose results are constant, the others)
