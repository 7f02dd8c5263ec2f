"""Hooks on what the tape saves."""

import threading

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn.functional as F
from fastgrad.autograd import grad
from fastgrad.autograd.graph import saved_tensors_hooks


def leaf(*shape, seed=0):
    return fg.randn(*shape, dtype=fg.float64, generator=fg.Generator().manual_seed(seed)).requires_grad_()


def net(x, w):
    h = F.layer_norm((x @ w).tanh(), (4,))
    h = F.dropout(h, 0.0) * h.exp() / (1 + h * h)
    a, b = h.split(2, 1)
    return (a.sum(1) * b.prod(1)).std() + F.cross_entropy(h, fg.tensor([0, 1, 2])) + h[h > 0].sum()


def through_bytes():
    """Packs to bytes: nothing of the tensor survives but its numbers."""
    return saved_tensors_hooks(
        lambda t: (t.numpy().tobytes(), t.numpy().dtype, tuple(t.shape)),
        lambda p: fg.tensor(np.frombuffer(p[0], p[1]).reshape(p[2])),
    )


def test_gradients_to_second_order_are_bitwise_the_same():
    x, w = leaf(3, 5), leaf(5, 4, seed=1)
    expected = second(x, w)
    with through_bytes():
        got = second(x, w)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def second(x, w):
    gs = grad(net(x, w), (x, w), create_graph=True)
    hs = grad(sum((g * g).sum() for g in gs), (x, w))
    return [*gs, *hs]


def test_every_save_is_packed_once_and_let_go():
    packed = []
    x = leaf(100_000)
    fg.empty_cache()
    with saved_tensors_hooks(
        lambda t: packed.append(t.shape) or len(packed) - 1, lambda k: fg.zeros(packed[k]).double()
    ):
        before = fg.memory_stats()["allocated"]
        y = x.exp().sin().sum()
        held = fg.memory_stats()["allocated"] - before
    assert packed == [(100_000,), (100_000,)]
    assert held < 10_000
    y.backward()
    assert not x.grad.any()


def test_the_innermost_hooks_of_this_thread_are_used():
    log = []

    def named(name):
        return saved_tensors_hooks(lambda t: log.append(name) or t, lambda t: t)

    x = leaf(2)
    with named("outer"):
        x.exp()
        with named("inner"):
            x.exp()
        x.exp()
        thread = threading.Thread(target=lambda: x.exp())
        thread.start()
        thread.join()
    x.exp()
    assert log == ["outer", "inner", "outer"]


def test_hooks_run_unrecorded_and_unpacked():
    modes = []

    def look(t):
        modes.append(fg.is_grad_enabled())
        return (t * 1.0).exp().log() if len(modes) < 99 else t

    x = leaf(2)
    with saved_tensors_hooks(look, look):
        y = x.exp()
        y.sum().backward(create_graph=True)
    assert set(modes) == {False} and len(modes) < 10
    x.grad = None


def test_custom_functions_are_packed_too():
    class Square(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * x
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            assert y.tolist() == (x * x).tolist()
            return 2 * g * x

    x = leaf(3)
    with through_bytes():
        y = Square.apply(x)
    (g,) = grad(y.sum(), x, create_graph=True)
    np.testing.assert_array_equal(g.detach().numpy(), 2 * x.detach().numpy())
    assert grad(g.sum(), x)[0].tolist() == [2.0, 2.0, 2.0]


def test_a_tensor_kept_as_it_is_is_still_guarded():
    x = leaf(2)
    y = x * 1.0
    with saved_tensors_hooks(lambda t: t, lambda t: t):
        z = y.square()
    y.add_(1.0)
    with pytest.raises(
        RuntimeError, match=r"square: a saved tensor of shape \(2,\), which its pack hook kept as it was"
    ):
        z.sum().backward()


@pytest.mark.parametrize(
    ("unpack", "error", "message"),
    [
        (lambda t: 3, TypeError, "exp: an unpack hook must return a Tensor, got int"),
        (lambda t: t[:1], ValueError, r"exp: an unpack hook returned shape \(1,\) for a tensor of shape \(2,\)"),
        (lambda t: t.float(), TypeError, "exp: an unpack hook returned fastgrad.float32 for a tensor of fastgrad.float64"),
    ],
)  # fmt: skip
def test_what_unpacks_is_checked(unpack, error, message):
    x = leaf(2)
    with saved_tensors_hooks(lambda t: t, unpack):
        y = x.exp()
    with pytest.raises(error, match=message):
        y.sum().backward()


def test_errors_of_hooks_pass_through():
    def fail(t):
        raise KeyError("mine")

    x = leaf(2)
    with saved_tensors_hooks(fail, fail), pytest.raises(KeyError, match="mine"):
        x.exp()
    y = x.exp()  # no hooks are left behind
    y.sum().backward()
    assert x.grad is not None
    with pytest.raises(TypeError, match="a hook must be callable, got int"):
        saved_tensors_hooks(1, fail)
