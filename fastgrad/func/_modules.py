"""Modules as functions of their parameters, and ensembles of them. Imports the core."""

from fastgrad import _core
from fastgrad._core import Tensor


def functional_call(module, parameter_and_buffer_dicts, args=None, kwargs=None, *, tie_weights=True, strict=False):
    """Calls a module with other values for its parameters and buffers; the module is left as it was.

    Args:
        module: an `nn.Module`.
        parameter_and_buffer_dicts: a dict from names as in ``named_parameters()`` to Tensors, or a tuple of such dicts.
            What is not named keeps its value.
        args: the positional arguments, a tuple; anything else is the only one. kwargs: a dict of named ones.
        tie_weights: where the module has one tensor under several names, one value is for all of them.
        strict: raise RuntimeError where a name is missing.

    Raises KeyError for a name that the module does not have.

    >>> import fastgrad as fg
    >>> layer = fg.nn.Linear(2, 1)
    >>> values = {"weight": fg.ones(1, 2), "bias": fg.zeros(1)}
    >>> fg.func.functional_call(layer, values, fg.tensor([3.0, 4.0]))
    tensor([7.])
    """
    if isinstance(parameter_and_buffer_dicts, dict):
        values = dict(parameter_and_buffer_dicts)
    else:
        values = {}
        for one in parameter_and_buffer_dicts:
            twice = values.keys() & one.keys()
            if twice:
                raise ValueError(f"functional_call: {sorted(twice)} given in more than one dict")
            values.update(one)
    own = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    unknown = values.keys() - own.keys()
    if unknown:
        raise KeyError(f"functional_call: {sorted(unknown)} are neither parameters nor buffers of the module")
    if tie_weights:
        by_tensor = {}
        for name in values:
            first = by_tensor.setdefault(id(own[name]), name)
            if values[first] is not values[name]:
                raise ValueError(
                    f"functional_call: {first!r} and {name!r} are one tensor in the module but were given different "
                    f"values; pass tie_weights=False"
                )
        for name, tensor in own.items():
            if name not in values and id(tensor) in by_tensor:
                values[name] = values[by_tensor[id(tensor)]]
    if strict and own.keys() - values.keys():
        raise RuntimeError(f"functional_call: values are missing for {sorted(own.keys() - values.keys())}")
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    before = []
    try:
        for name, value in values.items():
            if type(value) is not Tensor:
                raise TypeError(f"functional_call: the value of {name!r} must be a Tensor, got {type(value).__name__}")
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path)
            _core.module_replaced(owner)
            holder = owner.__dict__
            before.append((holder, last, holder[last]))
            holder[last] = value
        return module(*args, **(kwargs or {}))
    finally:
        for holder, last, value in reversed(before):
            holder[last] = value


def stack_module_state(models):
    """The parameters and buffers of modules of one kind, stacked: (dict of parameters, dict of buffers).

    With `vmap` and `functional_call` an ensemble then runs at once. The stacked parameters are leaves that require grad.

    >>> import fastgrad as fg
    >>> params, buffers = fg.func.stack_module_state([fg.nn.Linear(2, 3) for _ in range(4)])
    >>> params["weight"].shape
    fastgrad.Size([4, 3, 2])
    """
    models = list(models)
    if not models:
        raise RuntimeError("stack_module_state: expected at least one model")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: the models must be of one class")
    if any(m.training != models[0].training for m in models):
        raise RuntimeError("stack_module_state: the models must all be in training or all in evaluation mode")
    stack = _core.functions["stack"]

    def stacked(kind):
        states = [dict(getattr(m, kind)()) for m in models]
        if any(state.keys() != states[0].keys() for state in states):
            raise RuntimeError("stack_module_state: the models have different names")
        return {name: stack([state[name].detach() for state in states]) for name in states[0]}

    params = {
        name: value.requires_grad_(dict(models[0].named_parameters())[name].requires_grad)
        for name, value in stacked("named_parameters").items()
    }
    return params, stacked("named_buffers")
