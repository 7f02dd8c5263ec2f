"""What the tape costs: one op on a tiny tensor, and graphs of scalars, beside PyTorch, NumPy and pure-Python tapes.

python benchmarks/overhead.py
"""

import harness

if __name__ == "__main__":
    harness.restart_pinned()

import gc
import importlib
import os
import subprocess
import sys
import time
from collections import defaultdict
from functools import partial
from itertools import repeat

import numpy as np
from scalar_graph import MoonsNet

from fastgrad.baselines import scalar_tape

ELEMENTS = (1, 16, 256, 4096)
SHORT_CHAIN, LONG_CHAIN = 3_000, 1_000_000
# A chain of 10^6 takes PyTorch ten seconds a round; its cost per node is the same at 10^5.
PEER_LONG_CHAIN = 100_000
CHAIN_TARGETS = (
    "Targets of fastgrad, in nanoseconds of the machine they were set on (where NumPy's `a * b` takes 200 ns): "
    "3,000 nodes build ≤ 80, backward ≤ 90; 10^6 nodes build ≤ 190, backward ≤ 110, ≤ 220 bytes per node."
)


def library(name):
    """An importable library with PyTorch's names, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


LIBRARIES = {name: found for name in ("fastgrad", "torch") if (found := library(name))}


def empty(n):
    for _ in repeat(None, n):
        pass


def multiply(a, b):
    def run(n):
        for _ in repeat(None, n):
            a * b

    return run


def without_recording(torch, run):
    def guarded(n):
        with torch.no_grad():
            run(n)

    return guarded


def operands(torch, elements):
    a = torch.from_numpy(np.full(elements, 1.5, np.float32)).requires_grad_()
    return a, torch.from_numpy(np.full(elements, 1.1, np.float32))


def one_op(rounds):
    """A line for each size: `a * b` through the Python operator, the loop's own cost subtracted."""
    runs = {"loop": empty}
    for elements in ELEMENTS:
        for name, torch in LIBRARIES.items():
            a, b = operands(torch, elements)
            runs[name, "a * b", elements] = multiply(a, b)
            runs[name, "a * 2.0", elements] = multiply(a, 2.0)
            runs[name, "a * b, no_grad", elements] = without_recording(torch, multiply(a, b))
        x, y = np.full(elements, 1.5, np.float32), np.full(elements, 1.1, np.float32)
        runs["NumPy", "a * b", elements] = multiply(x, y)
        runs["NumPy", "a * 2.0", elements] = multiply(x, 2.0)
    timings = harness.interleave(runs, rounds, seconds=0.005)
    loop = timings.pop("loop").median
    timings = {key: timing.less(loop) for key, timing in timings.items()}
    peers = [name for name in ("torch", "NumPy") if (name, "a * b", 1) in timings]
    lines = []
    for what in ("a * b", "a * 2.0", "a * b, no_grad"):
        for elements in ELEMENTS:
            ours = timings.get(("fastgrad", what, elements))
            theirs = {name: timings.get((name, what, elements)) for name in peers}
            cells = {name: harness.Ratio.of(time, ours) for name, time in theirs.items() if time}
            verdict = op_target(cells) if what == "a * b" and elements <= 16 and ours else ""
            lines.append([what, elements, ours or "-", *(cells.get(name, "-") for name in peers), verdict])
    return ["op, float32", "elements", "fastgrad", *(f"{name}, over fastgrad" for name in peers), "target"], lines


def op_target(cells):
    """How many times less a recorded op must cost than the peers', and whether it does."""
    return ", ".join(
        f"{name} ≥ {least:g}x {'met' if cells[name].multiple >= least else 'missed'}"
        for name, least in (("torch", 20), ("NumPy", 2.5))
        if name in cells
    )


def chain(torch, nodes):
    """Seconds to build, differentiate and free y = x c c ... c, on scalars."""
    x = torch.tensor(1.0, requires_grad=True)
    c = torch.tensor(1.0)
    start = time.process_time()
    y = x
    for _ in repeat(None, nodes):
        y = y * c
    built = time.process_time()
    y.backward()
    passed = time.process_time()
    assert x.grad.item() == 1.0
    freed = time.process_time()
    del y
    return built - start, passed - built, time.process_time() - freed


def freed_unused(torch, nodes):
    """Seconds to free a graph of `nodes` that was never differentiated."""
    x, c = torch.tensor(1.0, requires_grad=True), torch.tensor(1.0)
    y = x
    for _ in repeat(None, nodes):
        y = y * c
    start = time.process_time()
    del y
    return time.process_time() - start


def chains(rounds):
    samples = defaultdict(list)
    lengths = {name: (SHORT_CHAIN, LONG_CHAIN if name == "fastgrad" else PEER_LONG_CHAIN) for name in LIBRARIES}
    for _ in range(rounds):
        for name, torch in LIBRARIES.items():
            for nodes in lengths[name]:
                gc.collect()
                for _ in range(max(1, 5 * SHORT_CHAIN // nodes)):
                    for phase, seconds in enumerate((*chain(torch, nodes), freed_unused(torch, nodes))):
                        samples[name, nodes, phase].append(1e9 * seconds / nodes)
    lines = []
    for name in LIBRARIES:
        size = bytes_per_node(name, lengths[name][1])
        for nodes in lengths[name]:
            timings = [harness.summarise(samples[name, nodes, phase]) for phase in range(4)]
            lines.append([name, f"{nodes:,}", *timings, size])
    return ["scalar chain", "nodes", "build", "backward", "free", "free unused", "bytes per node"], lines


def bytes_per_node(name, nodes):
    """How much a fresh process grows while a chain is built: what an allocator keeps for itself counts, too."""
    code = f"import overhead; print(overhead.grown(overhead.LIBRARIES[{name!r}], {nodes}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=os.path.dirname(__file__), capture_output=True, text=True, check=True
    )
    return round(float(done.stdout) / nodes)


def grown(torch, nodes):
    chain(torch, 10)
    before, y, c = resident(), torch.tensor(1.0, requires_grad=True), torch.tensor(1.0)
    for _ in repeat(None, nodes):
        y = y * c
    return resident() - before


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def scalar_graph(rounds, notes):
    """The loss and gradient of micrograd's moons net on single numbers, by each tape, with the collector on and off.

    The last contender is the same step on matrices, which is how it should be written.
    """
    net = MoonsNet()
    # Name -> how a leaf is made of a number, and what its gradient is before the first step.
    leaves = {name: (partial(torch.tensor, requires_grad=True), None) for name, torch in LIBRARIES.items()}
    leaves["pure-Python tape"] = scalar_tape.Value, 0.0
    if micrograd := library("micrograd.engine"):
        leaves["micrograd"] = micrograd.Value, 0.0
    else:
        notes.append("micrograd: not installed")
    runs = {}
    for name, leaf in leaves.items():
        step = net.scalar_step(*leaf)
        if reason := net.disagreement(step()):
            notes.append(f"{name}: {reason}")
        else:
            runs[name, True] = repeated(step)
            runs[name, False] = collector_off(repeated(step))
    for name, torch in LIBRARIES.items():
        step = net.matrix_step(torch)
        if reason := net.disagreement(step()):
            notes.append(f"{name} on matrices: {reason}")
        else:
            runs[f"{name}, on matrices", True] = repeated(step)
            runs[f"{name}, on matrices", False] = collector_off(repeated(step))
    timings = harness.interleave(runs, rounds, seconds=0.001)
    lines = []
    for name in dict.fromkeys(name for name, _ in timings):
        cells = [harness.Ratio.of(timings[name, on], timings.get(("fastgrad", on))) for on in (True, False)]
        lines.append([name, *cells])
    header = ["forward and backward, over fastgrad", "collector on", "collector off"]
    return net.operations, header, lines


def repeated(step):
    def run(n):
        for _ in repeat(None, n):
            step()

    return run


def collector_off(run):
    def guarded(n):
        gc.disable()
        try:
            run(n)
        finally:
            gc.enable()

    return guarded


def main():
    chosen = harness.arguments(__doc__.splitlines()[0]).parse_args()
    report = harness.Report("Overhead of the tape")
    notes = [f"{name}: not installed" for name in ("fastgrad", "torch") if name not in LIBRARIES]
    notes.append("replay of a captured step: not yet")
    report.table("One op, recorded unless said otherwise", *one_op(chosen.rounds))
    report.table("Graphs of scalars, time per node", *chains(min(chosen.rounds, 5)))
    report.note(CHAIN_TARGETS)
    operations, header, lines = scalar_graph(min(chosen.rounds, 5), notes)
    report.table(f"micrograd's moons net as a scalar graph of {operations:,} operations", header, lines)
    report.notes("Not timed", notes)
    report.write(chosen.json)


if __name__ == "__main__":
    main()
