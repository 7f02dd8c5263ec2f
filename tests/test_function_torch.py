"""Custom functions against torch.func, where PyTorch is installed."""

import importlib.util

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F
from fastgrad.autograd import Function


def in_two_libraries(fg, F, Function, t):
    """name -> function of nothing, the same program for two libraries."""

    class Cube(Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, k):
            return x**3 * k, x.sign()

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.k = inputs
            ctx.mark_non_differentiable(output[1])
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)

        @staticmethod
        def backward(ctx, g, _):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x * ctx.k, None

        @staticmethod
        def jvp(ctx, t, _):
            (x,) = ctx.saved_tensors
            return t * 3 * x * x * ctx.k, None

    f = lambda x: Cube.apply(x, 2.0)[0]  # noqa: E731
    total = lambda x: (f(x).sin() * x).sum()  # noqa: E731
    x, v, X = t(np.linspace(0.5, 1, 4)), t(np.linspace(-1, 1, 4)), t(np.linspace(0.2, 1.1, 12).reshape(3, 4))
    tangent = lambda g, x: F.jvp(g, (x,), (v,))[1]  # noqa: E731
    return {
        "jvp": lambda: tangent(f, x),
        "vmap": lambda: F.vmap(f)(X),
        "vmap grad": lambda: F.vmap(F.grad(total))(X),
        "hessian": lambda: F.hessian(total)(x),
        "jvp grad": lambda: tangent(F.grad(total), x),
        "grad jvp": lambda: F.grad(lambda x: tangent(total, x))(x),
        "jacfwd jacrev": lambda: F.jacfwd(F.jacrev(f))(x),
        "vmap jvp grad": lambda: F.vmap(lambda x: tangent(F.grad(total), x))(X),
        "vmap vmap": lambda: F.vmap(F.vmap(f))(X),
        "grad jvp grad": lambda: F.grad(lambda x: (tangent(F.grad(total), x) * v).sum())(x),
        "vmap vmap grad": lambda: F.vmap(F.vmap(F.grad(f)))(X),
    }


MINE = in_two_libraries(fg, F, Function, lambda a: fg.tensor(a))


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", sorted(MINE))
def test_as_torch_func(name):
    import torch

    its = in_two_libraries(torch, torch.func, torch.autograd.Function, torch.tensor)[name]()
    np.testing.assert_allclose(MINE[name]().numpy(), its.detach().numpy(), rtol=1e-11, atol=1e-13)
