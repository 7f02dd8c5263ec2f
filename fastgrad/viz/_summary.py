"""A table of a model's modules: shapes, parameters, operations, memory for backward. Imports the core."""

from fastgrad._core import Tensor
from fastgrad._core._costs import flops_of
from fastgrad._core.watch import Watcher
from fastgrad.viz._draw import html_table, table


class Summary:
    """What `summary` found: `rows` of dictionaries, one for each call of a module, and totals."""

    def __init__(self, rows, parameters, trainable, flops, activation_bytes):
        self.rows, self.parameters, self.trainable = rows, parameters, trainable
        self.flops, self.activation_bytes = flops, activation_bytes

    def _cells(self):
        cells = [["module", "type", "output", "parameters", "FLOP", "saved for backward"]]
        for row in self.rows:
            name = "  " * row["depth"] + (row["name"] or "(whole)")
            output = "×".join(map(str, row["output"])) if row["output"] is not None else ""  # noqa: RUF001
            numbers = [
                f"{row['parameters']:,}" if row["parameters"] else "",
                _count(row["flops"]),
                _bytes(row["saved"]),
            ]
            cells.append([name, row["type"], output, *numbers])
        return cells

    def _totals(self):
        return (
            f"parameters {self.parameters:,} ({self.trainable:,} trainable), {_count(self.flops) or '0'} FLOP forward, "
            f"{_bytes(self.activation_bytes) or '0 B'} saved for backward"
        )

    def __str__(self):
        return table(self._cells(), right=(3, 4, 5)) + "\n" + self._totals()

    def __repr__(self):
        return f"<summary: {self._totals()}>"

    def _repr_html_(self):
        return html_table(self._cells()) + f"<p>{self._totals()}</p>"


def _count(n):
    if not n:
        return ""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} "


def _bytes(n):
    if not n:
        return ""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} B"


def summary(model, *inputs):
    """What each module of a model gives, holds and costs, from one forward pass.

    Args:
        model: a Module.
        inputs: its arguments. A shape is none, since a layer may want indices or several tensors: TypeError.

    Returns: a `Summary`: for each call of a module its output's shape, its parameters, the floating-point operations of its
    forward pass (its submodules' included; of a linear layer 2 N D M), and the bytes that the tape saves for backward,
    parameters and inputs of the model not counted since they exist anyway.

    Example:
        >>> net = fg.nn.Sequential(fg.nn.Linear(64, 64), fg.nn.ReLU(), fg.nn.Linear(64, 10))
        >>> print(summary(net, fg.zeros(32, 64)))
        module   type        output  parameters    FLOP  saved for backward
        (whole)  Sequential  32×10        4,810   305 k               8 KiB
          0      Linear      32×64        4,160   262 k
          1      ReLU        32×64               2.05 k               8 KiB
          2      Linear      32×10          650    41 k
        parameters 4,810 (4,810 trainable), 305 k FLOP forward, 8 KiB saved for backward
    """  # noqa: RUF002
    if not hasattr(model, "named_modules"):
        raise TypeError(
            f"summary: expected a Module, got {type(model).__name__}; viz.graph() shows what a function does"
        )
    for k, x in enumerate(inputs):
        if isinstance(x, tuple) and x and all(isinstance(n, int) for n in x):
            raise TypeError(f"summary: input {k} is a shape, {tuple(x)}; pass a tensor: fastgrad.zeros{tuple(x)}")
    outputs = {}
    handles = [
        module.register_forward_hook(lambda m, _, y: outputs.setdefault(m, []).append(_shape(y)))
        for module in model.modules()
    ]
    watcher = Watcher(lines=False)
    try:
        watcher.start()
        try:
            model(*inputs)
        finally:
            watcher.stop()
    finally:
        for handle in handles:
            handle.remove()
    names = {module: name for name, module in model.named_modules()}
    own, seen = {}, set()
    for module in model.modules():
        fresh = [p for p in module.parameters(recurse=False) if p not in seen]
        seen.update(fresh)
        own[module] = fresh
    events = watcher.events()
    rows, at, flops, saved = {}, {}, {}, {}
    for k, (kind, parent, what, _, _, outs, ins, attrs, _, _) in enumerate(events):
        at[k] = at.get(parent, ())
        if kind == "module":
            at[k] = (*at[k], k)
            rows[k] = what
        elif kind == "op" and (outs or ins):
            n = flops_of(what, attrs, [_dims(x) for x in ins], [_dims(y) for y in outs])
            for m in at[k]:
                flops[m] = flops.get(m, 0) + n
    held = set()
    for event, address, nbytes, _, leaf in watcher.saves():
        if not leaf and address not in held:
            held.add(address)
            for m in at.get(event, ()):
                saved[m] = saved.get(m, 0) + nbytes
    table_rows = []
    for k, module in rows.items():
        below = [p for m in module.modules() for p in own.get(m, ())]
        shapes = outputs.get(module)
        table_rows.append(
            {
                "name": names.get(module, ""),
                "type": type(module).__name__,
                "depth": len(at[k]) - 1,
                "output": shapes.pop(0) if shapes else None,
                "parameters": sum(p.numel() for p in below),
                "flops": flops.get(k, 0),
                "saved": saved.get(k, 0),
            }
        )
    root = next(iter(rows), None)
    return Summary(
        table_rows,
        sum(p.numel() for p in model.parameters()),
        sum(p.numel() for p in model.parameters() if p.requires_grad),
        flops.get(root, 0),
        saved.get(root, 0),
    )


def _dims(layout):
    return None if layout is None else tuple(layout.shape)


def _shape(y):
    return tuple(y.shape) if isinstance(y, Tensor) else None
