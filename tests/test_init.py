"""Initialisers: variances and bounds from the published formulas, and the scale they keep in deep networks."""

import math

import numpy as np
import pytest

import fastgrad
from fastgrad import nn
from fastgrad.nn import init

FAN_IN, FAN_OUT = 256, 128


@pytest.fixture(autouse=True)
def seed():
    fastgrad.manual_seed(0)


def weight(rows=FAN_OUT, columns=FAN_IN):
    return fastgrad.zeros(rows, columns, dtype=fastgrad.float64)


def within_4_sigma(sample, variance, kurtosis):
    """Whether n draws can have this variance: that of a sample scatters by variance * sqrt((kurtosis - 1) / n)."""
    return abs(sample.var() - variance) <= 4 * variance * math.sqrt((kurtosis - 1) / sample.size)


XAVIER, HE, LECUN = 2 / (FAN_IN + FAN_OUT), 2 / FAN_IN, 1 / FAN_IN


def he_uniform(t):
    return init.kaiming_uniform_(t, nonlinearity="relu")


def he_normal(t):
    return init.kaiming_normal_(t, nonlinearity="relu")


UNIFORM = [(init.xavier_uniform_, XAVIER, 0.125), (he_uniform, HE, 0.1530931), (init.lecun_uniform_, LECUN, 0.1082532)]
NORMAL = [(init.xavier_normal_, XAVIER), (he_normal, HE), (init.lecun_normal_, LECUN)]


@pytest.mark.parametrize(("fill", "variance", "bound"), UNIFORM)
def test_uniform_initialisers(fill, variance, bound):
    t = weight()
    assert fill(t) is t
    values = t.numpy()
    assert within_4_sigma(values, variance, 1.8)
    assert bound * 0.999 < np.abs(values).max() <= bound + 1e-7


@pytest.mark.parametrize(("fill", "variance"), NORMAL)
def test_normal_initialisers(fill, variance):
    values = fill(weight()).numpy()
    assert within_4_sigma(values, variance, 3.0)
    assert abs(values.mean()) < 4 * math.sqrt(variance / values.size)


@pytest.mark.parametrize(("fill", "variance"), [*NORMAL, *((fill, variance) for fill, variance, _ in UNIFORM)])
def test_a_linear_layer_multiplies_the_variance_by_fan_in_times_that_of_its_weights(fill, variance):
    w = fill(weight()).numpy()
    x = np.random.default_rng(0).normal(size=(2000, FAN_IN))
    y = x @ w.T
    # Outputs of one row share its weights, so the spread is that of the rows' squared norms and of the samples.
    sigma = math.sqrt(2 / FAN_IN / FAN_OUT + 2 / y.size)
    assert y.var() / x.var() == pytest.approx(FAN_IN * variance, rel=4 * sigma)


def test_fans_count_the_kernel():
    assert init._calculate_fan_in_and_fan_out(fastgrad.zeros(8, 3, 5, 2)) == (30, 80)
    t = fastgrad.zeros(8, 3, 5, 2, dtype=fastgrad.float64)
    assert np.abs(init.kaiming_uniform_(t, mode="fan_out", nonlinearity="linear").numpy()).max() <= math.sqrt(3 / 80)
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_normal_(fastgrad.zeros(3))
    with pytest.raises(ValueError, match="Mode fan not supported"):
        init.kaiming_normal_(weight(), mode="fan")


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1.0),
        ("conv2d", None, 1.0),
        ("sigmoid", None, 1.0),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 0.5, math.sqrt(1.6)),
        ("selu", None, 0.75),
    ],
)
def test_gain(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-15)


def test_gain_of_something_else():
    with pytest.raises(ValueError, match="Unsupported nonlinearity swoosh"):
        init.calculate_gain("swoosh")
    with pytest.raises(ValueError, match="not a valid number"):
        init.calculate_gain("leaky_relu", "steep")


def test_constants():
    assert init.ones_(weight()).mean().item() == 1.0
    assert init.constant_(weight(), 0.25).sum().item() == 0.25 * FAN_IN * FAN_OUT
    assert init.zeros_(init.ones_(weight())).any().item() is False
    assert init.eye_(fastgrad.ones(2, 3)).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    for fill in (init.eye_, lambda t: init.sparse_(t, 0.5)):
        with pytest.raises(ValueError, match="Only tensors with 2 dimensions"):
            fill(fastgrad.ones(3))


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3)])
def test_orthogonal(shape):
    w = init.orthogonal_(fastgrad.zeros(*shape, dtype=fastgrad.float64), gain=2.0).numpy().reshape(shape[0], -1)
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-13)
    with pytest.raises(ValueError, match="2 or more dimensions"):
        init.orthogonal_(fastgrad.zeros(3))


def test_orthogonal_matrices_are_uniform_under_rotations():
    """Without fixing the signs of the factorisation every diagonal would lean to one side."""
    diagonals = [init.orthogonal_(fastgrad.zeros(3, 3)).numpy()[0, 0] for _ in range(300)]
    assert abs(np.mean(diagonals)) < 4 * math.sqrt(1 / 3 / 300)


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0.0, 1.0, -2.0, 2.0), (1.0, 0.5, -9.0, 9.0), (0.0, 1.0, 3.0, math.inf), (5.0, 1.0, 0.0, 2.0)],
)
def test_truncated_normal(mean, std, a, b):
    values = init.trunc_normal_(fastgrad.zeros(20000, dtype=fastgrad.float64), mean, std, a, b).numpy()
    assert values.min() >= a
    assert values.max() <= b
    x = np.linspace(max(a, mean - 12 * std), min(b, mean + 12 * std), 400001)
    density = np.exp(-((x - mean) ** 2) / (2 * std**2))
    density /= density.sum()
    expected = (x * density).sum()
    spread = math.sqrt((x**2 * density).sum() - expected**2)
    assert values.mean() == pytest.approx(expected, abs=4 * spread / math.sqrt(values.size))
    assert values.std() == pytest.approx(spread, rel=0.05)


def test_truncated_normal_needs_an_interval():
    with pytest.raises(ValueError, match="a must be less than b"):
        init.trunc_normal_(fastgrad.zeros(3), a=1.0, b=1.0)


def test_sparse():
    values = init.sparse_(weight(10, 300), 0.35, std=2.0).numpy()
    assert ((values == 0).sum(0) == 4).all()
    assert within_4_sigma(values[values != 0], 4.0, 3.0)
    assert len({tuple(column) for column in (values == 0).T.tolist()}) > 50


def test_a_generator_decides_the_draws():
    for fill in (
        init.uniform_,
        init.normal_,
        init.trunc_normal_,
        init.orthogonal_,
        init.lecun_normal_,
        init.xavier_uniform_,
    ):
        draws = [fill(weight(4, 4), generator=fastgrad.Generator().manual_seed(7)).tolist() for _ in range(2)]
        assert draws[0] == draws[1]


def test_filling_is_not_recorded():
    parameter = nn.Parameter(fastgrad.zeros(2, 3))
    assert init.uniform_(parameter, 1.0, 2.0) is parameter
    assert parameter.is_leaf
    assert parameter.requires_grad
    assert parameter.min().item() >= 1.0


def test_an_empty_tensor_is_left_alone():
    with pytest.warns(UserWarning, match="zero-element"):
        init.kaiming_uniform_(fastgrad.zeros(0, 3))


# ---- 50 layers -------------------------------------------------------------------------------------------------------


def mean_square(fill, activation, width, seed, layers=50):
    fastgrad.manual_seed(seed)
    w = fastgrad.empty(width, width)
    with fastgrad.no_grad():
        x = fastgrad.randn(width, width)
        for _ in range(layers):
            x = activation(x @ fill(w).T)
    return x.square().mean().item()


def test_selu_with_lecun_keeps_the_scale():
    for seed in range(5):
        assert 0.8 < mean_square(init.lecun_normal_, nn.SELU(), 256, seed) < 1.25


def test_relu_with_he_keeps_the_scale_on_average():
    squares = [mean_square(he_normal, nn.ReLU(), 512, seed) for seed in range(20)]
    assert 0.5 < math.exp(np.mean(np.log(squares))) < 1.3


def test_tanh_with_xavier_shrinks_unless_it_has_its_gain():
    assert mean_square(init.xavier_normal_, nn.Tanh(), 256, 0) == pytest.approx(0.01, rel=0.3)
    gain = init.calculate_gain("tanh")
    assert mean_square(lambda w: init.xavier_normal_(w, gain), nn.Tanh(), 256, 0) == pytest.approx(0.42, rel=0.1)
