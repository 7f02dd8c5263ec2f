"""`compile`: records a function and replays it. Imports the core."""

import inspect
import sys
from functools import partial

from fastgrad._core import CompileError, compiled


@compiled.vectorcalled
class Compiled(compiled.Compiled):
    """What `compile` returns: call it as the function, or `run` it over a data set.

    `explain()` says what a call does, `programs` lists the programs, `records` and `replays` count calls, `why` says for
    each program why the last call was not a replay of it. Copied or pickled, it is the function that is: the copy records anew.
    """

    def __reduce__(self):
        where = sys.modules.get(self.__dict__.get("__module__"))
        name = self.__dict__.get("__qualname__", "")
        for part in name.split("."):
            where = getattr(where, part, None)
        if where is self:  # as a function is: by its name
            return name
        return type(self), (self.function, self.check, self.limit, self.fallback)

    def run(
        self,
        data=None,
        *,
        args=(),
        batch_size=None,
        epochs=1,
        shuffle=False,
        drop_last=False,
        generator=None,
        callback=None,
        every=None,
        progress=False,
    ):
        """Calls the function on every batch of `data`, epoch after epoch, as one native loop.

        The same as ``for batch in DataLoader(...): step(*batch)``, with the same results to the last bit, batches in
        the same order and the generator left in the same place. The calls that have to be recorded are made; after them
        batches are gathered and the program is replayed without Python. The GIL is released for 20 ms at a time, between
        which Ctrl-C is heard and other threads run.

        Args:
            data: Tensors with the same number of rows, as a tuple or list or a `TensorDataset`; one Tensor; a
                `DataLoader` of a `TensorDataset`, which then says batch_size, shuffle, drop_last and generator; None for
                a function without a batch, called once in each epoch.
            args: arguments of the function that come before the batch.
            batch_size: rows of a batch; all of them if None. What is left is a smaller batch, a program of its own.
            epochs: how many times the data is gone through.
            shuffle: whether each epoch draws a new order, ``randperm(rows, generator=generator)``.
            drop_last: whether the last batch is left out where it is smaller.
            generator: where orders are drawn from; the default generator if None.
            callback: called between steps with a `Progress`: (epoch, step, steps, results), the whole epochs and the
                steps done, the steps in all, and the results since the last call. A learning rate that it sets holds
                from the next step on; if it returns True, the run ends.
            every: the steps between two calls of the callback; it is called after each epoch if None.
            progress: whether to show on stderr how far it is: as a bar of tqdm where that is installed, else in lines.

        Returns: what the function returns, each Tensor in it with a new first dimension that has a row for each step.
            What is no Tensor is that of the last step.

        Raises: what the function raises, with a note that says in which step. A step that fails leaves parameters as
            the step before it did, where a call would (see "What a replay guarantees" in docs/compile.md).
            ShapeError where steps return different shapes.

        Example:
            >>> net = fg.nn.Linear(4, 1)
            >>> optimizer = fg.optim.SGD(net.parameters(), lr=0.1)
            >>> @fg.compile
            ... def step(x, y):
            ...     loss = fg.nn.functional.mse_loss(net(x), y)
            ...     optimizer.zero_grad()
            ...     loss.backward()
            ...     optimizer.step()
            ...     return loss
            >>> losses = step.run((fg.ones(100, 4), fg.zeros(100, 1)), batch_size=10, epochs=5, shuffle=True)
            >>> losses.shape
            fastgrad.Size([50])
        """
        from fastgrad import _loop

        source = _loop.source(data, batch_size, shuffle, drop_last, generator)
        return _loop.run(self, tuple(args), source, epochs, callback, every, progress)


def compile(function=None, *, check=0, limit=5, fallback=False):
    """A function that does what `function` does, recorded once and replayed as one native loop.

    The first calls run as they are and are recorded. When two records in a row are equal, their operations become a
    program, and later calls with arguments of the same shapes, dtypes and static values replay it: forward pass,
    `zero_grad`, `backward`, clipping, `optimizer.step`, whatever the function did to tensors. No Python of the function
    runs then. Results are the same to the last bit.

    Args:
        function: a function of tensors, of nested tuples, lists and dictionaries of them, and of other values, which
            are static: each new value is recorded anew. Without it, a decorator is returned.
        check: on every `check`-th call the function is run instead of its program, and compared with it; 0 for never.
        limit: how many records may differ before it is given up.
        fallback: whether a function that cannot be replayed runs as it is, with a warning, instead of raising.

    Returns: the compiled function. Its tensors are detached. `run()` calls it on the batches of a data set,
    `explain()` says what a call does, `programs` lists the programs, `why` says why the last call was not replayed.

    Raises: CompileError where the function does what cannot be replayed: reads a value (`item()`, printing, an `if` on
    a tensor), keeps a tensor that it does not return, uses a number that changes.

    Example:
        >>> net = fg.nn.Linear(3, 1)
        >>> optimizer = fg.optim.SGD(net.parameters(), lr=0.1)
        >>> @fg.compile
        ... def step(x, y):
        ...     loss = fg.nn.functional.mse_loss(net(x), y)
        ...     optimizer.zero_grad()
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss
        >>> for _ in range(5):
        ...     loss = step(fg.ones(4, 3), fg.zeros(4, 1))
        >>> step.records, step.replays
        (3, 2)
    """
    if function is None:
        return partial(compile, check=check, limit=limit, fallback=fallback)
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise CompileError(
            f"{function.__qualname__} is a generator or a coroutine, of which a call runs nothing yet; compile a function that "
            "returns its results"
        )
    return Compiled(function, check, limit, fallback)
