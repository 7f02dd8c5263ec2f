"""Compositions that a step of training may call and that Python would slow down by more than a quarter: see docs/design.md."""

from .order cimport axis_of
from .tensor cimport *

import numpy as np

from .table import functions, publish
from .tensor import install


cdef object call(str name, tuple args):
    return functions[name](*args)


cdef tuple listed(object dims):
    return (dims,) if isinstance(dims, int) else tuple(dims)


@publish
def flip(Tensor input not None, *axes, dims=None):
    """The elements in reverse order along each of the dimensions, ints or one sequence (or `dims`); a copy.

    >>> import fastgrad as fg
    >>> fg.flip(fg.tensor([[1, 2], [3, 4]]), (1,))
    tensor([[2, 1],
            [4, 3]])
    """
    cdef object y = input
    given = listed(dims if dims is not None else axes[0] if len(axes) == 1 else axes)
    along = [axis_of(d, input.layout.c.ndim, "flip") for d in given]
    if len(set(along)) != len(along):
        raise RuntimeError(f"flip: a dimension comes twice in {given}")
    for axis in along:
        if input.layout.c.ndim:
            n = input.shape[axis]
            y = call("index_select", (y, axis, n - 1 - call("arange", (n,))))
    return y.clone() if y is input else y


@publish
def roll(Tensor input not None, shifts, dims=None):
    """The elements moved along `dims` by `shifts`, those that leave at one end entering at the other; flattened without dims.

    >>> import fastgrad as fg
    >>> fg.roll(fg.arange(5), 2)
    tensor([3, 4, 0, 1, 2])
    """
    if dims is None:
        return roll(input.reshape(-1), shifts, 0).reshape(input.shape)
    shifts, dims = listed(shifts), listed(dims)
    if len(shifts) != len(dims):
        raise RuntimeError(f"roll: shifts and dims must have the same length, got {len(shifts)} and {len(dims)}")
    cdef object y = input
    for shift, dim in zip(shifts, dims):
        axis = axis_of(dim, input.layout.c.ndim, "roll")
        n = y.shape[axis]
        k = shift % n if n else 0
        if k:
            y = call("cat", ([y.narrow(axis, n - k, k), y.narrow(axis, 0, n - k)], axis))
    return y.clone() if y is input else y


def repeat(Tensor self not None, *sizes):
    """This tensor repeated along each dimension; more sizes than dimensions add dimensions in front. A copy."""
    sizes = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    lead = len(sizes) - self.layout.c.ndim
    if lead < 0:
        raise RuntimeError(f"repeat: {len(sizes)} sizes for a tensor of {self.layout.c.ndim} dimensions; there must be at least "
                           f"as many")
    if any(n < 0 for n in sizes):
        raise RuntimeError(f"repeat: sizes must not be negative, got {sizes}")
    cdef object y = self.reshape((1,) * lead + tuple(self.shape)) if lead else self
    for axis, n in enumerate(sizes):
        if n == 0:
            y = y.narrow(axis, 0, 0)
        elif n > 1:
            y = call("cat", ([y] * n, axis))
    return y if y._base is None and y is not self else y.clone()


install("repeat", repeat)


@publish
def tile(Tensor input not None, *dims):
    """The tensor repeated along each dimension; fewer numbers than dimensions leave the first ones as they are.

    >>> import fastgrad as fg
    >>> fg.tile(fg.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    dims = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return repeat(input, (1,) * (input.layout.c.ndim - len(dims)) + dims)


@publish(method=False)
def pad(Tensor input not None, pad, mode="constant", value=None):
    """Adds elements before and after: pairs of counts, the last dimension first; negative ones take away.

    mode: "constant" (`value`, 0 if None), "reflect" (without the edge), "replicate" (the edge) or "circular".

    >>> import fastgrad as fg
    >>> fg.nn.functional.pad(fg.tensor([[1, 2]]), (1, 2))
    tensor([[0, 1, 2, 0, 0]])
    """
    cdef object y = input
    counts = tuple(pad)
    if len(counts) % 2 or len(counts) > 2 * input.layout.c.ndim:
        raise RuntimeError(f"pad: expected pairs of counts for at most {input.layout.c.ndim} dimensions, got {counts}")
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise NotImplementedError(f"pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}")
    for k in range(len(counts) // 2):
        axis, before, after = input.layout.c.ndim - 1 - k, counts[2 * k], counts[2 * k + 1]
        n = y.shape[axis]
        if before == 0 and after == 0:
            continue
        if n + before + after < 0 or (mode != "constant" and max(before, after) > (n - 1 if mode == "reflect" else n)
                                      and mode != "replicate"):
            raise RuntimeError(f"pad: {before} and {after} do not fit dimension {axis} of size {n} in mode {mode!r}")
        if mode == "constant":
            y = y.narrow(axis, max(0, -before), n - max(0, -before) - max(0, -after))
            edges = []
            for count in (before, after):
                shape = list(y.shape)
                shape[axis] = max(0, count)
                edges.append(y.new_full(shape, 0 if value is None else value))
            y = call("cat", ([edges[0], y, edges[1]], axis))
            continue
        at = np.arange(-before, n + after)
        if mode == "circular":
            at = at % n
        elif mode == "replicate":
            at = at.clip(0, n - 1)
        else:
            at = np.abs(at)
            at = np.where(at > n - 1, 2 * (n - 1) - at, at)
        y = call("index_select", (y, axis, call("from_numpy", (at.astype(np.int64),))))
    return y.clone() if y is input else y
