"""A function run once with everything it does kept: ops, tensors, modules. Imports the core and nn."""

import inspect
from dataclasses import dataclass, field

from fastgrad._core import Tensor
from fastgrad._core.watch import Watcher, line_of, place
from fastgrad.nn import Module


@dataclass(slots=True)
class Step:
    """One op that ran: its record, the tensors it read and made, its attributes, and where it was called.

    modules: the modules it ran in, outermost first, as (path, module, which call). node: the address of the node it left on
    the tape (0: none). within: the address of the node whose backward it ran in (0: none). line: (file, number) or None.
    """

    op: object
    outs: tuple
    ins: tuple
    attrs: object
    dtype: object
    modules: tuple
    node: int
    within: int
    line: tuple | None
    order: float = field(repr=False, default=0.0)


def module_names():
    """A function from nested modules to their dotted path, the outermost named by its class."""
    known = {}

    def path_of(modules):
        path = ""
        for outer, inner in zip((None, *modules), modules, strict=False):
            if outer is None:
                path = type(inner).__name__
                continue
            if outer not in known:
                known[outer] = {module: name for name, module in outer.named_modules()}
            path += "." + known[outer].get(inner, type(inner).__name__)
        return path

    return path_of


def read(watcher):
    """The steps of a watcher that kept its tensors, in the order in which they ran."""
    events = watcher.events()
    path_of = module_names()
    around = []  # of each event: (modules as (path, module, call), node under way)
    steps = []
    for k, (kind, parent, what, times, dtype, outs, ins, attrs, node, where) in enumerate(events):
        modules, within = around[parent] if parent >= 0 else ((), 0)
        if kind == "module":
            path = path_of((*(m for _, m, _ in modules), what))
            modules = (*modules, (path, what, k))
        elif kind == "node":
            within = node
        around.append((modules, within))
        if kind == "view" and place(outs[0]) == place(ins[0]):
            continue  # the same tensor under another name
        if kind == "view" or (kind == "op" and times[1] is not None):
            step = Step(what, outs, ins, attrs, dtype, modules, node, within, line_of(where), times[1] or times[0])
            steps.append(step)
    steps.sort(key=lambda step: step.order)
    return steps


def trace(function, *arguments):
    """Runs a function; returns what it returned and its steps."""
    watcher = Watcher(keep=True)
    watcher.start()
    try:
        result = function(*arguments)
    finally:
        watcher.stop()
    return result, read(watcher)


def argument_names(function, arguments):
    """A name for each argument: that of the parameter where there is one."""
    target = function.forward if isinstance(function, Module) else function
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
    names = plain[: len(arguments)]
    stem = rest[0] if rest else "x"
    return names + [f"{stem}{k}" for k in range(len(arguments) - len(names))]


def named_tensors(function, arguments, names=None):
    """{place: (name, Tensor)} of what has a name: arguments, parameters and buffers of a module, and `names`."""
    found = {}
    if names is not None:
        if isinstance(names, Module):
            names = dict(names.named_parameters())
        for name, tensor in names.items():
            found.setdefault(place(tensor), (name, tensor))
    for name, value in zip(argument_names(function, arguments), arguments, strict=True):
        if isinstance(value, Tensor):
            found.setdefault(place(value), (name, value))
    owner = function if isinstance(function, Module) else getattr(function, "__self__", None)
    if isinstance(owner, Module):
        for name, tensor in (*owner.named_parameters(), *owner.named_buffers()):
            found.setdefault(place(tensor), (name, tensor))
    return found


def only_tensor(result, who):
    """The one output of a traced function."""
    if not isinstance(result, Tensor):
        raise TypeError(f"{who}: the function must return one Tensor, but returned {type(result).__name__}")
    return result
