"""Single ops: the overhead on tiny tensors, and the kernels on large ones, forward and backward."""

import numpy as np
import pytest
from fastgrad._core.kernels import chosen_set, kernel_sets, use_set
from fastgrad._core.table import functions, records

import fastgrad as fg

F = fg.nn.functional
OVERHEAD_SIZES = [1, 16, 256, 4096]
KERNEL_SIZES = [1_000, 100_000, 1_000_000]


def leaf(*shape):
    return fg.from_numpy(np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(np.float32)).requires_grad_()


BINARY = {
    "mul": lambda a, b: a * b,
    "mul_number": lambda a, b: a * 2.0,
    "add": lambda a, b: a + b,
    "div": lambda a, b: a / b,
}


@pytest.mark.parametrize("elements", OVERHEAD_SIZES)
@pytest.mark.parametrize("op", BINARY.values(), ids=BINARY)
@pytest.mark.benchmark(group="op overhead")
def test_recorded(benchmark, op, elements):
    y = benchmark(op, leaf(elements), leaf(elements))
    assert y.requires_grad


@pytest.mark.parametrize("elements", OVERHEAD_SIZES)
@pytest.mark.benchmark(group="op overhead")
def test_forward_and_backward(benchmark, elements):
    a, b, g = leaf(elements), leaf(elements), leaf(elements).detach()

    def run():
        a.grad = None
        (a * b).backward(g)
        return a.grad

    assert benchmark(run).shape == (elements,)


SETS = [name for name, supported in kernel_sets() if supported]
SHORT = {"max_time": 0.05, "min_rounds": 3, "warmup": False}


@pytest.fixture
def instruction_set(request):
    before = chosen_set()
    use_set(request.param)
    yield request.param
    use_set(before)


# From the table: every public op of one or two floating-point operands, and the further arguments of those that need any.
GIVEN = {"clamp": (0.7, 1.3), "clamp_min": (0.7,), "clamp_max": (1.3,), "threshold": (0.7, 0.0)}
ELEMENTWISE = {
    name: record
    for name, record in records().items()
    if record.elementwise and record.nin in (1, 2) and not name.startswith("bitwise")
    if functions.get(name) or hasattr(F, name)
}
REDUCTIONS = [name for name, record in records().items() if record.shape == "REDUCE" and name in functions]


@pytest.mark.parametrize("elements", KERNEL_SIZES)
@pytest.mark.parametrize("instruction_set", SETS, indirect=True)
@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.benchmark(group="elementwise", **SHORT)
def test_elementwise(benchmark, name, instruction_set, elements):
    op, x = functions.get(name) or getattr(F, name), leaf(elements).detach()
    y = benchmark(op, *[x] * ELEMENTWISE[name].nin, *GIVEN.get(name, ()))
    assert y.shape == (elements,)


@pytest.mark.parametrize("elements", KERNEL_SIZES)
@pytest.mark.parametrize("name", ["exp", "tanh", "relu"])
@pytest.mark.benchmark(group="elementwise, forward and backward", **SHORT)
def test_elementwise_backward(benchmark, name, elements):
    op, x, g = functions.get(name) or getattr(F, name), leaf(elements), leaf(elements).detach()

    def run():
        x.grad = None
        op(x).backward(g)
        return x.grad

    assert benchmark(run).shape == (elements,)


@pytest.mark.parametrize("elements", KERNEL_SIZES)
@pytest.mark.parametrize("instruction_set", SETS, indirect=True)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.benchmark(group="reductions", **SHORT)
def test_reduction(benchmark, name, axis, instruction_set, elements):
    op, x = functions[name], leaf(elements // 100, 100).detach()
    x = x > 1.0 if name in ("any", "all") else x
    y = benchmark(op, x, dim=axis)
    y = y[0] if isinstance(y, tuple) else y  # max returns its indices, too
    assert y.numel() == (elements // 100, 100)[1 - axis]


@pytest.mark.parametrize("elements", KERNEL_SIZES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.benchmark(group="softmax")
def test_softmax(benchmark, name, elements):
    x = leaf(elements // 100, 100).detach()
    assert benchmark(getattr(fg, name), x, 1).shape == x.shape


MATMULS = [(n, n, n) for n in (8, 16, 32, 64, 128, 256, 512, 1024)] + [(1, 64, 64), (64, 10, 64), (32, 128, 784)]
LAYOUTS = {
    "NN": lambda m, n, k: (leaf(m, k), leaf(k, n)),
    "NT": lambda m, n, k: (leaf(m, k), leaf(n, k).mT),
    "TN": lambda m, n, k: (leaf(k, m).mT, leaf(k, n)),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("shape", MATMULS, ids="x".join("%d" for _ in range(3)).__mod__)
@pytest.mark.benchmark(group="matmul")
def test_matmul(benchmark, shape, layout):
    a, b = (t.detach() for t in layout(*shape))
    assert benchmark(fg.matmul, a, b).shape == shape[:2]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", MATMULS, ids="x".join("%d" for _ in range(3)).__mod__)
@pytest.mark.benchmark(group="matmul, forward and backward")
def test_matmul_backward(benchmark, shape, layout):
    m, n, k = shape
    a = leaf(k, m) if layout == "TN" else leaf(m, k)
    b = leaf(n, k) if layout == "NT" else leaf(k, n)
    g = leaf(m, n).detach()

    def run():
        a.grad = b.grad = None
        ((a.mT if layout == "TN" else a) @ (b.mT if layout == "NT" else b)).backward(g)
        return b.grad

    assert benchmark(run).shape == b.shape


@pytest.mark.parametrize("shape", [(64, 10), (1024, 1000)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.benchmark(group="losses and norms")
def test_cross_entropy(benchmark, shape):
    z, t = leaf(*shape), fg.from_numpy(np.arange(shape[0]) % shape[1])

    def run():
        z.grad = None
        F.cross_entropy(z, t).backward()
        return z.grad

    assert benchmark(run).shape == shape


@pytest.mark.parametrize("shape", [(32, 64), (256, 1024)], ids="{0[0]}x{0[1]}".format)
@pytest.mark.benchmark(group="losses and norms")
def test_layer_norm(benchmark, shape):
    x, w, b, g = leaf(*shape), leaf(shape[1]), leaf(shape[1]), leaf(*shape).detach()

    def run():
        x.grad = w.grad = b.grad = None
        F.layer_norm(x, shape[1:], w, b).backward(g)
        return x.grad

    assert benchmark(run).shape == shape
