"""The environment that a comparison runs in, and the machine it runs on. Imports the standard library only."""

import os
import pathlib
import platform
import sys

# Read once, when the library is loaded. The first two choose kernels and blocking meant for another processor.
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
REMOVED = "FASTGRAD_BENCH_REMOVED"  # says after a restart what it removed
ONE_THREAD_OF_XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def wanted(threads=1):
    """The variables as they must be when the libraries are loaded."""
    found = dict.fromkeys(THREADS, str(threads)) | {"JAX_PLATFORMS": "cpu"}
    if threads == 1:
        found["XLA_FLAGS"] = ONE_THREAD_OF_XLA
    return found


def pin(threads=1):
    """Removes what slows BLAS and sets the threads, for libraries loaded after this. Returns what was removed."""
    os.environ.update(wanted(threads))
    removed = [name for name in SLOWING if os.environ.pop(name, None) is not None]
    if removed:
        os.environ[REMOVED] = ", ".join(removed)
    return removed


def restart_pinned(threads=1):
    """Restarts this program in the pinned environment unless it is in it: a loaded library does not read it again."""
    slowing = any(name in os.environ for name in SLOWING)
    if slowing or any(os.environ.get(name) != value for name, value in wanted(threads).items()):
        for name in pin(threads):
            print(f"{name} is set and slows OpenBLAS: starting again without it", file=sys.stderr, flush=True)
        os.execv(sys.executable, sys.orig_argv)


def variables():
    """What of the environment slows or chooses something, as a text."""
    chosen = [f"{name}={os.environ[name]}" for name in ("FASTGRAD_ISA", "FASTGRAD_BLAS") if name in os.environ]
    removed = [f"{name} removed" for name in os.environ.get(REMOVED, "").split(", ") if name]
    return ", ".join(removed + chosen) or "none that slows or chooses"


def processor():
    """The name of the processor."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
