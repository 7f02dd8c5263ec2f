"""Stochastic gradient descent. Imports Optimizer and the core."""

from fastgrad import _core
from fastgrad._core import multi_step
from fastgrad.optim.optimizer import Optimizer, refuse_differentiable


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Polyak 1964; Nesterov's as in Sutskever et al. 2013).

    With gradient g (negated if `maximize`), weight decay l, momentum m, dampening d:
    g <- g + l p;  b <- m b + (1 - d) g (b <- g at first);  g <- g + m b if nesterov, else b;  p <- p - lr g.

    Args:
        params: Tensors or groups, see Optimizer.
        lr: the step size.
        momentum, dampening, weight_decay, nesterov, maximize: as above.
        foreach, fused: accepted; a step is one native call in any case.
        differentiable: False; for steps that are differentiated, update Tensors by operations.

    Example:
        >>> p = fg.nn.Parameter(fg.tensor([1.0]))
        >>> optimizer = fg.optim.SGD([p], lr=0.1, momentum=0.9)
        >>> (p * 2).sum().backward()
        >>> optimizer.step()
        >>> p.detach()
        tensor([0.8000])
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
        foreach=None,
        differentiable=False,
        fused=None,
    ):
        refuse_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    _numbers = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")

    def _check_group(self, group):
        self._check_not_negative(group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _native(self, group):
        if group["momentum"]:
            return "sgd_momentum_", [group[key] for key in self._numbers], ("momentum_buffer",)
        return "sgd_", (group["lr"], group["weight_decay"], group["maximize"]), ()

    def _begin(self, group, name, hyper):
        # A buffer starts as the gradient, not as a share of it.
        known, new = [], []
        for parameter in group["params"]:
            has_buffer = self._state.get(parameter, {}).get("momentum_buffer") is not None
            (known if has_buffer or parameter.grad is None else new).append(parameter)
        for parameter in new:
            self._state[parameter]["momentum_buffer"] = _core.empty_like(parameter)
        for step, some in ((name, known), ("sgd_momentum_first_", new)):
            buffers = [self._state.get(parameter, {}).get("momentum_buffer") for parameter in some]
            multi_step(step, hyper, some, buffers)
