"""Gradient checkpointing: what a function would save for backward is computed again when backward needs it.

Design. Hooks on what the tape saves, not a custom function: so gradients flow to whatever the function reads, arguments or not,
`autograd.grad` and `create_graph` work, and calls nest. While the function runs for the first time, each save becomes a
place, which is emptied when the function returns: until then the function may differentiate by itself. When backward reads the
first of them, the function runs again from its kept arguments, what its nodes save goes into the places, in the same order,
and the run ends with the last one. So the first run takes no more memory than the second, and a place is given up with its
node: memory falls as backward proceeds. The numbers are the same operations on the same operands: gradients are equal bit by bit.
Arguments are kept as a save is, so an outer checkpoint computes those of an inner one again. What they are in transforms
(batches of vmap, tensors with tangents) is noted beside the plain tensors they consist of; those transforms are under way again.
"""

import contextlib
import weakref

from fastgrad._core import (
    Tensor,
    enable_grad,
    get_rng_state,
    is_grad_enabled,
    saved_tensors_hooks,
    set_rng_state,
)
from fastgrad._core.levels import levels_under_way, made_of, only_levels, parts_of
from fastgrad._core.saving import Kept
from fastgrad._tree import flatten, unflatten


class CheckpointError(RuntimeError):
    """A checkpointed function did something else when it ran again."""


class _Enough(BaseException):
    """Everything that was missing is there again."""


class _Place:
    """Where a saved tensor will be."""

    __slots__ = ("__weakref__", "call", "meta", "tensor", "version")

    def __init__(self, call, t):
        self.call = call
        self.meta = (tuple(t.shape), t.dtype)
        self.put(t)

    def put(self, t):
        self.tensor = t
        self.version = None if t is None else t._version

    def read(self):
        if self.tensor is None:
            self.call.run_again()
        if self.tensor._version != self.version:
            raise CheckpointError(f"checkpoint: a value of shape {self.meta[0]} that backward needs was modified in place when "
                                  f"the function ran again; let it return a new tensor")  # fmt: skip
        return self.tensor


class _Call:
    """One call of a checkpointed function: how to run it again, and where to put what it saves then."""

    def __init__(self, function, args, kwargs, preserve_rng_state, context, check):
        leaves, self.structure = flatten((args, kwargs))
        self.leaves = [_kept(x) if type(x) is Tensor else x for x in leaves]
        self.levels = levels_under_way()
        self.is_tensor = [type(x) is Tensor for x in leaves]
        self.function = function
        self.random = get_rng_state() if preserve_rng_state else None
        self.context = context
        self.check = check
        self.places = []  # weak: a node that is gone needs nothing

    def take(self, t):
        place = _Place(self, t)
        self.places.append(weakref.ref(place))
        return place

    def end(self):
        """The first run is over. Where it drew no random numbers, the generator need not go back for the second."""
        for place in self.places:
            if place() is not None:
                place().put(None)
        if self.random is not None and self.random.tolist() == get_rng_state().tolist():
            self.random = None

    def arguments(self):
        leaves = []
        for x, tensor in zip(self.leaves, self.is_tensor, strict=True):
            if tensor:
                parts, how = x
                x = made_of([kept.get("checkpoint").requires_grad_(wanted) for kept, wanted in parts], how)
            leaves.append(x)
        return unflatten(self.structure, leaves)

    def run_again(self):
        filled = 0

        def fill(t):
            nonlocal filled
            place = self.places[filled]()
            filled += 1
            if place is not None:
                if self.check and place.meta != (tuple(t.shape), t.dtype):
                    raise CheckpointError(f"checkpoint: the function did something else when it ran again: save {filled - 1} "
                                          f"was {place.meta[0]} {place.meta[1]} and is {tuple(t.shape)} {t.dtype}; it must "
                                          f"not depend on anything that changes, but random numbers")  # fmt: skip
                place.put(t)
            if filled == len(self.places):
                raise _Enough
            return t

        with contextlib.ExitStack() as stack:
            stack.enter_context(only_levels(self.levels))
            args, kwargs = self.arguments()
            if self.random is not None:
                stack.callback(set_rng_state, get_rng_state())
                set_rng_state(self.random)
            stack.enter_context(self.context)
            stack.enter_context(enable_grad())
            stack.enter_context(saved_tensors_hooks(fill, _itself))
            try:
                self.function(*args, **kwargs)
            except _Enough:
                return
        raise CheckpointError(f"checkpoint: the function did something else when it ran again: it saved {filled} tensors "
                              f"instead of {len(self.places)}")  # fmt: skip


def _kept(x):
    """An argument as it is kept: ([(a plain tensor, whether it requires grad)], how it consists of them)."""
    parts, how = parts_of(x)
    return [(Kept(part), part.requires_grad) for part in parts], how


def _itself(t):
    return t


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    preserve_rng_state=True,
    context_fn=None,
    determinism_check="default",
    **kwargs,
):
    """Calls a function, and keeps its arguments instead of what its derivative needs: that is computed again in backward.

    Gradients are equal bit by bit to those without, memory is that of the arguments until backward comes to them, and the
    price is one more run of the function. Calls may be nested, arguments and results may be containers, and parameters that the
    function reads get their gradients. It runs again with gradients enabled and the random numbers it had; other state that it
    changes, such as running statistics, it changes twice. It may itself differentiate, by the transforms of `fastgrad.func` or
    `autograd.grad`: by the latter with respect to its arguments and what it computes from them, not to what it closes over.

    Args:
        function: a function or module.
        args, kwargs: its arguments; what is no tensor is passed again as it is.
        use_reentrant: accepted; there is one way, which does what both of PyTorch's do.
        preserve_rng_state: whether the default generator goes back to where it was for the second run.
        context_fn: function of nothing that returns two context managers, around the first and the second run.
        determinism_check: "default" compares shapes and dtypes of what is saved in both runs, "none" does not.

    Returns: what the function returns.

    Raises CheckpointError in backward where the second run is found to differ from the first.

    Example:
        >>> import fastgrad as fg
        >>> from fastgrad.utils.checkpoint import checkpoint
        >>> x = fg.tensor([1.0, 2.0], requires_grad=True)
        >>> checkpoint(lambda x: x.exp().sin(), x).sum().backward()
        >>> x.grad
        tensor([-2.4783,  3.3129])
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint: determinism_check must be 'default' or 'none', got {determinism_check!r}")
    first, second = (contextlib.nullcontext(), contextlib.nullcontext()) if context_fn is None else context_fn()
    if not is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    call = _Call(function, args, kwargs, preserve_rng_state, second, determinism_check == "default")
    try:
        with first, saved_tensors_hooks(call.take, _Place.read):
            return function(*args, **kwargs)
    finally:
        call.end()


def checkpoint_sequential(functions, segments, input, use_reentrant=None, preserve_rng_state=True):
    """Runs modules one after the other, in segments that are checkpointed; the last one is not, since backward begins there.

    Args:
        functions: a `Sequential`, or a sequence of functions of one argument.
        segments: how many parts of equal length; the last one takes the rest.
        input: the first one's argument.

    Returns: what the last one returns. Other arguments are those of `checkpoint`.
    """
    functions = list(functions)
    if not 1 <= segments <= max(len(functions), 1):
        raise ValueError(f"checkpoint_sequential: segments must be between 1 and {len(functions)}, got {segments}")

    def run(start, stop):
        def part(x):
            for function in functions[start:stop]:
                x = function(x)
            return x

        return part

    size = len(functions) // segments
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(run(start, start + size), input, preserve_rng_state=preserve_rng_state)
    return run(size * (segments - 1), None)(input)
