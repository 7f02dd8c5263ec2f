"""Peak memory of one training step, over what its parameters, its optimiser's state and its data take.

Measured twice. By the system: how far the process grows, each library in a process of its own; the kernel's high-water mark is
read, the same for all. Gradients count, and what a compiled step keeps from one call to the next; memory that an allocator
keeps is given back before the step that is measured. And by fastgrad's own count of the bytes that its tensors use, which
is exact and so also tells small nets apart.
"""

import ctypes
import gc
import json
import subprocess
import sys

from . import graphs
from .contenders import CONTENDERS, library
from .contenders.torch_like import TorchStep
from .problem import NAMES, Net, NotTimedError, Problem
from .results import Measure, Table, Verdict
from .steps import ROWS, SMALL

LARGE = Net(256, (784, 1024, 1024, 10), "sgd")
OURS = ("fastgrad", "fastgrad compiled")
SMALLEST = Net(1, (4, 4, 2), "sgd")


def section(context):
    _system(context, context.run)
    _count(context, context.run)


def _system(context, run):
    names = [*OURS, "torch"]
    table = Table("memory", "Growth of the process by a training step", names, "fastgrad")
    table.note = (
        "The high-water mark of resident memory during a step of a running training, caches emptied before it, over what "
        "the process held before the training: gradients, activations and what is kept from step to step."
    )
    run.tables.append(table)
    for net in (LARGE, Net(LARGE.batch, LARGE.sizes, "adamw")):
        cells = table.rows[str(net)] = {}
        for name in names:
            context.progress(f"{net}, {name}")
            try:
                cells[name] = Measure.single(in_new_process(name, net), "bytes")
            except NotTimedError as reason:
                cells[name] = "not yet" if str(reason) == "not yet" else "-"
                run.note(name, str(reason))
        run.verdicts += [_verdict(net, cells, name, "torch") for name in OURS]


def _count(context, run):
    table = Table(
        "counted memory", "Most bytes in use during a training step, as fastgrad counts them", list(OURS), "fastgrad"
    )
    table.note = "`memory_stats()` in a running training, without parameters, optimiser state and data."
    run.tables.append(table)
    nets = [net for net, *_ in SMALL] + [Net(row.net.batch, row.net.sizes, kind) for row in ROWS for kind in NAMES]
    for net in dict.fromkeys(nets):
        context.progress(f"{net}, counted")
        cells = table.rows[str(net)] = {name: Measure.single(counted(name, net), "bytes") for name in OURS}
        run.verdicts.append(_verdict(net, cells, "fastgrad compiled", "fastgrad"))


def _verdict(net, cells, name, peer):
    ours, theirs = cells[name], cells[peer]
    what, target = f"peak memory of {net}, {name}", f"≤ {peer}"
    if isinstance(ours, Measure) and isinstance(theirs, Measure):
        return Verdict("5", what, target, f"{ours} and {theirs}", ours.median <= theirs.median)
    return Verdict("5", what, target, "not yet" if ours == "not yet" else f"no {peer}", None)


def started(name, net):
    """A step whose optimiser has its state; nothing else is left of its first run, by hand even where it is compiled."""
    step = CONTENDERS[name][1](Problem(net), 1e-8)
    TorchStep.step(step, step.x, step.labels)
    step.optimizer.zero_grad()
    gc.collect()
    return step


def counted(name, net):
    """The most bytes in use during a step, over those before the first."""
    import fastgrad

    step = started(name, net)
    before = fastgrad.memory_stats()["allocated"]
    step.run(6)
    gc.collect()
    fastgrad.reset_peak_memory_stats()
    step.run(1)
    return fastgrad.memory_stats()["peak"] - before


def in_new_process(name, net):
    """The `growth` of a contender, measured in a process of its own."""
    module = CONTENDERS[name][0]
    library(module)
    given = json.dumps([name, net.batch, net.sizes, net.optimizer])
    code = f"from fastgrad.bench import memory; memory.report({given!r})"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    if isinstance(answer, str):
        raise NotTimedError(answer)
    return answer


def report(given):
    """In the new process: prints the growth in bytes, or why there is none, as JSON."""
    name, batch, sizes, optimizer = json.loads(given)
    try:
        print(json.dumps(growth(name, Net(batch, tuple(sizes), optimizer))))
    except NotTimedError as reason:
        print(json.dumps(str(reason)))


def growth(name, net):
    """Bytes by which training raises the resident memory, as its seventh step finds it."""
    started(name, SMALLEST).run(6)  # the code is in memory from now on
    step = started(name, net)
    _trim()
    before = graphs.resident()
    step.run(6)
    _trim()
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the high-water mark becomes what is resident now
    except OSError as error:
        raise NotTimedError(f"the high-water mark cannot be reset: {error}") from None
    step.run(1)
    return _high_water() - before


def _trim():
    """Has fastgrad and the C library give back what they keep."""
    import fastgrad

    gc.collect()
    fastgrad.empty_cache()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _high_water():
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])
