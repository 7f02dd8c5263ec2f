"""Jacobians and Hessians: one pass with a batch of directions. Imports the core."""

import functools

from fastgrad import _core
from fastgrad._core import transforms
from fastgrad.func._transforms import Recorded, parted, picked, replaced, tensors, tree_map, unflatten
from fastgrad.func._vmap import vmap

# Directions that run at once are bounded so that a batch of inputs and outputs takes no more bytes than this.
BATCH_BYTES = 1 << 26


def _chunk(total, leaves, chunk_size, who):
    """How many directions run at once."""
    if chunk_size is not None:
        if chunk_size <= 0:
            raise ValueError(f"{who}: chunk_size must be positive or None, got {chunk_size}")
        return chunk_size
    return max(1, min(total, BATCH_BYTES // max(1, sum([x.nbytes for x in leaves]))))


def _rows(run, basis_of, leaves, chunk_size, who):
    """run(basis) for all unit vectors of the space of the leaves together, in chunks: a list of Tensors (vectors, ...)."""
    total = sum([x.numel() for x in basis_of])
    chunk = _chunk(total, leaves, chunk_size, who)
    parts = [
        run(transforms.unit_vectors(basis_of, start, min(chunk, total - start)))
        for start in range(0, max(total, 1), chunk)
    ]
    return parts[0] if len(parts) == 1 else [_core.functions["cat"](list(rows)) for rows in zip(*parts, strict=True)]


def _blocks(columns, ys, xs, rows_of_outputs):
    """The matrix, given as a Tensor for each leaf of the other side, cut into (leaf of y, leaf of x) blocks."""
    sizes = [t.numel() for t in (ys if rows_of_outputs else xs)]
    table = [column.split(sizes) if len(sizes) > 1 else (column,) for column in columns]
    if rows_of_outputs:
        return [[table[j][i].reshape(y.shape + x.shape) for j, x in enumerate(xs)] for i, y in enumerate(ys)]
    return [[table[i][j].movedim(0, -1).reshape(y.shape + x.shape) for j, x in enumerate(xs)] for i, y in enumerate(ys)]


def _assembled(blocks, shape, structure, single):
    parts = [unflatten(structure, row) for row in blocks]
    return unflatten(shape, [part[0] for part in parts] if single else parts)


def _by_reverse(who, recorded, chunk_size):
    """The rows of the Jacobian, by pullbacks of unit vectors."""
    ys, xs = recorded.outputs, recorded.reverse.inputs
    if len(ys) == 1 and ys[0].numel() == 1:
        pulled = recorded.pull([_core.functions["ones_like"](ys[0])], keep=False)
        return [[g.reshape(ys[0].shape + g.shape) for g in pulled]]
    run = vmap(lambda *gs: tuple(recorded.pull(list(gs))))
    return _blocks(_rows(lambda basis: run(*basis), ys, [*ys, *xs], chunk_size, who), ys, xs, True)


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None):
    """The Jacobian of a function in reverse mode: one evaluation, then one pass back with all outputs at once.

    Args:
        func: returns a Tensor or a container of them; with has_aux a pair (that, anything else).
        argnums: which positional argument to differentiate by, or a tuple of several; an argument may be a container.
        chunk_size: how many rows run at once; if None so many that a batch of them stays within 64 MB.

    Returns a function of the same arguments. For an output y and an argument x its result is a Tensor of shape
    ``y.shape + x.shape``, in the container of the outputs, and in that of the arguments. Good where there are fewer outputs
    than inputs; see `jacfwd`.

    >>> import fastgrad as fg
    >>> fg.func.jacrev(lambda x: x**2)(fg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def jacobian_of(*args, **kwargs):
        recorded, structure, single = _recorded("jacrev", func, argnums, has_aux, args, kwargs)
        aux = tree_map(recorded.reverse.outside, recorded.aux)
        result = _assembled(_by_reverse("jacrev", recorded, chunk_size), recorded.shape, structure, single)
        return (result, aux) if has_aux else result

    return jacobian_of


def _recorded(who, func, argnums, has_aux, args, kwargs):
    single, numbers, leaves, structure = picked(args, argnums, who)
    values = unflatten(structure, leaves)
    recorded = Recorded(who, lambda *xs: func(*replaced(args, numbers, xs), **kwargs), values, has_aux)
    return recorded, structure, single


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error", chunk_size=None):
    """The Jacobian of a function in forward mode: the function runs once, with a batch of directions beside its values.

    Arguments and result as for `jacrev`; good where there are no more inputs than outputs. randomness: as for `vmap`.

    >>> import fastgrad as fg
    >>> fg.func.jacfwd(lambda x: fg.stack([x, x**2, x**3]))(fg.tensor(2.0))
    tensor([ 1.,  4., 12.])
    """

    @functools.wraps(func)
    def jacobian_of(*args, **kwargs):
        single, numbers, leaves, structure = picked(args, argnums, "jacfwd")
        seen = {}

        def along(*ts):
            level = transforms.enter_forward()
            try:
                duals = [transforms.make_dual(x, t, level) for x, t in zip(leaves, ts, strict=True)]
                y = func(*replaced(args, numbers, unflatten(structure, duals)), **kwargs)
                y, aux = parted(y, has_aux, "jacfwd")
                ys, seen["shape"] = tensors(y, "jacfwd", "outputs")
                seen["ys"] = ys
                seen["aux"] = tree_map(lambda one: transforms.primal_of(one, level), aux)
                return tuple([transforms.tangent_of(one, level) for one in ys])
            finally:
                transforms.leave(level)

        run = vmap(along, randomness=randomness)
        columns = _rows(lambda basis: run(*basis), leaves, leaves, chunk_size, "jacfwd")
        blocks = _blocks(columns, seen["ys"], leaves, False)
        result = _assembled(blocks, seen["shape"], structure, single)
        return (result, seen["aux"]) if has_aux else result

    return jacobian_of


def jacobian(func, argnums=0, mode="auto", *, chunk_size=None):
    """The Jacobian in the mode that costs less: reverse where there are at most as many outputs as inputs, else forward.

    mode: "auto", "reverse" or "forward"; the rest as for `jacrev`.

    >>> import fastgrad as fg
    >>> fg.func.jacobian(lambda x: x.sum())(fg.ones(3))
    tensor([1., 1., 1.])
    """
    if mode not in ("auto", "reverse", "forward"):
        raise ValueError(f"jacobian: mode must be 'auto', 'reverse' or 'forward', got {mode!r}")
    forward = jacfwd(func, argnums, chunk_size=chunk_size)
    if mode != "auto":
        return forward if mode == "forward" else jacrev(func, argnums, chunk_size=chunk_size)

    @functools.wraps(func)
    def jacobian_of(*args, **kwargs):
        recorded, structure, single = _recorded("jacobian", func, argnums, False, args, kwargs)
        inputs, outputs = (sum([t.numel() for t in ts]) for ts in (recorded.reverse.inputs, recorded.outputs))
        if outputs > inputs:
            return forward(*args, **kwargs)
        return _assembled(_by_reverse("jacobian", recorded, chunk_size), recorded.shape, structure, single)

    return jacobian_of


def hessian(func, argnums=0, *, chunk_size=None):
    """The Hessian of a function: the gradient is recorded once, and one pass back through it has all rows at once.

    Arguments as for `jacrev`. For a scalar function and an argument x the result has shape ``x.shape + x.shape``; for
    several arguments or containers it is nested, (first derivative, second derivative).

    >>> import fastgrad as fg
    >>> fg.func.hessian(lambda x: (x**3).sum())(fg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacrev(jacrev(func, argnums, chunk_size=chunk_size), argnums, chunk_size=chunk_size)


def laplacian(func, argnums=0, *, chunk_size=None):
    """The sum of the second derivatives by each element of an argument, for each output: the trace of the Hessian.

    Both derivatives are forward: func runs with a batch of directions, twice over, and no Hessian is kept.

    >>> import fastgrad as fg
    >>> fg.func.laplacian(lambda x: (x**3).sum())(fg.tensor([1.0, 2.0]))
    tensor(18.)
    """

    @functools.wraps(func)
    def laplacian_of(*args, **kwargs):
        _, numbers, leaves, structure = picked(args, argnums, "laplacian")
        seen = {}

        def along(*ts):
            first = transforms.enter_forward()
            try:
                second = transforms.enter_forward()
                duals = [
                    transforms.make_dual(transforms.make_dual(x, t, first), t, second)
                    for x, t in zip(leaves, ts, strict=True)
                ]
                y = func(*replaced(args, numbers, unflatten(structure, duals)), **kwargs)
                ys, seen["shape"] = tensors(y, "laplacian", "outputs")
                slopes = [transforms.tangent_of(one, second) for one in ys]
                return tuple([transforms.tangent_of(slope, first) for slope in slopes])
            finally:
                transforms.leave(first)

        run = vmap(along)
        total = sum([x.numel() for x in leaves])
        chunk = _chunk(total, leaves, chunk_size, "laplacian")
        found = None
        for start in range(0, total, chunk):
            rows = run(*transforms.unit_vectors(leaves, start, min(chunk, total - start)))
            parts = [t.sum(0) for t in rows]
            found = parts if found is None else [a + b for a, b in zip(found, parts, strict=True)]
        return unflatten(seen["shape"], found)

    return laplacian_of
