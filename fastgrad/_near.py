"""Did you mean: the nearest name that exists, for what is raised anyway. Imports nothing of the package."""

import sys

VARIADIC = 8  # flag of a code object that takes **kwargs


def hint(name, names):
    """'; did you mean ...?' with the nearest of some names, or nothing where none is near.

    >>> hint("sigmod", ["sigmoid", "sign"])
    "; did you mean 'sigmoid'?"
    """
    import difflib

    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def unexpected(function, name, names):
    """Raises TypeError for a keyword that a function does not take, with the nearest one that it does, or all of them.

    >>> unexpected("sum", "dims", ["input", "dim", "keepdim"])
    Traceback (most recent call last):
    TypeError: sum() got an unexpected keyword argument 'dims'; did you mean 'dim'?
    """
    names = [n for n in names if n not in ("self", "cls")]
    near = hint(name, names) or "; it takes " + ", ".join(names)
    raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{near}")


def missing(module, namespace):
    """The `__getattr__` of a module: raises with the nearest public name, a submodule only where nothing else is near. Not
    for modules on a hot path, since the interpreter does not cache where it found a name in a module that has one."""

    def find(name):
        names = [] if name.startswith("_") else [n for n in namespace if not n.startswith("_")]
        near = hint(name, [n for n in names if type(namespace[n]) is not type(sys)]) or hint(name, names)
        raise AttributeError(f"module {module!r} has no attribute {name!r}{near}", name=name)

    return find


def check_keywords(cls, kwargs):
    """Raises TypeError for a keyword that the constructor of a class does not take, with the nearest one that it does.

    >>> class Layer:
    ...     def __init__(self, width, bias=True): ...
    >>> check_keywords(Layer, {"bais": False})
    Traceback (most recent call last):
    TypeError: Layer.__init__() got an unexpected keyword argument 'bais'; did you mean 'bias'?
    """
    code = getattr(cls.__init__, "__code__", None)
    if code is None or code.co_flags & VARIADIC:
        return
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    for name in kwargs:
        if name not in names:
            unexpected(f"{cls.__name__}.__init__", name, names)
