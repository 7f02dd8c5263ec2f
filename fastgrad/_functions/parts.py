"""Parts of a tensor chosen by indices and masks, and parts written into a copy."""

import numpy as np

from fastgrad._core import DTypeError, ShapeError
from fastgrad._core.table import functions as f
from fastgrad._functions._shared import axis_of, expect_tensor, publish

# ---- parts chosen --------------------------------------------------------------------------------------------------


@publish
def take(input, index):
    """The elements at the indices of the flattened tensor; the result has the shape of the index.

    >>> import fastgrad as fg
    >>> fg.take(fg.tensor([[1, 2], [3, 4]]), fg.tensor([0, 3]))
    tensor([1, 4])
    """
    return input.reshape(-1)[index]


@publish
def masked_select(input, mask):
    """The elements where the mask is true, as a vector; the two broadcast together.

    >>> import fastgrad as fg
    >>> fg.masked_select(fg.arange(3), fg.tensor([True, False, True]))
    tensor([0, 2])
    """
    expect_tensor(input, "masked_select")
    expect_tensor(mask, "masked_select")
    if mask.dtype is not f["tensor"](True).dtype:
        raise DTypeError(f"masked_select: the mask must be bool, got {mask.dtype}; convert it with .bool()")
    shape = np.broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    return input.expand(shape)[mask.expand(shape)] if shape else input.reshape(1)[mask.reshape(1)]


@publish
def argwhere(input):
    """The positions of the elements that are not zero: (count, ndim), int64.

    >>> import fastgrad as fg
    >>> fg.argwhere(fg.tensor([[0, 5], [6, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    return f["nonzero"](input)


@publish(method=False)
def one_hot(tensor, num_classes=-1):
    """int64 with one more dimension: 1 where its index is the class, else 0. num_classes -1: the largest class and one.

    >>> import fastgrad as fg
    >>> fg.nn.functional.one_hot(fg.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    expect_tensor(tensor, "one_hot")
    if tensor.is_floating_point():
        raise RuntimeError(f"one_hot: expected a tensor of classes, integers, got {tensor.dtype}")
    if tensor.numel() == 0 and num_classes <= 0:
        raise RuntimeError("one_hot: say num_classes for a tensor without elements")
    if num_classes == -1:
        num_classes = int(tensor.max()) + 1
    zeros = f["zeros"]((*tensor.shape, num_classes)).long()
    try:
        return zeros.scatter(-1, tensor.long().unsqueeze(-1), 1)
    except IndexError as error:
        try:
            least, largest = int(tensor.min()), int(tensor.max())
        except RuntimeError:  # inside vmap, where no value can be read
            raise RuntimeError(f"one_hot: {error}") from None
        if least < 0:
            raise RuntimeError("one_hot: classes must not be negative") from None
        raise RuntimeError(f"one_hot: class {largest} is not below num_classes, {num_classes}") from None


# ---- parts written into a copy -------------------------------------------------------------------------------------


@publish
def select_scatter(input, src, dim, index):
    """A copy of the tensor with `src` as the part of index `index` along `dim`.

    >>> import fastgrad as fg
    >>> fg.select_scatter(fg.zeros(2, 2), fg.tensor([5.0, 6.0]), 0, 1)
    tensor([[0., 0.],
            [5., 6.]])
    """
    out = input.clone()
    part = out.select(dim, index)
    if part.shape != src.shape:
        raise ShapeError(f"select_scatter: src has shape {tuple(src.shape)}, the part {tuple(part.shape)}")
    part.copy_(src)
    return out


@publish
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """A copy of the tensor with `src` as the slice from `start` to `end` along `dim`.

    >>> import fastgrad as fg
    >>> fg.slice_scatter(fg.zeros(4), fg.ones(2), 0, 1, 3)
    tensor([0., 1., 1., 0.])
    """
    out = input.clone()
    part = out[(slice(None),) * axis_of(dim, input.dim(), "slice_scatter") + (slice(start, end, step),)]
    if part.shape != src.shape:
        raise ShapeError(f"slice_scatter: src has shape {tuple(src.shape)}, the slice {tuple(part.shape)}")
    part.copy_(src)
    return out


@publish(inplace=True)
def masked_scatter(input, mask, source):
    """A copy of the tensor with the elements of `source`, in order, where the mask is True.

    >>> import fastgrad as fg
    >>> fg.masked_scatter(fg.zeros(3), fg.tensor([True, False, True]), fg.tensor([5.0, 6.0]))
    tensor([5., 0., 6.])
    """
    mask = mask.broadcast_to(np.broadcast_shapes(tuple(mask.shape), tuple(input.shape)))
    count = int(mask.sum())
    if source.numel() < count:
        raise RuntimeError(f"masked_scatter: {count} places for {source.numel()} elements of source")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"masked_scatter: input and source must have one dtype, got {input.dtype} and {source.dtype}"
        )
    return f["index_put"](input.expand(mask.shape).clone(), (mask,), source.reshape(-1)[:count])


@publish(inplace=True)
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """A copy of the tensor, into which src[i][j] was reduced at [index[i][j]][j] (for dim 0).

    reduce: "sum", "prod", "mean", "amax" or "amin". include_self: whether the tensor's own elements take part; where False,
    places that no index names keep them.

    >>> import fastgrad as fg
    >>> fg.scatter_reduce(fg.zeros(2), 0, fg.tensor([0, 0, 1]), fg.tensor([1.0, 5.0, 3.0]), "amax")
    tensor([5., 3.])
    """
    dim = axis_of(dim, input.dim(), "scatter_reduce")
    src = src[tuple(slice(n) for n in index.shape)]
    hit = f["scatter_add"](f["zeros_like"](input), dim, index, f["ones_like"](src)).detach()
    if reduce in ("sum", "mean"):
        start = input if include_self else input.masked_fill(hit > 0, 0)
        total = f["scatter_add"](start, dim, index, src)
        return total if reduce == "sum" else total / (hit + include_self).clamp(min=1)
    if reduce not in ("prod", "amax", "amin"):
        raise RuntimeError(f"scatter_reduce: reduce must be 'sum', 'prod', 'mean', 'amax' or 'amin', got {reduce!r}")
    # every element of src in a row of its own, beside the tensor's own element; the rest is neutral
    neutral = {"prod": 1.0, "amax": -float("inf"), "amin": float("inf")}[reduce]
    if not input.is_floating_point() and reduce != "prod":
        limits = f["iinfo"](input.dtype)
        neutral = limits.min if reduce == "amax" else limits.max
    n = index.shape[dim]
    own = input if include_self else input.masked_fill(hit > 0, neutral)
    table = input.new_full((n, *input.shape), neutral)
    where = index.movedim(dim, 0).unsqueeze(dim + 1)
    table = f["scatter"](table, dim + 1, where, src.movedim(dim, 0).unsqueeze(dim + 1))
    return f[reduce](f["cat"]([own.unsqueeze(0), table]), 0)
