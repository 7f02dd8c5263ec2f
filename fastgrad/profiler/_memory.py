"""Who holds which bytes for backward, from the saves that a watcher noted. Imports the core and viz's tracing."""

import os
import warnings
from dataclasses import dataclass

from fastgrad._core.watch import line_of
from fastgrad.viz._draw import html_table, table
from fastgrad.viz._trace import module_names

ALIVE = 8  # nodes of one line that live on through as many backward passes: a graph that grows


@dataclass
class Held:
    """Memory that one op at one line held for backward when the most was held."""

    op: str
    module: str
    line: str
    shape: tuple | None
    nbytes: int
    count: int = 1


class Memory:
    """What was held for backward: `peak` bytes at `peak_time` seconds, and `held` then, the largest first.

    peak is what the records of the ops say: each saved block of memory once, parameters and data left out. measured: how many
    bytes more than at the start the allocator had given out at that moment; it also counts results that something else holds,
    gradients in .grad and temporaries, and rounds to the sizes of its blocks, but not tensors of at most 64 bytes. most: the
    most that it had given out at any event, after `most_time` seconds. growing: (line, nodes) of graphs that grow from step
    to step. replays: steps of programs among them, which save nothing op by op: their memory lies in the program.
    """

    def __init__(self, peak, peak_time, measured, most, most_time, held, growing, replays=0):
        self.replays = replays
        self.peak, self.peak_time, self.measured = peak, peak_time, measured
        self.most, self.most_time = most, most_time
        self.held, self.growing = held, growing

    def by(self, what):
        """{op, module or line: bytes}, the largest first; `what` is "op", "module" or "line"."""
        if what not in ("op", "module", "line"):
            raise ValueError(f'by: expected "op", "module" or "line", got {what!r}')
        found = {}
        for h in self.held:
            found[getattr(h, what)] = found.get(getattr(h, what), 0) + h.nbytes
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _cells(self):
        rows = [["bytes", "values", "op", "shape", "module", "line"]]
        rows += [
            [f"{h.nbytes:,}", str(h.count), h.op, "" if h.shape is None else str(h.shape), h.module, h.line]
            for h in self.held
        ]
        return rows

    def _lines(self):
        lines = [
            f"held for backward at most: {self.peak:,} bytes by what the ops save, {self.peak_time * 1e3:.3g} ms after the start",
            f"allocated then, beyond what was at the start: {self.measured:,} bytes; at most {self.most:,} bytes, "
            f"{self.most_time * 1e3:.3g} ms after the start",
        ]
        if self.replays:
            lines.append(
                f"{self.replays:,} compiled steps are not in this: what they keep lies in memory of their programs, which "
                "explain() of the compiled function shows"
            )
        return lines

    def __str__(self):
        parts = [*self._lines(), table(self._cells(), right=(0, 1))]
        return "\n".join(parts + [f"warning: {text}" for text in self.warnings])

    def _repr_html_(self):
        return "".join(f"<p>{text}.</p>" for text in (*self._lines(), *self.warnings)) + html_table(self._cells())

    @property
    def warnings(self):
        """What to say about graphs that grow."""
        return [
            f"{line} keeps a graph alive: {count} nodes of it were neither differentiated nor freed. A sum of losses over "
            "steps holds the graph of every step; add loss.item() or loss.detach() instead"
            for line, count in self.growing
        ]


class _Events:
    """A watcher's events with their modules, and what each of those that recorded a node holds."""

    def __init__(self, watcher):
        self.watcher = watcher
        self.events = watcher.events()
        self.saves = {}  # event -> [(address, bytes)]
        for event, address, nbytes, _, leaf in watcher.saves():
            if not leaf:
                self.saves.setdefault(event, []).append((address, nbytes))
        self.alive = {}  # address of a node -> event that recorded it, at the end
        self.runs = 0  # backward runs
        self.actions = []  # (time, +1 or -1, event): when it begins and ends to hold what it saved
        for k, (kind, _, what, times, _, _, _, _, node, _) in enumerate(self.events):
            if kind == "range" and what == "backward":
                self.runs += 1
            elif kind == "node":
                made = self.alive.pop(node, None)
                if made is not None:
                    self.actions.append((times[3], -1, made))
            elif node and kind in ("op", "view"):
                if node in self.alive:  # the node that was here is gone
                    self.actions.append((times[0], -1, self.alive[node]))
                self.alive[node] = k
                self.actions.append((times[3], 1, k))
        self.actions.sort(key=lambda action: action[0])

    def most_held(self):
        """(bytes, event after which it was, events that hold)."""
        users, total, peak, at, at_peak = {}, 0, 0, -1, []
        holding = set()
        for _, sign, k in self.actions:
            for address, nbytes in self.saves.get(k, ()):
                before = users.get(address, 0)
                users[address] = before + sign
                total += nbytes * ((before + sign > 0) - (before > 0))
            holding.add(k) if sign > 0 else holding.discard(k)
            if total > peak:
                peak, at, at_peak = total, k, list(holding)
        return peak, at, sorted(at_peak)

    def growing(self):
        """[(line, nodes)] where at least a node for each backward run lives on."""
        left = {}
        for k in self.alive.values():
            line = _line(self.events[k][9])
            left[line] = left.get(line, 0) + 1
        return [(line, n) for line, n in left.items() if line and self.runs >= ALIVE and n >= min(self.runs, ALIVE)]

    def modules(self):
        """The modules around each event, outermost first."""
        found = []
        for kind, parent, what, *_ in self.events:
            nested = found[parent] if parent >= 0 else ()
            found.append((*nested, what) if kind == "module" else nested)
        return found


def memory_of(watcher):
    """The saves of a watcher, held from the op that saved to the visit of its node in a backward pass (or to its end, which
    shows where its address is taken by another node). Memory of parameters and data exists anyway and is not counted."""
    seen = _Events(watcher)
    path_of, modules = module_names(), seen.modules()
    peak, at, holding = seen.most_held()
    found, counted = {}, set()
    for k in holding:
        _, _, what, _, _, outs, _, _, _, where = seen.events[k]
        nbytes = sum(n for address, n in seen.saves.get(k, ()) if address not in counted and not counted.add(address))
        if not nbytes:
            continue
        module = path_of(modules[k]) if modules[k] else ""
        shape = tuple(outs[0].shape) if outs and outs[0] is not None else None
        key = (what.name, module, _line(where), shape)
        entry = found.setdefault(key, Held(*key, 0, 0))
        entry.nbytes += nbytes
        entry.count += 1
    most, most_at = max(((watcher.bytes(k), k) for k in range(len(seen.events))), default=(watcher.from_bytes, -1))
    memory = Memory(
        peak,
        seen.events[at][3][3] / 1e9 if at >= 0 else 0.0,
        watcher.bytes(at) - watcher.from_bytes if at >= 0 else 0,
        most - watcher.from_bytes,
        seen.events[most_at][3][3] / 1e9 if most_at >= 0 else 0.0,
        sorted(found.values(), key=lambda h: -h.nbytes),
        seen.growing(),
        len({parent for kind, parent, *_ in seen.events if kind == "call"}),
    )
    for text in memory.warnings:
        warnings.warn(text, stacklevel=3)
    return memory


def _line(where):
    if where is None:
        return ""
    file, number = line_of(where)
    return f"{os.path.basename(file)}:{number}"
