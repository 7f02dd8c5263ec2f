"""What must, and what must not, be in the sdist and the wheels of a folder: `python tests/check_dist.py dist`."""

import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

MAX_BYTES = 5_000_000

WHEEL_HAS = [
    "fastgrad/__init__.py",
    "fastgrad/__init__.pyi",
    "fastgrad/py.typed",
    "fastgrad/_core/tensor.*.so",
    "fastgrad/_core/kernels.*.so",
    "fastgrad/datasets/digits.npz",
    "fastgrad/datasets/README.md",
    "fastgrad-*.dist-info/licenses/LICENSE",
    "fastgrad-*.dist-info/entry_points.txt",
]
WHEEL_LACKS = ["*.c", "*.h", "*.pyx", "*.pxd", "*.html", "tests/*", "benchmarks/*", "csrc/*"]

SDIST_HAS = ["csrc/fg.h", "csrc/sets/baseline.c", "fastgrad/_core/tensor.pyx", "fastgrad/_core/tensor.pxd"]
SDIST_HAS += ["setup.py", "pyproject.toml", "tests/test_tiny.py", "fastgrad/datasets/digits.npz", "LICENSE"]
SDIST_LACKS = ["*.so", "*.o", "build/*", "fastgrad/_core/*.c"]


def faults(names, has, lacks):
    """The patterns of `has` that no name matches, and the names that one of `lacks` matches."""
    missing = [f"lacks {pattern}" for pattern in has if not any(fnmatch(name, pattern) for name in names)]
    return missing + [f"holds {name}" for name in names if any(fnmatch(name, pattern) for pattern in lacks)]


def check(path):
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            found = faults(archive.namelist(), WHEEL_HAS, WHEEL_LACKS)
    else:
        with tarfile.open(path) as archive:
            names = [member.name.partition("/")[2] for member in archive if member.isfile()]
        found = faults(names, SDIST_HAS, SDIST_LACKS)
    size = path.stat().st_size
    if size > MAX_BYTES:
        found.append(f"is {size:,} bytes large, more than {MAX_BYTES:,}")
    print(f"{path.name}: {size:,} bytes, {'; '.join(found) if found else 'as it should be'}")
    return not found


def main():
    paths = [path for path in sorted(Path(sys.argv[1]).iterdir()) if path.suffix in {".whl", ".gz"}]
    if not paths:
        print(f"no wheel and no sdist in {sys.argv[1]}")
    good = [check(path) for path in paths]
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
