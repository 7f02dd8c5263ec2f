"""Custom functions: a forward and derivatives written by the user, and how they run under every transform.

What is behind apply() for an op is here for a custom function, in the same order. The newest batch is taken off first: by the
function's own `vmap`, or else its forward, and later its backward and jvp, run on batches themselves, and the tape sees a
function of the values (`Batched`). Then the newest tangent: the function runs on what is left, and its `jvp` gives the tangent,
or the transpose of its backward, which is linear. What is left in the end is plain and leaves its node (context.pyx).
"""

from libc.stdint cimport uint32_t

from .levels cimport *
from .reduce cimport sum_over
from .tensor cimport *
from .views cimport settle

from typing import NamedTuple

from ._errors import ShapeError
from .context import Context, arriving, describe, gradients, put_on_tape, tangents
from .modes import no_grad
from .transforms import add_batch
from .transposes import transposed_backward, transposed_jvp

cdef Op CLONE = declare("clone")

RANDOMNESS = {RANDOM_ERROR: "error", RANDOM_DIFFERENT: "different", RANDOM_SAME: "same"}


class VmapInfo(NamedTuple):
    """What the `vmap` of a `Function` is told: the size of the batch, and `vmap`'s randomness."""

    batch_size: int
    randomness: str


cdef class Done:
    # One use of a custom function.
    cdef list outputs           # as forward returned them, with history and tangents
    cdef bint single            # no tuple
    cdef object ctx             # of the plain function; None where its own vmap ran
    cdef Node node              # None: nothing was recorded
    cdef tuple saved, for_jvp   # the tensors that forward gave to save_for_backward, and to save_for_forward
    cdef list attributes        # [(name, Tensor)] of those that forward set on ctx
    cdef dict arguments, made   # id of a tensor that forward got, or returned -> which it is


cdef Done run(rule, list args):
    """A custom function at the newest level of its arguments, and so on down."""
    cdef uint32_t level = 0
    cdef uint8_t flags = 0
    cdef Tangent c
    for x in args:
        if type(x) is Tensor:
            flags |= (<Tensor>x).flags
    if flags & LEVELLED:
        for x in args:
            if type(x) is Tensor:
                settle(<Tensor>x)
                level = max(level, newest_batch(<Tensor>x))
        # One value with a batch of tangents stays one value, but for a jvp that may compute by other means than operations.
        if level and (flags & BOXED or (has_own_vmap(rule) and has_jvp(rule))):
            return on_batches(rule, args, level)
        level = 0
        for x in args:
            if type(x) is Tensor and (<Tensor>x).flags & DUAL:
                c = live(<Tensor>x)
                level = level if c is None else max(level, c.level)
        if level:
            return on_tangents(rule, args, level)
    return plain(rule, args)


cdef object forward(rule, ctx, args):
    with no_grad():
        if rule.setup_context is None or rule.setup_context is Function.setup_context:
            return rule.forward(ctx, *args)
        result = rule.forward(*args)
        rule.setup_context(ctx, tuple(args), result)
    return result


cdef Done plain(rule, list args):
    cdef Done done = Done.__new__(Done)
    ctx = done.ctx = Context(rule)
    ctx.needs_input_grad = tuple([type(x) is Tensor and x.requires_grad for x in args])
    result = forward(rule, ctx, args)
    done.single = not isinstance(result, tuple)
    outputs = (result,) if done.single else result
    if thread().nlevels:                # what it closes over is constant in every mode
        outputs = tuple([stripped(<Tensor>y, None) if type(y) is Tensor and (<Tensor>y).flags & DUAL else y for y in outputs])
    if ctx._for_jvp is not None and not has_backward(rule):
        ctx._saved = ctx._for_jvp
    done.saved, done.for_jvp = ctx._saved, ctx._for_jvp
    if thread().nlevels:
        done.attributes = attributes(ctx)
        done.arguments = {id(x): k for k, x in enumerate(args) if type(x) is Tensor}
        done.made = {id(y): k for k, y in enumerate(outputs) if type(y) is Tensor}
    if thread().recording and any(ctx.needs_input_grad):
        done.outputs, done.node = put_on_tape(ctx, args, outputs)
    else:
        done.outputs = list(outputs)
        if thread().nlevels:
            describe(ctx, args, outputs)
    return done


# ---- forward mode --------------------------------------------------------------------------------------------------

cdef Done on_tangents(rule, list args, uint32_t level):
    cdef Done done
    cdef Tensor x, y
    cdef Tangent c
    cdef list below = [], ts = [], found
    cdef int k
    for arg in args:
        t = None
        if type(arg) is Tensor and (<Tensor>arg).flags & DUAL:
            x = <Tensor>arg
            c = live(x)
            if c is not None and c.level == level:
                t = c.t
                c = c.next
            arg = stripped(x, c)
        below.append(arg)
        ts.append(t)
    if hasattr(rule, "both") and not taped(below) and not taped(ts):
        # A rule that gives results and tangents at once. What it records would not know of this level's tangents.
        done = Done.__new__(Done)
        done.outputs, found = rule.both(below, ts)
    else:
        done = run(rule, below)
        ctx = at_level(done, below, [t is not None for t in ts])
        if has_jvp(rule):
            if done.for_jvp is not None:
                ctx._saved = substituted(done, done.for_jvp, below)
            given = [None if place is None or not fg_is_real(place[1]) else arriving(t, place, ctx._materialize)
                     for t, place in zip(ts, ctx._inputs)]
            found = tangents(ctx, rule.jvp(ctx, *given))
        else:
            found = transposed_backward(ctx, ts)
        found = [None if place is None or place[2] < 0 else t for t, place in zip(found, ctx._outputs)]
    for k in range(len(found)):
        if found[k] is not None:
            y = <Tensor>done.outputs[k]
            done.outputs[k] = stripped(y, linked(level, matched(<Tensor>found[k], y), older(y, level)))
    keep_in_saves(done, args, level)
    return done


cdef bint taped(list xs) except -1:
    """Whether what is computed from xs is recorded."""
    cdef Tangent c
    if not thread().recording:
        return False
    for x in xs:
        if type(x) is not Tensor:
            continue
        if (<Tensor>x).flags & REQUIRES_GRAD:
            return True
        c = live(<Tensor>x) if (<Tensor>x).flags & DUAL else None
        while c is not None:
            if taped([c.t]):
                return True
            c = c.next
    return False


cdef Tangent older(Tensor y, uint32_t level):
    """The chain of y without the level."""
    cdef Tangent c = live(y)
    return c.next if c is not None and c.level == level else c


cdef bint has_jvp(rule):
    return has_jvp(rule.rule) if isinstance(rule, Batched) else rule.jvp is not Function.jvp


cdef bint has_backward(rule):
    return has_backward(rule.rule) if isinstance(rule, Batched) else rule.backward is not Function.backward


cdef bint has_own_vmap(rule):
    return not isinstance(rule, Batched) and rule.vmap is not Function.vmap


cdef object at_level(Done done, list args, needs):
    """The context as of one level: what was saved of inputs and outputs is what they are there."""
    ctx = Context.__new__(Context)
    ctx.__dict__.update(done.ctx.__dict__)
    for name, t in done.attributes:
        setattr(ctx, name, substituted(done, (t,), args)[0])
    ctx._saved = substituted(done, done.saved, args)
    ctx.needs_input_grad = tuple(needs)
    return ctx


cdef list attributes(ctx):
    """[(name, Tensor)] of those that are attributes of a context: saved as well, if without the checks."""
    return [(name, t) for name, t in ctx.__dict__.items() if type(t) is Tensor]


cdef tuple substituted(Done done, tuple saved, list args):
    return tuple([t if t is None else
                  args[done.arguments[id(t)]] if id(t) in done.arguments else
                  done.outputs[done.made[id(t)]] if id(t) in done.made else t
                  for t in saved])


cdef int keep_in_saves(Done done, list args, uint32_t newest) except -1:
    """Forward over reverse: what the node has saved keeps its tangents."""
    cdef NodeExtra extra
    cdef int k
    if done.node is None or done.ctx is None:
        return 0
    extra = done.node.extra
    for k, t in enumerate(substituted(done, done.saved, args)):
        if t is not None and t is not done.saved[k] and (<Tensor>t).flags & DUAL:
            if extra.tangents is None:
                extra.tangents = {}
            extra.tangents[k] = (<Tensor>t).extra.tangents
    for name, t in done.attributes:
        setattr(done.ctx, name, substituted(done, (t,), args)[0])
    if extra.tangents is not None:
        touch(newest, extra)
    return 0


# ---- vmap ----------------------------------------------------------------------------------------------------------

cdef Done on_batches(rule, list args, uint32_t level):
    cdef Done done
    cdef list values = [], dims = []
    cdef bint batch
    check_live(level)
    for x in args:
        batch = type(x) is Tensor and newest_batch(<Tensor>x) == level
        dims.append(batch)
        values.append(physical(<Tensor>x, level, level_of(level).size) if batch else x)
    if not isinstance(rule, Batched):
        own = has_own_vmap(rule)
        if own and rule.generate_vmap_rule:
            raise RuntimeError(f"{rule.__name__}: it has a vmap of its own and generate_vmap_rule=True; leave one of them out")
        if own:
            return by_own_vmap(rule, values, dims, level)
        if rule.generate_vmap_rule is False:
            raise RuntimeError(f"{rule.__name__}: cannot run inside vmap, since it has generate_vmap_rule=False and no static "
                               f"method vmap(info, in_dims, *args)")
    whole = Batched(rule, level, dims)
    done = run(whole, values)
    done.outputs = [boxed(<Tensor>y, level) if type(y) is Tensor else y for y in done.outputs]
    done.single = whole.single
    return done


cdef Done by_own_vmap(rule, list values, list dims, uint32_t level):
    cdef Done done = Done.__new__(Done)
    cdef level_t* here = level_of(level)
    cdef int randomness = here.randomness
    in_dims = tuple([0 if batch else None for batch in dims])
    info = VmapInfo(here.size, RANDOMNESS[randomness])
    here.randomness = RANDOM_SAME           # what it draws is not drawn for each element
    try:
        result = rule.vmap(info, in_dims, *values)
    finally:
        here = level_of(level)
        here.randomness = randomness
    if not isinstance(result, tuple) or len(result) != 2:
        raise RuntimeError(f"{rule.__name__}.vmap must return (output, out_dims), got {type(result).__name__}")
    outputs, out_dims = result
    done.single = not isinstance(outputs, tuple)
    done.outputs = [outputs] if done.single else list(outputs)
    if not isinstance(out_dims, (tuple, list)):
        out_dims = [out_dims] * len(done.outputs)
    if len(out_dims) != len(done.outputs):
        raise RuntimeError(f"{rule.__name__}.vmap returned {len(done.outputs)} outputs and {len(out_dims)} out_dims")
    for k, (y, dim) in enumerate(zip(done.outputs, out_dims)):
        if dim is None:
            continue
        if type(y) is not Tensor:
            raise TypeError(f"{rule.__name__}.vmap returned {type(y).__name__} as output {k} with out_dims {dim}; use None")
        if not -y.ndim <= dim < y.ndim or y.shape[dim] != info.batch_size:
            raise ShapeError(f"{rule.__name__}.vmap returned output {k} of shape {tuple(y.shape)} with out_dims {dim}, which is "
                             f"not the batch of {info.batch_size}")
        done.outputs[k] = add_batch(y, level, dim % y.ndim)
    return done


class Batched:
    """A custom function as a function of whole batches, the batch in front: its forward, backward and jvp run on batches of a
    vmap. Backward has a vmap of its own, since it may run when the first has ended, or inside newer ones."""

    setup_context = None            # forward has the context

    def __init__(self, rule, uint32_t level, dims):
        self.rule, self.level, self.dims = rule, level, dims
        self.size, self.randomness = level_of(level).size, level_of(level).randomness
        self.__name__ = rule.__name__
        if hasattr(rule, "both"):
            self.both = self._both

    def forward(self, ctx, *values):
        cdef dict known = {}            # id of a batch -> its values
        inner = Context(self.rule)
        inner.needs_input_grad = ctx.needs_input_grad
        args = self._boxed(values, self.level)
        for arg, value, batch in zip(args, values, self.dims):
            if type(arg) is Tensor:
                known[id(arg)] = value, batch
        outputs = self._parts(forward(self.rule, inner, args))
        constant = [id(t) for t in inner._constant]
        saved, for_jvp = inner._saved, inner._for_jvp
        if for_jvp is not None and not has_backward(self.rule):
            saved = for_jvp
        describe(inner, args, outputs)
        whole = []
        for y in outputs:
            if type(y) is Tensor:
                value, batch = known.get(id(y), (None, False))
                if not batch:
                    value = self._whole(y, self.level)
                known.setdefault(id(y), (value, True))
                if id(y) in constant:
                    ctx._constant = (*ctx._constant, value)
                y = value
            whole.append(y)
        inner._saved, self.saves = (), []
        ctx.inner = inner
        ctx.save_for_backward(*self._taken(saved, known, self.saves))
        if for_jvp is not None:
            self.jvp_saves = []
            ctx.save_for_forward(*self._taken(for_jvp, known, self.jvp_saves))
        self.attributes = {}
        for name, t in attributes(inner):
            if id(t) in known or newest_batch(<Tensor>t) == self.level:
                flag = []
                (value,) = self._taken((t,), known, flag)
                setattr(ctx, name, value)
                self.attributes[name] = flag[0]
        ctx._materialize = inner._materialize
        return tuple(whole)

    def backward(self, ctx, *gs):
        cdef uint32_t level
        if not has_backward(self.rule):
            return transposed_jvp(ctx, gs)
        level = self._entered()
        try:
            inner = self._inner(ctx, self.saves, level)
            inner.needs_input_grad = ctx.needs_input_grad
            gs = [g if g is None or place is None else boxed(<Tensor>g, level) for g, place in zip(gs, inner._outputs)]
            found = gradients(inner, self.rule.backward(inner, *gs))
            ctx._once = ctx._once or inner._once
            return tuple([None if g is None else self._summed(<Tensor>g, batch, level) for g, batch in zip(found, self.dims)])
        finally:
            end_level(level)

    def jvp(self, ctx, *ts):
        cdef uint32_t level = self._entered()
        try:
            inner = self._inner(ctx, self.saves if ctx._for_jvp is None else self.jvp_saves, level)
            inner.needs_input_grad = ctx.needs_input_grad
            found = tangents(inner, self.rule.jvp(inner, *self._boxed(ts, level)))
            return tuple([None if t is None else self._whole(<Tensor>t, level) for t in found])
        finally:
            end_level(level)

    def _both(self, args, ts):
        ys, found = self.rule.both(self._boxed(args, self.level), self._boxed(ts, self.level))
        self.single = False
        return ([self._whole(y, self.level) if type(y) is Tensor else y for y in ys],
                [None if t is None else self._whole(<Tensor>t, self.level) for t in found])

    def _entered(self):
        """A vmap of the same size. Not the first once more: the rule may run inside newer ones."""
        cdef level_t* here = new_level(VMAP)
        here.size, here.randomness = self.size, self.randomness
        return here.id

    def _parts(self, result):
        self.single = not isinstance(result, tuple)
        return (result,) if self.single else result

    def _boxed(self, values, uint32_t level):
        return [boxed(<Tensor>v, level) if batch and v is not None else v for v, batch in zip(values, self.dims)]

    def _whole(self, Tensor y, uint32_t level):
        """The values of a result; repeated where it does not depend on the batch."""
        if newest_batch(y) == level:
            return physical(y, level, self.size)
        return apply1(CLONE, expanded(y, self.size), None)

    def _taken(self, tensors, known, flags):
        """The values of what forward saved; flags: whether each is a batch."""
        cdef list values = []
        for t in tensors:
            value, batch = t, False
            if t is not None:
                if id(t) in known:
                    value, batch = known[id(t)]
                elif newest_batch(<Tensor>t) == self.level:
                    value, batch = physical(<Tensor>t, self.level, self.size), True
            values.append(value)
            flags.append(batch)
        return values

    def _inner(self, ctx, flags, uint32_t level):
        """The user's context inside a vmap."""
        inner = Context.__new__(Context)
        inner.__dict__.update(ctx.inner.__dict__)
        inner._saved = tuple([boxed(<Tensor>t, level) if batch else t for t, batch in zip(ctx.saved_tensors, flags)])
        for name, batch in self.attributes.items():
            value = getattr(ctx, name)
            setattr(inner, name, boxed(<Tensor>value, level) if batch else value)
        return inner

    def _summed(self, Tensor g, bint batch, uint32_t level):
        """The values of a gradient; of what the batch shares, their sum."""
        g = physical(g, level, self.size)
        if newest_batch(g) == self.level:
            raise RuntimeError(f"{self.__name__}.backward reads a batch of vmap that it closes over, or that ctx holds in a "
                               f"container; pass it as an argument and save it with save_for_backward")
        return g if batch else sum_over(g, 1, False)


# ---- the public face -----------------------------------------------------------------------------------------------

class Function:
    """A function with a derivative of its own. Subclass it with static methods and call ``apply``.

    ``forward(ctx, *args)`` computes, unrecorded, a Tensor or a tuple; ``backward(ctx, *grad_outputs)`` returns one gradient (or
    None) per argument of forward. Or ``forward(*args)`` and ``setup_context(ctx, inputs, output)``, which saves. A gradient
    of a wrong shape or dtype is an error. To be differentiated twice, backward uses operations of fastgrad.

    Under forward mode ``jvp(ctx, *tangents)`` returns one tangent (or None) per result; where it is not given, the transpose of
    backward is taken, which must be linear in the gradients. Under `vmap` all of them run on batches; what computes by other
    means than operations of fastgrad has a ``vmap(info, in_dims, *args)``, which returns (output, out_dims), or says that it
    cannot by ``generate_vmap_rule = False``.

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
    >>> fg.func.jvp(Multiply.apply, (x.detach(), x.detach()), (fg.tensor(1.0), fg.tensor(1.0)))
    (tensor(4.), tensor(4.))
    """

    generate_vmap_rule = None

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
        """Computes the gradients of the arguments from those of the outputs. Where only jvp is given: its transpose."""
        if not has_jvp(ctx._function):
            raise NotImplementedError(f"{ctx._function.__name__}: a Function must define a static method backward(ctx, "
                                      f"*grad_outputs), or jvp(ctx, *tangents)")
        return transposed_jvp(ctx, grad_outputs)

    @staticmethod
    def jvp(ctx, *grad_inputs):
        """Computes the tangents of the outputs from those of the arguments: None for one that is no real Tensor, zeros for a
        Tensor that has none."""
        raise NotImplementedError("jvp is not defined")

    @staticmethod
    def vmap(info, in_dims, *args):
        """Computes the outputs for a whole batch: (output, out_dims). info: `batch_size` and `randomness`; in_dims: for each
        argument the dimension of its batch, or None; out_dims: an int or None for all outputs, or a tuple with one for each."""
        raise NotImplementedError("vmap is not defined")

    @classmethod
    def apply(cls, *args):
        """Runs forward and puts one node on the tape."""
        cdef Done done = run(cls, list(args))
        return done.outputs[0] if done.single else tuple(done.outputs)


def is_differentiated(x, bint tangents_only=False):
    """Whether x is a Tensor that requires grad or has a tangent, or stands for values that do."""
    cdef Tensor t
    if type(x) is not Tensor:
        return False
    t = <Tensor>x
    settle(t)
    while t.flags & BOXED:
        t = t.extra.inner
    return (t.flags & REQUIRES_GRAD and not tangents_only) or (t.flags & DUAL and live(t) is not None)
