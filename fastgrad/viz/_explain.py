"""The backward pass told step by step: upstream times local is downstream. Imports the core and _draw."""

from dataclasses import dataclass
from html import escape

import numpy as np

from fastgrad._core import Tensor, ones_like
from fastgrad._core.backward import pull
from fastgrad._core.watch import describe, history, is_freed
from fastgrad.viz._draw import brief, page, shape_text


@dataclass(frozen=True)
class BackwardStep:
    """One node of a backward pass: what arrives, and for each input what is handed down.

    node: its name. op: the op's name, "leaf" at a leaf. upstream: the gradient of its output. inputs: (name, local,
    downstream) for each input that gets a gradient; local is the derivative of the output by that input where it is one
    number for each element, else None. doc: what the op computes.
    """

    node: str
    op: str
    upstream: object
    inputs: tuple
    doc: str = ""


class Explanation:
    """The steps of a backward pass, in the order of visit. `print()` shows them; a notebook shows them as a table."""

    def __init__(self, steps, leaves):
        self.steps, self.leaves = steps, leaves

    def __len__(self):
        return len(self.steps)

    def __iter__(self):
        return iter(self.steps)

    def __repr__(self):
        return f"<{len(self.steps)} steps of a backward pass>"

    def __str__(self):
        out = []
        for k, step in enumerate(self.steps, 1):
            if step.op == "leaf":
                out.append(f"{k}. {step.node} is a leaf: its gradient is {_shown(step.upstream)}")
                continue
            doc = f"   {step.doc}" if step.doc else ""
            out.append(f"{k}. {step.node}: upstream {_shown(step.upstream)}{doc}")
            out += ["      " + _line(*entry, step.upstream) for entry in step.inputs]
        return "\n".join(out)

    def _repr_html_(self):
        rows = []
        for k, step in enumerate(self.steps, 1):
            text = (
                "its gradient"
                if step.op == "leaf"
                else "<br>".join(escape(_line(*e, step.upstream)) for e in step.inputs)
            )
            rows.append(
                f'<tr><td>{k}</td><td><b>{escape(step.node)}</b></td><td class="g">{escape(_shown(step.upstream))}</td>'
                f'<td>{text}</td><td style="color:#66727f">{escape(step.doc)}</td></tr>'
            )
        head = "<tr><th></th><th>node</th><th>upstream</th><th>upstream × local = downstream</th><th></th></tr>"  # noqa: RUF001
        return f'<table style="text-align:left"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'

    def to_html(self):
        """A page of its own."""
        return page(
            "backward pass", f"<h1>The backward pass, step by step</h1><div class=card>{self._repr_html_()}</div>"
        )


def _shown(array):
    shape = np.shape(array)
    return brief(array) + (f" ({shape_text(shape)})" if np.size(array) > 12 else "")


def _line(name, local, downstream, upstream):
    if local is not None:
        return f"{_shown(upstream)} × {_shown(local)} = {_shown(downstream)}  to {name}"  # noqa: RUF001
    return f"{_shown(downstream)}  to {name}"


def postorder(root):
    """The nodes behind one, inputs first, as a backward pass sorts them."""
    order, seen, waiting = [], set(), [(root, False)]
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            if is_freed(node):
                raise RuntimeError(
                    f"{node.name()}: a backward run has freed this graph; look at it before, or pass retain_graph=True to "
                    "backward"
                )
            waiting.append((node, True))
            waiting += [(parent, False) for parent, _ in reversed(node.next_functions) if parent is not None]
    return order


def node_names(order, names):
    """A name for each node: of leaves the given ones, else the op's and a count."""
    if names is not None and not isinstance(names, dict):
        names = dict(names.named_parameters())
    known = {}
    for name, t in (names or {}).items():
        past = history(t)
        if past is not None:
            known[past[0]] = name
    found, counts = {}, {}
    for node in order:
        op = describe(node)[0]
        stem = "leaf" if op is None else node.name()[: -len("Backward")] if op.name == "custom" else op.name
        if node in known:
            found[node] = known[node]
            continue
        counts[stem] = counts.get(stem, 0) + 1
        found[node] = f"{stem}_{counts[stem]}"
    return found


def explain_backward(loss, gradient=None, names=None):
    """What `loss.backward()` does, node by node in its order: what arrives from upstream, times the local derivative, is what
    goes downstream. Gradients (`.grad`) are not touched, and the graph can still be differentiated.

    Args:
        loss: a Tensor with a history.
        gradient: the gradient to begin with, as for `backward`.
        names: {name: Tensor} or a Module: names for leaves.

    Returns: an `Explanation`.

    Example:
        >>> x, y, z = (fg.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))
        >>> print(explain_backward((x + y) * z, names={"x": x, "y": y, "z": z}))
        1. mul_1: upstream 1   x0 * x1.
              1 × -4 = -4  to add_1
              1 × 3 = 3  to z
        2. z is a leaf: its gradient is 3
        3. add_1: upstream -4   x0 + x1.
              -4 × 1 = -4  to x
              -4 × 1 = -4  to y
        4. y is a leaf: its gradient is -4
        5. x is a leaf: its gradient is -4
    """  # noqa: RUF002
    if not isinstance(loss, Tensor):
        raise TypeError(f"explain_backward: expected a Tensor, got {type(loss).__name__}")
    past = history(loss)
    if past is None:
        raise RuntimeError("explain_backward: the tensor has no history: nothing it was computed from requires grad")
    if gradient is None:
        if loss.numel() != 1:
            raise RuntimeError("explain_backward: give a gradient for a tensor that is not one number")
        gradient = ones_like(loss)
    order = postorder(past[0])
    names = node_names(order, names)
    arrived = {past: gradient}
    steps, leaves = [], {}
    for node in reversed(order):
        op, _, shapes, _, _ = describe(node)
        gs = [arrived.get((node, at)) for at in range(len(shapes))]
        if all(g is None for g in gs):
            continue
        upstream = next(g for g in gs if g is not None)
        if op is None:
            steps.append(BackwardStep(names[node], "leaf", _array(upstream), ()))
            leaves[names[node]] = _array(upstream)
            continue
        down = pull(node, gs)
        local = pull(node, [ones_like(upstream)]) if op.elementwise else [None] * len(down)
        inputs = []
        for (parent, at), g, slope in zip(node.next_functions, down, local, strict=True):
            if g is None or parent is None:
                continue
            key = (parent, at)
            arrived[key] = g if key not in arrived else arrived[key] + g
            own = slope is not None and tuple(slope.shape) == tuple(upstream.shape)
            inputs.append((names[parent], _array(slope) if own else None, _array(g)))
        steps.append(BackwardStep(names[node], op.name, _array(upstream), tuple(inputs), op.doc or ""))
    return Explanation(steps, leaves)


def _array(t: Tensor):
    return t.detach().numpy().copy()
