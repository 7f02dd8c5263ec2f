"""Layers: shapes, values against NumPy, parameters as documented."""

import math

import numpy as np
import pytest

import fastgrad
import fastgrad.nn.functional as F
from fastgrad import nn


@pytest.fixture(autouse=True)
def seed():
    fastgrad.manual_seed(0)


def array(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def tensor(*shape, seed=0, requires_grad=False):
    return fastgrad.tensor(array(*shape, seed=seed), requires_grad=requires_grad)


def value(t):
    return t.detach().numpy()


def close(t, expected, tolerance=1e-12):
    np.testing.assert_allclose(value(t), expected, rtol=tolerance, atol=tolerance)


# ---- linear ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (5,), (2, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(lead, bias):
    layer = nn.Linear(3, 4, bias=bias, dtype=fastgrad.float64)
    y = layer(tensor(*lead, 3))
    expected = array(*lead, 3) @ value(layer.weight).T + (value(layer.bias) if bias else 0)
    assert y.shape == (*lead, 4)
    close(y, expected)
    assert (layer.bias is None) is not bias


def test_bilinear():
    layer = nn.Bilinear(3, 4, 5, dtype=fastgrad.float64)
    y = layer(tensor(2, 3), tensor(2, 4, seed=1))
    expected = np.einsum("bi,kij,bj->bk", array(2, 3), value(layer.weight), array(2, 4, seed=1)) + value(layer.bias)
    close(y, expected)
    with pytest.raises(ValueError, match="in1_features must be > 0"):
        nn.Bilinear(0, 1, 1)
    assert repr(layer) == "Bilinear(in1_features=3, in2_features=4, out_features=5, bias=True)"


@pytest.mark.parametrize("make", [lambda: nn.Linear(100, 50), lambda: nn.Bilinear(100, 5, 7)])
def test_linear_layers_start_uniform(make):
    layer = make()
    for parameter in layer.parameters():
        assert np.abs(value(parameter)).max() <= 0.1
    assert np.abs(value(layer.weight)).max() > 0.099
    assert value(layer.weight).var() == pytest.approx(0.1**2 / 3, rel=0.1)


def test_a_linear_layer_without_inputs_is_its_bias():
    layer = nn.Linear(0, 2)
    assert layer(fastgrad.zeros(3, 0)).tolist() == [layer.bias.tolist()] * 3


def test_identity_and_flatten():
    x = tensor(2, 3, 4)
    assert nn.Identity("any", argument=1)(x) is x
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)
    assert repr(nn.Flatten()) == "Flatten(start_dim=1, end_dim=-1)"


# ---- activations -----------------------------------------------------------------------------------------------------

POINTS = np.array([-30.0, -4.0, -3.0, -1.5, -1.0, -0.3, 0.0, 0.2, 0.5, 1.0, 2.5, 3.0, 6.0, 7.0, 25.0])
PHI = np.array([math.erf(x / math.sqrt(2)) for x in POINTS]) / 2 + 0.5


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
x = POINTS
ACTIVATIONS = [
    (nn.ReLU(), np.maximum(x, 0)),
    (nn.ReLU6(), np.clip(x, 0, 6)),
    (nn.LeakyReLU(0.1), np.where(x > 0, x, 0.1 * x)),
    (nn.ELU(1.5), np.where(x > 0, x, 1.5 * np.expm1(np.minimum(x, 0)))),
    (nn.SELU(), SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))),
    (nn.CELU(2.0), np.maximum(x, 0) + np.minimum(0, 2 * np.expm1(x / 2))),
    (nn.SiLU(), x * sigmoid(x)),
    (nn.Mish(), x * np.tanh(softplus(x))),
    (nn.GELU(), x * PHI),
    (nn.GELU("tanh"), x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    (nn.Sigmoid(), sigmoid(x)),
    (nn.Tanh(), np.tanh(x)),
    (nn.LogSigmoid(), -softplus(-x)),
    (nn.Softplus(), np.where(x > 20, x, softplus(x))),
    (nn.Softplus(2.0, 5.0), np.where(2 * x > 5, x, softplus(2 * x) / 2)),
    (nn.Softsign(), x / (1 + np.abs(x))),
    (nn.Tanhshrink(), x - np.tanh(x)),
    (nn.Hardtanh(-2.0, 3.0), np.clip(x, -2, 3)),
    (nn.Hardswish(), x * np.clip(x + 3, 0, 6) / 6),
    (nn.Hardsigmoid(), np.clip(x + 3, 0, 6) / 6),
    (nn.Hardshrink(1.0), np.where(np.abs(x) > 1, x, 0)),
    (nn.Softshrink(1.0), np.sign(x) * np.maximum(np.abs(x) - 1, 0)),
    (nn.Threshold(0.5, -7.0), np.where(x > 0.5, x, -7.0)),
]


@pytest.mark.parametrize(("layer", "expected"), ACTIVATIONS, ids=lambda a: repr(a) if isinstance(a, nn.Module) else "")
def test_activation(layer, expected):
    close(layer(fastgrad.tensor(POINTS)), expected, 1e-13)


@pytest.mark.parametrize("layer", [layer for layer, _ in ACTIVATIONS if hasattr(layer, "inplace")], ids=repr)
def test_activation_in_place(layer):
    arguments = {name: v for name, v in layer.__dict__.items() if name in ("alpha", "negative_slope")}
    if isinstance(layer, nn.Hardtanh):
        arguments = {"min_val": layer.min_val, "max_val": layer.max_val}
    if isinstance(layer, nn.Threshold):
        arguments = {"threshold": layer.threshold, "value": layer.value}
    leaf = fastgrad.tensor(POINTS, requires_grad=True)
    expected = layer(leaf)
    (gradient,) = fastgrad.autograd.grad(expected.sum(), leaf)
    t = leaf * 1.0
    y = type(layer)(**arguments, inplace=True)(t)
    assert y is t
    assert t.tolist() == expected.tolist()
    t.sum().backward()
    assert leaf.grad.tolist() == gradient.tolist()


def test_prelu():
    layer = nn.PReLU(3, init=0.5).double()
    y = layer(tensor(2, 3, 4))
    x = array(2, 3, 4)
    close(y, np.where(x > 0, x, 0.5 * x))
    y.sum().backward()
    close(layer.weight.grad, np.minimum(x, 0).sum((0, 2)))
    close(nn.PReLU().double()(tensor(5)), np.where(array(5) > 0, array(5), 0.25 * array(5)))
    with pytest.raises(RuntimeError, match="3 weights for an input with 4 channels"):
        layer(tensor(2, 4))


def test_glu():
    close(nn.GLU(1)(tensor(2, 6)), array(2, 6)[:, :3] * sigmoid(array(2, 6)[:, 3:]))
    with pytest.raises(RuntimeError, match="must be even"):
        nn.GLU()(tensor(2, 5))


@pytest.mark.parametrize("dim", [0, -1])
def test_softmax_family(dim):
    e = np.exp(array(4, 5))
    expected = e / e.sum(dim, keepdims=True)
    close(nn.Softmax(dim)(tensor(4, 5)), expected)
    close(nn.LogSoftmax(dim)(tensor(4, 5)), np.log(expected))
    close(nn.Softmin(dim)(-tensor(4, 5)), expected)


@pytest.mark.parametrize(
    "layer",
    [nn.Hardtanh(), nn.Threshold(1, 2, inplace=True), nn.PReLU(), nn.Softmax(1), nn.GELU("tanh"), nn.ReLU(True)],
    ids=lambda layer: type(layer).__name__,
)
def test_repr_is_the_constructor(layer):
    assert repr(eval(f"nn.{layer!r}")) == repr(layer)


def test_hardtanh_needs_an_interval():
    with pytest.raises(ValueError, match="max_val must be larger"):
        nn.Hardtanh(1.0, 1.0)


# ---- dropout, embedding ----------------------------------------------------------------------------------------------


def test_dropout():
    ones = fastgrad.ones(100, 100)
    layer = nn.Dropout(0.25)
    y = value(layer(ones))
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / y.size))
    assert layer.eval()(ones) is ones
    assert value(nn.Dropout(1.0)(ones)).max() == 0
    x = fastgrad.ones(50, requires_grad=True)
    y = F.dropout(x)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()
    t = fastgrad.ones(5)
    assert F.dropout(t, inplace=True) is t
    for p in (-0.1, 1.5):
        with pytest.raises(ValueError, match="between 0 and 1"):
            nn.Dropout(p)


def test_dropout_follows_the_seed():
    draws = []
    for _ in range(2):
        fastgrad.manual_seed(3)
        draws.append(F.dropout(fastgrad.ones(64)).tolist())
    assert draws[0] == draws[1]


def test_embedding():
    layer = nn.Embedding(10, 3, padding_idx=-1)
    assert layer.weight[9].tolist() == [0.0, 0.0, 0.0]
    indices = fastgrad.tensor([[1, 9], [1, 4]])
    y = layer(indices)
    assert y.tolist() == [[layer.weight[i].tolist() for i in row] for row in indices.tolist()]
    y.sum().backward()
    grad = np.zeros((10, 3))
    grad[[1, 4]] = [[2.0], [1.0]]
    assert layer.weight.grad.tolist() == grad.tolist()
    assert repr(layer) == "Embedding(10, 3, padding_idx=9)"
    with pytest.raises(ValueError, match="padding_idx must be within"):
        nn.Embedding(3, 2, padding_idx=3)
    with pytest.raises(IndexError):
        layer(fastgrad.tensor([10]))


def test_embedding_from_pretrained():
    table = fastgrad.arange(6.0).reshape(3, 2)
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    assert layer(fastgrad.tensor(2)).tolist() == [4.0, 5.0]
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    with pytest.raises(ValueError, match="2-dimensional"):
        nn.Embedding.from_pretrained(fastgrad.ones(3))


# ---- normalisation ---------------------------------------------------------------------------------------------------


def normalised(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


@pytest.mark.parametrize(("shape", "axes"), [((6, 3), 0), ((6, 3, 4), (0, 2))])
def test_batch_norm(shape, axes):
    layer = nn.BatchNorm1d(3, momentum=0.2).double()
    x = array(*shape)
    close(layer(fastgrad.tensor(x)), normalised(x, axes), 1e-11)
    close(layer.running_mean, 0.2 * x.mean(axes), 1e-11)
    close(layer.running_var, 0.8 + 0.2 * x.var(axes, ddof=1), 1e-11)
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    per_channel = (3,) + (1,) * (len(shape) - 2)
    mean, var = (value(b).reshape(per_channel) for b in (layer.running_mean, layer.running_var))
    close(layer(fastgrad.tensor(x)), (x - mean) / np.sqrt(var + 1e-5), 1e-11)
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_averages_all_batches_without_momentum():
    layer = nn.BatchNorm1d(2, momentum=None).double()
    batches = [array(5, 2, seed=k) for k in range(3)]
    for batch in batches:
        layer(fastgrad.tensor(batch))
    close(layer.running_mean, np.mean([b.mean(0) for b in batches], 0))
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0.0, 0.0]
    assert layer.running_var.tolist() == [1.0, 1.0]
    assert layer.num_batches_tracked.item() == 0


def test_batch_norm_without_running_statistics_or_weights():
    layer = nn.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    x = array(5, 2)
    close(layer(fastgrad.tensor(x)), normalised(x, 0), 1e-11)
    assert list(layer.state_dict()) == []
    assert nn.BatchNorm1d(2, bias=False).bias is None
    full = nn.BatchNorm1d(2)
    assert list(full.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert repr(full) == "BatchNorm1d(2, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"
    with pytest.raises(ValueError, match="expected 2D or 3D input"):
        full(fastgrad.ones(2))


@pytest.mark.parametrize(("shape", "axes"), [(4, -1), ((3, 4), (-2, -1))])
def test_layer_norm(shape, axes):
    layer = nn.LayerNorm(shape, dtype=fastgrad.float64)
    with fastgrad.no_grad():
        layer.weight.copy_(tensor(*layer.normalized_shape, seed=1))
        layer.bias.copy_(tensor(*layer.normalized_shape, seed=2))
    x = array(2, 3, 4)
    close(layer(fastgrad.tensor(x)), normalised(x, axes) * value(layer.weight) + value(layer.bias), 1e-11)
    bare = nn.LayerNorm(shape, elementwise_affine=False)
    close(bare(fastgrad.tensor(x)), normalised(x, axes), 1e-11)
    assert list(bare.parameters()) == []
    assert nn.LayerNorm(shape, bias=False).bias is None


def test_rms_norm():
    layer = nn.RMSNorm(4, eps=1e-3, dtype=fastgrad.float64)
    x = array(2, 4)
    close(layer(fastgrad.tensor(x)), x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3))
    smallest = np.finfo(np.float64).eps
    close(
        nn.RMSNorm(4, elementwise_affine=False)(fastgrad.tensor(x)),
        x / np.sqrt((x**2).mean(-1, keepdims=True) + smallest),
    )
    assert repr(layer) == "RMSNorm((4,), eps=0.001, elementwise_affine=True)"


@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.LayerNorm, nn.RMSNorm])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_pass_normalisation(norm, training):
    """The derivative along a random direction of all parameters, on both sides of the layer, against differences."""
    net = nn.Sequential(nn.Linear(3, 8), norm(8), nn.Tanh(), nn.Linear(8, 1)).double().train(training)
    x, y = tensor(16, 3), tensor(16, 1, seed=1)
    F.mse_loss(net(x), y).backward()
    slopes = nn.utils.parameters_to_vector(p.grad for p in net.parameters())
    start = nn.utils.parameters_to_vector(net.parameters()).detach()
    direction = tensor(*start.shape, seed=2)

    def along(h):
        nn.utils.vector_to_parameters(start + h * direction, net.parameters())
        return F.mse_loss(net(x), y).item()

    net[1].momentum = 0.0  # the running statistics stay where they are
    assert (slopes * direction).sum().item() == pytest.approx((along(1e-6) - along(-1e-6)) / 2e-6, rel=1e-6)


# ---- functional ------------------------------------------------------------------------------------------------------


def test_functional_finds_ops_and_says_what_it_lacks():
    assert F.tanh is F.tanh
    assert F.relu(fastgrad.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]
    with pytest.raises(AttributeError, match="rellu"):
        F.rellu  # noqa: B018


def test_cosine_similarity():
    a, b = array(3, 4), array(3, 4, seed=1)
    expected = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    close(F.cosine_similarity(fastgrad.tensor(a), fastgrad.tensor(b)), expected)
    assert F.cosine_similarity(fastgrad.zeros(2), fastgrad.ones(2), dim=0).item() == 0.0


# ---- utils -----------------------------------------------------------------------------------------------------------


def with_gradients(*gradients):
    parameters = []
    for gradient in gradients:
        parameter = nn.Parameter(fastgrad.zeros(len(gradient), dtype=fastgrad.float64))
        parameter.grad = fastgrad.tensor(gradient, dtype=fastgrad.float64)
        parameters.append(parameter)
    return parameters


@pytest.mark.parametrize(("norm_type", "norm"), [(2.0, 13.0), (1.0, 19.0), (math.inf, 12.0)])
def test_clip_grad_norm(norm_type, norm):
    parameters = [*with_gradients([3.0, 4.0], [12.0]), nn.Parameter(fastgrad.zeros(1))]
    total = nn.utils.clip_grad_norm_(parameters, 2.0, norm_type)
    assert total.shape == ()
    assert total.item() == pytest.approx(norm)
    close(parameters[0].grad, np.array([3.0, 4.0]) * 2 / (norm + 1e-6))
    close(parameters[1].grad, np.array([12.0]) * 2 / (norm + 1e-6))
    assert parameters[2].grad is None


def test_clip_grad_norm_leaves_small_gradients_exactly():
    parameters = with_gradients([3.0, 4.0])
    nn.utils.clip_grad_norm_(iter(parameters), 10.0)
    assert parameters[0].grad.tolist() == [3.0, 4.0]
    assert nn.utils.clip_grad_norm_(parameters[0], 10.0).item() == 5.0
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0.0


def test_clip_grad_norm_of_infinite_gradients():
    parameters = with_gradients([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert parameters[0].grad.tolist() == [math.inf, 1.0]


def test_clip_grad_value():
    parameters = [*with_gradients([-3.0, 0.5, 4.0]), nn.Parameter(fastgrad.zeros(1))]
    nn.utils.clip_grad_value_(parameters, 1.0)
    assert parameters[0].grad.tolist() == [-1.0, 0.5, 1.0]


def test_parameters_to_vector_and_back():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (13,)
    assert vector[:6].tolist() == net[0].weight.flatten().tolist()
    nn.utils.vector_to_parameters(fastgrad.arange(13.0), net.parameters())
    assert net[0].bias.tolist() == [6.0, 7.0, 8.0]
    assert nn.utils.parameters_to_vector(net.parameters()).tolist() == list(range(13))
    with pytest.raises(RuntimeError, match="a vector of 13 elements"):
        nn.utils.vector_to_parameters(fastgrad.zeros(14), net.parameters())
    with pytest.raises(TypeError, match="expected a Tensor"):
        nn.utils.vector_to_parameters([0.0], net.parameters())
