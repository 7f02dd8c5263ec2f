"""Runs of a compiled function over a data set: what lies between the stretches of native steps. Imports the core.

Python has a turn once for each stretch, not for each step: a stretch ends where a batch is smaller, where an order has
to be drawn, where the callback is due, and after 20 ms.
"""

from typing import NamedTuple

from fastgrad import _core
from fastgrad._core import Tensor
from fastgrad._core.loop import Loop, Rows

FOREVER = 1 << 62
AHEAD = 1 << 16  # rows of the orders that are drawn at once, for epochs that are short


class Progress(NamedTuple):
    """What a callback is told: whole epochs done, steps done, steps in all, and the results since the last call."""

    epoch: int
    step: int
    steps: int
    results: object


class Source:
    """Where batches come from: Tensors, and how the order of their rows is drawn for an epoch.

    tensors: with `rows` rows each. size: rows of a batch. whole: batches of that size. rest: rows of a smaller last
    batch, 0 for none. draw: gives the order of an epoch, a Tensor; None where it is that of the data. early: whether the
    orders of later epochs may be drawn early if nothing else is drawn in between.
    """

    def __init__(self, tensors, size, drop_last, draw=None, rows=None, early=True):
        self.tensors, self.draw, self.early = tensors, draw, early
        self.rows = rows if rows is not None else len(tensors[0]) if tensors else 1
        self.size = self.rows if size is None else size
        self.whole, self.rest = divmod(self.rows, self.size) if self.rows else (0, 0)
        if drop_last:
            self.rest = 0
        self.steps = self.whole + (self.rest > 0)
        if not self.steps:
            raise ValueError(
                f"run: no batch to run on: {self.rows} rows, batch_size {self.size}, drop_last {drop_last}"
            )

    def orders(self, epochs):
        """The orders of that many epochs, one after another: a Tensor, or None."""
        if self.draw is None:
            return None
        used = self.used()
        drawn = [self.draw() for _ in range(epochs)]
        if any(len(order) != self.rows for order in drawn):
            raise ValueError(f"run: the sampler gives {len(drawn[0])} rows, and said {self.rows}")
        return _core.functions["cat"]([order.narrow(0, 0, used) for order in drawn]) if epochs > 1 else drawn[0]

    def used(self):
        """Rows of an epoch."""
        return self.whole * self.size + self.rest


def source(data, batch_size, shuffle, drop_last, generator):
    """The Source of what `run` is given."""
    from .utils.data import DataLoader, TensorDataset

    if isinstance(data, DataLoader):
        if batch_size is not None or shuffle or drop_last or generator is not None:
            raise TypeError("run: the DataLoader says batch_size, shuffle, drop_last and generator; pass them to it")
        return _of_loader(data, TensorDataset)
    tensors = data.tensors if isinstance(data, TensorDataset) else data
    tensors = [] if data is None else [tensors] if isinstance(tensors, Tensor) else tensors
    if not isinstance(tensors, tuple | list) or not all(type(tensor) is Tensor for tensor in tensors):
        found = type(data).__name__ if not isinstance(data, tuple | list) else [type(part).__name__ for part in data]
        raise TypeError(
            f"run: expected Tensors in memory (a tuple of them, a TensorDataset, a DataLoader of one), got {found}; "
            "turn arrays into Tensors with fastgrad.from_numpy"
        )
    if not all(tensor.ndim for tensor in tensors) or len({len(tensor) for tensor in tensors}) > 1:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise ValueError(f"run: expected Tensors with the same number of rows, got shapes {shapes}")
    if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
        raise ValueError(f"run: batch_size should be a positive integer, got {batch_size!r}")
    made = Source(list(tensors), batch_size, drop_last)
    if shuffle:
        made.draw = lambda: _core.functions["randperm"](made.rows, generator=generator)
    return made


def _of_loader(loader, plain):
    if type(loader.dataset) is not plain or loader.collate_fn or loader.batch_sampler or loader.batch_size is None:
        raise TypeError(
            "run: of DataLoaders, only those that read a TensorDataset in batches of one size, without a collate_fn, "
            "can be run natively; call the compiled function in a loop over this one"
        )
    rows = len(loader.dataset if loader.sampler is None else loader.sampler)
    draw = loader._order if loader.shuffle or loader.sampler is not None else None
    tensors = list(loader.dataset.tensors)
    return Source(tensors, loader.batch_size, loader.drop_last, draw, rows, early=loader.sampler is None)


def run(step, args, source, epochs, callback, every, progress):
    """What `Compiled.run` does; args: the arguments before the batch."""
    _core.forbid_recorded("run() of a compiled function")
    for name, value in (("epochs", epochs), ("every", 1 if every is None else every)):
        if type(value) is not int or value < 1:
            raise ValueError(f"run: {name} should be a positive integer, got {value!r}")
    if callback is None and every is not None:
        raise ValueError("run: `every` says how often the callback is called, and there is none")
    steps, period = source.steps, every or source.steps
    total, told, drawn, order = epochs * steps, 0, 0, None  # steps; told to the callback; whose order is drawn
    rows, display = Rows(total), _display(progress, total)
    batches = Loop(source.tensors, source.size), source.rest and Loop(source.tensors, source.rest)
    try:
        while rows.count < total:
            done = rows.count
            due = total if callback is None else min(total, told + period)
            epoch, at = divmod(done, steps)
            if done >= drawn and source.draw is not None:
                ahead = _epochs_ahead(source, batches[0], (due - done) // steps)
                order, begun, drawn = source.orders(ahead), epoch, (epoch + ahead) * steps
            end = min(due, drawn or total)
            if source.rest:
                end = min(end, epoch * steps + source.whole if at < source.whole else done + 1)
            loop, first = batches[at >= source.whole], at * source.size
            if order is not None:
                first, cycle = first + (epoch - begun) * source.used(), FOREVER
            else:
                cycle = source.whole if at < source.whole else 1
            if not step.steps(args, loop, rows, order, first, cycle, end - done):
                rows.add(step(*args, *loop.batch(order, first)))
            if display is not None:
                display(rows)
            if callback is not None and rows.count == told + period:
                now = Progress(rows.count // steps, rows.count, total, rows.part(told))
                told = rows.count
                if callback(now) is True:
                    break
    except Exception as error:
        error.add_note(f"in step {rows.count} of run (epoch {rows.count // steps}, batch {rows.count % steps})")
        raise
    finally:
        if display is not None:
            display.close()
    return rows.all()


def _epochs_ahead(source, loop, most):
    """How many orders may be drawn at once: more than one only where nothing else can draw or look in between."""
    if not source.early or source.rest or not loop.ahead:
        return 1
    return max(1, min(most, AHEAD // source.used()))


def _display(progress, total):
    if not progress:
        return None
    from fastgrad import _progress

    return _progress.display(total)
