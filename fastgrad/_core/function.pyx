"""Custom functions: a forward and a backward written by the user, one node on the tape.

The node holds the context, and through it what was saved: inputs and outputs of the function as plain aliases, which get their
history again from the node when backward reads them. So, as for any op, nothing on the tape points at a later tensor. A
context whose attributes hold its own output makes a cycle; the collector sees it, since a node with an extra is tracked, and
a backward run without retain_graph cuts it.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

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
    cdef int at                 # which input it is; -1 - k for output k of the node
    cdef Tensor foreign         # neither: a tensor of its own, with the history it had; None if it was packed
    cdef bint inside            # an input or an output


class Context:
    """What `forward` and `backward` of a `Function` share: ``ctx``.

    Any attribute may be set on it; tensors that backward reads should go through `save_for_backward`, which notices when they
    are modified in place in between, and gives hooks their chance to pack them.
    """

    def __init__(self, function):
        self._function = function
        self._saved = ()
        self._inputs = ()           # (layout, dtype) of each argument, None for one that is no Tensor
        self._outputs = ()          # (layout, dtype, which output of the node or -1) of each result, None for what is no Tensor
        self._constant = ()
        self._materialize = True
        self._node = None           # while backward runs
        self.needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keeps tensors (or None) for backward, which reads them as ``ctx.saved_tensors``."""
        self._saved = checked_saves("save_for_backward", tensors)

    @property
    def saved_tensors(self):
        """What was saved. Raises RuntimeError where one was modified in place since."""
        return tuple([read_save(t, self) if isinstance(t, Saved) else t for t in self._saved])

    def mark_non_differentiable(self, *tensors):
        """Outputs that are constants for the tape."""
        self._constant = checked_saves("mark_non_differentiable", tensors)

    def mark_dirty(self, *tensors):
        """Inputs that forward modified in place; not supported, so this raises."""
        raise NotImplementedError("mark_dirty: a custom function cannot modify its inputs in place; return a new tensor")

    def set_materialize_grads(self, value):
        """Whether backward gets zeros (the default) or None where no gradient arrived."""
        if type(value) is not bool:
            raise TypeError(f"set_materialize_grads expects a bool, got {type(value).__name__}")
        self._materialize = value


cdef tuple checked_saves(str who, tuple tensors):
    for t in tensors:
        if t is not None and type(t) is not Tensor:
            raise TypeError(f"{who} takes Tensors, got {type(t).__name__}; set other values as attributes of ctx")
    return tensors


cdef object keep(Tensor t, dict inputs, dict outputs):
    """What the context holds for a tensor to be saved."""
    cdef Saved s = Saved.__new__(Saved)
    s.kept = Kept(t)
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
    name = ctx._function.__name__
    ctx._node = node
    ctx.needs_input_grad = tuple([wanted if k >= 64 else (<uint64_t>needs >> k & 1) != 0 for k, wanted in enumerate(recorded)])
    try:
        grads = ctx._function.backward(ctx, *[arrived(gs, out, ctx._materialize) for out in ctx._outputs])
    finally:
        ctx._node = None
        ctx.needs_input_grad = recorded
    if not isinstance(grads, tuple):
        grads = (grads,)
    count = len(ctx._inputs)
    while len(grads) > count and grads[len(grads) - 1] is None:
        grads = grads[:len(grads) - 1]
    if len(grads) != count:
        raise RuntimeError(f"{name}.backward returned an incorrect number of gradients (expected {count}, one for each argument "
                           f"of forward, got {len(grads)})")
    return tuple([checked(g, x, k, name) for k, (g, x) in enumerate(zip(grads, ctx._inputs))])


cdef object arrived(list gs, out, bint materialize):
    """The gradient of one output as backward gets it."""
    if out is None:
        return None
    lay, dtype, at = out
    g = None if at < 0 else gs[at]
    if g is None:
        return zeros(lay, dtype) if materialize else None
    return cast(<Tensor>g, dtype) if (<Tensor>g).dtype != dtype else g


cdef object checked(g, x, int k, str name):
    """A gradient that backward returned for argument k, whose layout and dtype are x."""
    if g is None:
        return None
    if x is None:
        raise RuntimeError(f"{name}.backward returned a gradient different from None at position {k}, but the corresponding "
                           f"argument of forward is no Tensor; return None for it")
    if type(g) is not Tensor:
        raise TypeError(f"{name}.backward returned {type(g).__name__} for input {k}; expected a Tensor or None")
    lay, dtype = x
    if not fg_is_real(dtype):
        return None
    if not same_shape((<Tensor>g).layout, lay):
        raise ShapeError(f"{name}.backward returned an invalid gradient for input {k}: got shape {tuple(g.shape)} but expected "
                         f"shape {tuple(shape_of(lay))}")
    if (<Tensor>g).dtype != dtype:
        raise DTypeError(f"{name}.backward returned an invalid gradient for input {k}: got {g.dtype} but expected "
                         f"{dtype_of(dtype)}; convert it with .to()")
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
        recorded = is_grad_enabled()
        with no_grad():
            grads = backward(ctx, *gs)
        if not recorded:
            return grads
        return sealed(ctx, gs, grads if isinstance(grads, tuple) else (grads,))
    return wrapped


cdef tuple sealed(ctx, tuple gs, tuple grads):
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
    seal._message = (f"{ctx._function.__name__}.backward is marked with once_differentiable: its result cannot be differentiated "
                     f"again")
    return tuple(put_on_tape(seal, tuple(xs), grads))


# ---- forward -------------------------------------------------------------------------------------------------------

class Function:
    """A function with a derivative of its own. Subclass it with two static methods and call ``apply``.

    ``forward(ctx, *args)`` computes, unrecorded, a Tensor or a tuple; ``backward(ctx, *grad_outputs)`` returns one gradient (or
    None) per argument of forward. Or ``forward(*args)`` and ``setup_context(ctx, inputs, output)``, which saves. A gradient
    of a wrong shape or dtype is an error. To be differentiated twice, backward uses operations of fastgrad.

    >>> import fastgrad as fg
    >>> class Multiply(fg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x, y):
    ...         ctx.save_for_backward(x, y)
    ...         return x * y
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         x, y = ctx.saved_tensors
    ...         return g * y, g * x
    >>> x = fg.tensor(2.0, requires_grad=True)
    >>> Multiply.apply(x, fg.tensor(3.0)).backward()
    >>> x.grad
    tensor(3.)
    """

    def __init__(self):
        raise TypeError(f"{type(self).__name__} is not instantiated: call {type(self).__name__}.apply(...)")

    @staticmethod
    def forward(*args):
        """Computes the outputs from the arguments."""
        raise NotImplementedError("a Function must define a static method forward(ctx, *args)")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Where given, forward has no ctx, and this saves what backward needs."""
        raise NotImplementedError("setup_context is not defined")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Computes the gradients of the arguments from those of the outputs."""
        raise NotImplementedError("a Function must define a static method backward(ctx, *grad_outputs)")

    @classmethod
    def apply(cls, *args):
        """Runs forward and puts one node on the tape."""
        for x in args:
            if type(x) is Tensor and (<Tensor>x).flags & (BOXED | DUAL):
                raise NotImplementedError(f"{cls.__name__}: a custom function cannot run inside vmap or forward mode (jvp, hvp, "
                                          f"jacfwd, laplacian); reverse mode of any order (func.grad, vjp, vhp) can")
        ctx = Context(cls)
        ctx.needs_input_grad = tuple([type(x) is Tensor and x.requires_grad for x in args])
        with no_grad():
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        outputs = result if isinstance(result, tuple) else (result,)
        if thread().recording and any(ctx.needs_input_grad):
            outputs = put_on_tape(ctx, args, outputs)
        return tuple(outputs) if isinstance(result, tuple) else outputs[0]


class Sealed(Function):
    """What follows a backward that can be differentiated once."""

    @staticmethod
    def backward(ctx, *gs):
        raise RuntimeError(ctx._message)


cdef list put_on_tape(ctx, tuple args, tuple outputs):
    """The outputs with one node as their history, whose extra holds ctx."""
    cdef int n = len(args), k, nys = 0
    cdef list ys = [], recorded = [], described = []
    cdef dict inputs = {id(x): k for k, x in enumerate(args) if type(x) is Tensor}
    cdef dict made = {}             # id of an output that forward returned -> which output of the node
    cdef PyObject** ps
    cdef Tensor y
    cdef Node node
    constant = [id(t) for t in ctx._constant]
    for out in outputs:
        if type(out) is not Tensor:         # returned as it is
            ys.append(out)
            described.append(None)
            continue
        y = <Tensor>out
        if id(out) in constant or not fg_is_real(y.dtype):
            ys.append(y)
            described.append((y.layout, y.dtype, -1))
            continue
        described.append((y.layout, y.dtype, nys))
        if id(out) in inputs or id(out) in made or y.view is not None or y.flags & REQUIRES_GRAD:
            y = alias(y)            # an input returned as it is gets a history of its own
        made[id(out)] = nys
        nys += 1
        ys.append(y)
        recorded.append(y)
    if nys == 0:
        return ys
    ctx._inputs = tuple([((<Tensor>x).layout, (<Tensor>x).dtype) if type(x) is Tensor else None for x in args])
    ctx._outputs = tuple(described)
    ctx._saved = tuple([None if t is None else keep(<Tensor>t, inputs, made) for t in ctx._saved])
    ctx._constant = ()
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
    return ys
