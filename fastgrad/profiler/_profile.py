"""profile(): runs code under a watcher and adds up what it saw. Imports the core, optim, utils.data and viz's tracing.

Every nanosecond between start and end belongs to exactly one row: the self time of each event, which is its span less the
spans inside it, and what lies outside all of them. So the rows add up to the whole.
"""

import json
import os
import warnings
from dataclasses import dataclass, field
from functools import cached_property

from fastgrad._core._costs import bytes_of, flops_of
from fastgrad._core.explain import Summary
from fastgrad._core.watch import Watcher, current, line_of
from fastgrad.profiler._memory import memory_of
from fastgrad.utils.data import DataLoader
from fastgrad.viz._trace import module_names

PHASES = ("data", "forward", "backward", "optimiser", "compiled step")
SORTS = ("total", "forward", "backward", "calls", "flops", "bytes", "saved", "name")
GROUPS = ("op", "module", "line", "phase", "kernel")


@dataclass
class Row:
    """What one group costs. Times are in seconds.

    forward, backward: time in the op and in its part of the backward pass; other: in optimisers and data loaders. kernel: of
    all that, time in kernels. flops, bytes: what these kernels did by their ops' cost. saved: bytes held for backward.
    """

    name: str
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    other: float = 0.0
    kernel: float = 0.0
    flops: int = 0
    bytes: int = 0
    saved: int = 0

    @property
    def total(self):
        """Seconds in all."""
        return self.forward + self.backward + self.other

    @property
    def gflops(self):
        """Achieved GFLOP/s in kernels."""
        return self.flops / self.kernel / 1e9 if self.kernel else 0.0

    @property
    def gbytes(self):
        """Achieved GB/s in kernels."""
        return self.bytes / self.kernel / 1e9 if self.kernel else 0.0


@dataclass
class Span:
    """One event of the timeline: nanoseconds since the start."""

    name: str
    category: str
    start: float
    end: float
    depth: int
    parent: int
    phase: str
    own: float = 0.0
    kernel: float = 0.0
    flops: int = 0
    bytes: int = 0
    saved: int = 0
    op: str = ""
    module: str = ""
    line: str = ""
    shapes: str = ""
    details: dict = field(default_factory=dict)


class Profile:
    """What `profile` measured. `print(prof)` is its table."""

    def __init__(self, watcher):
        self.wall = (watcher.to_ns - watcher.from_ns) / 1e9
        self.full = watcher.full
        self._watcher = watcher

    @cached_property
    def spans(self):
        """The events as a list of `Span`, in the order in which they began; made when first asked for."""
        return _spans(self._watcher)

    # ---- tables ------------------------------------------------------------------------------------------------------

    def rows(self, group_by="op"):
        """The costs added up by op, module, line, phase or kernel, as a list of `Row`, the most expensive first.

        "op" and "module" pair each op's backward pass with its forward one; "kernel" lists ops as they ran, those of the
        backward pass under their own names. Names in parentheses are time outside of any op.
        """
        if group_by not in GROUPS:
            raise ValueError(f"group_by must be one of {', '.join(GROUPS)}, got {group_by!r}")
        found = {}
        inside = 0.0
        for span in self.spans:
            row = found.setdefault(_key(span, group_by), Row(_key(span, group_by)))
            seconds = span.own / 1e9
            inside += seconds
            if span.phase == "backward":
                row.backward += seconds
            elif span.phase == "forward":
                row.forward += seconds
            else:
                row.other += seconds
            counts = span.category in ("op", "view") and (span.phase != "backward" or group_by in ("kernel", "phase"))
            row.calls += counts
            row.kernel += span.kernel / 1e9
            row.flops += span.flops
            row.bytes += span.bytes
            row.saved += span.saved
        outside = self.wall - inside
        name = "(outside of fastgrad)"
        found.setdefault(name, Row(name)).other += outside
        return sorted(found.values(), key=lambda r: -r.total)

    def table(self, sort_by="total", group_by="op", limit=25):
        """The rows as text.

        Args:
            sort_by: "total", "forward", "backward", "calls", "flops", "bytes", "saved" or "name".
            group_by: "op", "module", "line", "phase" or "kernel".
            limit: rows to show; None for all.
        """
        from fastgrad.profiler._report import as_table

        if sort_by not in SORTS:
            raise ValueError(f"sort_by must be one of {', '.join(SORTS)}, got {sort_by!r}")
        rows = self.rows(group_by)
        rows.sort(key=(lambda r: r.name) if sort_by == "name" else (lambda r: -getattr(r, sort_by)))
        return as_table(self, rows, group_by, limit)

    def __str__(self):
        return self.table()

    def __repr__(self):
        return f"<profile of {self.wall * 1e3:.3g} ms, {len(self.spans)} events>"

    def to_dict(self):
        """Everything as plain numbers and strings: wall time, phases, and rows by each grouping."""
        return {
            "wall_seconds": self.wall,
            "events": len(self.spans),
            "complete": not self.full,
            **{
                group: [
                    {
                        **vars(row),
                        "total": row.total,
                        "share": row.total / self.wall,
                        "gflops": row.gflops,
                        "gbytes": row.gbytes,
                    }
                    for row in self.rows(group)
                ]
                for group in GROUPS
            },
        }

    # ---- timelines and pictures --------------------------------------------------------------------------------------

    def export_chrome_trace(self, path):
        """Writes the timeline for Perfetto (ui.perfetto.dev) or chrome://tracing."""
        process = os.getpid()
        events = [
            {
                "name": span.name,
                "cat": f"{span.category},{span.phase}",
                "ph": "X",
                "ts": span.start / 1e3,
                "dur": (span.end - span.start) / 1e3,
                "pid": process,
                "tid": 0,
                "args": {k: v for k, v in (("shapes", span.shapes), ("module", span.module), ("line", span.line)) if v},
            }
            for span in self.spans
        ]
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ns"}, file)

    def roofline(self):
        """What each kernel reached of what this machine can do, as a list of dicts, the most expensive kernel first.

        name, phase and seconds of the kernel; intensity: floating-point operations per byte of its operands; bytes_per_call;
        gflops: its rate; ceiling: the rate it would have if each call were as fast as the fastest matrix product, or moved its
        bytes as fast as an addition of that size does, in caches or in memory, whichever is slower; reached: gflops / ceiling.
        The ceilings are measured at the first call, which takes half a second (Williams et al. 2009, Ilic et al. 2014).
        """
        from fastgrad.profiler._roofline import roofline_rows

        return roofline_rows(self)

    def to_html(self):
        """A report of its own: phases, tables, flame chart, roofline. It needs no network and no script."""
        from fastgrad.profiler._report import as_html

        return as_html(self)

    def save(self, path):
        """Writes the HTML report."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.to_html())

    def _repr_html_(self):
        from fastgrad.profiler._report import html_rows

        return html_rows(self, self.rows(), "op", 15)

    def plot(self, group_by="op", limit=15):
        """Bars of forward and backward time; returns the figure. Needs matplotlib (`pip install fastgrad[plot]`)."""
        from fastgrad.profiler._report import bars

        return bars(self, self.rows(group_by)[:limit])

    def memory(self):
        """Who held which bytes for backward, when the most was held, and which lines keep graphs alive; a `Memory`.

        Warns of graphs that grow from step to step, with the line that makes them grow.
        """
        return memory_of(self._watcher)


def _key(span, group_by):
    if group_by == "phase":
        return span.phase
    if group_by == "kernel":
        return span.name if span.category in ("op", "view") else _overhead(span)
    if group_by == "module":
        return span.module or "(no module)"
    if group_by == "line":
        return span.line or "(no line)"
    return span.op or _overhead(span)


def _overhead(span):
    return {
        "module": "(forward of modules, in Python)",
        "backward": "(order of the backward pass)",
        "data": "(data loader, in Python)",
        "accumulate": "(gradients into .grad)",
        "compiled step": "(compiled step: guards and bindings)",
        "recorded step": "(compiled step: recording)",
    }.get(span.category, f"({span.name})")


def _spans(watcher):
    """The events of a watcher with phase, module and line; ops of a backward pass have those of the op they belong to."""
    events = watcher.events()
    saved = {}
    for event, _, nbytes, _, leaf in watcher.saves():
        saved[event] = saved.get(event, 0) + (0 if leaf else nbytes)
    path_of = module_names()
    spans, modules, recorded, lines = [], [], {}, {}
    for k, (kind, parent, what, times, dtype, outs, ins, attrs, node, where) in enumerate(events):
        above = spans[parent] if parent >= 0 else None
        phase = above.phase if above else "forward"
        nested = modules[parent] if parent >= 0 else ()
        span = Span("", kind, times[0], times[3], above.depth + 1 if above else 0, parent, phase)
        origin = where[2] if kind == "call" and where is not None and len(where) == 3 else None
        if origin is not None:
            where = origin[2]
        if where is not None:
            if where not in lines:
                file, number = line_of(where)
                lines[where] = f"{os.path.basename(file)}:{number}"
            span.line = lines[where]
        elif above:
            span.line = above.line
        if above:
            span.module, span.op = above.module, above.op if above.phase == "backward" else ""
        if kind == "range":
            span.name = span.category = what
            if what in PHASES:
                span.phase = what
        elif kind == "module":
            nested = (*nested, what)
            span.module = path_of(nested)
            span.name = span.module
        elif kind == "node":
            span.phase = "backward"
            made = recorded.get(node)
            span.name = "accumulate" if isinstance(what, str) else what.name
            if isinstance(what, str):
                span.category = "accumulate"
                span.op = span.module = span.line = ""
            else:
                span.op = what.name
                if made is not None and made.op == what.name:
                    span.module, span.line = made.module, made.line
                span.name += " (backward)"
        elif kind == "call":  # of a compiled step; origin: what was noted when it was recorded
            span.phase, span.category = node, "op"
            span.name = span.op = what if isinstance(what, str) else what.name
            if origin is not None:
                span.module = path_of([m for ref in origin[0] if (m := ref()) is not None])
                if node == "backward" and not isinstance(what, str):
                    span.op = origin[1]
        else:
            span.name = what.name
            if phase != "backward":
                span.op = what.name
                if what.family == "multi":  # steps, and what is done to all gradients at once
                    span.phase = "optimiser"
        if kind in ("op", "view", "call"):
            _measure(span, what, times, dtype, outs, ins, attrs)
        if kind in ("op", "view"):
            span.saved = saved.get(k, 0)
            if node and phase != "backward":
                recorded[node] = span
        modules.append(nested)
        span.own = span.end - span.start
        if above:
            above.own -= span.end - span.start
        spans.append(span)
    for span in spans:
        if span.category == "compiled step" and span.own == span.end - span.start:  # no call of a program in it
            span.category = "recorded step"
    return spans


def _measure(span, op, times, dtype, outs, ins, attrs):
    """Fills in what is known of an op's shapes and of the kernel that ran for it."""
    shapes = [None if x is None else tuple(x.shape) for x in ins]
    results = [None if y is None else tuple(y.shape) for y in outs]
    span.shapes = ", ".join(str(s) for s in shapes if s is not None)
    if times[1] is not None:
        span.kernel = times[2] - times[1]
        if isinstance(op, Summary):
            span.flops, span.bytes = op.flops, op.bytes
        elif outs or ins:
            span.flops = flops_of(op, attrs, shapes, results)
            span.bytes = bytes_of(op, shapes, results, dtype.itemsize)


class record_function:  # noqa: N801 - PyTorch's name
    """A named part of a profile, as a context manager; nothing where no profile is running."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self._watcher = current()
        if self._watcher is not None:
            self._span = self._watcher.enter(self.name)
        return self

    def __exit__(self, *_):
        if self._watcher is not None and self._watcher.running:
            self._watcher.leave(self._span)


class profile:  # noqa: N801 - PyTorch's name
    """Measures the code inside, on this thread: ``with profile() as prof: ...``, then `print(prof)`.

    Args:
        limit: events (ops, modules, nodes of a backward pass) after which recording ends; a step of a small net is about 50.
        lines: whether to note the line of each op.

    The `Profile` it gives is filled at the end of the block. `record_function` names parts; optimisers and data loaders
    are known by themselves.

    Example:
        >>> net = fg.nn.Sequential(fg.nn.Linear(4, 8), fg.nn.Tanh(), fg.nn.Linear(8, 1))
        >>> with profile() as prof:
        ...     net(fg.zeros(2, 4)).sum().backward()
        >>> next(row for row in prof.rows("op") if row.name == "linear").calls
        2
    """

    def __init__(self, *, limit=1_000_000, lines=True):
        self._watcher = Watcher(limit=limit, lines=lines)

    def __enter__(self):
        self._iter = batches = DataLoader.__iter__

        def watched_iter(self):
            iterator = iter(batches(self))
            while True:
                with record_function("data"):
                    batch = next(iterator, iterator)
                if batch is iterator:
                    return
                yield batch

        DataLoader.__iter__ = watched_iter
        self.result = Profile.__new__(Profile)
        self._watcher.start()
        return self.result

    def __exit__(self, *_):
        self._watcher.stop()
        DataLoader.__iter__ = self._iter
        self.result.__init__(self._watcher)
        if self._watcher.full:
            warnings.warn(
                f"the profile is full after {len(self._watcher):,} events and lacks what came later; profile fewer steps, or "
                "raise limit",
                stacklevel=2,
            )


def matplotlib_pyplot(who):
    """matplotlib, or an error that says how to get it."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(f"{who} needs matplotlib: pip install fastgrad[plot]") from None
    return pyplot
