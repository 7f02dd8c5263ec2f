"""Derivatives of what was recorded, the switches of recording, functions with a derivative of their own, and checks of
derivatives. Imports the core."""

from fastgrad._core import (
    Function,
    backward,
    enable_grad,
    grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from fastgrad._near import missing as _missing
from fastgrad.autograd import function, functional, graph
from fastgrad.autograd.custom import custom_jvp, custom_vjp
from fastgrad.autograd.function import once_differentiable
from fastgrad.autograd.gradcheck import GradcheckError, check_jvp, gradcheck, gradgradcheck
from fastgrad.autograd.verify import StepReport, verify_step

_nearest = _missing(__name__, globals())


def __getattr__(name):
    if name not in ("detect_anomaly", "set_detect_anomaly"):
        return _nearest(name)
    from fastgrad import diagnostics  # only for those who look for a NaN

    return getattr(diagnostics, name)


def Variable(data, requires_grad=False):  # noqa: N802
    """A Tensor that shares the memory of `data`, without its history: what scripts from before PyTorch 0.4 wrap tensors in."""
    return data.detach().requires_grad_(requires_grad)
