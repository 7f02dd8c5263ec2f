"""Adam and AdamW. Imports Optimizer and the core."""

from operator import itemgetter

from fastgrad import _core
from fastgrad.optim.optimizer import Optimizer

_numbers = itemgetter("lr", "betas", "eps", "weight_decay", "decoupled_weight_decay", "maximize")
_KEYS = ("exp_avg", "exp_avg_sq", "step")
_AMSGRAD_KEYS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step")


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
    ):
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

    def _check_group(self, group):
        for name in ("lr", "eps", "weight_decay"):
            if not group[name] >= 0:
                raise ValueError(f"Invalid {name}: {group[name]}; it must not be negative")
        for k, beta in enumerate(group["betas"]):
            if not 0 <= beta < 1:
                raise ValueError(f"Invalid beta parameter at index {k}: {beta}")

    def _step_group(self, group, derived):
        params = group["params"]
        name, keys = ("adam_amsgrad_", _AMSGRAD_KEYS) if group["amsgrad"] else ("adam_", _KEYS)
        hyper = derived.hyper_of(_numbers(group))
        try:
            _core.multi_step(name, hyper, params, *derived.lists_of(keys, params, self._state))
        except _core.MissingState:
            self._make_state(params, keys)
            _core.multi_step(name, hyper, params, *derived.lists_of(keys, params, self._state))

    def _make_state(self, params, keys):
        for parameter in params:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            for key in keys:
                if key not in state:
                    is_step = key == "step"
                    state[key] = _core.zeros((), dtype=_core.float32) if is_step else _core.zeros_like(parameter)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): p <- p - lr l p before the step of Adam.

    Args: as of Adam; `weight_decay` is 0.01 where not given.
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)
