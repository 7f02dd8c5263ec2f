"""`compile`: records a function and replays it. Imports the core."""

from functools import partial

from fastgrad._core.compiled import Compiled


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

    Returns: the compiled function. Its tensors are detached. `explain()` says what a call does, `programs` lists the
    programs, `why` says why the last call was not replayed.

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
    return Compiled(function, check, limit, fallback)
