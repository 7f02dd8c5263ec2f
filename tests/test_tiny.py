"""A tour of the library in two seconds: tensors, gradients, a network that learns, saving it."""

import copy

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn.functional as F
from fastgrad import nn, optim
from fastgrad.autograd import gradcheck, gradgradcheck
from fastgrad.datasets import load_digits, stratified_split
from fastgrad.utils.data import DataLoader, TensorDataset


def test_a_tensor_holds_numbers():
    x = fg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert (x.shape, x.dtype, x.ndim, x.numel()) == ((2, 3), fg.float32, 2, 6)
    assert (x * 2 + 1).tolist() == [[3, 5, 7], [9, 11, 13]]
    assert x.sum(dim=1).tolist() == [6, 15]
    assert (x @ x.T).tolist() == [[14, 32], [32, 77]]
    assert repr(fg.tensor([1.0, 2.5])) == "tensor([1.0000, 2.5000])"


def test_views_share_memory_with_their_tensor_and_with_numpy():
    array = np.arange(6.0)
    x = fg.from_numpy(array)
    row = x.view(2, 3)[1]
    row[0] = 10
    assert x[3].item() == array[3] == 10
    assert x.numpy() is not array
    assert np.shares_memory(x.numpy(), array)


def test_a_derivative():
    x = fg.tensor(2.0, requires_grad=True)
    y = x**3 + 4 * x
    y.backward()
    assert x.grad.item() == 3 * 2**2 + 4


def test_every_use_of_a_value_adds_to_its_gradient():
    x = fg.tensor(3.0, requires_grad=True)
    (x * x + x).backward()
    assert x.grad.item() == 7
    (2 * x).backward()
    assert x.grad.item() == 9


def test_the_derivative_of_a_derivative():
    x = fg.tensor(2.0, dtype=fg.float64, requires_grad=True)
    values = [x**4]
    for _ in range(4):
        (slope,) = fg.autograd.grad(values[-1], x, create_graph=True)
        values.append(slope)
    assert [value.item() for value in values] == [16, 32, 48, 48, 24]


def test_gradients_pass_through_broadcasting_indexing_and_assignment():
    w = fg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    h = w * fg.ones(2, 3)
    h[0] = 0  # what the first row depended on is overwritten
    h[1, 2] *= 5
    h.sum().backward()
    assert w.grad.tolist() == [1, 1, 5]


def test_no_grad_records_nothing():
    w = fg.ones(3, requires_grad=True)
    with fg.no_grad():
        assert not (w * 2).requires_grad
    assert (w * 2).requires_grad


def test_derivatives_can_be_checked_numerically():
    x = fg.randn(3, 4, dtype=fg.float64, requires_grad=True)
    assert gradcheck(lambda t: t.tanh().softmax(1), x)
    assert gradgradcheck(lambda t: t.tanh().softmax(1), x)


def test_an_error_says_what_is_wrong():
    with pytest.raises(RuntimeError, match=r"matmul.*\(4, 3\).*\(2, 5\)"):
        fg.ones(4, 3) @ fg.ones(2, 5)


def test_gradient_descent_finds_a_line():
    x = fg.linspace(-1, 1, 50)
    y = 3 * x - 0.5
    slope, offset = fg.zeros((), requires_grad=True), fg.zeros((), requires_grad=True)
    for _ in range(200):
        loss = ((slope * x + offset - y) ** 2).mean()
        loss.backward()
        with fg.no_grad():
            for parameter in (slope, offset):
                parameter -= 0.5 * parameter.grad
                parameter.grad = None
    assert slope.item() == pytest.approx(3, abs=1e-4)
    assert offset.item() == pytest.approx(-0.5, abs=1e-4)


def test_a_network_learns_to_read_digits(tmp_path):
    fg.manual_seed(0)
    images, labels = load_digits()
    train, test = stratified_split(labels)
    x, y = fg.tensor(images, dtype=fg.float32) / 16, fg.tensor(labels)
    loader = DataLoader(TensorDataset(x[train], y[train]), batch_size=32, shuffle=True)

    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = optim.AdamW(net.parameters(), lr=5e-3)
    for _ in range(5):
        for batch, target in loader:
            optimizer.zero_grad()
            F.cross_entropy(net(batch), target).backward()
            optimizer.step()
    with fg.no_grad():
        scores = net(x[test])
    assert (scores.argmax(1) == y[test]).float().mean().item() > 0.93

    fg.save(net.state_dict(), tmp_path / "net.npz")
    other = copy.deepcopy(net)
    nn.init.zeros_(other[0].weight)
    other.load_state_dict(fg.load(tmp_path / "net.npz"))
    assert fg.equal(other(x[test]), scores)
