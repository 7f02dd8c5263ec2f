"""Second-order derivatives: as multiples of a gradient, and against PyTorch where it is installed (ratios of one run)."""

import itertools
import time

import pytest

import fastgrad as fg
from fastgrad import func
from fastgrad.nn import functional as F

NETS = {"64-64-10": ((64, 64, 10), 2.19), "784-512-256-10": ((784, 512, 256, 10), 2.33)}


def interleaved(calls, rounds=30):
    """{name: the median seconds of a call}, the calls taking turns."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: sorted(ts)[len(ts) // 2] for name, ts in times.items()}


def mlp(fg, F, sizes, batch=64):
    """(loss of the parameters, parameters, a direction) for either library."""
    params = [fg.randn(*shape) * 0.1 for n, m in itertools.pairwise(sizes) for shape in ((m, n), (m,))]
    x, labels = fg.randn(batch, sizes[0]), fg.arange(batch) % sizes[-1]

    def loss(*params):
        h = x
        for k in range(0, len(params), 2):
            h = F.linear(h, params[k], params[k + 1])
            h = F.relu(h) if k + 2 < len(params) else h
        return F.cross_entropy(h, labels)

    return loss, tuple(params), tuple(fg.randn(*p.shape) for p in params)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("name", NETS)
@pytest.mark.benchmark(group="products with the Hessian")
def test_hvp_in_gradients(benchmark, name):
    """Products of matrices are counted: 8/3 of a gradient's in a hidden layer, 3/2 in the first."""
    sizes, counted = NETS[name]
    loss, params, vector = mlp(fg, F, sizes)
    every = tuple(range(len(params)))
    gradient = func.grad(loss, every)
    medians = interleaved({"gradient": lambda: gradient(*params), "hvp": lambda: func.hvp(loss, params, vector)})
    benchmark.extra_info["gradients"] = medians["hvp"] / medians["gradient"]
    benchmark.extra_info["counted"] = counted
    benchmark(func.hvp, loss, params, vector)


@pytest.mark.benchmark(group="products with the Hessian")
def test_hvp_does_not_grow_with_the_number_of_parameters(benchmark):
    """As a multiple of a gradient, from 600 parameters to 100 times as many, all of which fit into the cache."""
    calls = {}
    for width in (16, 50, 160):
        loss, params, vector = mlp(fg, F, (width, width, 10), 256)
        gradient = func.grad(loss, tuple(range(len(params))))
        calls["gradient", width] = lambda g=gradient, p=params: g(*p)
        calls["hvp", width] = lambda loss=loss, p=params, v=vector: func.hvp(loss, p, v)
    medians = interleaved(calls)
    found = {width: medians["hvp", width] / medians["gradient", width] for width in (16, 50, 160)}
    benchmark.extra_info["gradients, by width"] = found
    benchmark(calls["hvp", 16])
    assert found[160] <= 1.1 * found[16]


@pytest.mark.benchmark(group="Hessian of Rosenbrock's function, 50 variables")
def test_hessian(benchmark):
    x = fg.linspace(-1, 1, 50)
    hessian, gradient = func.hessian(rosenbrock), func.grad(rosenbrock)
    medians = interleaved({"gradient": lambda: gradient(x), "hessian": lambda: hessian(x)})
    benchmark.extra_info["gradients"] = medians["hessian"] / medians["gradient"]
    benchmark(hessian, x)


@pytest.mark.benchmark(group="Jacobian of a net, 100 to 100")
def test_jacobian(benchmark):
    w1, b1, w2, b2 = fg.randn(100, 100) * 0.1, fg.randn(100), fg.randn(100, 100) * 0.1, fg.randn(100)
    net = lambda x: F.linear(F.linear(x, w1, b1).tanh(), w2, b2)  # noqa: E731
    x = fg.randn(100)
    jacobian, one = func.jacobian(net), fg.ones(100)
    medians = interleaved({"vjp": lambda: func.vjp(net, x)[1](one), "jacobian": lambda: jacobian(x)})
    benchmark.extra_info["vjps"] = medians["jacobian"] / medians["vjp"]
    benchmark(jacobian, x)


@pytest.mark.benchmark(group="against torch.func")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_against_torch(benchmark):
    torch = pytest.importorskip("torch")
    T = pytest.importorskip("torch.func")
    torch.set_num_threads(1)
    x, tx = fg.linspace(-1, 1, 50), torch.linspace(-1, 1, 50)
    ours, theirs = func.hessian(rosenbrock), T.hessian(rosenbrock)
    loss, params, vector = mlp(fg, F, (64, 64, 10))
    tloss, tparams, tvector = mlp(torch, torch.nn.functional, (64, 64, 10))
    every = tuple(range(len(params)))
    tgrad = T.grad(tloss, every)
    medians = interleaved(
        {
            "hessian": lambda: ours(x),
            "torch hessian": lambda: theirs(tx),
            "hvp": lambda: func.hvp(loss, params, vector),
            "torch hvp": lambda: T.jvp(tgrad, tparams, tvector),
        },
        10,
    )
    for name in ("hessian", "hvp"):
        benchmark.extra_info[f"torch / fastgrad, {name}"] = medians[f"torch {name}"] / medians[name]
    benchmark(ours, x)
