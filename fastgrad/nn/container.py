"""Containers of modules. Imports the core and Module."""

import itertools
from collections import OrderedDict
from operator import index

from fastgrad._core import Parameter, Tensor
from fastgrad._core.call import call_each, direct
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

    @direct(call_each, "_chain")
    def forward(self, input):
        return call_each(input, self._chain or self._make_chain())

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

    Example:
        >>> fg.nn.ModuleList([fg.nn.Linear(2, 3), fg.nn.Linear(3, 1)])[1].weight.shape
        fastgrad.Size([1, 3])
    """

    def __init__(self, modules=None):
        super().__init__()
        self.extend(modules or ())

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)(list(self)[idx])
        return self._modules[self._name_at(idx)]

    def __repr__(self):
        """As of any module, but a run of equal children is one line: "(0-3): 4 x Linear(...)"."""
        shown = [repr(module) for module in self]
        if not shown:
            return f"{self._get_name()}()"
        runs, at = [], 0
        for text, group in itertools.groupby(shown):
            n = len(list(group))
            runs.append(f"({at}): {text}" if n == 1 else f"({at}-{at + n - 1}): {n} x {text}")
            at += n
        return f"{self._get_name()}(\n  " + "\n  ".join(run.replace("\n", "\n  ") for run in runs) + "\n)"

    def __add__(self, other):
        return ModuleList([*self, *other])

    def __iadd__(self, modules):
        return self.extend(modules)


class ModuleDict(Module):
    """A dictionary whose modules are registered as submodules.

    Args:
        modules: a mapping, or an iterable of pairs, from names to modules.

    Example:
        >>> fg.nn.ModuleDict({"act": fg.nn.ReLU()})["act"](fg.tensor([-1.0, 2.0]))
        tensor([0., 2.])
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


def _as_parameter(value):
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class ParameterList(Module):
    """A list whose Tensors are registered as Parameters; what is no Tensor is kept as it is.

    Args:
        values: an iterable.

    Example:
        >>> sum(p.numel() for p in fg.nn.ParameterList([fg.ones(2), fg.ones(3)]).parameters())
        5
    """

    def __init__(self, values=None):
        super().__init__()
        self._size = 0
        self.extend(values or ())

    def _name_at(self, idx):
        i = index(idx)
        if not -self._size <= i < self._size:
            raise IndexError(f"index {idx} is out of range for a {self._get_name()} of {self._size}")
        return str(i % self._size)

    def __getitem__(self, idx):
        if isinstance(idx, slice):
            return type(self)([self[i] for i in range(*idx.indices(self._size))])
        return getattr(self, self._name_at(idx))

    def __setitem__(self, idx, value):
        setattr(self, self._name_at(idx), _as_parameter(value))

    def __len__(self):
        return self._size

    def __iter__(self):
        return (self[i] for i in range(self._size))

    def __iadd__(self, values):
        return self.extend(values)

    def append(self, value):
        """Adds a value at the end; returns self."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values):
        """Adds the values of an iterable at the end; returns self."""
        for value in values:
            self.append(value)
        return self

    def extra_repr(self):
        return "\n".join(_described(str(k), value) for k, value in enumerate(self))


class ParameterDict(Module):
    """A dictionary whose Tensors are registered as Parameters; what is no Tensor is kept as it is.

    Args:
        parameters: a mapping, or an iterable of pairs, from names to values.

    Example:
        >>> list(fg.nn.ParameterDict({"w": fg.ones(2)}).state_dict())
        ['w']
    """

    def __init__(self, parameters=None):
        super().__init__()
        self._names = {}
        self.update(parameters or {})

    def __getitem__(self, key):
        if key not in self._names:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key, value):
        self._names[key] = None
        setattr(self, key, _as_parameter(value))

    def __delitem__(self, key):
        del self._names[key]
        delattr(self, key)

    def __len__(self):
        return len(self._names)

    def __iter__(self):
        return iter(self._names)

    def __contains__(self, key):
        return key in self._names

    def keys(self):
        """The names."""
        return self._names.keys()

    def values(self):
        """The values."""
        return [self[key] for key in self._names]

    def items(self):
        """Pairs of name and value."""
        return [(key, self[key]) for key in self._names]

    def get(self, key, default=None):
        """The value of this name, or the default."""
        return self[key] if key in self._names else default

    def pop(self, key):
        """Takes out and returns the value of this name."""
        value = self[key]
        del self[key]
        return value

    def update(self, parameters):
        """Adds or replaces values from a mapping or an iterable of pairs."""
        for name, value in parameters.items() if hasattr(parameters, "items") else parameters:
            self[name] = value

    def extra_repr(self):
        return "\n".join(_described(key, value) for key, value in self.items())


def _described(name, value):
    if not isinstance(value, Tensor):
        return f"({name}): {value!r}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    return f"({name}): {kind} containing: [{value.dtype} of size {'x'.join(map(str, value.shape))}]"
