"""verify_step: all parameters moved at once."""

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn as nn
from fastgrad.autograd import Function, GradcheckError, verify_step


class WrongTanh(Function):
    """A tanh whose derivative is wrong at element (0, 1)."""

    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        wrong = fg.zeros_like(y)
        wrong[0, 1] = 0.25
        return g * (1 - y * y + wrong)


class Net(nn.Module):
    """The 2-2-1 ReLU net of the worked example."""

    def __init__(self, activation=fg.relu):
        super().__init__()
        self.first = nn.Parameter(fg.tensor([[0.5, 0.25], [-1.0, 0.25]], dtype=fg.float64))
        self.second = nn.Parameter(fg.tensor([2.0, -1.0], dtype=fg.float64))
        self.activation = activation

    def loss(self):
        x = fg.tensor([1.0, 2.0], dtype=fg.float64)
        y = self.activation((self.first * x).sum(1).reshape(1, 2)) @ self.second
        return ((y - 1) ** 2).sum()


def test_the_worked_example():
    net = Net()
    report = verify_step(net, net.loss, 0.001)
    assert report.loss == 1
    np.testing.assert_allclose((report.predicted, report.actual), (0.014, 0.0140550420), atol=5e-11)
    report = verify_step(net, net.loss, 0.001, direction="gradient")
    np.testing.assert_allclose((report.predicted, report.actual), (-0.084, -0.0821593584), atol=5e-11)
    assert net.first.grad is None
    assert net.first.tolist() == [[0.5, 0.25], [-1.0, 0.25]] and net.second.tolist() == [2.0, -1.0]


def test_a_wrong_derivative_is_named():
    net = Net(WrongTanh.apply)
    message = (
        r"moved along all parameters, the loss changes by \S+, but its gradient predicts \S+; the furthest apart is "
        r"first\[1, 1\], read first by \w*[mM]ul\w*: its derivative is (\S+), but finite differences say (\S+)"
    )
    with pytest.raises(GradcheckError, match=message):
        verify_step(net, net.loss)
    assert net.first.tolist() == [[0.5, 0.25], [-1.0, 0.25]]
    assert verify_step(net, net.loss, rtol=10.0).loss > 0


def test_random_numbers_are_the_same_in_each_call_and_float32_works():
    fg.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 1))
    x = fg.randn(32, 4)
    report = verify_step(net, lambda: net(x).square().mean(), 1e-2, rtol=1e-2)
    assert abs(report.predicted - report.central) < 1e-2 * abs(report.central) + 1e-5


def test_errors():
    w = fg.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="the loss must be a Tensor of one element"):
        verify_step([w], lambda: w)
    with pytest.raises(ValueError, match="no parameter requires grad"):
        verify_step([w.detach()], lambda: w.sum())
    with pytest.raises(ValueError, match="direction must be"):
        verify_step([w], lambda: w.sum(), direction="up")
