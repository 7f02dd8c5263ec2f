"""diagnose(): gradients and activations layer by layer, and what is wrong with them. Imports the core, nn and viz's tables.

Nothing here knows an activation by name: how open a layer is follows from its local derivative, which one call of `grad`
gives. A unit is dead where that is 0 for every sample, saturated where it is below a fiftieth of the largest.
"""

import math
from dataclasses import dataclass, field
from html import escape

import numpy as np

import fastgrad as fg
from fastgrad._core import Tensor, grad
from fastgrad.viz._chart import line_chart
from fastgrad.viz._draw import html_table, page, table

SMALL, LARGE = 1e-3, 1e3  # first layer's gradient over the last one's: beyond these it vanishes or explodes
MOST = 0.5  # share of units above which a layer counts as saturated
DEAD = 0.75  # and as dead: where a layer cannot tell inputs apart, as deep in a net with small weights, half are off by chance
WHITE = 0.3  # autocorrelation of gradients at neighbouring inputs below which they are shattered
SHUT = 0.02  # local derivative, as a part of the largest, below which a unit is saturated

REMEDIES = {
    "vanishing": "use ReLU in place of a saturating activation, skip connections, normalisation layers, or initial weights of "
    "larger variance (nn.init.kaiming_normal_ for ReLU, xavier_normal_ with its gain for tanh)",
    "exploding": "clip the gradient (nn.utils.clip_grad_norm_), lower the learning rate, or use initial weights of smaller "
    "variance (nn.init.kaiming_normal_, xavier_normal_) or normalisation layers",
    "dead": "use a leaky activation (nn.LeakyReLU(0.01)), a lower learning rate, or biases that start at 0",
    "saturated": "use smaller initial weights (nn.init.xavier_normal_), normalise the inputs, or use ReLU",
    "shattered": "add skip connections with normalisation layers (BatchNorm) in the blocks",
    "not finite": "find the first NaN or infinity with `with fastgrad.detect_anomaly():`",
}


@dataclass
class LayerReport:
    """One module without submodules, in the order of the forward pass; what does not apply is None.

    activation: root mean square of its output. gradient: norm of the loss's gradient by its output. weights: norm of the
    gradient by its parameters. ratio: that over the norm of the parameters. jacobian: spectral norm of its derivative, the
    largest over the samples. dead, saturated: share of its units whose local derivative is 0 for every sample, or is
    small; starved: share of its inputs that got no gradient from any sample (behind max).
    """

    name: str
    kind: str
    activation: float
    gradient: float
    weights: float | None = None
    ratio: float | None = None
    jacobian: float | None = None
    dead: float | None = None
    saturated: float | None = None
    starved: float | None = None


@dataclass
class Finding:
    """A problem by its name, with the evidence and the remedies."""

    problem: str
    evidence: str
    remedy: str
    layers: list = field(default_factory=list)

    def __str__(self):
        return f"{self.problem}: {self.evidence}. Remedies: {self.remedy}"


class Diagnosis:
    """What `diagnose` found: `findings` (none for a healthy model), and `layers` with the numbers behind them."""

    def __init__(self, layers, findings, autocorrelation=None):
        self.layers, self.findings, self.autocorrelation = layers, findings, autocorrelation

    @property
    def problems(self):
        """The names of the problems."""
        return [f.problem for f in self.findings]

    def _cells(self):
        columns = ["activation", "gradient", "weights", "ratio", "jacobian", "dead", "saturated", "starved"]
        used = [c for c in columns if any(getattr(layer, c) is not None for layer in self.layers)]
        titles = {"weights": "weight gradient", "ratio": "over weights", "gradient": "gradient"}
        cells = [["layer", "kind", *(titles.get(c, c) for c in used)]]
        for layer in self.layers:
            row = [layer.name, layer.kind]
            for c in used:
                v = getattr(layer, c)
                row.append("" if v is None else f"{v:.0%}" if c in ("dead", "saturated", "starved") else f"{v:.3g}")
            cells.append(row)
        return cells

    def __str__(self):
        text = table(self._cells(), right=range(2, 12))
        if self.autocorrelation is not None:
            text += f"\nautocorrelation of gradients at neighbouring inputs {self.autocorrelation:.2f}"
        return text + "\n" + ("\n".join(map(str, self.findings)) or "no problem found")

    def __repr__(self):
        return f"<diagnosis: {', '.join(self.problems) or 'no problem found'}>"

    def to_svg(self):
        """Activations and gradients through depth, as a picture."""
        series = {
            "activation": [layer.activation for layer in self.layers],
            "gradient": [layer.gradient for layer in self.layers],
            "weight gradient": (
                [k for k, layer in enumerate(self.layers) if layer.weights is not None],
                [layer.weights for layer in self.layers if layer.weights is not None],
            ),
        }
        names = [layer.name or layer.kind for layer in self.layers]
        return line_chart(series, across="layer", up="size", labels=names, colours=("#14713a", "#c2272d", "#7a5fb0"))

    def _repr_html_(self):
        return findings_html(self.findings) + self.to_svg() + html_table(self._cells())

    def to_html(self):
        """A page of its own: the findings, activations and gradients through depth, and the numbers of every layer."""
        body = (
            f"<h1>Diagnosis</h1><p class=sub>{len(self.layers)} layers, in the order of the forward pass</p>"
            f"{findings_html(self.findings)}<h2>Through depth</h2><div class=card>{self.to_svg()}</div>"
            f"<h2>Layers</h2><div class=card>{html_table(self._cells())}</div>"
        )
        return page("Diagnosis", body, NUMBERS)

    def save(self, path):
        """Writes the page."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.to_html())

    def plot(self):
        """Activations and gradients through depth; returns the figure. Needs matplotlib."""
        from fastgrad.profiler._profile import matplotlib_pyplot

        plt = matplotlib_pyplot("plot")
        figure, axes = plt.subplots(figsize=(7, 3.6))
        for name, colour in (("activation", "#14713a"), ("gradient", "#c2272d")):
            values = [getattr(layer, name) for layer in self.layers]
            axes.plot(range(len(values)), values, color=colour, label=name, marker=".")
        axes.set_yscale("log")
        axes.set_xlabel("layer")
        axes.legend()
        figure.tight_layout()
        return figure


NUMBERS = "td:nth-child(n+3),th:nth-child(n+3){text-align:right}"  # columns of numbers


def findings_html(findings):
    """Each finding as a box, or one that says that there is none."""
    boxes = "".join(
        f'<div class="found"><b>{escape(f.problem)}</b>: {escape(f.evidence)}.<p>Remedies: {escape(f.remedy)}.</p></div>'
        for f in findings
    )
    return boxes or '<div class="found fine">No problem found.</div>'


def diagnose(model, batch, loss=None, *, jacobians=True, points=16):
    """Runs one batch forward and backward and says what is wrong with the gradients.

    Args:
        model: a Module; its parameters, buffers and gradients are left alone.
        batch: (inputs, targets).
        loss: a function of the model's output and the targets; cross-entropy by default.
        jacobians: whether to compute the spectral norm of each layer's Jacobian, ten products with it and its transpose.
        points: inputs on the line between two samples at which gradients are correlated; 0 leaves that out.

    Returns: a `Diagnosis`. It names gradients that vanish (the first layer's weight gradient is below 1e-3 of the last one's)
    or explode (the gradient at its output is above 1e3 times the last one's), layers where more than three quarters of the
    units are dead or more than half saturated, and shattered gradients (those at neighbouring inputs correlate by less than
    0.3; Balduzzi et al. 2017), each with the evidence and the remedies.

    Example:
        >>> _ = fg.manual_seed(0)
        >>> sigmoids = [m for _ in range(10) for m in (fg.nn.Linear(16, 16), fg.nn.Sigmoid())]
        >>> net = fg.nn.Sequential(*sigmoids, fg.nn.Linear(16, 2))
        >>> diagnose(net, (fg.randn(32, 16), fg.randint(0, 2, (32,)))).problems
        ['vanishing']
    """
    if not isinstance(model, fg.nn.Module):
        raise TypeError(f"diagnose: expected a Module, got {type(model).__name__}")
    x, targets = pair_of(batch, "diagnose")
    if not isinstance(x, Tensor):
        raise TypeError(f"diagnose: expected a Tensor of inputs, got {type(x).__name__}; make one with fastgrad.tensor")
    if x.ndim == 0 or not len(x):
        raise ValueError(f"diagnose: expected a batch of at least one input, got inputs of shape {tuple(x.shape)}")
    if points < 0 or points == 1:
        raise ValueError(f"diagnose: points should be 0 (no correlation) or at least 2, got {points}")
    loss = loss or fg.nn.functional.cross_entropy
    names = {m: name for name, m in model.named_modules()}
    leaves = [m for m in model.modules() if not any(True for _ in m.children())]
    calls, handles = [], []

    def note(module, args, output):
        if isinstance(output, Tensor) and args and isinstance(args[0], Tensor) and output.is_floating_point():
            calls.append((module, args[0], output))

    kept = [(b, b.clone()) for b in model.buffers()]
    for m in leaves:
        handles.append(m.register_forward_hook(note))
    try:
        with fg.enable_grad():
            start = x.detach().requires_grad_() if x.is_floating_point() else x
            value = loss(model(start), targets)
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(value, Tensor) or value.numel() != 1:
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"diagnose: the loss should be a Tensor with one number, got {got}; reduce it (.mean())")
    parameters = [p for p in model.parameters() if p.requires_grad]
    outputs = [y for _, _, y in calls]
    with fg.enable_grad():
        grads = grad(value, [*outputs, *parameters], allow_unused=True)
    by_parameter = dict(zip(parameters, grads[len(outputs) :], strict=True))
    layers = []
    for (module, given, y), g in zip(calls, grads, strict=False):
        own = [p for p in module.parameters(recurse=False) if p in by_parameter]
        layers.append(_layer(names[module], module, given, y, g, own, by_parameter, jacobians))
    correlation = autocorrelation(model, x, points) if points and x.is_floating_point() and len(x) > 1 else None
    with fg.no_grad():
        for b, before in kept:
            b.copy_(before)
    return Diagnosis(layers, findings_of(layers, correlation, value.item()), correlation)


def pair_of(batch, who):
    """(inputs, targets) of a batch, or an error that says what it should be."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        what = f"{len(batch)} of them" if isinstance(batch, tuple | list) else type(batch).__name__
        raise TypeError(f"{who}: expected a batch as a pair (inputs, targets), got {what}")
    return batch


def _norm(tensors):
    return math.sqrt(sum(float((t.detach().double() ** 2).sum()) for t in tensors))


def _layer(name, module, given, y, g, own, by_parameter, jacobians):
    report = LayerReport(
        name,
        type(module).__name__,
        math.sqrt(float((y.detach().double() ** 2).mean())),
        0.0 if g is None else _norm([g]),
    )
    if own:
        gradients = [by_parameter[p] for p in own if by_parameter[p] is not None]
        report.weights = _norm(gradients)
        size = _norm(own)
        report.ratio = report.weights / size if size else None
    inner = given.detach().requires_grad_() if given.is_floating_point() else None
    if inner is None:
        return report
    with fg.enable_grad():
        out = module(inner)
    if not out.requires_grad:
        return report
    (slope,) = grad(out, inner, fg.ones_like(out), retain_graph=True)
    slope = np.abs(slope.numpy())
    if not own and out.shape == inner.shape and inner.ndim > 1 and _elementwise(module, inner):
        top = max(slope.max(), _slope_at_zero(module, inner))
        smooth = len(np.unique(slope[slope > 0][:4096])) > 3  # not a few straight pieces, as ReLU
        units = slope.reshape(len(slope), -1)
        report.dead = float((units == 0).all(axis=0).mean())
        report.saturated = float((slope < SHUT * top).mean()) if top and smooth else 0.0
    elif not own and out.numel() < inner.numel():
        report.starved = float((slope.reshape(len(slope), -1) == 0).all(axis=0).mean())
    if jacobians:
        report.jacobian = spectral_norm(module, inner)
    return report


def _slope_at_zero(module, x):
    """The largest local derivative at 0, where saturating activations are open."""
    zero = fg.zeros_like(x).requires_grad_()
    with fg.enable_grad():
        (slope,) = grad(module(zero), zero, fg.ones_like(x))
    return float(slope.abs().max())


def _elementwise(module, x):
    """Whether each element of the output depends on its own input alone: seen by moving one element."""
    probe = x.detach().numpy().copy()
    with fg.no_grad():
        before = module(fg.tensor(probe, dtype=x.dtype)).numpy().copy()
        probe.reshape(-1)[0] += 1.0
        after = module(fg.tensor(probe, dtype=x.dtype)).numpy()
    changed = before != after
    changed.reshape(-1)[0] = False
    return not changed.any()


def spectral_norm(function, x, steps=10):
    """The largest singular value of a function's Jacobian at x, over all samples, by power iteration on J^T J.

    J^T v is one vjp; J u is the derivative of J^T v by v in the direction u, a second one.
    """
    x = x.detach().requires_grad_()
    with fg.enable_grad():
        y = function(x)
        v = fg.ones_like(y).requires_grad_()
        (pulled,) = grad(y, x, v, create_graph=True)
    generator = np.random.default_rng(0)
    u = fg.tensor(generator.normal(size=tuple(x.shape)), dtype=x.dtype)
    size = _norm([u])
    norm = 0.0
    for _ in range(steps):
        u = u / size if size else u
        if not pulled.requires_grad:
            return 0.0
        (pushed,) = grad(pulled, v, u, retain_graph=True)
        norm = _norm([pushed])
        (u,) = grad(y, x, pushed, retain_graph=True)
        size = _norm([u])
        if not size or not math.isfinite(size):
            return norm
    return norm


def autocorrelation(model, x, points=16, pairs=8):
    """The correlation of the input gradients of neighbouring points on lines between pairs of samples, averaged over pairs.

    Near 1 for a function that bends slowly, near 0 where gradients are white noise. Of the sum of the outputs, after the
    mean over the points is taken off.
    """
    x = x.detach()
    modes = [(m, m.training) for m in model.modules()]
    model.eval()  # the points of a line must not normalise each other
    try:
        return _autocorrelation(model, x, points, min(pairs, len(x) // 2))
    finally:
        for m, training in modes:
            m.training = training


def _autocorrelation(model, x, points, pairs):
    found = []
    for k in range(pairs):
        a, b = x[2 * k], x[2 * k + 1]
        line = fg.stack([a + (b - a) * (t / (points - 1)) for t in range(points)]).requires_grad_()
        with fg.enable_grad():
            out = model(line).sum()
        if not out.requires_grad:
            return None
        g = grad(out, line)[0].double().numpy().reshape(points, -1)
        g = g - g.mean(axis=0)
        total = float((g * g).sum())
        found.append(float((g[1:] * g[:-1]).sum()) / total * points / (points - 1) if total > 1e-20 else 1.0)
    return sum(found) / len(found)


def findings_of(layers, correlation, value):
    """The problems that the numbers show."""
    found = []

    def add(problem, evidence, names=()):
        found.append(Finding(problem, evidence, REMEDIES[problem], list(names)))

    numbers = [n for layer in layers for n in (layer.activation, layer.gradient, layer.weights or 0.0)]
    if not math.isfinite(value) or not all(map(math.isfinite, numbers)):
        bad = next((layer.name for layer in layers if not math.isfinite(layer.activation)), "the loss")
        add("not finite", f"the first value that is not finite appears in {bad}")
        return found
    trained = [layer for layer in layers if layer.weights is not None]
    if len(trained) > 1:
        first, last = trained[0], trained[-1]
        ratio = first.weights / last.weights if last.weights else math.inf if first.weights else 1.0
        grown = (
            first.gradient / last.gradient if last.gradient else 1.0
        )  # weights may hide it: activations grow as well
        norms = [layer.jacobian for layer in layers if layer.jacobian is not None]
        spectra = ""
        if norms:
            below = sum(n < 1 for n in norms)
            spectra = f"; {below} of {len(norms)} layers have a Jacobian of spectral norm below 1"
        text = f"the weight gradient of layer {first.name} is {ratio:.1e} times that of layer {last.name}{spectra}"
        if ratio < SMALL:
            add("vanishing", text, [first.name])
        elif max(ratio, grown) > LARGE:
            text = f"the gradient at the output of layer {first.name} is {grown:.1e} times that of layer {last.name}{spectra}"
            add("exploding", text.replace("below 1", "below 1, the others above"), [first.name])
    for problem, most in (("dead", DEAD), ("saturated", MOST)):
        names = [layer.name for layer in layers if (getattr(layer, problem) or 0) > most]
        if names:
            worst = max(getattr(layer, problem) for layer in layers if layer.name in names)
            shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
            add(problem, f"up to {worst:.0%} of the units of {shown} are {problem}", names)
    if correlation is not None and correlation < WHITE and len(trained) > 2:
        add("shattered", f"gradients at neighbouring inputs correlate by {correlation:.2f} only")
    return found
