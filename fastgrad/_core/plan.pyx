"""What an optimiser keeps from one step of its groups to the next: the arguments of their native calls.

They are derived from what users see and may change, so a plan holds only as long as that is found unchanged. Compared in C,
since a step that finds nothing changed is all but the native call itself.
"""

from cpython.object cimport Py_EQ, PyObject, PyObject_RichCompareBool

from .multi cimport run_step, step_named
from .tensor cimport RECORDED, Tensor, slots, thread

import weakref

from ._errors import MissingState

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object key) except? NULL
    int PyDict_Next(object d, Py_ssize_t* at, PyObject** key, PyObject** value)


cdef class Plan:
    """The arguments of a group's native step, and what they were derived from.

    optimizer: held weakly; its `_renew` brings a plan up to date where only numbers have changed. keys, numbers: names and
    values of hyperparameters in the group. clock: its item is another one when the optimiser's state has changed.
    name, hyper, params, states: what `multi_step` took.
    """

    def __init__(self, optimizer, dict group, tuple keys, tuple numbers, list clock, str name, Tensor hyper, list params,
                 *states):
        self.optimizer, self.group, self.keys, self.numbers = weakref.ref(optimizer), group, keys, numbers
        self.clock, self.tick, self.items = clock, clock[0], ()
        self.native, self.hyper, self.params, self.states = step_named(name), hyper, list(params), states

    cdef bint holds(self) except -1:
        cdef list params
        cdef Py_ssize_t k
        if self.clock[0] is not self.tick or not (self.untouched() or self.equal()):
            return False
        params = self.group["params"]
        if len(params) != len(self.params):
            return False
        for k in range(len(self.params)):
            if params[k] is not self.params[k]:
                return False
        return True

    cdef bint untouched(self) noexcept:
        """Whether the group has the same objects as when its numbers were last found equal: a quarter of the time of `equal`."""
        cdef PyObject* key
        cdef PyObject* value
        cdef Py_ssize_t at = 0, k = 0, n = len(self.items)
        while PyDict_Next(self.group, &at, &key, &value):
            if k >= n or key != <PyObject*>self.items[k] or value != <PyObject*>self.items[k + 1]:
                return False
            k += 2
        return k == n

    cdef bint equal(self) except -1:
        cdef PyObject* value
        cdef Py_ssize_t k
        for k in range(len(self.keys)):
            value = PyDict_GetItemWithError(self.group, self.keys[k])
            if value == NULL:
                return False
            if value != <PyObject*>self.numbers[k] and not PyObject_RichCompareBool(<object>value, self.numbers[k], Py_EQ):
                return False
        self.items = tuple([x for item in self.group.items() for x in item])
        return True

    cdef bint current(self) except -1:
        """Whether the plan holds, or can be brought up to date."""
        if self.holds():
            return True
        optimizer = self.optimizer()
        return optimizer is not None and optimizer._renew(self)

    def change(self, tuple numbers not None, list values not None, str name, Tensor hyper, list params, *states):
        """Takes over other numbers, if all else is as it was: the values go into the memory of `hyper`, where a compiled
        function reads them. Returns whether that is so."""
        cdef Py_ssize_t k
        if name != self.native.op.name or len(values) != self.native.numbers or not (
                same_items(params, self.params) and len(states) == len(self.states)):
            return False
        for ours, theirs in zip(self.states, states):
            if not same_items(ours, theirs):
                return False
        for k in range(len(values)):
            (<double*>self.hyper.data)[k] = values[k]
        self.hyper.storage.version += 1
        self.numbers, self.items, self.tick, self.changes = numbers, (), self.clock[0], self.changes + 1
        return True


cdef bint same_items(list a, list b) except -1:
    cdef Py_ssize_t k
    if len(a) != len(b):
        return False
    for k in range(len(a)):
        if a[k] is not b[k]:
            return False
    return True


cdef class Plans:
    """The plans of an optimiser, one for each group."""

    cdef list plans

    def __init__(self):
        self.plans = []

    def __contains__(self, plan):
        return any([p is plan for p in self.plans])

    def put(self, Py_ssize_t k, plan):
        """Keeps a plan, or None, for group k."""
        while len(self.plans) <= k:
            self.plans.append(None)
        self.plans[k] = plan

    def step(self, list groups not None, Py_ssize_t first=0):
        """Steps the groups from `first` on; returns how many are done: all, or those before the first without a plan that
        holds, or with a parameter that has its first gradient."""
        cdef Plan plan
        cdef Py_ssize_t k
        for k in range(first, len(groups)):
            plan = <Plan>self.plans[k] if k < len(self.plans) else None
            if plan is None or plan.group is not groups[k] or not plan.current():
                return k
            if thread().special & RECORDED:
                slots.record_plan(plan)
            try:
                run_step(plan.native, plan.hyper, plan.params, plan.states)
            except MissingState:
                return k
        return len(groups)
