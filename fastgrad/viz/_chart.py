"""A line chart as SVG, without a library: what diagnostics show where there is no matplotlib. Imports nothing."""

import math
from html import escape

WIDE, HIGH = 1120, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 16, 44
COLOURS = ("#3b7dd8", "#d1642e", "#4c9a5d", "#7a5fb0", "#b8860b", "#c2272d", "#2a8c8c", "#8a94a0")
FONT = "font-family=\"Inter,'Segoe UI','DejaVu Sans',Arial,sans-serif\""


def line_chart(series, *, across, up, labels=None, logx=False, mark=None, colours=COLOURS):
    """Lines over a logarithmic axis.

    series: {name: values}, or {name: (xs, values)}; values that are not positive numbers are left out. labels: what stands
    under the places 0, 1, ... mark: (x, text) of a vertical line. Returns the text of the picture.
    """
    lines = {}
    for name, given in series.items():
        xs, ys = given if isinstance(given, tuple) else (range(len(given)), given)
        lines[name] = [(x, y) for x, y in zip(xs, ys, strict=True) if y and math.isfinite(y) and y > 0]
    points = [p for line in lines.values() for p in line]
    if not points:
        return ""
    along = math.log10 if logx else float
    x0, x1 = min(along(x) for x, _ in points), max(along(x) for x, _ in points)
    low, high = min(math.log10(y) for _, y in points), max(math.log10(y) for _, y in points)
    pad = max(0.06 * (high - low), 0.05)
    low, high = low - pad, high + pad

    def px(x):
        return LEFT + (along(x) - x0) / ((x1 - x0) or 1) * (WIDE - LEFT - RIGHT)

    def py(y):
        return HIGH - BOTTOM - (math.log10(y) - low) / (high - low) * (HIGH - BOTTOM - TOP)

    parts = []

    def text(x, y, s, anchor="middle", fill="#66727f", extra=""):
        parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="11.5"{extra}>{escape(s)}</text>'
        )

    for value in _ticks(low, high):
        parts.append(f'<path d="M{LEFT} {py(value):.1f} H{WIDE - RIGHT}" stroke="#edf0f3"/>')
        text(LEFT - 8, py(value) + 4, f"{value:.3g}", "end")
    places = _places(labels, x0, x1) if not logx else [(v, f"{v:.3g}") for v in _ticks(x0, x1)]
    for x, label in places:
        parts.append(f'<path d="M{px(x):.1f} {TOP} V{HIGH - BOTTOM}" stroke="#f5f7f9"/>')
        text(px(x), HIGH - BOTTOM + 17, label)
    if mark is not None:
        x, label = mark
        parts.append(
            f'<path d="M{px(x):.1f} {TOP} V{HIGH - BOTTOM}" stroke="#1c2733" stroke-width="1.4" stroke-dasharray="5 4"/>'
        )
        text(px(x) + 6, TOP + 12, label, "start", "#1c2733")
    ends = []
    for k, (name, line) in enumerate(lines.items()):
        if not line:
            continue
        colour = colours[k % len(colours)]
        path = " ".join(f"{'L' if i else 'M'}{px(x):.1f} {py(y):.1f}" for i, (x, y) in enumerate(line))
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>')
        if len(line) <= 60:
            for x, y in line:
                at = labels[int(x)] if labels else f"{x:.3g}"
                parts.append(
                    f"<g><title>{escape(f'{name} at {at}: {y:.3g}')}</title>"
                    f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="3.2" fill="{colour}"/></g>'
                )
        ends.append([py(line[-1][1]), name, colour])
    ends.sort()
    for k in range(1, len(ends)):  # names at the right end of the lines keep their distance
        ends[k][0] = max(ends[k][0], ends[k - 1][0] + 14)
    for y, name, colour in ends:
        short = name if len(name) < 22 else "…" + name[-20:]
        text(WIDE - RIGHT + 8, min(y, HIGH - 6) + 4, short, "start", colour, ' font-weight="600"')
    text((LEFT + WIDE - RIGHT) / 2, HIGH - 8, across)
    text(14, (TOP + HIGH - BOTTOM) / 2, up, extra=f' transform="rotate(-90 14 {(TOP + HIGH - BOTTOM) / 2:.0f})"')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" {FONT} role="img" '
        f'aria-label="{escape(up)} over {escape(across)}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def _ticks(low, high):
    """Powers of ten between two exponents, few enough to read; where there are not two, steps of 2 and 5."""
    step = max(1, math.ceil((high - low) / 8))
    found = [10.0**e for e in range(math.ceil(low), math.floor(high) + 1) if e % step == 0]
    if len(found) > 1:
        return found
    every = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in (1, 2, 5)]
    return [v for v in every if low <= math.log10(v) <= high]


def _places(labels, x0, x1):
    """Up to a dozen places with what stands under them."""
    last = round(x1)
    step = max(1, math.ceil((last - round(x0) + 1) / 12))
    return [(k, labels[k] if labels else str(k)) for k in range(round(x0), last + 1, step)]
