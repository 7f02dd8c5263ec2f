"""Jacobians from inside: what they compute and what they do not, whose memory they are, compiled to the last bit."""

import numpy as np
import pytest
from fastgrad._core.watch import Watcher

import fastgrad as fg
from fastgrad import func as F

from .compiling import bits

linear = fg.nn.functional.linear
JACOBIANS = {"reverse": F.jacrev, "forward": F.jacfwd}


def matrix(*shape, seed=0):
    return fg.tensor(np.random.default_rng(seed).normal(size=shape))


def run(function):
    """The names of the operations that run."""
    watcher = Watcher(lines=False)
    watcher.start()
    function()
    watcher.stop()
    return [event[2].name for event in watcher.events() if event[0] == "op"]


# A matrix, and a function of a vector that multiplies by it.
PRODUCTS = {
    "x @ w": (matrix(4, 3), lambda x, w: x @ w),
    "w @ x": (matrix(3, 4), lambda x, w: w @ x),
    "x @ w.T": (matrix(3, 4), lambda x, w: x @ w.T),
    "linear": (matrix(3, 4), lambda x, w: linear(x, w)),
    "linear with a bias": (matrix(3, 4), lambda x, w: linear(x, w, w[:, 0])),
}


@pytest.mark.parametrize("mode", JACOBIANS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_unit_vectors_times_a_matrix_are_its_rows_without_a_product(name, mode):
    w, f = PRODUCTS[name]
    x = matrix(4, seed=1)
    jacobian = JACOBIANS[mode](lambda x: f(x, w))
    assert [op for op in run(lambda: jacobian(x)) if op in ("matmul", "linear", "linear_vjp")] == (
        ["linear"] if "linear" in name else ["matmul"]
    )
    np.testing.assert_array_equal(jacobian(x).numpy(), (w if w.shape == (3, 4) else w.T).numpy())


@pytest.mark.parametrize("mode", JACOBIANS)
@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_jacobian_is_memory_of_its_own(name, chunk, mode):
    w, f = PRODUCTS[name]
    w = w.clone()
    before = w.clone()
    j = JACOBIANS[mode](lambda x: f(x, w), chunk_size=chunk)(matrix(4, seed=1))
    j.mul_(2)
    assert fg.equal(w, before)
    np.testing.assert_array_equal(j.numpy(), 2 * (w if w.shape == (3, 4) else w.T).numpy())


def test_a_jacobian_is_no_part_of_what_the_function_keeps():
    kept = []

    def f(x):
        kept.append(matrix(4, 3) * 2)
        return x @ kept[-1]

    for jacobian in JACOBIANS.values():
        jacobian(f)(matrix(4)).mul_(5)
        assert fg.equal(kept[-1], matrix(4, 3) * 2)


def test_a_jacobian_of_a_constant_is_memory_of_its_own():
    for jacobian in JACOBIANS.values():
        j = jacobian(lambda x: fg.ones(2))(fg.ones(3))
        j[0, 0] = 5
        assert j.tolist() == [[5, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("mode", JACOBIANS)
def test_rows_of_a_matrix_keep_its_history_and_its_batch(mode):
    """The matrix may be differentiated through its rows, and be one of a batch."""
    w, x = matrix(4, 3), matrix(4, seed=1)
    total = lambda w: (JACOBIANS[mode](lambda x: x @ w)(x) ** 2).sum()  # noqa: E731
    np.testing.assert_allclose(F.grad(total)(w).numpy(), 2 * w.numpy())
    np.testing.assert_allclose(F.jvp(total, (w,), (w,))[1].item(), 2 * (w**2).sum().item())
    leaf = w.detach().requires_grad_()
    (JACOBIANS[mode](lambda x: x @ leaf)(x) ** 2).sum().backward()
    np.testing.assert_allclose(leaf.grad.numpy(), 2 * w.numpy())
    many = matrix(5, 4, 3)
    np.testing.assert_array_equal(F.vmap(lambda w: JACOBIANS[mode](lambda x: x @ w)(x))(many).numpy(), many.mT.numpy())


def test_jacobians_of_every_sample_begin_with_rows_too():
    w, x = matrix(4, 3), matrix(5, 4, seed=1)
    each = F.vmap(F.jacrev(lambda x: linear(x, w.T).tanh() @ w.T))
    assert [op for op in run(lambda: each(x)) if op in ("matmul", "linear_vjp")] == [
        "matmul"
    ] * 2  # forward, and one back
    slopes = 1 - np.tanh(x.numpy() @ w.numpy()) ** 2
    np.testing.assert_allclose(each(x).numpy(), np.einsum("ik,bk,jk->bij", w, slopes, w), rtol=1e-12)


@pytest.mark.parametrize("mode", JACOBIANS)
def test_other_products_than_of_unit_vectors_stay_products(mode):
    """A basis that was scaled, of several arguments, of a matrix, or of another dtype."""
    w, x, y = matrix(3, 3), matrix(3, seed=1), matrix(3, seed=2)
    jacobian = JACOBIANS[mode]
    np.testing.assert_allclose(jacobian(lambda x: (2 * (x * 3)) @ w)(x).numpy(), 6 * w.numpy().T)
    jx, jy = jacobian(lambda x, y: x @ w + y @ w.T, (0, 1))(x, y)
    np.testing.assert_allclose(jx.numpy(), w.numpy().T)
    np.testing.assert_allclose(jy.numpy(), w.numpy())
    first, second = jacobian(lambda x: (x @ w, w @ x))(x)
    np.testing.assert_allclose(first.numpy(), w.numpy().T)
    np.testing.assert_allclose(second.numpy(), w.numpy())
    np.testing.assert_allclose(
        jacobian(lambda x: x @ w)(matrix(2, 3)).numpy().reshape(6, 6), np.kron(np.eye(2), w.numpy().T)
    )
    np.testing.assert_allclose(jacobian(lambda x: x @ w)(x.float()).numpy(), w.numpy().T, rtol=1e-6)


def test_unit_vectors_that_a_function_overwrites_are_none_any_more():
    class Doubled(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g.mul_(2)

    w = matrix(4, 3)
    np.testing.assert_allclose(F.jacrev(lambda x: Doubled.apply(x @ w))(matrix(4)).numpy(), 2 * w.numpy().T)


def test_the_mode_is_found_out_once_for_arguments_of_a_shape():
    calls = []

    def f(x):
        calls.append(tuple(x.shape))
        return fg.stack([x, x * x]) if x.numel() > 2 else x.sum()

    jacobian = F.jacobian(f)
    for _ in range(2):
        np.testing.assert_array_equal(jacobian(fg.ones(3)).numpy(), np.stack([np.eye(3), 2 * np.eye(3)]))
    assert len(calls) == 3  # in reverse mode, and in forward mode twice
    assert jacobian(fg.ones(2)).tolist() == [1, 1]
    assert len(calls) == 4


A, B = matrix(64, 64, seed=1), matrix(64, 64, seed=2)
CHOICES = {
    # Rows of a matrix are dense where it is applied as a linear layer does, from the end; else from the beginning.
    "linear layers": (lambda x: linear(linear(x, A).tanh(), B), 64, "reverse"),
    "matrices on the left": (lambda x: B @ (A @ x).tanh(), 64, "reverse"),
    "matrices on the right": (lambda x: (x @ A).tanh() @ B, 64, "forward"),
    "transposed on the right": (lambda x: (x @ A.T).tanh() @ B.T, 64, "reverse"),
    # Unit vectors meet a matrix at one end alone.
    "a last function": (lambda x: linear(linear(x, A).tanh(), B).tanh(), 64, "forward"),
    "a first function": (lambda x: linear(linear(x.tanh(), A).tanh(), B), 64, "reverse"),
    # Without products the numbers of inputs and outputs decide.
    "more outputs": (lambda x: (x[:, None] * x).sin(), 8, "forward"),
    "as many": (lambda x: x.sin(), 8, "reverse"),
    "fewer outputs": (lambda x: x[:3].sin(), 8, "reverse"),
    "a constant": (lambda x: fg.ones(9), 8, "reverse"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_mode_that_costs_less_is_chosen(name):
    f, n, expected = CHOICES[name]
    seen = []
    jacobian = F.jacobian(lambda x: seen.append(x.requires_grad) or f(x))
    x = fg.linspace(-1, 1, n, dtype=A.dtype)
    found = jacobian(x)
    np.testing.assert_allclose(found.numpy(), F.jacrev(f)(x).numpy(), rtol=1e-5, atol=1e-5)
    jacobian(x)
    assert ("reverse" if seen[-1] else "forward") == expected
    assert len(seen) == (2 if expected == "reverse" else 3)


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


W1, W2 = matrix(6, 5).float(), matrix(4, 6).float()
COMPILED = {
    "jacrev": F.jacrev(lambda x: linear(linear(x, W1).tanh(), W2)),
    "jacfwd": F.jacfwd(lambda x: linear(linear(x, W1).tanh(), W2)),
    "jacobian of a matrix": F.jacobian(lambda x: W1.T @ (W1 @ x).sin()),
    "jacobian, tall": F.jacobian(lambda x: fg.cat([x, x * x])),
    "jacobian of the identity": F.jacfwd(lambda x: x),
    "jacobian of a linear function": F.jacfwd(lambda x: linear(x, W1)),
    "in chunks": F.jacrev(lambda x: linear(x, W1).tanh(), chunk_size=2),
    "hessian": F.hessian(rosenbrock),
    "laplacian": F.laplacian(rosenbrock),
    "hvp": lambda x: F.hvp(rosenbrock, x, x),
    "per-sample gradients": lambda x: F.vmap(F.grad(lambda a: (a * x).sum().sin()))(x),
}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_they_have_the_bits_of_eager(name):
    f = COMPILED[name]
    compiled = fg.compile(f)
    compiled.poisons = True
    for k in range(8):
        x = matrix(5, seed=k).float()
        got = compiled(x)
        assert bits(got) == bits(f(x)), k
        got.fill_(0)  # nothing that a later call reads
    assert compiled.replays >= 3


def test_a_batch_of_the_widest_value_is_bounded(monkeypatch):
    """Rows are computed in chunks where an intermediate value is large, whatever inputs and outputs are."""
    monkeypatch.setattr("fastgrad.func._jacobian.BATCH_BYTES", 8 * 1000 * 2)
    wide, x = matrix(1000, 3), matrix(3)
    f = lambda x: wide.T @ (wide @ x).tanh()  # noqa: E731
    counts = [run(lambda g=g: F.jacrev(g)(x)).count("tanh_vjp") for g in (f, lambda x: x.tanh())]
    assert counts == [2, 1]
    np.testing.assert_allclose(F.jacrev(f)(x).numpy(), F.jacfwd(f)(x).numpy(), rtol=1e-10)
