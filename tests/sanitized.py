"""The suite under AddressSanitizer, UBSan and LeakSanitizer: `make asan` runs this with a Python whose fastgrad was built
for them.

When the process ends, LeakSanitizer reports every block that nothing points to any more, and the process fails. The
garbage collector's list points to every Tensor: those are looked for first. Three things are left out. What `import numpy`
leaves behind: some of its floats stem from the interpreter's free list, so that no suppression by origin could name them.
Strings that CPython interns, which from 3.12 on it never frees. Leaks in processes that tests start, which import NumPy for
themselves; for everything else they are checked too.
"""

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

STARTED = "FASTGRAD_SANITIZED"
LEAKED = 23


def library(name):
    return subprocess.run(
        ["gcc", f"-print-file-name={name}"], check=True, capture_output=True, text=True
    ).stdout.strip()


def start_again():
    """The sanitizers have to be in the process before anything else is."""
    leaks = [f"exitcode={LEAKED}"]
    if sys.version_info >= (3, 12):
        leaks.append(f"suppressions={Path(__file__).with_name('lsan.supp')}")
    os.environ |= {
        STARTED: "1",
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "LSAN_OPTIONS": ":".join(leaks),
        "PYTHONMALLOC": "malloc",  # so that every object is a block of its own
    }
    os.execv(sys.executable, [sys.executable, "-P", *sys.argv])


def import_numpy():
    process = ctypes.CDLL(None)
    taken = [float(k) for k in range(200)]  # all that the free list has, so that NumPy's floats are blocks of their own
    process.__lsan_disable()
    import numpy  # noqa: F401

    process.__lsan_enable()
    return taken


def leaked_tensors():
    """Tensors that are alive though nothing refers to them: no container, and no leaf whose gradient they are."""
    import fastgrad

    gc.collect()
    tensors = [o for o in gc.get_objects() if isinstance(o, fastgrad.Tensor)]
    gradients = {id(t.grad) for t in tensors if t.is_leaf}
    return [t for t in tensors if id(t) not in gradients and gc.get_referrers(t) == [tensors]]


def main():
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"  # for the processes that tests start: ours has read it
    import_numpy()
    import pytest

    code = pytest.main()
    leaked = leaked_tensors()
    for t in leaked[:10]:
        print(f"leaked: a Tensor of shape {tuple(t.shape)}, {t.dtype}", file=sys.stderr)
    return code or (LEAKED if leaked else 0)


if __name__ == "__main__":
    sys.exit(main() if STARTED in os.environ else start_again())
