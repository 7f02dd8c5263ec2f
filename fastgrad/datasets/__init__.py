"""Real data that ships inside the package, as NumPy arrays. Imports NumPy alone."""

from ._digits import load_digits
from ._split import stratified_split

__all__ = ["load_digits", "stratified_split"]
