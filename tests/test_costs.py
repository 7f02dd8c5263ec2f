"""What a gradient costs: counted from the records of the operations that run, not timed."""

import itertools

import numpy as np
import pytest
from fastgrad._core.watch import Watcher

import fastgrad as fg
import fastgrad.nn as nn
from fastgrad._core._costs import flops_of
from fastgrad.utils.checkpoint_plans import activation_bytes


def counted(run, only=None):
    """Floating-point operations of what `run` does, of some ops or of all."""
    watcher = Watcher(lines=False)
    watcher.start()
    run()
    watcher.stop()
    total = 0
    for kind, _, op, _, _, outs, ins, attrs, _, _ in watcher.events():
        if kind == "op" and (only is None or op.name in only):
            shapes = [[None if t is None else tuple(t.shape) for t in side] for side in (outs, ins)]
            total += flops_of(op, attrs, shapes[1], shapes[0])
    return total


PRODUCTS = {"linear", "linear_vjp", "matmul"}


@pytest.mark.parametrize(("n", "d", "m"), [(1, 1, 1), (32, 100, 10), (7, 3, 64)])
def test_a_linear_layer_costs_2ndm_forward_and_4ndm_backward(n, d, m):
    layer, x = nn.Linear(d, m), fg.randn(n, d)
    assert counted(lambda: layer(x), PRODUCTS) == 2 * n * d * m
    y = layer(x)
    assert counted(lambda: y.sum().backward(), PRODUCTS) == 2 * n * d * m  # a first layer: no gradient of its input
    x.requires_grad_()
    y = layer(x)
    assert counted(lambda: y.sum().backward(), PRODUCTS) == 4 * n * d * m
    # the same of a product of two matrices
    w = fg.randn(d, m, requires_grad=True)
    y = x @ w
    assert counted(lambda: x @ w, PRODUCTS) == 2 * n * d * m
    assert counted(lambda: y.sum().backward(), PRODUCTS) == 4 * n * d * m


def deep(layers, width=8):
    return nn.Sequential(*[part for _ in range(layers) for part in (nn.Linear(width, width), nn.Tanh())])


def test_one_backward_against_finite_differences():
    """A gradient by backward costs two forward passes, one by finite differences P + 1 of them."""
    model, x = deep(6), fg.randn(16, 8)
    count = sum(p.numel() for p in model.parameters())
    forward = counted(lambda: model(x))
    y = model(x).sum()
    backward = counted(lambda: y.backward())
    assert backward < 2.1 * forward

    def differences():
        with fg.no_grad():
            start = model(x).sum()
            found = []
            for p in model.parameters():
                flat = p.view(-1)
                for k in range(p.numel()):
                    before = flat[k].item()
                    flat[k] = before + 1e-2
                    found.append((model(x).sum() - start).item() / 1e-2)
                    flat[k] = before
        return found

    cost = counted(differences)
    assert (count + 1) * forward <= cost < 1.05 * (count + 1) * forward
    assert cost > 0.3 * count * (forward + backward)
    gradient = np.concatenate([p.grad.numpy().ravel() for p in model.parameters()])
    np.testing.assert_allclose(differences(), gradient, rtol=0.05, atol=0.05)


def r_squared(x, y):
    slope, start = np.polyfit(x, y, 1)
    rest = np.asarray(y) - (slope * np.asarray(x) + start)
    return 1 - rest.var() / np.var(y)


def test_operations_and_saved_bytes_are_linear_in_depth():
    depths = [8, 16, 32, 64, 128, 256, 512]
    operations, held = [], []
    for layers in depths:
        model, x = deep(layers), fg.randn(4, 8)
        held.append(activation_bytes(model, x))
        operations.append(counted(lambda model=model, x=x: model(x).sum().backward()))
    assert r_squared(depths, held) > 0.999999
    assert r_squared(depths, operations) > 0.999999
    assert held[-1] == 64 * held[0]


def net_loss(sizes, batch):
    """A loss of a list of parameters, and parameters."""
    x, labels = fg.randn(batch, sizes[0]), fg.arange(batch) % sizes[-1]
    params = [fg.randn(*shape) for n, m in itertools.pairwise(sizes) for shape in ((m, n), (m,))]

    def loss(params):
        h = x
        for k in range(0, len(params), 2):
            h = nn.functional.linear(h, params[k], params[k + 1])
            h = h.tanh() if k + 2 < len(params) else h
        return nn.functional.cross_entropy(h, labels)

    return loss, params


def test_a_product_with_the_hessian_costs_as_many_gradients_whatever_the_number_of_parameters():
    """Products of matrices: 8 against 3 in a hidden layer, 3 against 2 in the first, where no gradient of the input is wanted."""
    for width in (10, 30, 100, 300):
        loss, params = net_loss((width, width, width), 16)
        vector = [fg.ones_like(p) for p in params]
        gradient = counted(lambda loss=loss, params=params: fg.func.grad(loss)(params), PRODUCTS)
        product = counted(lambda loss=loss, p=params, v=vector: fg.func.hvp(loss, (p,), (v,)), PRODUCTS)
        assert gradient == 5 * 2 * 16 * width**2
        assert product == 11 * 2 * 16 * width**2
