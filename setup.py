"""Builds the extension modules; everything else about the project is in pyproject.toml.

Every fastgrad/_core/NAME.pyx is one extension. Exactly one of them, kernels, links the C kernels: the others reach
kernels and state through its .pxd, so a kernel table or a cache exists once in a process.

FASTGRAD_BUILD=debug turns on Cython's checks and assertions; asan adds AddressSanitizer and UBSan to that. Each kind
of build has its own folder, since neither Cython nor the compiler notices that only the options changed.
"""

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

import Cython
import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

BUILD = os.environ.get("FASTGRAD_BUILD", "release")
BUILDS = ("release", "debug", "asan")
if BUILD not in BUILDS:
    raise SystemExit(f"FASTGRAD_BUILD is {BUILD!r}; it may be one of {', '.join(BUILDS)}")
CHECKED = BUILD != "release"
BUILD_BASE = "build" if BUILD == "release" else f"build/{BUILD}"
JOBS = min(2, os.cpu_count() or 1)
LINKS_KERNELS = "fastgrad._core.kernels"
GENERATED = f"{BUILD_BASE}/cython-{Cython.__version__}"

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


# What runs at every operation. The rest is made small, by 40% of its size: a step of a tiny network takes 1% more
# instructions with it, an index 3%.
FAST = {"backward", "call", "linalg", "memory", "multi", "plan", "program", "tensor"}


def compile_args(fast=True):
    if sys.platform == "win32":
        return ["/O2" if fast else "/O1", "/std:c11"]
    # errno and floating-point traps are never read here, and honouring them would keep loops from being vectorised.
    # Neither option changes a result. Contraction to fused multiply-add does: each instruction set's file asks for it.
    args = ["-std=c11", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"]
    if not CHECKED:
        return ["-O3" if fast else "-Os", "-g0", *args]
    # What newer compilers refuse by themselves.
    args = ["-O1", "-UNDEBUG", "-fno-omit-frame-pointer", "-Werror=incompatible-pointer-types", *args]
    # Lines are all that a sanitizer's report shows; with variables its build takes twice as long.
    return ["-g1", *args, *SANITIZERS] if BUILD == "asan" else ["-g", *args]


def link_args():
    if BUILD == "asan":
        return SANITIZERS
    return ["-Wl,-s"] if sys.platform == "linux" and not CHECKED else []  # no names of static functions


C_FILES = sorted(glob("csrc/**/*.[ch]", recursive=True))
# A *.inc.c is included by the wrapper of each instruction set; it is no translation unit of its own.
KERNELS = [path for path in C_FILES if path.endswith(".c") and not path.endswith(".inc.c")]
INCLUDED = [path for path in C_FILES if path not in KERNELS]


class BuildExt(build_ext):
    """Compiles the kernels apart: they take most of the time and know no Python, so a change to a .pyx or another
    version of CPython finds them compiled."""

    def build_extensions(self):
        self.mkpath(f"{BUILD_BASE}/kernels")
        with ThreadPoolExecutor(JOBS) as pool:
            objects = list(pool.map(self.kernel_object, KERNELS))
        for ext in self.extensions:
            if ext.name == LINKS_KERNELS:
                ext.extra_objects = objects
        super().build_extensions()

    def kernel_object(self, source):
        folder = f"{BUILD_BASE}/kernels"
        (object_file,) = self.compiler.object_filenames([source], output_dir=folder)
        if self.force or newer_group([source, *INCLUDED], object_file):
            self.compiler.compile([source], output_dir=folder, include_dirs=["csrc"], extra_postargs=compile_args())
        return object_file


def source(pyx):
    """The .pyx, or the C file that was made of it where nothing has changed since. Cython itself would start again
    whenever its own files are newer, and pip installs them anew for every build."""
    generated = f"{GENERATED}/{Path(pyx).with_suffix('.c')}"
    changed = newer_group([pyx, *glob("fastgrad/_core/*.pxd"), "setup.py"], generated)
    return pyx if changed else generated


# Where Cython's code for keywords raises, and what it calls there instead (csrc/keywords.h): the only place for "did you
# mean" that costs a call nothing.
KEYWORDS = "/* ParseKeywordsImpl (used by ParseKeywords) */", "/* ParseKeywords */"
UNEXPECTED = re.compile(
    r"PyErr_Format\(PyExc_TypeError,\s*\"%s\(\) got an unexpected keyword argument '%U'\",\s*function_name, key\);"
)


def suggest_keywords(generated):
    """Has a C file that Cython made name the keyword that is nearest to one that a function does not take."""
    path = Path(generated)
    before, begin, rest = path.read_text("utf-8").partition(KEYWORDS[0])
    parse, end, after = rest.partition(KEYWORDS[1])
    parse, found = UNEXPECTED.subn("fg_unexpected_keyword(function_name, key, argnames);", parse)
    if found:
        path.write_text(f'{before}{begin}\n#include "keywords.h"{parse}{end}{after}', "utf-8")


def extension(pyx):
    module = Path(pyx).stem
    name = f"fastgrad._core.{module}"
    return Extension(
        name,
        sources=[source(pyx)],
        include_dirs=["csrc", numpy.get_include()],
        define_macros=MACROS,
        extra_compile_args=compile_args(module in FAST),
        extra_link_args=link_args(),
        depends=C_FILES if name == LINKS_KERNELS else INCLUDED,
    )


EXTENSIONS = cythonize(
    [extension(pyx) for pyx in sorted(glob("fastgrad/_core/*.pyx"))],
    build_dir=GENERATED,
    compiler_directives=DIRECTIVES,
    force=True,  # `source` has decided
    annotate=BUILD == "debug",  # the HTML that shows which lines call into Python
    nthreads=JOBS if sys.platform == "linux" else 0,  # elsewhere the workers would run this file again
)
for ext in EXTENSIONS:
    suggest_keywords(ext.sources[0])

setup(
    ext_modules=EXTENSIONS,
    cmdclass={"build_ext": BuildExt},
    options={"build": {"build_base": BUILD_BASE}, "build_ext": {"parallel": JOBS}},
)
