"""A bar chart of the training steps as SVG, on a logarithmic scale."""

import math
from html import escape

from .results import Measure, times_text

WIDTH, LABEL, BAR, GAP, HEAD = 860, 150, 15, 34, 70
COLORS = {
    "fastgrad": "#0b7a75",
    "fastgrad compiled": "#19535f",
    "torch": "#d9601a",
    "torch fused": "#e58e57",
    "torch.compile": "#efb591",
}
COLORS |= {"jax.jit": "#3a66a8", "jax.jit loop": "#7d9dcb"}
OTHER = "#9aa3ab"
STYLE = "text{font:12px system-ui,sans-serif;fill:#222}.t{font-size:15px;font-weight:600}.s{fill:#666}.g{stroke:#ddd}"


def svg(run):
    """The chart of the table `steps`: one group of bars for each net, one bar for each contender."""
    table = next((table for table in run.tables if table.key == "steps"), None)
    groups = _groups(table) if table else {}
    top = max((value for bars in groups.values() for _, value, _ in bars), default=1.0)
    base = (
        table.base if table and any(isinstance(c.get(table.base), Measure) for c in table.rows.values()) else "fastgrad"
    )
    decades = max(1, math.ceil(math.log10(max(top, 10)) - 1e-9))
    scale = (WIDTH - LABEL - 120) / decades
    y, parts = HEAD, []
    for net, bars in groups.items():
        parts.append(f'<text x="10" y="{y + 12}" class="t" style="font-size:13px">{escape(net)}</text>')
        y += 20
        for name, value, time in bars:
            length = max(2.0, scale * math.log10(max(value, 1.0)))
            parts.append(f'<text x="{LABEL - 8}" y="{y + 11}" text-anchor="end">{escape(name)}</text>')
            parts.append(
                f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{COLORS.get(name, OTHER)}"/>'
            )
            parts.append(
                f'<text x="{LABEL + length + 5:.1f}" y="{y + 11}" class="s">{times_text(value)} ({escape(time)})</text>'
            )
            y += BAR
        y += GAP - BAR
    lines = "".join(_tick(LABEL + scale * k, 10**k, y) for k in range(decades + 1))
    title = f"One training step, multiples of {'hand-written C' if base == 'floor' else base} (shorter is faster)"
    head = f'<text x="10" y="20" class="t">{escape(title)}</text>'
    where = f'<text x="10" y="38" class="s">{escape(run.machine["processor"])}, one step each, logarithmic scale</text>'
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    background = f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}"><style>{STYLE}</style>'
        f"{background}{lines}{head}{where}{''.join(parts)}</svg>\n"
    )


def _tick(x, value, bottom):
    line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD - 6}" y2="{bottom}" class="g"/>'
    return f'{line}<text x="{x:.1f}" y="{HEAD - 8}" text-anchor="middle" class="s">{value:,}x</text>'


def _groups(table):
    """Net -> [(contender, multiple, absolute time)], shortest first."""
    found = {}
    for label, cells in table.rows.items():
        times = {name: cell for name, cell in cells.items() if isinstance(cell, Measure)}
        base = times.get(table.base) or times.get("fastgrad")
        if base:
            bars = [(name, cell.median / base.median, str(cell).partition(" ±")[0]) for name, cell in times.items()]
            found[label] = sorted((bar for bar in bars if bar[0] != table.base), key=lambda bar: bar[1])
    return found
