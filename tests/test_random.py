"""Generators, random fills, dropout."""

import math
import pickle
import threading

import numpy as np
import pytest

import fastgrad as fg

F32, F64 = fg.float32, fg.float64
N = 40_000


def draws(f, *arguments, **options):
    return f(*arguments, generator=fg.Generator().manual_seed(5), **options).numpy().astype(np.float64).ravel()


def kolmogorov(sample, cdf):
    """The Kolmogorov-Smirnov statistic times sqrt(n): above 1.95 with probability 0.001."""
    x = np.sort(sample)
    at = cdf(x)
    n = len(x)
    return math.sqrt(n) * max((np.arange(1, n + 1) / n - at).max(), (at - np.arange(n) / n).max())


def normal_cdf(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])


# ---- generators ------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_numbers():
    fg.manual_seed(1)
    a = fg.rand(5), fg.randn(5), fg.randint(0, 9, (5,)), fg.randperm(5)
    fg.manual_seed(1)
    b = fg.rand(5), fg.randn(5), fg.randint(0, 9, (5,)), fg.randperm(5)
    assert all(fg.equal(x, y) for x, y in zip(a, b, strict=True))
    fg.manual_seed(2)
    assert not fg.equal(fg.rand(5), a[0])
    assert fg.initial_seed() == 2
    assert fg.default_generator.initial_seed() == 2


def test_the_numbers_of_a_seed_are_fixed():
    """They are the same on every machine; a change here is a change for everyone who has saved a seed."""
    g = fg.Generator().manual_seed(0)
    bits = np.random.PCG64DXSM(0)
    words = [int(w) for w in bits.random_raw(4)]
    assert fg.rand(4, generator=g, dtype=F64).tolist() == [(w >> 11) * 2.0**-53 for w in words]
    g.manual_seed(0)
    expected = [(half >> 8) * 2.0**-24 for w in words for half in (w & 0xFFFFFFFF, w >> 32)]
    assert fg.rand(8, generator=g).tolist() == expected
    g.manual_seed(0)
    r = math.sqrt(-2 * math.log(1 - (words[0] >> 12) * 2.0**-52))
    place = ((words[1] << 2) % 2**64 >> 12) * 2.0**-52 - 0.5  # in the quadrant that the two top bits name
    angle = ((words[1] >> 62) + place) * math.pi / 2
    z = fg.randn(2, generator=g, dtype=F64).tolist()
    assert z == pytest.approx([r * math.cos(angle), r * math.sin(angle)], rel=1e-13)


def test_state_goes_back():
    g = fg.Generator().manual_seed(3)
    fg.rand(7, generator=g)
    state = g.get_state()
    assert state.dtype is fg.uint8
    a = fg.randn(5, generator=g)
    g.set_state(state)
    assert fg.equal(fg.randn(5, generator=g), a)
    assert g.initial_seed() == 3
    other = pickle.loads(pickle.dumps(fg.Generator().set_state(state)))
    assert fg.equal(fg.randn(5, generator=other), a)
    before = fg.get_rng_state()
    b = fg.rand(3)
    fg.set_rng_state(before)
    assert fg.equal(fg.rand(3), b)
    for wrong in (fg.zeros(40), fg.zeros(3, dtype=fg.uint8), b"x"):
        with pytest.raises(TypeError, match="get_state"):
            g.set_state(wrong)


def test_seeds():
    g = fg.Generator()
    assert g.initial_seed() == fg.Generator().initial_seed()
    assert fg.equal(fg.rand(3, generator=g), fg.rand(3, generator=fg.Generator()))
    assert g.manual_seed(4) is g
    assert g.seed() == g.initial_seed()
    assert g.manual_seed(-1).initial_seed() == 2**64 - 1
    g.manual_seed(np.int64(3))
    for wrong, error in ((1.5, TypeError), ("1", TypeError), (2**64, ValueError)):
        with pytest.raises(error):
            g.manual_seed(wrong)
    with pytest.raises(TypeError, match="Generator"):
        fg.rand(3, generator=3)
    with pytest.raises(RuntimeError, match="CPU only"):
        fg.Generator("cuda")
    assert g.device.type == "cpu"


def test_what_another_thread_seeds_is_drawn_from_to_its_end():
    size = 1_000_000
    streams = [fg.rand(size, generator=fg.Generator().manual_seed(k)) for k in range(2)]
    g = fg.Generator().manual_seed(0)
    found = []
    thread = threading.Thread(target=lambda: found.extend(fg.rand(size, generator=g.manual_seed(0)) for _ in range(5)))
    thread.start()
    while thread.is_alive():
        g.manual_seed(1)
        [fg.Generator().manual_seed(k).get_state() for k in range(5)]  # would take the memory of a state that was freed
    thread.join()
    assert all(fg.equal(x, streams[0]) or fg.equal(x, streams[1]) for x in found)


def test_two_threads_may_share_a_generator():
    g = fg.Generator().manual_seed(0)
    found = []
    threads = [threading.Thread(target=lambda: found.append(fg.rand(50_000, generator=g, dtype=F64))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = fg.rand(200_000, generator=g.manual_seed(0), dtype=F64)
    assert sorted(fg.cat(found).tolist()) == sorted(alone.tolist())


# ---- distributions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F32, F64])
def test_distributions(dtype):
    u = draws(fg.rand, N, dtype=dtype)
    assert u.min() >= 0
    assert u.max() < 1
    assert kolmogorov(u, lambda x: x) < 1.95
    assert kolmogorov(draws(fg.randn, N, dtype=dtype), normal_cdf) < 1.95
    z = draws(fg.randn, N, dtype=dtype)
    assert abs(np.corrcoef(z[::2], z[1::2])[0, 1]) < 4 / math.sqrt(N / 2)  # the two of a pair are independent
    empty = fg.empty(N, dtype=dtype)
    assert kolmogorov(draws(empty.exponential_, 2.0), lambda x: 1 - np.exp(-2 * x)) < 1.95
    assert kolmogorov(draws(empty.uniform_, -2, 3), lambda x: (x + 2) / 5) < 1.95
    assert kolmogorov(draws(empty.normal_, 1, 2), lambda x: normal_cdf((x - 1) / 2)) < 1.95


@pytest.mark.parametrize("n", [0, 1, 2, 3, 63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("dtype", [F32, F64])
def test_a_longer_fill_begins_like_a_shorter_one(n, dtype):
    for f in (fg.rand, fg.randn):
        a, b = (f(k, generator=fg.Generator().manual_seed(1), dtype=dtype) for k in (n, n + 200))
        assert fg.equal(a, b[:n])


@pytest.mark.parametrize("name", ["uniform_", "normal_", "exponential_", "bernoulli_", "random_"])
def test_strides_do_not_change_the_numbers(name):
    dense, strided = fg.empty(3, 5), fg.zeros(5, 6).t()[::2]
    for t in (dense, strided):
        assert getattr(t, name)(generator=fg.Generator().manual_seed(1)) is t
    assert fg.equal(dense, strided)


@pytest.mark.parametrize("span", [1, 2, 10, 2**31 + 1, 2**63 - 1])
def test_integers_are_even(span):
    x = fg.randint(span, (N,), generator=fg.Generator().manual_seed(3)).numpy()
    assert x.min() >= 0
    assert x.max() < span
    assert kolmogorov(x / span + np.random.default_rng(0).random(N) / span, lambda v: v) < 1.95


def test_randint():
    assert fg.randint(3, 5, (2, 3)).shape == (2, 3)
    assert fg.randint(0, 5, size=(2,)).dtype is fg.int64
    assert fg.randint(low=2, high=3, size=(2,)).tolist() == [2, 2]
    assert fg.randint(high=1, size=[2]).tolist() == [0, 0]
    assert fg.randint(-5, -4, (1,)).tolist() == [-5]
    assert fg.randint(4, (3,), dtype=F32).dtype is F32
    assert fg.randint_like(fg.zeros(3, dtype=fg.int32), 2, 3).tolist() == [2, 2, 2]
    assert fg.randint_like(fg.zeros(3), 1).tolist() == [0, 0, 0]
    full = fg.randint(-(2**63), 2**63 - 1, (1000,))
    assert full.min().item() < -(2**61)
    assert full.max().item() > 2**61
    for arguments in ((5, 5, (1,)), (5, 3, (1,))):
        with pytest.raises(RuntimeError, match="low < high"):
            fg.randint(*arguments)
    with pytest.raises(TypeError, match="size"):
        fg.randint(5)
    with pytest.raises(RuntimeError, match="uint8"):
        fg.randint(300, (1,), dtype=fg.uint8)


def test_random_fills_up_to_what_a_dtype_holds():
    assert fg.empty(1000, dtype=fg.uint8).random_().max().item() > 200
    assert set(fg.empty(100, dtype=fg.bool).random_().tolist()) == {False, True}
    assert fg.empty(1000, dtype=F32).random_().max().item() <= 2**24
    assert fg.empty(1000, dtype=fg.int64).random_(3).max().item() == 2
    assert fg.empty(10, dtype=fg.int64).random_(3, 4).tolist() == [3] * 10
    assert fg.empty(10).random_(**{"from": 1, "to": 2}).tolist() == [1] * 10


@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_randperm(n):
    assert sorted(fg.randperm(n).tolist()) == list(range(n))
    assert fg.randperm(n, dtype=fg.int32).dtype is fg.int32
    with pytest.raises(RuntimeError, match="non-negative"):
        fg.randperm(-1)


def test_every_permutation_is_as_likely():
    fg.manual_seed(0)
    counts = {}
    for _ in range(6000):
        p = tuple(fg.randperm(3).tolist())
        counts[p] = counts.get(p, 0) + 1
    assert len(counts) == 6
    assert sum((c - 1000) ** 2 / 1000 for c in counts.values()) < 20.5  # chi2 with 5 degrees, 0.001


def test_bernoulli():
    for p in (0.0, 0.3, 1.0):
        for dtype in (F32, F64, fg.int64, fg.bool):
            x = fg.empty(N, dtype=dtype).bernoulli_(p, generator=fg.Generator().manual_seed(2)).numpy()
            assert set(np.unique(x).tolist()) <= {0, 1}
            assert abs(x.mean() - p) <= 4 * math.sqrt(p * (1 - p) / N)
    assert fg.bernoulli(fg.tensor([0.0, 1.0, 1.0])).tolist() == [0, 1, 1]
    assert fg.empty(2, 2).bernoulli_(fg.tensor([0.0, 1.0])).tolist() == [[0, 1], [0, 1]]
    assert fg.bernoulli(fg.full((N,), 0.3)).mean().item() == pytest.approx(0.3, abs=0.02)
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(RuntimeError, match=r"\[0, 1\]|0 <= p <= 1"):
            fg.bernoulli(fg.tensor([p]))
        with pytest.raises(RuntimeError, match="0 <= p <= 1"):
            fg.empty(2).bernoulli_(p)


def test_normal_with_tensors_of_parameters():
    g = fg.Generator().manual_seed(0)
    assert fg.normal(2.0, 0.0, (3,)).tolist() == [2, 2, 2]
    assert fg.normal(fg.tensor([1.0, 100.0]), 1e-6, generator=g).round().tolist() == [1, 100]
    assert fg.normal(5.0, fg.zeros(2)).tolist() == [5, 5]
    assert fg.normal(fg.zeros(2, 1), fg.ones(3)).shape == (2, 3)
    with pytest.raises(RuntimeError, match="std"):
        fg.normal(0.0, -1.0, (2,))
    with pytest.raises(RuntimeError, match="std"):
        fg.normal(0.0, fg.tensor([-1.0]))
    with pytest.raises(TypeError, match="size"):
        fg.normal(0.0, 1.0)


@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial(replacement):
    g = fg.Generator().manual_seed(0)
    weights = fg.tensor([1.0, 0.0, 3.0])
    first = fg.stack([fg.multinomial(weights, 1, replacement, generator=g) for _ in range(2000)]).numpy()
    assert set(np.unique(first).tolist()) == {0, 2}
    assert abs((first == 2).mean() - 0.75) < 4 * math.sqrt(0.75 * 0.25 / 2000)
    rows = fg.multinomial(fg.ones(4, 5), 5, replacement, generator=g)
    assert rows.shape == (4, 5)
    assert rows.dtype is fg.int64
    if not replacement:
        assert all(sorted(row) == [0, 1, 2, 3, 4] for row in rows.tolist())
        with pytest.raises(RuntimeError, match="without replacement"):
            fg.multinomial(weights, 3)
    for wrong in ([-1.0, 2.0], [0.0, 0.0], [math.nan, 1.0]):
        with pytest.raises(RuntimeError, match="weights"):
            fg.multinomial(fg.tensor(wrong), 1, replacement)


@pytest.mark.parametrize("samples", [1, 2])
def test_multinomial_and_bernoulli_compile(samples):
    """A policy's actions: the program draws what the function would have drawn, and stays in range whatever the weights."""

    def draw(weights):
        return fg.multinomial(weights, samples), fg.bernoulli(weights / 10)

    weights = [fg.rand(4, 3) + k for k in range(6)]
    step = fg.compile(draw)
    fg.manual_seed(0)
    compiled = [step(w) for w in weights]
    fg.manual_seed(0)
    assert all(
        fg.equal(a, b) for made, w in zip(compiled, weights, strict=True) for a, b in zip(made, draw(w), strict=True)
    )
    assert step.replays >= 3
    assert 0 <= step(fg.full((4, 3), -math.inf))[0].min() <= 2


def test_multinomial_draws_for_each_element_of_a_batch():
    draw = fg.vmap(lambda w: fg.multinomial(w, 1), randomness="different")
    assert draw(fg.tensor([[0.0, 1.0], [2.0, 0.0]])).tolist() == [[1], [0]]
    with pytest.raises(RuntimeError, match="not all zero"):
        draw(fg.tensor([[0.0, 1.0], [0.0, 0.0]]))


def test_arguments_that_cannot_be():
    x = fg.empty(2)
    for call in (
        lambda: x.uniform_(1, 0),
        lambda: x.normal_(0, -1),
        lambda: x.exponential_(0),
        lambda: x.random_(3, 3),
        lambda: fg.rand(2, dtype=fg.int64),
        lambda: fg.empty(2, dtype=fg.int64).normal_(),
    ):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(TypeError, match="unexpected"):
        x.uniform_(a=1)


def test_like():
    x = fg.zeros(3, 2, dtype=F64)
    assert fg.rand_like(x).dtype is F64
    assert fg.randn_like(x, dtype=F32).shape == (3, 2)
    assert fg.randn(2, requires_grad=True).requires_grad


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uniform_", "normal_", "exponential_", "bernoulli_", "random_"])
def test_a_fill_cuts_what_was_there_before(name):
    x = fg.ones(3, requires_grad=True)
    y = x * 2
    getattr(y, name)()
    z = x * 3
    (y.sum() + z.sum()).backward()
    assert x.grad.tolist() == [3, 3, 3]
    with pytest.raises(RuntimeError, match="leaf"):
        getattr(x, name)()
    with fg.no_grad():
        getattr(x, name)()


def test_a_fill_of_a_part_cuts_that_part():
    x = fg.ones(4, requires_grad=True)
    y = x * 2
    y[1:3].normal_()
    y.sum().backward()
    assert x.grad.tolist() == [2, 0, 0, 2]


# ---- dropout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_zeroes_and_scales(dtype, p):
    x = fg.full((N,), 2.0, dtype=dtype, requires_grad=True)
    y = fg.dropout(x, p, generator=fg.Generator().manual_seed(0))
    kept = (y != 0).numpy()
    assert abs(kept.mean() - (1 - p)) < 4 * math.sqrt(p * (1 - p) / N)
    np.testing.assert_allclose(y.detach().numpy()[kept], 2 / (1 - p), rtol=1e-6)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), kept / (1 - p), rtol=1e-6)


def test_dropout_at_its_ends():
    x = fg.tensor([1.0, math.inf, math.nan])
    assert fg.dropout(x, 0.0) is x
    assert fg.dropout(x, 0.5, training=False) is x
    assert fg.dropout(x, 1.0).tolist() == [0, 0, 0]
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            fg.dropout(x, p)


def test_dropout_to_second_order():
    x = fg.randn(3, 4, dtype=F64, requires_grad=True)

    def f(x):
        return fg.dropout(x, 0.4, generator=fg.Generator().manual_seed(1)) ** 3

    assert fg.autograd.gradcheck(f, x)
    assert fg.autograd.gradgradcheck(f, x)
