"""The state of an optimiser, and what a step derives from it. Imports the core.

A step is one native call per group. It takes lists parallel to `group["params"]`, one for each kind of state, and the
hyperparameters as one Tensor. Both are derived from what users see and may change, `optimizer.state` and the group, so
both are kept only as long as that is unchanged: the state says when it is written to, the group is compared.
"""

from itertools import count
from operator import is_

from fastgrad import _core

_ticks = count()  # of all optimisers, so that a new state never looks like the old one


def _noting(name):
    method = getattr(dict, name)

    def changing(self, *args, **kwargs):
        self.clock[0] = next(_ticks)
        return method(self, *args, **kwargs)

    changing.__name__ = name
    return changing


class Noted(dict):
    """A dictionary that notes in `clock` when it was last changed; all state of one optimiser shares one clock."""

    __slots__ = ("clock",)

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def __reduce__(self):
        return type(self), (self.clock,), None, None, iter(self.items())


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(Noted, _name, _noting(_name))


class State(Noted):
    """From parameter to the dictionary of its state; a missing one is made empty when it is asked for."""

    __slots__ = ()

    def __init__(self, clock=None):
        super().__init__(clock or [next(_ticks)])

    def __missing__(self, parameter):
        self[parameter] = {}
        return self[parameter]

    def __setitem__(self, parameter, state):
        own = Noted(self.clock)
        own.update(state)
        super().__setitem__(parameter, own)

    def setdefault(self, parameter, state):
        if parameter not in self:
            self[parameter] = state
        return self[parameter]

    def update(self, state):
        for parameter, own in state.items():
            self[parameter] = own

    def __ior__(self, state):
        self.update(state)
        return self


class Derived:
    """What the steps of one group keep from one to the next."""

    __slots__ = ("hyper", "keys", "lists", "numbers", "params", "when")

    def __init__(self):
        self.keys = self.numbers = self.when = None
        self.params = ()

    def hyper_of(self, numbers):
        """The hyperparameters as a float64 Tensor, made anew only when one of them changed; pairs are flattened."""
        if numbers != self.numbers:
            flat = [n for number in numbers for n in (number if isinstance(number, tuple | list) else (number,))]
            self.hyper = _core.tensor([float(number) for number in flat], dtype=_core.float64)
            # A Tensor or a list may change in place, which no comparison shows: such a group is read at every step.
            fixed = all(isinstance(number, int | float | tuple) for number in (*numbers, *flat))
            self.numbers = numbers if fixed else None
        return self.hyper

    def lists_of(self, keys, params, state):
        """For each key, the state of every parameter, None where there is none yet."""
        if (
            self.when != state.clock[0]
            or self.keys is not keys
            or len(params) != len(self.params)
            or not all(map(is_, params, self.params))
        ):
            states = [state.get(parameter) or {} for parameter in params]
            self.lists = [[own.get(key) for own in states] for key in keys]
            self.keys, self.params, self.when = keys, tuple(params), state.clock[0]
        return self.lists
