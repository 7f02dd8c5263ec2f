"""Elementwise operations on several threads: the bits of one thread, from any thread of Python's, after a fork."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from fastgrad._core.kernels import set_threads, threads

import fastgrad as fg

N = 300_007


@pytest.fixture(autouse=True)
def one_thread_afterwards():
    yield
    set_threads(1)


def draw(*shape):
    return fg.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


CALLS = {
    "exp": lambda x: x.exp(),
    "sin of some that are far out": lambda x: (x**9 * 1e4).sin(),
    "a sum": lambda x: x + x[:1] * x,
    "a number": lambda x: 2.5 / x,
    "a test": lambda x: x > 0.3,
    "a choice": lambda x: fg.where(x > 0, x, -1.0),
    "three operands": lambda x: fg.addcmul(x, x * 3, x, value=0.5),
    "a row": lambda x: x[:300_000].reshape(3000, 100) * x[:100],
    "a column": lambda x: x[:300_000].reshape(3000, 100) * x[:3000].reshape(3000, 1),
    "an outer sum": lambda x: x[:600].reshape(600, 1) + x[:500],
    "a transposed matrix": lambda x: x[:250_000].reshape(500, 500) * x[:250_000].reshape(500, 500).T,
    "in place": lambda x: x.clone().mul_(x).exp_(),
    "in place on a view": lambda x: x[:300_000].reshape(1000, 300).clone()[:, ::2].mul_(x[:150]),
    "few rows": lambda x: x[:300_000].reshape(3, 100_000) * x[:100_000],
    "integers": lambda x: (x * 100).long() // 7,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_bits_are_those_of_one_thread(name):
    x = draw(N)
    expected = CALLS[name](x).numpy()
    set_threads(3)
    for _ in range(20):  # the pool rests where it did not help: several calls, so that some are divided
        np.testing.assert_array_equal(CALLS[name](x).numpy(), expected)


def test_backward_on_threads():
    x = draw(N).requires_grad_()
    (x.tanh() * x).sum().backward()
    expected, x.grad = x.grad.numpy(), None
    set_threads(2)
    (x.tanh() * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_python_threads_share_the_pool():
    x = draw(N)
    expected = x.exp().numpy()
    set_threads(2)
    wrong = []

    def run():
        for _ in range(20):
            if not np.array_equal(x.exp().numpy(), expected):
                wrong.append(1)

    ts = [threading.Thread(target=run) for _ in range(3)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_has_threads_of_its_own():
    program = """
import os, sys, fastgrad as fg
from fastgrad._core.kernels import set_threads
x = fg.ones(300_000)
set_threads(2)
for _ in range(10):
    x.exp()
child = os.fork()
for _ in range(10):
    assert x.exp()[-1] == x[:1].exp()
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", program], check=True, timeout=60)


def test_the_number_of_threads_is_kept():
    assert threads() == 1
    before = fg.get_num_threads()
    assert before >= 1
    fg.set_num_threads(1)
    assert fg.get_num_threads() == 1
    fg.set_num_threads(2)
    assert threads() in (1, 2)  # 1 where the platform has no POSIX threads
    with pytest.raises(ValueError, match="expected a positive number"):
        fg.set_num_threads(0)
    fg.set_num_threads(before)
