"""Module, the base of all layers and networks. Imports the core.

Parameters, buffers and submodules are ordinary attributes in the instance's dictionary: reading `self.weight` in
`forward` is a plain attribute hit. What makes them more than attributes is one dictionary, `_kinds`, from name to kind,
in the order of registration. (A `__getattr__` that looks through three dictionaries, the usual way, costs every layer
call several times what the attribute does, and makes properties that raise AttributeError hard to debug.)
"""

from collections import OrderedDict, namedtuple

from fastgrad import _core
from fastgrad._core import Parameter, Tensor
from fastgrad._core.call import Callable, expect_hooks
from fastgrad._near import check_keywords
from fastgrad.nn._entries import Entries
from fastgrad.nn._hooks import Hooks, RemovableHandle


class IncompatibleKeys(namedtuple("_IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict(strict=False)` could not match."""

    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


class Module(Callable):
    """The base class of all networks and layers.

    Subclasses call `super().__init__()` first, assign parameters and submodules as attributes, and define `forward`.

    Example:
        >>> class Net(fastgrad.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.hidden = fastgrad.nn.Linear(2, 8)
        ...         self.out = fastgrad.nn.Linear(8, 1)
        ...
        ...     def forward(self, x):
        ...         return self.out(self.hidden(x).tanh())
        >>> Net()(fastgrad.zeros(5, 2)).shape
        fastgrad.Size([5, 1])
    """

    training: bool
    _hooks = None  # a Hooks once the first hook is registered
    _chain = None  # the submodules' values as a tuple, made when first asked for

    def __new__(cls, *args, **kwargs):
        if kwargs:
            check_keywords(cls, kwargs)
        return super().__new__(cls)

    def __init__(self):
        attributes = self.__dict__
        attributes["training"] = True
        attributes["_kinds"] = {}
        attributes["_transient"] = set()  # names of buffers that state_dict leaves out

    def forward(self, *args, **kwargs):
        """What the module computes; every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    # ---- attributes --------------------------------------------------------------------------------------------------

    @property
    def _parameters(self):
        return Entries(self, "parameter")

    @property
    def _buffers(self):
        return Entries(self, "buffer")

    @property
    def _modules(self):
        return Entries(self, "module")

    def __setattr__(self, name, value):
        if "_watched" in self.__dict__:  # by a compiled function, which depends on the attributes
            _core.module_changed()
        if isinstance(value, Tensor):
            kind = "parameter" if isinstance(value, Parameter) else None
        else:
            kind = "module" if isinstance(value, Module) else None
        kinds = self.__dict__.get("_kinds")
        if kinds is None:
            if kind is not None:
                raise AttributeError(
                    f"cannot assign {kind}{'' if kind == 'module' else 's'} before Module.__init__() call"
                )
            object.__setattr__(self, name, value)
        elif kind is not None:
            self._check_name(kind, name)
            self._register(kind, name, value)
        elif name in kinds:
            self._check_value(kinds[name], name, value)
            self._register(kinds[name], name, value)
        else:
            if name == "forward":  # hides the class's from now on
                expect_hooks()
            object.__setattr__(self, name, value)

    def __setstate__(self, state):
        if "forward" in state:
            expect_hooks()
        self.__dict__.update(state)

    def __delattr__(self, name):
        if "_watched" in self.__dict__:
            _core.module_changed()
        if name in self.__dict__.get("_kinds", ()):
            self._unregister(name)
        else:
            object.__delattr__(self, name)

    def _register(self, kind, name, value):
        if "_watched" in self.__dict__:
            _core.module_changed()
        if self._kinds.get(name) != kind:
            self._kinds.pop(name, None)
            self._transient.discard(name)
            self._kinds[name] = kind
        self.__dict__[name] = value
        self.__dict__.pop("_chain", None)

    def _unregister(self, name):
        del self._kinds[name], self.__dict__[name]
        self._transient.discard(name)
        self.__dict__.pop("_chain", None)

    def _check_name(self, kind, name):
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string, but got {type(name).__name__}")
        if name == "" or "." in name:
            raise KeyError(f"{kind} name can't be empty or contain a dot, but got {name!r}")
        if hasattr(getattr(type(self), name, None), "__set__"):  # a property would hide the entry
            raise KeyError(f"attribute '{name}' already exists: it is a property of {type(self).__name__}")

    @staticmethod
    def _check_value(kind, name, value):
        wanted = {"parameter": Parameter, "buffer": Tensor, "module": Module}[kind]
        if value is not None and not isinstance(value, wanted):
            raise TypeError(
                f"cannot assign '{type(value).__name__}' as {kind} '{name}' ({wanted.__name__} or None expected)"
            )

    def _add(self, kind, name, value):
        """What register_parameter, register_buffer and add_module share: unlike assignment, no name may be taken."""
        if "_kinds" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind}{'' if kind == 'module' else 's'} before Module.__init__() call")
        self._check_name(kind, name)
        if self._kinds.get(name) != kind and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")
        self._check_value(kind, name, value)
        self._register(kind, name, value)

    def register_parameter(self, name, param):
        """Adds a parameter (or None: a parameter that this instance goes without), accessible as attribute `name`."""
        if param is not None and isinstance(param, Tensor) and param.grad_fn is not None:
            raise ValueError(
                f"cannot assign non-leaf Tensor to parameter '{name}': parameters are leaves of the graph; "
                "to make it depend on another Tensor, compute it in forward()"
            )
        self._add("parameter", name, param)

    def register_buffer(self, name, tensor, persistent=True):
        """Adds a Tensor that is part of the state but is not trained; `persistent=False` keeps it out of state_dict."""
        self._add("buffer", name, tensor)
        if persistent:
            self._transient.discard(name)
        else:
            self._transient.add(name)

    def add_module(self, name, module):
        """Adds a submodule, accessible as attribute `name`."""
        self._add("module", name, module)

    register_module = add_module

    # ---- walking the tree --------------------------------------------------------------------------------------------

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """This module and all below it, parents first, each with its dotted name."""
        seen = set() if memo is None else memo
        waiting = [(prefix, self)]
        while waiting:
            path, module = waiting.pop()
            if remove_duplicate:
                if module in seen:
                    continue
                seen.add(module)
            yield path, module
            dot = path and path + "."
            entries = module.__dict__
            waiting += [
                (dot + name, entries[name])
                for name, kind in reversed(entries["_kinds"].items())
                if kind == "module" and entries[name] is not None
            ]

    def modules(self, remove_duplicate=True):
        """This module and all below it, parents first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self):
        """The direct submodules with their names, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def _named_tensors(self, wanted, prefix="", recurse=True, remove_duplicate=True):
        # One loop and no generator: clipping asks for the parameters at every step.
        found = []
        seen = set()
        waiting = [(prefix, self)]
        while waiting:
            path, module = waiting.pop()
            if remove_duplicate:
                if module in seen:
                    continue
                seen.add(module)
            dot = path and path + "."
            entries = module.__dict__
            children = []
            for name, kind in entries["_kinds"].items():
                value = entries[name]
                if kind == wanted:
                    if value is not None and not (remove_duplicate and value in seen):
                        seen.add(value)
                        found.append((dot + name, value))
                elif kind == "module" and value is not None:
                    children.append((dot + name, value))
            if recurse:
                children.reverse()
                waiting += children
        return found

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """All parameters with their dotted names; one that is used in several places comes once."""
        return iter(self._named_tensors("parameter", prefix, recurse, remove_duplicate))

    def parameters(self, recurse=True):
        """All parameters, each once."""
        return iter([tensor for _, tensor in self._named_tensors("parameter", recurse=recurse)])

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """All buffers with their dotted names, each once."""
        return iter(self._named_tensors("buffer", prefix, recurse, remove_duplicate))

    def buffers(self, recurse=True):
        """All buffers, each once."""
        return iter([tensor for _, tensor in self._named_tensors("buffer", recurse=recurse)])

    def get_submodule(self, target):
        """The submodule with this dotted name; '' is the module itself."""
        module = self
        for name in filter(None, target.split(".")):
            if name not in module.__dict__:
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = module.__dict__[name]
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not a Module")
        return module

    def get_parameter(self, target):
        """The parameter with this dotted name."""
        return self._get("parameter", target)

    def get_buffer(self, target):
        """The buffer with this dotted name."""
        return self._get("buffer", target)

    def _get(self, kind, target):
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if module._kinds.get(name) != kind:
            raise AttributeError(f"{module._get_name()} has no {kind} `{name}`")
        return module.__dict__[name]

    # ---- changing all of it ------------------------------------------------------------------------------------------

    def apply(self, fn):
        """Calls `fn` on every submodule, children first, then on this module; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode=True):
        """Sets training mode (dropout acts, batch norm uses batch statistics) here and below; returns the module."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, but got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Sets evaluation mode, the same as `train(False)`."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Says for all parameters whether gradients are recorded for them; returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none=True):
        """Clears the gradients of all parameters: drops them, or fills them with zeros if `set_to_none` is false."""
        if set_to_none:
            _core.clear_grads(list(self.parameters()))
            return
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad = parameter.grad.detach().zero_()

    def _apply(self, fn):
        """Replaces the data of every parameter, gradient and buffer by `fn` of it; Parameters stay the same objects."""
        for parameter in self.parameters():
            grad = parameter.grad
            parameter.grad = None
            parameter.data = fn(parameter.data)
            if grad is not None:
                parameter.grad = fn(grad.detach())
        for module in self.modules():
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    setattr(module, name, fn(buffer))
        return self

    def to(self, *args, **kwargs):
        """Converts floating-point parameters and buffers: `to(dtype)`, `to(device, dtype)` or `to(tensor)`."""
        probe = _core.empty(0).to(*args, **kwargs)  # checks the arguments
        given = (*args, *kwargs.values())
        if not any(isinstance(value, (Tensor, _core.dtype)) for value in given):
            return self
        if not probe.is_floating_point():
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got {probe.dtype}")
        return self._apply(lambda t: t.to(probe.dtype) if t.is_floating_point() else t)

    def float(self):
        """Converts floating-point parameters and buffers to float32."""
        return self.to(_core.float32)

    def double(self):
        """Converts floating-point parameters and buffers to float64."""
        return self.to(_core.float64)

    def cuda(self, device=None):
        """Raises RuntimeError: there is no GPU here; take ``cuda.is_available()`` into account, or leave it out."""
        return self.to("cuda" if device is None else device)

    def cpu(self):
        """Returns the module: all of fastgrad is on the CPU."""
        return self

    # ---- hooks -------------------------------------------------------------------------------------------------------

    def _own_hooks(self):
        if self._hooks is None:
            self.__dict__["_hooks"] = Hooks()
        return self._hooks

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Runs `hook(module, args)` before `forward`; what it returns, if not None, replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)`, returning None or `(args, kwargs)`.
        """
        return RemovableHandle(self._own_hooks().before, (hook, with_kwargs), prepend)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Runs `hook(module, args, output)` after `forward`; what it returns, if not None, replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`.
        """
        return RemovableHandle(self._own_hooks().after, (hook, with_kwargs), prepend)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Runs `hook(module, grad_output)` before the backward pass of the module.

        `grad_output` is the tuple of the gradients of its outputs; what the hook returns, if not None, replaces it.
        """
        return RemovableHandle(self._own_hooks().before_backward, hook, prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Runs `hook(module, grad_input, grad_output)` when the gradients of the module's inputs are known.

        `grad_input` is the tuple of the gradients of the positional arguments, None for what is no Tensor or needs no
        gradient; what the hook returns, if not None, replaces it.
        """
        return RemovableHandle(self._own_hooks().after_backward, hook, prepend)

    # ---- state -------------------------------------------------------------------------------------------------------

    def _state(self, prefix=""):
        """Every entry of the state as (key, tensor), in the order of state_dict."""
        entries, kinds = self.__dict__, self._kinds.items()
        for wanted in ("parameter", "buffer"):
            for name, kind in kinds:
                if kind == wanted and entries[name] is not None and name not in self._transient:
                    yield prefix + name, entries[name]
        for name, kind in kinds:
            if kind == "module" and entries[name] is not None:
                yield from entries[name]._state(f"{prefix}{name}.")

    def state_dict(self, *, destination=None, prefix="", keep_vars=False):
        """All parameters and persistent buffers by dotted name.

        The Tensors share memory with the module's. They are detached unless `keep_vars`.
        """
        state = OrderedDict() if destination is None else destination
        for key, tensor in self._state(prefix):
            state[key] = tensor if keep_vars else tensor.detach()
        return state

    def load_state_dict(self, state_dict, strict=True):
        """Copies `state_dict` into the parameters and buffers; nothing is changed if anything does not fit.

        Args:
            state_dict: Tensors by dotted name, as `state_dict()` returns them.
            strict: whether missing and unexpected keys are errors.

        Returns: a named tuple of the lists `missing_keys` and `unexpected_keys`.

        Raises: RuntimeError that lists every missing and unexpected key and every size that differs.
        """
        if not hasattr(state_dict, "keys"):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        own = dict(self._state())
        missing = [key for key in own if key not in state_dict]
        unexpected = [key for key in state_dict if key not in own]
        problems = []
        if strict and missing:
            problems.append("Missing key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in missing)))
        if strict and unexpected:
            problems.append("Unexpected key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in unexpected)))
        for key, tensor in own.items():
            if key not in state_dict:
                continue
            value = state_dict[key]
            if not isinstance(value, Tensor):
                kind = f"{type(value).__module__}.{type(value).__qualname__}"
                problems.append(f'expected a Tensor for "{key}", but got {kind}; fastgrad.as_tensor makes one of it.')
            elif value.shape != tensor.shape:
                problems.append(
                    f"size mismatch for {key}: copying a param with shape {tuple(value.shape)} from checkpoint, "
                    f"the shape in current model is {tuple(tensor.shape)}."
                )
        if problems:
            raise RuntimeError(f"Error(s) in loading state_dict for {self._get_name()}:\n\t" + "\n\t".join(problems))
        with _core.no_grad():
            for key, tensor in own.items():
                if key in state_dict:
                    tensor.copy_(state_dict[key])
        return IncompatibleKeys(missing, unexpected)

    # ---- printing ----------------------------------------------------------------------------------------------------

    def _get_name(self):
        return type(self).__name__

    def extra_repr(self):
        """What stands between the parentheses in the module's repr, besides submodules."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._modules.items()]
        if not children and len(lines) < 2:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"

    def _repr_html_(self):
        """What a notebook shows: the module as it prints, and its parameters to unfold."""
        from fastgrad.viz._notebook import module_html

        return module_html(self)
