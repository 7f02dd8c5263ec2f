"""Functions with a derivative of their own, as decorators: `custom_vjp` and `custom_jvp`. Imports the core.

Both are a `Function` underneath, and right to every order: where the backward pass is itself recorded, what forward computed
without recording is computed again from the arguments. (A `Function` that saves an intermediate result makes it a constant
of the second derivative; these do not.)
"""

import functools

from fastgrad._core import DTypeError, Function, ShapeError, Tensor, get_rng_state, is_grad_enabled, no_grad, zeros_like
from fastgrad._core.function import is_differentiated
from fastgrad._tree import flatten, unflatten


def _is_real(x):
    return type(x) is Tensor and x.is_floating_point()


_SAVED = object()  # stands for a Tensor that save_for_backward has


def _without_tensors(values):
    return [_SAVED if type(x) is Tensor else x for x in values]


def _with_tensors(values, saved):
    return [next(saved) if x is _SAVED else x for x in values]


def _given_back(found, args, who):
    """What a rule returned for each argument, as one gradient for each leaf of the arguments."""
    if not isinstance(found, tuple) or len(found) != len(args):
        got = f"{len(found)} values" if isinstance(found, tuple) else type(found).__name__
        raise RuntimeError(f"{who}: the backward rule must return a tuple with one gradient for each of its {len(args)} "
                           f"arguments, got {got}")  # fmt: skip
    gradients = []
    for k, (g, arg) in enumerate(zip(found, args, strict=True)):
        leaves, structure = flatten(arg)
        mine, shape = ([None] * len(leaves), structure) if g is None else flatten(g)
        if shape != structure:
            raise RuntimeError(f"{who}: the gradient of argument {k} does not have the structure of that argument")
        gradients += [_fitting(g, x, f"{who}: the gradient of argument {k}") for g, x in zip(mine, leaves, strict=True)]
    return gradients


def _fitting(g, x, what):
    """The gradient or tangent of x that a rule returned, None where x has none."""
    if g is None or not _is_real(x):
        return None
    if type(g) is not Tensor:
        raise TypeError(f"{what} must be a Tensor or None, got {type(g).__name__}")
    if g.shape != x.shape:
        raise ShapeError(f"{what} has shape {tuple(g.shape)}, expected {tuple(x.shape)}")
    if g.dtype is not x.dtype:
        raise DTypeError(f"{what} is {g.dtype}, expected {x.dtype}; convert it with .to()")
    return g


class _Custom:
    """A function of tensors (also in tuples, lists and dicts) and constants, with a rule for its derivative."""

    def __init__(self, function, nondiff_argnums=()):
        if not callable(function):
            raise TypeError(f"{type(self).__name__} decorates a function, got {type(function).__name__}")
        self._function = function
        self._fixed = {nondiff_argnums} if isinstance(nondiff_argnums, int) else set(nondiff_argnums)
        self._rule = None
        functools.update_wrapper(self, function)

    def __call__(self, *args):
        if self._rule is None:
            raise RuntimeError(f"{self.__name__}: no rule was given; call {self.__name__}.{self._giver} first")
        fixed = {k: a for k, a in enumerate(args) if k in self._fixed}
        leaves, structure = flatten([a for k, a in enumerate(args) if k not in self._fixed])
        call = {"fixed": fixed, "count": len(args), "structure": structure}
        outputs = self._node.apply(self, call, *leaves)
        return unflatten(call["result"], outputs)

    def _arguments(self, call, leaves):
        """All arguments again, from the leaves of those that are differentiated."""
        rest = iter(unflatten(call["structure"], leaves))
        return [call["fixed"][k] if k in call["fixed"] else next(rest) for k in range(call["count"])]


class _VjpNode(Function):
    @staticmethod
    def forward(ctx, custom, call, *leaves):
        result, residuals = _pair(custom._rule[0](*custom._arguments(call, leaves)), custom.__name__)
        outputs, call["result"] = flatten(result)
        held, ctx.residuals = flatten(residuals)
        ctx.custom, ctx.call = custom, call
        ctx.leaves = _without_tensors(leaves)
        ctx.held = _without_tensors(held)
        ctx.save_for_backward(*[x for x in [*leaves, *held] if type(x) is Tensor])
        return tuple(outputs)

    @staticmethod
    def backward(ctx, *gs):
        custom, call = ctx.custom, ctx.call
        saved = iter(ctx.saved_tensors)
        leaves = _with_tensors(ctx.leaves, saved)
        held = _with_tensors(ctx.held, saved)
        if is_grad_enabled() or any(is_differentiated(x, tangents_only=True) for x in leaves):
            residuals = _again(custom, custom._arguments(call, leaves))
        else:
            residuals = unflatten(ctx.residuals, held)
        fixed = [call["fixed"][k] for k in sorted(call["fixed"])]
        found = custom._rule[1](*fixed, residuals, unflatten(call["result"], gs))
        return None, None, *_given_back(found, unflatten(call["structure"], leaves), custom.__name__)


def _again(custom, args):
    """The residuals once more, now with a history or with tangents."""
    random = get_rng_state().tolist()
    _, residuals = custom._rule[0](*args)
    if get_rng_state().tolist() != random:
        raise RuntimeError(
            f"{custom.__name__}: the forward rule draws random numbers, which would be others when it is run again for a "
            f"derivative of the backward rule, or forward mode; pass them as an argument"
        )
    return residuals


def _pair(result, who):
    if not isinstance(result, tuple) or len(result) != 2:
        raise RuntimeError(f"{who}: the forward rule must return (result, residuals), got {type(result).__name__}")
    return result


class custom_vjp(_Custom):  # noqa: N801
    """Decorates a function whose reverse-mode derivative is given by two rules, `defvjp(forward, backward)`.

    ``forward(*args)`` returns (result, residuals); ``backward(residuals, g)`` gets those residuals and the gradient of the
    result (in its structure) and returns a tuple with the gradient of each argument, or None. Arguments, results and residuals
    may be tensors in tuples, lists and dicts, or constants. Tensors that the function closes over are constants.

    Args:
        function: the function; it is called where nothing is differentiated.
        nondiff_argnums: positions of arguments that are no tensors to differentiate; backward gets them first.

    Example:
        >>> import fastgrad as fg
        >>> @fg.autograd.custom_vjp
        ... def clipped(x):
        ...     return x * 1.0
        >>> clipped.defvjp(lambda x: (x * 1.0, None), lambda _, g: (g.clamp(-1, 1),))
        >>> x = fg.tensor([1.0, 2.0], requires_grad=True)
        >>> (clipped(x) * fg.tensor([0.5, 9.0])).sum().backward()
        >>> x.grad
        tensor([0.5000, 1.0000])
    """

    _node = _VjpNode
    _giver = "defvjp(forward, backward)"

    def defvjp(self, forward, backward):
        """Gives the two rules."""
        for rule in (forward, backward):
            if not callable(rule):
                raise TypeError(f"defvjp: a rule must be callable, got {type(rule).__name__}")
        self._rule = forward, backward

    def __call__(self, *args):
        if self._rule is not None and not any(
            is_differentiated(x, tangents_only=not is_grad_enabled()) for x in flatten(args)[0]
        ):
            with no_grad():
                return self._function(*args)
        return super().__call__(*args)


class _JvpNode(Function):
    """Its backward is the transpose of its jvp."""

    @staticmethod
    def forward(ctx, custom, call, *leaves):
        outputs, call["result"] = flatten(custom._function(*custom._arguments(call, leaves)))
        ctx.custom, ctx.call = custom, call
        ctx.leaves = _without_tensors(leaves)
        ctx.save_for_backward(*[x for x in leaves if type(x) is Tensor])
        return tuple(outputs)

    @staticmethod
    def jvp(ctx, _custom, _call, *ts):
        leaves = _with_tensors(ctx.leaves, iter(ctx.saved_tensors))
        _, tangents, structure = ctx.custom._ruled(ctx.call, leaves, ts)
        if structure != ctx.call["result"]:
            raise RuntimeError(
                f"{ctx.custom.__name__}: the result of the rule does not have the structure of the function's"
            )
        return tuple(tangents)

    @staticmethod
    def both(args, ts):
        """The results and their tangents: forward mode needs the rule alone."""
        custom, call, *leaves = args
        ts = [zeros_like(x) if t is None and _is_real(x) else t for x, t in zip(leaves, ts[2:], strict=True)]
        outputs, tangents, call["result"] = custom._ruled(call, leaves, ts)
        return outputs, tangents


class custom_jvp(_Custom):  # noqa: N801
    """Decorates a function whose forward-mode derivative is given by a rule, `defjvp(rule)`; reverse mode is its transpose.

    ``rule(primals, tangents)`` gets the arguments and their tangents, two tuples of one structure (None for the tangent of
    what is no real tensor), and returns (result, tangent of the result). It must be linear in the tangents, and made of
    operations of fastgrad. Tensors that the function closes over are constants.

    Args:
        function: the function.
        nondiff_argnums: positions of arguments that are no tensors to differentiate; the rule gets them first.

    Example:
        >>> import fastgrad as fg
        >>> @fg.autograd.custom_jvp
        ... def log1pexp(x):
        ...     return x.exp().log1p()
        >>> @log1pexp.defjvp
        ... def rule(primals, tangents):
        ...     (x,), (t,) = primals, tangents
        ...     return log1pexp(x), t * x.sigmoid()
        >>> x = fg.tensor(100.0, requires_grad=True)
        >>> log1pexp(x).backward()
        >>> x.grad
        tensor(1.)
    """

    _node = _JvpNode
    _giver = "defjvp(rule)"

    def defjvp(self, rule):
        """Gives the rule; returns it, so that this is a decorator too."""
        if not callable(rule):
            raise TypeError(f"defjvp: the rule must be callable, got {type(rule).__name__}")
        self._rule = rule
        return rule

    def _ruled(self, call, leaves, tangents):
        """What the rule returns: (leaves of the result, their tangents or None, the structure)."""
        primals = unflatten(call["structure"], leaves)
        fixed = [call["fixed"][k] for k in sorted(call["fixed"])]
        both = self._rule(*fixed, tuple(primals), tuple(unflatten(call["structure"], tangents)))
        if not isinstance(both, tuple) or len(both) != 2:
            raise RuntimeError(f"{self.__name__}: the rule must return (result, tangent), got {type(both).__name__}")
        outputs, structure = flatten(both[0])
        found, shape = flatten(both[1])
        if shape != structure:
            raise RuntimeError(f"{self.__name__}: the tangent does not have the structure of the result")
        for k, (y, t) in enumerate(zip(outputs, found, strict=True)):
            found[k] = _fitting(t, y, f"{self.__name__}: the tangent of result {k}")
        return outputs, found, structure
