"""Compiled functions among other things: exceptions and Ctrl-C while they record, threads, transforms, copies, pickles."""

import copy
import gc
import pickle
import signal
import threading

import pytest

import fastgrad as fg
from fastgrad import nn

from .compiling import Net, bits, compiled, inputs, labels, refused


@fg.compile
def doubled(x):
    """Twice x."""
    return x * 2


class Holding(nn.Module):
    """Keeps its compiled method, as a net that compiles itself does."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2).requires_grad_(False)
        self.fast = fg.compile(self.slow, check=7)

    def slow(self, x):
        return self.inner(x)


def test_a_compiled_function_is_pickled_by_its_name_and_copied_as_a_function_is():
    assert pickle.loads(pickle.dumps(doubled)) is doubled
    assert copy.deepcopy(doubled) is doubled
    assert copy.copy(doubled) is doubled
    assert doubled.__name__ == "doubled"
    assert doubled.__doc__ == "Twice x."
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(fg.compile(lambda x: x))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_net_that_holds_its_compiled_method_is_copied_with_it(copied):
    net = Holding()
    for i in range(5):
        net.fast(inputs(i))
    other = copied(net)
    other.inner.weight.mul_(2.0)
    for i in range(10):
        assert bits(other.fast(inputs(i))) == bits(other.slow(inputs(i)))
        assert bits(net.fast(inputs(i))) == bits(net.slow(inputs(i)))
    assert other.fast.replays >= 7
    assert other.fast.check == 7


def raises_once(what):
    def f(net, x, y):
        net.opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        with fg.no_grad():
            if net.failing:
                what()
        net.opt.step()
        return loss

    return f


def fail():
    raise ValueError("mine")


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (fail, ValueError),
        (lambda: signal.raise_signal(signal.SIGINT), KeyboardInterrupt),
        (lambda: 1 / 0, ZeroDivisionError),
    ],
    ids=["exception", "Ctrl-C", "division"],
)
def test_what_interrupts_a_recording_is_raised_and_the_next_call_records(what, kind):
    f = raises_once(what)
    net, other = Net(), Net()
    h = compiled(lambda x, y: f(net, x, y))
    for i in range(14):
        net.failing = other.failing = i in (0, 1, 4)  # a replay is not told
        if other.failing:
            with pytest.raises(kind):
                f(other, inputs(i), labels(i))
        if net.failing and h.replays == 0:
            with pytest.raises(kind):
                h(inputs(i), labels(i))
            assert fg.is_grad_enabled()
            assert bits(doubled(inputs(i))) == bits(inputs(i) * 2)
        elif not net.failing:
            assert bits(h(inputs(i), labels(i))) == bits(f(other, inputs(i), labels(i)))
    assert bits(net.watch()) == bits(other.watch())
    assert h.replays >= 6


def test_the_collector_runs_while_a_call_is_recorded():
    def f(x):
        y = x * 2
        gc.collect()
        return y + 1

    h = compiled(f)
    for i in range(6):
        assert bits(h(inputs(i))) == bits(f(inputs(i)))
    assert h.replays == 4


def test_compiled_inside_compiled_and_recursion():
    inner = compiled(lambda x: x * 2)
    outer = compiled(lambda x: inner(x) + 1)
    twice = fg.compile(fg.compile(lambda x: x * 3))

    @fg.compile
    def power(x, n):
        return x if n == 0 else power(x, n - 1) * x

    for i in range(6):
        x = inputs(i)
        assert bits(outer(x)) == bits(x * 2 + 1)
        assert bits(twice(x)) == bits(x * 3)
        assert bits(power(x, 3)) == bits(x * x * x * x)
    assert outer.replays == twice.replays == power.replays == 4
    assert inner.records == 0  # part of the other


def test_a_run_inside_a_compiled_function_is_refused():
    inner = fg.compile(lambda x: x * 2)
    refused(lambda x: inner.run(x, batch_size=2), r"run\(\) of a compiled function at test_compile_life.py")


def test_what_another_thread_computes_inside_is_refused():
    def f(x):
        found = []
        thread = threading.Thread(target=lambda: found.append(x * 2))
        thread.start()
        thread.join()
        return found[0] + 1

    refused(f, "becomes a tensor at test_compile_life.py")


def test_one_function_recorded_by_several_threads_at_once():
    h = compiled(lambda x: (x @ x.mT).softmax(1).sum(0))
    wrong = []

    def calls(k):
        for i in range(25):
            x = inputs(100 * k + i, 4 + i % 2)
            if bits(h(x)) != bits((x @ x.mT).softmax(1).sum(0)):
                wrong.append((k, i))

    threads = [threading.Thread(target=calls, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert h.replays >= 80


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (fg.func.grad, "requires grad.*detach"),
        (fg.func.vmap, "under a transform"),
        (lambda f: lambda x: fg.func.jvp(f, (x,), (x,)), "under a transform"),
    ],
    ids=["grad", "vmap", "jvp"],
)
def test_a_transform_of_a_compiled_function_is_refused(transform, words):
    h = compiled(lambda x: (x * x).sum())
    for i in range(4):
        h(inputs(i))
    with pytest.raises(fg.CompileError, match=words):
        transform(h)(inputs(0))
    whole = compiled(transform(lambda x: (x * x).sum()))  # the other way round: compile what transforms
    for i in range(5):
        assert bits(whole(inputs(i))) == bits(transform(lambda x: (x * x).sum())(inputs(i)))
    assert whole.replays == 3


def test_modes_around_a_call_and_inside():
    w = nn.Parameter(inputs(0))

    def f(x):
        with fg.no_grad():
            a = x * w
            with fg.enable_grad():
                (g,) = fg.autograd.grad((x * w).square().sum(), w)
        return a, g

    h = compiled(f)
    modes = [fg.enable_grad, fg.no_grad, fg.inference_mode]
    for i in range(24):
        with modes[i % 3 if i < 12 else 0]():
            assert bits(h(inputs(i))) == bits(f(inputs(i))), i
    assert len(h.programs) == 3
    assert h.replays >= 17


def generator(x):
    yield x


async def coroutine(x):
    return x


@pytest.mark.parametrize("function", [generator, coroutine])
def test_a_generator_or_coroutine_is_refused_when_it_is_compiled(function):
    with pytest.raises(fg.CompileError, match=f"{function.__name__} is a generator or a coroutine"):
        fg.compile(function)
