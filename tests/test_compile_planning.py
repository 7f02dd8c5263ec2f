"""What planning makes of a program: calls fused tile by tile, repeated and constant ones left out, buffers shared.

Programs are made with small tiles, so that small tensors take several of them; all are compared with eager bit for bit.
"""

import numpy as np
import pytest
from fastgrad._core.fuse import tile_calls
from hypothesis import given, settings
from hypothesis import strategies as st

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.profiler import profile

from .compiling import bits, compiled, made, same

F = nn.functional


@pytest.fixture
def tiny():
    """Tiles of 256 elements, from the first element on."""
    before = tile_calls(256, 1)
    yield
    tile_calls(*before)


def numbers(shape, seed=0, dtype=np.float32):
    return fg.tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def program(function, *args):
    """The function compiled, once its replays have given the same bits as the function."""
    step = compiled(function)
    for _ in range(5):
        expected = bits(function(*args))
        assert bits(step(*args)) == expected
    assert step.replays == 3
    return step


def fused(step):
    """How many calls of the program run in tiles."""
    return int(step.explain().split(" of them fused")[0].split()[-1])


# ---- chains --------------------------------------------------------------------------------------------------------

UNARY = [
    lambda x: x.exp(), lambda x: x.sin(), lambda x: x.relu(), lambda x: -x, lambda x: x * 2.5, lambda x: 1 - x,
    lambda x: x**2, lambda x: x.tanh(), lambda x: x.double(), lambda x: x.float(), lambda x: x.clamp(-1, 1),
    lambda x: x / 3, lambda x: fg.where(x > 0, x, x * 0.1), lambda x: x.masked_fill(x < -1, 0.5), lambda x: x.log(),
    lambda x: x.clone(), lambda x: F.gelu(x), lambda x: x.isnan().float(),
]  # fmt: skip
BINARY = [
    lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: fg.maximum(x, y),
    lambda x, y: fg.where(x > y, x, y), lambda x, y: fg.lerp(x, y, 0.25), lambda x, y: x.abs() ** y,
]  # fmt: skip
SHAPES = [
    ((600,), (1,)),
    ((17, 96), (96,)),
    ((40, 80), (40, 1)),
    ((9, 2, 96), (2, 1)),
    ((1, 333), (1, 333)),
    ((65, 66), ()),
]
SHAPES += [((129, 64), (129, 64)), ((40, 5), (5,)), ((0, 4), (4,)), ((80, 80), (80,))]


class Chain:
    """Pointwise calls on two arguments and a tensor outside, drawn in advance; some write in place, some are returned."""

    def __init__(self, moves, outside):
        self.moves, self.outside = moves, outside.clone()

    def watch(self):
        return [self.outside]

    def step(self, x, y):
        pool, out = [x, y, self.outside], []
        for kind, which, i, j in self.moves:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            if kind == 0:
                pool.append(UNARY[which % len(UNARY)](a))
            elif kind == 1:
                pool.append(BINARY[which % len(BINARY)](a, b))
            elif kind == 2:
                made = [t for t in pool[3:] if t.shape == x.shape and t.is_floating_point()] or [a * 1.0]
                made[i % len(made)].mul_(0.5).add_(made[j % len(made)])
            elif kind == 3:
                out.append(a)
            elif kind == 4 and a.ndim == 2 and a.shape[0] == a.shape[1]:
                pool.append(a.mT)
            elif kind == 5:
                self.outside.mul_(0.5).add_(self.outside.sin())
        return (*out, pool[-1])


moves = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3, 4, 5]), *[st.integers(0, 63)] * 3), min_size=2, max_size=12
)


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(moves, st.sampled_from(SHAPES), st.sampled_from([(256, 1), (512, 100), (768, 1)]), st.booleans())
def test_random_chains(moves, shapes, tiles, special):
    def arguments(i):
        x = numbers(shapes[0], i)
        if special and x.numel() > 3:
            x.view(-1)[0:3].copy_(fg.tensor([np.nan, np.inf, -0.0]))
        return x, numbers(shapes[1], i + 50)

    before = tile_calls(*tiles)
    try:
        same(made(Chain, moves, numbers(shapes[0], 99)), calls=5, args=arguments)
    finally:
        tile_calls(*before)


# ---- what is fused -------------------------------------------------------------------------------------------------


def test_a_chain_is_one_pass_and_keeps_a_tile_of_each_temporary():
    def function(x):
        return ((x * 2).sin() + x).exp() * x

    step = program(function, numbers((100, 100)))
    assert fused(step) == 5
    assert "fused(mul, sin, add, exp, mul)" in step.explain()
    assert "in 10 tiles of 1024 elements" in step.explain()
    assert "temporaries in 4096 B, one by one 160 kB" in step.explain()


def kernels_of(step, *args):
    with fg.profiler.profile() as profile:
        step(*args)
    return [row for row in profile.rows("kernel") if row.kernel > 0]


def test_a_profile_names_what_runs_together_and_adds_it_up():
    def function(x):
        return ((x * 2).sin() + x).exp() * x

    x = numbers((100, 100))
    (row,) = kernels_of(program(function, x), x)
    assert row.name == "fused(mul, sin, add, exp, mul)"
    assert row.bytes == 2 * 40_000 + 4  # x, the result, and the number
    assert row.flops == sum(row.flops for row in kernels_of(function, x))


def test_a_long_chain_has_a_short_name():
    def function(x):
        for _ in range(20):
            x = x.sin()
        return x

    assert f"fused({', '.join(['sin'] * 7)}, 13 more)" in program(function, numbers((100, 100))).explain()


def test_small_tensors_are_not_fused():
    assert fused(program(lambda x: (x * 2).sin() + x, numbers((10, 10)))) == 0


def test_a_training_step_in_tiles(tiny):
    class Net:
        def __init__(self):
            fg.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(3, 90), nn.GELU(), nn.Linear(90, 70), nn.Tanh(), nn.Linear(70, 2))
            self.optimizer = optim.AdamW(self.net.parameters(), lr=0.01)

        def watch(self):
            return list(self.net.parameters()) + [p.grad for p in self.net.parameters()]

        def step(self, x, labels):
            h = self.net(x)
            loss = F.cross_entropy(h, labels) + 0.1 * (h * h.sigmoid()).mean()
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(self.net.parameters(), 0.1)
            self.optimizer.step()
            return loss, h

    same(made(Net), calls=10)


def test_bias_rows_and_columns_are_fused(tiny):
    def function(x, row, column):
        return (x + row).relu() * column + x.mT.mT

    args = numbers((30, 80)), numbers((80,), 1), numbers((30, 1), 2)
    assert fused(program(function, *args)) == 4


def test_a_single_exponent_in_a_tile_is_not_taken_for_one_that_broadcasts(tiny):
    def function(x, e):
        return x.abs() ** e + x

    program(function, numbers((9, 256)), fg.full((9, 1), 2.0))
    assert fused(program(function, numbers((257,)), fg.full((257,), 2.0))) == 0
    assert fused(program(function, numbers((258,)), fg.full((258,), 2.0))) == 3


def test_rows_too_short_for_a_vector_are_left_alone(tiny):
    assert fused(program(lambda x, row: (x + row).exp() * 2, numbers((300, 20)), numbers((20,), 1))) == 0


# ---- what must not be ----------------------------------------------------------------------------------------------


def test_an_operand_written_between_is_read_before(tiny):
    def function(x, y):
        a = x * 2
        y.copy_((a.sum() * 0.5).expand(y.shape))
        b = a + y  # after y has changed
        y.zero_()
        return b * y + a

    program(function, numbers((600,)), numbers((600,), 1))


def test_overlapping_views_of_one_tensor(tiny):
    def function(x):
        buffer = fg.cat([x, x])
        buffer[1:601].add_(buffer[0:600] * 2)
        a = buffer[4:604] * 3
        buffer[0:600].copy_(a)
        return buffer[3:603] + a, buffer

    program(function, numbers((600,)))


def test_a_transposed_view_of_what_a_chain_writes(tiny):
    def function(x):
        a = x * 2
        b = a.mT + 1
        a.mul_(3)
        return b * a, a.mT - b

    program(function, numbers((70, 70)))


def test_an_intermediate_that_is_returned_and_used_twice(tiny):
    def function(x):
        a = x.exp()
        b = a * a
        return a, b + a, (b - a).sum()

    assert fused(program(function, numbers((900,)))) == 4


def test_arguments_that_share_memory_are_written(tiny):
    base = numbers((400,))

    def function(x, y):
        x.mul_(0.5)
        y.add_(x * 2)
        return x + y

    same(made(Keeps, function, base), calls=6, args=lambda i: ())


class Keeps:
    def __init__(self, function, base):
        self.function, self.base = function, base.clone()

    def watch(self):
        return [self.base]

    def step(self):
        return self.function(self.base[0:320], self.base[80:400])


def test_calls_that_may_fail_stay_before_what_outlives_them(tiny):
    total = fg.zeros(16)

    @fg.compile
    def step(x, labels):
        total.add_(x[0] * 2)
        loss = F.cross_entropy(x, labels)
        total.mul_(0.5)
        return loss

    x = numbers((4, 16))
    for _ in range(6):
        step(x, fg.tensor([0, 1, 2, 3]))
    before = bits(total)
    with pytest.raises(IndexError):
        step(x, fg.tensor([0, 1, 2, 99]))
    assert bits(total) == before


# ---- calls that are left out ---------------------------------------------------------------------------------------


def head(step):
    return step.explain().split("\n")[0]


def test_a_repeated_call_is_made_once():
    step = program(lambda x: x.exp() * x.exp() + x.exp(), numbers((5,)))
    assert "2 repeated" in head(step)


def test_what_reads_a_call_that_was_left_out_keeps_its_phase():
    x = numbers((50,))
    step = program(lambda x: (x.exp() * x.exp()).sin() + x.exp(), x)
    with profile() as prof:
        step(x)
    assert {row.name for row in prof.rows("op") if row.forward} >= {"exp", "mul", "sin", "add"}


def test_what_changed_in_between_is_not_repeated():
    def function(x):
        a = x * 1
        b = a.exp()
        a.mul_(2)
        return b + a.exp()

    assert "0 repeated" in head(program(function, numbers((5,))))
    step = compiled(lambda x: F.dropout(x, 0.5) - F.dropout(x, 0.5))
    for _ in range(5):
        assert (step(numbers((100,))) != 0).any()
    assert "0 repeated" in head(step)


def test_what_is_computed_anew_to_save_memory_stays():
    def function(x):
        a = x.exp()
        b = (a * a).sum()
        return x.exp() + b

    assert "0 repeated" in head(program(function, numbers((50, 50))))
    assert "1 repeated" in head(program(function, numbers((5,))))


def test_constant_calls_run_once():
    def function(x):
        mask = fg.arange(4).float() * 2 + fg.ones(4)
        return x * mask

    step = program(function, numbers((4,)))
    assert "0 constant" not in head(step)
    assert step.explain().count("\n") == 2


def test_a_constant_that_is_written_is_made_anew():
    def function(x):
        buffer = fg.ones(4) * 3
        buffer.add_(x)
        return buffer * 2

    program(function, numbers((4,)))


# ---- what explain says ---------------------------------------------------------------------------------------------


def test_explain_counts_attention():
    q, k, v = numbers((2, 3, 4)), numbers((2, 5, 4), 1), numbers((2, 5, 6), 2)
    products = 2 * 2 * 3 * 5 * (4 + 6)
    assert f"{products + 20 * 2 * 3 * 5} flop" in program(F.scaled_dot_product_attention, q, k, v).explain()


def test_explain_adds_up_operations_and_bytes():
    w, b = numbers((6, 5)), numbers((6,), 1)
    step = program(lambda x: F.linear(x, w, b), numbers((4, 5)))
    assert "in all 240 flop and 320 B" in step.explain()
    assert "-> new" in step.explain()


def test_the_memory_of_a_program_is_one_block():
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = optim.SGD(net.parameters())

    @fg.compile
    def step(x, labels):
        optimizer.zero_grad()
        F.cross_entropy(net(x), labels).backward()
        optimizer.step()

    x, labels = numbers((128, 64)), fg.tensor(np.arange(128) % 10)
    for _ in range(5):
        step(x, labels)
    fg.reset_peak_memory_stats()
    held = fg.memory_stats()["peak"]
    for _ in range(20):
        step(x, labels)
    assert fg.memory_stats()["peak"] == held
    # the activation, its gradient, that of the scores, and that of the second matrix
    assert "temporaries and gradients in 277.5 kB, one by one" in step.explain()


# ---- every instruction set -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("kernels")
def test_chains_on_each_instruction_set(tiny):
    def function(x, row):
        y = (x * 2 + row).sin().exp() / (x.abs() + 1)
        return y.double().tanh() * F.gelu(x), (y > 1).float() + x**3

    step = program(function, numbers((67, 96)), numbers((96,), 1))
    assert fused(step) > 8
