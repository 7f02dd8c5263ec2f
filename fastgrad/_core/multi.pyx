"""Operations over many tensors in one native call: optimiser steps, and what is done to all gradients at once.

Their records write tensors they are given instead of making outputs; they are not differentiable and run outside the tape.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from .promote cimport compact
from .tensor cimport *

from ._errors import DTypeError, MissingState, ShapeError
from .table import NONE, op

cdef enum:
    FEW = 64            # operands up to which a step needs no allocation

cdef Op COPY = declare("copy")

cdef class Step:
    """What there is to know of an optimiser's step: its record; how many lists of buffers shaped as the parameters it has, and
    whether a list of step counts follows; how many hyperparameters."""

    def __init__(self, Op record, int buffers, bint counted, int numbers):
        self.op, self.buffers, self.counted, self.numbers = record, buffers, counted, numbers


cdef dict steps = {}
for _name, _buffers, _counted, _numbers, _doc in (
    ("sgd_", 0, False, 3, "p -= lr * (g + weight_decay * p)"),
    ("sgd_momentum_", 1, False, 6, "b = momentum * b + (1 - dampening) * g; p -= lr * b, or lr * (g + momentum * b) with "
                                   "Nesterov momentum"),
    ("sgd_momentum_first_", 1, False, 6, "the first step of sgd_momentum_, where the buffer becomes the gradient"),
    ("adam_", 2, True, 7, "Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019)"),
    ("adam_amsgrad_", 3, True, 7, "Adam with the largest second moment so far (Reddi et al., 2018)"),
):
    steps[_name] = Step(op(_name, shape="MUTATE", dtype="T*->T", vjp=NONE, family="multi",
                           doc=f"One step for all parameters: {_doc}."), _buffers, _counted, _numbers)
cdef Op NORM = op("grad_norm", shape="GIVEN", dtype="T*->T", vjp=NONE, dense=True, family="multi",
                  doc="The p-norm of all elements of all inputs together.")
cdef Op CLIP_NORM = op("clip_norm_", shape="MUTATE", dtype="T*->T", vjp=NONE, family="multi",
                       doc="All tensors scaled by one factor so that their norm, the input, becomes at most f0.")
cdef Op CLIP = op("clip_value_", shape="MUTATE", dtype="T*->T", vjp=NONE, family="multi",
                  doc="All elements of all tensors clamped to [-f, f].")


cdef inline Tensor gradient_of(Tensor p):
    if p.node is not None and p.node.state & N_LEAF:
        return peek(<Leaf>p.node)
    return None if p.extra is None else p.extra.retained


cdef list with_gradient(object params, str who):
    """The positions of the parameters that have a gradient."""
    cdef list found = []
    cdef int64_t k = 0
    for p in params:
        if type(p) is not Tensor:
            raise TypeError(f"{who}: expected Tensors, got {type(p).__name__}")
        if gradient_of(<Tensor>p) is not None:
            found.append(k)
        k += 1
    return found


cdef Step step_named(str name):
    step = steps.get(name)
    if step is None:
        raise ValueError(f"multi_step: unknown step {name!r}; there are {', '.join(steps)}")
    return <Step>step


def multi_step(str name, Tensor hyper not None, list params not None, *states):
    """Runs one step of an optimiser on every parameter that has a gradient.

    name: the step's record ("sgd_", "adam_", ...). hyper: float64 vector of its hyperparameters. states: lists parallel to
    params, the step counts last. Parameters and states are written in place. Raises MissingState, before anything is written,
    where a parameter with a gradient has None for a state.
    """
    cdef Step step = step_named(name)
    cdef int lists = step.buffers + step.counted
    if len(states) != lists:
        raise ValueError(f"{name}: expected {lists} lists of state, got {len(states)}")
    if hyper.dtype != FG_F64 or hyper.layout.c.size != step.numbers or not hyper.layout.c.flags & FG_DENSE:
        raise ValueError(f"{name}: hyper must be a dense float64 vector of {step.numbers} numbers, got shape "
                         f"{tuple(hyper.shape)}")
    for values in states:
        if type(values) is not list or len(<list>values) != len(params):
            raise ValueError(f"{name}: each state must be a list of {len(params)} entries, one for each parameter")
    run_step(step, hyper, params, states)


cdef int run_step(Step step, Tensor hyper, list params, tuple states) except -1:
    """multi_step() on lists whose lengths are known to be right; what they hold is checked."""
    cdef int dtype, n = len(params), room = (len(states) + 2) * n + 1
    cdef int count[2]           # parameters to update, of float32 and of float64
    cdef PyObject* small[FEW]
    cdef PyObject** ps = small
    if room > FEW:
        ps = <PyObject**>PyMem_Malloc(room * sizeof(PyObject*))
        if ps == NULL:
            raise MemoryError()
    try:
        if gather(step, params, states, count, ps):
            launch(step, 1 if count[1] else 0, n, hyper, len(states), ps)
            return 0
        for dtype in range(2):
            if count[dtype]:
                step_of_dtype(step, dtype, count[dtype], hyper, params, states, ps)
    finally:
        if ps != small:
            PyMem_Free(ps)
    return 0


cdef bint gather(Step step, list params, tuple states, int* count, PyObject** ps) except -1:
    """All that can be wrong is found here, before anything is written. Returns whether `ps` holds the operands, list after list,
    then the gradients: where all parameters have one, are of one dtype, and all is dense."""
    cdef int k, i, n = len(params), lists = len(states)
    cdef bint plain = True
    cdef str name = step.op.name
    cdef Tensor p, g, s
    count[0] = count[1] = 0
    for k in range(n):
        if type(params[k]) is not Tensor:
            raise TypeError(f"{name}: expected Tensors, got {type(params[k]).__name__}")
        p = <Tensor>params[k]
        g = gradient_of(p)
        if g is None:
            plain = False
            continue
        if g.layout is not p.layout and not same_shape(p.layout, g.layout):
            raise ShapeError(f"{name}: parameter {k} has shape {tuple(p.shape)}, its gradient {tuple(g.shape)}")
        if g.dtype != p.dtype or not fg_is_real(p.dtype):
            raise DTypeError(f"{name}: parameter {k} is {dtype_of(p.dtype).name}, its gradient {dtype_of(g.dtype).name}")
        if not (g.layout.c.flags & FG_DENSE and writable(p)):
            plain = False
        ps[k] = <PyObject*>p
        ps[(lists + 1) * n + k] = <PyObject*>g          # borrowed: the leaf owns it
        for i in range(lists):
            if (<list>states[i])[k] is None:
                raise MissingState(f"{name}: parameter {k} has a gradient but no state yet")
            if type((<list>states[i])[k]) is not Tensor:
                raise TypeError(f"{name}: a state of parameter {k} is no Tensor but {type(states[i][k]).__name__}")
            s = <Tensor>(<list>states[i])[k]
            if i < step.buffers and (s.dtype != p.dtype or not same_shape(s.layout, p.layout)):
                raise ShapeError(f"{name}: a state of parameter {k} is {dtype_of(s.dtype).name} of shape {tuple(s.shape)}; "
                                 f"expected {dtype_of(p.dtype).name} of shape {tuple(p.shape)}")
            if i == step.buffers and (s.dtype != FG_F32 or s.layout.c.size != 1):
                raise ShapeError(f"{name}: the step count of parameter {k} must be one float32 number, got "
                                 f"{dtype_of(s.dtype).name} of shape {tuple(s.shape)}")
            if not writable(s):
                plain = False
            ps[(i + 1) * n + k] = <PyObject*>s
        count[p.dtype] += 1
    return plain and not (count[0] and count[1])


cdef inline bint writable(Tensor t) noexcept:
    return t.layout.c.flags & FG_DENSE and not t.storage.readonly


cdef int launch(Step step, int dtype, int n, Tensor hyper, int lists, PyObject** ps) except -1:
    """Runs the step on n parameters, whose lists and gradients are in `ps`; there is room for one more."""
    if step.attrs is None or step.attrs.c.i[0] != n:
        step.attrs = new_attrs()
        step.attrs.c.i[0] = n
    ps[(lists + 2) * n] = <PyObject*>hyper
    return apply_mutating(step.op, dtype, ps, (lists + 1) * n, ps + (lists + 1) * n, n + 1, step.attrs)


cdef int step_of_dtype(Step step, int dtype, int n, Tensor hyper, list params, tuple states, PyObject** ps) except -1:
    """The n parameters of one dtype that have a gradient."""
    cdef int k, i = 0, j, lists = len(states)
    cdef Tensor p, g
    cdef list held = []         # [(dense copy, the tensor it is written back to or None)]
    for k in range(len(params)):
        p = <Tensor>params[k]
        g = gradient_of(p)
        if g is None or p.dtype != dtype:
            continue
        ps[i] = written_at(p, held)
        for j in range(lists):
            ps[(j + 1) * n + i] = written_at(<Tensor>(<list>states[j])[k], held)
        if not g.layout.c.flags & FG_DENSE:
            g = compact(g)
            held.append((g, None))
        ps[(lists + 1) * n + i] = <PyObject*>g      # borrowed: the leaf, or `held`, owns it
        i += 1
    launch(step, dtype, n, hyper, lists, ps)
    for copy, original in held:
        if original is not None:
            write_back(<Tensor>original, <Tensor>copy)
    return 0


cdef inline PyObject* written_at(Tensor t, list held) except NULL:
    """t as a kernel can write it, borrowed: itself, or a dense copy that is written back afterwards."""
    cdef Tensor c
    if t.storage.readonly:
        raise RuntimeError("a parameter or its optimiser state shares read-only memory; clone() it first")
    if t.layout.c.flags & FG_DENSE:
        return <PyObject*>t
    c = compact(t)
    held.append((c, t))
    return <PyObject*>c


cdef int write_back(Tensor t, Tensor c) except -1:
    cdef PyObject* px = <PyObject*>c
    run_into(COPY, t, &px, 1, None)
    t.storage.version += 1
    return 0


cdef int mutate(Op o, list written, list read, int64_t count, double f) except -1:
    cdef int nys = len(written), n = len(read), k
    cdef PyObject** ps = <PyObject**>PyMem_Malloc((nys + n) * sizeof(PyObject*))
    cdef Attrs a = new_attrs()
    if ps == NULL:
        raise MemoryError()
    a.c.i[0] = count
    a.c.f[0] = f
    try:
        for k in range(nys):
            ps[k] = <PyObject*>written[k]
        for k in range(n):
            ps[nys + k] = <PyObject*>read[k]
        apply_mutating(o, (<Tensor>written[0]).dtype, ps, nys, ps + nys, n, a)
    finally:
        PyMem_Free(ps)
    return 0


def clear_grads(params):
    """Sets the ``.grad`` of all tensors to None."""
    for p in params:
        if type(p) is not Tensor:
            raise TypeError(f"clear_grads: expected Tensors, got {type(p).__name__}")
        if (<Tensor>p).node is not None and (<Tensor>p).node.state & N_LEAF:
            replace_grad(<Leaf>(<Tensor>p).node, None)
        elif (<Tensor>p).extra is not None:
            (<Tensor>p).extra.retained = None


def grad_norm(params, double norm_type=2.0):
    """The p-norm of all gradients of the tensors together, a 0-d Tensor (0 where none has a gradient)."""
    cdef Attrs a = new_attrs()
    cdef list gs = [gradient_of(<Tensor>params[k]) for k in with_gradient(params, "grad_norm")]
    if not gs:
        return scalar(0, FG_F32)
    a.c.f[0] = norm_type
    return apply_list(NORM, [alias(<Tensor>g) for g in gs], a)


cdef int over_gradients(Op o, object params, list read, double f) except -1:
    cdef list gs = [gradient_of(<Tensor>params[k]) for k in with_gradient(params, o.name)]
    cdef list held, targets
    for dtype in (FG_F32, FG_F64):
        held = []
        targets = [<object>written_at(<Tensor>g, held) for g in gs if (<Tensor>g).dtype == dtype]
        if not targets:
            continue
        mutate(o, targets, read, len(targets), f)
        for copy, original in held:
            write_back(<Tensor>original, <Tensor>copy)
    for p in params:            # scaled, a gradient is still that of the same backward runs
        if (<Tensor>p).node is not None and (<Tensor>p).node.state & N_LEAF:
            (<Leaf>(<Tensor>p).node).added += 1
    return 0


def clip_grad_norm(params, Tensor norm not None, double most):
    """Scales all gradients of the tensors, in place, so that their norm, given as a 0-d Tensor, becomes at most `most`."""
    over_gradients(CLIP_NORM, params, [norm], most)


def clip_grads_(params, double bound):
    """Clamps every element of all gradients of the tensors to [-bound, bound], in place."""
    over_gradients(CLIP, params, [], bound)
