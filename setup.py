"""Builds the extension modules; everything else about the project is in pyproject.toml.

Every fastgrad/_core/NAME.pyx is one extension. Exactly one of them, kernels, links the C kernels: the others reach
kernels and state through its .pxd, so a kernel table or a cache exists once in a process.

FASTGRAD_BUILD=debug turns on Cython's checks and assertions; asan adds AddressSanitizer and UBSan to that. Each kind
of build has its own folder, since neither Cython nor the compiler notices that only the options changed.
"""

import functools
import os
import re
import shlex
import subprocess
import sys
import sysconfig
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


# Nothing unwinds through C frames but a debugger, for whom the other builds are: 0.5 MB of 11.
SMALLER = ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]

# For the baseline set, which serves where there is no other and what no other has: 0.3 MB smaller than at -O3, with loops of
# known length in registers as there. For the other sets it is no choice: a loss of short rows takes 20% more instructions.
SMALL_KERNELS = [
    "-O2",
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",
    "-fpeel-loops",
    "--param=max-completely-peel-times=8",
]

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
        args += SMALLER if sys.platform == "linux" else []
        return ["-O3" if fast else "-Os", "-g0", *args]
    # What newer compilers refuse by themselves.
    args = ["-O1", "-UNDEBUG", "-fno-omit-frame-pointer", "-Werror=incompatible-pointer-types", *args]
    # Lines are all that a sanitizer's report shows; with variables its build takes twice as long.
    return ["-g1", *args, *SANITIZERS] if BUILD == "asan" else ["-g", *args]


def link_args():
    if BUILD == "asan":
        return SANITIZERS
    # No names of static functions, and no pages between the sections of a module: 0.4 MB of 11.
    return ["-Wl,-s", "-Wl,-z,noseparate-code"] if sys.platform == "linux" and not CHECKED else []


C_FILES = sorted(glob("csrc/**/*.[ch]", recursive=True))
# A *.inc.c is included by the wrapper of each instruction set; it is no translation unit of its own.
KERNELS = [path for path in C_FILES if path.endswith(".c") and not path.endswith(".inc.c")]
INCLUDED = [path for path in C_FILES if path not in KERNELS]


@functools.cache
def is_gcc():
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "")
    if sys.platform != "linux" or not compiler:
        return False
    found = subprocess.run([*compiler, "--version"], capture_output=True, text=True)
    return "Free Software Foundation" in found.stdout


class BuildExt(build_ext):
    """Compiles the kernels apart: they take most of the time and know no Python, so a change to a .pyx or another
    version of CPython finds them compiled."""

    def build_extensions(self):
        self.remove_gone()
        self.mkpath(f"{BUILD_BASE}/kernels")
        with ThreadPoolExecutor(JOBS) as pool:
            objects = list(pool.map(self.kernel_object, KERNELS))
        for ext in self.extensions:
            if ext.name == LINKS_KERNELS:
                ext.extra_objects = objects
        super().build_extensions()

    def remove_gone(self):
        """What an earlier commit built, and this one has no source of, would be installed with the rest."""
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        for built in Path(self.build_lib, "fastgrad").rglob("*.*"):
            source = built.relative_to(self.build_lib)
            if source.name.endswith(suffix):
                source = source.with_name(source.name.removesuffix(suffix) + ".pyx")
            if built.is_file() and not source.exists():
                built.unlink()

    def kernel_object(self, source):
        folder = f"{BUILD_BASE}/kernels"
        (object_file,) = self.compiler.object_filenames([source], output_dir=folder)
        if self.force or newer_group([source, *INCLUDED], object_file):
            options = compile_args()
            if Path(source).stem == "baseline" and not CHECKED and is_gcc():
                options += SMALL_KERNELS
            self.compiler.compile([source], output_dir=folder, include_dirs=["csrc"], extra_postargs=options)
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
