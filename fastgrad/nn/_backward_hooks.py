"""Functions that run in the backward pass of a module. Imports the core.

A call of a module with such hooks is put between two identities on the tape, one on its inputs and one on its outputs.
Each is one node for all of its Tensors, so that its hook sees all their gradients at once.
"""

from fastgrad import _core
from fastgrad._core import Tensor


class BackwardCall:
    """One forward call of a module that has backward hooks."""

    def __init__(self, module, before, after):
        self.module = module
        self.before = before
        self.after = after

    def enter(self, args):
        """The arguments, behind an identity whose backward runs the hooks on the gradients of the inputs."""
        tensors = {k: arg for k, arg in enumerate(args) if isinstance(arg, Tensor)}
        self.inputs = len(args)
        self.taped = any(tensor.requires_grad for tensor in tensors.values())
        through = dict(zip(tensors, _Identity.apply(self._after, *tensors.values()), strict=True))
        self.positions = tuple(tensors)
        return tuple(through.get(k, arg) for k, arg in enumerate(args))

    def leave(self, output):
        """The output, behind an identity whose backward runs the hooks on its gradients."""
        if isinstance(output, Tensor):
            return _Identity.apply(self._before, output)[0]
        if isinstance(output, tuple) and all(isinstance(part, Tensor) for part in output):
            return _Identity.apply(self._before, *output)
        raise TypeError(
            f"for its backward hooks, {type(self.module).__name__} must return a Tensor or a tuple of Tensors, "
            f"but got {type(output).__name__}"
        )

    def _before(self, grad_output):
        for hook in tuple(self.before.values()):
            grad_output = _replaced(hook(self.module, grad_output), grad_output)
        self.grad_output = grad_output
        if not self.taped:
            self._run((None,) * self.inputs)
        return grad_output

    def _after(self, grads):
        grad_input = dict(zip(self.positions, grads, strict=True))
        grad_input = self._run(tuple(grad_input.get(k) for k in range(self.inputs)))
        return tuple(grad_input[k] for k in self.positions)

    def _run(self, grad_input):
        for hook in tuple(self.after.values()):
            grad_input = _replaced(hook(self.module, grad_input, self.grad_output), grad_input)
        return grad_input


class _Identity(_core.Function):
    @staticmethod
    def forward(ctx, run, *tensors):
        ctx.run = run
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx, *grads):
        return (None, *ctx.run(grads))


def _replaced(result, grads):
    if result is None:
        return grads
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(grads):
        raise RuntimeError(f"a backward hook returned {len(result)} gradients, but {len(grads)} were expected")
    return result
