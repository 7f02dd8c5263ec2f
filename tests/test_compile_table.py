"""Every op of the table, compiled against eager: its value, its first and its second derivative, bit for bit."""

import importlib.util
import threading
from pathlib import Path

import numpy as np
import pytest
from fastgrad._core.fuse import tile_calls

import fastgrad as fg
from fastgrad import nn, optim

from .compiling import Net, bits, compiled, inputs, labels

_spec = importlib.util.spec_from_file_location("table_samples", Path(__file__).with_name("table.py"))
table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)

CALLS = 4


def ids(case):
    return f"{case[0]}-{case[1]}"


def replays(function, arrays):
    h = compiled(function)
    expected = bits(function(*[fg.tensor(a) for a in arrays]))
    for _ in range(CALLS):
        assert bits(h(*[fg.tensor(a) for a in arrays])) == expected
    assert h.replays == CALLS - 2


@pytest.mark.parametrize("case", table.cases(), ids=ids)
def test_value(case):
    arrays = table.real_arrays(table.samples(case[0])[case[1]][0])

    def function(*xs):
        return table.call(*case, xs)

    if case[0] == "nonzero":  # its shape depends on values
        with pytest.raises(fg.CompileError, match="shape depends on values"):
            compiled(function)(*[fg.tensor(a) for a in arrays])
    else:
        replays(function, arrays)


@pytest.mark.parametrize("case", table.cases(differentiable=True), ids=ids)
def test_derivatives(case):
    arrays = table.real_arrays(table.samples(case[0])[case[1]][0])

    def differentiated(*given):
        xs = [x.detach().requires_grad_() for x in given]
        ys = [y for y in table.call(*case, xs) if y.requires_grad]
        if not ys:
            return ()
        gs = fg.autograd.grad(sum((y * y).sum() for y in ys), xs, create_graph=True, allow_unused=True)
        first = [g.detach().clone() for g in gs if g is not None]
        again = [(g * g).sum() for g in gs if g is not None and g.requires_grad]
        hs = fg.autograd.grad(sum(again), xs, allow_unused=True) if again else ()
        return first, [h for h in hs if h is not None]

    replays(differentiated, arrays)


# ---- running ---------------------------------------------------------------------------------------------------------


def test_memory_stays_flat():
    net = Net()
    h = compiled(net.step)
    for i in range(8):
        h(inputs(i), labels(i))
    x, y = inputs(0), labels(0)
    before = fg.memory_stats()["allocated"]
    for _ in range(20_000):
        h(x, y)
    assert fg.memory_stats()["allocated"] == before


def big(seed):
    fg.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    opt = optim.AdamW(net.parameters(), lr=0.01)

    def step(x, y):
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return net, step


def run(step, n):
    for i in range(n):
        step(inputs(i, 64, 64), labels(i, 64, 10))


def test_programs_on_two_threads():
    alone, together = [big(seed) for seed in (0, 1)], [big(seed) for seed in (0, 1)]
    for _, step in alone:
        run(step, 40)
    threads = [threading.Thread(target=run, args=(compiled(step), 40)) for _, step in together]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert bits([list(net.parameters()) for net, _ in alone]) == bits([list(net.parameters()) for net, _ in together])


def test_one_program_on_two_threads():
    h = compiled(lambda x: (x @ x.mT).softmax(1) @ x)
    xs = [inputs(i, 64, 96) for i in range(8)]
    expected = [bits((x @ x.mT).softmax(1) @ x) for x in xs]
    for x in xs[:3]:
        h(x)
    wrong = []

    def calls():
        for _ in range(20):
            wrong.extend(k for k, x in enumerate(xs) if bits(h(x)) != expected[k])

    threads = [threading.Thread(target=calls) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert h.replays >= 300


def elementwise_cases():
    return [case for case in table.cases() if table.RECORDS[case[0]].elementwise]


@pytest.mark.parametrize("case", elementwise_cases(), ids=ids)
def test_value_in_tiles(case):
    arrays = [np.resize(a, (5, 70)) if a.size > 1 else a for a in table.real_arrays(table.samples(case[0])[case[1]][0])]

    def function(*xs):
        y = table.call(*case, [x * 1 for x in xs])[0]
        return y.double() * 2 - y

    before = tile_calls(256, 1)
    try:
        replays(function, arrays)
    finally:
        tile_calls(*before)
