"""The state of an optimiser: what users see and may change, and what tells that it changed. Imports nothing of fastgrad."""

from itertools import count

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
