"""Jacobians and Hessians: one pass with a batch of directions. Imports the core."""

import functools

from fastgrad import _core
from fastgrad._core import transforms
from fastgrad.func._transforms import Recorded, parted, picked, replaced, tensors, tree_map, unflatten
from fastgrad.func._vmap import coded

# Directions that run at once are bounded so that neither a batch of inputs and outputs nor, in reverse mode, one of the widest
# value between takes more bytes than this.
BATCH_BYTES = 1 << 26
_ERROR = transforms.RANDOMNESS["error"]


def _size(leaves):
    return sum([x.numel() for x in leaves])


def _chunk(total, leaves, chunk_size, who, widest=0):
    """How many directions run at once."""
    if chunk_size is not None:
        if chunk_size <= 0:
            raise ValueError(f"{who}: chunk_size must be positive or None, got {chunk_size}")
        return chunk_size
    return max(1, min(total, BATCH_BYTES // max(1, widest, sum([x.nbytes for x in leaves]))))


def _mapped(run, leaves, chunk, randomness=_ERROR):
    """run(*directions) for all unit vectors of the space of the leaves together, a chunk of them at once, as one batch: a list
    of the results of each chunk, which are lists of Tensors (directions, ...)."""
    total, parts = _size(leaves), []
    for start in range(0, max(total, 1), chunk):
        level = transforms.enter_vmap(min(chunk, total - start), randomness)
        try:
            results = run(*transforms.unit_vectors(leaves, start, level))
            parts.append([transforms.all_values(r, level) for r in results])
        finally:
            transforms.leave(level)
    return parts


def _rows(run, basis_of, chunk, randomness=_ERROR):
    """The results of `_mapped` for all directions: a list of Tensors."""
    parts = _mapped(run, basis_of, chunk, randomness)
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


def _by_reverse(who, func, chosen, args, kwargs, has_aux=False, chunk_size=None, unless_dearer=False):
    """(the Jacobian, aux) from its rows, by pullbacks of unit vectors; None where its columns would cost less and that is asked.
    chosen: what `picked` found."""
    single, numbers, leaves, structure = chosen
    values = unflatten(structure, leaves)
    recorded = Recorded(who, lambda *xs: func(*replaced(args, numbers, xs), **kwargs), values, has_aux)
    ys, xs = recorded.outputs, recorded.reverse.inputs
    if unless_dearer:
        row, column = recorded.reverse.costs(ys)
        if row * _size(ys) > column * _size(xs):
            return None
    aux = tree_map(recorded.reverse.outside, recorded.aux)
    if len(ys) == 1 and ys[0].numel() == 1:
        pulled = recorded.pull([_core.functions["ones_like"](ys[0])], keep=False)
        blocks = [[g.reshape(ys[0].shape + g.shape) for g in pulled]]
    else:
        chunk = _chunk(_size(ys), [*ys, *xs], chunk_size, who, recorded.reverse.widest(ys))
        blocks = _blocks(_rows(lambda *gs: recorded.pull(list(gs)), ys, chunk), ys, xs, True)
    return _assembled(blocks, recorded.shape, structure, single), aux


def _by_forward(who, func, chosen, args, kwargs, has_aux=False, chunk_size=None, randomness=_ERROR):
    """(the Jacobian, aux) from its columns: func runs with a batch of directions."""
    single, numbers, leaves, structure = chosen
    seen = {}

    def along(*ts):
        level = transforms.enter_forward()
        try:
            duals = [transforms.make_dual(x, t, level) for x, t in zip(leaves, ts, strict=True)]
            y = func(*replaced(args, numbers, unflatten(structure, duals)), **kwargs)
            y, aux = parted(y, has_aux, who)
            seen["ys"], seen["shape"] = tensors(y, who, "outputs")
            seen["aux"] = tree_map(lambda one: transforms.primal_of(one, level), aux)
            return [transforms.tangent_of(one, level) for one in seen["ys"]]
        finally:
            transforms.leave(level)

    columns = _rows(along, leaves, _chunk(_size(leaves), leaves, chunk_size, who), randomness)
    return _assembled(_blocks(columns, seen["ys"], leaves, False), seen["shape"], structure, single), seen["aux"]


def jacrev(func, argnums=0, *, has_aux=False, chunk_size=None):
    """The Jacobian of a function in reverse mode: one evaluation, then one pass back with all outputs at once.

    Args:
        func: returns a Tensor or a container of them; with has_aux a pair (that, anything else).
        argnums: which positional argument to differentiate by, or a tuple of several; an argument may be a container.
        chunk_size: how many rows run at once; if None so many that a batch of them, and of the widest value that the outputs
            were computed from, stays within 64 MB each.

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
        chosen = picked(args, argnums, "jacrev")
        found = _by_reverse("jacrev", func, chosen, args, kwargs, has_aux, chunk_size)
        return found if has_aux else found[0]

    return jacobian_of


def jacfwd(func, argnums=0, has_aux=False, *, randomness="error", chunk_size=None):
    """The Jacobian of a function in forward mode: the function runs once, with a batch of directions beside its values.

    Arguments and result as for `jacrev`; good where there are no more inputs than outputs. randomness: as for `vmap`.
    chunk_size: by itself only inputs are counted; say it where func makes much larger tensors of them.

    >>> import fastgrad as fg
    >>> fg.func.jacfwd(lambda x: fg.stack([x, x**2, x**3]))(fg.tensor(2.0))
    tensor([ 1.,  4., 12.])
    """

    code = coded(randomness, "jacfwd")

    @functools.wraps(func)
    def jacobian_of(*args, **kwargs):
        chosen = picked(args, argnums, "jacfwd")
        found = _by_forward("jacfwd", func, chosen, args, kwargs, has_aux, chunk_size, code)
        return found if has_aux else found[0]

    return jacobian_of


def jacobian(func, argnums=0, mode="auto", *, chunk_size=None):
    """The Jacobian in the mode that costs less: by rows where there are fewer outputs than inputs, else by columns, but for what
    products with unit vectors save, which are rows of a matrix: those that make an output, or take an input.

    mode: "auto", "reverse" or "forward"; the rest as for `jacrev`. What the function that this returns has found out about
    arguments of some shapes it keeps: a first call that ends in forward mode evaluates func once more than later ones.

    >>> import fastgrad as fg
    >>> fg.func.jacobian(lambda x: x.sum())(fg.ones(3))
    tensor([1., 1., 1.])
    """
    if mode not in ("auto", "reverse", "forward"):
        raise ValueError(f"jacobian: mode must be 'auto', 'reverse' or 'forward', got {mode!r}")
    by_rows = {}  # shapes of arguments -> whether reverse mode costs less

    @functools.wraps(func)
    def jacobian_of(*args, **kwargs):
        chosen = picked(args, argnums, "jacobian")
        shapes = tuple([x.shape for x in chosen[2]]) if mode == "auto" else None
        known = by_rows.get(shapes, mode != "forward")
        if known:
            choosing = mode == "auto" and shapes not in by_rows
            found = _by_reverse("jacobian", func, chosen, args, kwargs, chunk_size=chunk_size, unless_dearer=choosing)
            if choosing:
                by_rows[shapes] = found is not None
            if found is not None:
                return found[0]
        return _by_forward("jacobian", func, chosen, args, kwargs, chunk_size=chunk_size)[0]

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
                return [transforms.tangent_of(slope, first) for slope in slopes]
            finally:
                transforms.leave(first)

        chunk = _chunk(_size(leaves), leaves, chunk_size, "laplacian")
        parts = _mapped(along, leaves, chunk)
        return unflatten(seen["shape"], [sum([rows.sum(0) for rows in chunks]) for chunks in zip(*parts, strict=True)])

    return laplacian_of
