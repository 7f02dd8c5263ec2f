"""Which BLAS library does the large matrix products: the one NumPy brings, where it can be found.

It is in the process already, with its threads, and calling it costs nothing (fastgrad's C core has the pointer). A library is
taken only after it has multiplied two small matrices of integers rightly; without one every product is fastgrad's own.

FASTGRAD_BLAS chooses: `auto` (the default) tries the providers in order, `numpy` only NumPy's, `own` none, anything else is
the path of a library.
"""

import os
from glob import glob
from pathlib import Path
from typing import NamedTuple

import numpy

from .kernels import blas_state, close_blas, open_blas


class Provider(NamedTuple):
    """Where a library may be and what its symbols are called. A suffix with "64" means 64-bit integers."""

    name: str
    patterns: tuple  # relative to the folder that holds numpy, or absolute; none: whatever is loaded
    prefix: str
    suffix: str


PROVIDERS = (
    # Wheels of NumPy for Linux and Windows keep it beside the package, those for macOS inside.
    Provider("numpy", ("numpy.libs/libscipy_openblas64_*", "numpy/.dylibs/libscipy_openblas64_*"), "scipy_", "64_"),
    Provider("numpy", ("numpy.libs/libscipy_openblas-*", "numpy/.dylibs/libscipy_openblas.*"), "scipy_", ""),
    Provider("accelerate", ("/System/Library/Frameworks/Accelerate.framework/Accelerate",), "", "$NEWLAPACK$ILP64"),
    Provider("loaded", (), "", "64_"),
    Provider("loaded", (), "", ""),
)

REFUSED = {1: "there is no such library", 2: "it has no cblas_sgemm and cblas_dgemm", 3: "its products are wrong"}

_chosen = "own"
_refusals = []


def candidates(wanted):
    """(provider's name, path or None, prefix, suffix) of every library to try, in order."""
    if wanted not in ("auto", "numpy"):
        # Its symbols may be named in any of the ways that are known.
        for prefix, suffix in dict.fromkeys((p.prefix, p.suffix) for p in PROVIDERS):
            yield "path", wanted, prefix, suffix
        return
    beside = Path(numpy.__file__).parent.parent
    for provider in PROVIDERS:
        if wanted == "numpy" and provider.name != "numpy":
            continue
        if not provider.patterns:
            yield provider.name, None, provider.prefix, provider.suffix
        for pattern in provider.patterns:
            for path in sorted(glob(str(beside / pattern))) or ([pattern] if os.path.isabs(pattern) else []):
                yield provider.name, path, provider.prefix, provider.suffix


def choose(wanted=None):
    """Takes the first library that is right, None: as FASTGRAD_BLAS says; returns what `info()` says of it.

    Raises ImportError where a library was asked for by name and cannot be used.
    """
    global _chosen
    wanted = wanted or os.environ.get("FASTGRAD_BLAS") or "auto"
    close_blas()
    _chosen = "own"
    _refusals.clear()
    if wanted == "own":
        return info()
    for name, path, prefix, suffix in candidates(wanted):
        code = open_blas(None if path is None else os.fsencode(path), prefix.encode(), suffix.encode())
        if code == 0:
            _chosen = name if path is None else f"{name} ({os.path.basename(path)})"
            return info()
        if path is not None and code != 1:
            _refusals.append(f"{path}: {REFUSED[code]}")
    if wanted != "auto":
        reasons = "; ".join(dict.fromkeys(_refusals)) or REFUSED[1]
        raise ImportError(f"FASTGRAD_BLAS={wanted}: {reasons}; it may be auto, numpy, own or the path of a library")
    return info()


def info():
    """One line for `show_config()`: the library, the processor kernel it runs, its threads, and what was refused."""
    _, core, threads = blas_state()
    parts = [_chosen] + ([core] if core else []) + ([f"{threads} threads"] if threads else [])
    refused = f"; refused: {'; '.join(dict.fromkeys(_refusals))}" if _refusals else ""
    return ", ".join(parts) + refused
