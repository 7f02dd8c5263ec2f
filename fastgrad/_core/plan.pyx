"""What an optimiser keeps from one step of its groups to the next: the arguments of their native calls.

They are derived from what users see and may change, so a plan holds only as long as that is found unchanged. Compared in C,
since a step that finds nothing changed is all but the native call itself.
"""

from cpython.object cimport Py_EQ, PyObject, PyObject_RichCompareBool

from .multi cimport Step, run_step, step_named
from .tensor cimport Tensor

from ._errors import MissingState

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object key) except? NULL


cdef class Plan:
    """The arguments of a group's native step, and what they were derived from.

    keys, numbers: names and values of hyperparameters in the group. tick: when the optimiser's state last changed.
    name, hyper, params, states: what `multi_step` took.
    """

    cdef Step native
    cdef Tensor hyper
    cdef list params
    cdef tuple keys, numbers, states
    cdef object tick

    def __init__(self, tuple keys, tuple numbers, tick, str name, Tensor hyper, list params, *states):
        self.keys, self.numbers, self.tick = keys, numbers, tick
        self.native, self.hyper, self.params, self.states = step_named(name), hyper, list(params), states

    cdef bint holds(self, dict group, tick) except -1:
        cdef PyObject* value
        cdef list params
        cdef Py_ssize_t k
        if tick is not self.tick:
            return False
        for k in range(len(self.keys)):
            value = PyDict_GetItemWithError(group, self.keys[k])
            if value == NULL:
                return False
            if value != <PyObject*>self.numbers[k] and not PyObject_RichCompareBool(<object>value, self.numbers[k], Py_EQ):
                return False
        params = group["params"]
        if len(params) != len(self.params):
            return False
        for k in range(len(self.params)):
            if params[k] is not self.params[k]:
                return False
        return True


cdef class Plans:
    """The plans of an optimiser, one for each group."""

    cdef list plans

    def __init__(self):
        self.plans = []

    def put(self, Py_ssize_t k, plan):
        """Keeps a plan, or None, for group k."""
        while len(self.plans) <= k:
            self.plans.append(None)
        self.plans[k] = plan

    def step(self, list groups not None, tick, Py_ssize_t first=0):
        """Steps the groups from `first` on; returns how many are done: all, or those before the first without a plan that
        holds, or with a parameter that has its first gradient."""
        cdef Plan plan
        cdef Py_ssize_t k
        for k in range(first, len(groups)):
            plan = <Plan>self.plans[k] if k < len(self.plans) else None
            if plan is None or not plan.holds(groups[k], tick):
                return k
            try:
                run_step(plan.native, plan.hyper, plan.params, plan.states)
            except MissingState:
                return k
        return len(groups)
