"""Peak memory of one training step: how far the process grows during it, over what it held before.

Each library runs in a process of its own; the kernel's own high-water mark is read, the same for all. Memory that an
allocator keeps between steps is given back first, so that it counts as part of the step that needs it.
"""

import ctypes
import json
import subprocess
import sys

from . import graphs
from .contenders import CONTENDERS, library
from .problem import Net, NotTimedError, Problem
from .results import Measure, Table, Verdict

NET = Net(256, (784, 1024, 1024, 10), "sgd")


def section(context):
    run = context.run
    names = ["fastgrad", "fastgrad compiled", "torch"]
    table = Table(
        "memory", "Growth of the process during one training step, over the state before it", names, "fastgrad"
    )
    table.note = "The high-water mark of resident memory, after two steps and with caches emptied."
    run.tables.append(table)
    for net in (NET, Net(NET.batch, NET.sizes, "adamw")):
        cells = table.rows[str(net)] = {}
        for name in names:
            context.progress(f"{net}, {name}")
            try:
                cells[name] = Measure.single(in_new_process(name, net), "bytes")
            except NotTimedError as reason:
                cells[name] = "not yet" if str(reason) == "not yet" else "-"
                run.note(name, str(reason))
        run.verdicts += _verdicts(net, cells)


def _verdicts(net, cells):
    for name, peer in (("fastgrad", "torch"), ("fastgrad compiled", "fastgrad")):
        ours, theirs = cells[name], cells[peer]
        what, target = f"peak memory of {net}, {name}", f"≤ {peer}"
        if isinstance(ours, Measure) and isinstance(theirs, Measure):
            yield Verdict("5", what, target, f"{ours} and {theirs}", ours.median <= theirs.median)
        else:
            yield Verdict("5", what, target, "not yet" if ours == "not yet" else f"no {peer}", None)


def in_new_process(name, net):
    """The `growth` of a contender, measured in a process of its own."""
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
    """Bytes by which one step raises the resident memory."""
    import fastgrad

    step = CONTENDERS[name][1](Problem(net), 1e-8)
    step.run(5)
    fastgrad.empty_cache()
    _trim()
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the high-water mark becomes what is resident now
    except OSError as error:
        raise NotTimedError(f"the high-water mark cannot be reset: {error}") from None
    before = graphs.resident()
    step.run(1)
    return _high_water() - before


def _trim():
    """Has the C library give back what it keeps."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _high_water():
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])
