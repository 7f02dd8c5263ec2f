"""The pictures of docs/derivatives.md: curves whose numbers fastgrad computes as they are drawn."""

import math

import fastgrad as fg
from fastgrad import func

INK, SOFT, GRID = "#1c2733", "#66727f", "#e6e9ee"
COLOURS = ("#3b7dd8", "#d1642e", "#2f9e6e")


def text(x, y, words, anchor="middle", colour=SOFT, size=12, weight=400):
    style = f'text-anchor="{anchor}" font-size="{size}" fill="{colour}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{words}</text>'


class Chart:
    """Curves in a box of one picture, with a title above and a legend beside each curve's end."""

    def __init__(self, left, width, title, xs, low, high):
        self.left, self.top, self.width, self.height = left, 40, width, 190
        self.x0, self.x1, self.low, self.high = xs[0], xs[-1], low, high
        self.parts = [text(left + width / 2, 24, title, colour=INK, size=13, weight=700)]

    def place(self, x, y):
        across = (x - self.x0) / (self.x1 - self.x0)
        up = (y - self.low) / (self.high - self.low)
        return self.left + self.width * across, self.top + self.height * (1 - up)

    def grid(self, xs, ys, label, form="{:g}"):
        for x in xs:
            at, bottom = self.place(x, self.low)
            self.parts.append(f'<path d="M{at:.1f} {self.top} V{bottom:.1f}" stroke="{GRID}"/>')
            self.parts.append(text(at, bottom + 17, form.format(x), size=11))
        for y in ys:
            at, level = self.place(self.x0, y)
            self.parts.append(f'<path d="M{at:.1f} {level:.1f} h{self.width}" stroke="{GRID}"/>')
            self.parts.append(text(at - 6, level + 4, form.format(y), "end", size=11))
        self.parts.append(text(self.left + self.width / 2, self.top + self.height + 36, label))

    def curve(self, xs, ys, colour, name=None, at=-1, shift=(0, -8), anchor="end"):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in (self.place(x, y) for x, y in zip(xs, ys, strict=True)))
        self.parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if name:
            a, b = self.place(xs[at], ys[at])
            self.parts.append(text(a + shift[0], b + shift[1], name, anchor, colour, 12, 700))


def picture(*charts, width=760, height=285):
    body = "".join("".join(chart.parts) for chart in charts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f"font-family=\"Inter,'Segoe UI','DejaVu Sans',Arial,sans-serif\">"
        f'<rect width="100%" height="100%" fill="#fff"/>{body}</svg>\n'
    )


def throw(steps=200, dt=0.01):
    """The heights of a throw and their derivatives by gravity and by drag, all in one pass each."""
    xs = [k * dt for k in range(steps + 1)]

    def heights(parameters):
        gravity, drag = parameters[0], parameters[1]
        height, speed = fg.tensor(0.0, dtype=fg.float64), fg.tensor(10.0, dtype=fg.float64)
        found = [height]
        for _ in range(steps):
            speed = speed - dt * (gravity + drag * speed * speed.abs())
            height = height + dt * speed
            found.append(height)
        return fg.stack(found)

    p = fg.tensor([9.81, 0.02], dtype=fg.float64)
    slopes = func.jacfwd(heights)(p)
    return xs, heights(p).tolist(), slopes[:, 0].tolist(), slopes[:, 1].tolist()


def trajectory():
    xs, heights, by_gravity, by_drag = throw()
    left = Chart(60, 300, "height of a throw, m", xs, -1, 5)
    left.grid([0, 0.5, 1, 1.5, 2], range(-1, 6), "time, s")
    left.curve(xs, heights, COLOURS[0])
    right = Chart(430, 300, "... and its sensitivities", xs, -40, 0)
    right.grid([0, 0.5, 1, 1.5, 2], range(-40, 1, 10), "time, s")
    right.curve(xs, [10 * y for y in by_gravity], COLOURS[1], "10 times by gravity", 105, (6, -8), "start")
    right.curve(xs, by_drag, COLOURS[2], "by drag", 120, (-8, 10))
    return picture(left, right)


def option():
    """The price of a call over its spot price, with delta and gamma."""

    def price(spot, volatility=0.2, years=0.5, strike=100.0, rate=0.03):
        cdf = lambda z: 0.5 * (1 + fg.erf(z / math.sqrt(2)))  # noqa: E731
        d1 = ((spot / strike).log() + (rate + volatility**2 / 2) * years) / (volatility * math.sqrt(years))
        return spot * cdf(d1) - strike * math.exp(-rate * years) * cdf(d1 - volatility * math.sqrt(years))

    spots = fg.linspace(60, 140, 81, dtype=fg.float64)
    delta = func.vmap(func.jacfwd(price))
    gamma = func.vmap(func.jacfwd(func.jacfwd(price)))
    xs = spots.tolist()
    left = Chart(60, 300, "price of an option", xs, 0, 45)
    left.grid(range(60, 141, 20), range(0, 46, 15), "price of the share")
    left.curve(xs, price(spots).tolist(), COLOURS[0])
    right = Chart(430, 300, "delta, and 20 times gamma", xs, 0, 1)
    right.grid(range(60, 141, 20), [0, 0.25, 0.5, 0.75, 1], "price of the share")
    right.curve(xs, delta(spots).tolist(), COLOURS[1], "delta", 45, (-8, 4))
    right.curve(xs, (20 * gamma(spots)).tolist(), COLOURS[2], "gamma", 26, (-6, -4))
    return picture(left, right)


PICTURES = {"trajectory.svg": trajectory, "option.svg": option}
