# From a record to a program.

from .program cimport Program
from .recorder cimport Record

cdef Program assembled(Record rec)          # of a record that is like the one before it
