"""`Parameter` under the name of the module where PyTorch has it."""

from fastgrad._core import Parameter

__all__ = ["Parameter"]
