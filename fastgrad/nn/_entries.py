"""The dictionaries `_parameters`, `_buffers` and `_modules` of a module. Imports nothing of fastgrad."""

from collections.abc import MutableMapping


class Entries(MutableMapping):
    """What one module has registered of one kind, by name, in the order of registration.

    Parameters, buffers and submodules are plain attributes of their module, so that reading one in `forward` costs no
    more than any attribute does. This is only a way to look at them, made anew whenever it is asked for: it has nothing
    of its own that could go out of date, and leaves no cycle of references in the module.
    """

    __slots__ = ("_kind", "_module")

    def __init__(self, module, kind):
        self._module = module
        self._kind = kind

    def __getitem__(self, name):
        if self._module._kinds.get(name) != self._kind:
            raise KeyError(name)
        return self._module.__dict__[name]

    def __setitem__(self, name, value):
        self._module._register(self._kind, name, value)

    def __delitem__(self, name):
        if self._module._kinds.get(name) != self._kind:
            raise KeyError(name)
        self._module._unregister(name)

    def __iter__(self):
        return iter([name for name, kind in self._module._kinds.items() if kind == self._kind])

    def __len__(self):
        return list(self._module._kinds.values()).count(self._kind)

    def __repr__(self):
        return repr(dict(self))
