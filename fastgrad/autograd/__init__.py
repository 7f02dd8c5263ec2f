"""Derivatives of what was recorded, the switches of recording, and checks of derivatives. Imports the core."""

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
from fastgrad.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
