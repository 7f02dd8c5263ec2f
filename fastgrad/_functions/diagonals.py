"""Diagonals and triangles of matrices."""

import numpy as np

from fastgrad._core import ShapeError
from fastgrad._core.table import functions as f
from fastgrad._core.tensor import install
from fastgrad._functions._shared import axis_of, expect_tensor, publish


def _triangle(x, diagonal, upper, who):
    expect_tensor(x, who)
    n = x.dim()
    if n < 2:
        raise RuntimeError(f"{who}: expected a tensor of at least 2 dimensions, got {n}")
    rows, columns = f["arange"](x.shape[n - 2]).unsqueeze(1), f["arange"](x.shape[n - 1])
    inside = columns - rows >= diagonal if upper else columns - rows <= diagonal
    return f["where"](inside, x, x.new_zeros(()))


@publish(inplace=True)
def tril(input, diagonal=0):
    """The lower triangle of a matrix, or of each of a stack: 0 above the given diagonal.

    >>> import fastgrad as fg
    >>> fg.tril(fg.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle(input, diagonal, False, "tril")


@publish(inplace=True)
def triu(input, diagonal=0):
    """The upper triangle of a matrix, or of each of a stack: 0 below the given diagonal.

    >>> import fastgrad as fg
    >>> fg.triu(fg.ones(2, 2), diagonal=1)
    tensor([[0., 1.],
            [0., 0.]])
    """
    return _triangle(input, diagonal, True, "triu")


@publish
def diag(input, diagonal=0):
    """The square matrix with the elements of a vector on a diagonal; of a matrix, the elements of a diagonal, as a copy.

    >>> import fastgrad as fg
    >>> fg.diag(fg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    expect_tensor(input, "diag")
    if input.dim() == 2:
        return input.diagonal(diagonal).clone()
    if input.dim() != 1:
        raise RuntimeError(f"diag: expected a tensor of 1 or 2 dimensions, got {input.dim()}")
    n = input.numel() + abs(diagonal)
    at = f["arange"](input.numel())
    return f["index_put"](input.new_zeros(n, n), (at + max(0, -diagonal), at + max(0, diagonal)), input)


@publish
def trace(input):
    """The sum of the diagonal of a matrix.

    >>> import fastgrad as fg
    >>> fg.trace(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    expect_tensor(input, "trace")
    if input.dim() != 2:
        raise RuntimeError(f"trace: expected a matrix, but got a tensor of {input.dim()} dimensions")
    return input.diagonal().sum()


@publish
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices with the last dimension of `input` on a diagonal, in the dimensions dim1 and dim2 of the result.

    >>> import fastgrad as fg
    >>> fg.diag_embed(fg.tensor([[1, 2], [3, 4]])).shape
    fastgrad.Size([2, 2, 2])
    """
    ndim = input.dim() + 1
    dim1, dim2 = axis_of(dim1, ndim, "diag_embed"), axis_of(dim2, ndim, "diag_embed")
    if dim1 == dim2:
        raise RuntimeError(f"diag_embed: dim1 and dim2 must differ, both are {dim1}")
    n = input.shape[-1] + abs(offset)
    out = diagonal_scatter(input.new_zeros(*input.shape[:-1], n, n), input, offset, -2, -1)
    return out.movedim((-2, -1), (dim1, dim2))


@publish
def diagflat(input, offset=0):
    """The square matrix with all elements of a tensor on a diagonal.

    >>> import fastgrad as fg
    >>> fg.diagflat(fg.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag(input.reshape(-1), offset)


@publish
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """A copy of the tensor with `src` on a diagonal.

    >>> import fastgrad as fg
    >>> fg.diagonal_scatter(fg.zeros(2, 2), fg.tensor([5.0, 6.0]))
    tensor([[5., 0.],
            [0., 6.]])
    """
    out = input.clone()
    part = out.diagonal(offset, dim1, dim2)
    if part.shape != src.shape:
        raise ShapeError(f"diagonal_scatter: src has shape {tuple(src.shape)}, the diagonal {tuple(part.shape)}")
    part.copy_(src)
    return out


def fill_diagonal_(self, fill_value, wrap=False):
    """Writes a number on the main diagonal of a matrix, in place; `wrap` starts again below in a tall one."""
    if self.dim() < 2:
        raise RuntimeError(f"fill_diagonal_: expected at least 2 dimensions, got {self.dim()}")
    if wrap and self.dim() == 2:
        for row in range(0, self.shape[0], self.shape[1] + 1):
            self[row : row + self.shape[1]].diagonal().fill_(fill_value)
        return self
    at = f["arange"](min(self.shape))
    self[(at,) * self.dim()] = fill_value
    return self


install("fill_diagonal_", fill_diagonal_)


@publish(method=False)
def tril_indices(row, col, offset=0, *, dtype=None, device=None):
    """The indices (2, n) of the lower triangle of a row x col matrix.

    >>> import fastgrad as fg
    >>> fg.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return f["from_numpy"](np.stack(np.tril_indices(row, offset, col)).astype(np.int64)).to(dtype=dtype)


@publish(method=False)
def triu_indices(row, col, offset=0, *, dtype=None, device=None):
    """The indices (2, n) of the upper triangle of a row x col matrix.

    >>> import fastgrad as fg
    >>> fg.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return f["from_numpy"](np.stack(np.triu_indices(row, offset, col)).astype(np.int64)).to(dtype=dtype)
