"""GradientMonitor: gradient norms and update sizes of every parameter through training. Imports the core and _diagnose."""

import math

import numpy as np

import fastgrad as fg
from fastgrad.diagnostics._diagnose import DEAD, LARGE, REMEDIES, SMALL, Finding, findings_html
from fastgrad.viz._chart import line_chart
from fastgrad.viz._draw import html_table, page, table


class GradientMonitor:
    """Notes, step by step, the norm of each parameter's gradient, of the parameter, and of its last update.

    Call `record(loss)` after `backward()` and before the optimiser's step. `history[name]` is a list of (gradient, weight,
    update) norms, the update being the change since the record before; `losses` are the losses that were given.
    `findings()` names gradients that vanish, explode or are not finite, updates that are too large for their weights, and dead
    units.

    Args:
        model: a Module.
        activations: look at what layers give, too, until `remove()`: `activations[name]` is then a list of (root mean square,
            share of units that are 0 for the whole batch) of each call of a layer in training. Values are read: not in a
            compiled step.

    Example:
        >>> net = fg.nn.Linear(2, 1)
        >>> optimizer = fg.optim.SGD(net.parameters(), lr=0.1)
        >>> monitor = GradientMonitor(net)
        >>> for _ in range(5):
        ...     optimizer.zero_grad()
        ...     loss = (net(fg.ones(4, 2)) ** 2).mean()
        ...     loss.backward()
        ...     monitor.record(loss)
        ...     optimizer.step()
        >>> len(monitor.history["weight"]), monitor.findings()
        (5, [])
    """

    def __init__(self, model, *, activations=False):
        if not isinstance(model, fg.nn.Module):
            raise TypeError(f"GradientMonitor: expected a Module, got {type(model).__name__}")
        self._model = model
        self.history = {name: [] for name, p in model.named_parameters() if p.requires_grad}
        if not self.history:
            raise ValueError("GradientMonitor: no parameter of the model requires grad: there is nothing to follow")
        self.activations, self._last, self.losses, self._hooks = {}, {}, [], []
        if activations:
            for name, m in model.named_modules():
                if not any(True for _ in m.children()):
                    self._hooks.append(m.register_forward_hook(self._hook(name)))

    def remove(self):
        """Looks at activations no more; what was noted stays."""
        for handle in self._hooks:
            handle.remove()
        self._hooks.clear()

    def _hook(self, name):
        def note(module, args, output):
            if module.training and isinstance(output, fg.Tensor) and output.is_floating_point() and output.numel():
                y = output.detach().numpy().reshape(len(output) if output.ndim else 1, -1)
                size = math.sqrt(float(np.square(y, dtype=np.float64).mean()))
                self.activations.setdefault(name, []).append((size, float((y == 0).all(axis=0).mean())))

        return note

    def record(self, loss=None):
        """Notes the state after a backward pass. loss: a number, or a Tensor with one."""
        if all(p.grad is None for name, p in self._model.named_parameters() if name in self.history):
            raise RuntimeError("record: no parameter has a gradient; call it after backward() and before zero_grad()")
        if loss is not None:
            self.losses.append(float(loss))
        with fg.no_grad():
            for name, p in self._model.named_parameters():
                if name not in self.history:
                    continue
                value = p.detach()
                before = self._last.get(name)
                update = float((value - before).norm()) if before is not None else 0.0
                gradient = float(p.grad.norm()) if p.grad is not None else 0.0
                self.history[name].append((gradient, float(value.norm()), update))
                self._last[name] = value.clone()

    def ratios(self):
        """{name: median of update norm over weight norm}, from the second record on."""
        found = {}
        for name, steps in self.history.items():
            values = sorted(update / weight for _, weight, update in steps[1:] if weight)
            if values:
                found[name] = values[len(values) // 2]
        return found

    def findings(self):
        """The problems that the records show."""
        found = []
        last = {name: steps[-1][0] for name, steps in self.history.items() if steps}
        bad = [name for name, g in last.items() if not math.isfinite(g)]
        if bad:
            return [Finding("not finite", f"the gradient of {bad[0]} is not finite", REMEDIES["not finite"], bad)]
        weights = [name for name in last if self.history[name][-1][1] and "bias" not in name]
        if len(weights) > 1 and last[weights[-1]]:
            ratio = last[weights[0]] / last[weights[-1]]
            text = f"the gradient of {weights[0]} is {ratio:.1e} times that of {weights[-1]}"
            if ratio < SMALL:
                found.append(Finding("vanishing", text, REMEDIES["vanishing"], [weights[0]]))
            elif ratio > LARGE:
                found.append(Finding("exploding", text, REMEDIES["exploding"], [weights[0]]))
        grown = [
            name for name, steps in self.history.items() if len(steps) > 2 and steps[-1][0] > LARGE * (steps[0][0] or 1)
        ]
        if grown and not found:
            text = f"the gradient of {grown[0]} has grown {LARGE:.0e} times since the first record"
            found.append(Finding("exploding", text, REMEDIES["exploding"], grown))
        dead = {name: calls[-1][1] for name, calls in self.activations.items() if calls[-1][1] > DEAD}
        if dead:
            text = f"{max(dead.values()):.0%} of the units of {max(dead, key=dead.get)} were 0 for the whole last batch"
            found.append(Finding("dead", text, REMEDIES["dead"], list(dead)))
        large = [name for name, ratio in self.ratios().items() if ratio > 0.3 and "bias" not in name]
        if large:
            text = f"updates of {large[0]} are {self.ratios()[large[0]]:.0%} of its weights; about 0.1% is usual"
            found.append(Finding("updates too large", text, "lower the learning rate", large))
        return found

    def _cells(self):
        rows = [["parameter", "gradient", "weight", "update over weight"]]
        ratios = self.ratios()
        for name, steps in self.history.items():
            if steps:
                ratio = f"{ratios[name]:.2e}" if name in ratios else ""
                rows.append([name, f"{steps[-1][0]:.3g}", f"{steps[-1][1]:.3g}", ratio])
        return rows

    def __str__(self):
        return (
            table(self._cells(), right=(1, 2, 3)) + "\n" + ("\n".join(map(str, self.findings())) or "no problem found")
        )

    def to_svg(self):
        """Gradient norms over the records, of the eight largest parameters at the end, as a picture."""
        last = sorted(((steps[-1][0], name) for name, steps in self.history.items() if steps), reverse=True)[:8]
        series = {
            name: [g for g, _, _ in steps] for name, steps in self.history.items() if name in {n for _, n in last}
        }
        return line_chart(series, across="record", up="gradient norm")

    def _repr_html_(self):
        return findings_html(self.findings()) + self.to_svg() + html_table(self._cells())

    def to_html(self):
        """A page of its own: the findings, gradient norms through training, and the last numbers of every parameter."""
        losses = f"<h2>Loss</h2><div class=card>{line_chart({'loss': self.losses}, across='record', up='loss')}</div>"
        body = (
            f"<h1>Gradients through training</h1>{findings_html(self.findings())}"
            f"<h2>Gradient norms</h2><div class=card>{self.to_svg()}</div>{losses if self.losses else ''}"
            f"<h2>Parameters</h2><div class=card>{html_table(self._cells())}</div>"
        )
        return page("Gradients through training", body, "td:not(:first-child),th:not(:first-child){text-align:right}")

    def save(self, path):
        """Writes the page."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.to_html())

    def plot(self):
        """Gradient norms over the records; returns the figure. Needs matplotlib (`pip install fastgrad[plot]`)."""
        from fastgrad.profiler._profile import matplotlib_pyplot

        plt = matplotlib_pyplot("plot")
        figure, axes = plt.subplots(figsize=(7, 3.6))
        for name, steps in self.history.items():
            axes.plot([g for g, _, _ in steps], label=name)
        axes.set_yscale("log")
        axes.set_xlabel("record")
        axes.set_ylabel("gradient norm")
        axes.legend(fontsize=7)
        figure.tight_layout()
        return figure
