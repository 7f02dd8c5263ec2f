"""A Profile as a table, as HTML with a flame chart and a roofline, as bars. Imports _roofline and viz's drawing."""

from html import escape

from fastgrad.profiler._roofline import roofline, roofline_rows, size_text
from fastgrad.viz._draw import html_table, page, shortened, table

COLOURS = {"data": "#8a94a0", "forward": "#3b7dd8", "backward": "#d1642e", "optimiser": "#4c9a5d", "outside": "#c9ced5"}


def seconds(t):
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if t >= size:
            return f"{t / size:.{2 if t / size < 9.995 else 1 if t / size < 99.95 else 0}f} {unit}"
    return f"{t * 1e9:.0f} ns" if t else ""


def amount(n):
    if not n:
        return ""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n:.3g}"


def cells(profile, rows, group_by):
    other = any(row.other for row in rows)
    head = [
        group_by,
        "calls",
        "forward",
        "backward",
        *["other"] * other,
        "total",
        "share",
        "GFLOP/s",
        "GB/s",
        "FLOP",
        "saved",
    ]
    body = [
        [
            row.name,
            f"{row.calls:,}" if row.calls else "",
            seconds(row.forward),
            seconds(row.backward),
            *[seconds(row.other)] * other,
            seconds(row.total),
            f"{row.total / profile.wall:.1%}",
            f"{row.gflops:.2f}" if row.gflops >= 0.005 else "",
            f"{row.gbytes:.2f}" if row.gbytes >= 0.005 else "",
            amount(row.flops),
            amount(row.saved),
        ]
        for row in rows
    ]
    return [head, *body]


def as_table(profile, rows, group_by, limit):
    shown = cells(profile, rows[:limit], group_by)
    text = table(shown, right=range(1, len(shown[0])))
    if limit is not None and len(rows) > limit:
        text += f"\n... {len(rows) - limit} more"
    return text + f"\nwhole {seconds(profile.wall)}; rates are those of kernels; times in Python are in parentheses"


def html_rows(profile, rows, group_by, limit):
    return html_table(cells(profile, rows[:limit], group_by))


def bars(profile, rows):
    from fastgrad.profiler._profile import matplotlib_pyplot

    plt = matplotlib_pyplot("plot")
    figure, axes = plt.subplots(figsize=(8, 0.4 * len(rows) + 1.2))
    names = [row.name for row in rows][::-1]
    left = [0.0] * len(rows)
    for part in ("forward", "backward", "other"):
        widths = [getattr(row, part) * 1e3 for row in rows][::-1]
        axes.barh(names, widths, left=left, label=part, color=COLOURS.get(part, COLOURS["outside"]))
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.set_xlabel("ms")
    axes.legend()
    figure.tight_layout()
    return figure


# ---- HTML ------------------------------------------------------------------------------------------------------------

STYLE = """
.bar{display:flex;height:30px;border-radius:6px;overflow:hidden;margin:6px 0 10px}.bar div{color:#fff;font-size:12px;
line-height:30px;text-align:center;overflow:hidden;white-space:nowrap}.key{font-size:12.5px;color:#66727f;margin:0 0 4px}
.key span{margin-right:18px;white-space:nowrap}.key i{display:inline-block;width:10px;height:10px;border-radius:3px;
margin-right:6px}.card svg{margin:0;max-width:100%;height:auto}
td:not(:first-child),th:not(:first-child){text-align:right}
"""


LEGEND = (
    "A dot is a kernel, as large as its time; blue: forward, orange: backward, green: optimiser. The ceilings were measured on "
    "this machine when the page was made: the fastest of three matrix products, and one tensor added to another in calls that "
    "move so many bytes, which is in caches and in memory. A kernel is held against the size next below its own."
)


def as_html(profile):
    phases = {row.name: row.total for row in profile.rows("phase")}
    outside = phases.pop("(outside of fastgrad)", 0.0)
    shown = [*sorted(phases.items(), key=lambda p: -p[1]), ("outside", outside)]
    parts = "".join(
        f'<div style="width:{100 * t / profile.wall:.2f}%;background:{COLOURS.get(name, "#7a5fb0")}" title="{escape(name)} '
        f'{seconds(t)}">{f"{escape(name)} {t / profile.wall:.0%}" if t > 0.09 * profile.wall else ""}</div>'
        for name, t in shown
        if t > 0
    )
    key = "".join(
        f'<span><i style="background:{COLOURS.get(name, "#7a5fb0")}"></i>{escape(name)} {seconds(t)}</span>'
        for name, t in shown
        if t > 0
    )
    reached = [["kernel", "bytes a call", "FLOP per byte", "GFLOP/s", "ceiling", "reached"]]
    reached += [
        [
            r["name"],
            size_text(r["bytes_per_call"]),
            f"{r['intensity']:.2f}",
            f"{r['gflops']:.2f}",
            f"{r['ceiling']:.1f}",
            f"{r['reached']:.0%}",
        ]
        for r in roofline_rows(profile)[:12]
    ]
    body = (
        f"<h1>Profile</h1><p class=sub>{seconds(profile.wall)}, {len(profile.spans):,} events</p>"
        f'<div class="bar">{parts}</div><p class="key">{key}</p>'
        f"<h2>Flame chart</h2><div class=card>{flame(profile)}</div>"
        f"<h2>Roofline</h2><div class=card>{roofline(profile)}<p class=key>{LEGEND}</p>{html_table(reached)}</div>"
    )
    for group, title in (
        ("op", "By operation"),
        ("module", "By module"),
        ("line", "By line"),
        ("kernel", "As they ran"),
    ):
        body += f"<h2>{title}</h2><div class=card>{html_rows(profile, profile.rows(group), group, 40)}</div>"
    return page("Profile", body, STYLE)


class _Frame:
    def __init__(self, name, phase):
        self.name, self.phase, self.time, self.calls, self.inner = name, phase, 0.0, 0, {}

    def child(self, name, phase):
        return self.inner.setdefault((name, phase), _Frame(name, phase))


def frames(profile):
    """The spans added up by where they are nested: a tree of phases, modules and ops."""
    root = _Frame("all", "outside")
    root.time = profile.wall * 1e9
    at = []
    for span in profile.spans:
        above = at[span.parent] if span.parent >= 0 else root
        name = span.name.rpartition(".")[2] if span.category == "module" and span.parent >= 0 else span.name
        frame = above.child(name, span.phase)
        frame.time += span.end - span.start
        frame.calls += 1
        at.append(frame)
    return root


def flame(profile, width=1140, row=22):
    parts, deepest = [], 0

    def draw(frame, x, scale, depth):
        nonlocal deepest
        w = frame.time * scale
        if w < 0.6:
            return
        deepest = max(deepest, depth)
        share = frame.time / 1e9 / profile.wall
        tip = f"{frame.name}: {seconds(frame.time / 1e9)}, {share:.1%}, {frame.calls:,} calls"
        label = ""
        if w > 36:
            text = shortened(frame.name, w - 8, 11.5)
            label = f'<text x="{x + 5:.1f}" y="{depth * row + 15}" font-size="11.5" fill="#fff">{escape(text)}</text>'
        colour = COLOURS.get(frame.phase, "#7a5fb0") if depth else "#5d6874"
        opacity = 1 - 0.09 * min(depth, 4) if depth else 1
        parts.append(
            f'<g><title>{escape(tip)}</title><rect x="{x:.1f}" y="{depth * row}" width="{max(w - 0.8, 0.4):.1f}" '
            f'height="{row - 1.5}" rx="2.5" fill="{colour}" fill-opacity="{opacity:.2f}"/>{label}</g>'
        )
        for inner in sorted(frame.inner.values(), key=lambda f: -f.time):
            draw(inner, x, scale, depth + 1)
            x += inner.time * scale

    root = frames(profile)
    draw(root, 0.0, width / max(root.time, 1), 0)
    tall = (deepest + 1) * row
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tall}" width="{width}" height="{tall}" '
        f"font-family=\"Inter,'Segoe UI','DejaVu Sans',Arial,sans-serif\">{''.join(parts)}</svg>"
    )
