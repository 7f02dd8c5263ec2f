"""The roofline of a Profile: what its kernels reached of what this machine can do. Imports the core and viz's drawing.

The ceilings depend on where the data lies (Williams et al. 2009; for caches Ilic et al. 2014): a small net lives in the caches,
which are ten times faster than memory, and a kernel held against memory would "reach" several times what is possible.
"""

import math
from functools import cache
from html import escape
from time import perf_counter

import fastgrad as fg
from fastgrad._core.watch import Watcher
from fastgrad.viz._draw import meet, text_width

COLOURS = {"forward": "#3b7dd8", "backward": "#d1642e", "other": "#4c9a5d"}
SIZES = 24_000, 384_000, 48_000_000  # bytes of a call: of the first cache, of the second, of memory


class Ceilings:
    """What this machine can do: `gflops` of the fastest of three matrix products, and `gbytes`, {bytes of a call: GB/s} of
    adding one tensor to another, from the fastest to the slowest."""

    def __init__(self, gflops, gbytes):
        self.gflops, self.gbytes = gflops, gbytes

    def bandwidth(self, nbytes):
        """The GB/s that nothing which moves so many bytes in one call can exceed: those of the next smaller size."""
        return next((rate for size, rate in reversed(self.gbytes.items()) if size <= nbytes), self.gbytes[SIZES[0]])

    def least(self, flops, nbytes):
        """The nanoseconds that a call takes at the least."""
        return max(flops / self.gflops, nbytes / self.bandwidth(nbytes))


def ceilings():
    """The Ceilings of as many threads as are set; measured once, which takes half a second."""
    return _ceilings(fg.get_num_threads())


@cache
def _ceilings(threads):
    gbytes, fastest = {}, 0.0
    with fg.no_grad():
        for size in reversed(SIZES):  # a smaller size is not slower, whatever else ran on the machine meanwhile
            x, y = fg.zeros(size // 12), fg.zeros(size // 12)
            fastest = max(fastest, size / best(lambda x=x, y=y: x.add_(y)))
            gbytes[size] = fastest
        rates = []
        for n in (128, 256, 512):  # with threads the largest is not always the fastest
            a = fg.ones(n, n)
            rates.append(2 * n**3 / best(lambda a=a: a @ a))
    return Ceilings(max(rates), dict(reversed(gbytes.items())))


def best(function, patience=0.04, limit=0.4):
    """The least nanoseconds of a call's longest kernel, on the clock that profiles have, once none has been faster for
    `patience` seconds: others use the machine too."""
    found, began = math.inf, perf_counter()
    last = began
    while True:
        watcher = Watcher(lines=False)
        watcher.start()
        function()
        watcher.stop()
        took = max(times[2] - times[1] for _, _, _, times, *_ in watcher.events() if times[1] is not None)
        end = perf_counter()
        if took < 0.99 * found:
            last = end
        found = min(found, took)
        if end - last > patience or end - began > limit:
            return max(found, 1.0)


def roofline_rows(profile):
    """A dict for each kernel that computes, the most expensive first."""
    top, found = ceilings(), {}
    for span in profile.spans:
        if span.category in ("op", "view") and span.flops and span.bytes and span.kernel:
            row = found.setdefault(span.name, dict.fromkeys(("flops", "bytes", "kernel", "least", "calls"), 0))
            row["flops"] += span.flops
            row["bytes"] += span.bytes
            row["kernel"] += span.kernel
            row["least"] += top.least(span.flops, span.bytes)
            row["calls"] += 1
            row["phase"] = span.phase
    return [
        {
            "name": name,
            "phase": row["phase"],
            "seconds": row["kernel"] / 1e9,
            "intensity": row["flops"] / row["bytes"],
            "bytes_per_call": row["bytes"] / row["calls"],
            "gflops": row["flops"] / row["kernel"],
            "ceiling": row["flops"] / row["least"],
            "reached": row["least"] / row["kernel"],
        }
        for name, row in sorted(found.items(), key=lambda item: -item[1]["kernel"])
    ]


# ---- the picture -----------------------------------------------------------------------------------------------------


def size_text(nbytes):
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if nbytes >= size:
            return f"{nbytes / size:.3g} {unit}"
    return f"{nbytes:.0f} bytes"


class _Labels:
    """Finds room for texts beside dots: on no dot, no other text, and inside the frame."""

    def __init__(self, dots, frame):
        self.taken = [(x - r, y - r, x + r, y + r) for x, y, r in dots]
        self.frame = frame

    def keep_clear(self, x, y, angle, wide, size=11.5):
        """Of a turned text around (x, y): a row of squares."""
        for k in range(-int(wide / 2), int(wide / 2), int(size)):
            cx, cy = x + k * math.cos(math.radians(angle)), y + k * math.sin(math.radians(angle))
            self.taken.append((cx - size / 2, cy - size, cx + size / 2, cy + size / 2))

    def place(self, x, y, r, text, size=11.5):
        """(x, y, anchor) of the text of a dot, or None where there is no room."""
        w, up, down = text_width(text, size), 0.75 * size, 0.25 * size
        for dx, dy, anchor in (
            (r + 4, 4, "start"),
            (-r - 4, 4, "end"),
            (0, -r - 5, "middle"),
            (0, r + 12, "middle"),
            (r + 1, -r - 2, "start"),
            (r + 1, r + 9, "start"),
            (-r - 1, -r - 2, "end"),
            (-r - 1, r + 9, "end"),
        ):
            at = x + dx - {"start": 0, "middle": w / 2, "end": w}[anchor]
            box = at, y + dy - up, at + w, y + dy + down
            if self.inside(box) and not any(meet(box, other) for other in self.taken):
                self.taken.append(box)
                return x + dx, y + dy, anchor
        return None

    def inside(self, box):
        left, top, right, bottom = self.frame
        return left <= box[0] and top <= box[1] and box[2] <= right and box[3] <= bottom


def roofline(profile, width=1140, height=430):
    """Achieved GFLOP/s against FLOP per byte, on logarithmic axes, under the ceilings of this machine."""
    top, rows = ceilings(), roofline_rows(profile)
    dots = [row for row in rows if row["seconds"] > 0.002 * profile.wall]
    fastest, slowest = top.gbytes[SIZES[0]], top.gbytes[SIZES[-1]]
    left, right, bottom, above = 62, 30, 46, 16
    xs = [d["intensity"] for d in dots] + [top.gflops / slowest, 0.1]
    ys = [d["gflops"] for d in dots] + [top.gflops]
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
    most = max((d["seconds"] for d in dots), default=1)
    circles = [(px(d["intensity"]), py(d["gflops"]), 4 + 9 * math.sqrt(d["seconds"] / most)) for d in dots]
    labels = _Labels(circles, (left, above, width - right, height - bottom))
    slope = -math.degrees(math.atan2(py(1) - py(10), px(10) - px(1)))
    for size, rate in top.gbytes.items():
        start, ridge = max(10.0**x0, 10.0**y0 / rate), top.gflops / rate
        colour = "#1c2733" if rate == slowest else "#9aa5b1"
        parts.append(
            f'<path d="M{px(start):.1f} {py(start * rate):.1f} L{px(ridge):.1f} {py(top.gflops):.1f}" fill="none" '
            f'stroke="{colour}" stroke-width="2"/>'
        )
        label = f"{size_text(size)} a call: {rate:.0f} GB/s"
        at = start * 10 ** ((text_width(label, 11.5) / 2 + 12) * math.cos(math.radians(slope)) / (px(10) - px(1)))
        x, y = px(at), py(at * rate) - 6
        labels.keep_clear(x, y, slope, text_width(label, 11.5))
        text(
            x,
            y,
            label,
            fill=colour.replace("#9aa5b1", "#66727f"),
            extra=f' transform="rotate({slope:.1f} {x:.1f} {y:.1f})"',
        )
    parts.append(
        f'<path d="M{px(top.gflops / fastest):.1f} {py(top.gflops):.1f} H{width - right}" stroke="#1c2733" stroke-width="2"/>'
    )
    text(width - right, py(top.gflops) - 7, f"{top.gflops:.0f} GFLOP/s", "end", "#1c2733")
    for d, (x, y, r) in zip(dots, circles, strict=True):
        tip = f"{d['name']}: {d['gflops']:.2f} GFLOP/s, {d['intensity']:.2f} FLOP/byte, {size_text(d['bytes_per_call'])} a call"
        tip += f", {d['reached']:.0%} of its ceiling"
        colour = COLOURS.get(d["phase"], COLOURS["other"])
        parts.append(
            f"<g><title>{escape(tip)}</title>"
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" fill="{colour}" fill-opacity="0.75" stroke="#fff"/></g>'
        )
    for d, (x, y, r) in zip(dots, circles, strict=True):
        place = labels.place(x, y, r, d["name"])
        if place is not None:
            halo = ' stroke="#fff" stroke-width="3" stroke-linejoin="round" paint-order="stroke"'
            text(*place[:2], d["name"], place[2], "#1c2733", extra=halo)
    text((left + width) / 2, height - 8, "floating-point operations per byte")
    text(15, height / 2, "GFLOP/s", extra=f' transform="rotate(-90 15 {height / 2})"')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f"font-family=\"Inter,'Segoe UI','DejaVu Sans',Arial,sans-serif\">{''.join(parts)}</svg>"
    )
