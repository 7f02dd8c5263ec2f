"""Optimizer, the base of all optimisers. Imports the core and _state.

A step is one native call per group. It takes the hyperparameters as one Tensor, the list of parameters, and for each kind
of state a list parallel to it: a Plan keeps these, derived from the group and from `optimizer.state`, while both are
unchanged.
"""

from itertools import chain

from fastgrad import _core
from fastgrad._core import MissingState, Tensor, multi_step
from fastgrad._core.plan import Clock, Noted, Plan, Plans
from fastgrad._near import check_keywords
from fastgrad.optim._state import State


class Optimizer:
    """The base class of optimisers: parameter groups, their state, and how both are saved.

    A subclass defines `_numbers`, `_native` and `_begin`.

    Args:
        params: an iterable of Tensors, or of dictionaries that each define a group: "params" and any hyperparameters
            that differ from the defaults.
        defaults: the hyperparameters of groups that do not say otherwise.

    `param_groups` is a list of dictionaries; what is assigned to `group["lr"]` holds from the next step on.
    `state` maps a parameter to the dictionary of its state.
    """

    def __new__(cls, *args, **kwargs):
        check_keywords(cls, kwargs)
        return super().__new__(cls)

    def __init__(self, params, defaults):
        if isinstance(params, Tensor) or not hasattr(params, "__iter__"):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, such as "
                f"net.parameters(), but got {type(params).__name__}"
            )
        self.defaults = defaults
        self._clock = Clock()  # by which plans learn of changes
        self._state = State(self._clock)
        self._groups = []
        self._plans = Plans()
        self._stepped = False  # schedulers warn if they step first
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    @property
    def state(self):
        """From parameter to the dictionary of its state; may be assigned to."""
        return self._state

    @state.setter
    def state(self, state):
        own = State(self._clock)
        own.clear()
        own.update(state)
        self._state = own

    @property
    def param_groups(self):
        """The groups, a list of dictionaries; may be assigned to."""
        return self._groups

    @param_groups.setter
    def param_groups(self, groups):
        self._groups = groups if type(groups) is list else list(groups)
        self._clock.tick()

    def add_param_group(self, param_group):
        """Adds a group, a dictionary of "params" and hyperparameters; those not given are the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError("optimizer parameters need to be organized in ordered collections, but got a set")
        params = list(params)
        for parameter in params:
            if not isinstance(parameter, Tensor):
                kind = type(parameter).__name__
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {kind}")
            if not parameter.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
        if len(params) != len(set(params)):
            raise ValueError("a parameter appears more than once in a parameter group")
        taken = set(chain.from_iterable(group["params"] for group in self.param_groups))
        if not taken.isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        group = Noted(self._clock)
        group.update(param_group, params=params)
        for name, default in self.defaults.items():
            group.setdefault(name, default)
        self._check_group(group)
        self.param_groups.append(group)

    def _check_group(self, group):
        """Raises ValueError where a hyperparameter is out of its range."""

    @staticmethod
    def _check_not_negative(group, *names):
        for name in names:
            if isinstance(group[name], str):  # as YAML gives 1e-3
                raise TypeError(f"{name} must be a number, got the string {group[name]!r}; use float()")
            if not group[name] >= 0:
                raise ValueError(f"Invalid {name}: {group[name]}; it must not be negative")

    _numbers = ()  # the hyperparameters on which the native call depends

    def _native(self, group):
        """The name of the group's native step, its hyperparameters as a list, and the keys of its state."""
        raise NotImplementedError

    def _begin(self, group, name, hyper):
        """Steps a group in which parameters have a gradient for the first time, and gives them their state."""
        raise NotImplementedError

    def step(self, closure=None):
        """Updates every parameter that has a gradient.

        Args:
            closure: a function that clears the gradients, computes the loss, differentiates it and returns it.

        Returns: what the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with _core.enable_grad():
                loss = closure()
        groups, plans = self._groups, self._plans
        done = plans.step(groups)
        while done < len(groups):
            plans.put(done, self._step_anew(done), groups[done]["params"])
            done = plans.step(groups, done + 1)
        self._stepped = True
        return loss

    def _step_anew(self, k):
        """Steps group `k`, which has no plan; returns the plan for the next time, or None."""
        group = self._groups[k]
        name, hyper, keys = self._native(group)
        hyper = _core.tensor([float(number) for number in hyper], dtype=_core.float64)
        arguments = self._arguments(group, name, hyper, keys)
        try:
            multi_step(*arguments)
        except MissingState:
            self._begin(group, name, hyper)
            arguments = self._arguments(group, name, hyper, keys)  # with the state that there now is
        numbers = tuple(group[key] for key in self._numbers)
        if not _comparable(numbers):
            _core.forbid_recorded("a step of an optimiser whose hyperparameters are not all numbers")
            return None
        return Plan(self, self._groups, k, self._numbers, numbers, self._clock, *arguments)

    def _arguments(self, group, name, hyper, keys):
        states = [self._state.get(parameter) or {} for parameter in group["params"]]
        return (name, hyper, group["params"], *([state.get(key) for state in states] for key in keys))

    def _renew(self, plan):
        """Brings a plan up to date where nothing but numbers has changed in its group; returns whether it holds then."""
        if plan.groups is not self._groups:
            return False
        group = plan.group
        numbers = tuple(group[key] for key in self._numbers)
        if not _comparable(numbers) or plan not in self._plans:
            return False
        name, hyper, keys = self._native(group)
        return plan.change(
            numbers, [float(number) for number in hyper], *self._arguments(group, name, plan.hyper, keys)
        )

    def zero_grad(self, set_to_none=True):
        """Clears all gradients: drops them, or fills them with zeros if `set_to_none` is false."""
        for group in self.param_groups:
            if set_to_none:
                _core.clear_grads(group["params"])
                continue
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.detach().zero_()

    # ---- saving ------------------------------------------------------------------------------------------------------

    def state_dict(self):
        """The state and the groups as plain dictionaries, in which a parameter is a number: its position in the groups.

        The Tensors are the optimiser's own; `copy.deepcopy` makes a snapshot.
        """
        at = {p: k for k, p in enumerate(chain.from_iterable(group["params"] for group in self.param_groups))}
        return {
            "state": {at.get(key, key): dict(value) for key, value in self.state.items()},
            "param_groups": [
                {
                    **{name: value for name, value in group.items() if name != "params"},
                    "params": [at[parameter] for parameter in group["params"]],
                }
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict):
        """Takes over what `state_dict()` of an optimiser with the same groups returned; Tensors are copied.

        State of floating point is converted to the dtype of its parameter, except "step".

        Raises: ValueError where the groups differ in number or size; nothing is changed then.
        """
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(groups)}, but the optimizer has {len(self.param_groups)}"
            )
        for k, (own, new) in enumerate(zip(self.param_groups, groups, strict=True)):
            if len(own["params"]) != len(new["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"{len(new['params'])} parameters in group {k}, but the optimizer has {len(own['params'])}"
                )
        own_params = chain.from_iterable(group["params"] for group in self.param_groups)
        parameters = dict(zip(chain.from_iterable(group["params"] for group in groups), own_params, strict=True))
        state = State(self._clock)
        for key, value in state_dict["state"].items():
            if key in parameters:
                parameter = parameters[key]
                state[parameter] = {name: _adopted(name, entry, parameter) for name, entry in value.items()}
            else:
                state[key] = value
        self._state = state
        for own, new in zip(self.param_groups, groups, strict=True):
            params = own["params"]
            own.clear()
            own.update(new, params=params)
        self._plans = Plans()

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "_plans"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._plans = Plans()

    def __repr__(self):
        lines = [f"{type(self).__name__} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines.extend(f"    {name}: {group[name]}" for name in sorted(group) if name != "params")
        return "\n".join([*lines, ")"])


def refuse_differentiable(differentiable):
    """Raises where a constructor was asked for a step that is recorded."""
    if differentiable:
        raise ValueError(
            "differentiable=True is not supported: a step is not recorded; update Tensors by operations instead, as in "
            "[p - lr * g for p, g in zip(params, autograd.grad(loss, params, create_graph=True))]"
        )


def _comparable(numbers):
    # A Tensor or a list may change in place, which no comparison shows.
    return all(isinstance(number, int | float | tuple) for number in numbers)


def _adopted(name, entry, parameter):
    if not isinstance(entry, Tensor):
        return entry
    convert = name != "step" and entry.dtype.is_floating_point and parameter.dtype.is_floating_point
    return entry.detach().to(parameter.dtype).clone() if convert else entry.detach().clone()
