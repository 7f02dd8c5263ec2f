"""Operations on all gradients or all parameters of a network at once. Imports the core."""

import math

from fastgrad import _core
from fastgrad._core import Tensor


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scales all gradients by one factor so that their total norm is at most `max_norm`.

    Args:
        parameters: an iterable of Tensors, or one; those without a gradient are passed over.
        max_norm: the largest norm allowed.
        norm_type: p of the p-norm, over all gradients as one vector; may be inf.
        error_if_nonfinite: whether a total norm of nan or inf is an error.
        foreach: accepted; all gradients are scaled in one native call in any case.

    Returns: the total norm before scaling, a 0-d Tensor.

    Raises: RuntimeError where the norm is not finite and `error_if_nonfinite`; no gradient is changed then.

    Example:
        >>> p = fg.nn.Parameter(fg.zeros(2))
        >>> p.grad = fg.tensor([3.0, 4.0])
        >>> fg.nn.utils.clip_grad_norm_([p], 1.0), p.grad
        (tensor(5.), tensor([0.6000, 0.8000]))
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    norm = _core.grad_norm(parameters, float(norm_type))
    if error_if_nonfinite and not math.isfinite(norm.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    _core.clip_grad_norm(parameters, norm, float(max_norm))
    return norm


def clip_grad_value_(parameters, clip_value, foreach=None):
    """Clamps every element of every gradient to [-clip_value, clip_value]; `foreach` is accepted.

    Example:
        >>> p = fg.nn.Parameter(fg.zeros(2))
        >>> p.grad = fg.tensor([3.0, -0.5])
        >>> fg.nn.utils.clip_grad_value_([p], 1.0)
        >>> p.grad
        tensor([ 1.0000, -0.5000])
    """
    _core.clip_grads_([parameters] if isinstance(parameters, Tensor) else list(parameters), float(clip_value))


def parameters_to_vector(parameters):
    """All elements of all Tensors as one vector, in order.

    Example:
        >>> fg.nn.utils.parameters_to_vector(fg.nn.Linear(2, 3).parameters()).shape
        fastgrad.Size([9])
    """
    return _core.cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec, parameters):
    """Copies the elements of `vec` into the Tensors, in order: the inverse of parameters_to_vector.

    Raises: TypeError if `vec` is no Tensor, RuntimeError if it has another number of elements; nothing is changed then.

    Example:
        >>> net = fg.nn.Linear(2, 1)
        >>> fg.nn.utils.vector_to_parameters(fg.tensor([1.0, 2.0, 3.0]), net.parameters())
        >>> net.weight.detach(), net.bias.detach()
        (tensor([[1., 2.]]), tensor([3.]))
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected a Tensor, but got {type(vec).__name__}")
    parameters = list(parameters)
    wanted = sum(parameter.numel() for parameter in parameters)
    if vec.dim() != 1 or vec.numel() != wanted:
        raise RuntimeError(
            f"vector_to_parameters: expected a vector of {wanted} elements, but got shape {tuple(vec.shape)}"
        )
    at = 0
    with _core.no_grad():
        for parameter in parameters:
            parameter.copy_(vec[at : at + parameter.numel()].view_as(parameter))
            at += parameter.numel()
