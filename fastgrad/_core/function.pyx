"""Custom functions: a forward and a backward written by the user, one node on the tape.

The node holds the context, and through it what was saved. A context that holds its own output makes a cycle; the collector
sees it, since a node with an extra is tracked, and a backward run without retain_graph cuts it.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject

from .tensor cimport *

from ._errors import ShapeError
from .modes import no_grad
from .table import joint, op

cdef Op CUSTOM = op("custom", shape="MUTATE", dtype=".*->T", kernel=False, vjp=joint(lambda ctx, gs: ctx._differentiate(gs)),
                    family="function", doc="A function with a backward of its own: see `autograd.Function`.")


class Context:
    """What `forward` and `backward` of a `Function` share: ``ctx``.

    Any attribute may be set on it; tensors that backward reads should go through `save_for_backward`, which notices when they
    are modified in place in between.
    """

    def __init__(self, function):
        self._function = function
        self._saved = ()
        self._shapes = ()
        self._constant = ()
        self._dirty = ()
        self._materialize = True
        self.needs_input_grad = ()

    def save_for_backward(self, *tensors):
        """Keeps tensors (or None) for backward, which reads them as ``ctx.saved_tensors``."""
        for t in tensors:
            if t is not None and type(t) is not Tensor:
                raise TypeError(f"save_for_backward can only save Tensors, got {type(t).__name__}; set other values as "
                                f"attributes")
        self._saved = tuple([None if t is None else (t, (<Tensor>t).storage.version) for t in tensors])

    @property
    def saved_tensors(self):
        """What was saved. Raises RuntimeError where one was modified in place since."""
        for entry in self._saved:
            if entry is not None and (<Tensor>entry[0]).storage.version != entry[1]:
                raise RuntimeError(f"{self._function.__name__}: a saved tensor of shape {tuple(entry[0].shape)} was modified by "
                                   f"an in-place operation (it is at version {(<Tensor>entry[0]).storage.version}; expected "
                                   f"version {entry[1]} instead)")
        return tuple([None if entry is None else entry[0] for entry in self._saved])

    def mark_non_differentiable(self, *tensors):
        """Outputs that are constants for the tape."""
        self._constant = tensors

    def mark_dirty(self, *tensors):
        """Inputs that forward modified in place; not supported, so this raises."""
        raise NotImplementedError("mark_dirty: a custom function cannot modify its inputs in place; return a new tensor")

    def set_materialize_grads(self, value):
        """Whether backward gets zeros (the default) or None where no gradient arrived."""
        self._materialize = bool(value)

    def _differentiate(self, gs):
        outputs = self._outputs
        if self._materialize:
            gs = [zeros(shape, code) if g is None else g for g, (shape, code) in zip(gs, outputs)]
        grads = self._function.backward(self, *gs)
        if not isinstance(grads, tuple):
            grads = (grads,)
        count = len(self._shapes)
        while len(grads) > count and grads[len(grads) - 1] is None:
            grads = grads[:len(grads) - 1]
        if len(grads) != count:
            raise RuntimeError(f"{self._function.__name__}.backward returned an incorrect number of gradients (expected {count}, "
                               f"got {len(grads)})")
        for k, (g, shape) in enumerate(zip(grads, self._shapes)):
            if g is None or shape is None:
                continue
            if type(g) is not Tensor:
                raise TypeError(f"{self._function.__name__}.backward returned {type(g).__name__} for input {k}; expected a "
                                f"Tensor or None")
            if tuple(g.shape) != tuple(shape):
                raise ShapeError(f"{self._function.__name__}.backward returned an invalid gradient for input {k}: got shape "
                                 f"{tuple(g.shape)} but expected shape {tuple(shape)}")
        return tuple([None if shape is None else g for g, shape in zip(grads, self._shapes)])


cdef Tensor zeros(Layout lay, int dtype):
    cdef Tensor zero = scalar(0, dtype)
    return zero.expand(shape_of(lay))


class Function:
    """A function with a derivative of its own. Subclass it with two static methods and call ``apply``.

    ``forward(ctx, *args)`` computes, unrecorded; ``backward(ctx, *grad_outputs)`` returns one gradient (or None) per argument
    of forward. A gradient of a wrong shape is an error. To be differentiated twice, backward uses operations of fastgrad.

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
    def forward(ctx, *args):
        """Computes the outputs from the arguments."""
        raise NotImplementedError("a Function must define a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx, *grad_outputs):
        """Computes the gradients of the arguments from those of the outputs."""
        raise NotImplementedError("a Function must define a static method backward(ctx, *grad_outputs)")

    @classmethod
    def apply(cls, *args):
        """Runs forward and puts one node on the tape."""
        ctx = Context(cls)
        ctx.needs_input_grad = tuple([type(x) is Tensor and x.requires_grad for x in args])
        taped = thread().recording and any(ctx.needs_input_grad)
        with no_grad():
            result = cls.forward(ctx, *args)
        outputs = result if isinstance(result, tuple) else (result,)
        for y in outputs:
            if type(y) is not Tensor and y is not None:
                raise TypeError(f"{cls.__name__}.forward must return Tensors, got {type(y).__name__}")
        if taped:
            outputs = taped_outputs(ctx, args, outputs)
        return tuple(outputs) if isinstance(result, tuple) else outputs[0]


cdef list taped_outputs(ctx, tuple args, tuple outputs):
    cdef int n = len(args), k, nys = 0
    cdef list ys = [], recorded = []
    cdef PyObject** ps
    cdef Tensor y
    cdef Node node
    given = [id(x) for x in args]
    constant = [id(t) for t in ctx._constant]
    for out in outputs:
        if out is None or id(out) in constant or not fg_is_real((<Tensor>out).dtype):
            ys.append(out)
            continue
        y = <Tensor>out
        if id(out) in given or y.view is not None or y.flags & REQUIRES_GRAD:
            y = alias(y)            # an input returned as it is gets a history of its own
        ys.append(y)
        recorded.append(y)
    nys = len(recorded)
    if nys == 0:
        return ys
    ctx._shapes = tuple([shape_of((<Tensor>x).layout) if type(x) is Tensor else None for x in args])
    ctx._outputs = [((<Tensor>t).layout, (<Tensor>t).dtype) for t in recorded]
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
    node.extra.lays = tuple([(<Tensor>t).layout for t in recorded])
    return ys
