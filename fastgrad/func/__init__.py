"""Functions of functions: derivatives of every order and direction, and batches. Names and arguments as in torch.func.

Each takes a function and returns another; they nest in any order. See docs/derivatives.md for a tour.
"""

from fastgrad._near import missing as _missing
from fastgrad.func._jacobian import hessian, jacfwd, jacobian, jacrev, laplacian
from fastgrad.func._modules import functional_call, stack_module_state
from fastgrad.func._transforms import ggnvp, grad, grad_and_value, hvp, jvp, linearize, value_and_grad, vhp, vjp
from fastgrad.func._vmap import vmap

__all__ = [
    "functional_call",
    "ggnvp",
    "grad",
    "grad_and_value",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "laplacian",
    "linearize",
    "stack_module_state",
    "value_and_grad",
    "vhp",
    "vjp",
    "vmap",
]

__getattr__ = _missing(__name__, globals())
