"""Jacobians, Hessians and products of a function at given inputs, with PyTorch's names. Imports fastgrad.func.

`inputs` is a Tensor or a tuple of them, and results are nested the same way. Where create_graph is false results have no
history; else they can be differentiated by inputs that require grad, and by whatever func uses that does.
"""

from fastgrad import _core
from fastgrad import func as transforms
from fastgrad._core import Tensor


def _listed(inputs, who, what):
    single = isinstance(inputs, Tensor)
    given = (inputs,) if single else tuple(inputs)
    for x in given:
        if not isinstance(x, Tensor):
            raise TypeError(f"{who}: {what} must be a Tensor or a tuple of Tensors, got {type(x).__name__}")
    return given, single


def _run(create_graph, call):
    """The result of call(), recorded only where it is asked for."""
    if create_graph:
        return call()
    with _core.no_grad():
        return call()


def _check_dependence(who, function, inputs):
    """With strict=True: every output must depend on every input."""
    with _core.enable_grad():
        leaves = [x.detach().requires_grad_() for x in inputs]
        ys, _ = _listed(function(*leaves), who, "the outputs")
        for k, y in enumerate(ys):
            ones = _core.functions["ones_like"](y)
            used = y.requires_grad and _core.grad(y, leaves, ones, retain_graph=True, allow_unused=True)
            for j in range(len(leaves)):
                if not used or used[j] is None:
                    raise RuntimeError(
                        f"{who}: output {k} of the function is independent of input {j}; this is an error since strict=True"
                    )


def _vector(v, like, who):
    """The vector of a product, checked; ones for a 0-d Tensor where none is given."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{who}: the vector v may be left out only where there is one element")
        return (_core.functions["ones_like"](like[0]),)
    vs, _ = _listed(v, who, "v")
    if len(vs) != len(like):
        raise RuntimeError(f"{who}: v has {len(vs)} Tensors, expected {len(like)}")
    for t, x in zip(vs, like, strict=True):
        if t.shape != x.shape:
            raise RuntimeError(f"{who}: v has a Tensor of shape {tuple(t.shape)}, expected {tuple(x.shape)}")
    return vs


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=True, strategy="reverse-mode"):
    """The Jacobian of a function at `inputs`: for an output y and an input x a Tensor of shape ``y.shape + x.shape``.

    strategy: "reverse-mode" or "forward-mode". strict: raise RuntimeError where an output does not depend on an input.
    vectorize is accepted; all rows run at once in any case.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.jacobian(lambda x: x**2, fg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f"jacobian: strategy must be 'reverse-mode' or 'forward-mode', got {strategy!r}")
    xs, single = _listed(inputs, "jacobian", "inputs")
    if strict:
        _check_dependence("jacobian", func, xs)
    transform = transforms.jacrev if strategy == "reverse-mode" else transforms.jacfwd
    argnums = 0 if single else tuple(range(len(xs)))
    return _run(create_graph, lambda: transform(func, argnums)(*xs))


def hessian(func, inputs, create_graph=False, strict=False, vectorize=True, outer_jacobian_strategy="reverse-mode"):
    """The Hessian of a function that returns one number, at `inputs`: for two inputs a Tensor of shape
    ``x.shape + y.shape``. Arguments as for `jacobian`.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.hessian(lambda x: (x**3).sum(), fg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    if outer_jacobian_strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(
            f"hessian: outer_jacobian_strategy must be 'reverse-mode' or 'forward-mode', got "
            f"{outer_jacobian_strategy!r}"
        )
    xs, single = _listed(inputs, "hessian", "inputs")
    if strict:
        _check_dependence("hessian", func, xs)
    argnums = 0 if single else tuple(range(len(xs)))
    outer = transforms.jacrev if outer_jacobian_strategy == "reverse-mode" else transforms.jacfwd
    return _run(create_graph, lambda: outer(transforms.grad(func, argnums), argnums)(*xs))


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """(outputs, the product of v with the Jacobian): v has the structure of the outputs, and may be left out for one number.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.vjp(lambda x: x**2, fg.tensor([1.0, 2.0]), fg.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    xs, single = _listed(inputs, "vjp", "inputs")
    if strict:
        _check_dependence("vjp", func, xs)

    def call():
        y, pullback = transforms.vjp(func, *xs)
        ys, alone = _listed(y, "vjp", "the outputs")
        vs = _vector(v, ys, "vjp")
        return y, pullback(vs[0] if alone else vs)

    y, product = _run(create_graph, call)
    return y, product[0] if single else product


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """(outputs, the product of the Jacobian with v): v has the structure of the inputs, and may be left out for one number.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.jvp(lambda x: x**2, fg.tensor([1.0, 2.0]), fg.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    xs, _ = _listed(inputs, "jvp", "inputs")
    if strict:
        _check_dependence("jvp", func, xs)
    vs = _vector(v, xs, "jvp")
    return _run(create_graph, lambda: transforms.jvp(func, xs, vs))


def _second(who, product_of, func, inputs, v, create_graph, strict):
    xs, single = _listed(inputs, who, "inputs")
    if strict:
        _check_dependence(who, func, xs)
    vs = _vector(v, xs, who)
    value, product = _run(create_graph, lambda: (func(*xs), product_of(func, xs, vs)))
    return value, product[0] if single else product


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """(output, the product of the Hessian with v) of a function that returns one number; see `fastgrad.func.hvp`.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.hvp(lambda x: (x**3).sum(), fg.tensor([1.0, 2.0]), fg.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _second("hvp", transforms.hvp, func, inputs, v, create_graph, strict)


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """(output, the product of v with the Hessian) of a function that returns one number; see `fastgrad.func.vhp`.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.vhp(lambda x: (x**3).sum(), fg.tensor([1.0, 2.0]), fg.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _second("vhp", transforms.vhp, func, inputs, v, create_graph, strict)
