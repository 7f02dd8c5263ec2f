"""The four baselines: the same losses, gradients and updates, and gradients that finite differences confirm."""

import numpy as np
import pytest

from fastgrad.baselines import flat_numpy, gates, init_params, numpy_tape, scalar_tape

MODULES = [scalar_tape, numpy_tape, gates, flat_numpy]
each_baseline = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])


def problem(sizes=(5, 7, 6, 4), rows=9, dtype=np.float64):
    rng = np.random.default_rng(1)
    params = init_params(sizes, seed=2, dtype=dtype)
    for bias in params[1::2]:
        bias += rng.normal(0, 0.3, bias.shape)
    return params, rng.normal(size=(rows, sizes[0])).astype(dtype), rng.integers(0, sizes[-1], rows)


@each_baseline
def test_gradients_agree_with_central_differences(module):
    params, x, labels = problem()
    net = module.MLP(params)
    net.loss(x, labels)
    grads = net.backward()
    step = 1e-6
    for k, param in enumerate(params):
        assert grads[k].shape == param.shape
        for index in np.ndindex(param.shape):
            moved = [p.copy() for p in params]
            moved[k][index] += step
            above = module.MLP(moved).loss(x, labels)
            moved[k][index] -= 2 * step
            below = module.MLP(moved).loss(x, labels)
            np.testing.assert_allclose(grads[k][index], (above - below) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("sizes", [(3, 2), (4, 6, 3), (5, 7, 6, 4)], ids=str)
def test_all_agree_over_several_steps(sizes):
    params, x, labels = problem(sizes)
    nets = [module.MLP(params) for module in MODULES]
    for _ in range(5):
        losses = [net.loss(x, labels) for net in nets]
        np.testing.assert_allclose(losses, losses[0], rtol=1e-12)
        first, *others = [net.backward() for net in nets]
        for grads in others:
            for a, b in zip(first, grads, strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)
        for net in nets:
            net.update(0.3)
    for net in nets[1:]:
        for a, b in zip(nets[0].arrays(), net.arrays(), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)


@each_baseline
def test_training_lowers_the_loss_and_leaves_the_given_weights_alone(module):
    params, x, labels = problem()
    before = [param.copy() for param in params]
    net = module.MLP(params)
    first = net.loss(x, labels)
    for _ in range(40):
        net.loss(x, labels)
        net.backward()
        net.update(0.5)
    assert net.loss(x, labels) < first / 3
    for a, b in zip(before, params, strict=True):
        np.testing.assert_array_equal(a, b)


@each_baseline
def test_backward_may_be_repeated(module):
    params, x, labels = problem()
    net = module.MLP(params)
    net.loss(x, labels)
    once = [grad.copy() for grad in net.backward()]
    for a, b in zip(once, net.backward(), strict=True):
        np.testing.assert_array_equal(a, b)


@each_baseline
def test_the_dtype_of_the_weights_is_kept(module):
    params, x, labels = problem(dtype=np.float32)
    net = module.MLP(params)
    net.loss(x, labels)
    assert [grad.dtype for grad in net.backward()] == [np.float32] * len(params)
    net.update(0.1)
    assert [array.dtype for array in net.arrays()] == [np.float32] * len(params)


@each_baseline
def test_large_scores_neither_overflow_nor_lose_the_loss(module):
    weight, bias = np.array([[1000.0], [-1000.0]]), np.zeros(2)
    net = module.MLP([weight, bias])
    assert net.loss(np.array([[1.0]]), np.array([1])) == 2000.0
    dweight, dbias = net.backward()
    np.testing.assert_array_equal(dweight, [[1.0], [-1.0]])
    np.testing.assert_array_equal(dbias, [1.0, -1.0])


def test_scalar_tape_sums_over_all_consumers_of_a_value():
    x = scalar_tape.Value(3.0)
    y = x * x  # both operands are one value
    (y * 2.0 + y * x).backward()  # 2 x^2 + x^3
    assert x.grad == 2 * 2 * 3.0 + 3 * 3.0**2
    assert y.grad == 2.0 + 3.0


def test_scalar_tape_visits_a_shared_value_once_however_many_paths_lead_to_it():
    x = scalar_tape.Value(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


def test_scalar_tape_neither_recurses_in_backward_nor_when_it_is_freed():
    x = scalar_tape.Value(1.0)
    y = x
    for _ in range(200_000):
        y = y + 1.0
    y.backward()
    assert x.grad == 1.0
    del y


def test_only_leaves_accumulate_over_several_calls():
    x = scalar_tape.Value(2.0)
    y = x * 3.0
    z = y * y
    z.backward()
    z.backward()
    assert y.grad == 12.0
    assert x.grad == 2 * 36.0


@pytest.mark.parametrize("shape", [(3, 4), (4,), (1, 4), (3, 1), (1,), ()], ids=str)
def test_numpy_tape_undoes_broadcasting(shape):
    rng = np.random.default_rng(0)
    big = numpy_tape.Array(rng.normal(size=(3, 4)), requires_grad=True)
    small = numpy_tape.Array(rng.normal(size=shape), requires_grad=True)
    (big * small + small).sum().backward()
    assert small.grad.shape == shape
    np.testing.assert_allclose(big.grad, np.broadcast_to(small.data, (3, 4)), rtol=1e-14)
    expected = numpy_tape.sum_to(big.data + 1, shape)
    np.testing.assert_allclose(small.grad, expected, rtol=1e-14)
    assert np.isclose(expected.sum(), (big.data + 1).sum())


def test_numpy_tape_makes_no_gradient_for_constants():
    x = numpy_tape.Array(np.ones((2, 3)))
    w = numpy_tape.Array(np.ones((3, 2)), requires_grad=True)
    (x @ w).sum().backward()
    assert x.grad is None
    np.testing.assert_array_equal(w.grad, np.full((3, 2), 2.0))


def test_gates_may_be_connected_in_any_order():
    rng = np.random.default_rng(0)
    values = {"x": rng.normal(size=(2, 3)), "V": rng.normal(size=(4, 3)), "b": rng.normal(size=4)}
    graph = gates.Graph()
    graph.connect("y", gates.AddBias(), "open", "b")
    graph.connect("open", gates.ReLU(), "z")
    graph.connect("z", gates.MatMul(), "x", "V")
    assert graph.topologically_sorted("y") == ["z", "open", "y"]
    expected = np.maximum(values["x"] @ values["V"].T, 0) + values["b"]
    np.testing.assert_allclose(graph.forward("y", values), expected)


def test_a_wire_that_feeds_two_gates_gets_the_sum_of_their_gradients():
    weight = np.array([[0.5, -1.0], [2.0, 0.25]])
    graph = gates.Graph()
    graph.connect("once", gates.MatMul(), "x", "W")
    graph.connect("twice", gates.MatMul(), "once", "W")
    graph.connect("loss", gates.SoftmaxCrossEntropy(), "twice", "labels")
    values = {"x": np.array([[1.0, 2.0]]), "W": weight, "labels": np.array([0])}

    def loss(w):
        return graph.forward("loss", values | {"W": w})

    loss(weight)
    grad = graph.backward()["W"]
    for index in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[index] = 1e-6
        assert abs(grad[index] - (loss(weight + step) - loss(weight - step)) / 2e-6) < 1e-8
