"""`parallel_map`: the same as separate calls, to the last bit, whatever the number of threads; how it ends."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import fastgrad as fg
from fastgrad import nn, optim

from .compiling import bits, inputs, labels
from .control_c import control_c_after

F = nn.functional
X, Y = inputs(0, 64, 8), labels(0, 64, 3)


def train(seed, lr=0.01, epochs=10):
    fg.manual_seed(seed)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
    opt = optim.AdamW(net.parameters(), lr=lr)

    @fg.compile
    def step(x, y):
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    losses = step.run((X, Y), batch_size=8, epochs=epochs, shuffle=True)
    return losses, list(net.parameters()), step


def no_more_than(count):
    """Whether the threads that have ended are gone, in a moment at most."""
    for _ in range(1000):
        if threading.active_count() <= count:
            return True
        time.sleep(0.001)
    return False


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_trainings_are_those_of_separate_runs_to_the_last_bit(threads):
    seeds, rates = [3, 1, 4, 1, 5], [0.01, 0.02, 0.03, 0.02, 0.1]
    alone = [train(*each)[:2] for each in zip(seeds, rates, strict=True)]
    together = fg.parallel_map(train, seeds, rates, threads=threads)
    assert bits(alone) == bits([each[:2] for each in together])


def test_the_default_generator_of_the_caller_is_drawn_from_once():
    fg.manual_seed(0)
    fg.randint(2**62, (1,))
    after = bits(fg.get_rng_state())
    fg.manual_seed(0)
    fg.parallel_map(lambda k: fg.manual_seed(k), range(4), threads=2)
    assert bits(fg.get_rng_state()) == after


def test_calls_that_do_not_seed_draw_the_same_on_any_number_of_threads():
    def draws(threads):
        fg.manual_seed(7)
        return fg.parallel_map(lambda k: (time.sleep(0.001), bits(fg.rand(3)))[1], range(6), threads=threads)

    assert draws(1) == draws(2) == draws(6)
    assert len({str(each) for each in draws(2)}) == 6


def test_a_program_made_in_a_call_draws_from_the_default_generator_outside_of_it():
    def make(_):
        dropped = fg.compile(lambda x: F.dropout(x, 0.5))
        for _ in range(5):
            dropped(X)
        return dropped

    (dropped,) = fg.parallel_map(make, [0])
    fg.manual_seed(3)
    found = [bits(dropped(X)) for _ in range(5)]
    fg.manual_seed(3)
    assert found == [bits(F.dropout(X, 0.5)) for _ in range(5)]
    assert dropped.replays >= 5


def test_a_compiled_function_that_calls_share():
    shared = fg.compile(lambda x: (x @ x.mT).softmax(1) @ x)
    xs = [inputs(k, 32, 16) for k in range(12)]
    expected = [bits((x @ x.mT).softmax(1) @ x) for x in xs]
    assert fg.parallel_map(lambda x: bits([shared(x) for _ in range(20)][-1]), xs, threads=3) == expected


def test_grad_mode_is_that_of_the_caller():
    with fg.no_grad():
        assert fg.parallel_map(lambda _: fg.is_grad_enabled(), [0, 1]) == [False, False]
    assert fg.parallel_map(lambda _: fg.is_grad_enabled(), [0, 1]) == [True, True]


def test_an_exception_comes_with_the_number_of_the_call_and_the_others_are_stopped():
    ends = []

    def call(k):
        try:
            if k == 2:
                raise KeyError("two")
            while True:
                train(k, epochs=1000)
        finally:
            ends.append(k)

    before = threading.active_count()
    with pytest.raises(KeyError, match="two") as caught:
        fg.parallel_map(call, range(8), threads=3)
    assert caught.value.__notes__ == ["in call 2 of parallel_map"]
    assert sorted(ends) == [0, 1, 2]
    assert no_more_than(before)


def test_control_c_stops_all_calls():
    ends = []

    def call(k):
        try:
            train(k, epochs=10**7)
        finally:
            ends.append(k)

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), control_c_after(0.3):
        fg.parallel_map(call, range(4), threads=2)
    assert sorted(ends) == [0, 1]
    assert no_more_than(before)


def test_a_call_that_swallows_the_stop_is_stopped_again():
    swallowed = []

    def call(k):
        if k == 1:
            raise ValueError("one")
        while len(swallowed) < 2:
            try:
                while True:
                    time.sleep(0.001)
            except BaseException as error:
                swallowed.append(error)
        while True:
            train(k, epochs=10)

    before = threading.active_count()
    with pytest.raises(ValueError, match="one"):
        fg.parallel_map(call, range(2), threads=2)
    assert len(swallowed) == 2
    assert no_more_than(before)


def test_stopping_at_any_moment_leaves_no_thread_behind():
    def call(k):
        if k == 5:
            raise ValueError("five")
        return sum(range(100 * k))

    before = threading.active_count()
    for _ in range(300):
        with pytest.raises(ValueError, match="five"):
            fg.parallel_map(call, range(12), threads=4)
    assert no_more_than(before)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="differ in length: 2, 1"):
        fg.parallel_map(train, [0, 1], [0.1])
    with pytest.raises(ValueError, match="differ in length: 2, unknown"):
        fg.parallel_map(train, [0, 1], itertools.repeat(0.1))
    with pytest.raises(ValueError, match="threads"):
        fg.parallel_map(train, [0], threads=0)
    with pytest.raises(TypeError, match="iterable"):
        fg.parallel_map(train)
    with pytest.raises(TypeError, match="function"):
        fg.parallel_map(3, [0])
    assert fg.parallel_map(train, []) == []


# ---- fork ------------------------------------------------------------------------------------------------------------

FORKED = """
import os, threading, time
import fastgrad as fg

total = fg.zeros((), dtype=fg.float64)

@fg.compile
def count():
    total.add_(1.0)
    return total

count.run(epochs=5)
thread = threading.Thread(target=count.run, kwargs={"epochs": 10**8, "callback": lambda now: ended.is_set(), "every": 10**6})
ended = threading.Event()
thread.start()
time.sleep(0.05)
refused = ran = 0
for _ in range(40):
    child = os.fork()
    if child == 0:
        try:
            count()
            os._exit(0)
        except RuntimeError as error:
            os._exit(7 if "forked" in str(error) else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    refused += status == 7
    ran += status == 0
ended.set()
thread.join()
assert refused + ran == 40 and refused, (refused, ran)
child = os.fork()
if child == 0:                                              # no program was running: everything works
    assert fg.parallel_map(lambda k: count.run(epochs=10)[-1].item(), [0, 1], threads=2)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_is_refused_the_program_that_was_running_when_it_was_forked():
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", FORKED], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "done\n", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT from another process")
def test_control_c_from_outside_ends_a_process_in_a_run():
    code = (
        "import signal, fastgrad as fg\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "f = fg.compile(lambda: fg.ones(3) * 2)\nprint('go', flush=True)\nf.run(epochs=10**9)"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "go\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=10)
    assert "KeyboardInterrupt" in error
    assert process.returncode != 0
