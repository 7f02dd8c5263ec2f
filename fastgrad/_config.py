"""What this installation of fastgrad is made of, and BLAS threads on request. Imports the core."""

import os
import platform

import numpy as np

from ._core import _blas
from ._core.kernels import blas_state, chosen_set, kernel_sets, set_blas_threads, set_threads, threads
from ._version import __version__


def show_config(mode="stdout"):
    """Prints versions, instruction set, BLAS and threads in use, one line each; `fastgrad info` does the same.

    mode: "stdout" prints and returns None; "dicts" returns a dictionary of texts instead, as of numpy.show_config. Raises
        ValueError for any other.

    >>> import fastgrad as fg
    >>> fg.show_config("dicts")["fastgrad"] == fg.__version__
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"show_config: mode should be 'stdout' or 'dicts', got {mode!r}")
    sets = ", ".join(name for name, supported in kernel_sets() if supported)
    rows = {
        "fastgrad": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "instruction set": f"{chosen_set()} (this processor runs {sets}; FASTGRAD_ISA chooses)",
        "BLAS": f"{_blas.info()} (FASTGRAD_BLAS chooses)",
        "threads": f"{get_num_threads()} for large products, {threads()} for large elementwise operations",
    }
    if mode == "dicts":
        return rows
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {text}" for name, text in rows.items()))
    return None


def get_num_threads():
    """The number of threads that BLAS uses for large products; 1 where there is no BLAS or it does not say."""
    return blas_state()[2] or 1


def set_num_threads(n):
    """Sets the number of threads for large products, which BLAS runs, and for large elementwise operations.

    Until it is called, products use what BLAS has chosen and elementwise operations one thread. From then on operations on
    64 thousand elements and more (16 thousand for exponentials and the like) are divided among up to n threads, with
    the same bits as a result; where the other processors turn out to be busy they go on with one. The number of BLAS
    holds for the whole process, NumPy included. Raises RuntimeError where the BLAS in use cannot be told.

    >>> import fastgrad as fg
    >>> fg.set_num_threads(1)
    """
    if n < 1:
        raise ValueError(f"set_num_threads: expected a positive number, got {n}")
    if not set_blas_threads(n) and n != get_num_threads():
        raise RuntimeError("set_num_threads: the BLAS in use cannot be told how many threads to use")
    set_threads(n)


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Does nothing: with equal seeds and equal numbers of threads, results are equal to the last bit in any case.

    >>> import fastgrad as fg
    >>> fg.use_deterministic_algorithms(True)
    """


def set_float32_matmul_precision(precision):
    """Does nothing: products of float32 are computed in float32. precision: "highest", "high" or "medium", else ValueError.

    >>> import fastgrad as fg
    >>> fg.set_float32_matmul_precision("high")
    """
    if precision not in ("highest", "high", "medium"):
        raise ValueError(
            f"set_float32_matmul_precision: precision should be 'highest', 'high' or 'medium', got {precision!r}"
        )
