"""What a script written for PyTorch says whatever device it runs on: it may be said here too, and changes nothing."""

import importlib

import pytest

import fastgrad as torch
from fastgrad import nn


def test_switches_of_other_devices_may_be_set():
    cudnn = importlib.import_module("fastgrad.backends.cudnn")
    cudnn.benchmark, cudnn.deterministic = True, True
    assert torch.backends.cudnn is cudnn
    assert not (cudnn.is_available() or torch.backends.mps.is_available() or torch.backends.mps.is_built())
    state = torch.get_rng_state()
    torch.cuda.manual_seed(0), torch.cuda.manual_seed_all(0), torch.cuda.empty_cache(), torch.cuda.synchronize()
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("high")
    assert torch.equal(state, torch.get_rng_state())
    with pytest.raises(ValueError, match="'highest', 'high' or 'medium', got 'low'"):
        torch.set_float32_matmul_precision("low")


def test_a_module_on_a_gpu_is_refused():
    with pytest.raises(RuntimeError, match="CPU only"):
        nn.Linear(2, 2).cuda()


def test_parameter_has_its_module():
    assert importlib.import_module("fastgrad.nn.parameter").Parameter is nn.parameter.Parameter is nn.Parameter


def test_slips_are_named():
    net = nn.Linear(2, 3)
    for params, kind in ((net, "Linear"), (net.parameters, "method"), (torch.ones(2), "Tensor")):
        with pytest.raises(TypeError, match=rf"such as net.parameters\(\), but got {kind}"):
            torch.optim.SGD(params, lr=0.1)
    for make in (torch.optim.SGD, torch.optim.AdamW):
        with pytest.raises(TypeError, match="lr must be a number, got the string '1e-3'"):
            make(net.parameters(), lr="1e-3")
    weights = {name: t.numpy() for name, t in net.state_dict().items()}
    with pytest.raises(RuntimeError, match=r'"weight", but got numpy.ndarray; fastgrad.as_tensor makes one of it'):
        net.load_state_dict(weights)
    net.load_state_dict({name: torch.as_tensor(a) for name, a in weights.items()})
    with pytest.raises(torch.ShapeError, match=r"class labels are integers: convert them with .long\(\)"):
        nn.functional.cross_entropy(torch.zeros(5, 3), torch.zeros(5))


def test_anomaly_detection_is_switched_on_and_off():
    zero = torch.tensor(0.0, requires_grad=True)
    torch.autograd.set_detect_anomaly(True)
    try:
        with pytest.raises(torch.diagnostics.AnomalyError, match="log made -inf"):
            zero.log()
        with torch.autograd.set_detect_anomaly(False):
            zero.log()
        with pytest.raises(torch.diagnostics.AnomalyError):
            zero.log()
    finally:
        torch.autograd.set_detect_anomaly(False)
    zero.log()
    with pytest.raises(torch.diagnostics.AnomalyError), torch.autograd.detect_anomaly():
        zero.log()
    with pytest.raises(AttributeError, match="did you mean 'gradcheck'"):
        torch.autograd.gradchek  # noqa: B018
