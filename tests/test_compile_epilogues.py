"""relu as part of the product before it, and its mask as part of the gradient before that: the bits of the calls alone."""

import itertools

import numpy as np
import pytest
from fastgrad._core.kernels import kernel_sets, use_set

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad._core import _blas

from .compiling import bits, compiled, made, same

F = nn.functional
SETS = [name for name, supported in kernel_sets() if supported]


def numbers(*shape, seed=0, dtype=np.float32):
    return fg.tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def program(function, *args, **options):
    """The function compiled, once its replays have given the same bits as the function."""
    step = compiled(function, **options)
    for _ in range(5):
        expected = bits(function(*args))
        assert bits(step(*args)) == expected
    assert step.replays == 3
    return step


def names(step):
    """The names of the calls of a compiled function, in their order."""
    return [line[6:27].strip() for line in step.explain().splitlines()[2:]]


class Layers:
    """Two layers whose input wants a gradient too; the numbers of the first batch hold what relu treats apart."""

    def __init__(self, rows, k, n, dtype, bias):
        self.x = numbers(*rows, k, dtype=dtype)
        self.x.view(-1)[0:4].copy_(
            fg.tensor(np.array([np.nan, np.inf, -np.inf, -0.0], dtype)[: min(4, self.x.numel())])
        )
        self.x.requires_grad_()
        self.w, self.v = (numbers(*s, seed=1, dtype=dtype).requires_grad_() for s in ((n, k), (3, n)))
        pairs = numbers(n, 2, seed=2, dtype=dtype)
        self.b = {"dense": pairs[:, 0].clone(), "strided": pairs[:, 0], "none": None}[bias]
        self.g = numbers(*rows, 3, seed=3, dtype=dtype)

    def watch(self):
        return [self.x.grad, self.w.grad, self.v.grad]

    def step(self):
        for t in (self.x, self.w, self.v):
            t.grad = None
        h = F.linear(self.x, self.w, self.b).relu()
        (F.linear(h, self.v) * self.g).sum().backward()
        return h.detach()


class Products(Layers):
    def step(self):
        for t in (self.x, self.w, self.v):
            t.grad = None
        h = (self.x @ self.w.mT).relu()
        ((h @ self.v.mT) * self.g).sum().backward()
        return h.detach()


# The kernels of a product: tiles of two vectors, of one, of a part of one, side by side, in several depths; one row; one
# column; depth one, where -0.0 comes out; b as it lies; BLAS; nothing at all.
SHAPES = [
    ((24,), 16, 64), ((7,), 5, 37), ((33,), 40, 100), ((70,), 20, 96), ((12,), 600, 64), ((1,), 64, 64), ((1,), 4, 70),
    ((5,), 30, 1), ((6,), 1, 40), ((16,), 64, 128), ((65,), 130, 140), ((3, 4), 8, 48), ((2, 1, 3), 5, 6), ((4,), 0, 8),
    ((), 6, 40),
]  # fmt: skip
CASES = [(shape, "dense", np.float32) for shape in SHAPES]
CASES += [(SHAPES[k], bias, np.float32) for k in (0, 1, 5, 10) for bias in ("strided", "none")]
CASES += [(SHAPES[k], "dense", np.float64) for k in (0, 1, 2, 3, 4, 5, 6)]


@pytest.fixture(params=list(itertools.product(SETS, ("auto", "own"))), ids="-".join)
def provider(request):
    use_set(request.param[0])
    _blas.choose(request.param[1])
    yield
    use_set()
    _blas.choose()


def test_every_kernel_of_a_linear_layer_ends_as_relu_does(provider):
    for shape, bias, dtype in CASES:
        step, _ = same(made(Layers, *shape, dtype, bias), calls=5, args=lambda i: ())
        assert names(step)[0] == "linear + relu", shape
        assert "linear_vjp + relu_vjp" in names(step), shape


def test_every_kernel_of_a_matrix_product_ends_as_relu_does(provider):
    for shape in SHAPES:
        step, _ = same(made(Products, *shape, np.float32, "none"), calls=5, args=lambda i: ())
        assert names(step)[0] == "matmul + relu", shape
        assert "matmul + relu_vjp" in names(step), shape


@pytest.mark.parametrize(
    ("left", "right"), [((4, 3, 5), (4, 5, 40)), ((3, 5), (4, 5, 1)), ((2, 3, 5), (5, 9)), ((5,), (5, 33))]
)
def test_stacks_of_matrices_end_as_relu_does(left, right):
    assert names(program(lambda a, b: (a @ b).relu(), numbers(*left), numbers(*right, seed=1))) == ["matmul + relu"]


def test_a_product_of_integers_keeps_its_relu_apart():
    a = fg.tensor(np.arange(-6, 6).reshape(3, 4))
    assert names(program(lambda a: (a @ a.mT).relu(), a)) == ["matmul", "relu"]


# ---- where it stays a call of its own --------------------------------------------------------------------------------

W, B = numbers(6, 4, seed=1), numbers(6, seed=2)


@pytest.mark.parametrize("function", [
    lambda x: (lambda y: (y, y.relu()))(F.linear(x, W, B)),             # returned
    lambda x: (lambda y: y.relu() + y)(F.linear(x, W, B)),              # read afterwards
    lambda x: (lambda y: (y.sum(), y.relu()))(F.linear(x, W, B)),       # read before
    lambda x: (lambda y: (y[1:3].exp(), y.relu()))(F.linear(x, W, B)),  # a part of it read
    lambda x: (lambda y: (y.mT, y.relu()))(F.linear(x, W, B)),          # a view of it returned
    lambda x: F.linear(x, W, B).mT.relu(),                              # another layout
    lambda x: F.linear(x, W, B)[1:].relu(),                             # a part
    lambda x: F.linear(x, W, B)[:, :1].relu(),
    lambda x: F.linear(x, W, B).view(2, 9).relu(),
    lambda x: (lambda y: (y.add_(1), y.relu()))(F.linear(x, W, B))[1],  # written in between
])  # fmt: skip
def test_what_somebody_else_reads_is_stored(function):
    found = names(program(function, numbers(3, 4)))
    assert "linear" in found and "relu" in found and "linear + relu" not in found


def test_relu_in_place_is_part_of_the_product_too():
    def function(x):
        y = F.linear(x, W, B)
        y.relu_()
        return y * 2, y

    assert names(program(function, numbers(3, 4))) == ["linear + relu", "mul"]


def test_relu_in_place_after_a_read_is_not():
    def function(x):
        y = F.linear(x, W, B)
        z = y.exp()
        y.relu_()
        return z, y

    assert sorted(names(program(function, numbers(3, 4)))) == ["exp", "linear", "relu"]


def test_two_products_into_one_buffer_keep_their_order():
    buffer = fg.zeros(3, 6)

    def function(x):
        buffer.copy_(F.linear(x, W, B))
        first = buffer.relu()
        buffer.copy_(F.linear(x * 2, W))
        return first, buffer.relu()

    assert "linear + relu" not in names(program(function, numbers(3, 4)))


def test_a_gradient_that_is_asked_for_is_stored():
    x, v = numbers(3, 4).requires_grad_(), numbers(2, 6, seed=4)

    def function():
        y = F.linear(x, W, B).relu()
        return fg.autograd.grad(F.linear(y, v).square().sum(), [y, x])

    found = names(program(function))
    assert "relu_vjp" in found and "linear_vjp + relu_vjp" not in found


# ---- whole steps -------------------------------------------------------------------------------------------------------


class Net:
    def __init__(self, make=lambda ps: optim.AdamW(ps, lr=0.01), penalty=False):
        fg.manual_seed(0)
        self.net = nn.Sequential(
            nn.Linear(3, 40), nn.ReLU(), nn.Linear(40, 33), nn.ReLU(inplace=True), nn.Linear(33, 2)
        )
        self.optimizer, self.penalty = make(self.net.parameters()), penalty

    def watch(self):
        return [*self.net.parameters(), *[p.grad for p in self.net.parameters()]]

    def step(self, x, labels):
        loss = F.cross_entropy(self.net(x), labels)
        if self.penalty:
            gradients = fg.autograd.grad(loss, list(self.net.parameters()), create_graph=True)
            loss = loss + sum(g.square().sum() for g in gradients)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def test_a_training_step():
    step, _ = same(made(Net), calls=12)
    assert names(step)[:3] == ["linear + relu", "linear + relu", "linear"]
    assert [name for name in names(step) if "vjp" in name] == [
        "cross_entropy_vjp", "linear_vjp + relu_vjp", "linear_vjp + relu_vjp", "linear_vjp"
    ]  # fmt: skip


def test_a_step_with_second_derivatives():
    same(made(Net, lambda ps: optim.SGD(ps, lr=0.01), True), calls=8)


def test_explain_and_a_profile_name_it_and_count_both():
    def function(x):
        return F.linear(x, W, B).relu()

    x = numbers(3, 4)
    step = program(function, x)
    assert "0 constant, 1 done by the call before" in step.explain()
    assert "linear + relu         3x6 <- 3x4, 6x4, 6  162 flop" in step.explain()
    with fg.profiler.profile() as profile:
        step(x)
    (row,) = [row for row in profile.rows("kernel") if row.kernel > 0]
    assert (row.name, row.flops) == ("linear + relu", 2 * 3 * 4 * 6 + 3 * 6)
