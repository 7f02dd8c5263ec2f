"""Joining tensors: cat, and stack, which batches of data and rows of a Jacobian go through."""

from libc.stdint cimport int64_t

from .memory cimport Attrs
from .shape cimport dim_of, either
from .tensor cimport *

from ._errors import ShapeError
from .table import LINEAR, ROWS, functions, joint, op, publish


def cat_vjp(Tensor g, Attrs a, shapes):
    """The parts of g."""
    return functions["split"](g, [s[a.c.axis] for s in shapes], a.c.axis)


cdef Op CAT = op(
    "cat", shape="GIVEN", dtype="T*->T", jvp=LINEAR, batch=ROWS, family="indexing",
    vjp=joint(lambda g, a, shapes: cat_vjp(g, a, shapes)),
    sample=lambda r: [(([r.normal(size=(2, 3)), r.normal(size=(1, 3))],), {}),
                      (([r.normal(size=(2, 1)), r.normal(size=(2, 3)), r.normal(size=(2, 2))], 1), {})],
    doc="Tensors one after the other along one dimension.", numpy="np.concatenate([{inputs}], axis={axis})")


cdef list tensors_of(object tensors, str name):
    if type(tensors) is Tensor:
        raise TypeError(f"{name}: expected a list or tuple of Tensors, got one Tensor")
    cdef list xs = list(tensors)
    if not xs:
        raise ShapeError(f"{name}: expected at least one tensor")
    for i, x in enumerate(xs):
        if type(x) is not Tensor:
            raise TypeError(f"{name}: expected Tensors, got {type(x).__name__} at position {i}")
    return xs


@publish(method=False)
def cat(tensors, dim=0, *, axis=None):
    """Tensors one after the other along one dimension; the others must agree in size.

    >>> import fastgrad as fg
    >>> fg.cat([fg.zeros(2, 3), fg.ones(1, 3)]).shape
    fastgrad.Size([3, 3])
    """
    cdef list xs = tensors_of(tensors, "cat"), parts = []
    cdef Tensor x, like = None
    cdef Attrs a
    cdef int d, k
    cdef int64_t total = 0
    for x in xs:
        if x.layout.c.ndim == 0:
            raise RuntimeError("cat: 0-d tensors cannot be concatenated; use stack")
        if like is None and not (x.layout.c.ndim == 1 and x.layout.c.size == 0):
            like = x
    if like is None:
        like = xs[0]
    d = dim_of(either(dim, axis), like.layout.c.ndim)
    for i, x in enumerate(xs):
        if x.layout.c.ndim == 1 and x.layout.c.size == 0 and like.layout.c.ndim != 1:
            continue                        # PyTorch lets an empty vector pass anywhere
        if x.layout.c.ndim != like.layout.c.ndim:
            raise ShapeError(f"cat: tensors must have the same number of dimensions: {tuple(like.shape)} and {tuple(x.shape)} at "
                             f"position {i}")
        for k in range(like.layout.c.ndim):
            if k != d and x.layout.c.shape[k] != like.layout.c.shape[k]:
                raise ShapeError(f"cat: sizes must match except in dimension {d}: {tuple(like.shape)} and {tuple(x.shape)} at "
                                 f"position {i}")
        total += x.layout.c.shape[d]
        parts.append(x)
    a = shape_attrs(like.layout.c.ndim, like.layout.c.shape)
    a.c.shape[d] = total
    a.c.axis = d
    return apply_list(CAT, parts, a)


functions["concat"] = functions["concatenate"] = cat


@publish(method=False)
def stack(tensors, dim=0, *, axis=None):
    """Tensors of one shape side by side along a new dimension.

    >>> import fastgrad as fg
    >>> fg.stack([fg.tensor([1, 2]), fg.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    cdef list xs = tensors_of(tensors, "stack")
    shape = (<Tensor>xs[0]).shape
    for i, x in enumerate(xs):
        if x.shape != shape:
            raise ShapeError(f"stack: tensors must have one shape: {tuple(shape)} and {tuple(x.shape)} at position {i}")
    d = dim_of(either(dim, axis), len(shape) + 1)
    return cat([x.unsqueeze(d) for x in xs], d)


@publish(method=False)
def hstack(tensors):
    """Tensors one after the other along dimension 1; along dimension 0 for vectors.

    >>> import fastgrad as fg
    >>> fg.hstack([fg.tensor([1]), fg.tensor([2, 3])])
    tensor([1, 2, 3])
    """
    xs = [x.reshape(1) if x.ndim == 0 else x for x in tensors_of(tensors, "hstack")]
    return cat(xs, 0 if xs[0].ndim == 1 else 1)


@publish(method=False)
def vstack(tensors):
    """Tensors one after the other along dimension 0, vectors as rows.

    >>> import fastgrad as fg
    >>> fg.vstack([fg.tensor([1, 2]), fg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([x.reshape(1, -1) if x.ndim < 2 else x for x in tensors_of(tensors, "vstack")], 0)
