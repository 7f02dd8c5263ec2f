"""vmap: a function of one element run on a whole batch. Imports the core."""

import functools

from fastgrad import _core
from fastgrad._core import Tensor, transforms
from fastgrad.func._tree import flatten, spread, unflatten


def vmap(func, in_dims=0, out_dims=0, randomness="error", *, chunk_size=None, in_axes=0, out_axes=0):
    """func, written for one element, as a function of a batch: each operation runs once, on all elements.

    Args:
        func: takes and returns Tensors, in tuples, lists and dicts as it likes.
        in_dims: along which dimension the arguments hold the batch: an int for all, or a tuple with an entry for each
            argument, None for one that all elements share; an entry may itself be nested like its argument.
        out_dims: the dimension that holds the batch in the results, an int, or nested like what func returns.
        randomness: what random operations inside do: "error", "different" (draws for each element) or "same".
        chunk_size: the most elements that run at once, to bound memory; all if None.
        in_axes, out_axes: other names of in_dims and out_dims.

    Returns a function. It raises ValueError where batch sizes differ or in_dims does not fit; what needs the value of one
    element (`item()`, ``if x > 0``, boolean masks as indices) raises RuntimeError inside.

    >>> import fastgrad as fg
    >>> row = lambda a, b: (a * b).sum()
    >>> fg.func.vmap(row)(fg.ones(3, 2), fg.arange(6.0).reshape(3, 2))
    tensor([1., 5., 9.])
    """
    in_dims = in_axes if in_axes != 0 else in_dims
    out_dims = out_axes if out_axes != 0 else out_dims
    code = coded(randomness, "vmap")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size must be positive or None, got {chunk_size}")

    @functools.wraps(func)
    def mapped(*args, **kwargs):
        return _run(func, in_dims, out_dims, code, chunk_size, args, kwargs)

    return mapped


def coded(randomness, who):
    """What the core calls a choice of randomness."""
    if randomness not in transforms.RANDOMNESS:
        raise ValueError(f"{who}: randomness must be 'error', 'different' or 'same', got {randomness!r}")
    return transforms.RANDOMNESS[randomness]


def _run(func, in_dims, out_dims, randomness, chunk_size, args, kwargs):
    if not args:
        raise ValueError("vmap: the mapped function needs a positional argument to take the batch from")
    if isinstance(in_dims, list):
        in_dims = tuple(in_dims)
    if isinstance(in_dims, tuple) and len(in_dims) != len(args):
        raise ValueError(f"vmap: in_dims has {len(in_dims)} entries for {len(args)} arguments")
    dims, leaves, structure = spread(in_dims, args, "vmap", "in_dims")
    named, names = flatten(kwargs)
    size = None
    for k, (x, dim) in enumerate(zip(leaves, dims, strict=True)):
        if dim is None:
            continue
        if type(x) is not Tensor:
            raise ValueError(
                f"vmap: in_dims is {dim} for an argument of type {type(x).__name__}; only Tensors hold a batch: use None"
            )
        if not -x.ndim <= dim < x.ndim:
            raise ValueError(f"vmap: in_dims is {dim} for a tensor of {x.ndim} dimensions")
        dims[k] = dim % x.ndim
        if size is not None and x.shape[dim] != size:
            raise ValueError(f"vmap: the batches have different sizes, {size} and {x.shape[dim]}; they must be equal")
        size = x.shape[dim]
    named_dims = [
        0 if type(x) is Tensor and x.ndim else None for x in named
    ]  # keyword arguments: dimension 0, as PyTorch
    for x, dim in zip(named, named_dims, strict=True):
        if dim is not None and size is not None and x.shape[0] != size:
            raise ValueError(
                f"vmap: the batches have different sizes, {size} and {x.shape[0]}; keyword arguments hold the batch "
                f"in dimension 0"
            )
        if dim is not None:
            size = x.shape[0]
    if size is None:
        raise ValueError("vmap: in_dims is None for all arguments; at least one must hold the batch")
    call = functools.partial(_once, func, out_dims, randomness, structure, names)
    if chunk_size is None or chunk_size >= size:
        return unflatten(*call(size, leaves, dims, named, named_dims)[:2])
    parts = []
    for start in range(0, size, chunk_size):
        count = min(chunk_size, size - start)
        cut = [x if d is None else x.narrow(d, start, count) for x, d in zip(leaves, dims, strict=True)]
        named_cut = [x if d is None else x.narrow(d, start, count) for x, d in zip(named, named_dims, strict=True)]
        parts.append(call(count, cut, dims, named_cut, named_dims))
    shape, _, outs = parts[0]
    joined = [
        rows[0] if dim is None else _core.functions["cat"](rows, dim)
        for dim, rows in zip(outs, zip(*[leaves for _, leaves, _ in parts], strict=True), strict=True)
    ]
    return unflatten(shape, joined)


def _once(func, out_dims, randomness, structure, names, size, leaves, dims, named, named_dims):
    """One pass: (structure of the results, their leaves, the dimension of the batch in each)."""
    level = transforms.enter_vmap(size, randomness)
    try:
        args = [x if d is None else transforms.add_batch(x, level, d) for x, d in zip(leaves, dims, strict=True)]
        kwargs = [x if d is None else transforms.add_batch(x, level, d) for x, d in zip(named, named_dims, strict=True)]
        y = func(*unflatten(structure, args), **unflatten(names, kwargs))
        outs, results, shape = spread(out_dims, y, "vmap", "out_dims")
        for k, r in enumerate(results):
            if type(r) is not Tensor:
                raise TypeError(f"vmap: the mapped function must return Tensors, got {type(r).__name__}")
            results[k] = transforms.remove_batch(r, level, outs[k])
    finally:
        transforms.leave(level)
    return shape, results, outs
