"""Graphs of scalars: built, differentiated and freed; and against the pure-Python tape."""

import pytest

import fastgrad as fg
from fastgrad.baselines import scalar_tape
from fastgrad.bench import graphs
from fastgrad.bench.scalar_graph import MoonsNet

NODES = [10**k for k in range(3, 8)]


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

    benchmark.pedantic(run, setup=lambda: (chain(nodes), {}), rounds=5 if nodes <= 1_000_000 else 2)
    assert set(found) == {1.0}


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.benchmark(group="scalar chain")
def test_free_without_backward(benchmark, nodes):
    benchmark.pedantic(
        lambda held: held.clear(), setup=lambda: (([chain(nodes)],), {}), rounds=5 if nodes <= 1_000_000 else 2
    )


@pytest.mark.parametrize("nodes", NODES[2:])
@pytest.mark.benchmark(group="scalar chain")
def test_bytes_per_node(benchmark, nodes):
    """The growth of a new process; below 10^5 nodes it is what the allocators take at a time."""
    size = benchmark.pedantic(graphs.bytes_per_node, args=("fastgrad", nodes), rounds=1)
    benchmark.extra_info["bytes per node"] = size.median
    assert size.median <= graphs.MOST_BYTES


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
