"""detect_anomaly(): stops at the first NaN or infinity. Imports the core."""

import numpy as np

from fastgrad._core.watch import Watcher, line_of
from fastgrad.viz._trace import module_names


class AnomalyError(RuntimeError):
    """An op made a NaN or an infinity from finite numbers; the message says which op, from what, and where.

    Attributes: op, its name; module, the path of its module or ""; line, (file, number) of the forward pass or None;
    backward, whether it happened in the backward pass.
    """

    def __init__(self, message, op, module, line, backward):
        super().__init__(message)
        self.op, self.module, self.line, self.backward = op, module, line, backward


class detect_anomaly:  # noqa: N801 - PyTorch's name
    """Inside this block the first op that makes a NaN or an infinity raises `AnomalyError`, forward or backward.

    The message names the op, the ranges of its inputs, its module and the line of the forward pass it belongs to. An op
    whose inputs held one already is not blamed, so masks of -inf are fine. Each op's result is read once more, which is
    cheap enough to leave on for an epoch (docs/troubleshooting.md says how cheap).

    Inside, other errors of the backward pass tell the line of the forward pass too, and that of a saved value that was
    overwritten names both lines.

    Example:
        >>> x = fg.tensor([1.0, 0.0], requires_grad=True)
        >>> try:
        ...     with detect_anomaly():
        ...         y = x.log()
        ... except AnomalyError as error:
        ...     print(str(error).partition("; called")[0])
        log made -inf at index (1,) of its result of shape (2,); its inputs: x0 (2,) from 0 to 1
    """

    def __init__(self, check_nan=True):
        self._check = check_nan

    def __enter__(self):
        self._watcher = Watcher(check=_blame) if self._check else None
        if self._watcher is not None:
            self._watcher.start()
        return self

    def __exit__(self, kind, error, traceback):
        if self._watcher is None:
            return
        self._watcher.stop()
        if self._watcher.failed is not None and not isinstance(error, AnomalyError | None):
            op, modules, where = self._watcher.failed
            where = "" if where is None else " called at {}:{}".format(*line_of(where))
            path = module_names()(modules) if modules else ""
            error.add_note(f"in the backward pass of {op.name}{where}" + (f", in module {path}" if path else ""))


_standing = []  # the detect_anomaly that set_detect_anomaly(True) has entered


class set_detect_anomaly:  # noqa: N801 - PyTorch's name
    """Switches `detect_anomaly` on or off for what follows in this thread, or for one with block.

    Args:
        mode: on or off.
        check_nan: as of `detect_anomaly`.

    Example:
        >>> _ = set_detect_anomaly(True)
        >>> try:
        ...     fg.tensor(0.0, requires_grad=True).log()
        ... except AnomalyError as error:
        ...     print(error.op)
        ... finally:
        ...     _ = set_detect_anomaly(False)
        log
    """

    def __init__(self, mode, check_nan=True):
        self._before = bool(_standing)
        self._switch(mode, check_nan)

    def _switch(self, mode, check_nan=True):
        while _standing:
            _standing.pop().__exit__(None, None, None)
        if mode:
            _standing.append(detect_anomaly(check_nan).__enter__())

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self._switch(self._before)


def _blame(op, outs, ins, backward, modules, line):
    """Raises unless an input held what the output holds."""
    values = [t.detach().numpy() for t in ins if t is not None and t.is_floating_point()]
    nan_before = any(np.isnan(x).any() for x in values)
    odd_before = nan_before or any(np.isinf(x).any() for x in values)
    for t in outs:
        if t is None or not t.is_floating_point():
            continue
        y = t.detach().numpy()
        nans = np.isnan(y)
        bad = nans if nans.any() and not nan_before else ~np.isfinite(y) if not odd_before else np.False_
        if bad.any():
            break
    else:
        return
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    count = int(bad.sum())
    path = module_names()(modules) if modules else ""
    where = line_of(line)
    text = f"{op.name} made {_odd(y[at])}" + (f" at index {at}" if at else "") + f" of its result of shape {y.shape}"
    text += f" ({count} elements are not finite)" if count > 1 else ""
    text += ", in the backward pass" if backward else ""
    text += "; its inputs: " + "; ".join(_range(k, t) for k, t in enumerate(ins) if t is not None)
    if path:
        text += f"; in module {path}"
    if where is not None:
        text += f"; {'the forward pass of it is' if backward else 'called'} at {where[0]}:{where[1]}"
    raise AnomalyError(text, op.name, path, where, backward)


def _odd(x):
    return "NaN" if np.isnan(x) else "inf" if x > 0 else "-inf"


def _range(k, t):
    x = t.detach().numpy()
    if not x.size:
        return f"x{k} {x.shape} is empty"
    if x.size == 1:
        return f"x{k} = {x.reshape(-1)[0]:.4g}"
    finite = x[np.isfinite(x)] if x.dtype.kind == "f" else x
    odd = "" if finite.size == x.size else ", not all finite"
    return (
        f"x{k} {x.shape} from {finite.min():.4g} to {finite.max():.4g}{odd}"
        if finite.size
        else f"x{k} {x.shape} not finite"
    )
