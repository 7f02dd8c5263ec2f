"""What the functions composed in Python share: how one becomes public, and how arguments are read. Imports the core."""

import functools

from fastgrad._core import Tensor, table
from fastgrad._core.order import axis_of  # noqa: F401  (read with the others here)


def publish(function=None, *, method=True, name=None, inplace=False):
    """Makes a function public, as a method of Tensor too; `inplace`: with the in-place method that follows from it."""
    if function is None:
        return functools.partial(publish, method=method, name=name, inplace=inplace)
    return table.publish(function, method=method, name=name, inplace=in_place(function) if inplace else None)


def in_place(function):
    """The in-place form of a function: the result written into the tensor."""

    def run(self, *args, **kwargs):
        return self.copy_(function(self, *args, **kwargs))

    run.__wrapped__ = function  # its signature
    run.__name__ = run.__qualname__ = function.__name__ + "_"
    run.__doc__ = f"In-place form of `{function.__name__}`: writes the result into this tensor and returns it."
    return run


def expect_tensor(x, who):
    if not isinstance(x, Tensor):
        raise TypeError(f"{who}: expected a Tensor, got {type(x).__name__}")


def listed(items):
    """What may be given as f(a, b) or f((a, b)): as a tuple. Of one argument that is a sequence, its items."""
    return tuple(items[0]) if len(items) == 1 and not isinstance(items[0], (Tensor, int)) else items
