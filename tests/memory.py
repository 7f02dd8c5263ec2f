"""For tests that say that a process does not grow."""

import ctypes
import sys

import pytest

SANITIZED = sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "__asan_init")

measures_memory = pytest.mark.skipif(
    not sys.platform.startswith("linux") or SANITIZED,
    reason="reads /proc; AddressSanitizer keeps what was freed for a while, and counts itself what was not",
)
