"""What the tape saves, under PyTorch's module name. Imports the core."""

from fastgrad._core import saved_tensors_hooks

__all__ = ["saved_tensors_hooks"]
