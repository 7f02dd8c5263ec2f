"""What an optimiser keeps from one step of its groups to the next: the arguments of their native calls.

They are derived from what users see and may change, so a plan holds only as long as that is unchanged: the dictionaries of an
optimiser tell its clock when they are written. A group that a user has put in their place tells nothing and is compared.
"""

cimport cython
from cpython.object cimport Py_EQ, PyObject, PyObject_RichCompareBool
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp

from .multi cimport run_step, step_named
from .tensor cimport N_LEAF, RECORDED, Leaf, Storage, Tensor, slots, thread

import warnings
import weakref

from ._errors import ForgottenZeroGrad, MissingState

cdef extern from "Python.h":
    PyObject* PyDict_GetItemWithError(object d, object key) except? NULL
    PyObject** PySequence_Fast_ITEMS(list items)       # borrowed


@cython.final
cdef class Clock:
    """Counts the changes of one optimiser's groups and state."""

    def __reduce__(self):
        return Clock, ()

    def tick(self):
        self.time += 1


cdef class Noted(dict):
    """A dictionary that tells a clock when it is changed."""

    def __init__(self, Clock clock not None):
        self.clock = clock

    def __reduce__(self):
        return type(self), (self.clock,), None, None, iter(self.items())

    def __setitem__(self, key, value):
        self.clock.time += 1
        dict.__setitem__(self, key, value)

    def __delitem__(self, key):
        self.clock.time += 1
        dict.__delitem__(self, key)

    def __ior__(self, other):
        self.update(other)
        return self

    def clear(self):
        self.clock.time += 1
        dict.clear(self)

    def pop(self, *args):
        self.clock.time += 1
        return dict.pop(self, *args)

    def popitem(self):
        self.clock.time += 1
        return dict.popitem(self)

    def setdefault(self, key, default=None):
        self.clock.time += 1
        return dict.setdefault(self, key, default)

    def update(self, *args, **kwargs):
        self.clock.time += 1
        dict.update(self, *args, **kwargs)


cdef class Plan:
    """The arguments of a group's native step, and what they were derived from.

    optimizer: held weakly; its `_renew` brings a plan up to date where only numbers have changed. groups, at: its groups, and
    which of them is meant. keys, numbers: names and values of hyperparameters in it. clock: of the optimiser. name,
    hyper, params, states: what `multi_step` took.
    """

    def __init__(self, optimizer, list groups, Py_ssize_t at, tuple keys, tuple numbers, Clock clock not None, str name,
                 Tensor hyper, list params, *states):
        self.optimizer, self.keys, self.numbers = weakref.ref(optimizer), keys, numbers
        self.groups, self.at, self.count, self.group = groups, at, len(groups), groups[at]
        self.clock, self.time = clock, clock.time
        self.listed = params if isinstance(self.group, Noted) and (<Noted>self.group).clock is clock else None
        self.native, self.hyper, self.params, self.states = step_named(name), hyper, list(params), states

    cdef bint holds(self) except -1:
        if self.time != self.clock.time or not self.placed():
            return False
        if self.listed is not None:
            return same_items(self.listed, self.params)
        return self.equal() and same_items(self.group["params"], self.params)

    cdef bint placed(self) noexcept:
        return len(self.groups) == self.count and self.groups[self.at] is self.group

    cdef bint equal(self) except -1:
        cdef PyObject* value
        cdef Py_ssize_t k
        for k in range(len(self.keys)):
            value = PyDict_GetItemWithError(self.group, self.keys[k])
            if value == NULL:
                return False
            if value != <PyObject*>self.numbers[k] and not PyObject_RichCompareBool(<object>value, self.numbers[k], Py_EQ):
                return False
        return True

    cdef bint current(self) except -1:
        """Whether the plan holds, or can be brought up to date."""
        if self.holds():
            return True
        optimizer = self.optimizer()
        return optimizer is not None and optimizer._renew(self)

    def change(self, tuple numbers not None, list values not None, str name, Tensor hyper, list params, *states):
        """Takes over other numbers, if all else is as it was: the values go into the memory of `hyper`, where a compiled
        function reads them. Returns whether that is so. Numbers that were written but are the same are no change."""
        cdef Py_ssize_t k
        if not self.placed() or name != self.native.op.name or len(values) != self.native.numbers or not (
                same_items(params, self.params) and len(states) == len(self.states)):
            return False
        for ours, theirs in zip(self.states, states):
            if not same_items(ours, theirs):
                return False
        self.time = self.clock.time
        if numbers == self.numbers:
            return True
        for k in range(len(values)):
            (<double*>self.hyper.data)[k] = values[k]
        self.hyper.storage.version += 1
        self.numbers, self.changes = numbers, self.changes + 1
        return True


@cython.final
cdef class Spent:
    """What a step of a group found in the .grad of one parameter: to notice that nobody clears it."""

    cdef uint64_t birth
    cdef uint32_t version, added

    cdef bint again(self, list params) noexcept:
        """Whether the gradient of the last step is still there, and all that happened to it is that backward runs were added.

        A gradient that was cleared is another storage, one that was set to zero or scaled by hand is at another version.
        """
        cdef Tensor g = None
        cdef Storage s
        cdef Leaf leaf
        cdef uint32_t written, added
        cdef Py_ssize_t k
        for k in range(len(params)):
            g = gradient(<Tensor>params[k])
            if g is not None:
                break
        if g is None:
            return False
        leaf = <Leaf>(<Tensor>params[k]).node
        s = g.storage
        written, added = s.version - self.version, leaf.added - self.added
        self.version, self.added = s.version, leaf.added
        if s.birth != self.birth:
            self.birth = s.birth
            return False
        return written != 0 and written == added


cdef inline Tensor gradient(Tensor p) noexcept:
    return (<Leaf>p.node).grad if p.node is not None and p.node.state & N_LEAF else None


cdef int warn_unspent(list params) except -1:
    """Says that gradients which a step has used were not cleared before the next backward run."""
    shape = next((tuple(p.shape) for p in params if gradient(p) is not None), ())
    warnings.warn(
        f"the gradients were not cleared since the last step: backward() has added to what that step had used already (of a "
        f"parameter of shape {shape}, and others); call optimizer.zero_grad() once for each step. Where this is meant: "
        f"warnings.simplefilter('ignore', fastgrad.ForgottenZeroGrad)", ForgottenZeroGrad, stacklevel=2)
    return 0


cdef bint same_items(list a, list b) noexcept:
    cdef size_t nbytes = len(a) * sizeof(void*)
    return len(a) == len(b) and (nbytes == 0 or memcmp(PySequence_Fast_ITEMS(a), PySequence_Fast_ITEMS(b), nbytes) == 0)


cdef class Plans:
    """The plans of an optimiser, one for each group."""

    cdef list plans, spent      # by group
    cdef bint warned

    def __init__(self):
        self.plans, self.spent = [], []

    def __contains__(self, plan):
        return any([p is plan for p in self.plans])

    def put(self, Py_ssize_t k, plan, list params not None):
        """Keeps a plan, or None, for group k, whose parameters have just been stepped without one."""
        if thread().special & RECORDED:
            slots.record_plan(None)
        while len(self.plans) <= k:
            self.plans.append(None)
            self.spent.append(Spent())
        self.plans[k] = plan
        self.look(k, params)

    cdef int look(self, Py_ssize_t k, list params) except -1:
        if (<Spent>self.spent[k]).again(params) and not self.warned:
            self.warned = True
            warn_unspent(params)
        return 0

    def step(self, list groups not None, Py_ssize_t first=0):
        """Steps the groups from `first` on; returns how many are done: all, or those before the first without a plan that
        holds, or with a parameter that has its first gradient."""
        cdef Plan plan
        cdef Py_ssize_t k
        for k in range(first, len(groups)):
            plan = <Plan>self.plans[k] if k < len(self.plans) else None
            if plan is None or plan.groups is not groups or not plan.current():
                return k
            self.look(k, plan.params)
            if thread().special & RECORDED:
                slots.record_plan(plan)
            try:
                run_step(plan.native, plan.hyper, plan.params, plan.states)
            except MissingState:
                return k
        return len(groups)
