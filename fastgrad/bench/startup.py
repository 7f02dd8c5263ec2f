"""Starting: import, what is installed, the first training step of a process. Each sample is a new process."""

import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys

from . import harness
from .contenders import CONTENDERS, DISTRIBUTIONS, version
from .problem import Net, NotTimedError
from .results import Measure, Table, Verdict

IMPORTS = ("numpy", "fastgrad", "torch", "jax", "autograd", "mygrad", "tinygrad", "sklearn")
NET = Net(64, (64, 64, 10), "sgd")
FIRST = ("fastgrad", "fastgrad compiled", "torch", "torch fused", "torch.compile", "jax.jit", "autograd", "MyGrad")


def section(context):
    run = context.run
    here = [name for name in IMPORTS if name in ("numpy", "fastgrad") or version(name)]
    table = Table("import", "Import and installed size", here, "numpy")
    table.note = "Size with everything that is installed along, less NumPy."
    run.tables.append(table)
    samples = {name: [] for name in here}
    for k in range(min(context.rounds, 5)):
        context.progress(f"imports, round {k + 1}")
        for name in here:
            samples[name].append(cpu_ns(f"import {name}"))
    table.rows["processor time of a process that imports it"] = {n: harness.summarise(s) for n, s in samples.items()}
    table.rows["installed size"] = {name: Measure.single(installed(name), "bytes") for name in here}
    run.verdicts += _import_verdicts(context, table)
    _first_steps(context)


def _import_verdicts(context, table):
    times, sizes = table.rows.values()
    over = Measure.single(times["fastgrad"].median - times["numpy"].median, "ns")
    yield context.within("6", "import, over NumPy's", over, 60e6)
    size = sizes["fastgrad"].median
    yield Verdict("6", "installed size, over NumPy's", "≤ 5 MB", f"{size / 1e6:.1f} MB", size <= 5e6)


def _first_steps(context):
    table = Table("first", f"The first training step of a process ({NET}), imports apart", [], "fastgrad")
    context.run.tables.append(table)
    cells = table.rows["first step, elapsed time"] = {}
    for name in FIRST:
        module = CONTENDERS[name][0]
        if module != "fastgrad" and not version(module):
            continue
        if context.quick and name == "torch.compile":
            context.run.note(name, "not in a quick run")
            continue
        context.progress(f"first step of {name}")
        table.columns.append(name)
        samples = [_first(name) for _ in range(1 if name == "torch.compile" else 3)]
        reasons = [sample for sample in samples if isinstance(sample, str)]
        cells[name] = reasons[0] if reasons else harness.summarise(samples)


def cpu_ns(code):
    """Nanoseconds of processor time of a new process, all its threads."""
    before = os.times()
    subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True)
    after = os.times()
    return 1e9 * (after.children_user + after.children_system - before.children_user - before.children_system)


def _first(name):
    code = f"from fastgrad.bench import startup; startup.report({name!r})"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else "-"


def report(name):
    """In the new process: prints what the first step took in nanoseconds as JSON, or why there is none."""
    import time

    import numpy as np

    from .problem import Problem

    problem = Problem(NET)
    assert np.isfinite(problem.expected).all()
    try:
        step = CONTENDERS[name][1](problem, 1e-8)
        start = time.perf_counter_ns()
        step.run(1)
        print(json.dumps(time.perf_counter_ns() - start))
    except NotTimedError as reason:
        print(json.dumps(str(reason)))


def installed(module):
    """Bytes of a package and of what it needs, without NumPy."""
    names, seen = [DISTRIBUTIONS.get(module, module)], set()
    total = 0
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in seen or (name == "numpy" and module != "numpy"):
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            total += _folder(name)
            continue
        total += sum(_size(found.locate_file(file)) for file in found.files or ())
        names += [re.match(r"[\w.-]+", need).group() for need in found.requires or () if "extra ==" not in need]
    return total


def _folder(name):
    """A package that runs from where it was built."""
    import fastgrad

    paths = pathlib.Path(fastgrad.__file__).parent.rglob("*") if name == "fastgrad" else ()
    return sum(_size(path) for path in paths if path.suffix not in (".pyx", ".pxd", ".pyc"))


def _size(path):
    try:
        return os.stat(path).st_size if os.path.isfile(path) else 0
    except OSError:
        return 0
