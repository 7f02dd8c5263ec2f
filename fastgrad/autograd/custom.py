"""Functions with a derivative of their own, as decorators: `custom_vjp` and `custom_jvp`. Imports the core.

Both are a `Function` underneath, and right to every order: where the backward pass is itself recorded, what forward computed
without recording is computed again from the arguments. (A `Function` that saves an intermediate result makes it a constant
of the second derivative; these do not.)
"""

import functools

from fastgrad._core import Function, Tensor, enable_grad, grad, is_grad_enabled, no_grad, zeros_like
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
        gradients += mine
    return gradients


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
        if is_grad_enabled():
            _, residuals = custom._rule[0](*custom._arguments(call, leaves))
        else:
            residuals = unflatten(ctx.residuals, held)
        fixed = [call["fixed"][k] for k in sorted(call["fixed"])]
        found = custom._rule[1](*fixed, residuals, unflatten(call["result"], gs))
        return None, None, *_given_back(found, unflatten(call["structure"], leaves), custom.__name__)


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
        if self._rule is not None and not any(type(x) is Tensor and x.requires_grad for x in flatten(args)[0]):
            with no_grad():
                return self._function(*args)
        return super().__call__(*args)


class _Composed(Function):
    """f(*xs) for a function of tensors that differentiates inside: its own derivative is taken apart from the graph it is
    part of, on fresh leaves, so that no run of backward meets the nodes of another."""

    @staticmethod
    def forward(ctx, f, *xs):
        ctx.f = f
        ctx.save_for_backward(*xs)
        return tuple(f(*xs))

    @staticmethod
    def backward(ctx, *gs):
        xs = ctx.saved_tensors
        h = _pullback(ctx.f, len(xs))
        return None, *(_Composed.apply(h, *xs, *gs) if is_grad_enabled() else h(*xs, *gs))


def _pullback(f, count):
    """The function (*xs, *gs) -> gradients of f's outputs, weighted by gs, with respect to all xs."""

    def h(*inputs):
        create = is_grad_enabled()
        with enable_grad():
            xs = [x if create and x.requires_grad else x.detach().requires_grad_() for x in inputs[:count]]
            pairs = [(y, g) for y, g in zip(f(*xs), inputs[count:], strict=True) if y.requires_grad]
            if not pairs:
                return [zeros_like(x) for x in xs]
            ys, gs = zip(*pairs, strict=True)
            return grad(ys, xs, gs, create_graph=create, materialize_grads=True)

    return h


class _JvpNode(Function):
    @staticmethod
    def forward(ctx, custom, call, *leaves):
        outputs, call["result"] = flatten(custom._function(*custom._arguments(call, leaves)))
        ctx.custom, ctx.call = custom, call
        ctx.leaves = _without_tensors(leaves)
        ctx.save_for_backward(*[x for x in leaves if type(x) is Tensor])
        return tuple(outputs)

    @staticmethod
    def backward(ctx, *gs):
        saved = iter(ctx.saved_tensors)
        leaves = _with_tensors(ctx.leaves, saved)
        real = [k for k, x in enumerate(leaves) if _is_real(x)]
        arrived = [k for k, g in enumerate(gs) if _is_real(g)]

        def transposed(*inputs):
            """The tangent rule's transpose at some arguments: it is linear in the tangents, so its gradient by them is it."""
            create = is_grad_enabled()
            xs = list(leaves)
            ts = [None] * len(leaves)
            for k, x in zip(real, inputs, strict=False):
                xs[k] = x if create else x.detach()
            with enable_grad():
                for k in real:
                    ts[k] = zeros_like(xs[k]).requires_grad_()
                outputs = ctx.custom._tangents(ctx.call, xs, ts)
                given = zip(arrived, inputs[len(real) :], strict=True)
                pairs = [(outputs[k], g) for k, g in given if _has_history(outputs[k])]
                wanted = [ts[k] for k in real]
                if not pairs:
                    return [zeros_like(t) for t in wanted]
                us, hs = zip(*pairs, strict=True)
                return grad(us, wanted, hs, create_graph=create, materialize_grads=True)

        inputs = [*[leaves[k] for k in real], *[gs[k] for k in arrived]]
        found = _Composed.apply(transposed, *inputs) if is_grad_enabled() else transposed(*inputs)
        gradients = [None] * len(leaves)
        for k, g in zip(real, found, strict=True):
            gradients[k] = g
        return None, None, *gradients


def _has_history(t):
    return type(t) is Tensor and t.requires_grad


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

    def _tangents(self, call, leaves, tangents):
        """The tangents of the result's leaves."""
        primals = unflatten(call["structure"], leaves)
        fixed = [call["fixed"][k] for k in sorted(call["fixed"])]
        result = self._rule(*fixed, tuple(primals), tuple(unflatten(call["structure"], tangents)))
        if not isinstance(result, tuple) or len(result) != 2:
            raise RuntimeError(f"{self.__name__}: the rule must return (result, tangent), got {type(result).__name__}")
        outputs, structure = flatten(result[1])
        if structure != call["result"]:
            raise RuntimeError(f"{self.__name__}: the tangent does not have the structure of the result")
        return outputs
