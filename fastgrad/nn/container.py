"""Containers of modules. Imports the core and Module."""

from collections import OrderedDict
from operator import index

from fastgrad._core.call import call_each
from fastgrad.nn.module import Module


class _Numbered(Module):
    """What Sequential and ModuleList share: a list of submodules, whose names are their positions."""

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def _name_at(self, idx):
        names = list(self._modules)
        try:
            return names[index(idx)]
        except IndexError:
            raise IndexError(f"index {idx} is out of range for a {self._get_name()} of {len(names)}") from None

    def __setitem__(self, idx, module):
        setattr(self, self._name_at(idx), module)

    def __delitem__(self, idx):
        modules = list(self)
        del modules[idx]
        self._place(modules)

    def _place(self, modules):
        self._modules.clear()
        self.extend(modules)

    def append(self, module):
        """Adds a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules):
        """Adds the modules of an iterable at the end; returns self."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index, module):
        """Adds a module before position `index`; returns self."""
        modules = list(self)
        modules.insert(index, module)
        self._place(modules)
        return self

    def pop(self, key):
        """Takes out and returns the module at position `key`."""
        module = self[key]
        del self[key]
        return module


class Sequential(_Numbered):
    """Runs modules one after another, each on the output of the one before.

    Args:
        *args: the modules, or one OrderedDict of modules by name.

    Example:
        >>> net = fastgrad.nn.Sequential(fastgrad.nn.Linear(4, 8), fastgrad.nn.ReLU(), fastgrad.nn.Linear(8, 2))
        >>> net(fastgrad.zeros(3, 4)).shape
        fastgrad.Size([3, 2])
    """

    def __init__(self, *args):
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], OrderedDict) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input):
        return call_each(self._chain or self._make_chain(), input)

    def _make_chain(self):
        self._chain = tuple(self._modules.values())
        return self._chain

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(OrderedDict(list(self._modules.items())[idx]))
        return self._modules[self._name_at(idx)]

    def __add__(self, other):
        return Sequential(*self, *other) if isinstance(other, Sequential) else NotImplemented


class ModuleList(_Numbered):
    """A list whose modules are registered as submodules.

    Args:
        modules: an iterable of modules.
    """

    def __init__(self, modules=None):
        super().__init__()
        self.extend(modules or ())

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(list(self)[idx])
        return self._modules[self._name_at(idx)]

    def __add__(self, other):
        return ModuleList([*self, *other])

    def __iadd__(self, modules):
        return self.extend(modules)


class ModuleDict(Module):
    """A dictionary whose modules are registered as submodules.

    Args:
        modules: a mapping, or an iterable of pairs, from names to modules.
    """

    def __init__(self, modules=None):
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Removes all modules."""
        self._modules.clear()

    def pop(self, key):
        """Takes out and returns the module of this name."""
        return self._modules.pop(key)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """Pairs of name and module."""
        return self._modules.items()

    def update(self, modules):
        """Adds or replaces modules from a mapping or an iterable of pairs."""
        for name, module in modules.items() if hasattr(modules, "items") else modules:
            self.add_module(name, module)
