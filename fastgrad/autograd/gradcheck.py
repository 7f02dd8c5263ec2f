"""Derivatives compared with finite differences. Imports the core."""

import math

import numpy as np

from fastgrad import _core
from fastgrad._core import Tensor, grad
from fastgrad.func import jvp


class GradcheckError(RuntimeError):
    """A derivative is not what finite differences say; the message names the output, the input, the index and both numbers."""


def _listed(x):
    return [x] if isinstance(x, Tensor) else list(x)


def _outputs(func, inputs):
    """What func returns, as a list of the real Tensors in it."""
    return [y for y in _listed(func(*inputs)) if isinstance(y, Tensor) and y.is_floating_point()]


def _checked_inputs(inputs, name):
    """The inputs to differentiate: (position, Tensor)."""
    wanted = [(k, x) for k, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError(f"{name}: at least one input must require grad")
    for k, x in wanted:
        if x.dtype is not _core.float64:
            raise ValueError(f"{name}: input {k} is {x.dtype}; finite differences need float64 (use .double())")
        if not x.is_leaf:
            raise ValueError(f"{name}: input {k} is no leaf; use detach().requires_grad_()")
        if len({*x.stride()} & {0}) and x.numel() > 1 and not x.is_contiguous():
            raise ValueError(f"{name}: elements of input {k} share memory (it was expanded); use clone()")
    return wanted


def _numerical(func, inputs, x, eps):
    """d outputs / d x by central differences: for each output an array (outputs' elements, x's elements)."""
    values = x.detach().numpy()
    columns = []
    with _core.no_grad():
        for index in np.ndindex(values.shape):
            at = values[index]
            values[index] = at + eps
            above = [y.detach().numpy().copy() for y in _outputs(func, inputs)]
            values[index] = at - eps
            below = [y.detach().numpy().copy() for y in _outputs(func, inputs)]
            values[index] = at
            columns.append([(a - b).ravel() / (2 * eps) for a, b in zip(above, below, strict=True)])
    return columns


def _analytical(output, wanted):
    """d output / d inputs by reverse mode, a row for each element of the output: for each input an array."""
    rows = [np.zeros((output.numel(), x.numel())) for _, x in wanted]
    if not output.requires_grad:
        return rows
    for i in range(output.numel()):
        seed = np.zeros(tuple(output.shape))
        seed.flat[i] = 1
        seed = _core.tensor(seed, dtype=output.dtype)
        found = grad(output, [x for _, x in wanted], seed, retain_graph=True, allow_unused=True)
        for row, g in zip(rows, found, strict=True):
            if g is not None:
                row[i] = g.detach().numpy().ravel()
    return rows


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_batched_grad=False,
    fast_mode=False,
):
    """Compares the derivatives of `func` with central differences, element by element.

    Args:
        func: function of the inputs that returns a Tensor or a sequence of them.
        inputs: a Tensor or a sequence; those that require grad are checked, and must be float64 leaves.
        eps: step of the differences, (f(x + eps) - f(x - eps)) / (2 eps).
        atol, rtol: |analytical - numerical| <= atol + rtol |numerical| must hold.
        raise_exception: whether a difference raises GradcheckError or returns False.
        nondet_tol: how far two backward passes may differ.
        check_undefined_grad, check_batched_grad, fast_mode: accepted; every element is always checked.

    Returns: True if all derivatives agree.

    Example:
        >>> x = fastgrad.tensor([0.5, -1.0], dtype=fastgrad.float64, requires_grad=True)
        >>> fastgrad.autograd.gradcheck(fastgrad.tanh, x)
        True
    """
    inputs = _listed(inputs)
    wanted = _checked_inputs(inputs, "gradcheck")
    try:
        _compare(func, inputs, wanted, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _compare(func, inputs, wanted, eps, atol, rtol, nondet_tol):
    outputs = _outputs(func, inputs)
    if not outputs:
        raise ValueError("gradcheck: the function returned no real Tensor")
    numerical = [_numerical(func, inputs, x, eps) for _, x in wanted]
    for i, output in enumerate(outputs):
        analytical = _analytical(output, wanted)
        again = _analytical(output, wanted)
        for (k, x), rows, second, columns in zip(wanted, analytical, again, numerical, strict=True):
            reference = np.array([column[i] for column in columns]).T.reshape(rows.shape)
            if not np.allclose(rows, second, rtol=0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(f"gradcheck: two backward passes of output {i} differ with respect to input {k}")
            _raise_where_different("gradcheck", rows, reference, atol, rtol, (i, output), (k, x.shape))


def _raise_where_different(who, analytical, numerical, atol, rtol, output, x):
    wrong = ~np.isclose(analytical, numerical, rtol=rtol, atol=atol, equal_nan=True)
    if not wrong.any():
        return
    excess = np.where(wrong, np.nan_to_num(np.abs(analytical - numerical), nan=math.inf), -1.0)
    row, column = np.unravel_index(excess.argmax(), excess.shape)
    (i, y), (k, x_shape) = output, x
    element = tuple(map(int, np.unravel_index(row, tuple(y.shape)))) if y.ndim else ()
    made = f" (made by {y.grad_fn.name()})" if y.grad_fn is not None else ""
    index = tuple(map(int, np.unravel_index(column, tuple(x_shape)))) if len(x_shape) else ()
    raise GradcheckError(
        f"{who}: the derivative of output {i}{list(element) if element else ''}{made} with respect to input "
        f"{k}{list(index) if index else ''} is {analytical[row, column]:.8g}, but finite differences say "
        f"{numerical[row, column]:.8g} ({int(wrong.sum())} of {wrong.size} derivatives differ; this one the most)"
    )


def check_jvp(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """Compares the forward-mode derivatives of `func`, as `fastgrad.func.jvp` gives them, with central differences.

    Args:
        func: function of the inputs that returns a Tensor or a sequence of them.
        inputs: a Tensor or a sequence; those that require grad are checked, and must be float64 leaves.
        eps, atol, rtol, raise_exception: as for `gradcheck`.

    Returns: True if all derivatives agree. Raises GradcheckError where one does not: it names the operation that made the
    output, the index of the output and of the input, and both numbers.

    Example:
        >>> x = fastgrad.tensor([0.5, -1.0], dtype=fastgrad.float64, requires_grad=True)
        >>> fastgrad.autograd.check_jvp(fastgrad.tanh, x)
        True
    """
    inputs = _listed(inputs)
    wanted = _checked_inputs(inputs, "check_jvp")
    outputs = _outputs(func, inputs)
    if not outputs:
        raise ValueError("check_jvp: the function returned no real Tensor")
    try:
        for k, x in wanted:
            columns = _numerical(func, inputs, x, eps)
            tangents = _tangents(func, inputs, k)
            for i, output in enumerate(outputs):
                shape = output.numel(), x.numel()
                numerical = np.array([column[i] for column in columns]).T.reshape(shape)
                forward = np.array([column[i] for column in tangents]).T.reshape(shape)
                _raise_where_different("check_jvp", forward, numerical, atol, rtol, (i, output), (k, x.shape))
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _tangents(func, inputs, k):
    """d outputs / d input k by forward mode: for each element of the input the tangents of all outputs."""
    x = inputs[k].detach()
    given = [y.detach() if isinstance(y, Tensor) else y for y in inputs]
    columns = []
    for index in np.ndindex(tuple(x.shape)):
        direction = np.zeros(tuple(x.shape))
        direction[index] = 1
        direction = _core.tensor(direction, dtype=x.dtype)
        _, found = jvp(lambda one: tuple(_outputs(func, [*given[:k], one, *given[k + 1 :]])), (x,), (direction,))
        columns.append([t.detach().numpy().ravel() for t in found])
    return columns


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_batched_grad=False,
    fast_mode=False,
):
    """Compares the second derivatives of `func` with central differences of the first.

    The first derivatives, for the output gradients `grad_outputs` (random of unit variance if None), are one more
    function of the inputs and the output gradients; `gradcheck` checks that one. Arguments are those of `gradcheck`.
    """
    inputs = _listed(inputs)
    _checked_inputs(inputs, "gradgradcheck")
    outputs = [y for y in _outputs(func, inputs) if y.requires_grad]
    if grad_outputs is None:
        random = np.random.default_rng(0)
        seeds = [_core.tensor(random.standard_normal(tuple(y.shape)), dtype=y.dtype) for y in outputs]
    else:
        seeds = [g.detach().clone() for g in _listed(grad_outputs)]
    if len(seeds) != len(outputs):
        raise ValueError(f"gradgradcheck: got {len(seeds)} grad_outputs for {len(outputs)} outputs that require grad")
    if gen_non_contig_grad_outputs:
        seeds = [_core.stack([g, g], -1)[..., 0] for g in seeds]
    for g in seeds:
        g.requires_grad_()

    def first(*given):
        xs, gs = given[: len(inputs)], given[len(inputs) :]
        with _core.enable_grad():
            ys = [y for y in _outputs(func, xs) if y.requires_grad]
            wanted = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
            found = grad(ys, wanted, gs, create_graph=True, allow_unused=True)
        return [g for g in found if g is not None]

    return gradcheck(
        first,
        [*inputs, *seeds],
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
    )
