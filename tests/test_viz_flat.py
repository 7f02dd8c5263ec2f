"""The tape written out as NumPy code gives the value and the gradients of the tape, for every op that has a NumPy form."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.viz import to_flat_numpy

_spec = importlib.util.spec_from_file_location("table_samples", Path(__file__).with_name("table.py"))
table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)

F = fg.nn.functional
# What draws random numbers or writes several parameters at once is no function of its inputs.
WITHOUT = {name for name, record in table.RECORDS.items() if record.numpy is None}


def ids(case):
    return f"{case[0]}-{case[1]}"


def double(values):
    return fg.tensor(values, dtype=fg.float64)


def test_all_families_but_the_random_ones_have_numpy_forms():
    """What has samples has a NumPy form; a family of kernels that NumPy has no words for may go without."""
    families = {"elementwise", "activation", "reduce", "linalg", "shape", "indexing", "rows"}
    sampled = {name for name, _ in table.cases() if table.RECORDS[name].family in families}
    assert len(sampled) > 120
    assert sampled & WITHOUT <= {"split"}  # written out as slices


@pytest.mark.parametrize("case", [c for c in table.cases(differentiable=True) if c[0] not in WITHOUT], ids=ids)
def test_value_and_gradients_of_every_op(case):
    name, k = case
    args, _ = table.samples(name)[k]
    xs = [double(a).requires_grad_() for a in table.real_arrays(args)]

    def total(*xs):
        ys = [y for y in table.call(name, k, xs) if y.dtype.is_floating_point]
        return sum(((y * y).sum() for y in ys[1:]), (ys[0] * ys[0]).sum())

    code = to_flat_numpy(total, *xs)
    with np.errstate(all="ignore"):
        value, gradients = code()
    y = total(*xs)
    expected = fg.autograd.grad(y, xs, allow_unused=True)
    np.testing.assert_allclose(value, y.item(), rtol=1e-12)
    found = [gradients.get(f"xs{i}") for i in range(len(xs))]
    for g, e in zip(found, expected, strict=True):
        assert (g is None) == (e is None)
        if e is not None:
            np.testing.assert_allclose(g, e.numpy(), rtol=1e-10, atol=1e-12)


def exactly(code, value, **gradients):
    got, found = code()
    assert np.array_equal(got, value)
    assert set(found) == set(gradients)
    for name, expected in gradients.items():
        assert np.array_equal(found[name], expected), name


def test_sum_times_a_number():
    code = to_flat_numpy(lambda x, y, z: (x + y) * z, double(-2.0), double(5.0), double(-4.0))
    exactly(code, -12, x=-4, y=-4, z=3)


def test_relu_with_a_given_upstream():
    code = to_flat_numpy(lambda x: (F.relu(x) * double([4.0, -1.0, 5.0, 9.0])).sum(), double([1.0, -2.0, 3.0, -1.0]))
    exactly(code, 4 + 15, x=[4, 0, 5, 0])


def test_matrix_product_with_a_given_upstream():
    upstream = double([[2.0, 3.0, -3.0, 9.0], [-8.0, 1.0, 4.0, 6.0]])
    x = double([[2.0, 1.0, -3.0], [-3.0, 4.0, 2.0]])
    w = double([[3.0, 2.0, 1.0, -1.0], [2.0, 1.0, 3.0, 2.0], [3.0, 2.0, 1.0, -2.0]])
    code = to_flat_numpy(lambda x, w: (x @ w * upstream).sum(), x, w)
    assert "x @ w" in str(code)
    _, gradients = code()
    assert np.array_equal(gradients["x"], [[0, 16, -9], [-24, 9, -30]])
    assert np.array_equal(gradients["w"], [[28, 3, -18, 0], [-30, 7, 13, 33], [-22, -7, 17, -15]])


def test_a_neuron():
    code = to_flat_numpy(
        lambda w, x: F.sigmoid((w[:2] * x).sum() + w[2]), double([2.0, -3.0, -3.0]), double([-1.0, -2.0])
    )
    value, gradients = code()
    np.testing.assert_allclose(value, 0.7310585786, rtol=1e-9)
    np.testing.assert_allclose(gradients["w"], [-0.1966119332, -0.3932238665, 0.1966119332], rtol=1e-9)
    np.testing.assert_allclose(gradients["x"], [0.3932238665, -0.5898357997], rtol=1e-9)


def test_a_net_with_a_dead_neuron():
    def loss(W1, W2):
        y = W2 @ F.relu(W1 @ double([1.0, 2.0]))
        return (y - 1) ** 2

    code = to_flat_numpy(loss, double([[0.5, 0.25], [-1.0, 0.25]]), double([2.0, -1.0]))
    exactly(code, 1, W1=[[4, 8], [0, 0]], W2=[2, 0])


@pytest.mark.parametrize(
    ("function", "inputs", "gradients"),
    [
        (lambda x, y: (x + y) * 2, (3.0, 4.0), (2, 2)),
        (lambda x, y: x * y * 5, (2.0, 3.0), (15, 10)),
        (lambda x, y: fg.maximum(x, y) * 9, (4.0, 5.0), (0, 9)),
        (lambda x: x * 4 + x * 2, (7.0,), (6,)),
        (lambda x: x.reciprocal(), (2.0,), (-0.25,)),
    ],
)
def test_gates(function, inputs, gradients):
    _, found = to_flat_numpy(function, *map(double, inputs))()
    assert tuple(found.values()) == gradients


def test_a_module_and_its_parameters():
    fg.manual_seed(0)
    net = fg.nn.Sequential(fg.nn.Linear(3, 4), fg.nn.LayerNorm(4), fg.nn.GELU(), fg.nn.Linear(4, 2)).double()
    x, labels = fg.randn(5, 3).double(), fg.tensor([0, 1, 0, 1, 1])
    code = to_flat_numpy(lambda x, labels: F.cross_entropy(net(x), labels), x, labels, names=net)
    value, gradients = code()
    loss = F.cross_entropy(net(x), labels)
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-12)
    assert "x" not in gradients  # it does not require grad
    for name, parameter in net.named_parameters():
        got = gradients["net_" + name.replace(".", "_")]
        np.testing.assert_allclose(got, parameter.grad.numpy(), rtol=1e-9, atol=1e-13)
    other, _ = code(x=x.numpy() * 2)
    np.testing.assert_allclose(other, F.cross_entropy(net(x * 2), labels).item(), rtol=1e-12)


def test_parameters_without_a_name_are_found():
    w = double([1.0, 2.0]).requires_grad_()
    _, gradients = to_flat_numpy(lambda: (w * w).sum())()
    (g,) = gradients.values()
    assert np.array_equal(g, [2, 4])


def test_a_buffer_filled_in_place():
    def fill(x):
        y = fg.zeros(2, 3, dtype=fg.float64)
        y[0] = x * 2
        y[1, 1:] += x[1:] * 3
        return (y * y).sum()

    x = double([1.0, -2.0, 0.5]).requires_grad_()
    _, gradients = to_flat_numpy(fill, x)()
    fill(x).backward()
    np.testing.assert_allclose(gradients["x"], x.grad.numpy(), rtol=1e-13)


def test_dropout_keeps_what_was_drawn():
    fg.manual_seed(3)
    x = fg.ones(20, dtype=fg.float64, requires_grad=True)
    code = to_flat_numpy(lambda x: (F.dropout(x, 0.5) * x).sum(), x)
    value, gradients = code()
    assert 0 < value < 40
    assert np.array_equal(gradients["x"].nonzero(), (gradients["x"] == 4).nonzero())


def test_a_result_without_history_is_an_error():
    with pytest.raises(RuntimeError, match="does not require grad"):
        to_flat_numpy(lambda x: x.detach(), fg.ones(2))
    with pytest.raises(TypeError, match="must return one Tensor"):
        to_flat_numpy(lambda x: (x, x), fg.ones(2))
