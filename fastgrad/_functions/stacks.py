"""Splits and stacks: one tensor as several, several as one."""

import itertools

import numpy as np

from fastgrad._core import Tensor
from fastgrad._core.memory import Size
from fastgrad._core.table import functions as f
from fastgrad._functions._shared import axis_of, expect_tensor, listed, publish


@publish
def tensor_split(input, indices_or_sections, dim=0):
    """Parts along `dim`: so many, as equal as possible, or between the given indices. A tuple of views.

    >>> import fastgrad as fg
    >>> fg.tensor_split(fg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    dim = axis_of(dim, input.dim(), "tensor_split")
    n = input.shape[dim]
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        sections = indices_or_sections
        if sections < 1:
            raise RuntimeError(f"tensor_split: the number of sections must be positive, got {sections}")
        sizes = [n // sections + (k < n % sections) for k in range(sections)]
        edges = [0, *itertools.accumulate(sizes)]
    else:
        edges = [0, *indices_or_sections, n]
    at = (slice(None),) * dim
    return tuple(input[(*at, slice(lo, hi))] for lo, hi in itertools.pairwise(edges))


def _split_along(name, dim):
    def split(input, indices_or_sections):
        axis = 0 if name == "hsplit" and input.dim() == 1 else dim
        if input.dim() <= axis:
            raise RuntimeError(f"{name}: expected at least {axis + 1} dimensions, got {input.dim()}")
        if isinstance(indices_or_sections, int) and input.shape[axis] % indices_or_sections:
            raise RuntimeError(
                f"{name}: size {input.shape[axis]} of dimension {axis} is no multiple of {indices_or_sections}"
            )
        return tensor_split(input, indices_or_sections, axis)

    split.__name__ = split.__qualname__ = name
    split.__doc__ = f"""Parts along dimension {dim}: so many of equal size, or between the given indices.

    >>> import fastgrad as fg
    >>> [part.shape for part in fg.{name}(fg.zeros(2, 4, 6), 2)]
    {[Size(n // 2 if k == dim else n for k, n in enumerate((2, 4, 6)))] * 2}
    """
    return publish(split)


hsplit, vsplit, dsplit = _split_along("hsplit", 1), _split_along("vsplit", 0), _split_along("dsplit", 2)


def _each(function):
    """A function of one tensor that also takes several, or a sequence of them."""

    def run(*tensors):
        xs = listed(tensors)
        return function(xs[0]) if xs is tensors and len(xs) == 1 else tuple(function(x) for x in xs)

    run.__name__ = run.__qualname__ = function.__name__
    run.__doc__ = function.__doc__
    return publish(run, method=False)


@_each
def atleast_1d(x):
    """The tensor with at least 1 dimension; of several tensors, a tuple.

    >>> import fastgrad as fg
    >>> fg.atleast_1d(fg.tensor(1.0)).shape
    fastgrad.Size([1])
    """
    return x if x.dim() else x.reshape(1)


@_each
def atleast_2d(x):
    """The tensor with at least 2 dimensions, new ones in front; of several tensors, a tuple.

    >>> import fastgrad as fg
    >>> fg.atleast_2d(fg.zeros(3)).shape
    fastgrad.Size([1, 3])
    """
    return x if x.dim() > 1 else atleast_1d(x).unsqueeze(0)


@_each
def atleast_3d(x):
    """The tensor with at least 3 dimensions, a new last one for a matrix; of several tensors, a tuple.

    >>> import fastgrad as fg
    >>> fg.atleast_3d(fg.zeros(3)).shape
    fastgrad.Size([1, 3, 1])
    """
    return x if x.dim() > 2 else atleast_2d(x).unsqueeze(-1)


@publish(method=False)
def dstack(tensors):
    """Tensors one after the other along dimension 2.

    >>> import fastgrad as fg
    >>> fg.dstack([fg.zeros(2, 3), fg.zeros(2, 3)]).shape
    fastgrad.Size([2, 3, 2])
    """
    return f["cat"]([atleast_3d(x) for x in tensors], 2)


@publish(method=False)
def column_stack(tensors):
    """Vectors as the columns of a matrix; matrices side by side.

    >>> import fastgrad as fg
    >>> fg.column_stack([fg.tensor([1, 2]), fg.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    return f["cat"]([x.reshape(-1, 1) if x.dim() < 2 else x for x in tensors], 1)


publish(f["vstack"], method=False, name="row_stack")


@publish(method=False)
def block_diag(*tensors):
    """The matrix with the given matrices on its diagonal, zeros elsewhere.

    >>> import fastgrad as fg
    >>> fg.block_diag(fg.tensor([[1, 2]]), fg.tensor([[3]]))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    blocks = [atleast_2d(x) for x in listed(tensors)]
    width, at, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        rows.append(f["pad"](x, (at, width - at - x.shape[1])))
        at += x.shape[1]
    return f["cat"](rows)


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
    vectors = list(listed(tensors))
    for t in vectors:
        expect_tensor(t, "meshgrid")
        if t.dim() > 1:
            raise RuntimeError(f"meshgrid: expected vectors, got a tensor of shape {tuple(t.shape)}")
    swap = indexing == "xy" and len(vectors) > 1
    if swap:
        vectors[:2] = vectors[1], vectors[0]
    sizes = [t.numel() for t in vectors]
    grids = [t.reshape([1] * k + [-1] + [1] * (len(vectors) - k - 1)).expand(sizes) for k, t in enumerate(vectors)]
    if swap:
        grids[:2] = grids[1], grids[0]
    return tuple(grids)


@publish(method=False)
def cartesian_prod(*tensors):
    """All combinations of one element of each vector, as rows; one vector as it is.

    >>> import fastgrad as fg
    >>> fg.cartesian_prod(fg.tensor([1, 2]), fg.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    if len(tensors) == 1:
        return tensors[0]
    return f["stack"]([g.reshape(-1) for g in f["meshgrid"](*tensors, indexing="ij")], 1)


@publish
def combinations(input, r=2, with_replacement=False):
    """All combinations of r elements of a vector, as rows in the order of itertools.

    >>> import fastgrad as fg
    >>> fg.combinations(fg.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    chosen = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(chosen(range(input.shape[0]), r))
    return input[f["from_numpy"](np.array(rows, np.int64).reshape(-1, r))]
