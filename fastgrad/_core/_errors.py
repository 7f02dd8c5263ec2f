"""Exceptions whose type both PyTorch and NumPy users expect. Imports nothing."""


class ShapeError(RuntimeError, ValueError):
    """Shapes do not fit: a RuntimeError as in PyTorch and a ValueError as in NumPy."""


class DTypeError(RuntimeError, TypeError):
    """An operation does not exist for a dtype: a RuntimeError as in PyTorch and a TypeError as in NumPy."""


class MissingState(LookupError):
    """A parameter with a gradient has no optimiser state yet; nothing was changed."""


class ForgottenZeroGrad(UserWarning):
    """An optimiser steps with gradients that hold those of the step before as well: `zero_grad` was not called."""
