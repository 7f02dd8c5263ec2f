"""What is neither a network nor an optimiser: data loading."""

from fastgrad.utils import data

__all__ = ["data"]
