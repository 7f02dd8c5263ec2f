# A program in words.

from .recorder cimport Record
from .schedule cimport Schedule

cdef str explained(Record rec, Schedule s, str more)      # more: at the end of the head
