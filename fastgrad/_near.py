"""Did you mean: the nearest name that exists, for what is raised anyway. Imports nothing of the package."""

VARIADIC = 8  # flag of a code object that takes **kwargs


def hint(name, names):
    """'; did you mean ...?' with the nearest of some names, or nothing where none is near.

    >>> hint("sigmod", ["sigmoid", "sign"])
    "; did you mean 'sigmoid'?"
    """
    import difflib

    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def missing(module, namespace):
    """The `__getattr__` of a module: raises with the nearest public name. Not for modules on a hot path, since the
    interpreter does not cache where it found a name in a module that has one."""

    def find(name):
        near = "" if name.startswith("_") else hint(name, [n for n in namespace if not n.startswith("_")])
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
            raise TypeError(f"{cls.__name__}.__init__() got an unexpected keyword argument {name!r}{hint(name, names)}")
