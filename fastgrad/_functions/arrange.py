"""Functions that arrange the elements of a tensor: turns, repetitions, broadcasting, transposes."""

import numpy as np

from fastgrad._core import ShapeError, Tensor
from fastgrad._core.memory import Size
from fastgrad._core.table import functions as f
from fastgrad._core.tensor import install
from fastgrad._functions._shared import listed, publish

# ---- turns ---------------------------------------------------------------------------------------------------------


@publish
def rot90(input, k=1, dims=(0, 1)):
    """The tensor turned by 90 degrees k times in the plane of two dimensions.

    >>> import fastgrad as fg
    >>> fg.rot90(fg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    first, second = dims
    k %= 4
    if k == 2:
        return input.flip((first, second))
    if k == 0:
        return input.clone()
    return input.flip(second if k == 1 else first).transpose(first, second)


@publish
def fliplr(input):
    """The columns in reverse order.

    >>> import fastgrad as fg
    >>> fg.fliplr(fg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    return input.flip(1)


@publish
def flipud(input):
    """The rows in reverse order.

    >>> import fastgrad as fg
    >>> fg.flipud(fg.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    return input.flip(0)


install("__reversed__", lambda self: self.flip(0) if self.dim() else self)


# ---- repetitions ---------------------------------------------------------------------------------------------------


@publish
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each element along `dim` (of the flattened tensor without it) repeated: `repeats` times, an int or a tensor of counts.

    With one argument, a tensor of counts: index i comes input[i] times.

    >>> import fastgrad as fg
    >>> fg.repeat_interleave(fg.tensor([1, 2]), fg.tensor([3, 1]))
    tensor([1, 1, 1, 2])
    """
    if repeats is None:
        repeats, input, dim = input, f["arange"](input.numel()), 0
    if dim is None:
        input, dim = input.reshape(-1), 0
    n = input.shape[dim]
    counts = repeats.tolist() if isinstance(repeats, Tensor) else repeats
    counts = counts[0] if isinstance(counts, list) and len(counts) == 1 else counts
    if isinstance(counts, list) and len(counts) != n:
        raise RuntimeError(f"repeat_interleave: {len(counts)} counts for dimension {dim} of size {n}")
    if np.min(counts, initial=0) < 0:
        raise RuntimeError("repeat_interleave: repeats must not be negative")
    return input.index_select(dim, f["from_numpy"](np.repeat(np.arange(n), counts)))


# ---- broadcasting --------------------------------------------------------------------------------------------------


@publish(method=False)
def broadcast_shapes(*shapes):
    """The shape that tensors of the given shapes broadcast to.

    >>> import fastgrad as fg
    >>> fg.broadcast_shapes((3, 1), (2,))
    fastgrad.Size([3, 2])
    """
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError:
        raise ShapeError(f"broadcast_shapes: shapes {shapes} cannot be broadcast together") from None


def sum_to_size(self, *size):
    """The tensor summed over the dimensions along which the given shape is broadcast to its own."""
    size = listed(size)
    lead = self.dim() - len(size)
    fits = lead >= 0 and all(n in (1, m) for n, m in zip(size, self.shape[lead:], strict=True))
    if not fits:
        raise ShapeError(f"sum_to_size: {size} does not broadcast to {tuple(self.shape)}")
    over = [k for k in range(self.dim()) if k < lead or (size[k - lead] == 1 and self.shape[k] != 1)]
    return self.sum(over, keepdim=True).reshape(size) if over else self


install("sum_to_size", sum_to_size)


# ---- transposes ----------------------------------------------------------------------------------------------------


def _adjoint(self):
    """The last two dimensions exchanged, as a view."""
    return self.mT


install("adjoint", _adjoint)
install("mH", property(_adjoint, None, None, "As mT: there are no complex numbers here."))
install("H", property(lambda self: self.t(), None, None, "The transpose of a matrix, as a view."))
