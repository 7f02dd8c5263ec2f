"""Where the time and the memory of a training step go: `profile`, and `compare` with the same step in pure Python."""

from fastgrad._near import missing as _missing
from fastgrad.profiler._compare import Comparison, compare
from fastgrad.profiler._memory import Held, Memory
from fastgrad.profiler._profile import Profile, Row, profile, record_function

__all__ = ["Comparison", "Held", "Memory", "Profile", "Row", "compare", "profile", "record_function"]

__getattr__ = _missing(__name__, globals())
