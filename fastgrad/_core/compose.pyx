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
    """The sums of all elements up to each along `dim`; of integers and bools as int64."""
    return scanned(input, either(dim, axis), dtype, functions["add"], "cumsum")


@publish(inplace=cumprod_)
def cumprod(Tensor input not None, dim=None, *, dtype=None, axis=None):
    """The products of all elements up to each along `dim`; of integers and bools as int64. Right, to any order, where
    elements are 0."""
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
    """The lower triangle of a matrix, or of each of a stack: 0 above the given diagonal."""
    return triangle(input, diagonal, False, "tril")


@publish
def triu(Tensor input not None, diagonal=0):
    """The upper triangle of a matrix, or of each of a stack: 0 below the given diagonal."""
    return triangle(input, diagonal, True, "triu")


cdef object on_diagonal(Tensor x, object k):
    """The elements of a matrix on one of its diagonals, a copy."""
    rows, columns = x.shape
    count = max(0, min(rows, columns - k) if k >= 0 else min(rows + k, columns))
    at = call("arange", (count,))
    return x[at + max(0, -k), at + max(0, k)]


@publish
def diag(Tensor input not None, diagonal=0):
    """The square matrix with the elements of a vector on a diagonal; of a matrix, the elements of a diagonal, as a copy."""
    if input.layout.c.ndim == 2:
        return on_diagonal(input, diagonal)
    if input.layout.c.ndim != 1:
        raise RuntimeError(f"diag: expected a tensor of 1 or 2 dimensions, got {input.layout.c.ndim}")
    n = input.layout.c.size + abs(diagonal)
    at = call("arange", (input.layout.c.size,))
    return call("index_put", (input.new_zeros(n, n), (at + max(0, -diagonal), at + max(0, diagonal)), input))


@publish
def trace(Tensor input not None):
    """The sum of the diagonal of a matrix."""
    if input.layout.c.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got a tensor of {input.layout.c.ndim} dimensions")
    return on_diagonal(input, 0).sum()


cdef tuple listed(object dims):
    return (dims,) if isinstance(dims, int) else tuple(dims)


@publish
def flip(Tensor input not None, *axes, dims=None):
    """The elements in reverse order along each of the dimensions, ints or one sequence (or `dims`); a copy."""
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
    """The elements moved along `dims` by `shifts`, those that leave at one end entering at the other; flattened without dims."""
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
    """The tensor repeated along each dimension; fewer numbers than dimensions leave the first ones as they are."""
    dims = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    return repeat(input, (1,) * (input.layout.c.ndim - len(dims)) + dims)


@publish(method=False)
def broadcast_tensors(*tensors):
    """All tensors expanded to one shape."""
    try:
        shape = np.broadcast_shapes(*[tuple(t.shape) for t in tensors])
    except ValueError:
        shapes = ", ".join([str(tuple(t.shape)) for t in tensors])
        raise ShapeError(f"broadcast_tensors: shapes {shapes} cannot be broadcast together: aligned at the last dimension, "
                         f"sizes must be equal or 1") from None
    return tuple([t.expand(shape) for t in tensors])


@publish(method=False)
def meshgrid(*tensors, indexing="ij"):
    """Grids of the coordinates of vectors, one for each; "xy" exchanges the first two dimensions."""
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
    """int64 with one more dimension: 1 where its index is the class, else 0. num_classes -1: the largest class and one."""
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
    """input / max(its p-norm along `dim`, eps)."""
    return input / call("norm", (input, p, dim, True)).clamp_min(eps)


# ---- einsum --------------------------------------------------------------------------------------------------------

cdef list subscripts(str text, int ndim, str equation):
    """The labels of one operand's dimensions; those of an ellipsis are -1, -2, ... from the last on."""
    text = text.replace(" ", "")
    head, dots, tail = text.partition("...")
    labels = list(head + tail)
    if any(not c.isalpha() for c in labels):
        raise RuntimeError(f"einsum: {equation!r}: subscripts are letters, got {text!r}")
    if len(labels) > ndim or (not dots and len(labels) != ndim):
        raise RuntimeError(f"einsum: {equation!r}: {text!r} has {len(labels)} subscripts for an operand of {ndim} dimensions")
    if not dots:
        return labels
    return list(head) + [-k for k in range(ndim - len(labels), 0, -1)] + list(tail)


cdef object by_labels(Tensor x, list labels, list wanted):
    """x with its dimensions in the order of `wanted`, of size 1 where it has none."""
    y = x.permute([labels.index(c) for c in wanted if c in labels]) if labels else x
    shape, sizes = [], iter(y.shape)
    for c in wanted:
        shape.append(next(sizes) if c in labels else 1)
    return y.reshape(shape)


cdef tuple pair_product(Tensor x, list of_x, Tensor y, list of_y, set kept):
    """The product of two operands, summed over the labels that nobody needs any more: one stack of matrix products."""
    x, of_x = summed(x, of_x, [c for c in of_x if c not in of_y and c not in kept])
    y, of_y = summed(y, of_y, [c for c in of_y if c not in of_x and c not in kept])
    over = [c for c in of_x if c in of_y and c not in kept]
    batch = [c for c in of_x if c in of_y and c in kept]
    left = [c for c in of_x if c not in of_y]
    right = [c for c in of_y if c not in of_x]
    if any(x.shape[of_x.index(c)] != y.shape[of_y.index(c)] for c in over + batch):
        # a size of 1 stands for any: multiply and sum
        labels = batch + left + right + over
        product = by_labels(x, of_x, labels) * by_labels(y, of_y, labels)
        return summed(product, labels, over)
    sizes = {**dict(zip(of_x, x.shape)), **dict(zip(of_y, y.shape))}
    count = [1, 1, 1, 1]
    for k, part in enumerate((batch, left, over, right)):
        for c in part:
            count[k] *= sizes[c]
    a = by_labels(x, of_x, batch + left + over).reshape(count[0], count[1], count[2])
    b = by_labels(y, of_y, batch + over + right).reshape(count[0], count[2], count[3])
    labels = batch + left + right
    return (a @ b).reshape([sizes[c] for c in labels]), labels


cdef tuple summed(Tensor x, list labels, list over):
    if not over:
        return x, labels
    return x.sum([labels.index(c) for c in over]), [c for c in labels if c not in over]


cdef tuple without_repeats(Tensor x, list labels, str equation):
    """A label that comes twice in one operand: its diagonal."""
    for c in list(dict.fromkeys(labels)):
        while labels.count(c) > 1:
            i = labels.index(c)
            j = labels.index(c, i + 1)
            n = x.shape[i]
            if x.shape[j] != n:
                raise ShapeError(f"einsum: {equation!r}: subscript {c!r} has sizes {n} and {x.shape[j]} in one operand")
            rest = [k for k in range(len(labels)) if k not in (i, j)]
            at = call("arange", (n,))
            x = x.permute([i, j, *rest])[at, at]
            labels = [c] + [labels[k] for k in rest]
    return x, labels


@publish(method=False)
def einsum(equation, *operands):
    """Sums of products over the labelled dimensions of tensors, Einstein's notation: "ij,jk->ik" is a matrix product.

    equation: labels of each operand's dimensions, letters, separated by commas; after "->" those of the result, without it
    those that come once, in alphabetical order. "..." stands for dimensions that broadcast. A label that comes twice in one
    operand takes its diagonal. Operands are multiplied from left to right, two at a time, as matrix products.

    >>> import fastgrad as fg
    >>> fg.einsum("ij,j->i", fg.ones(2, 3), fg.arange(3.0))
    tensor([3., 3.])
    """
    if len(operands) == 1 and not isinstance(operands[0], Tensor):
        operands = tuple(operands[0])
    terms, arrow, result = equation.partition("->")
    terms = terms.split(",")
    if len(terms) != len(operands):
        raise RuntimeError(f"einsum: {equation!r}: {len(terms)} terms for {len(operands)} operands")
    labelled = [(x, subscripts(term, x.dim(), equation)) for x, term in zip(operands, terms)]
    everything = [c for _, labels in labelled for c in labels]
    dots = sorted({c for c in everything if isinstance(c, int)})
    if arrow:
        head, ellipsis, tail = result.replace(" ", "").partition("...")
        wanted = list(head) + (dots if ellipsis else []) + list(tail)
    else:
        wanted = dots + sorted(c for c in set(everything) if isinstance(c, str) and everything.count(c) == 1)
    if len(set(wanted)) != len(wanted) or any(c not in everything for c in wanted):
        raise RuntimeError(f"einsum: {equation!r}: each subscript of the result must come once there, and in an operand")
    sizes = {}
    for x, labels in labelled:
        for c, n in zip(labels, x.shape):
            if sizes.setdefault(c, n) != n and n != 1:
                if sizes[c] != 1:
                    raise ShapeError(f"einsum: {equation!r}: subscript {c!r} has sizes {sizes[c]} and {n}")
                sizes[c] = n
    parts = [without_repeats(x, labels, equation) for x, labels in labelled]
    x, labels = parts[0]
    for k, (y, of_y) in enumerate(parts[1:]):
        later = {c for _, others in parts[k + 2:] for c in others}
        x, labels = pair_product(x, labels, y, of_y, later | set(wanted))
    x, labels = summed(x, labels, [c for c in labels if c not in wanted])
    return by_labels(x, labels, wanted)
