"""What a custom function leaves on the tape: one node, whose context knows its backward and what was saved.

The node holds the context, and through it what was saved: inputs and outputs of the function as plain aliases, which get their
history again from the node when backward reads them. So, as for any op, nothing on the tape points at a later tensor. A
context whose attributes hold its own output makes a cycle; the collector sees it, since a node with an extra is tracked, and
a backward run without retain_graph cuts it.

How a custom function runs, under vmap and forward mode too, is function.pyx.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from .levels cimport live, set_tangents
from .promote cimport cast
from .saving cimport Kept
from .tensor cimport *

import functools

from ._errors import DTypeError, ShapeError
from .modes import is_grad_enabled, no_grad
from .table import joint, op

cdef Op CUSTOM = op("custom", shape="MUTATE", dtype=".*->T", kernel=False, family="function",
                    vjp=joint(lambda node, gs, needs: differentiate(node, gs, needs)),
                    doc="A function with a backward of its own: see `autograd.Function`.")


cdef class Saved:
    # A tensor given to save_for_backward.
    cdef Kept kept
    cdef int k                  # the place among what was saved, under which the node's extra keeps its tangents
    cdef int at                 # which input it is; -1 - k for output k of the node
    cdef Tensor foreign         # neither: a tensor of its own, with the history it had; None if it was packed
    cdef bint inside            # an input or an output


class Context:
    """What `forward`, `backward` and `jvp` of a `Function` share: ``ctx``.

    Any attribute may be set on it; tensors that backward or jvp read should go through `save_for_backward`, which notices when
    they are modified in place in between, and gives hooks their chance to pack them. What is saved and is neither an input nor
    an output of the function is a constant of the second derivative.
    """

    _saved = ()
    _for_jvp = None             # what save_for_forward got
    _inputs = ()                # (layout, dtype) of each argument, None for one that is no Tensor
    _outputs = ()               # (layout, dtype, which output of the node or -1) of each result, None for what is no Tensor
    _constant = ()
    _materialize = True
    _node = None                # while backward runs
    _once = False               # whether a backward marked once_differentiable has run
    needs_input_grad = ()

    def __init__(self, function):
        self._function = function

    def save_for_backward(self, *tensors):
        """Keeps tensors (or None) for backward, which reads them as ``ctx.saved_tensors``; so does jvp."""
        self._saved = checked_saves("save_for_backward", tensors)

    def save_for_forward(self, *tensors):
        """What jvp reads as ``ctx.saved_tensors``, where it is something else than for backward."""
        self._for_jvp = checked_saves("save_for_forward", tensors)

    @property
    def saved_tensors(self):
        """What was saved. Raises RuntimeError where one was modified in place since."""
        return tuple([read_save(t, self) if isinstance(t, Saved) else t for t in self._saved])

    def mark_non_differentiable(self, *tensors):
        """Outputs that are constants of the derivative."""
        self._constant = checked_saves("mark_non_differentiable", tensors)

    def mark_dirty(self, *tensors):
        """Inputs that forward modified in place; not supported, so this raises."""
        raise NotImplementedError("mark_dirty: a custom function cannot modify its inputs in place; return a new tensor")

    def set_materialize_grads(self, value):
        """Whether backward and jvp get zeros (the default) or None where no gradient or tangent arrived."""
        if type(value) is not bool:
            raise TypeError(f"set_materialize_grads expects a bool, got {type(value).__name__}")
        self._materialize = value


cdef tuple checked_saves(str who, tuple tensors):
    for t in tensors:
        if t is not None and type(t) is not Tensor:
            raise TypeError(f"{who} takes Tensors, got {type(t).__name__}; set other values as attributes of ctx")
    return tensors


cdef object keep(Tensor t, int k, dict inputs, dict outputs):
    """What the context holds for a tensor to be saved, the k-th."""
    cdef Saved s = Saved.__new__(Saved)
    s.kept = Kept(t)
    s.k = k
    if id(t) in inputs:
        s.at = inputs[id(t)]
        s.inside = True
    elif id(t) in outputs:
        s.at = -1 - outputs[id(t)]
        s.inside = True
    elif s.kept.packed is None:
        s.foreign = t
    return s


cdef object read_save(Saved s, ctx):
    cdef Tensor t = s.kept.read(ctx._function.__name__)
    cdef Node node = ctx._node
    cdef PyObject* parent
    if not s.inside:
        return t if s.foreign is None else s.foreign
    if node is None or node.edges == NULL:
        return t
    if node.extra.tangents is not None and s.k in node.extra.tangents:
        set_tangents(t, node.extra.tangents[s.k])
    if s.at < 0:
        t.node = node
        t.at = -1 - s.at
        t.flags |= REQUIRES_GRAD
    else:
        parent = node.edges[s.at].node
        if parent != NULL:
            t.node = <Node>parent
            t.at = node.edges[s.at].at
            t.flags |= REQUIRES_GRAD
    return t


# ---- backward ------------------------------------------------------------------------------------------------------

def differentiate(Node node, list gs, needs):
    """The rule of every custom function: calls its backward and checks what that returns."""
    ctx = node.extra.ctx
    cdef tuple recorded = ctx.needs_input_grad
    ctx._node = node
    ctx._once = False
    ctx.needs_input_grad = tuple([wanted if k >= 64 else (<uint64_t>needs >> k & 1) != 0 for k, wanted in enumerate(recorded)])
    try:
        arrived = [None if out is None else arriving(None if out[2] < 0 else gs[out[2]], out, ctx._materialize)
                   for out in ctx._outputs]
        grads = gradients(ctx, ctx._function.backward(ctx, *arrived))
        if ctx._once:
            if node.extra.tangents is not None or any([g is not None and live(<Tensor>g) is not None for g in arrived]):
                raise RuntimeError(once_message(ctx))
            if is_grad_enabled():
                grads = sealed(ctx, arrived, grads)
    finally:
        ctx._node = None
        ctx.needs_input_grad = recorded
    return grads


def gradients(ctx, grads):
    """What backward returned, checked: a tuple with a gradient or None for each argument."""
    cdef Py_ssize_t count = len(ctx._inputs)
    name = ctx._function.__name__
    if not isinstance(grads, tuple):
        grads = (grads,)
    while len(grads) > count and grads[len(grads) - 1] is None:
        grads = grads[:len(grads) - 1]
    if len(grads) != count:
        raise RuntimeError(f"{name}.backward returned an incorrect number of gradients (expected {count}, one for each argument "
                           f"of forward, got {len(grads)})")
    return tuple([checked(g, x, f"{name}.backward", "gradient", "input", k) for k, (g, x) in enumerate(zip(grads, ctx._inputs))])


def tangents(ctx, ts):
    """What jvp returned, checked: a list with a tangent or None for each result of forward."""
    cdef Py_ssize_t count = len(ctx._outputs)
    name = ctx._function.__name__
    if not isinstance(ts, tuple):
        ts = (ts,)
    if len(ts) != count:
        raise RuntimeError(f"{name}.jvp returned an incorrect number of tangents (expected {count}, one for each result of "
                           f"forward, got {len(ts)})")
    return [checked(t, None if y is None else y[:2], f"{name}.jvp", "tangent", "output", k)
            for k, (t, y) in enumerate(zip(ts, ctx._outputs))]


def arriving(g, place, bint materialize):
    """The gradient or tangent that belongs to a Tensor of that (layout, dtype, ...), as a rule gets it."""
    if g is None:
        return zeros(place[0], place[1]) if materialize else None
    return cast(<Tensor>g, place[1]) if (<Tensor>g).dtype != place[1] else g


cdef object checked(g, x, str who, str what, str whose, int k):
    """A gradient (or tangent) for argument (or result) k, whose layout and dtype are x."""
    if g is None:
        return None
    if x is None:
        raise RuntimeError(f"{who} returned a {what} different from None at position {k}, but the corresponding "
                           f"{'argument' if whose == 'input' else 'result'} of forward is no Tensor; return None for it")
    if type(g) is not Tensor:
        raise TypeError(f"{who} returned {type(g).__name__} for {whose} {k}; expected a Tensor or None")
    lay, dtype = x
    if not fg_is_real(dtype):
        return None
    if not same_shape((<Tensor>g).layout, lay):
        raise ShapeError(f"{who} returned an invalid {what} for {whose} {k}: got shape {tuple(g.shape)} but expected "
                         f"shape {tuple(shape_of(lay))}")
    if (<Tensor>g).dtype != dtype:
        raise DTypeError(f"{who} returned an invalid {what} for {whose} {k}: got {g.dtype} but expected {dtype_of(dtype)}; "
                         f"convert it with .to()")
    return g


cdef Tensor zeros(Layout lay, int dtype):
    cdef Tensor zero = scalar(0, dtype)
    return zero.expand(shape_of(lay))


def once_differentiable(backward):
    """Decorates the backward of a `Function` that computes with other means than operations of fastgrad: it runs unrecorded,
    and to differentiate its result again is an error instead of a silent constant.

    >>> import fastgrad as fg, numpy as np
    >>> class Sine(fg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return fg.from_numpy(np.sin(x.detach().numpy()))
    ...     @staticmethod
    ...     @fg.autograd.once_differentiable
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * fg.from_numpy(np.cos(x.detach().numpy()))
    >>> x = fg.tensor([0.0], requires_grad=True)
    >>> Sine.apply(x).backward()
    >>> x.grad
    tensor([1.])
    """
    @functools.wraps(backward)
    def wrapped(ctx, *gs):
        ctx._once = True
        with no_grad():
            return backward(ctx, *gs)
    return wrapped


def once_message(ctx):
    """What the error says where the result of a backward that is marked is differentiated."""
    return (f"{ctx._function.__name__}.backward is marked with once_differentiable: its result cannot be differentiated again, "
            f"nor a tangent be derived from it")


class Sealed:
    """What follows a backward that can be differentiated once, on the tape."""

    @staticmethod
    def backward(ctx, *gs):
        raise RuntimeError(ctx._message)


cdef tuple sealed(ctx, list gs, tuple grads):
    """The gradients with a history that only raises: of what arrived and of the function's own inputs."""
    cdef Node node = ctx._node
    cdef Tensor stub
    cdef list xs = [g for g in gs if type(g) is Tensor]
    cdef uint32_t k
    for k in range(node.nedges):
        if node.edges[k].node != NULL:
            stub = scalar(0, FG_F32)
            stub.node = <Node>node.edges[k].node
            stub.at = node.edges[k].at
            stub.flags |= REQUIRES_GRAD
            xs.append(stub)
    seal = Context(Sealed)
    seal._message = once_message(ctx)
    return tuple(put_on_tape(seal, tuple(xs), grads)[0])


# ---- forward -------------------------------------------------------------------------------------------------------

def describe(ctx, args, outputs):
    """Notes in ctx what the arguments and the results of forward are."""
    cdef int nys = 0
    cdef list found = []
    constant = [id(t) for t in ctx._constant if t is not None]
    for y in outputs:
        if type(y) is not Tensor:
            found.append(None)
        elif id(y) in constant or not fg_is_real((<Tensor>y).dtype):
            found.append(((<Tensor>y).layout, (<Tensor>y).dtype, -1))
        else:
            found.append(((<Tensor>y).layout, (<Tensor>y).dtype, nys))
            nys += 1
    ctx._inputs = tuple([((<Tensor>x).layout, (<Tensor>x).dtype) if type(x) is Tensor else None for x in args])
    ctx._outputs = tuple(found)
    ctx._constant = ()


def put_on_tape(ctx, args, outputs):
    """(the outputs with one node as their history, whose extra holds ctx; the node, None where nothing has a derivative)."""
    cdef int n = len(args), k, nys
    cdef list ys = [], recorded = []
    cdef dict inputs = {id(x): k for k, x in enumerate(args) if type(x) is Tensor}
    cdef dict made = {}             # id of an output that forward returned -> which output of the node
    cdef PyObject** ps
    cdef Tensor y
    cdef Node node
    describe(ctx, args, outputs)
    for out, place in zip(outputs, ctx._outputs):
        if place is not None and place[2] >= 0:
            y = <Tensor>out
            if y.flags & BOXED:
                raise RuntimeError(f"{ctx._function.__name__}.forward returned a batch of a vmap that none of its arguments "
                                   f"stands for; pass what it closes over as an argument")
            if id(out) in inputs or id(out) in made or y.view is not None or y.flags & REQUIRES_GRAD:
                y = alias(y)            # an input returned as it is gets a history of its own
            made[id(out)] = place[2]
            recorded.append(y)
            out = y
        ys.append(out)
    nys = len(recorded)
    if nys == 0:
        return ys, None
    ctx._saved = tuple([None if t is None else keep(<Tensor>t, k, inputs, made) for k, t in enumerate(ctx._saved)])
    ctx._for_jvp = None
    ps = <PyObject**>PyMem_Malloc((n + nys) * sizeof(PyObject*))
    if ps == NULL:
        raise MemoryError()
    try:
        for k in range(n):
            ps[k] = <PyObject*>args[k] if type(args[k]) is Tensor else NULL
        for k in range(nys):
            ps[n + k] = <PyObject*>recorded[k]
        node = record(CUSTOM, ps, n, None, ps + n, nys)
    finally:
        PyMem_Free(ps)
    extra_of(node).ctx = ctx
    if thread().special & WATCHED:
        watch.recorded(CUSTOM, node)
    node.extra.lays = tuple([(<Tensor>t).layout for t in recorded])
    return ys, node
