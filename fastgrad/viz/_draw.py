"""A Graph as text, DOT, SVG and HTML. Imports _layout only: what is drawn is duck-typed.

Colours: values are green, gradients red, as in the figures of lectures; both readable on white and with a colour-blind
reader's eyes, since a value stands above its edge and a gradient below.
"""

import math
from html import escape
from itertools import pairwise
from os.path import basename

import numpy as np

from fastgrad.viz._layout import Layout

VALUE, GRADIENT, INK, SOFT, LINE = "#14713a", "#c2272d", "#1c2733", "#66727f", "#9aa5b1"
FILLS = {"input": "#eef4fb", "constant": "#f6f6f4", "op": "#ffffff", "module": "#f3effa", "output": "#ffffff"}
STROKES = {"input": "#4a7fb5", "constant": "#b9b9b2", "op": "#44515e", "module": "#7a5fb0", "output": "#44515e"}
FONT = "font-family=\"Inter, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif\""
FEW = 24  # nodes up to which numbers are written at the edges
SMALL = 12  # elements of the largest array that is written out


# ---- numbers ---------------------------------------------------------------------------------------------------------


def number(x):
    """Four digits at most.

    >>> number(-4.0), number(0.73105858), number(1e-7), number(True)
    ('-4', '0.7311', '1e-07', 'True')
    """
    if isinstance(x, bool | np.bool_):
        return str(bool(x))
    if isinstance(x, int | np.integer):
        return str(x)
    x = float(x)
    if math.isfinite(x) and x == int(x) and abs(x) < 1e6:
        return str(int(x))
    return f"{x:.4g}"


def lines_of(array):
    """A small array as lines of text; a larger one as what it ranges over."""
    if array is None:
        return []
    array = np.asarray(array)
    if array.size > SMALL:
        return [f"{number(array.min())} … {number(array.max())}"]
    if array.ndim <= 1:
        return ["[" + ", ".join(map(number, array)) + "]" if array.ndim else number(array[()])]
    return ["[" + ", ".join(map(number, row)) + "]" for row in array.reshape(-1, array.shape[-1])]


def shape_text(shape):
    """(2, 3) as 2 × 3; a single number as nothing."""  # noqa: RUF002
    return "×".join(map(str, shape)) if shape else ""  # noqa: RUF001


# ---- text ------------------------------------------------------------------------------------------------------------


def table(rows, right=()):
    """Rows of strings as columns, those in `right` flush right; the last row's trailing blanks go."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            c.rjust(w) if k in right else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def name_of(node, k):
    return node.name or (node.label if node.kind == "constant" else f"n{k}")


def as_text(graph):
    names = {node: name_of(node, k) for k, node in enumerate(graph.nodes)}
    inputs = {node: [] for node in graph.nodes}
    for edge in graph.edges:
        inputs[edge.target].append(names[edge.source])
    columns = ["node", "what", "shape"]
    numbers = any(node.value is not None for node in graph.nodes)
    gradients = any(node.gradient is not None for node in graph.nodes)
    roles = any(node.role for node in graph.nodes)
    modules = any(node.module for node in graph.nodes)
    columns += ["value"] * numbers + ["gradient"] * gradients + ["role"] * roles + ["module"] * modules
    rows = [columns]
    for node in graph.nodes:
        what = " ".join([node.label, *inputs[node]]) if node.kind in ("op", "module") else node.kind
        row = [names[node], what, "" if node.shape is None else str(tuple(node.shape))]
        row += [begins(brief(node.value))] * numbers + [begins(brief(node.gradient))] * gradients
        rows.append(row + [node.role or ""] * roles + [node.module] * modules)
    return table(rows, right=[k for k, c in enumerate(columns) if c in ("value", "gradient")])


def brief(array):
    lines = lines_of(array)
    return "[" + ", ".join(lines) + "]" if len(lines) > 1 else "".join(lines)


def begins(text, most=40):
    """At most so many characters of a text, so that a table stays as wide as a terminal."""
    return text if len(text) <= most else text[: most - 1] + "…"


# ---- DOT -------------------------------------------------------------------------------------------------------------


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def as_dot(graph):
    at = {node: f"n{k}" for k, node in enumerate(graph.nodes)}
    out = ["digraph {", "  rankdir=LR;", '  node [shape=box, style="rounded,filled", fontname="Helvetica"];']
    for node in graph.nodes:
        shape = shape_text(node.shape or ())
        label = (node.sign or node.label) + (f"\n{shape}" if shape else "")
        out.append(
            f'  {at[node]} [label={quoted(label)}, fillcolor="{FILLS[node.kind]}", color="{STROKES[node.kind]}"];'
        )
    for edge in graph.edges:
        lines = [
            f'<font color="{colour}">{escape(brief(array))}</font>'
            for array, colour in ((edge.value, VALUE), (edge.gradient, GRADIENT))
            if array is not None and np.size(array) <= SMALL
        ]
        label = f" [label=<{'<br/>'.join(lines)}>]" if lines else ""
        out.append(f"  {at[edge.source]} -> {at[edge.target]}{label};")
    return "\n".join([*out, "}"]) + "\n"


# ---- SVG -------------------------------------------------------------------------------------------------------------


def text_width(text, size=13.0):
    """About how wide a text is: narrow letters count less."""
    return sum(0.32 if c in "ilj.,:;'|! []()" else 1.0 if c in "mwMW@…×" else 0.64 for c in text) * size  # noqa: RUF001


def shortened(text, room, size):
    """The text, or as much of its beginning as has room; "" where that is nothing."""
    if text_width(text, size) <= room:
        return text
    fits = next((n for n in range(len(text), 0, -1) if text_width(text[:n] + "…", size) <= room), 0)
    return text[:fits] + "…" if fits else ""


def meet(a, b):
    """Whether two boxes, (left, top, right, bottom), have a point in common."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def shared(box, others):
    """The area that a box shares with others."""
    return sum(
        (min(box[2], o[2]) - max(box[0], o[0])) * (min(box[3], o[3]) - max(box[1], o[1]))
        for o in others
        if meet(box, o)
    )


def as_svg(graph, numbers=None):
    small = [n for n in graph.nodes if n.value is None or np.size(n.value) <= SMALL]
    if numbers is None:
        numbers = len(graph.nodes) <= FEW and len(small) == len(graph.nodes) and any(n.value is not None for n in small)
    return _Circuit(graph).svg() if numbers else _Net(graph.folded()).svg()


class _Picture:
    """What both kinds of picture share."""

    def __init__(self, graph):
        self.graph = graph
        self.parts = []

    def text(self, x, y, text, size=13, fill=INK, anchor="middle", extra=""):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"{extra}>{escape(text)}</text>'
        )

    def halo(self, x, y, text, fill, size=13, anchor="middle"):
        """Text that stays readable over a line."""
        extra = ' font-weight="600"'
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="#fff" stroke="#fff" '
            f'stroke-width="4" stroke-linejoin="round"{extra}>{escape(text)}</text>'
        )
        self.text(x, y, text, size, fill, anchor, extra)

    def finish(self, width, height, pad=26):
        body = "\n".join(self.parts)
        title = escape(self.graph.title or "computational graph")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-pad} {-pad} {width + 2 * pad:.0f} {height + 2 * pad:.0f}" '
            f'width="{width + 2 * pad:.0f}" height="{height + 2 * pad:.0f}" {FONT} role="img" aria-label="{title}">\n'
            f'<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0.6 L7.4 4 L0 7.4 z" fill="{LINE}"/></marker></defs>\n'
            f'<rect x="{-pad}" y="{-pad}" width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
        )


class _Circuit(_Picture):
    """A small graph from left to right: ops are round gates, values stand above the wires and gradients below."""

    RADIUS = 21

    def svg(self):
        graph = self.graph
        result = [n for n in graph.nodes if not any(e.source is n for e in graph.edges)]
        edges = [(e.source, e.target) for e in graph.edges]
        ends = {}
        for node in result:  # a wire that leaves the picture
            ends[node] = ("end", node)
            edges.append((node, ends[node]))
        tall = 1
        wide = 40.0
        for e in (*graph.edges, *result):
            above, below = lines_of(e.value), lines_of(e.gradient)
            tall = max(tall, len(above), len(below))
            wide = max([wide, *(text_width(t) for t in above + below)])
        sizes = {node: self.size(node) for node in graph.nodes}
        sizes.update(dict.fromkeys(ends.values(), (4, 4)))
        near = [n for n in graph.nodes if n.kind in ("input", "constant")]
        layout = Layout(sizes, edges, (wide + 46, 18 + 34 * tall), near)
        wires = [self.wire(layout.path(k), sizes[source], sizes[target]) for k, (source, target) in enumerate(edges)]
        taken = [self.room(node, *layout.position[node]) for node in graph.nodes]
        for k, (source, _) in enumerate(edges):
            edge = graph.edges[k] if k < len(graph.edges) else source
            if source.kind == "constant" and lines_of(edge.value) == [source.label]:
                continue  # it says so itself
            self.numbers(wires[k], edge, sum(s is source for s, _ in edges) > 1, taken)
        for node in graph.nodes:
            self.gate(node, *layout.position[node])
        return self.finish(layout.length, layout.breadth + 14)

    def size(self, node):
        if node.kind == "op":
            wide = self.RADIUS * 2 if node.sign else max(text_width(node.label, 13) + 22, self.RADIUS * 2)
            return wide, self.RADIUS * 2
        return text_width(node.label, 15) + 18, 28

    def room(self, node, x, y):
        """What a gate covers, with the word below it."""
        wide, tall = self.size(node)
        return x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2 + (16 if node.role else 0)

    def wire(self, points, source, target):
        """Draws a wire; returns where its bends begin and end."""
        (x0, y0), (x1, y1) = points[0], points[-1]
        start, end = (x0 + source[0] / 2, y0), (x1 - target[0] / 2 - 2, y1)
        stops = [start, *points[1:-1], end]
        path = f"M{start[0]:.1f} {start[1]:.1f}"
        for (xa, ya), (xb, yb) in pairwise(stops):
            mid = (xa + xb) / 2
            path += f" C{mid:.1f} {ya:.1f} {mid:.1f} {yb:.1f} {xb:.1f} {yb:.1f}"
        self.parts.append(f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.6" marker-end="url(#tip)"/>')
        return stops

    def numbers(self, stops, edge, forked, taken):
        """Writes value and gradient beside a wire: where wires that meet, or part, are still apart, else where there is room."""
        above, below = lines_of(edge.value), lines_of(edge.gradient)
        if not above and not below:
            return
        wide = max(text_width(line) for line in above + below)
        last = len(stops) - 2
        places = [(last, t) for t in ((0.64, 0.36) if forked else (0.36, 0.64))]
        if forked and last:  # a long wire is alone at its middle bend
            places.insert(0, (last // 2, 1 if last == 1 else 0.5))
        places += [(k, t) for k in range(last, -1, -1) for t in (0.5, 0.45, 0.55, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)]
        best = None
        for k, t in places:
            (xa, ya), (xb, yb) = stops[k], stops[k + 1]
            x = xa + (xb - xa) * (1.5 * t * (1 - t) + t**3)
            y = ya + (yb - ya) * (3 * t * t - 2 * t**3)
            box = x - wide / 2, y - 2 - 16 * len(above), x + wide / 2, y + 6 + 16 * len(below) if below else y - 4
            common = shared(box, taken)
            if best is None or common < best[0]:
                best = common, x, y, box
            if not common:
                break
        _, x, y, box = best
        taken.append(box)
        for k, line in enumerate(above):
            self.halo(x, y - 7 - 16 * (len(above) - 1 - k), line, VALUE)
        for k, line in enumerate(below):
            self.halo(x, y + 18 + 16 * k, line, GRADIENT)

    def gate(self, node, x, y):
        tip = f"<title>{escape(tooltip(node))}</title>"
        if node.kind == "op":
            wide = self.size(node)[0]
            r = self.RADIUS
            self.parts.append(
                f'<g>{tip}<rect x="{x - wide / 2:.1f}" y="{y - r:.1f}" width="{wide:.1f}" height="{2 * r}" rx="{r}" '
                f'fill="{FILLS["op"]}" stroke="{STROKES["op"]}" stroke-width="1.8"/></g>'
            )
            if node.sign:
                self.text(x, y + 7.5, node.sign, 22, INK)
            else:
                self.text(x, y + 4.5, node.label, 13, INK, extra=' font-weight="600"')
            if node.role:
                self.text(x, y + r + 15, node.role, 11, SOFT, extra=' font-style="italic"')
            return
        wide = self.size(node)[0]
        self.parts.append(
            f'<g>{tip}<rect x="{x - wide / 2:.1f}" y="{y - 14:.1f}" width="{wide:.1f}" height="28" rx="6" '
            f'fill="{FILLS[node.kind]}" stroke="{STROKES[node.kind]}" stroke-width="1.2"/></g>'
        )
        self.text(x, y + 5, node.label, 15, INK, extra=' font-weight="600"' if node.kind == "input" else "")
        if node.role:
            self.text(x, y + 29, node.role, 11, SOFT, extra=' font-style="italic"')


class _Net(_Picture):
    """A larger graph from top to bottom: boxes with names, shapes and parameters."""

    def svg(self):
        graph = self.graph
        edges = [(e.source, e.target) for e in graph.edges]
        lines = {node: self.lines(node) for node in graph.nodes}
        sizes = {}
        for node, (title, small) in lines.items():
            wide = max([text_width(title, 14) * 1.08, *(text_width(t, 11) for t in small)]) + 26
            sizes[node] = (20 + 20 + 15 * len(small) - (0 if small else 4), max(wide, 64))
        near = [n for n in graph.nodes if n.kind in ("input", "constant")]
        layout = Layout(sizes, edges, (34, 26), near)
        for k, (source, target) in enumerate(edges):
            self.arrow(layout.path(k), sizes[source][0], sizes[target][0], graph.edges[k])
        for node in graph.nodes:
            along, across = layout.position[node]
            self.box(node, across, along, sizes[node], *lines[node])
        return self.finish(layout.breadth, layout.length)

    def lines(self, node):
        small = []
        shape = shape_text(node.shape or ())
        title = f"{node.name}: {node.label}" if node.kind == "module" else node.label
        inside = node.name + "." if node.kind == "module" else ""
        for name, s in node.parameters:
            short = name.rpartition("." + inside)[2] if "." + inside in name else name.removeprefix(inside)
            short = short if inside else name.rpartition(".")[2]
            small.append(f"{short} {shape_text(s) or 'number'}")
        if shape:
            small.append("→ " + shape if node.kind in ("op", "module") else shape)
        return title, small

    def arrow(self, points, source, target, edge):
        (x0, y0), (x1, y1) = [(across, along) for along, across in (points[0], points[-1])]
        stops = [(x0, y0 + source / 2), *((across, along) for along, across in points[1:-1]), (x1, y1 - target / 2 - 2)]
        path = f"M{stops[0][0]:.1f} {stops[0][1]:.1f}"
        for (xa, ya), (xb, yb) in pairwise(stops):
            mid = (ya + yb) / 2
            path += f" C{xa:.1f} {mid:.1f} {xb:.1f} {mid:.1f} {xb:.1f} {yb:.1f}"
        dash = "" if edge.source.requires_grad else ' stroke-dasharray="4 3"'
        self.parts.append(
            f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.6"{dash} marker-end="url(#tip)"/>'
        )

    def box(self, node, x, y, size, title, small):
        tall, wide = size
        self.parts.append(
            f"<g><title>{escape(tooltip(node))}</title>"
            f'<rect x="{x - wide / 2:.1f}" y="{y - tall / 2:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="8" '
            f'fill="{FILLS[node.kind]}" stroke="{STROKES[node.kind]}" stroke-width="1.3"/></g>'
        )
        top = y - tall / 2 + 24
        self.text(x, top, title, 14, INK, extra=' font-weight="600"')
        for k, line in enumerate(small):
            self.text(x, top + 16 + 15 * k, line, 11, SOFT)


def tooltip(node):
    parts = [f"{node.name or node.label}: {node.doc or node.kind}"]
    if node.shape is not None:
        parts.append(f"shape {tuple(node.shape)}" + (f", {node.dtype.name}" if node.dtype is not None else ""))
    if node.module:
        parts.append(f"module {node.module}")
    if node.value is not None:
        parts.append("value " + brief(node.value))
    if node.gradient is not None:
        parts.append("gradient " + brief(node.gradient))
    if node.line:
        parts.append(f"{basename(node.line[0])}:{node.line[1]}")
    return "\n".join(parts)


# ---- HTML ------------------------------------------------------------------------------------------------------------

STYLE = """
body{margin:0;font:15px/1.5 Inter,'Segoe UI','DejaVu Sans',Helvetica,Arial,sans-serif;color:#1c2733;background:#f7f8fa}
main{max-width:1200px;margin:0 auto;padding:28px 24px 60px}
h1{font-size:22px;margin:0 0 4px} .sub{color:#66727f;margin:0 0 18px}
.card{background:#fff;border:1px solid #e2e6eb;border-radius:10px;padding:12px;overflow:auto}
.card svg{display:block;margin:auto;max-width:none}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th{color:#66727f;font-weight:600;text-align:left;border-bottom:1px solid #d7dce2;padding:6px 10px}
td{border-bottom:1px solid #eef0f3;padding:5px 10px;vertical-align:top} .v{color:#14713a} .g{color:#c2272d}
h2{font-size:16px;margin:26px 0 8px} input[type=radio]{position:absolute;opacity:0} .view{display:none}
.found{border-left:4px solid #c2272d;background:#fdf3f3;border-radius:6px;padding:10px 14px;margin:0 0 12px;font-size:14px}
.found.fine{border-color:#4c9a5d;background:#f2f8f3}.found p{margin:4px 0 0}
.tabs label{display:inline-block;padding:4px 14px;margin:0 6px 10px 0;border:1px solid #cbd2da;border-radius:16px;cursor:pointer;
font-size:13px;background:#fff} .tabs{margin-top:2px}
"""


def page(title, body, style=""):
    """A whole HTML page that needs nothing else."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}{style}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def html_table(rows, classes=()):
    """Rows of strings, the first one as the head."""
    head = "".join(f"<th>{escape(c)}</th>" for c in rows[0])
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{classes[k]}">{escape(c)}</td>' if k < len(classes) and classes[k] else f"<td>{escape(c)}</td>"
            for k, c in enumerate(row)
        )
        + "</tr>"
        for row in rows[1:]
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def as_html(graph):
    views = [(f"modules {d} deep" if d else "whole", graph.collapsed(d)) for d in range(graph.depth)]
    views.append(("all operations", graph))
    if len(views) > 1 and len(views[0][1].nodes) < 3:
        views = views[1:]
    inputs = labels = pictures = rules = ""
    chosen = next((k for k in range(len(views) - 1, -1, -1) if len(views[k][1].nodes) <= 40), 0)
    for k, (name, view) in enumerate(views):
        inputs += f'<input type="radio" name="depth" id="d{k}"{" checked" if k == chosen else ""}>'
        labels += f'<label for="d{k}">{escape(name)}</label>'
        svg = as_svg(view).replace('id="tip"', f'id="tip{k}"').replace("#tip)", f"#tip{k})")
        pictures += f'<div class="view v{k} card">{svg}</div>'
        rules += (
            f"#d{k}:checked~.v{k}{{display:block}}#d{k}:checked~.tabs label[for=d{k}]{{background:#1c2733;color:#fff}}"
        )
    names = {node: name_of(node, k) for k, node in enumerate(graph.nodes)}
    rows = [["node", "what", "shape", "module", "value", "gradient", "role"]]
    for node in graph.nodes:
        inside = [names[e.source] for e in graph.edges if e.target is node]
        what = " ".join([node.label, *inside]) if node.kind == "op" else node.kind
        shape = "" if node.shape is None else str(tuple(node.shape))
        rows.append([names[node], what, shape, node.module, brief(node.value), brief(node.gradient), node.role or ""])
    body = (
        f'<h1>{escape(graph.title or "computational graph")}</h1><p class="sub">Values in <b class="v">green</b>, gradients in '
        f'<b class="g">red</b>. Point at a node for what it is.</p>'
        f'{inputs}<div class="tabs">{labels if len(views) > 1 else ""}</div>{pictures}'
        f"<h2>Nodes</h2><div class=card>{html_table(rows, ('', '', '', '', 'v', 'g'))}</div>"
    )
    return page(graph.title or "computational graph", body, rules)
