from .memory cimport Layout

cdef Layout layout_from(object shape)      # the dense layout of a sequence of ints
