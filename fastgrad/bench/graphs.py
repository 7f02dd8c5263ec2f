"""Graphs of scalars: chains built, differentiated and freed, and micrograd's moons net, by each tape."""

import gc
import os
import subprocess
import sys
from collections import defaultdict
from functools import partial
from itertools import repeat

from fastgrad.baselines import scalar_tape

from . import harness, ops
from .contenders import library
from .problem import NotTimedError
from .results import Measure, Table, Verdict
from .scalar_graph import MoonsNet

PHASES = ("build", "backward", "free", "free unused")
SHORT, LONG = 3_000, 1_000_000
# A chain of 10^6 takes PyTorch ten seconds a round; its cost per node is the same at 10^5.
LONG_OF_PEERS = 100_000
TARGETS = {(SHORT, "build"): 80, (SHORT, "backward"): 90, (LONG, "build"): 190, (LONG, "backward"): 110}
MOST_BYTES = 220


def section(context):
    found = {}
    for name in ("fastgrad", "torch"):
        try:
            found[name] = library(name)
        except NotTimedError as reason:
            context.run.note(name, str(reason))
    _chains(context, found)
    _moons(context, found)


def chain(torch, nodes):
    """Nanoseconds to build, differentiate and free y = x c c ... c, on scalars; then to free one not differentiated."""
    x, c = torch.tensor(1.0, requires_grad=True), torch.tensor(1.0)
    start, y = harness.now(), x
    for _ in repeat(None, nodes):
        y = y * c
    built = harness.now()
    y.backward()
    passed = harness.now()
    assert x.grad.item() == 1.0
    freed = harness.now()
    del y
    end, y = harness.now(), x
    for _ in repeat(None, nodes):
        y = y * c
    again = harness.now()
    del y
    return built - start, passed - built, end - freed, harness.now() - again


def _chains(context, libraries):
    long = LONG_OF_PEERS if context.quick else LONG
    lengths = {name: (SHORT, long if name == "fastgrad" else LONG_OF_PEERS) for name in libraries}
    samples = defaultdict(list)
    for k in range(min(context.rounds, 5)):
        context.progress(f"chains, round {k + 1}")
        for name, torch in libraries.items():
            for which, nodes in enumerate(lengths[name]):
                gc.collect()
                for _ in range(max(1, 5 * SHORT // nodes)):
                    for phase, time in zip(PHASES, chain(torch, nodes), strict=True):
                        samples[phase, which, name].append(time / nodes)
    table = Table("chains", "Graphs of scalars, for each node", list(libraries), "fastgrad")
    table.note = f"The long chain has {long:,} nodes in fastgrad and {LONG_OF_PEERS:,} in the peers."
    for (phase, which, name), times in samples.items():
        row = table.rows.setdefault(f"{phase}, {('3,000 nodes', 'long chain')[which]}", {})
        row[name] = harness.summarise(times)
    context.progress("bytes per node")
    sizes = table.rows["bytes, long chain"] = {name: bytes_per_node(name, lengths[name][1]) for name in libraries}
    context.run.tables.append(table)
    context.run.verdicts += _chain_verdicts(table, sizes["fastgrad"].median, _numpy_scale(), long)


def _chain_verdicts(table, size, scale, long):
    for (nodes, phase), limit in TARGETS.items():
        if nodes == LONG != long:
            continue
        which = "3,000 nodes" if nodes == SHORT else "long chain"
        time, limit = table.rows[f"{phase}, {which}"]["fastgrad"].median, limit * scale
        yield Verdict("1", f"{phase}, {nodes:,} nodes", f"≤ {limit:.3g} ns", f"{time:.3g} ns", time <= limit)
    yield Verdict("1", "bytes for each node", f"≤ {MOST_BYTES}", f"{size:.0f}", size <= MOST_BYTES)


def _numpy_scale():
    """How much slower NumPy's own small op is here than where the absolute targets were set."""
    import numpy as np

    x = np.ones(1, np.float32)
    return harness.interleave({"NumPy": ops.multiply(x, x)}, 5, 0.005)["NumPy"].median / ops.NUMPY_NS


def bytes_per_node(name, nodes):
    """How much a fresh process grows while a chain is built: what an allocator keeps for itself counts, too."""
    code = f"from fastgrad.bench import graphs; print(graphs.grown({name!r}, {nodes}))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    return Measure.single(float(done.stdout) / nodes, "bytes")


def grown(name, nodes):
    torch = library(name)
    chain(torch, 10)
    before, y, c = resident(), torch.tensor(1.0, requires_grad=True), torch.tensor(1.0)
    for _ in repeat(None, nodes):
        y = y * c
    return resident() - before


def resident():
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _moons(context, libraries):
    """The loss and gradient of the moons net on single numbers, with the collector on and off.

    The last contenders run the same step on matrices, which is how it should be written.
    """
    net, run = MoonsNet(), context.run
    # Name -> how a leaf is made of a number, and what its gradient is before the first step.
    leaves = {name: (partial(torch.tensor, requires_grad=True), None) for name, torch in libraries.items()}
    leaves["pure Python"] = scalar_tape.Value, 0.0
    try:
        library("micrograd")
        from micrograd.engine import Value

        leaves["micrograd"] = Value, 0.0
    except NotTimedError as reason:
        run.note("micrograd", str(reason))
    steps = {name: net.scalar_step(*leaf) for name, leaf in leaves.items()}
    steps |= {f"{name} on matrices": net.matrix_step(torch) for name, torch in libraries.items()}
    runs = {}
    for name, step in steps.items():
        if reason := net.disagreement(step()):
            run.note(name, reason)
        else:
            runs[name, "collector on"] = harness.repeated(step)
            runs[name, "collector off"] = _collector_off(harness.repeated(step))
    context.progress("scalar graph of micrograd's moons net")
    timings = harness.interleave(runs, min(context.rounds, 5), seconds=0.001)
    table = Table("moons", f"micrograd's moons net: {net.operations:,} operations on numbers", list(steps), "fastgrad")
    for (name, collector), time in timings.items():
        table.rows.setdefault(f"forward and backward, {collector}", {})[name] = time
    run.tables.append(table)
    run.verdicts += _moons_verdicts(context, table)


def _moons_verdicts(context, table):
    on, off = table.rows.values()
    what = "scalar graph of the moons net"
    if "fastgrad" not in on:
        return
    yield context.within("6", what, on["fastgrad"], 20e6)
    for name, cells, least in (("pure Python", off, 5), ("micrograd", on, 50)):
        if name in cells:
            times = cells[name].median / cells["fastgrad"].median
            yield Verdict("1", what, f"≥ {least}x less than {name}", f"{times:.3g}x", times >= least)
    if "fastgrad on matrices" in off:
        times = off["pure Python"].median / off["fastgrad on matrices"].median
        yield Verdict("1", f"{what}, on matrices", "≥ 1,000x less than pure Python", f"{times:,.0f}x", times >= 1000)


def _collector_off(run):
    def guarded(n):
        gc.disable()
        try:
            run(n)
        finally:
            gc.enable()

    return guarded
