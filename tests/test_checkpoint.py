"""Checkpointing: the same gradients bit by bit, less memory, nested, with its random numbers; plans for a budget."""

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn as nn
import fastgrad.nn.functional as F
from fastgrad import func as T
from fastgrad.autograd import grad
from fastgrad.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential
from fastgrad.utils.checkpoint_plans import (
    activation_bytes,
    best_schedules,
    checkpoint_plan,
    transformer_activation_bytes,
)


def leaf(*shape, seed=0):
    return fg.randn(*shape, dtype=fg.float64, generator=fg.Generator().manual_seed(seed)).requires_grad_()


def net(width=6, depth=4, seed=3):
    fg.manual_seed(seed)
    parts = [
        p for _ in range(depth) for p in (nn.Linear(width, width), nn.Tanh(), nn.LayerNorm(width), nn.Dropout(0.3))
    ]
    return nn.Sequential(*parts).double()


def gradients(run, model, x, second=False):
    fg.manual_seed(11)
    y = (run(x) ** 2).sum()
    inputs = [x, *model.parameters()]
    found = grad(y, inputs, create_graph=second)
    if second:
        found = grad(sum((g * g).sum() for g in found), inputs)
    return [y, *found]


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize("second", [False, True])
def test_gradients_are_bitwise_equal(second):
    model, x = net(), leaf(5, 6)
    expected = gradients(model, model, x, second)
    assert_same(gradients(lambda x: checkpoint(model, x), model, x, second), expected)
    for segments in (1, 2, 3, 16):
        assert_same(gradients(lambda x, n=segments: checkpoint_sequential(model, n, x), model, x, second), expected)

    def nested(x):
        inner = lambda x: checkpoint(model[4:8], x)  # noqa: E731
        outer = lambda x: model[8:12](checkpoint(inner, model[:4](x)))  # noqa: E731
        return model[12:](checkpoint(outer, x))

    assert_same(gradients(nested, model, x, second), expected)


def test_backward_twice_and_leaves_in_grad():
    model, x = net(), leaf(5, 6)
    y = checkpoint(model, x).sum()
    y.backward(retain_graph=True)
    once = [p.grad.clone() for p in model.parameters()]
    y.backward()
    assert_same([p.grad for p in model.parameters()], [g * 2 for g in once])


def test_containers_keywords_and_results():
    a, b = leaf(3), leaf(3, seed=1)

    def f(pair, *, scale, flag):
        assert flag == "yes"
        return {"sum": (pair["a"] * pair["b"]).exp() * scale, "none": None}, pair["a"].sin()

    def total(result):
        return result[0]["sum"].sum() + result[1].sum()

    arguments = {"scale": 2.0, "flag": "yes"}
    expected = grad(total(f({"a": a, "b": b}, **arguments)), (a, b))
    assert_same(grad(total(checkpoint(f, {"a": a, "b": b}, use_reentrant=False, **arguments)), (a, b)), expected)


def test_memory_is_that_of_the_arguments():
    model = nn.Sequential(*[nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Tanh()) for _ in range(12)])
    x = fg.randn(2000, 32)

    def peak(run):
        fg.reset_peak_memory_stats()
        before = fg.memory_stats()["allocated"]
        y = run(x).sum()
        held = fg.memory_stats()["allocated"] - before
        y.backward()
        return held, fg.memory_stats()["peak"] - before

    plain, kept = peak(model), peak(lambda x: checkpoint_sequential(model, 4, x))
    assert kept[0] < 0.45 * plain[0]
    assert kept[1] < 0.65 * plain[1]


def test_the_function_runs_once_more_and_only_as_far_as_needed():
    log = []

    def say(x, name):
        log.append(name)
        return x

    x = leaf(3)
    y = checkpoint(lambda x: say(say(x, "a").exp().sin(), "b"), x)
    assert log == ["a", "b"]
    y.sum().backward()
    assert log == ["a", "b", "a"]  # what follows the last save is left out
    log.clear()
    with fg.no_grad():
        checkpoint(lambda x: say(x.exp(), "c"), x)
    assert log == ["c"]


def test_random_numbers_and_grad_mode_are_those_of_the_first_run():
    x = leaf(50)
    fg.manual_seed(5)
    (expected,) = grad(F.dropout(x.exp(), 0.5).sin().sum(), x)
    after = fg.rand(3)
    fg.manual_seed(5)
    y = checkpoint(lambda x: F.dropout(x.exp(), 0.5).sin(), x).sum()
    assert_same([fg.rand(3)], [after])
    fg.manual_seed(99)
    following = fg.get_rng_state()
    assert_same(grad(y, x), [expected])
    assert_same([fg.get_rng_state()], [following])

    def half(x):
        y = x.exp()
        with fg.no_grad():
            z = y.sin()
        return y * z

    assert_same(grad(checkpoint(half, x).sum(), x), grad(half(x).sum(), x))


TRANSFORMED = {
    "vmap of grad": lambda f, x, v: T.vmap(T.grad(lambda x: f(x).sum()))(x),
    "grad of vmap": lambda f, x, v: T.grad(lambda x: T.vmap(f)(x).sum())(x),
    "jvp": lambda f, x, v: T.jvp(f, (x,), (v,))[1],
    "forward over reverse": lambda f, x, v: T.jvp(T.grad(lambda x: f(x).sum()), (x,), (v,))[1],
    "reverse over forward": lambda f, x, v: T.grad(lambda x: T.jvp(f, (x,), (v,))[1].sum())(x),
    "reverse over reverse": lambda f, x, v: T.vhp(lambda x: f(x).sum(), x, v),
    "hvp": lambda f, x, v: T.hvp(lambda x: f(x).sum(), x, v),
    "vmap of hessian": lambda f, x, v: T.vmap(T.hessian(lambda x: f(x).sum()))(x),
    "jacfwd of grad": lambda f, x, v: T.jacfwd(T.grad(lambda x: f(x).sum()))(x[0]),
    "a batch closed over": lambda f, x, v: T.vmap(lambda a: T.grad(lambda b: f(a * b).sum())(v[0]))(x),
    "an older vmap's pullback under a newer": lambda f, x, v: T.vmap(
        lambda x: T.vmap(T.vjp(T.grad(lambda x: f(x).sum()), x)[1])(fg.eye(4, dtype=fg.float64))[0]
    )(x),
    "third": lambda f, x, v: T.grad(lambda x: (T.hvp(lambda x: f(x).sum(), x, v) * v).sum())(x),
}


@pytest.mark.parametrize("name", sorted(TRANSFORMED))
def test_bits_inside_transforms(name):
    x, v = leaf(3, 4).detach(), leaf(3, 4, seed=1).detach()
    w = leaf(4, seed=2).detach()

    def part(x):
        return (x.sin() * w).exp() * x

    transform = TRANSFORMED[name]
    expected = transform(lambda x: part(part(x)), x, v)
    assert_same([transform(lambda x: checkpoint(part, checkpoint(part, x)), x, v)], [expected])
    assert_same([transform(lambda x: checkpoint(lambda x: part(checkpoint(part, x)), x), x, v)], [expected])


W = leaf(4, seed=2)


def wave(x):
    return ((x * W).sin() * x).exp()


def total(x):
    return wave(x).sum()


# Functions that differentiate by themselves; `run` calls a function, through a checkpoint or not.
DIFFERENTIATING = {
    "func.grad": lambda x, run: T.grad(total)(x) * x.cos(),
    "of two things": lambda x, run: T.grad(lambda y: (wave(x) * wave(y)).sum())(x * 2) * x.cos(),
    "autograd.grad": lambda x, run: grad(total(x), x, create_graph=True)[0] * x,
    "by a value inside": lambda x, run: (lambda y: grad(total(y), y, create_graph=True)[0] * y)(x * 1.5),
    "hvp": lambda x, run: T.hvp(total, x, x.sin()),
    "jvp": lambda x, run: T.jvp(wave, (x,), (x.sin(),))[1],
    "hessian": lambda x, run: T.hessian(total)(x[0]).sum(0) * x,
    "vmap of grad": lambda x, run: T.vmap(T.grad(total))(x) * x,
    "one after the other": lambda x, run: T.grad(total)(T.grad(total)(x).tanh()),
    "second": lambda x, run: T.grad(lambda x: (T.grad(total)(x) ** 2).sum())(x) * x,
    "linearize": lambda x, run: T.linearize(wave, x)[1](x.cos()),
    "checkpoints inside": lambda x, run: T.grad(lambda x: run(wave, run(wave, x).tanh()).sum())(x) * x,
    "nested": lambda x, run: run(lambda x: T.grad(lambda x: run(wave, x).sum())(x) * x.cos(), x).sin(),
}


@pytest.mark.parametrize("name", DIFFERENTIATING)
def test_a_function_may_differentiate_by_itself(name):
    x, v = leaf(3, 4), leaf(3, 4, seed=1).detach()

    def results(run):
        f = lambda x: run(lambda x: DIFFERENTIATING[name](x, run), x)  # noqa: E731
        first = grad((f(x) ** 2).sum(), (x, W), create_graph=True)
        second = grad(sum((g * g).sum() for g in first), (x, W), create_graph=True)
        found = [*first, *second, *grad(sum((g * g).sum() for g in second), (x, W))]
        found += [T.hvp(lambda x: (f(x) ** 2).sum(), x.detach(), v), T.jacrev(f)(x.detach())]
        if "autograd.grad" not in name and "inside" not in name:  # which has no place in vmap and jvp
            found += [T.jacfwd(f)(x.detach()), T.vmap(T.jacrev(f))(x.detach()[None])]
        return found

    assert_same(results(checkpoint), results(lambda f, *args: f(*args)))
    assert_same(results(lambda f, x: checkpoint(lambda x: checkpoint(f, x), x)), results(lambda f, x: f(x)))


def test_differentiating_by_what_a_function_closes_over_is_an_error():
    y = checkpoint(lambda x: grad(total(x), W, create_graph=True)[0] * x, leaf(3, 4))
    with pytest.raises(RuntimeError, match=r"a checkpoint's second run.*pass what is differentiated by as an argument"):
        y.sum().backward()


def test_what_a_function_closes_over_is_again_a_batch_or_has_its_tangent():
    x, v, w = leaf(3, 4).detach(), leaf(3, 4, seed=1).detach(), leaf(4, seed=2).detach()

    def f(run):
        return T.vmap(T.grad(lambda x: run(lambda w: (w * x).sin() * x, w).sum()))(x)

    def h(run):
        return T.jvp(T.grad(lambda x: run(lambda w: (w * x).sin() * x, w).sum()), (x,), (v,))[1]

    for g in (f, h):
        assert_same([g(checkpoint)], [g(lambda function, *args: function(*args))])


def test_dropout_in_a_batch_draws_the_same_again():
    x = leaf(3, 50).detach()
    part = lambda x: F.dropout(x.exp(), 0.5).sin()  # noqa: E731

    def work(f):
        fg.manual_seed(5)
        return T.vmap(T.grad(lambda x: f(x).sum()), randomness="different")(x)

    assert_same([work(lambda x: checkpoint(part, x))], [work(part)])


def test_a_function_that_changes_is_an_error():
    x, state = leaf(4), []

    def shorter(x):
        state.append(0)
        return x.exp().sin() if len(state) == 1 else x.exp()

    with pytest.raises(CheckpointError, match="it saved 1 tensors instead of 2"):
        checkpoint(shorter, x).sum().backward()
    state.clear()

    def smaller(x):
        state.append(0)
        return x[: 5 - len(state)].exp().sin()

    with pytest.raises(CheckpointError, match=r"save 0 was \(4,\) fastgrad.float64 and is \(3,\)"):
        checkpoint(smaller, x).sum().backward()
    y = x * 1.0
    z = checkpoint(lambda y: y.exp().sin(), y)
    y.add_(1.0)
    with pytest.raises(RuntimeError, match=r"checkpoint: a saved tensor of shape \(4,\) was modified by an in-place"):
        z.sum().backward()
    with pytest.raises(ValueError, match="determinism_check must be"):
        checkpoint(fg.exp, x, determinism_check="all")
    with pytest.raises(ValueError, match="segments must be between 1 and 2, got 3"):
        checkpoint_sequential([fg.exp, fg.sin], 3, x)


def test_an_error_of_the_function_passes_through():
    x, first = leaf(3), [True]

    def fails(x):
        y = x.exp().sin()
        if not first.pop():
            raise KeyError("mine")
        return y.cos()

    first.insert(0, False)
    y = checkpoint(fails, x)
    with pytest.raises(KeyError, match="mine"):
        y.sum().backward()
    fg.exp(x).sum().backward()  # no hooks are left


# ---- estimates and plans -------------------------------------------------------------------------------------------


def test_activation_memory_of_a_transformer():
    """32 layers, one sequence of 2048, width 4096, two bytes, ten values per position and channel of a layer: 5 GiB."""
    assert transformer_activation_bytes(32, 1, 2048, 4096, itemsize=2, factor=10) == 5_368_709_120 == 5 * 2**30


def test_activation_bytes_are_what_the_tape_holds():
    x = fg.randn(1000, 32)
    linear, tanh = nn.Linear(32, 16), nn.Tanh()
    size = 1000 * 16 * 4
    assert activation_bytes(linear, x) == 0  # the input and the weight exist anyway
    assert activation_bytes(nn.Sequential(linear, tanh), x) == size
    assert activation_bytes(nn.Sequential(linear, tanh, nn.Linear(16, 16)), x) == size  # shared with tanh's output
    assert activation_bytes(lambda x: linear(x).exp().sin(), x) == size
    assert activation_bytes(lambda x: checkpoint(nn.Sequential(linear, tanh), x), x) == 0


def simulate(stages, schedule, held=0):
    """(peak, cost) of running a schedule forward and backward, by walking through it."""
    saved, output, work = stages
    peak, cost = held, 0

    def forward(schedule, held):
        nonlocal peak, cost
        for k, step in enumerate(schedule):
            held += saved[step] if isinstance(step, int) else output[last(step)] if k + 1 < len(schedule) else 0
            peak = max(peak, held)
        return held

    def backward(schedule, held):
        nonlocal peak, cost
        for k, step in reversed(list(enumerate(schedule))):
            if isinstance(step, int):
                held -= saved[step]
            else:
                if k + 1 < len(schedule):
                    held -= output[last(step)]
                cost += sum(work[k] for k in range(first(step), last(step) + 1))
                backward(step, forward(step, held))
        return held

    backward(schedule, forward(schedule, held))
    return peak, cost


def first(step):
    return step if isinstance(step, int) else first(step[0])


def last(step):
    return step if isinstance(step, int) else last(step[-1])


def schedules(i, j, whole=True):
    """All schedules of stages i to j: each stage kept, or in a part that is run again by a schedule of its own; without
    `whole`, not in one part of all of them."""
    if i > j:
        yield []
        return
    for rest in schedules(i + 1, j):
        yield [i, *rest]
    for k in range(i, j + whole):
        for inner in schedules(i, k, False):
            for rest in schedules(k + 1, j):
                yield [inner, *rest]


@pytest.mark.parametrize("seed", range(12))
def test_plans_are_optimal_by_brute_force(seed):
    random = np.random.default_rng(seed)
    count = 2 + seed % 4
    output = random.integers(1, 9, count).tolist()
    saved = [o + int(random.integers(0, 12)) for o in output]
    work = random.integers(1, 9, count).tolist()
    stages = saved, output, work
    everything = [simulate(stages, s) for s in schedules(0, count - 1)]
    found = best_schedules(*stages)
    assert found[-1][:2] == (sum(saved), 0)
    for budget in range(sum(saved) + 2):
        possible = [cost for peak, cost in everything if peak <= budget]
        fitting = [entry for entry in found if entry[0] <= budget]
        assert bool(possible) == bool(fitting)
        if possible:
            peak, cost, schedule = fitting[-1]
            assert cost == min(possible)
            assert simulate(stages, schedule) == (peak, cost)


def test_a_plan_keeps_to_its_budget_and_changes_no_gradient():
    model = nn.Sequential(
        *[part for _ in range(6) for part in (nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.2))]
    ).double()
    x = fg.randn(512, 16, dtype=fg.float64).requires_grad_()  # fills its blocks of memory
    whole = checkpoint_plan(model, x, 10**9)
    assert whole.schedule == tuple(range(18)) and whole.extra_work == 0
    expected, least = gradients(model, model, x), []
    for share in (0.8, 0.6, 0.45, 0.3):
        budget = int(whole.peak_bytes * share)
        plan = checkpoint_plan(model, x, budget)
        assert plan.peak_bytes <= budget
        least.append(plan.extra_work)
        assert_same(gradients(plan, model, x), expected)
        before = fg.memory_stats()["allocated"]
        y = plan(x)
        held = fg.memory_stats()["allocated"] - before
        assert held <= budget + 18 * 4096  # the states of the generator
        del y
    assert least == sorted(least) and 0 < least[0] < least[-1]


def test_errors_of_plans():
    x = fg.ones(100, requires_grad=True)
    with pytest.raises(ValueError, match="no plan fits into 10 bytes; the least that is possible is 800"):
        checkpoint_plan([fg.sin, fg.exp], x, 10)
    with pytest.raises(ValueError, match="1 costs for 2 stages"):
        checkpoint_plan([fg.sin, fg.exp], x, 10**6, costs=[1])
    with pytest.raises(TypeError, match="stage 1 returned list"):
        checkpoint_plan([fg.sin, fg.Tensor.tolist], x, 10**6)
    with pytest.raises(TypeError, match="must be a Tensor, got int"):
        checkpoint_plan([fg.sin], 3, 10**6)
    with pytest.raises(ValueError, match="no stages"):
        checkpoint_plan([], x, 10**6)
