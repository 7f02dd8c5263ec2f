"""Graphs of scalars: built, differentiated and freed; and against the pure-Python tape."""

import pytest
from scalar_graph import MoonsNet

import fastgrad as fg
from fastgrad.baselines import scalar_tape

NODES = [1_000, 100_000, 1_000_000]


def chain(nodes):
    x, c = fg.tensor(1.0, requires_grad=True), fg.tensor(1.0)
    y = x
    for _ in range(nodes):
        y = y * c
    return x, y


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.benchmark(group="scalar chain", min_rounds=3)
def test_build_and_free(benchmark, nodes):
    _, y = benchmark(chain, nodes)
    assert y.item() == 1.0


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.benchmark(group="scalar chain")
def test_backward(benchmark, nodes):
    found = []

    def run(x, y):
        y.backward()
        found.append(x.grad.item())

    benchmark.pedantic(run, setup=lambda: (chain(nodes), {}), rounds=5)
    assert set(found) == {1.0}


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.benchmark(group="scalar chain")
def test_free_without_backward(benchmark, nodes):
    benchmark.pedantic(lambda held: held.clear(), setup=lambda: (([chain(nodes)],), {}), rounds=5)


TAPES = {
    "fastgrad": (lambda v: fg.tensor(v, requires_grad=True), None),
    "pure Python": (scalar_tape.Value, 0.0),
}


@pytest.mark.parametrize("leaf", TAPES.values(), ids=TAPES)
@pytest.mark.benchmark(group="scalar graph of micrograd's moons net", min_rounds=3)
def test_moons_on_scalars(benchmark, leaf):
    net = MoonsNet()
    assert net.disagreement(benchmark(net.scalar_step(*leaf))) is None


@pytest.mark.benchmark(group="scalar graph of micrograd's moons net")
def test_moons_on_matrices(benchmark):
    net = MoonsNet()
    assert net.disagreement(benchmark(net.matrix_step(fg))) is None
