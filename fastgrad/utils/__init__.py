"""What is neither a network nor an optimiser: data loading, checkpointing."""

from fastgrad.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
