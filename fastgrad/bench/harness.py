"""How everything here is timed: in one run, contenders interleaved, medians with their spread.

Ratios between contenders of one run carry over to other machines; absolute times do not. Rounds are interleaved, so
that a change of the clock or a busy neighbour meets every contender. Imports results.
"""

import gc
import statistics
import time
from collections.abc import Callable

from .results import Measure

# With one thread and nothing to wait for, the processor's time is the time that passes less what other programs take on
# a busy machine. With more threads it would add them up: `use_threads` then chooses the time that passes.
_clock = time.process_time_ns


def use_threads(threads):
    """Chooses the clock for that many threads."""
    global _clock
    _clock = time.process_time_ns if threads == 1 else time.perf_counter_ns


def now():
    """Nanoseconds on the clock in use."""
    return _clock()


def summarise(samples, unit="ns"):
    """The median and the quartiles of a list of numbers."""
    if len(samples) == 1:
        return Measure.single(samples[0], unit)
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Measure(statistics.median(samples), low, high, unit)


def interleave(contenders: dict[str, Callable[[int], object]], rounds=9, seconds=0.02):
    """Times `contenders`, functions that do their work n times; returns a Measure of one unit of work for each.

    One sample lasts about `seconds`; every round takes one of each contender. The garbage collector stays as users have
    it, on, but is kept from what was made before, and each sample starts with nothing to collect: no contender pays for
    another's modules or garbage.
    """
    gc.collect()
    gc.freeze()
    try:
        repeat = {name: _calibrate(run, seconds) for name, run in contenders.items()}
        samples = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, run in contenders.items():
                gc.collect()
                samples[name].append(_once(run, repeat[name]) / repeat[name])
    finally:
        gc.unfreeze()
    return {name: summarise(found) for name, found in samples.items()}


def repeated(step):
    """A function that calls `step` n times: what `interleave` takes."""

    def run(n):
        for _ in range(n):
            step()

    return run


def _once(run, n):
    start = _clock()
    run(n)
    return _clock() - start


def _calibrate(run, seconds):
    """How many units of work last about `seconds`. The first call, which may set things up, is not counted."""
    run(1)
    n = 1
    while True:
        took = _once(run, n)
        if took > 1e9 * seconds / 4:
            return max(1, round(n * 1e9 * seconds / took))
        n *= 4
