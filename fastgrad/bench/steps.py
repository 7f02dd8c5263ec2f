"""One training step of a ReLU MLP, float32: as multiples of the floor, and of small nets in absolute time.

The step is the public one of each library: forward, loss, zero_grad, backward, optimizer.step. A contender is timed
only if it reaches the expected losses from the same weights; otherwise the reason is noted.
"""

import statistics
from dataclasses import dataclass

from . import contenders, harness
from .contenders import one_line
from .problem import TIMED_LR, Net, NotTimedError, Problem, checked
from .results import Measure, Table, Verdict


@dataclass(frozen=True)
class Row:
    """A net, how many floors a step may cost (eager, compiled), and the floor's microseconds when that was set."""

    net: Net
    eager: float
    compiled: float
    floor_us: float


ROWS = [
    Row(Net(1, (4, 64, 64, 2), "sgd"), 6, 1.7, 0.95),
    Row(Net(1, (4, 64, 64, 2), "adamw"), 5, 1.5, 1.6),
    Row(Net(64, (64, 64, 10), "sgd"), 1.6, 1.1, 10),
    Row(Net(64, (64, 64, 10), "adamw"), 1.6, 1.1, 10.5),
    Row(Net(32, (784, 128, 10), "sgd"), 1.4, 1.15, 70),
    Row(Net(32, (784, 128, 10), "adamw"), 1.4, 1.15, 102),
    Row(Net(128, (784, 512, 256, 10), "sgd"), 1.15, 1.08, 1655),
    Row(Net(256, (784, 1024, 1024, 10), "sgd"), 1.1, 1.05, 14400),
]
OURS = ("fastgrad", "fastgrad compiled", "fastgrad compiled loop")
QUICK = 4  # so many of them in a quick run
LARGE = 5e6  # multiplications of a net above which a round is longer
# In an absolute time: no contender has a floor for the squared error.
SMALL = [(Net(32, (2, 16, 16, 1), optimizer, "mse"), 10, 4) for optimizer in ("sgd", "adamw")]


def measure(run, net, makers, rounds):
    """The cells of one row."""
    problem, steps, cells = Problem(net), {}, {}
    for name, make in makers.items():
        try:
            steps[name] = checked(make, problem).run
        except NotTimedError as reason:
            cells[name] = "not yet" if str(reason) == "not yet" else "-"
            run.note(name, str(reason), str(net))
        except Exception as error:  # whatever goes wrong in a peer is its reason, not the end of the comparison
            if name.startswith("fastgrad"):
                raise
            cells[name] = "-"
            run.note(name, one_line(error), str(net))
    large = net.batch * net.weights > LARGE
    timings = harness.interleave(steps, max(3, rounds // 2) if large else rounds, 0.05 if large else 0.02)
    return {name: timings.get(name) or cells[name] for name in makers}


def section(context):
    """Section 2: steps as multiples of the floor."""
    run = context.run
    makers = contenders.available(run, context.contenders)
    if context.quick and makers.pop("torch.compile", None):
        run.note("torch.compile", "not in a quick run: it compiles for ten seconds a net")
    table = Table(
        "steps",
        "One training step: forward, backward and optimiser, float32",
        list(makers),
        "floor",
        "Batch x layer sizes, ReLU, cross-entropy. The floor is the same step written by hand in C.",
    )
    run.tables.append(table)
    for row in ROWS[:QUICK] if context.quick else ROWS:
        context.progress(str(row.net))
        cells = table.rows[str(row.net)] = measure(run, row.net, makers, context.rounds)
        for name, limit in zip(OURS, (row.eager, row.compiled, row.compiled), strict=True):
            run.verdicts.append(_against_floor(row.net, name, cells, limit))
    context.scale = clock_scale(table)

    small = Table("small steps", "One training step on the squared error", list(makers), "fastgrad")
    run.tables.append(small)
    for net, *limits in SMALL:
        context.progress(str(net))
        cells = small.rows[str(net)] = measure(run, net, makers, context.rounds)
        for name, limit in zip(OURS, (limits[0], limits[1], limits[1]), strict=True):
            run.verdicts.append(context.within("6", f"{net}, {name}", cells.get(name), 1e3 * limit))
    if makers.keys() >= set(OURS[:2]):
        _recording(context, makers)


def _recording(context, makers):
    """What a recorded call takes beyond an eager one, the dearest of a compiled step's first calls, and how many there are."""
    table = Table("recording", "Recorded calls of a compiled step", ["beyond an eager step"], "beyond an eager step")
    table.note = "The dearest of them; the median of several compiled steps, each new."
    context.run.tables.append(table)
    for row in ROWS[:QUICK]:
        context.progress(f"recording {row.net}")
        problem, dearest, counts = Problem(row.net), [], []
        for _ in range(max(5, context.rounds)):
            eager, compiled = makers["fastgrad"](problem, TIMED_LR), makers["fastgrad compiled"](problem, TIMED_LR)
            beyond = []
            while not compiled.step.replays:
                plain = _timed(eager.run)
                beyond.append(_timed(compiled.run) - plain)
            dearest.append(max(beyond[:-1]))
            counts.append(len(beyond))
        cell = harness.summarise(dearest)
        table.rows[str(row.net)] = {"beyond an eager step": cell}
        context.run.verdicts += [
            context.within("6", f"{row.net}, a recorded call", cell, 1e6),
            Verdict("6", f"{row.net}, the first replay", "call 4", f"call {max(counts)}", max(counts) <= 4),
        ]


def _timed(run):
    start = harness.now()
    run(1)
    return harness.now() - start


def _against_floor(net, name, cells, limit):
    ours, base, target = cells.get(name), cells.get("floor"), f"≤ {limit:g}x floor"
    if not isinstance(ours, Measure) or not isinstance(base, Measure):
        return Verdict("2", f"{net}, {name}", target, "no floor" if isinstance(ours, Measure) else "not yet", None)
    multiple = ours.median / base.median
    return Verdict("2", f"{net}, {name}", target, f"{multiple:.3g}x", multiple <= limit)


def clock_scale(table):
    """How much slower this machine's floor is than that of the machine on which absolute targets were set; or None."""
    times = {str(row.net): 1e3 * row.floor_us for row in ROWS}
    found = [cells["floor"].median / times[net] for net, cells in table.rows.items() if "floor" in cells]
    return statistics.median(found) if found else None


def floor_scale(context):
    """`clock_scale` from the floor alone, for a run without this section."""
    makers = contenders.available(context.run, ["floor"])
    table = Table("scale", "", ["floor"])
    if makers:
        table.rows = {str(row.net): measure(context.run, row.net, makers, 3) for row in ROWS[:QUICK]}
    return clock_scale(table)
