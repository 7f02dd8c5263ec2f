"""A Profile as a table, as HTML with a flame chart and a roofline, as bars. Imports viz's drawing."""

import math
from functools import cache
from html import escape
from time import perf_counter

import fastgrad as fg
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


# ---- ceilings --------------------------------------------------------------------------------------------------------


@cache
def ceilings():
    """What this machine can do, measured: (GFLOP/s of a large float32 matrix product, GB/s of adding large tensors)."""
    with fg.no_grad():
        x = fg.ones(4_000_000)
        moved = best(lambda: x + x)
        rates = []
        for n in (128, 256, 512):  # with threads the largest is not always the fastest
            a = fg.ones(n, n)
            rates.append(2 * n**3 / best(lambda a=a: a @ a))
    return max(rates) / 1e9, 3 * 4 * 4_000_000 / moved / 1e9


def best(function, patience=0.05, limit=0.5):
    """The least seconds of a call, once none has been faster for `patience` seconds: others use the machine too."""
    function()
    found, began = math.inf, perf_counter()
    last = began
    while True:
        start = perf_counter()
        function()
        end = perf_counter()
        if end - start < 0.99 * found:
            last = end
        found = min(found, end - start)
        if end - last > patience or end - began > limit:
            return found


# ---- HTML ------------------------------------------------------------------------------------------------------------

STYLE = """
.bar{display:flex;height:30px;border-radius:6px;overflow:hidden;margin:6px 0 10px}.bar div{color:#fff;font-size:12px;
line-height:30px;text-align:center;overflow:hidden;white-space:nowrap}.key{font-size:12.5px;color:#66727f;margin:0 0 4px}
.key span{margin-right:18px;white-space:nowrap}.key i{display:inline-block;width:10px;height:10px;border-radius:3px;
margin-right:6px}.card svg{margin:0;max-width:100%;height:auto}
td:not(:first-child),th:not(:first-child){text-align:right}
"""


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
    reached = [["kernel", "FLOP per byte", "GFLOP/s", "ceiling here", "reached"]]
    reached += [
        [r["name"], f"{r['intensity']:.2f}", f"{r['gflops']:.2f}", f"{r['ceiling']:.1f}", f"{r['reached']:.0%}"]
        for r in roofline_rows(profile)[:12]
    ]
    body = (
        f"<h1>Profile</h1><p class=sub>{seconds(profile.wall)}, {len(profile.spans):,} events</p>"
        f'<div class="bar">{parts}</div><p class="key">{key}</p>'
        f"<h2>Flame chart</h2><div class=card>{flame(profile)}</div>"
        f"<h2>Roofline</h2><div class=card>{roofline(profile)}{html_table(reached)}</div>"
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


def roofline_rows(profile):
    top, moved = ceilings()
    return [
        {
            "name": row.name,
            "intensity": row.flops / row.bytes,
            "gflops": row.gflops,
            "ceiling": min(top, moved * row.flops / row.bytes),
            "reached": row.gflops / min(top, moved * row.flops / row.bytes),
        }
        for row in profile.rows("kernel")
        if row.flops and row.bytes and row.kernel
    ]


def roofline(profile, width=1140, height=430):
    """Achieved GFLOP/s against FLOP per byte, on logarithmic axes, under the two ceilings of this machine."""
    top, moved = ceilings()
    dots = [
        (row.flops / row.bytes, row.gflops, row)
        for row in profile.rows("kernel")
        if row.flops and row.bytes and row.kernel and row.total > 0.002 * profile.wall
    ]
    left, right, bottom, above = 62, 30, 46, 16
    xs = [d[0] for d in dots] + [top / moved]
    ys = [d[1] for d in dots] + [top]
    x0, x1 = math.floor(math.log10(min(xs) / 1.5)), math.ceil(math.log10(max(xs) * 1.5))
    y0, y1 = math.floor(math.log10(min(ys) / 1.5)), math.ceil(math.log10(max(ys) * 1.2))

    def px(v):
        return left + (math.log10(v) - x0) / (x1 - x0) * (width - left - right)

    def py(v):
        return height - bottom - (math.log10(v) - y0) / (y1 - y0) * (height - bottom - above)

    parts = []

    def text(x, y, s, anchor="middle", fill="#66727f", size=11.5, extra=""):
        parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}"{extra}>{escape(s)}</text>'
        )

    for e in range(x0, x1 + 1):
        parts.append(f'<path d="M{px(10**e):.1f} {above} V{height - bottom}" stroke="#edf0f3"/>')
        text(px(10**e), height - bottom + 17, f"{10.0**e:g}")
    for e in range(y0, y1 + 1):
        parts.append(f'<path d="M{left} {py(10**e):.1f} H{width - right}" stroke="#edf0f3"/>')
        text(left - 7, py(10**e) + 4, f"{10.0**e:g}", "end")
    ridge = top / moved
    start = max(10.0**x0, 10.0**y0 / moved)
    path = f"M{px(start):.1f} {py(start * moved):.1f} L{px(ridge):.1f} {py(top):.1f} H{width - right}"
    parts.append(f'<path d="{path}" fill="none" stroke="#1c2733" stroke-width="2"/>')
    text(width - right, py(top) - 7, f"{top:.0f} GFLOP/s", "end", "#1c2733")
    slope = math.degrees(math.atan2(py(moved) - py(10 * moved), px(10) - px(1)))
    mid = math.sqrt(start * ridge)
    text(
        px(mid), py(mid * moved) - 8, f"{moved:.0f} GB/s", "middle", "#1c2733",
        extra=f' transform="rotate({-slope:.1f} {px(mid):.1f} {py(mid * moved) - 8:.1f})"',
    )  # fmt: skip
    most = max((d[2].total for d in dots), default=1)
    taken = []
    for x, y, row in sorted(dots, key=lambda d: -d[2].total):
        backward = row.backward > row.forward
        colour = COLOURS["backward" if backward else "forward" if row.forward else "optimiser"]
        r = 4 + 9 * math.sqrt(row.total / most)
        parts.append(
            f"<g><title>{escape(f'{row.name}: {row.gflops:.2f} GFLOP/s, {x:.2f} FLOP/byte, {seconds(row.total)}')}</title>"
            f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="{r:.1f}" fill="{colour}" fill-opacity="0.75" stroke="#fff"/></g>'
        )
        place = (px(x) + r + 4, py(y) + 4)
        if all(abs(place[1] - b) > 12 or abs(place[0] - a) > 90 for a, b in taken):
            taken.append(place)
            text(*place, row.name, "start", "#1c2733")
    text((left + width) / 2, height - 8, "floating-point operations per byte")
    text(15, height / 2, "GFLOP/s", extra=f' transform="rotate(-90 15 {height / 2})"')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f"font-family=\"Inter,'Segoe UI','DejaVu Sans',Arial,sans-serif\">{''.join(parts)}</svg>"
    )
