"""What this installation of fastgrad is made of, and BLAS threads on request. Imports the core."""

import os
import platform

import numpy as np

from ._core import _blas
from ._core.tensor import blas_state, chosen_set, kernel_sets, set_blas_threads
from ._version import __version__


def show_config():
    """Versions, instruction set, BLAS and threads in use, as a text of one line each."""
    sets = ", ".join(name for name, supported in kernel_sets() if supported)
    rows = {
        "fastgrad": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "instruction set": f"{chosen_set()} (this processor runs {sets}; FASTGRAD_ISA chooses)",
        "BLAS": f"{_blas.info()} (FASTGRAD_BLAS chooses)",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows.items())


def get_num_threads():
    """The number of threads that BLAS uses for large products; 1 where there is no BLAS or it does not say."""
    return blas_state()[2] or 1


def set_num_threads(n):
    """Sets the number of threads that BLAS uses for large products. This holds for the whole process, NumPy included.

    fastgrad never sets it by itself. Raises RuntimeError where the BLAS in use cannot be told.
    """
    if n < 1:
        raise ValueError(f"set_num_threads: expected a positive number, got {n}")
    if not set_blas_threads(n) and n != get_num_threads():
        raise RuntimeError("set_num_threads: the BLAS in use cannot be told how many threads to use")
