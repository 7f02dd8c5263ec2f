"""Elementwise functions and reductions on 10^5 elements: nanoseconds for each element, and the largest error in ulps."""

import numpy as np

from . import harness
from .contenders import torch_alike
from .results import Measure, Table, Verdict

ELEMENTS = 100_000


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Function -> NumPy's, (where x lies), most ulps, and so many times NumPy's and torch's time at most.
FUNCTIONS = {
    "exp": (np.exp, (-10, 10), 1.5, {"NumPy": 1.0, "torch": 1.0}),
    "tanh": (np.tanh, (-5, 5), 1.5, {"NumPy": 1.3, "torch": 0.25}),
    "sigmoid": (_sigmoid, (-8, 8), 2.0, {"torch": 1.0}),
    "log": (np.log, (1e-3, 10), 1.5, {"NumPy": 1.0}),
    "gelu": (None, (-4, 4), None, {"torch": 1.0}),
    "sin": (np.sin, (-10, 10), None, {}),
    "sqrt": (np.sqrt, (0, 10), None, {}),
    "relu": (None, (-1, 1), None, {}),
}
REDUCTIONS = ("sum", "mean", "max", "var", "argmax")
OUT = {"exp", "tanh", "log", "sin", "sqrt"}  # what is a ufunc writes into an array that exists, so no page is new


def section(context):
    run = context.run
    libraries = torch_alike(run)
    columns = ["fastgrad", "NumPy", "torch", "error of fastgrad", "error of NumPy"]
    table = Table("elementwise", f"Elementwise functions, for each of {ELEMENTS:,} elements", columns, "fastgrad")
    table.note = "NumPy writes into an array that exists. Errors are the largest of 10^6 arguments, against float64."
    run.tables.append(table)
    for name, (exact, bounds, most_ulps, limits) in FUNCTIONS.items():
        context.progress(name)
        cells = table.rows[name] = _row(name, exact, bounds, libraries, context.rounds)
        run.verdicts += _verdicts(name, cells, most_ulps, limits)
    reductions = Table("reductions", f"Reductions, for each of {ELEMENTS:,} elements", columns[:3], "fastgrad")
    run.tables.append(reductions)
    for name in REDUCTIONS:
        for axis in (None, 0, 1):
            context.progress(f"{name}, axis {axis}")
            where = "all" if axis is None else f"axis {axis} of 1,000 x 100"
            reductions.rows[f"{name}, {where}"] = _reduction(name, axis, libraries, context.rounds)


def function(library, name):
    """A function of `library` or of its nn.functional."""
    return getattr(library, name, None) or getattr(library.nn.functional, name)


def _row(name, exact, bounds, libraries, rounds):
    x = np.random.default_rng(0).uniform(*bounds, ELEMENTS).astype(np.float32)
    steps = {}
    for which, torch in libraries.items():
        steps[which] = _call(function(torch, name), torch.from_numpy(x))
    if name in OUT:
        y = np.empty_like(x)
        steps["NumPy"] = harness.repeated(lambda: exact(x, y))
    elif exact is not None:
        steps["NumPy"] = _call(exact, x)
    cells = {which: time.per(ELEMENTS) for which, time in harness.interleave(steps, rounds, 0.005).items()}
    if exact is not None:
        many = np.random.default_rng(1).uniform(*bounds, 1_000_000).astype(np.float32)
        ours = function(libraries["fastgrad"], name)(libraries["fastgrad"].from_numpy(many)).numpy()
        cells["error of fastgrad"] = Measure.single(ulps(ours, exact, many), "ulp")
        cells["error of NumPy"] = Measure.single(ulps(exact(many), exact, many), "ulp")
    return cells


def ulps(got, exact, x):
    """The largest distance from the exact value, in units in the last place of float32."""
    want = exact(x.astype(np.float64))
    return float(np.max(np.abs(got - want) / np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)))


def _reduction(name, axis, libraries, rounds):
    x = np.random.default_rng(0).standard_normal((ELEMENTS // 100, 100)).astype(np.float32)
    steps = {"NumPy": _call(getattr(np, name), x, *([] if axis is None else [axis]))}
    for which, torch in libraries.items():
        steps[which] = _call(getattr(torch, name), torch.from_numpy(x), *([] if axis is None else [axis]))
    return {which: time.per(ELEMENTS) for which, time in harness.interleave(steps, rounds, 0.005).items()}


def _call(f, *operands):
    def run(n):
        for _ in range(n):
            f(*operands)

    return run


def _verdicts(name, cells, most_ulps, limits):
    if most_ulps is not None:
        error = cells["error of fastgrad"].median
        yield Verdict("4", f"{name}, error", f"≤ {most_ulps:g} ulp", f"{error:.2f} ulp", error <= most_ulps)
    for peer, limit in limits.items():
        if peer in cells:
            times = cells["fastgrad"].median / cells[peer].median
            target = f"≤ {limit:g}x {peer}"
            yield Verdict("4", f"{name}, {ELEMENTS:,} elements", target, f"{times:.2f}x", times <= limit)
        else:
            yield Verdict("4", f"{name}, {ELEMENTS:,} elements", f"≤ {limit:g}x {peer}", "not installed", None)
