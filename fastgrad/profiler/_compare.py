"""One training step on the native core and without it: pure-Python tapes and flat NumPy code. Imports baselines and viz."""

import gc
import math
import statistics
from html import escape
from time import perf_counter

import numpy as np

import fastgrad as fg
from fastgrad.baselines import flat_numpy, numpy_tape, scalar_tape
from fastgrad.profiler._profile import profile
from fastgrad.profiler._report import seconds
from fastgrad.viz import to_flat_numpy
from fastgrad.viz._draw import table

NATIVE = "fastgrad"


class Comparison:
    """What `compare` measured; `print` shows it.

    rows: (name, forward seconds, backward seconds, difference) of each way to run the step, fastgrad first; the difference
    is the largest one of a gradient from fastgrad's, as a fraction of the largest gradient. ops: (op, native forward, native
    backward, NumPy forward, NumPy backward) in seconds per step.
    """

    def __init__(self, rows, ops, left_out):
        self.rows, self.ops, self.left_out = rows, ops, left_out

    def _cells(self):
        native = self.rows[0]
        cells = [["", "forward", "backward", "step", "times fastgrad's", "gradients differ by"]]
        for name, forward, backward, difference in self.rows:
            ratio = (forward + backward) / (native[1] + native[2])
            factor = f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"
            cells.append(
                [name, seconds(forward), seconds(backward), seconds(forward + backward), factor, f"{difference:.0e}"]
            )
        cells[1][-2:] = ["", ""]
        return cells

    def _op_cells(self):
        cells = [["op", "fastgrad: forward", "backward", "NumPy: forward", "backward", "times fastgrad's"]]
        for op, f, b, nf, nb in self.ops:
            ratio = (nf + nb) / (f + b) if f + b else 0
            cells.append([op, *(seconds(t) for t in (f, b, nf, nb)), f"{ratio:.1f}x" if ratio else ""])
        return cells

    def _bars(self):
        """The steps as bars of text, on a logarithmic scale: four signs for a factor of ten."""
        steps = [(name, forward + backward) for name, forward, backward, _ in self.rows]
        least = min(t for _, t in steps)
        wide = max(len(name) for name, _ in steps)
        return "\n".join(
            f"{name:<{wide}}  {'█' * (4 + round(4 * math.log10(t / least)))} {seconds(t)}" for name, t in steps
        )

    def __str__(self):
        tables = table(self._cells(), right=range(1, 6)), self._bars(), table(self._op_cells(), right=range(1, 6))
        text = "\n\n".join(tables)
        return text + "".join(f"\n{line}" for line in self.left_out)

    def __repr__(self):
        return f"<comparison of {', '.join(row[0] for row in self.rows)}>"

    def to_svg(self):
        """Bars of forward and backward time, on a logarithmic axis."""
        wide, high, left = 720, 46 * len(self.rows) + 52, 150
        least = min(min(row[1:3]) for row in self.rows)
        most = max(row[1] + row[2] for row in self.rows)
        low, up = math.floor(math.log10(least)), math.ceil(math.log10(most))

        def x(t):
            return left + (math.log10(max(t, 10.0**low)) - low) / (up - low) * (wide - left - 110)

        parts = []
        for e in range(low, up + 1):
            parts.append(f'<path d="M{x(10.0**e):.1f} 10 V{high - 38}" stroke="#e6e9ee"/>')
            parts.append(
                f'<text x="{x(10.0**e):.1f}" y="{high - 20}" text-anchor="middle" font-size="11" fill="#66727f">'
                f"{seconds(10.0**e).replace('.00', '').replace('.0', '')}</text>"
            )
        native = sum(self.rows[0][1:3])
        for k, (name, forward, backward, _) in enumerate(self.rows):
            y = 16 + 46 * k
            weight = ' font-weight="700"' if k == 0 else ""
            parts.append(
                f'<text x="{left - 10}" y="{y + 21}" text-anchor="end" font-size="13" fill="#1c2733"{weight}>'
                f"{escape(name)}</text>"
            )
            for at, t, colour in ((0, forward, "#3b7dd8"), (1, backward, "#d1642e")):
                parts.append(
                    f'<rect x="{left}" y="{y + 16 * at}" width="{max(x(t) - left, 1):.1f}" height="14" rx="2" fill="{colour}"/>'
                )
            ratio = (forward + backward) / native
            label = seconds(forward + backward) + (
                "" if k == 0 else f"  {ratio:,.0f}x" if ratio >= 10 else f"  {ratio:.1f}x"
            )
            parts.append(
                f'<text x="{x(max(forward, backward)) + 8:.1f}" y="{y + 20}" font-size="12.5" fill="#1c2733"{weight}>'
                f"{label}</text>"
            )
        parts.append(
            f'<g font-size="11.5" fill="#66727f"><rect x="{left}" y="{high - 12}" width="10" height="10" fill="#3b7dd8"/>'
            f'<text x="{left + 15}" y="{high - 3}">forward</text><rect x="{left + 75}" y="{high - 12}" width="10" height="10" '
            f'fill="#d1642e"/><text x="{left + 90}" y="{high - 3}">backward (logarithmic axis)</text></g>'
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high + 6}" width="{wide}" height="{high + 6}" '
            f"font-family=\"Inter,'Segoe UI','DejaVu Sans',Arial,sans-serif\">"
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
        )

    _repr_svg_ = to_svg


def mlp_parameters(model):
    """[W1, b1, W2, b2, ...] of a Sequential of linear layers with ReLU between them; None for any other model."""
    if type(model) is not fg.nn.Sequential:
        return None
    layers = list(model)
    linear, between = layers[0::2], layers[1::2]
    if not linear or len(linear) != len(between) + 1:
        return None
    if any(type(m) is not fg.nn.Linear or m.bias is None for m in linear) or any(
        type(m) is not fg.nn.ReLU for m in between
    ):
        return None
    return [p.detach().numpy() for m in linear for p in (m.weight, m.bias)]


def compare(model, batch, loss=None, seconds_each=0.5):
    """Times forward and backward of one batch on the native core and without it, and checks that all gradients agree.

    Args:
        model: a Module.
        batch: (inputs, targets), two Tensors.
        loss: a function of the model's output and the targets; cross-entropy by default.
        seconds_each: about how long each of them runs.

    Returns: a `Comparison` of fastgrad with the same step as flat NumPy code (`viz.to_flat_numpy`) and, for linear layers
    with ReLU between them under cross-entropy, by the implementations in `fastgrad.baselines`: NumPy code by hand and two
    tapes in pure Python, one of arrays, one of single numbers.

    Raises: AssertionError where a gradient differs by more than rounding.
    """
    x, targets = batch
    loss = loss or fg.nn.functional.cross_entropy
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    params = [p for _, p in named]

    class Native:
        def loss(self):
            self.last = loss(model(x), targets)

        def backward(self):
            for p in params:
                p.grad = None
            self.last.backward()
            return [p.grad.numpy() for p in params]

    before = [p.grad for p in params]
    code = to_flat_numpy(lambda x, targets: loss(model(x), targets), x, targets, names=model)
    contenders = [(NATIVE, Native()), ("flat NumPy", _Flat(code))]
    left_out = []
    arrays = mlp_parameters(model) if loss is fg.nn.functional.cross_entropy else None
    if arrays is None:
        left_out.append("the pure-Python tapes know linear layers with ReLU under cross-entropy only")
    else:
        data = x.numpy(), targets.numpy()
        contenders.append(("NumPy by hand", _Tape(flat_numpy.MLP(arrays), data)))
        contenders.append(("NumPy tape", _Tape(numpy_tape.MLP(arrays), data)))
        contenders.append(("pure-Python tape", _Tape(scalar_tape.MLP(arrays), data)))
    rows, expected = [], None
    for name, step in contenders:
        forward, backward, grads = _time(step, seconds_each)
        if expected is None:
            expected = [np.array(g) for g in grads]
            scale = max((np.abs(g).max() for g in expected if g.size), default=1.0) or 1.0
        difference = max(np.abs(a - b).max() for a, b in zip(grads, expected, strict=True)) / scale
        assert difference < (1e-3 if expected[0].dtype == np.float32 else 1e-9), (
            f"{name}: gradients differ by {difference}"
        )
        rows.append((name, forward, backward, difference))
    ops = _by_op(contenders[0][1], code, seconds_each)
    for p, g in zip(params, before, strict=True):
        p.grad = g
    return Comparison(rows, ops, left_out)


class _Tape:
    def __init__(self, step, data):
        self.step, self.data = step, data

    def loss(self):
        self.step.loss(*self.data)

    def backward(self):
        return self.step.backward()


class _Flat:
    """Flat code runs as a whole; its clock is read where the backward pass begins."""

    def __init__(self, code):
        self.run = code.timed(lambda op, backward: backward, code.lines)
        self.names = code.inputs

    def loss(self):
        self.result, self.times = self.run()

    def backward(self):
        return [self.result[1][name] for name in self.names]

    @property
    def split(self):
        """Seconds of the last run's forward and backward pass."""
        return self.times.get(False, 0.0), self.times.get(True, 0.0)


def _time(step, limit):
    """Median seconds of forward and backward, and the last gradients; without the garbage collector."""
    forwards, backwards = [], []
    was_on = gc.isenabled()
    gc.disable()
    began = perf_counter()
    try:
        while len(forwards) < 3 or (perf_counter() - began < limit and len(forwards) < 2000):
            start = perf_counter()
            step.loss()
            middle = perf_counter()
            grads = step.backward()
            end = perf_counter()
            forward, backward = getattr(step, "split", (middle - start, end - middle))
            forwards.append(forward)
            backwards.append(backward)
    finally:
        if was_on:
            gc.enable()
    return statistics.median(forwards), statistics.median(backwards), grads


def _by_op(native, code, limit):
    """(op, forward, backward, NumPy forward, NumPy backward) per step."""
    began, steps = perf_counter(), 0
    with profile(lines=False) as prof:
        while steps < 3 or (perf_counter() - began < limit / 2 and steps < 300):
            native.loss()
            native.backward()
            steps += 1
    found = {
        row.name: [row.forward / steps, row.backward / steps, 0.0, 0.0] for row in prof.rows("op") if row.name[0] != "("
    }
    run = code.timed(lambda op, backward: (op, backward), code.lines)
    began, times = perf_counter(), 0
    while times < 3 or (perf_counter() - began < limit / 2 and times < 300):
        for key, t in run()[1].items():
            op, backward = key
            entry = found.setdefault(op, [0.0, 0.0, 0.0, 0.0])
            entry[2 + backward] += t
        times += 1
    rows = [(op, f, b, nf / times, nb / times) for op, (f, b, nf, nb) in found.items()]
    return sorted((r for r in rows if any(r[1:])), key=lambda r: -sum(r[1:]))
