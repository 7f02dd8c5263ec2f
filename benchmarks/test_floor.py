"""The floor computes what it claims to: the losses and parameters of NumPy in float64. A wrong divisor flatters."""

import floor
import numpy as np
import pytest

from fastgrad.baselines import init_params
from fastgrad.bench import problem as bench

SHAPES = [((4, 64, 64, 2), 1), ((64, 64, 10), 64), ((20, 7), 5), ((33, 40, 17, 3), 9), ((784, 128, 10), 32)]


def problem(sizes, batch, optimizer="sgd", decay=0.0):
    """Weights in float64, so that NumPy and the floor round nothing but what they compute."""
    found = bench.Problem(bench.Net(batch, sizes, optimizer))
    found.params, found.decay = init_params(sizes, seed=3), decay
    return found


@pytest.mark.parametrize("use", floor.USE)
@pytest.mark.parametrize(("optimizer", "lr", "decay"), [("sgd", 0.05, 0.0), ("adamw", 0.002, 0.1)])
@pytest.mark.parametrize(("sizes", "batch"), SHAPES)
def test_losses_and_parameters_are_those_of_numpy(sizes, batch, optimizer, lr, decay, use):
    given = problem(sizes, batch, optimizer, decay)
    net = floor.Mlp(sizes, batch, given.params, optimizer, lr=lr, weight_decay=decay, use=use)
    losses = net.run(given.x, given.labels, 8, losses=True)
    expected, after = bench.expected_losses(given, 8, lr)
    assert expected[-1] < expected[0]
    np.testing.assert_allclose(losses, expected, rtol=2e-5, atol=1e-6)
    if optimizer == "sgd":  # AdamW turns a gradient of rounding size into a full step
        for got, want in zip(net.params(), after, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_the_choice_of_products_is_the_one_asked_for():
    params = problem((20, 30, 3), 4).params
    own = floor.Mlp((20, 30, 3), 4, params, "sgd", lr=0.1, use="own").choices()
    blas = floor.Mlp((20, 30, 3), 4, params, "sgd", lr=0.1, use="blas").choices()
    assert all(own.values())
    assert not any(blas.values())
    assert "layer 0 d_input" not in own


def test_wide_logits_neither_overflow_nor_lose_the_loss():
    params = [np.diag([1000.0, -1000.0, 0.0]), np.zeros(3)]
    net = floor.Mlp((3, 3), 1, params, "sgd", lr=0.0)
    loss = net.run(np.array([[1, 1, 0]], np.float32), np.array([1]), 1, losses=True)
    np.testing.assert_allclose(loss, [2000.0])


def test_labels_outside_the_classes_are_refused():
    given = problem((20, 3), 2)
    net = floor.Mlp((20, 3), 2, given.params, "sgd", lr=0.1)
    with pytest.raises(ValueError, match="labels must lie in"):
        net.run(given.x, np.array([0, 3]), 1)
