"""Adam and AdamW. Imports Optimizer and the core."""

from fastgrad import _core
from fastgrad.optim.optimizer import Optimizer, refuse_differentiable


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015).

    With gradient g (negated if `maximize`), betas b1 and b2, weight decay l, at step t:
    g <- g + l p, or p <- p - lr l p if decoupled;  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
    p <- p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps), with the largest v so far if `amsgrad` (Reddi et al.
    2018).

    Args:
        params: Tensors or groups, see Optimizer.
        lr: the step size.
        betas, eps, weight_decay, amsgrad, maximize: as above.
        decoupled_weight_decay: whether weight decay acts on p, as in AdamW, or on g.
        foreach, fused, capturable: accepted; a step is one native call in any case.
        differentiable: False; for steps that are differentiated, update Tensors by operations.

    Example:
        >>> p = fg.nn.Parameter(fg.tensor([1.0]))
        >>> optimizer = fg.optim.Adam([p], lr=0.1)
        >>> (p * 2).sum().backward()
        >>> optimizer.step()
        >>> p.detach()
        tensor([0.9000])
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        maximize=False,
        decoupled_weight_decay=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        refuse_differentiable(differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    _numbers = ("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay", "maximize", "amsgrad")

    def _check_group(self, group):
        self._check_not_negative(group, "lr", "eps", "weight_decay")
        for k, beta in enumerate(group["betas"]):
            if not 0 <= beta < 1:
                raise ValueError(f"Invalid beta parameter at index {k}: {beta}")

    def _native(self, group):
        lr, betas, eps, weight_decay, decoupled, maximize, amsgrad = (group[key] for key in self._numbers)
        hyper = (lr, *betas, eps, weight_decay, decoupled, maximize)
        if amsgrad:
            return "adam_amsgrad_", hyper, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step")
        return "adam_", hyper, ("exp_avg", "exp_avg_sq", "step")

    def _begin(self, group, name, hyper):
        keys = self._native(group)[2]
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self._state[parameter]
            for key in keys:
                if key not in state:
                    is_step = key == "step"
                    state[key] = _core.zeros((), dtype=_core.float32) if is_step else _core.zeros_like(parameter)
        _core.multi_step(*self._arguments(group, name, hyper, keys))


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): p <- p - lr l p before the step of Adam.

    Args: as of Adam; `weight_decay` is 0.01 where not given.

    Example:
        >>> p = fg.nn.Parameter(fg.tensor([1.0]))
        >>> optimizer = fg.optim.AdamW([p], lr=0.1, weight_decay=0.5)
        >>> (p * 2).sum().backward()
        >>> optimizer.step()
        >>> p.detach()
        tensor([0.8500])
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
        foreach=None,
        capturable=False,
        differentiable=False,
        fused=None,
    ):
        refuse_differentiable(differentiable)
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)
