"""What to keep and what to compute again, for a memory budget: estimates of activation memory, and the best plan for a chain.

A plan is a schedule of the chain's stages: each is kept (what it saves stays until backward), or belongs to a part of which only
the input is kept, and which is run again when backward comes to it, by a schedule of its own. For such schedules the least
work for every amount of memory is a dynamic programme over intervals (Beaumont et al. 2019, "Optimal checkpointing for
heterogeneous chains"); since it carries all sensible pairs of memory and work, not a grid of budgets, it is exact.
"""

from fastgrad._core import Tensor, enable_grad, get_rng_state, set_rng_state
from fastgrad._core._costs import flops_of
from fastgrad._core.watch import Watcher, place
from fastgrad.utils.checkpoint import checkpoint


def transformer_activation_bytes(layers, batch, length, width, *, itemsize=2, factor=10):
    """Bytes of activations that a transformer keeps for backward: layers * batch * length * width * itemsize * factor.

    Args:
        layers, batch, length, width: of the network and its input; width is that of the residual stream.
        itemsize: bytes of one element.
        factor: how many vectors of that width a layer keeps for each position; about 10 without attention matrices.

    Example:
        >>> transformer_activation_bytes(32, 1, 2048, 4096) / 2**30  # GiB, of a network of 7 billion parameters
        5.0
    """
    return layers * batch * length * width * itemsize * factor


def _watched(function, args, kwargs):
    """The result, bytes that the tape holds beyond what exists anyway (by storage), and the work done."""
    watcher = Watcher(lines=False)
    watcher.start()
    try:
        with enable_grad():
            result = function(*args, **kwargs)
    finally:
        watcher.stop()
    held = {address: nbytes for _, address, nbytes, _, exists in watcher.saves() if not exists and address}
    work = 0
    for kind, _, op, _, _, outs, ins, attrs, _, _ in watcher.events():
        if kind == "op" and outs:
            shapes = [[None if t is None else tuple(t.shape) for t in side] for side in (outs, ins)]
            work += flops_of(op, attrs, shapes[1], shapes[0]) + sum(t.size for t in outs if t is not None)
    return result, held, work


def activation_bytes(function, *args, **kwargs):
    """Bytes that the tape holds for backward after ``function(*args, **kwargs)``.

    Each block of memory counts once; what needs no gradient or is a leaf does not count, since it exists anyway: data,
    parameters, the arguments.

    Example:
        >>> import fastgrad as fg
        >>> x = fg.ones(100, requires_grad=True)
        >>> activation_bytes(lambda x: x.exp().sin(), x)  # the result of exp, in float32
        400
    """
    return sum(_watched(function, args, kwargs)[1].values())


# ---- the dynamic programme -----------------------------------------------------------------------------------------


def _pruned(candidates):
    """(memory, work, steps) of which no other one is as small in both, by memory."""
    best = []
    for entry in sorted(candidates, key=lambda c: c[:2]):
        if not best or entry[1] < best[-1][1]:
            best.append(entry)
    return best


def _joined(inner, rest, output, again):
    """A part that is run again by a schedule of `inner`, then one of `rest`: one candidate for each memory that matters."""
    found = []
    i = j = 0
    for memory in sorted({m for m, _, _ in inner} | {m + output for m, _, _ in rest}):
        while i + 1 < len(inner) and inner[i + 1][0] <= memory:
            i += 1
        while j + 1 < len(rest) and rest[j + 1][0] + output <= memory:
            j += 1
        if inner[i][0] <= memory and rest[j][0] + output <= memory:
            found.append((memory, inner[i][1] + rest[j][1] + again, (inner[i][2], *rest[j][2])))
    return found


def best_schedules(saved, outputs, work):
    """All sensible schedules of a chain: (peak memory, work done again, schedule), from the least memory to the least work.

    saved: bytes that each stage keeps, its output among them; outputs: those of its output alone; work: of running it once.
    A schedule is a tuple of stage numbers, which are kept, and of schedules, parts that are run again.
    """
    count = len(saved)
    best = {}
    for size in range(1, count + 1):
        for s in range(count - size + 1):
            e = s + size - 1
            rest = best[s + 1, e] if size > 1 else [(0, 0, ())]
            found = [(saved[s] + m, w, (s, *steps)) for m, w, steps in rest]
            again = 0
            for k in range(s, e):
                again += work[k]
                found += _joined(best[s, k], best[k + 1, e], outputs[k], again)
            best[s, e] = _pruned(found)
    return best[0, count - 1]


class CheckpointPlan:
    """A chain of functions with a schedule; called, it runs them by it. See `checkpoint_plan`.

    Attributes: schedule, a tuple of stage numbers (kept) and of such tuples (run again); peak_bytes, the most that is held at
    once beyond the input; extra_work, what is done again as a fraction of one forward pass.
    """

    def __init__(self, stages, schedule, peak_bytes, extra_work):
        self.stages, self.schedule = stages, schedule
        self.peak_bytes, self.extra_work = peak_bytes, extra_work

    def __call__(self, input):
        return self._run(self.schedule, input)

    def _run(self, schedule, x):
        for step in schedule:
            if isinstance(step, int):
                x = self.stages[step](x)
            else:
                x = checkpoint(lambda x, step=step: self._run(step, x), x)
        return x

    def __repr__(self):
        return (f"CheckpointPlan({len(self.stages)} stages, {self.peak_bytes:,} bytes, {self.extra_work:.0%} of a forward pass "
                f"again: {self.schedule})")  # fmt: skip


def checkpoint_plan(model, input, budget_bytes, *, costs=None):
    """The plan that runs a chain within a memory budget and does the least work again: optimal for chains.

    Args:
        model: a `Sequential`, or a sequence of functions of one argument.
        input: a Tensor like those of training: the stages are run on it once, to see what each keeps.
        budget_bytes: how much may be held for backward at once, beyond the input, the parameters and their gradients.
        costs: the work of each stage; by default its floating-point operations and the elements it writes.

    Returns: a `CheckpointPlan`, to be called in place of the model. It holds for inputs of this shape.

    Raises ValueError where no plan needs so little; the message says how little is possible.

    Example:
        >>> import fastgrad as fg
        >>> model = [fg.sin, fg.exp, fg.sin, fg.exp, fg.sin]
        >>> x = fg.ones(1000, requires_grad=True)
        >>> plan = checkpoint_plan(model, x, budget_bytes=12_000)
        >>> plan(x).sum().backward()
        >>> plan
        CheckpointPlan(5 stages, 12,000 bytes, 61% of a forward pass again: ((0, 1, 2), 3, 4))
    """
    stages = list(model)
    if not stages:
        raise ValueError("checkpoint_plan: the chain has no stages")
    if not isinstance(input, Tensor):
        raise TypeError(f"checkpoint_plan: the input must be a Tensor, got {type(input).__name__}")
    if costs is not None and len(costs) != len(stages):
        raise ValueError(f"checkpoint_plan: {len(costs)} costs for {len(stages)} stages")
    saved, outputs, work = _measured(stages, input)
    work = list(costs) if costs is not None else work
    found = best_schedules(saved, outputs, work)
    fitting = [entry for entry in found if entry[0] <= budget_bytes]
    if not fitting:
        raise ValueError(f"checkpoint_plan: no plan fits into {budget_bytes:,} bytes; the least that is possible is "
                         f"{found[0][0]:,}")  # fmt: skip
    peak, again, schedule = fitting[-1]
    return CheckpointPlan(stages, schedule, peak, again / sum(work) if sum(work) else 0.0)


def _measured(stages, x):
    """What each stage keeps, its output's bytes, and its work."""
    saved, outputs, work = [], [], []
    random = get_rng_state()
    try:
        for k, stage in enumerate(stages):
            x = x.detach()
            if x.is_floating_point():
                x.requires_grad_()
            y, held, cost = _watched(stage, (x,), {})
            if not isinstance(y, Tensor):
                raise TypeError(
                    f"checkpoint_plan: stage {k} returned {type(y).__name__}; every stage must return a Tensor"
                )
            outputs.append(y.nbytes)
            held[place(y)[0]] = y.nbytes  # its output stays too, for what follows
            saved.append(sum(held.values()))
            work.append(cost)
            x = y
    finally:
        set_rng_state(random)
    return saved, outputs, work
