"""The computational graph, to look at: drawn, told step by step, and written out as flat NumPy code.

Everything is read from what runs: the records of ops, and the nodes they leave on the tape.
"""

from fastgrad.viz._flat import FlatCode, to_flat_numpy

__all__ = ["FlatCode", "to_flat_numpy"]
