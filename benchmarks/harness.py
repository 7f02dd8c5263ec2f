"""How every benchmark here measures: in one run, one thread, contenders interleaved, medians with their spread.

Ratios between contenders of one run carry over to other machines; absolute times do not. Rounds are interleaved, so
that a change of the clock or a busy neighbour meets every contender. Importing this module loads no numerical library.
"""

import argparse
import gc
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass

# Read once, when the library is loaded. The first two choose kernels and blocking meant for another processor.
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def pin_environment():
    """Removes what slows BLAS and sets one thread, for libraries loaded after this. Returns what was removed."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    return [name for name in SLOWING if os.environ.pop(name, None) is not None]


def restart_pinned():
    """Restarts this program in the pinned environment unless it is in it: a loaded library does not read it again."""
    if any(name in os.environ for name in SLOWING) or any(os.environ.get(name) != "1" for name in THREADS):
        for name in pin_environment():
            print(f"{name} is set and slows OpenBLAS: starting again without it", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def arguments(description):
    """The options that every benchmark has; the caller may add its own before parsing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default 9)")
    parser.add_argument("--json", type=pathlib.Path, help="also write the results to this file")
    return parser


@dataclass(frozen=True)
class Timing:
    """Nanoseconds of processor time for one call: the median over the rounds, and the quartiles as its spread."""

    median: float
    low: float
    high: float

    def less(self, ns):
        """Without the `ns` that the loop around the call costs."""
        return Timing(self.median - ns, self.low - ns, self.high - ns)

    def __str__(self):
        return f"{time_text(self.median)} ±{50 * (self.high - self.low) / self.median:.0f}%"


@dataclass(frozen=True)
class Ratio:
    """A time, printed as a multiple of another where there is one."""

    time: Timing
    multiple: float | None

    @classmethod
    def of(cls, time, base):
        return cls(time, time.median / base.median if base else None)

    def __str__(self):
        return str(self.time) if self.multiple is None else f"**{self.multiple:.3g}x** ({self.time})"


def summarise(samples):
    if len(samples) == 1:
        return Timing(*samples * 3)
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Timing(statistics.median(samples), low, high)


def interleave(contenders: dict[str, Callable[[int], object]], rounds=9, seconds=0.02):
    """Times `contenders`, functions that do their work n times; returns a Timing of one unit of work for each.

    What is taken is the processor's time: with one thread and nothing to wait for it is the time that passes, less what
    other programs take on a busy machine. One sample lasts about `seconds`; every round takes one of each contender.
    The garbage collector stays as users have it, on, but is kept from what was made before, and each sample starts
    with nothing to collect: no contender pays for another's modules or garbage.
    """
    gc.collect()
    gc.freeze()
    try:
        repeat = {name: _calibrate(run, seconds) for name, run in contenders.items()}
        samples = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, run in contenders.items():
                gc.collect()
                samples[name].append(_once(run, repeat[name]) / repeat[name])
    finally:
        gc.unfreeze()
    return {name: summarise(found) for name, found in samples.items()}


def _once(run, n):
    start = time.process_time_ns()
    run(n)
    return time.process_time_ns() - start


def _calibrate(run, seconds):
    """How many units of work last about `seconds`. The first call, which may set things up, is not counted."""
    run(1)
    n = 1
    while True:
        took = _once(run, n)
        if took > 1e9 * seconds / 4:
            return max(1, round(n * 1e9 * seconds / took))
        n *= 4


def time_text(ns):
    """Three significant digits with their unit."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 999.5 * size else f"{ns / size:.0f} {unit}"
    return f"{ns:.3g} ns"


def machine():
    """What the figures were measured on: needed to read them, so printed with them."""
    import fastgrad

    found = {"processor": _processor(), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    found |= dict(re.split(r"\s{2,}", line, maxsplit=1) for line in fastgrad.show_config().splitlines())
    try:
        found["torch"] = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        found["torch"] = "not installed"
    return found


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


class Report:
    """Collects tables and notes; prints Markdown as it goes and writes everything as JSON at the end."""

    def __init__(self, title):
        self.data = {"title": title, "machine": machine(), "tables": []}
        print(f"# {title}\n")
        for key, value in self.data["machine"].items():
            print(f"- {key}: {value}")
        self.note("Processor time, medians over interleaved rounds, ± half the distance between the quartiles.")

    def note(self, text):
        print(f"\n{text}", flush=True)

    def table(self, name, header, rows):
        """`rows` are lists of cells; dataclasses print as text and keep their numbers in the JSON."""
        print(f"\n## {name}\n\n| " + " | ".join(header) + " |\n|" + "---|" * len(header))
        for row in rows:
            print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
        cells = [[asdict(cell) if is_dataclass(cell) else cell for cell in row] for row in rows]
        self.data["tables"].append({"name": name, "header": header, "rows": cells})

    def notes(self, name, found):
        """A list that is printed even when it is empty, so that nothing is left out in silence."""
        print(f"\n{name}: none" if not found else f"\n{name}:\n" + "".join(f"- {note}\n" for note in found), flush=True)
        self.data[name] = found

    def write(self, path):
        if path is not None:
            path.write_text(json.dumps(self.data, indent=1, ensure_ascii=False) + "\n")
