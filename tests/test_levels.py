"""Levels in the core: in place, random numbers, indexing, views, saves, what has no meaning inside a transform, ownership."""

import gc
import threading

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F

f64 = fg.float64


def t(*values):
    return fg.tensor(list(values), dtype=f64)


def slope(f, x, v=None):
    return F.jvp(f, (x,), (fg.ones_like(x) if v is None else v,))[1]


# ---- in place ------------------------------------------------------------------------------------------------------


def test_in_place_in_forward_mode():
    def f(x):
        y = x.clone()
        y *= x
        y[0] = y[1] * 3
        y.add_(1)
        y[1:].mul_(x[1:])
        return y

    x, v = t(1, 2, 3), t(1, 0.5, -1)
    e = (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6
    np.testing.assert_allclose(slope(f, x, v).numpy(), e.numpy(), rtol=1e-8)


def test_a_view_made_before_the_write_sees_the_new_tangent():
    def f(x):
        y = x * 2
        row, whole = y[0], y.view(4)
        y[0] = x[1] * x[1]
        whole[3] = 7
        return row + 0, whole * 1, y.sum()

    x = t(1, 2, 3, 4).reshape(2, 2)
    row, whole, total = slope(f, x)
    assert row.tolist() == [6, 8]
    assert whole.tolist() == [6, 8, 2, 0]
    assert total.item() == 16


def test_a_constant_gets_a_tangent_by_a_write():
    def f(x):
        buffer = fg.zeros(3, dtype=f64)
        last = buffer[2:]
        for k in range(3):
            buffer[k] = x * (k + 1)
        return buffer * 1, last * x

    buffer, last = slope(f, t(5)[0])
    assert buffer.tolist() == [1, 2, 3]
    assert last.tolist() == [30]


def test_a_fill_takes_the_tangent_away():
    def f(x):
        y = x * 2
        y.zero_()
        return y

    assert slope(f, t(1, 2)).tolist() == [0, 0]


def test_in_place_in_a_batch():
    def f(x, shared):
        y = x.clone()
        y += shared
        y[0] = x[1]
        y[1:] *= 2
        y.clamp_(max=9)
        return y

    X, s = fg.arange(12.0).reshape(4, 3), t(1, 2, 3).float()
    expected = fg.stack([f(x, s) for x in X])
    assert fg.equal(F.vmap(f, (0, None))(X, s), expected)


def test_in_place_of_indices_and_masks_in_a_batch():
    def f(x, index, value):
        y = x.clone()
        y[index] = value
        y.index_add_(0, index, x[:2])
        y.masked_fill_(x > 8, -1)
        return y

    X, index, value = fg.arange(12.0).reshape(4, 3), fg.tensor([[0, 1], [1, 2], [2, 0], [1, 0]]), fg.ones(4)
    expected = fg.stack([f(*row) for row in zip(X, index, value, strict=True)])
    assert fg.equal(F.vmap(f)(X, index, value), expected)


def test_a_batch_cannot_be_written_into_one_tensor():
    one = fg.zeros(3)
    with pytest.raises(RuntimeError, match="zeros_like"):
        F.vmap(lambda x: one.add_(x))(fg.ones(2, 3))
    assert one.tolist() == [0, 0, 0]


def test_like_a_batch_is_a_batch():
    def f(x):
        y = fg.zeros_like(x)
        z = x.new_ones(2)
        y[0] = x[1]
        z[1] = x[0]
        return y, z

    y, z = F.vmap(f)(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert y.tolist() == [[2, 0], [4, 0]]
    assert z.tolist() == [[1, 1], [1, 3]]


def test_in_place_in_reverse_mode_and_both():
    def f(x):
        y = x * x
        y[0] *= y[1]
        y += x
        return (y * x).sum()

    x, v = t(1, 2, 3), t(1, -1, 2)
    exact = F.grad(lambda x: (x[0] ** 2 * x[1] ** 2 + x[0]) * x[0] + x[1] ** 3 + x[1] ** 2 + x[2] ** 3 + x[2] ** 2)
    assert F.grad(f)(x).tolist() == pytest.approx(exact(x).tolist())
    expected = F.vhp(lambda x: (x[0] ** 2 * x[1] ** 2 + x[0]) * x[0] + (x[1:] ** 3 + x[1:] ** 2).sum(), x, v).tolist()
    for product in (F.jvp(F.grad(f), (x,), (v,))[1], F.hvp(f, x, v), F.vhp(f, x, v)):
        assert product.tolist() == pytest.approx(expected)
    assert F.vmap(F.grad(f))(fg.stack([x, v])).tolist() == [F.grad(f)(x).tolist(), F.grad(f)(v).tolist()]


def test_a_transform_does_not_give_its_input_a_history():
    x = t(1, 2)
    F.grad(lambda x: (x * x).sum())(x)
    F.jvp(lambda x: x * x, (x,), (x,))
    assert not x.requires_grad
    assert x.grad is None


# ---- forward over reverse through every kind of save ---------------------------------------------------------------

SAVES = {
    "input": lambda x: (x.sin() * x).sum(),
    "output": lambda x: (x.exp() * x.tanh()).sum(),
    "both inputs": lambda x: (x[:2] * x[1:] / (x[:2] + 3)).sum(),
    "a view": lambda x: (x.reshape(3, 1) @ x.reshape(1, 3)).exp().sum(),
    "a slice written in place": lambda x: written(x).prod(),
    "an index": lambda x: (x[fg.tensor([2, 0, 2])] * x).sin().sum(),
    "several outputs": lambda x: sum((a * b).exp() for a, b in zip(x.split(1), x.unbind(), strict=False)).sum(),
    "softmax": lambda x: (x.softmax(0) * x).sum(),
    "layer norm": lambda x: (fg.nn.functional.layer_norm(x, (3,), x, x * x) * x).sum(),
    "a loss": lambda x: fg.nn.functional.cross_entropy(fg.stack([x, x * x]), fg.tensor([0, 2])),
    "linear": lambda x: fg.nn.functional.linear(x.reshape(1, 3), fg.stack([x, x.sin()]), x[:2]).tanh().sum(),
    "std": lambda x: (x * x).std() * x.norm(),
    "where": lambda x: fg.where(x > 0.5, x.sqrt(), x * x).sum(),
}


def written(x):
    y = x * 2
    y[1] = x[0] * x[2]
    return y


@pytest.mark.parametrize("name", sorted(SAVES))
def test_saves_keep_their_tangents(name):
    f, x, v = SAVES[name], t(0.7, 0.4, 1.3), t(1, -0.5, 2)
    eps = 1e-5
    numeric = (F.grad(f)(x + eps * v) - F.grad(f)(x - eps * v)) / (2 * eps)
    for product in (F.jvp(F.grad(f), (x,), (v,))[1], F.hvp(f, x, v), F.vhp(f, x, v), F.hessian(f)(x) @ v):
        np.testing.assert_allclose(product.numpy(), numeric.numpy(), rtol=1e-7, atol=1e-8)
    third = F.jvp(lambda x: F.jvp(F.grad(f), (x,), (v,))[1], (x,), (v,))[1]
    np.testing.assert_allclose(
        third.numpy(), F.grad(lambda x: (F.hvp(f, x, v) * v).sum())(x).numpy(), rtol=1e-9, atol=1e-9
    )


# ---- random numbers ------------------------------------------------------------------------------------------------


def test_random_numbers_need_a_policy():
    with pytest.raises(RuntimeError, match="randomness"):
        F.vmap(lambda x: x + fg.rand(2))(fg.zeros(3, 2))
    with pytest.raises(RuntimeError, match="randomness"):
        F.vmap(lambda x: fg.nn.functional.dropout(x))(fg.ones(3, 2))
    with pytest.raises(ValueError, match="randomness"):
        F.vmap(lambda x: x, randomness="some")


DRAWS = {
    "rand": lambda x: fg.rand(4),
    "randn_like": lambda x: fg.randn_like(x),
    "normal_": lambda x: fg.zeros_like(x).normal_(),
    "randint": lambda x: fg.randint(1000, (5,)),
    "randperm": lambda x: fg.randperm(20),
    "dropout": lambda x: fg.nn.functional.dropout(x, 0.5),
    "dropout of one": lambda x: fg.nn.functional.dropout(fg.ones(30), 0.5) + x[0] * 0,
    "bernoulli": lambda x: fg.bernoulli(x * 0 + 0.5),
    "uniform_ of strides": lambda x: fg.zeros_like(x).reshape(2, 15).T.uniform_().sum() + fg.rand(1)[0],
}


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_random_numbers_are_different_or_the_same(name):
    x = fg.ones(3, 30)
    fg.manual_seed(0)
    different = F.vmap(DRAWS[name], randomness="different")(x)
    same = F.vmap(DRAWS[name], randomness="same")(x)
    assert different.shape == same.shape
    assert not fg.equal(different[0], different[1])
    assert fg.equal(same[0], same[1])
    if name == "randperm":
        assert sorted(different[1].tolist()) == [*range(20)]
    fg.manual_seed(0)
    assert fg.equal(F.vmap(DRAWS[name], randomness="different")(x), different)


def test_nested_random_numbers():
    x = fg.zeros(2, 3)
    y = F.vmap(F.vmap(lambda x: x + fg.rand(4), randomness="different"), randomness="same")(x)
    assert y.shape == (2, 3, 4)
    assert fg.equal(y[0], y[1])
    assert not fg.equal(y[0, 0], y[0, 1])


def test_derivatives_of_dropout():
    fg.manual_seed(1)
    x = fg.ones(100, dtype=f64)
    y, dy = F.jvp(lambda x: fg.nn.functional.dropout(x * x, 0.5), (x,), (x,))
    assert fg.equal(dy, y * 2)
    assert set(y.tolist()) == {0, 2}


# ---- batches -------------------------------------------------------------------------------------------------------


def test_dimensions_in_and_out():
    a, b = fg.arange(6.0).reshape(2, 3), fg.arange(12.0).reshape(2, 2, 3)
    y = F.vmap(lambda a, b: a @ b.T, (1, 2), 1)(a, b.permute(0, 1, 2))
    assert y.shape == (2, 3)
    expected = fg.stack([a[:, k] @ b[:, :, k].T for k in range(3)], 1)
    assert fg.equal(y, expected)
    nested = F.vmap(lambda d: {"sum": d["x"] + d["y"][0]}, ({"x": 0, "y": None},), {"sum": 0})
    assert nested({"x": fg.ones(3), "y": [fg.tensor(2.0)]})["sum"].tolist() == [3, 3, 3]
    assert F.vmap(lambda x: (x, fg.tensor(5.0)), out_dims=(0, None))(fg.ones(2))[1].item() == 5
    assert F.vmap(lambda x: x, in_axes=1, out_axes=1)(a).tolist() == a.tolist()
    with pytest.raises(ValueError, match="out_dims"):
        F.vmap(lambda x: x, out_dims=None)(fg.ones(2))


def test_chunks_are_the_whole():
    x = fg.arange(35.0).reshape(7, 5)
    whole = F.vmap(lambda x: (x.sum(), x * 2))(x)
    for size in (1, 2, 3, 7, 99):
        parts = F.vmap(lambda x: (x.sum(), x * 2), chunk_size=size)(x)
        assert all(fg.equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.vmap(lambda x, y: x + y)(fg.ones(2), fg.ones(3)), "different sizes"),
        (lambda: F.vmap(lambda x: x)(fg.tensor(1.0)), "0 dimensions"),
        (lambda: F.vmap(lambda x: x, 3)(fg.ones(2)), "1 dimensions"),
        (lambda: F.vmap(lambda x, y: x, (0,))(fg.ones(2), fg.ones(2)), "2 arguments"),
        (lambda: F.vmap(lambda x: x, None)(fg.ones(2)), "at least one"),
        (lambda: F.vmap(lambda x, k: x)(fg.ones(2), 3), "int"),
        (lambda: F.vmap(lambda x: x, chunk_size=0), "chunk_size"),
    ],
)
def test_what_vmap_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * x.sum().item(),
        lambda x: fg.tensor(x.tolist()),
        lambda x: fg.tensor(float(x[0])),
        lambda x: fg.tensor(x.numpy()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: fg.multinomial(x.abs(), 2, replacement=True),
        lambda x: fg.from_dlpack(x),
        lambda x: x.requires_grad_(),
        lambda x: fg.tensor(np.sin(np.asarray(x))),
    ],
)
def test_values_of_a_batch_cannot_be_read(f):
    with pytest.raises((RuntimeError, TypeError), match=r"vmap|batch"):
        F.vmap(f, randomness="different")(fg.randn(3, 2))


def test_backward_inside_vmap_says_what_to_use():
    w = fg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"func\.grad"):
        F.vmap(lambda x: (w * x).sum().backward())(fg.ones(3, 2))


def test_a_batch_that_escaped_is_an_error():
    kept = []
    F.vmap(lambda x: kept.append(x) or x)(fg.ones(2))
    with pytest.raises(RuntimeError, match="ended"):
        kept[0] + 1
    assert "batch" in repr(kept[0])


def test_an_exception_ends_the_levels():
    def fail(x):
        raise KeyError("here")

    for transform in (F.vmap, F.grad, F.jacfwd, F.hessian):
        with pytest.raises(KeyError, match="here"):
            transform(fail)(fg.ones(2))
        with pytest.raises(KeyError, match="here"):
            F.vmap(transform(fail))(fg.ones(2, 2))
    assert (fg.ones(2) + 1).tolist() == [2, 2]
    assert not (fg.ones(2) * 2).requires_grad


def test_dtypes_follow_one_element():
    """A 0-d element is a 0-d operand, whatever dimensions its batch has."""
    y = F.vmap(lambda a, b: a * b, (0, None))(fg.ones(3, dtype=f64), fg.ones(2))
    assert y.dtype is fg.float32
    assert F.vmap(lambda a: a * 2.5)(fg.arange(3)).dtype is fg.float32
    assert F.vmap(lambda a: a / 2)(fg.arange(3)).tolist() == [0, 0.5, 1]


def test_empty_batches_and_empty_tensors():
    assert F.vmap(lambda x: (x * 2).sum())(fg.ones(0, 3)).shape == (0,)
    assert F.vmap(lambda x: x.exp())(fg.ones(3, 0)).shape == (3, 0)
    assert F.vmap(F.grad(lambda x: (x * x).sum()))(fg.ones(2, 0)).shape == (2, 0)
    assert F.jacrev(lambda x: x * 2)(fg.ones(0)).shape == (0, 0)
    assert F.hessian(lambda x: (x * x).sum())(fg.ones(0)).shape == (0, 0)


def test_too_many_dimensions_is_an_error():
    with pytest.raises(RuntimeError, match="8 dimensions"):
        F.vmap(lambda x: x.reshape([1] * 8))(fg.ones(2))


def test_views_of_batches():
    def f(x):
        a, b = x.split(2, 1)
        p, q = x.unbind(0)
        return (
            a.T.reshape(-1),
            b.flatten(),
            p + q[None, :],
            x[:, 1::2].expand(3, 2, 2),
            x.movedim(0, 1)[1:],
            x.unsqueeze(1),
        )

    X = fg.arange(24.0).reshape(3, 2, 4).permute(0, 1, 2)
    for x in (X, X.clone().movedim(0, 2).contiguous().movedim(2, 0)):
        for got, rows in zip(F.vmap(f)(x), zip(*[f(one) for one in x], strict=True), strict=True):
            assert fg.equal(got, fg.stack(list(rows)))


# ---- forward mode --------------------------------------------------------------------------------------------------


def test_a_tangent_is_not_lost_in_silence():
    x = t(1, 2)
    for read in (lambda x: x.numpy(), np.asarray, lambda x: np.ediff1d(x)):
        with pytest.raises((RuntimeError, TypeError), match=r"tangent|detach"):
            F.jvp(read, (x,), (x,))
    _, dy = F.jvp(lambda x: x * x.detach(), (x,), (x,))
    assert dy.tolist() == [1, 4]
    assert slope(lambda x: x * x[0].item(), x).tolist() == [1, 1]


def test_integers_have_no_tangent():
    _, dy = F.jvp(lambda x: (x > 0, x.argmax(), x.long()), (t(1, 2),), (t(1, 1),))
    assert [d.dtype for d in dy] == [fg.bool, fg.int64, fg.int64]
    assert not any(d.any() for d in dy)


def test_dtypes_of_tangents():
    _, dy = F.jvp(lambda x: (x.double() * 2, x + t(1.0, 2.0), x.double().float()), (fg.ones(2),), (fg.ones(2),))
    assert [d.dtype for d in dy] == [f64, f64, fg.float32]
    assert [d.tolist() for d in dy] == [[2, 2], [1, 1], [1, 1]]


def test_control_flow_and_recursion():
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    def f(x):
        return power(x, 5) if x > 0 else -x

    for x, d in ((2.0, 80.0), (-1.0, -1.0)):
        assert slope(f, fg.tensor(x)).item() == F.grad(f)(fg.tensor(x)).item() == d


def test_forward_mode_keeps_no_graph():
    """A thousand steps need the memory of one."""

    def simulate(x, steps):
        for _ in range(steps):
            x = x + (x.sin() * 0.01)
        return x.sum()

    x = fg.ones(1000)
    peaks = []
    for steps in (10, 1000):
        fg.empty_cache()
        fg.reset_peak_memory_stats()
        before = fg.memory_stats()["allocated"]
        F.jvp(lambda x, n=steps: simulate(x, n), (x,), (x,))
        peaks.append(fg.memory_stats()["peak"] - before)
    assert peaks[1] <= peaks[0] + 10_000


def test_nodes_do_not_keep_their_tangents():
    """Forward over reverse leaves no cycle behind, though a save's tangent depends on the node that saved it."""
    gc.collect()
    gc.disable()
    try:
        x = fg.ones(1000)
        w = fg.ones(1000, requires_grad=True)
        before = fg.memory_stats()["allocated"]
        dy = F.jvp(F.grad(lambda x: ((x * w).tanh() * w).sum()), (x,), (x,))[1]
        assert dy.requires_grad
        assert fg.memory_stats()["allocated"] > before
        del dy
        assert fg.memory_stats()["allocated"] == before
    finally:
        gc.enable()


def test_histories_of_the_caller_are_kept():
    """Parameters that require grad, used inside any transform, are differentiated through it by the tape."""
    w = t(2.0).requires_grad_()
    x, v = t(3.0), t(1.0)
    results = {
        "grad": F.grad(lambda x: (w * x * x).sum())(x),
        "jvp": F.jvp(lambda x: w * x * x, (x,), (v,))[1],
        "hvp": F.hvp(lambda x: (w * x * x * x).sum(), x, v) / 3,
        "vjp": F.vjp(lambda x: w * x * x, x)[1](v)[0],
        "vmap": F.vmap(lambda x: w * x * 2)(x)[0],
        "vmap grad": F.vmap(F.grad(lambda x: (w * x * x).sum()))(x),
        "jacrev": F.jacrev(lambda x: w * x * x)(x)[0],
        "jacfwd": F.jacfwd(lambda x: w * x * x)(x)[0],
        "linearize": F.linearize(lambda x: w * x * x, x)[1](v),
        "tangent": F.jvp(lambda x: x * x, (x,), (w,))[1] * 2 / w.detach() * 0.5 * 2,
    }
    for name, y in results.items():
        (g,) = fg.autograd.grad(y.sum(), w)
        assert g.tolist() == [6], name


def test_results_without_the_callers_history_have_none():
    x = t(1, 2)
    y, pull = F.vjp(lambda x: x * x, x)
    value, g = F.value_and_grad(lambda x: (x * x).sum())(x)
    assert not any(r.requires_grad for r in (y, pull(x)[0], value, g, F.hvp(lambda x: (x**3).sum(), x, x)))
    with fg.no_grad():
        w = t(1, 1).requires_grad_()
        assert not F.grad(lambda x: (x * w).sum())(x).requires_grad
        assert F.grad(lambda x: (x * x * w).sum())(x).tolist() == [2, 4]


def test_threads_have_their_own_levels():
    results = {}

    def work(k):
        results[k] = F.vmap(F.grad(lambda x: (x**3).sum()))(fg.full((50, 4), float(k)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert all((results[k] == 3 * k * k).all() for k in range(4))
