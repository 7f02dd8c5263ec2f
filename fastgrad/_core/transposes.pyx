"""A tangent from a backward, and a gradient from a jvp: custom functions that have one of them.

Both are linear in what they are given. Where L is linear, the gradient of <L(t), g> by t is its transpose at g, wherever it is
evaluated: here at 0, so that a rule that bends what it is given, as one that clips gradients, counts as what it does to small
ones.
"""

from libc.stdint cimport uint32_t

from .backward cimport run as differentiated
from .levels cimport matched
from .tensor cimport *

from .context import arriving, gradients, once_message, tangents
from .modes import no_grad
from .saving import unpacked
from .table import functions

cdef Op CLONE = declare("clone")


def transposed_backward(ctx, list ts not None):
    """backward(g) is linear in g, so the gradient of <backward(g), t> by g is the tangent, whatever g is."""
    cdef fg_thread* here = thread()
    cdef uint32_t before = here.recording
    cdef list gs = [], outputs = [], weights = [], wanted
    cdef Tensor g
    name = ctx._function.__name__
    here.recording = 1
    try:
        with unpacked():
            for place in ctx._outputs:
                g = None
                if place is not None:
                    g = <Tensor>arriving(None, place, True)
                    if place[2] >= 0:
                        g = <Tensor>apply1(CLONE, g, None)
                        require_grad(g)
                gs.append(g)
            found = gradients(ctx, ctx._function.backward(ctx, *gs))
        if ctx._once:
            raise NotImplementedError(f"{once_message(ctx)}; give {name} a static method jvp(ctx, *tangents)")
        for t, got in zip(ts, found):
            if t is not None and got is not None and (<Tensor>got).flags & REQUIRES_GRAD:
                outputs.append(got)
                weights.append(matched(<Tensor>t, <Tensor>got))
    finally:
        here.recording = before
    check_constants(ctx, "backward", "gradient", "jvp(ctx, *tangents)", ctx._function.backward, gs,
                    [None if t is None else got for t, got in zip(ts, found)], gradients)
    wanted = [g for g, place in zip(gs, ctx._outputs) if place is not None and place[2] >= 0]
    if not outputs:
        return [None] * len(gs)
    got = iter(differentiated(outputs, weights, wanted, True, before, False))
    return [None if place is None or place[2] < 0 else next(got) for place in ctx._outputs]


def transposed_jvp(ctx, tuple gs not None):
    """jvp(t) is linear in t, so the gradient of <jvp(t), g> by t is the gradient, whatever t is."""
    cdef fg_thread* here = thread()
    cdef uint32_t before = here.recording
    cdef list ts = [], wanted = [], outputs = [], weights = []
    cdef Tensor t
    here.recording = 1
    try:
        with unpacked():
            for k, place in enumerate(ctx._inputs):
                t = None
                if place is not None and fg_is_real(place[1]):
                    t = <Tensor>arriving(None, place, True)
                    if ctx.needs_input_grad[k]:
                        t = <Tensor>apply1(CLONE, t, None)
                        require_grad(t)
                        wanted.append(t)
                ts.append(t)
            found = tangents(ctx, ctx._function.jvp(ctx, *ts)) if wanted else []
    finally:
        here.recording = before
    for y, g in zip(found, gs):
        if y is not None and g is not None and (<Tensor>y).flags & REQUIRES_GRAD:
            outputs.append(y)
            weights.append(g)
    check_constants(ctx, "jvp", "tangent", "backward(ctx, *grad_outputs)", ctx._function.jvp, ts, found, tangents)
    if not outputs:
        return (None,) * len(ts)
    got = iter(differentiated(outputs, weights, list(wanted), True, before, False))
    return tuple([next(got) if t is not None and (<Tensor>t).flags & REQUIRES_GRAD else None for t in ts])


cdef int check_constants(ctx, str rule, str what, str missing, function, list given, found, check) except -1:
    """A result of a linear rule that has no history does not depend on what is given: it must be zero, whatever that is. Else it
    was computed by other means than operations."""
    cdef list other = []
    if thread().special & RECORDED or all([y is None or (<Tensor>y).flags & REQUIRES_GRAD for y in found]):
        return 0
    for x in given:
        if x is not None and (<Tensor>x).flags & REQUIRES_GRAD:
            x = x.detach()
            x = x + functions["arange"](1, x.numel() + 1, dtype=x.dtype).reshape(x.shape)
        other.append(x)
    with no_grad():
        again = check(ctx, function(ctx, *other))
    for first, second in zip(found, again):
        if first is not None and second is not None and not (<Tensor>first).flags & REQUIRES_GRAD:
            if fg_is_real((<Tensor>second).dtype) and bool((second.detach() != 0).any()):
                name = ctx._function.__name__
                raise NotImplementedError(f"{name}.{rule} computes a {what} with other means than operations on what it gets "
                                          f"(detach(), NumPy), so nothing can be derived from it; give {name} a static method "
                                          f"{missing}")
    return 0
