"""Functions that arrange elements: stacks, splits, diagonals, repetitions, parts written into copies."""

import itertools

import numpy as np

from fastgrad._core import ShapeError, Tensor
from fastgrad._core.memory import Size
from fastgrad._core.table import functions as f
from fastgrad._core.table import publish
from fastgrad._core.tensor import install
from fastgrad._functions.elementwise import in_place


def axis_of(dim, ndim, who):
    """A dimension counted from the front; of a 0-d tensor, 0."""
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(
            f"{who}: dimension {dim} is out of range for a tensor with {ndim} dimensions: expected {-n} to {n - 1}"
        )
    return dim % n


# ---- diagonals -----------------------------------------------------------------------------------------------------


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
    out = f["diagonal_scatter"](input.new_zeros(*input.shape[:-1], n, n), input, offset, -2, -1)
    return out.movedim((-2, -1), (dim1, dim2))


@publish
def diagflat(input, offset=0):
    """The square matrix with all elements of a tensor on a diagonal.

    >>> import fastgrad as fg
    >>> fg.diagflat(fg.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return f["diag"](input.reshape(-1), offset)


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


def _adjoint(self):
    """The last two dimensions exchanged, as a view."""
    return self.mT


install("adjoint", _adjoint)
install("mH", property(_adjoint, None, None, "As mT: there are no complex numbers here."))
install("H", property(lambda self: self.t(), None, None, "The transpose of a matrix, as a view."))


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


@publish
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


install("masked_scatter_", in_place(masked_scatter))


@publish
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


install("scatter_reduce_", in_place(scatter_reduce))


@publish
def take(input, index):
    """The elements at the indices of the flattened tensor; the result has the shape of the index.

    >>> import fastgrad as fg
    >>> fg.take(fg.tensor([[1, 2], [3, 4]]), fg.tensor([0, 3]))
    tensor([1, 4])
    """
    return input.reshape(-1)[index]


# ---- repetitions, turns --------------------------------------------------------------------------------------------


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


# ---- splits and stacks ---------------------------------------------------------------------------------------------


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


def _listed(tensors):
    return tuple(tensors[0]) if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors


def _each(function):
    """A function of one tensor that also takes several, or a sequence of them."""

    def run(*tensors):
        xs = _listed(tensors)
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
    blocks = [atleast_2d(x) for x in _listed(tensors)]
    width, at, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        rows.append(f["pad"](x, (at, width - at - x.shape[1])))
        at += x.shape[1]
    return f["cat"](rows)


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
    size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    lead = self.dim() - len(size)
    fits = lead >= 0 and all(n in (1, m) for n, m in zip(size, self.shape[lead:], strict=True))
    if not fits:
        raise ShapeError(f"sum_to_size: {size} does not broadcast to {tuple(self.shape)}")
    over = [k for k in range(self.dim()) if k < lead or (size[k - lead] == 1 and self.shape[k] != 1)]
    return self.sum(over, keepdim=True).reshape(size) if over else self


install("sum_to_size", sum_to_size)
for _name in ("tril", "triu", "float_power", "addmm", "addmv", "baddbmm"):
    install(_name + "_", in_place(f[_name]))
