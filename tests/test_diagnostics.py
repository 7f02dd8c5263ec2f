"""Diagnostics on nets built to have each problem, on the remedies, and on healthy nets, for which they are silent."""

import math
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.datasets import load_digits
from fastgrad.diagnostics import AnomalyError, GradientMonitor, detect_anomaly, diagnose, lr_find
from fastgrad.diagnostics._diagnose import spectral_norm
from fastgrad.utils.data import DataLoader, TensorDataset

F = fg.nn.functional
nn = fg.nn


def batch(width=16, classes=4, n=32):
    fg.manual_seed(1)
    return fg.randn(n, width), fg.randint(0, classes, (n,))


def stack(depth, activation, width=16, classes=4, scale=None):
    """Linear layers with an activation between them; weights of variance scale^2 / width if given."""
    fg.manual_seed(0)
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        if scale is not None:
            nn.init.normal_(linear.weight, 0.0, scale / math.sqrt(width))
            nn.init.zeros_(linear.bias)
        layers += [linear, activation()]
    return nn.Sequential(*layers, nn.Linear(width, classes))


# ---- each problem, its remedy, and silence ---------------------------------------------------------------------------


def test_sigmoids_vanish_and_relu_helps():
    found = diagnose(stack(10, nn.Sigmoid), batch())
    assert found.problems == ["vanishing"]
    assert "Jacobian" in found.findings[0].evidence and "ReLU" in found.findings[0].remedy
    assert "1e-" not in str(diagnose(stack(10, nn.ReLU, scale=math.sqrt(2)), batch()).findings)
    assert diagnose(stack(10, nn.ReLU, scale=math.sqrt(2)), batch()).problems == []


def test_a_sigmoid_passes_a_quarter_at_most():
    norms = [layer.jacobian for layer in diagnose(stack(4, nn.Sigmoid), batch()).layers if layer.kind == "Sigmoid"]
    assert len(norms) == 4 and all(0.15 < n <= 0.2501 for n in norms)


class Skip(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


def deep_sigmoid(skips, depth=50, width=64):
    fg.manual_seed(0)
    blocks = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.normal_(linear.weight, 0.0, 1 / math.sqrt(width))
        block = nn.Sequential(linear, nn.Sigmoid())
        blocks.append(Skip(block) if skips else block)
    return nn.Sequential(*blocks, nn.Linear(width, 4))


def test_skip_connections_keep_the_gradient():
    def ratio(found):
        trained = [layer for layer in found.layers if layer.weights is not None]
        return trained[0].weights / trained[-2].weights

    data = batch(64)
    plain = diagnose(deep_sigmoid(False), data, jacobians=False, points=0)
    assert plain.problems == ["vanishing"] and ratio(plain) < 1e-20
    skipped = diagnose(deep_sigmoid(True), data, jacobians=False, points=0)
    assert "vanishing" not in skipped.problems and ratio(skipped) > 1e-3


def test_large_weights_explode_and_he_initialisation_helps():
    large = stack(12, nn.ReLU, scale=4.0)
    found = diagnose(large, batch(), F.cross_entropy)
    assert "exploding" in found.problems
    assert any(layer.jacobian > 1 for layer in found.layers if layer.jacobian)
    for m in large.modules():
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
    assert diagnose(large, batch()).problems == []


def test_dead_units_and_a_leaky_slope():
    net = stack(3, nn.ReLU, scale=1.0)
    with fg.no_grad():
        net[2].bias.fill_(-20.0)
    found = diagnose(net, batch(), points=0)
    assert "dead" in found.problems
    dead = next(f for f in found.findings if f.problem == "dead")
    assert "3" in dead.layers and "LeakyReLU" in dead.remedy
    assert next(layer for layer in found.layers if layer.name == "3").dead == 1.0
    net[3] = nn.LeakyReLU(0.01)
    assert "dead" not in diagnose(net, batch(), points=0).problems


def test_saturated_units_and_smaller_weights():
    found = diagnose(stack(2, nn.Tanh, scale=30.0), batch(), points=0)
    assert "saturated" in found.problems
    assert "saturated" not in diagnose(stack(2, nn.Tanh, scale=1.0), batch(), points=0).problems


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(width), nn.Linear(width, width)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        nn.init.zeros_(self.linear.bias)

    def forward(self, x):
        return x + 0.1 * self.linear(F.relu(self.norm(x)))


def test_deep_plain_nets_shatter_and_residual_ones_do_not():
    fg.manual_seed(0)
    residual = nn.Sequential(nn.Linear(16, 64), *(Residual(64) for _ in range(50)), nn.Linear(64, 4))
    plain = nn.Sequential(nn.Linear(16, 64), *stack(80, nn.ReLU, 64))
    fg.manual_seed(0)
    for m in plain.modules():
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.normal_(m.bias, 0.0, 0.1)
    found = diagnose(plain, batch(), jacobians=False)
    shattered = next(f for f in found.findings if f.problem == "shattered")
    assert "BatchNorm" in shattered.remedy
    helped = diagnose(residual, batch(), jacobians=False)
    assert helped.problems == [] and helped.autocorrelation > 0.6 > 0.2 > found.autocorrelation


def test_silent_on_healthy_nets():
    for net in (stack(2, nn.ReLU), stack(3, nn.Tanh, scale=1.0), nn.Sequential(nn.Linear(16, 4))):
        found = diagnose(net, batch())
        assert found.findings == [] and "no problem found" in str(found)


def test_it_leaves_the_model_alone():
    fg.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    x, y = batch()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    found = diagnose(net, (x, y))
    assert all(fg.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters()) and not x.requires_grad
    assert [layer.kind for layer in found.layers] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert "<table" in found.to_html() and "dead" in str(found)


def test_not_finite_is_named():
    net = stack(1, nn.ReLU)
    with fg.no_grad():
        net[0].weight[0, 0] = float("nan")
    assert diagnose(net, batch(), points=0, jacobians=False).problems == ["not finite"]


def test_spectral_norm_of_a_linear_map():
    w = np.random.default_rng(0).normal(size=(5, 3))
    x = fg.tensor(np.ones((1, 3)))
    found = spectral_norm(lambda v: v @ fg.tensor(w).T, x, steps=60)
    assert found == pytest.approx(np.linalg.norm(w, 2), rel=1e-6)


# ---- the monitor -----------------------------------------------------------------------------------------------------


def train(net, lr, steps=6):
    optimizer = fg.optim.SGD(net.parameters(), lr=lr)
    monitor = GradientMonitor(net)
    x, y = batch()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        monitor.record(loss)
        optimizer.step()
    return monitor


def test_monitor_measures_updates():
    net = stack(1, nn.ReLU)
    monitor = train(net, 0.1)
    assert len(monitor.losses) == 6 and monitor.findings() == []
    gradient, _, _ = monitor.history["0.weight"][-2]
    _, weight, update = monitor.history["0.weight"][-1]
    assert update == pytest.approx(0.1 * gradient, rel=1e-3)
    assert 0 < monitor.ratios()["0.weight"] < 0.1 and weight > 1
    assert "no problem found" in str(monitor)


def test_monitor_names_problems():
    assert "updates too large" in [f.problem for f in train(stack(1, nn.ReLU), 300.0).findings()]
    assert "vanishing" in [f.problem for f in train(stack(10, nn.Sigmoid), 0.01).findings()]


# ---- anomalies -------------------------------------------------------------------------------------------------------


def test_the_first_nan_forward():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, x):
            return (self.inner(x) * 0 - 1).sqrt()  # the line to be named

    net = nn.Sequential(Net())
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        net(fg.ones(3, 2))
    error = caught.value
    assert error.op == "sqrt" and error.module == "Sequential.0" and not error.backward
    assert "made NaN at index (0, 0)" in str(error) and "x0 (3, 2) from -1 to -1" in str(error)
    assert "the line to be named" in open_line(error.line)


def open_line(where):
    file, number = where
    with open(file, encoding="utf-8") as source:
        return source.read().splitlines()[number - 1]


def test_the_first_infinity_backward_names_the_forward_line():
    x = fg.tensor([0.0, 4.0], requires_grad=True)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        x.sqrt().sum().backward()  # the root of zero
    assert caught.value.backward and "the root of zero" in open_line(caught.value.line)
    assert "backward pass" in str(caught.value)


def test_what_came_in_is_not_blamed():
    scores = fg.randn(2, 3)
    with detect_anomaly():
        masked = scores.masked_fill(fg.tensor([True, False, False]), -math.inf)
        assert masked.softmax(1)[0, 0] == 0
        assert (fg.tensor([math.nan]) * 2).isnan().all()
    with pytest.raises(AnomalyError, match="softmax made NaN"), detect_anomaly():
        fg.full((2,), -math.inf).softmax(0)


def test_training_under_it_is_the_same_and_memory_stays():
    def run(check):
        net = stack(2, nn.Tanh)
        optimizer = fg.optim.Adam(net.parameters(), lr=1e-2)
        x, y = batch()
        with detect_anomaly(check):
            for _ in range(5):
                optimizer.zero_grad()
                F.cross_entropy(net(x), y).backward()
                optimizer.step()
        return [p.tolist() for p in net.parameters()]

    assert run(True) == run(False)


def test_it_ends_after_an_error():
    def fail():
        with detect_anomaly():
            fg.zeros(2).log()

    with pytest.raises(AnomalyError, match="log made -inf"):
        fail()
    assert fg.zeros(2).log().isinf().all()
    assert fg.detect_anomaly is detect_anomaly


# ---- learning rates --------------------------------------------------------------------------------------------------


def problem():
    fg.manual_seed(0)
    x = fg.randn(64, 8)
    return nn.Linear(8, 1), [(x, (x * fg.arange(8)).sum(1, keepdim=True))]


def test_lr_find_suggests_a_rate_that_trains():
    net, loader = problem()
    before = [p.tolist() for p in net.parameters()]
    found = lr_find(net, loader, F.mse_loss)
    assert [p.tolist() for p in net.parameters()] == before
    assert all(p.grad is None for p in net.parameters())
    assert found.stopped and 1e-3 < found.suggestion < 1
    optimizer = fg.optim.SGD(net.parameters(), lr=found.suggestion)
    first = last = F.mse_loss(net(loader[0][0]), loader[0][1]).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.mse_loss(net(loader[0][0]), loader[0][1])
        loss.backward()
        optimizer.step()
        last = loss.item()
    assert last < first / 10


@pytest.mark.parametrize(("optimizer", "low", "high"), [(fg.optim.SGD, 0.02, 0.5), (fg.optim.AdamW, 0.002, 0.05)])
@pytest.mark.parametrize("seed", [0, 1])
def test_lr_find_on_digits(optimizer, low, high, seed):
    images, labels = load_digits()
    x, y = fg.tensor(images, dtype=fg.float32) / 16, fg.tensor(labels)
    fg.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
    found = lr_find(net, loader, F.cross_entropy, optimizer=optimizer)
    assert low < found.suggestion < high and f"{found.suggestion:.2g}" in repr(found)
    assert len(found.losses) == len(found.raw) == len(found.rates)
    stepper = optimizer(net.parameters(), lr=found.suggestion)
    least = math.inf
    for _ in range(8):
        for a, b in loader:
            stepper.zero_grad()
            F.cross_entropy(net(a), b).backward()
            stepper.step()
        least = min(least, F.cross_entropy(net(x), y).item())
    assert least < 0.5


def test_lr_find_suggests_nothing_where_the_loss_does_not_fall():
    net, loader = problem()
    before = [p.tolist() for p in net.parameters()]
    found = lr_find(net, loader, lambda y, t: (y * 0).mean() + 1.0)
    assert found.suggestion is None and "the loss did not fall" in repr(found)
    assert "suggestion" not in found.to_svg() and [p.tolist() for p in net.parameters()] == before


def test_lr_find_refuses_nonsense():
    net, loader = problem()
    kept = [(p, p.detach().clone(), fg.ones_like(p)) for p in net.parameters()]
    for p, _, g in kept:
        p.grad = g

    def refused(kind, match, model=net, batches=loader, loss=F.mse_loss, **options):
        with pytest.raises(kind, match=match):
            lr_find(model, batches, loss, **options)
        assert all(p.grad is g and fg.equal(p, before) for p, before, g in kept)

    refused(ValueError, "low < high", low=1.0, high=0.1)
    refused(ValueError, "smoothing < 1", smoothing=1.0)
    refused(ValueError, "diverges > 1", diverges=0.5)
    refused(RuntimeError, "no finite number", loss=lambda y, t: (y - t).mean() * math.nan)
    refused(ValueError, "the loader has no batch", batches=[])
    refused(ValueError, "not a generator", batches=iter(loader))
    refused(TypeError, r"a pair \(inputs, targets\), got Tensor", batches=[loader[0][0]])
    refused(TypeError, "SGD that is made already", optimizer=fg.optim.SGD(net.parameters(), lr=0.1))
    refused(TypeError, "expected a Module, got function", model=lambda x: x)


def test_diagnose_refuses_nonsense():
    net, (x, y) = stack(1, nn.ReLU), batch()

    def refused(kind, match, model=net, pair=(x, y), loss=None, **options):
        with pytest.raises(kind, match=match):
            diagnose(model, pair, loss, **options)

    refused(TypeError, "expected a Module, got function", model=lambda x: x)
    refused(TypeError, r"a pair \(inputs, targets\), got Tensor", pair=x)
    refused(TypeError, r"a pair \(inputs, targets\), got 3 of them", pair=(x, y, y))
    refused(TypeError, "expected a Tensor of inputs, got ndarray", pair=(x.numpy(), y))
    refused(ValueError, "at least one input", pair=(x[:0], y[:0]))
    refused(ValueError, r"one number, got \(32,\)", loss=lambda out, t: F.cross_entropy(out, t, reduction="none"))
    refused(ValueError, "points should be 0", points=1)
    with fg.no_grad():
        assert diagnose(net, (x, y)).findings == []


def test_monitor_refuses_nonsense():
    with pytest.raises(TypeError, match="expected a Module, got int"):
        GradientMonitor(3)
    with pytest.raises(ValueError, match="nothing to follow"):
        GradientMonitor(stack(1, nn.ReLU).requires_grad_(False))
    monitor = GradientMonitor(stack(1, nn.ReLU))
    with pytest.raises(RuntimeError, match=r"call it after backward\(\)"):
        monitor.record(fg.tensor(1.0))
    assert monitor.losses == [] and not any(monitor.history.values())


def test_silent_where_units_are_off_by_chance_and_the_net_trains():
    # Five layers of PyTorch's initial weights map all digits to nearly one point, so half of the units are off for all.
    images, labels = load_digits()
    x, y = fg.tensor(images, dtype=fg.float32)[:64] / 16, fg.tensor(labels)[:64]
    for seed in range(6):
        fg.manual_seed(seed)
        layers = [m for _ in range(5) for m in (nn.Linear(64, 64), nn.ReLU())]
        assert diagnose(nn.Sequential(*layers, nn.Linear(64, 10)), (x, y), jacobians=False).problems == []


@pytest.mark.parametrize("what", ["diagnosis", "monitor", "rates"])
def test_plots_say_what_they_need(what, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    made = {
        "diagnosis": lambda: diagnose(stack(1, nn.ReLU), batch(), points=0, jacobians=False),
        "monitor": lambda: train(stack(1, nn.ReLU), 0.1, 2),
        "rates": lambda: lr_find(*problem(), F.mse_loss, steps=5),
    }[what]()
    with pytest.raises(ImportError, match="fastgrad\\[plot\\]"):
        made.plot()


def test_monitor_looks_at_activations_where_it_is_told_to():
    fg.manual_seed(0)
    net = fg.nn.Sequential(fg.nn.Linear(4, 8), fg.nn.ReLU(), fg.nn.Linear(8, 2))
    with fg.no_grad():
        net[0].bias.fill_(-100)
    monitor = GradientMonitor(net, activations=True)
    for _ in range(2):
        net.zero_grad()
        net(fg.randn(16, 4)).square().mean().backward()
        monitor.record()
    assert monitor.activations["1"] == [(0.0, 1.0), (0.0, 1.0)]
    assert monitor.activations["0"][0][0] > 50 and monitor.activations["0"][0][1] == 0
    assert "dead" in [f.problem for f in monitor.findings()]
    monitor.remove()
    net(fg.randn(16, 4))
    assert len(monitor.activations["1"]) == 2
    assert "<svg" in monitor.to_html() and "dead" in monitor._repr_html_()


def test_starvation_behind_a_maximum():
    class Largest(fg.nn.Module):
        def forward(self, x):
            return x.amax(1, keepdim=True)

    x = fg.zeros(6, 4)
    x[:, 1] = 1.0  # always the largest: the other three never get a gradient
    found = diagnose(Largest(), (x, fg.zeros(6, 1)), F.mse_loss)
    assert found.layers[0].starved == 0.75
    assert "starved" in str(found)
