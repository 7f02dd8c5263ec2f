"""What the tape costs: one op on a tiny tensor through the Python operator, the loop's own cost subtracted."""

from itertools import repeat

import numpy as np

from . import harness
from .contenders import library
from .problem import NotTimedError
from .results import Table, Verdict, amount_text

ELEMENTS = (1, 16, 256, 4096)
# Nanoseconds that NumPy's `a * b` took where the absolute targets were set: the witness of the clock.
NUMPY_NS = 200


def section(context):
    run = context.run
    columns = ["fastgrad", "torch", "MyGrad", "NumPy"]
    table = Table("ops", "One op, float32, recorded unless said otherwise", columns, "fastgrad")
    table.note = "NumPy records nothing; it is the witness of what the interpreter costs."
    run.tables.append(table)
    runs = {"loop": _empty}
    for elements in ELEMENTS[: 2 if context.quick else None]:
        for what, contenders in _contenders(run, elements).items():
            runs |= {(f"{what}, {elements:,} elements", name): step for name, step in contenders.items()}
    context.progress(f"{len(runs) - 1} operations")
    timings = harness.interleave(runs, context.rounds, seconds=0.005)
    loop = timings.pop("loop").median
    for (what, name), time in timings.items():
        table.rows.setdefault(what, dict.fromkeys(columns, "-"))[name] = time.less(loop)
    for elements in ELEMENTS[:2]:
        run.verdicts += _verdicts(table.rows, elements)
    run.verdicts.append(_replay(context, table))


def _contenders(run, elements):
    """Kind of operation -> contender -> function that does it n times."""
    values = np.full(elements, 1.5, np.float32), np.full(elements, 1.1, np.float32)
    found = {"a * b": {}, "a * 2.0": {}, "a * b, no_grad": {}}
    for name in ("fastgrad", "torch"):
        try:
            torch = library(name)
        except NotTimedError as reason:
            run.note(name, str(reason))
            continue
        a, b = torch.from_numpy(values[0]).requires_grad_(), torch.from_numpy(values[1])
        found["a * b"][name] = multiply(a, b)
        found["a * 2.0"][name] = multiply(a, 2.0)
        found["a * b, no_grad"][name] = _without_recording(torch, multiply(a, b))
    try:
        mygrad = library("mygrad")
        a, b = mygrad.tensor(values[0]), mygrad.tensor(values[1], constant=True)
        found["a * b"]["MyGrad"] = multiply(a, b)
        found["a * 2.0"]["MyGrad"] = multiply(a, 2.0)
    except NotTimedError as reason:
        run.note("MyGrad", str(reason))
    found["a * b"]["NumPy"] = multiply(*values)
    found["a * 2.0"]["NumPy"] = multiply(values[0], 2.0)
    return found


def _empty(n):
    for _ in repeat(None, n):
        pass


def multiply(a, b):
    """A function that multiplies n times."""

    def run(n):
        for _ in repeat(None, n):
            a * b

    return run


def _without_recording(torch, run):
    def guarded(n):
        with torch.no_grad():
            run(n)

    return guarded


def _verdicts(rows, elements):
    """Targets: so many times less than the peers, and nanoseconds at the speed of NumPy's own op."""
    what = f"a * b, {elements:,} elements"
    ours, numpy = rows[what]["fastgrad"], rows[what]["NumPy"]
    for name, least in (("torch", 20), ("NumPy", 2.5)):
        theirs = rows[what].get(name, "-")
        if theirs == "-":
            yield Verdict("1", what, f"≥ {least:g}x less than {name}", "not installed", None)
        else:
            times = theirs.median / ours.median
            yield Verdict("1", what, f"≥ {least:g}x less than {name}", f"{times:.3g}x", times >= least)
    for label, limit in ((what, 70), (f"a * 2.0, {elements:,} elements", 90)):
        time, limit = rows[label]["fastgrad"].median, limit * numpy.median / NUMPY_NS
        yield Verdict("1", label, f"≤ {amount_text(limit, 'ns')}", amount_text(time, "ns"), time <= limit)


def _replay(context, table):
    """`a * b` in a compiled function: the difference of two lengths, so that the call itself drops out.

    A product, as in the rest of the section: in a chain of sines each waits for the one before, which is arithmetic.
    """
    import fastgrad

    what, target = "replay of a captured elementwise op", "≤ 15 ns"
    if not hasattr(fastgrad, "compile"):
        return Verdict("1", what, target, "not yet", None)
    x, b, lengths = fastgrad.ones(16), fastgrad.full((16,), 1.01), (10, 1010)

    def chain(length):
        def product(a):
            for _ in range(length):
                a = a * b
            return a

        compiled = fastgrad.compile(product)
        while not compiled.replays:  # recorded calls are long: counted in, they would say that one call fills a sample
            compiled(x)
        return harness.repeated(lambda: compiled(x))

    context.progress(what)
    short, long = harness.interleave({k: chain(k) for k in lengths}, context.rounds).values()
    one = (long.median - short.median) / (lengths[1] - lengths[0])
    return Verdict("1", what, target, amount_text(one, "ns"), one <= 15)
