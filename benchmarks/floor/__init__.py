"""The floor of a training step: hand-written C (mlp.c), built on demand and called through ctypes.

The loop over steps is inside the C function, so Python's cost of a call is not in what is timed.
Matrix products run on the OpenBLAS that NumPy brings, by pointer, or on gemm.h where that is faster.
"""

import atexit
import ctypes
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile
from itertools import pairwise

import numpy as np

SOURCE = pathlib.Path(__file__).parent / "mlp.c"
FLAGS = ["-O3", "-march=native", "-fno-math-errno", "-std=gnu11", "-fPIC", "-shared"]
USE = {"fastest": 0, "blas": 1, "own": 2}
PRODUCTS = ("forward", "d_input", "d_weight")


class FloorError(Exception):
    """The floor cannot be built or run here; the message says why."""


class _Hyper(ctypes.Structure):
    _fields_ = [(name, ctypes.c_float) for name in ("lr", "beta1", "beta2", "eps", "weight_decay")]


@functools.cache
def openblas():
    """The address of sgemm in NumPy's own OpenBLAS, whose integers are 64 bits wide."""
    folder = pathlib.Path(np.__file__).parent.parent / "numpy.libs"
    for path in sorted(folder.glob("libscipy_openblas64_*")):
        return ctypes.cast(ctypes.CDLL(str(path)).scipy_cblas_sgemm64_, ctypes.c_void_p).value
    raise FloorError("NumPy brings no OpenBLAS of the layout this benchmark knows")


@functools.cache
def library():
    """Compiles mlp.c for this processor into a temporary folder and loads it."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        raise FloorError(f"no C compiler: {compiler[0]} is not on PATH")
    folder = tempfile.mkdtemp(prefix="floor-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    built = os.path.join(folder, "floor.so")
    done = subprocess.run([*compiler, *FLAGS, str(SOURCE), "-o", built, "-lm"], capture_output=True, text=True)
    if done.returncode:
        raise FloorError(f"{compiler[0]} failed on {SOURCE.name}: {done.stderr.strip()}")
    lib = ctypes.CDLL(built)
    pointer, integer = ctypes.c_void_p, ctypes.c_int64
    lib.floor_new.restype = pointer
    lib.floor_new.argtypes = [integer, pointer, integer, ctypes.c_int, ctypes.POINTER(_Hyper), pointer, ctypes.c_int]
    lib.floor_params.restype = pointer
    lib.floor_params.argtypes = [pointer]
    lib.floor_own.argtypes = [pointer, integer, ctypes.c_int]
    lib.floor_run.restype = None
    lib.floor_run.argtypes = [pointer, pointer, pointer, integer, pointer]
    lib.floor_free.restype = None
    lib.floor_free.argtypes = [pointer]
    return lib


class Mlp:
    """One net with its optimiser. `params` are NumPy arrays in PyTorch's order: weight [out, in], bias, weight, ..."""

    def __init__(self, sizes, batch, params, optimizer, *, lr, weight_decay=0.0, use="fastest"):
        lib, address = library(), openblas()
        self.sizes, self.batch = np.array(sizes, np.int64), batch
        hyper = _Hyper(lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=weight_decay)
        adamw = {"sgd": 0, "adamw": 1}[optimizer]
        self._handle = lib.floor_new(len(sizes) - 1, self.sizes.ctypes.data, batch, adamw, hyper, address, USE[use])
        if not self._handle:
            raise MemoryError(f"the floor's buffers for {sizes} with batch {batch}")
        flat = [p.T if p.ndim == 2 else p for p in params]
        self._flat()[:] = np.concatenate([np.ravel(p) for p in flat])

    def __del__(self):
        if getattr(self, "_handle", None):
            library().floor_free(self._handle)

    def _flat(self):
        count = sum(i * o + o for i, o in pairwise(self.sizes))
        address = library().floor_params(self._handle)
        return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), (count,))

    def params(self):
        """Copies of the parameters, as the constructor takes them."""
        found, flat, at = [], self._flat(), 0
        for i, o in pairwise(self.sizes):
            found += [flat[at : at + i * o].reshape(i, o).T.copy(), flat[at + i * o : at + i * o + o].copy()]
            at += i * o + o
        return found

    def choices(self):
        """Which products run on gemm.h rather than on OpenBLAS: {"layer 0 forward": True, ...}."""
        own, layers = library().floor_own, range(len(self.sizes) - 1)
        wanted = [(k, which) for k in layers for which in range(3) if (k, PRODUCTS[which]) != (0, "d_input")]
        return {f"layer {k} {PRODUCTS[which]}": bool(own(self._handle, k, which)) for k, which in wanted}

    def run(self, x, labels, steps, *, losses=False):
        """`steps` training steps on one batch (float32 [batch, in], int64 [batch]); returns the losses when asked."""
        if x.shape != (self.batch, self.sizes[0]) or x.dtype != np.float32 or not x.flags.c_contiguous:
            raise ValueError(f"x must be contiguous float32 of shape {(self.batch, self.sizes[0])}")
        if labels.shape != (self.batch,) or labels.dtype != np.int64 or not labels.flags.c_contiguous:
            raise ValueError(f"labels must be contiguous int64 of shape {(self.batch,)}")
        if labels.size and not 0 <= labels.min() <= labels.max() < self.sizes[-1]:
            raise ValueError(f"labels must lie in [0, {self.sizes[-1]})")
        out = np.empty(steps, np.float32) if losses else None
        library().floor_run(self._handle, x.ctypes.data, labels.ctypes.data, steps, out.ctypes.data if losses else None)
        return out
