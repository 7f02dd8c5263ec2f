"""Builds the extension modules; everything else about the project is in pyproject.toml.

Every fastgrad/_core/NAME.pyx is one extension. Exactly one of them, tensor, links the C kernels: the others reach
kernels and state through its .pxd, so a kernel table or a cache exists once in a process.

FASTGRAD_BUILD=debug turns on Cython's checks and assertions; asan adds AddressSanitizer and UBSan to that. Each kind
of build has its own folder, since neither Cython nor the compiler notices that only the options changed.
"""

import os
import sys
from glob import glob
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

BUILD = os.environ.get("FASTGRAD_BUILD", "release")
BUILDS = ("release", "debug", "asan")
if BUILD not in BUILDS:
    raise SystemExit(f"FASTGRAD_BUILD is {BUILD!r}; it may be one of {', '.join(BUILDS)}")
CHECKED = BUILD != "release"
BUILD_BASE = "build" if BUILD == "release" else f"build/{BUILD}"
JOBS = min(2, os.cpu_count() or 1)

DIRECTIVES = {
    "language_level": 3,
    "binding": True,  # rules are inspected by argument name, and users call inspect.signature
    "embedsignature": False,  # binding gives the signature; a second copy would only head every docstring
    "cdivision": True,
    "boundscheck": CHECKED,
    "wraparound": False,
    "initializedcheck": CHECKED,
    "nonecheck": CHECKED,
}

MACROS = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
]

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]


def compile_args():
    if sys.platform == "win32":
        return ["/O2", "/std:c11"]
    # errno and floating-point traps are never read here, and honouring them would keep loops from being vectorised.
    # Neither option changes a result. Contraction to fused multiply-add does: each instruction set's file asks for it.
    args = ["-std=c11", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
    if not CHECKED:
        return ["-O3", *args]
    args = ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer", *args]
    return args + SANITIZERS if BUILD == "asan" else args


def extension(pyx):
    name = Path(pyx).stem
    c_files = sorted(glob("csrc/**/*.[ch]", recursive=True))
    # A *.inc.c is included by the wrapper of each instruction set; it is no translation unit of its own.
    kernels = [path for path in c_files if path.endswith(".c") and not path.endswith(".inc.c")]
    return Extension(
        f"fastgrad._core.{name}",
        sources=[pyx, *(kernels if name == "tensor" else [])],
        include_dirs=["csrc", numpy.get_include()],
        define_macros=MACROS,
        extra_compile_args=compile_args(),
        extra_link_args=SANITIZERS if BUILD == "asan" else [],
        depends=c_files,
    )


extensions = [extension(pyx) for pyx in sorted(glob("fastgrad/_core/*.pyx"))]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir=f"{BUILD_BASE}/cython",
        compiler_directives=DIRECTIVES,
        annotate=BUILD == "debug",  # the HTML that shows which lines call into Python
        nthreads=JOBS if sys.platform == "linux" else 0,  # elsewhere the workers would run this file again
    ),
    options={"build": {"build_base": BUILD_BASE}, "build_ext": {"parallel": JOBS}},
)
