"""Derivatives of what was recorded, the switches of recording, and checks of derivatives. Imports the core."""

from fastgrad._core import (
    Tensor,
    enable_grad,
    grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from fastgrad.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Adds to ``.grad`` of the leaves the gradients of the sum of `tensors`, each weighted by its entry of `grad_tensors`.

    Args:
        tensors: a Tensor or a sequence of them.
        grad_tensors: their gradients, of the same shapes; None, or None in the sequence, for scalars.
        retain_graph, create_graph, inputs: as for `Tensor.backward`.
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if grad_tensors is None:
        grad_tensors = [None] * len(tensors)
    elif isinstance(grad_tensors, Tensor):
        grad_tensors = [grad_tensors]
    if len(tensors) != len(grad_tensors):
        raise RuntimeError(f"backward: got {len(tensors)} tensors and {len(grad_tensors)} gradients")
    if len(tensors) == 1:
        tensors[0].backward(grad_tensors[0], retain_graph, create_graph, inputs)
        return
    if not tensors:
        raise RuntimeError("backward: got no tensors")
    for y, g in zip(tensors, grad_tensors, strict=True):
        if g is None and y.numel() != 1:
            raise RuntimeError(f"backward: a tensor of shape {tuple(y.shape)} is no scalar and needs its grad_tensors entry")
    parts = [y.sum() if g is None else (y * g).sum() for y, g in zip(tensors, grad_tensors, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    total.backward(None, retain_graph, create_graph, inputs)
