"""`parallel_map`: independent calls, trainings say, over threads. Imports the core."""

import itertools
import os
import threading

from . import _core
from ._core.random import use_generator
from ._core.workers import Gate, Stopped


def parallel_map(function, *iterables, threads=None):
    """``list(map(function, *iterables))``, the calls made by several threads.

    For ensembles and sweeps: `function` builds a network, trains it and returns what is wanted of it, and its arguments
    are seeds, learning rates, ... Results are the same to the last bit as those of separate calls, whatever the number
    of threads, since in each call

    - the default generator is its own: ``manual_seed(seed)`` in one call is not heard in another. Where `function` does
      not seed it, it is seeded with a number that the caller's default generator draws, once, and the number of the call;
    - a compiled function that is made in it is its own. One that calls share runs in one of them at a time.

    Threads gain where they run without the GIL: in `run` of compiled functions and in operations on some tens of
    thousands of elements. Everything else takes turns. Products so large that BLAS runs them on several threads gain
    most with ``set_num_threads(1)``.

    Args:
        function: what is called; with as many arguments as there are iterables.
        *iterables: its arguments, all of the same length.
        threads: how many calls run at a time; as many as there are processors for this process if None.

    Returns: the list of what the calls return, in their order.

    Raises: what the first call that fails raises, with a note that says which; the others are stopped, and nothing runs on
        when it is raised. KeyboardInterrupt likewise. ValueError where the iterables differ in length.

    Example:
        >>> def train(seed, lr):
        ...     fg.manual_seed(seed)
        ...     net = fg.nn.Linear(2, 1)
        ...     optimizer = fg.optim.SGD(net.parameters(), lr=lr)
        ...     @fg.compile
        ...     def step(x):
        ...         loss = net(x).square().mean()
        ...         optimizer.zero_grad()
        ...         loss.backward()
        ...         optimizer.step()
        ...         return loss
        ...     return step.run(fg.ones(8, 2), epochs=20)[-1].item()
        >>> together = fg.parallel_map(train, [0, 1, 2], [0.1, 0.1, 0.2])
        >>> together == [train(0, 0.1), train(1, 0.1), train(2, 0.2)]
        True
    """
    if not callable(function):
        raise TypeError(f"parallel_map: expected a function, got {type(function).__name__}")
    if not iterables:
        raise TypeError("parallel_map: expected at least one iterable of arguments")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise ValueError(f"parallel_map: threads should be a positive integer, got {threads!r}")
    try:
        calls = list(zip(*iterables, strict=True))  # ends with the shortest: one of them may have no end
    except ValueError as error:
        lengths = ", ".join(str(len(each)) if hasattr(each, "__len__") else "unknown" for each in iterables)
        raise ValueError(f"parallel_map: iterables differ in length: {lengths}") from error
    seed = _core.functions["randint"](2**62, (1,)).item()
    return _Workers(function, calls, seed).run(min(threads or _processors(), len(calls)))


def _processors():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker(threading.Thread):
    """A thread that says itself when it has ended: a join() that is interrupted may take one that runs for ended."""

    def __init__(self, work, number):
        super().__init__(name=f"parallel_map {number}", daemon=True)
        self.work, self.gate, self.ended = work, Gate(), threading.Event()

    def run(self):
        try:
            self.gate.run(self.work)
        finally:
            use_generator(None)
            self.ended.set()


class _Workers:
    """The threads of one map. A worker takes the next call until there is none, one fails or all are told to stop."""

    def __init__(self, function, calls, seed):
        self.function, self.calls, self.seed = function, calls, seed
        self.numbers = itertools.count()  # its next() is one step for all threads
        self.results, self.errors = [None] * len(calls), {}
        self.stopped = False
        self.grad = _core.is_grad_enabled()

    def run(self, threads):
        workers = [_Worker(self.work, k) for k in range(threads)]
        try:
            for worker in workers:
                worker.start()
            self.wait(workers)
        except BaseException:
            self.stopped = True
            self.wait(workers)
            raise
        if self.errors:
            raise self.errors[min(self.errors)]
        return self.results

    def wait(self, workers):
        """Until all have ended. Those that are to stop and do not by themselves are made to."""
        for worker in workers:
            # One that has no number yet will find that it is to stop. A signal need not wake a thread that waits for ever.
            while worker.ident is not None and not worker.ended.wait(0.05):
                if self.stopped:
                    for each in workers:
                        each.gate.stop()

    def work(self):
        _core.set_grad_enabled(self.grad)
        while not self.stopped and (number := next(self.numbers)) < len(self.calls):
            self.call(number)

    def call(self, number):
        use_generator(_core.Generator().manual_seed(self.seed + number))
        try:
            self.results[number] = self.function(*self.calls[number])
        except Stopped:
            raise
        except BaseException as error:
            error.add_note(f"in call {number} of parallel_map")
            self.errors[number] = error
            self.stopped = True
