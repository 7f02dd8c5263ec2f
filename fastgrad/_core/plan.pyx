"""What an optimiser keeps from one step of a group to the next: the arguments of its native call.

They are derived from what users see and may change, so a plan holds only as long as that is found unchanged. Compared in C,
since a step that finds nothing changed is all but the native call itself.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport Py_EQ, PyObject, PyObject_RichCompareBool

from .multi import multi_step


cdef class Plan:
    """The arguments of a group's native step, and what they were derived from.

    keys, numbers: names and values of hyperparameters in the group. tick: when the optimiser's state last changed.
    """

    cdef tuple keys, numbers, params, arguments
    cdef object tick

    def __init__(self, tuple keys, tuple numbers, tick, list params, tuple arguments):
        self.keys, self.numbers, self.tick, self.params, self.arguments = keys, numbers, tick, tuple(params), arguments

    cdef bint holds(self, dict group, tick) except -1:
        cdef PyObject* value
        cdef list params
        cdef Py_ssize_t k
        if tick is not self.tick:
            return False
        for k in range(len(self.keys)):
            value = PyDict_GetItem(group, self.keys[k])
            if value == NULL or not PyObject_RichCompareBool(<object>value, self.numbers[k], Py_EQ):
                return False
        params = group["params"]
        if len(params) != len(self.params):
            return False
        for k in range(len(self.params)):
            if params[k] is not self.params[k]:
                return False
        return True

    def step(self, dict group not None, tick):
        """Steps the group, if the plan holds; returns whether it does."""
        if not self.holds(group, tick):
            return False
        multi_step(*self.arguments)
        return True
