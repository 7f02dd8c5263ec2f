"""A whole model's gradient checked by moving all parameters at once. Imports the core."""

from typing import NamedTuple

from fastgrad import _core
from fastgrad._core import Tensor, grad
from fastgrad.autograd.gradcheck import GradcheckError


class StepReport(NamedTuple):
    """What `verify_step` found: the loss, and how much it changes when all parameters move.

    predicted: by the gradient. actual: loss(p + step) - loss(p). central: (loss(p + step) - loss(p - step)) / 2, which has no
    term of second order and is what predicted is compared with.
    """

    loss: float
    predicted: float
    actual: float
    central: float


def verify_step(model, loss, eps=1e-3, *, direction="ones", rtol=1e-3, atol=None):
    """Moves all parameters at once and compares how the loss changes with what its gradient predicts.

    One step costs three evaluations of the loss, whatever the number of parameters; `gradcheck` costs two for each of them.
    Only where the numbers disagree are single parameters moved, to say which derivative is wrong.

    Args:
        model: a Module, or a sequence of leaves that require grad.
        loss: function of nothing that returns the loss as a Tensor of one element. Random numbers are the same in each call.
        eps: how far. For float32 parameters not less than 1e-3.
        direction: "ones", every parameter moves by eps; or "gradient", by -eps times its derivative, one step of SGD.
        rtol, atol: |predicted - central| <= atol + rtol |central| must hold; atol is by default what rounding does to the loss.

    Returns: a `StepReport`. Parameters and their ``.grad`` are as before.

    Raises GradcheckError where the derivative is wrong: it names the parameter, the operation that reads it first, the index, and
    both numbers.

    Example:
        >>> import fastgrad as fg
        >>> w = fg.tensor([2.0, -1.0], dtype=fg.float64, requires_grad=True)
        >>> report = fg.autograd.verify_step([w], lambda: (w * w).sum())
        >>> f"{report.predicted:.4f} {report.actual:.6f}"
        '0.0020 0.002002'
    """
    if direction not in ("ones", "gradient"):
        raise ValueError(f"verify_step: direction must be 'ones' or 'gradient', got {direction!r}")
    parameters = _parameters(model)
    random = _core.get_rng_state()

    def evaluate():
        _core.set_rng_state(random)
        value = loss()
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise ValueError("verify_step: the loss must be a Tensor of one element")
        return value

    value = evaluate()
    leaves = [p for _, p in parameters]
    found = grad(value, leaves, allow_unused=True, retain_graph=True)
    gradients = [_core.zeros_like(p) if g is None else g for p, g in zip(leaves, found, strict=True)]
    steps = [
        _core.full_like(p, eps) if direction == "ones" else g * -eps for p, g in zip(leaves, gradients, strict=True)
    ]
    predicted = sum((g.double() * s.double()).sum().item() for g, s in zip(gradients, steps, strict=True))
    above, below = _moved(leaves, steps, evaluate)
    report = StepReport(value.item(), predicted, above - value.item(), (above - below) / 2)
    if atol is None:
        atol = 16 * _precision(value) * max(abs(value.item()), abs(above), abs(below))
    if abs(predicted - report.central) > atol + rtol * abs(report.central):
        _blame(value, parameters, gradients, evaluate, eps, atol, rtol, report)
    return report


def _parameters(model):
    """[(name, leaf)] of those that require grad."""
    named = (
        model.named_parameters()
        if hasattr(model, "named_parameters")
        else [(f"parameter {k}", p) for k, p in enumerate(model)]
    )
    named = [(name, p) for name, p in named if p.requires_grad]
    if not named:
        raise ValueError("verify_step: no parameter requires grad")
    return named


def _precision(value):
    return 2.0**-52 if value.dtype is _core.float64 else 2.0**-23


def _moved(leaves, steps, evaluate):
    """The loss with all leaves a step ahead, and a step behind; the leaves are put back to the last bit."""
    with _core.no_grad():
        before = [p.detach().clone() for p in leaves]
        values = []
        try:
            for sign in (1.0, -1.0):
                for p, start, step in zip(leaves, before, steps, strict=True):
                    p.copy_(start + step * sign)
                values.append(evaluate().item())
        finally:
            for p, start in zip(leaves, before, strict=True):
                p.copy_(start)
    return values


def _blame(value, parameters, gradients, evaluate, eps, atol, rtol, report):
    """Raises with the element whose derivative is the furthest from its difference."""
    worst = None
    for (name, p), g in zip(parameters, gradients, strict=True):
        for k in range(p.numel()):
            step = _core.zeros_like(p)
            step.view(-1)[k] = eps
            above, below = _moved([p], [step], evaluate)
            numerical, analytical = (above - below) / (2 * eps), g.reshape(-1)[k].item()
            excess = abs(analytical - numerical) - (atol / eps + rtol * abs(numerical))
            if worst is None or not excess <= worst[0]:
                worst = excess, name, p, k, analytical, numerical
    _, name, p, k, analytical, numerical = worst
    index = []
    for size in reversed(tuple(p.shape)):
        index.insert(0, k % size)
        k //= size
    at = f"{name}{index if index else ''}"
    raise GradcheckError(
        f"verify_step: moved along all parameters, the loss changes by {report.central:.8g}, but its gradient predicts "
        f"{report.predicted:.8g}; the furthest apart is {at}, read first by {_reader(value, p)}: its derivative is "
        f"{analytical:.8g}, but finite differences say {numerical:.8g}"
    )


def _reader(value, leaf):
    """The name of the recorded operation nearest to the leaf."""
    with _core.enable_grad():
        mine = leaf.view_as(leaf).grad_fn.next_functions[0][0]
    seen, stack = set(), [value.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        parents = [parent for parent, _ in node.next_functions]
        if any(parent is mine for parent in parents):
            return node.name()
        stack.extend(parents)
    return "no operation"
