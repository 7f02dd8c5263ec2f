"""What is neither a network nor an optimiser: data loading, checkpointing."""

from fastgrad._near import missing as _missing
from fastgrad.utils import checkpoint, data

__all__ = ["checkpoint", "data"]

__getattr__ = _missing(__name__, globals())
