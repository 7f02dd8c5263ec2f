"""grad, vjp, jvp and the products of higher order. Imports the core."""

import functools

from fastgrad._core import Tensor, transforms
from fastgrad.func._tree import flatten, same, tensors, tree_map, unflatten


def picked(args, argnums, who):
    """The arguments to differentiate: (positions, the leaves of all of them, their structure as a tuple)."""
    single = isinstance(argnums, int)
    numbers = (argnums,) if single else tuple(argnums)
    for k in numbers:
        if not isinstance(k, int) or not -len(args) <= k < len(args):
            raise ValueError(f"{who}: argnums {argnums} for a function called with {len(args)} positional arguments")
    numbers = [k % len(args) for k in numbers]
    if len(set(numbers)) != len(numbers) or not numbers:
        raise ValueError(f"{who}: argnums must name different arguments, at least one; got {argnums}")
    leaves, structure = tensors(tuple([args[k] for k in numbers]), who, "arguments")
    return single, numbers, leaves, structure


def replaced(args, numbers, values):
    """args with those at `numbers` replaced."""
    args = list(args)
    for k, value in zip(numbers, values, strict=True):
        args[k] = value
    return args


def parted(y, has_aux, who):
    """(output, aux) of what a function returned."""
    if not has_aux:
        return y, None
    if not isinstance(y, tuple) or len(y) != 2:
        raise RuntimeError(f"{who}: with has_aux=True the function must return a pair (output, aux)")
    return y


def _value_and_grad(who, func, argnums, has_aux, args, kwargs):
    single, numbers, leaves, structure = picked(args, argnums, who)
    reverse = transforms.Reverse(leaves)
    try:
        y = func(*replaced(args, numbers, unflatten(structure, reverse.inputs)), **kwargs)
    finally:
        reverse.end()
    y, aux = parted(y, has_aux, who)
    if type(y) is not Tensor:
        raise TypeError(f"{who}: the function must return one Tensor, got {type(y).__name__}")
    transforms.scalar_output(y, who)
    grads = unflatten(structure, reverse.pull([y], [None], False))
    return reverse, y, aux, grads[0] if single else grads


def grad(func, argnums=0, has_aux=False):
    """The gradient of a function that returns one number, as a function of the same arguments.

    Args:
        func: returns a 0-d Tensor; with has_aux a pair (that, anything else).
        argnums: which positional argument to differentiate by, or a tuple of several. An argument may be a Tensor or a
            tuple, list or dict of them.
        has_aux: whether func returns a pair; then (gradient, aux) is returned.

    Returns a function whose result has the structure of the argument, or is a tuple of these.
    Raises RuntimeError where func does not return one real number.

    >>> import fastgrad as fg
    >>> fg.func.grad(lambda x: x**3)(fg.tensor(2.0))
    tensor(12.)
    >>> fg.func.grad(fg.func.grad(lambda x: x**3))(fg.tensor(2.0))
    tensor(12.)
    """

    @functools.wraps(func)
    def gradient(*args, **kwargs):
        reverse, _, aux, grads = _value_and_grad("grad", func, argnums, has_aux, args, kwargs)
        return (grads, tree_map(reverse.outside, aux)) if has_aux else grads

    return gradient


def value_and_grad(func, argnums=0, has_aux=False):
    """As `grad`, but the function returns (value, gradient), and with has_aux ((value, aux), gradient).

    >>> import fastgrad as fg
    >>> fg.func.value_and_grad(lambda x: x**3)(fg.tensor(2.0))
    (tensor(8.), tensor(12.))
    """

    @functools.wraps(func)
    def both(*args, **kwargs):
        reverse, y, aux, grads = _value_and_grad("value_and_grad", func, argnums, has_aux, args, kwargs)
        value = reverse.outside(y)
        return ((value, tree_map(reverse.outside, aux)), grads) if has_aux else (value, grads)

    return both


def grad_and_value(func, argnums=0, has_aux=False):
    """`value_and_grad` with the results in PyTorch's order: (gradient, value), or (gradient, (value, aux))."""
    both = value_and_grad(func, argnums, has_aux)

    @functools.wraps(func)
    def swapped(*args, **kwargs):
        value, grads = both(*args, **kwargs)
        return grads, value

    return swapped


class Recorded:
    """A function evaluated once, ready for pullbacks."""

    def __init__(self, who, func, primals, has_aux=False):
        self.who = who
        leaves, self.structure = tensors(primals, who, "primals")
        self.reverse = transforms.Reverse(leaves)
        try:
            y = func(*unflatten(self.structure, self.reverse.inputs))
        finally:
            self.reverse.end()
        y, self.aux = parted(y, has_aux, who)
        self.outputs, self.shape = tensors(y, who, "outputs")

    def value(self):
        """What the function returned, for the caller."""
        return unflatten(self.shape, [self.reverse.outside(y) for y in self.outputs])

    def pull(self, cotangents, keep=True):
        """The gradients of the leaves of the primals."""
        return self.reverse.pull(self.outputs, cotangents, keep)


def fitting(given, structure, like, who, what):
    """The leaves of cotangents or tangents, checked against what they belong to."""
    leaves, have = tensors(given, who, what)
    if not same(have, structure):
        raise ValueError(
            f"{who}: the {what} must have the structure of the {'outputs' if what == 'cotangents' else 'primals'}"
        )
    for t, x in zip(leaves, like, strict=True):
        if t.shape != x.shape:
            raise ValueError(f"{who}: one of the {what} has shape {tuple(t.shape)}, expected {tuple(x.shape)}")
    return [t if t.dtype is x.dtype else t.to(x.dtype) for t, x in zip(leaves, like, strict=True)]


def vjp(func, *primals, has_aux=False):
    """The value of a function and its pullback: from cotangents of the outputs to those of the primals.

    Returns (output, pullback), or (output, pullback, aux) where func returns a pair (output, aux). ``pullback(cotangent)``
    takes what has the structure of the output and returns a tuple with an entry for each primal; it may be called again,
    and mapped with `vmap`.

    >>> import fastgrad as fg
    >>> y, pullback = fg.func.vjp(lambda x: x**2, fg.tensor([1.0, 2.0]))
    >>> pullback(fg.ones(2))
    (tensor([2., 4.]),)
    """
    recorded = Recorded("vjp", func, primals, has_aux)
    value = recorded.value()
    aux = tree_map(recorded.reverse.outside, recorded.aux)

    def pullback(*cotangents):
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        gs = fitting(given, recorded.shape, recorded.outputs, "vjp", "cotangents")
        return unflatten(recorded.structure, recorded.pull(gs))

    return (value, pullback, aux) if has_aux else (value, pullback)


def jvp(func, primals, tangents_, *, strict=False, has_aux=False):
    """The value of a function and its derivative along a direction, in one pass and without a graph.

    Args:
        func: any function of Tensors.
        primals: a tuple of its arguments, each a Tensor or a container of them.
        tangents_: the direction, of the structure and shapes of primals.
        strict: raise RuntimeError where an output does not depend on the primals.

    Returns (output, tangent), and aux where has_aux.

    >>> import fastgrad as fg
    >>> fg.func.jvp(lambda x: x**2, (fg.tensor(3.0),), (fg.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    leaves, structure = tensors(_tuple(primals, "jvp", "primals"), "jvp", "primals")
    ts = fitting(_tuple(tangents_, "jvp", "tangents"), structure, leaves, "jvp", "tangents")
    level = transforms.enter_forward()
    try:
        duals = [transforms.make_dual(x, t, level) for x, t in zip(leaves, ts, strict=True)]
        y, aux = parted(func(*unflatten(structure, duals)), has_aux, "jvp")
        ys, shape = flatten(y)
        for one in ys:
            if type(one) is not Tensor:
                raise TypeError(f"jvp: the function must return Tensors, got {type(one).__name__}")
            if strict and not transforms.depends(one, level):
                raise RuntimeError("jvp: with strict=True every output must depend on the primals")
        tangent = unflatten(shape, [transforms.tangent_of(one, level) for one in ys])
        value = unflatten(shape, [transforms.primal_of(one, level) for one in ys])
        aux = tree_map(lambda one: transforms.primal_of(one, level), aux)
    finally:
        transforms.leave(level)
    return (value, tangent, aux) if has_aux else (value, tangent)


def _tuple(given, who, what):
    if not isinstance(given, tuple):
        raise TypeError(f"{who}: {what} must be a tuple with an entry for each argument, got {type(given).__name__}")
    return given


def linearize(func, *primals):
    """The value of a function and its derivative at that point, as a linear function of the tangents.

    The function runs once; each call of the derivative runs its linear part alone. Returns (output, derivative).

    >>> import fastgrad as fg
    >>> y, derivative = fg.func.linearize(lambda x: x.sin(), fg.tensor(0.0))
    >>> derivative(fg.tensor(2.0))
    tensor(2.)
    """
    recorded = Recorded("linearize", func, primals)
    value = recorded.value()
    # The pullback is linear in the cotangents: its own transpose is the derivative.
    turned = transforms.Reverse([y.detach() for y in recorded.outputs])
    try:
        pulled = recorded.pull(turned.inputs)
    finally:
        turned.end()
    kept = any(y.requires_grad for y in flatten(value)[0])

    def derivative(*tangents_):
        ts = fitting(tangents_, recorded.structure, pulled, "linearize", "tangents")
        return unflatten(recorded.shape, turned.pull(pulled, ts, True, kept))

    return value, derivative


def _one_or_tuple(primals, vectors, who):
    """Products accept one argument alone: (primals, vectors, whether it was alone)."""
    if isinstance(primals, tuple):
        return primals, _tuple(vectors, who, "vectors"), False
    return (primals,), (vectors,), True


def hvp(func, primals, vectors):
    """The product of the Hessian of a scalar function with a vector, without the Hessian.

    The derivative along the vector is computed forward and differentiated in reverse: for a network about twice the work
    of a gradient, however many parameters there are (Pearlmutter 1994).

    Args:
        func: returns a 0-d Tensor.
        primals: a tuple of its arguments, each a Tensor or a container of them; or its only argument.
        vectors: of the structure and shapes of primals.

    Returns the product, of the structure of primals.

    >>> import fastgrad as fg
    >>> fg.func.hvp(lambda x: (x**3).sum(), fg.tensor([1.0, 2.0]), fg.ones(2))
    tensor([ 6., 12.])
    """
    primals, vectors, alone = _one_or_tuple(primals, vectors, "hvp")
    leaves, structure = tensors(primals, "hvp", "primals")
    ts = fitting(vectors, structure, leaves, "hvp", "vectors")
    reverse = transforms.Reverse(leaves)
    try:
        level = transforms.enter_forward()
        try:
            duals = [transforms.make_dual(x, t, level) for x, t in zip(reverse.inputs, ts, strict=True)]
            y = func(*unflatten(structure, duals))
            if type(y) is not Tensor:
                raise TypeError(f"hvp: the function must return one Tensor, got {type(y).__name__}")
            transforms.scalar_output(y, "hvp")
            slope = transforms.tangent_of(y, level)
        finally:
            transforms.leave(level)
    finally:
        reverse.end()
    product = unflatten(structure, reverse.pull([slope], [None], False))
    return product[0] if alone else product


def vhp(func, primals, vectors):
    """The product of a vector with the Hessian of a scalar function, in reverse mode twice; see `hvp`, which is faster.

    >>> import fastgrad as fg
    >>> fg.func.vhp(lambda x: (x**3).sum(), fg.tensor([1.0, 2.0]), fg.ones(2))
    tensor([ 6., 12.])
    """
    primals, vectors, alone = _one_or_tuple(primals, vectors, "vhp")
    gradient = grad(func, tuple(range(len(primals))))
    _, pullback = vjp(gradient, *primals)
    product = pullback(vectors)
    return product[0] if alone else product


def ggnvp(model, loss, primals, vectors):
    """The product of the Gauss-Newton matrix J^T H J with a vector: J the Jacobian of model, H the Hessian of loss.

    The matrix is positive semi-definite where loss is convex; with a negative log likelihood of an exponential family as
    loss it is the Fisher information (Martens 2020).

    Args:
        model: a function of the primals that returns a Tensor or a container of them.
        loss: a function of what model returns, to one number.
        primals: a tuple of the arguments of model, or its only argument. vectors: of the same structure.

    >>> import fastgrad as fg
    >>> fg.func.ggnvp(lambda w: 3 * w, lambda y: (y**2).sum(), fg.tensor([1.0]), fg.tensor([2.0]))
    tensor([36.])
    """
    primals, vectors, alone = _one_or_tuple(primals, vectors, "ggnvp")
    leaves, structure = tensors(primals, "ggnvp", "primals")
    ts = fitting(vectors, structure, leaves, "ggnvp", "vectors")

    def along(*args):
        inner, _ = flatten(args)
        level = transforms.enter_forward()
        try:
            duals = [transforms.make_dual(x, t, level) for x, t in zip(inner, ts, strict=True)]
            ys, shape = tensors(model(*unflatten(structure, duals)), "ggnvp", "outputs")
            slopes = unflatten(shape, [transforms.tangent_of(y, level) for y in ys])
            return unflatten(shape, [transforms.primal_of(y, level) for y in ys]), slopes
        finally:
            transforms.leave(level)

    recorded = Recorded("ggnvp", along, primals, has_aux=True)
    slopes = tree_map(recorded.reverse.outside, recorded.aux)
    curved = hvp(loss, (recorded.value(),), (slopes,))
    product = unflatten(recorded.structure, recorded.pull(flatten(curved)[0], keep=False))
    return product[0] if alone else product
