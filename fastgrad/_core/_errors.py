"""Exceptions whose type both PyTorch and NumPy users expect. Imports nothing."""


class ShapeError(RuntimeError, ValueError):
    """Shapes do not fit: a RuntimeError as in PyTorch and a ValueError as in NumPy."""


class DTypeError(NotImplementedError, TypeError):
    """An operation does not exist for a dtype: a NotImplementedError (a RuntimeError) as in PyTorch, a TypeError as in NumPy."""


class OutOfRange(RuntimeError, IndexError):
    """An index tensor holds what is no index: a RuntimeError as in PyTorch and an IndexError as in NumPy."""


class NoIndex(IndexError, TypeError):
    """What stands between brackets cannot index: a TypeError as in PyTorch and an IndexError as in NumPy."""


class NoMatrix(RuntimeError, TypeError):
    """A number in a matrix product: a TypeError as in PyTorch, and a RuntimeError as there for a tensor without dimensions."""


class MissingState(LookupError):
    """A parameter with a gradient has no optimiser state yet; nothing was changed."""


class ForgottenZeroGrad(UserWarning):
    """An optimiser steps with gradients that hold those of the step before as well: `zero_grad` was not called."""
