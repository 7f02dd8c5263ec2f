"""The state of an optimiser: what users see and may change. Imports the core's notes of changes."""

from fastgrad._core.plan import Noted


class State(Noted):
    """From parameter to the dictionary of its state; a missing one is made empty when it is asked for."""

    __slots__ = ()

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
