from .tensor cimport Layout

cdef str SUPPORTED                                                          # the dtypes, for messages
cdef int check_device(object which, str who) except -1                      # device=, or an error
cdef int check_options(object which, object layout, str who) except -1      # device= and layout=, or an error
cdef int code_of(object dtype, str who) except -2                           # of a dtype= argument; -1 for None
cdef int default_code() except -1
cdef Layout sizes_layout(tuple sizes, object size, str who)                 # of f(2, 3), f((2, 3)), f(size=(2, 3))
