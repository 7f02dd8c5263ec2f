"""Functions of tensors that are compositions of ops: each differentiates to any order because its parts do.

Scans double their reach with each step, so that their depth on the tape is the logarithm of the length.
"""

from .order cimport axis_of
from .shape cimport either
from .tensor cimport *

import numpy as np

from ._errors import ShapeError
from .table import functions, publish
from .tensor import install


cdef object call(str name, tuple args):
    return functions[name](*args)


# ---- scans ---------------------------------------------------------------------------------------------------------

cdef object scanned(Tensor x, object dim, object dtype, object combine, str who):
    cdef int axis = axis_of(dim, x.layout.c.ndim, who)
    y = x.to(dtype) if dtype is not None else x if fg_is_real(x.dtype) else x.long()
    n, reach = x.layout.c.shape[axis] if x.layout.c.ndim else 1, 1
    if n < 2 and y is x:
        return x.clone()
    while reach < n:
        ahead = combine(y.narrow(axis, 0, n - reach), y.narrow(axis, reach, n - reach))
        y = call("cat", ([y.narrow(axis, 0, reach), ahead], axis))
        reach *= 2
    return y


def cumsum_(Tensor self not None, dim, *, dtype=None):
    """In-place form of `cumsum`."""
    return self.copy_(cumsum(self, dim, dtype=dtype))


def cumprod_(Tensor self not None, dim, *, dtype=None):
    """In-place form of `cumprod`."""
    return self.copy_(cumprod(self, dim, dtype=dtype))


@publish(inplace=cumsum_)
def cumsum(Tensor input not None, dim=None, *, dtype=None, axis=None):
    """The sums of all elements up to each along `dim`; of integers and bools as int64.

    >>> import fastgrad as fg
    >>> fg.cumsum(fg.tensor([1, 2, 3, 4]), dim=0)
    tensor([ 1,  3,  6, 10])
    """
    return scanned(input, either(dim, axis), dtype, functions["add"], "cumsum")


@publish(inplace=cumprod_)
def cumprod(Tensor input not None, dim=None, *, dtype=None, axis=None):
    """The products of all elements up to each along `dim`; of integers and bools as int64. Right, to any order, where
    elements are 0.

    >>> import fastgrad as fg
    >>> fg.cumprod(fg.tensor([1, 2, 3, 4]), dim=0)
    tensor([ 1,  2,  6, 24])
    """
    return scanned(input, either(dim, axis), dtype, functions["mul"], "cumprod")


# ---- parts and shapes ----------------------------------------------------------------------------------------------

cdef object triangle(Tensor x, object diagonal, bint upper, str who):
    cdef int n = x.layout.c.ndim
    if n < 2:
        raise RuntimeError(f"{who}: expected a tensor of at least 2 dimensions, got {n}")
    rows = call("arange", (x.shape[n - 2],)).unsqueeze(1)
    columns = call("arange", (x.shape[n - 1],))
    return call("where", (columns - rows >= diagonal if upper else columns - rows <= diagonal, x, x.new_zeros(())))


@publish
def tril(Tensor input not None, diagonal=0):
    """The lower triangle of a matrix, or of each of a stack: 0 above the given diagonal.

    >>> import fastgrad as fg
    >>> fg.tril(fg.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return triangle(input, diagonal, False, "tril")


@publish
def triu(Tensor input not None, diagonal=0):
    """The upper triangle of a matrix, or of each of a stack: 0 below the given diagonal.

    >>> import fastgrad as fg
    >>> fg.triu(fg.ones(2, 2), diagonal=1)
    tensor([[0., 1.],
            [0., 0.]])
    """
    return triangle(input, diagonal, True, "triu")


cdef object on_diagonal(Tensor x, object k):
    """The elements of a matrix on one of its diagonals, a copy."""
    rows, columns = x.shape
    count = max(0, min(rows, columns - k) if k >= 0 else min(rows + k, columns))
    at = call("arange", (count,))
    return x[at + max(0, -k), at + max(0, k)]


@publish
def diag(Tensor input not None, diagonal=0):
    """The square matrix with the elements of a vector on a diagonal; of a matrix, the elements of a diagonal, as a copy.

    >>> import fastgrad as fg
    >>> fg.diag(fg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.layout.c.ndim == 2:
        return on_diagonal(input, diagonal)
    if input.layout.c.ndim != 1:
        raise RuntimeError(f"diag: expected a tensor of 1 or 2 dimensions, got {input.layout.c.ndim}")
    n = input.layout.c.size + abs(diagonal)
    at = call("arange", (input.layout.c.size,))
    return call("index_put", (input.new_zeros(n, n), (at + max(0, -diagonal), at + max(0, diagonal)), input))


@publish
def trace(Tensor input not None):
    """The sum of the diagonal of a matrix.

    >>> import fastgrad as fg
    >>> fg.trace(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if input.layout.c.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got a tensor of {input.layout.c.ndim} dimensions")
    return on_diagonal(input, 0).sum()


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
def broadcast_tensors(*tensors):
    """All tensors expanded to one shape.

    >>> import fastgrad as fg
    >>> [x.shape for x in fg.broadcast_tensors(fg.zeros(3, 1), fg.zeros(2))]
    [fastgrad.Size([3, 2]), fastgrad.Size([3, 2])]
    """
    try:
        shape = np.broadcast_shapes(*[tuple(t.shape) for t in tensors])
    except ValueError:
        shapes = ", ".join([str(tuple(t.shape)) for t in tensors])
        raise ShapeError(f"broadcast_tensors: shapes {shapes} cannot be broadcast together: aligned at the last dimension, "
                         f"sizes must be equal or 1") from None
    return tuple([t.expand(shape) for t in tensors])


@publish(method=False)
def meshgrid(*tensors, indexing="ij"):
    """Grids of the coordinates of vectors, one for each; "xy" exchanges the first two dimensions.

    >>> import fastgrad as fg
    >>> rows, columns = fg.meshgrid(fg.arange(2), fg.arange(3), indexing="ij")
    >>> rows
    tensor([[0, 0, 0],
            [1, 1, 1]])
    """
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tuple(tensors[0])
    for t in tensors:
        if t.dim() > 1:
            raise RuntimeError(f"meshgrid: expected vectors, got a tensor of shape {tuple(t.shape)}")
    swap = indexing == "xy" and len(tensors) > 1
    vectors = list(tensors)
    if swap:
        vectors[:2] = vectors[1], vectors[0]
    sizes = [t.numel() for t in vectors]
    grids = [t.reshape([1] * k + [-1] + [1] * (len(vectors) - k - 1)).expand(sizes) for k, t in enumerate(vectors)]
    if swap:
        grids[:2] = grids[1], grids[0]
    return tuple(grids)


@publish(method=False)
def one_hot(Tensor tensor not None, num_classes=-1):
    """int64 with one more dimension: 1 where its index is the class, else 0. num_classes -1: the largest class and one.

    >>> import fastgrad as fg
    >>> fg.nn.functional.one_hot(fg.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if fg_is_real(tensor.dtype):
        raise RuntimeError(f"one_hot: expected a tensor of classes, integers, got {tensor.dtype}")
    if tensor.layout.c.size == 0 and num_classes <= 0:
        raise RuntimeError("one_hot: say num_classes for a tensor without elements")
    if num_classes == -1:
        num_classes = int(tensor.max()) + 1
    shape = (*tensor.shape, num_classes)
    try:
        return call("zeros", (shape,)).long().scatter(-1, tensor.long().unsqueeze(-1), 1)
    except IndexError as error:
        if tensor.flags & BOXED:
            raise RuntimeError(f"one_hot: {error}") from None
        if tensor.min() < 0:
            raise RuntimeError("one_hot: classes must not be negative") from None
        raise RuntimeError(f"one_hot: class {int(tensor.max())} is not below num_classes, {num_classes}") from None


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


@publish(method=False)
def normalize(Tensor input not None, p=2.0, dim=1, eps=1e-12):
    """input / max(its p-norm along `dim`, eps).

    >>> import fastgrad as fg
    >>> fg.nn.functional.normalize(fg.tensor([[3.0, 4.0]]), dim=1)
    tensor([[0.6000, 0.8000]])
    """
    return input / call("norm", (input, p, dim, True)).clamp_min(eps)
