"""Custom functions under PyTorch's module name. Imports the core."""

from fastgrad._core import Function, once_differentiable

__all__ = ["Function", "once_differentiable"]
