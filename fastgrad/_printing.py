"""How tensors print: PyTorch's format. Imports the core.

One width and one notation for all elements that are shown, chosen from the finite ones; more than `threshold` elements are
shown by `edgeitems` at each end of every dimension.
"""

import math

import numpy as np

from fastgrad import _core
from fastgrad._core.tensor import install

_PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_options = _PROFILES["default"] | {"sci_mode": None}


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """Sets how tensors print; what is None stays as it is, except sci_mode.

    Args:
        precision: digits after the point, 4 at first.
        threshold: the number of elements above which a tensor is summarised, 1000 at first.
        edgeitems: elements shown at each end of a summarised dimension, 3 at first.
        linewidth: characters in a line, 80 at first.
        profile: "default", "short" or "full": all of the above at once.
        sci_mode: True or False to always or never use scientific notation, None to decide for each tensor.
    """
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"set_printoptions: profile {profile!r} is none of {', '.join(_PROFILES)}")
        _options.update(_PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update({name: value for name, value in given.items() if value is not None})
    _options["sci_mode"] = sci_mode


def _edges(values):
    """The elements of a summarised array that are shown."""
    n = _options["edgeitems"]
    for axis, size in enumerate(values.shape):
        if size > 2 * n:
            values = np.take(values, [*range(n), *range(size - n, size)], axis)
    return values


class _Format:
    """Turns elements into strings of one width."""

    def __init__(self, values):
        values = values.ravel()
        self.real = values.dtype.kind == "f"
        self.whole, self.scientific, self.width = True, False, 1
        if self.real:
            finite = values[np.isfinite(values) & (values != 0)].astype(np.float64)
            if not finite.size:
                return
            low, high = np.abs(finite).min(), np.abs(finite).max()
            self.whole = bool((finite == np.ceil(finite)).all())
            self.scientific = _options["sci_mode"]
            if self.scientific is None:
                self.scientific = bool(high / low > 1000 or high > 1e8 or low < 1e-4)
            values = finite
        self.width = max((len(self._text(v)) for v in values.tolist()), default=1)

    def _text(self, value):
        if not self.real:
            return str(value)
        if self.scientific:
            return f"{value:.{_options['precision']}e}"
        if self.whole:
            return f"{value:.0f}" + ("." if math.isfinite(value) else "")
        return f"{value:.{_options['precision']}f}"

    def __call__(self, value):
        return self._text(value).rjust(self.width)


def _row(values, indent, summarise, form):
    n = _options["edgeitems"]
    if summarise and len(values) > 2 * n:
        items = (
            [form(v) for v in values[:n].tolist()] + [" ..."] + [form(v) for v in values[len(values) - n :].tolist()]
        )
    else:
        items = [form(v) for v in values.tolist()]
    per_line = max(1, (_options["linewidth"] - indent) // (form.width + 2))
    lines = [", ".join(items[k : k + per_line]) for k in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(values, indent, summarise, form):
    if values.ndim == 0:
        return form(values.item())
    if values.ndim == 1:
        return _row(values, indent, summarise, form)
    n = _options["edgeitems"]
    if summarise and len(values) > 2 * n:
        parts = [_nested(v, indent + 1, summarise, form) for v in values[:n]]
        parts.append("...")
        parts += [_nested(v, indent + 1, summarise, form) for v in values[len(values) - n :]]
    else:
        parts = [_nested(v, indent + 1, summarise, form) for v in values]
    return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _suffixes(tensor, dtypes_left_out):
    if tensor.numel() == 0 and tensor.dim() != 1:
        yield f"size={tuple(tensor.shape)}"
    if tensor.dtype not in dtypes_left_out:
        yield f"dtype={tensor.dtype}"
    if tensor.grad_fn is not None:
        yield f"grad_fn=<{tensor.grad_fn.name()}>"
    elif tensor.requires_grad:
        yield "requires_grad=True"


def tensor_text(tensor):
    """What ``repr(tensor)`` is."""
    prefix = "tensor("
    default = _core.get_default_dtype()
    if tensor.numel() == 0:
        text, dtypes = prefix + "[]", (default,)
    else:
        values = tensor.detach().numpy()
        summarise = values.size > _options["threshold"]
        form = _Format(_edges(values) if summarise else values)
        text, dtypes = prefix + _nested(values, len(prefix), summarise, form), (default, _core.int64, _core.bool)
    line = len(text) - text.rfind("\n") + 1
    for suffix in _suffixes(tensor, dtypes):
        if line + len(suffix) + 2 > _options["linewidth"]:
            text += ",\n" + " " * len(prefix) + suffix
            line = len(prefix) + len(suffix)
        else:
            text += ", " + suffix
            line += len(suffix) + 2
    head = "Parameter containing:\n" if isinstance(tensor, _core.Parameter) else ""
    return head + text + ")"


def _repr_html_(self):
    """What a notebook shows: the tensor as it prints, and the graph behind it to unfold."""
    from fastgrad.viz._notebook import tensor_html

    return tensor_html(self)


_core.set_printer(tensor_text)
install("_repr_html_", _repr_html_)
