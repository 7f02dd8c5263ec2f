"""Who holds which bytes for backward, from the saves that a watcher noted. Imports viz's tracing."""

import os
from dataclasses import dataclass

from fastgrad.viz._draw import table
from fastgrad.viz._trace import line_of, module_names

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
    """What was held for backward. `peak` bytes at `peak_time` seconds; `held` then, the largest first; `growing` lines."""

    def __init__(self, peak, peak_time, held, growing):
        self.peak, self.peak_time, self.held, self.growing = peak, peak_time, held, growing

    def __str__(self):
        rows = [["bytes", "values", "op", "shape", "module", "line"]]
        rows += [
            [f"{h.nbytes:,}", str(h.count), h.op, "" if h.shape is None else str(h.shape), h.module, h.line]
            for h in self.held
        ]
        text = f"{self.peak:,} bytes held for backward at most, {self.peak_time * 1e3:.3g} ms after the start\n"
        text += table(rows, right=(0, 1))
        for line, count in self.growing:
            text += (
                f"\nwarning: {line} keeps a graph alive: {count} nodes of it were neither differentiated nor freed. A sum of "
                "losses over steps holds the graph of every step; add loss.item() or loss.detach() instead"
            )
        return text


def memory_of(watcher):
    """The saves of a watcher, held from the op that saved to the visit of its node in a backward pass (or to its end, which
    shows where its address is taken by another node). Memory of parameters and data exists anyway and is not counted."""
    events = watcher.events()
    path_of = module_names(events)
    saves = {}
    for event, address, nbytes, _, leaf in watcher.saves():
        if not leaf:
            saves.setdefault(event, []).append((address, nbytes))
    actions, modules, alive, runs = [], [], {}, 0
    for k, (kind, parent, what, times, _, _, _, _, node, _) in enumerate(events):
        nested = modules[parent] if parent >= 0 else ()
        if kind == "module":
            nested = (*nested, what)
        modules.append(nested)
        if kind == "range" and what == "backward":
            runs += 1
        if kind == "node":
            made = alive.pop(node, None)
            if made is not None:
                actions.append((times[3], -1, made))
        elif node and kind in ("op", "view"):
            if node in alive:  # the node that was here is gone
                actions.append((times[0], -1, alive[node]))
            alive[node] = k
            actions.append((times[3], 1, k))
    actions.sort(key=lambda a: a[0])
    users, sizes, total, peak, peak_time, at_peak = {}, {}, 0, 0, 0.0, []
    holding = set()
    for time, sign, k in actions:
        for address, nbytes in saves.get(k, ()):
            before = users.get(address, 0)
            users[address] = before + sign
            sizes[address] = nbytes
            total += nbytes * ((before + sign > 0) - (before > 0))
        holding.add(k) if sign > 0 else holding.discard(k)
        if total > peak:
            peak, peak_time, at_peak = total, time / 1e9, list(holding)
    found, counted = {}, set()
    for k in sorted(at_peak):
        _, _, what, _, _, outs, _, _, _, where = events[k]
        nbytes = sum(n for address, n in saves.get(k, ()) if address not in counted and not counted.add(address))
        if not nbytes:
            continue
        module = path_of(modules[k]) if modules[k] else ""
        shape = tuple(outs[0].shape) if outs and outs[0] is not None else None
        key = (what.name, module, _line(where), shape)
        entry = found.setdefault(key, Held(*key, 0, 0))
        entry.nbytes += nbytes
        entry.count += 1
    held = sorted(found.values(), key=lambda h: -h.nbytes)
    left = {}
    for k in alive.values():
        line = _line(events[k][9])
        left[line] = left.get(line, 0) + 1
    growing = [(line, n) for line, n in left.items() if line and runs >= ALIVE and n >= min(runs, ALIVE)]
    return Memory(peak, peak_time, held, growing)


def _line(where):
    if where is None:
        return ""
    file, number = line_of(where)
    return f"{os.path.basename(file)}:{number}"
