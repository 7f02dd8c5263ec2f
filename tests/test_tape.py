"""The tape: one visit per node, sums over consumers, graphs of a million nodes, cycles a user can make, threads."""

import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.bench.graphs import resident

from .memory import SANITIZED, measures_memory


def leaf(x):
    return fg.tensor(x, requires_grad=True)


# ---- what a run computes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [lambda h: h, lambda h: h.relu(), lambda h: h * 2, lambda h: h + h.tanh()])
def test_memory_that_a_rule_shares_with_numpy_is_not_written(f):
    given = np.array([1.0, -1.0], np.float32)

    class Shared(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return fg.from_numpy(given)

    x = leaf([1.0, 2.0])
    h = f(x)
    (Shared.apply(h) + Shared.apply(h)).sum().backward()
    x.grad.zero_()
    y = leaf([1.0, 2.0])
    Shared.apply(f(y)).sum().backward()
    y.grad.zero_()
    assert given.tolist() == [1, -1]


def test_a_gradient_that_is_read_again_is_not_written():
    """Rules of one op may run in the memory of the gradient that arrived; not where a hook, `.grad` or a second rule reads it."""
    x, w = leaf([1.0, -2.0]), leaf([3.0, 4.0])
    seen = []
    h = x * w
    h.retain_grad()
    h.register_hook(lambda g: seen.append(g))
    y = h.exp()
    given = fg.tensor([1.0, 10.0])
    y.backward(given, retain_graph=True)
    assert given.tolist() == [1, 10]
    assert h.grad.tolist() == seen[0].tolist() == (given * y.detach()).tolist()
    assert x.grad.tolist() == (h.grad * w.detach()).tolist()
    assert w.grad.tolist() == (h.grad * x.detach()).tolist()
    first = x.grad.clone()
    (got,) = fg.autograd.grad(y, x, given, retain_graph=True)
    assert got.tolist() == first.tolist()
    y.backward(given)
    assert x.grad.tolist() == (2 * first).tolist()


def test_gradients_are_summed_over_consumers():
    x = leaf(3.0)
    y = x * x + x.sin() + x
    y.backward()
    assert x.grad.item() == pytest.approx(2 * 3.0 + np.cos(3.0) + 1)


@pytest.mark.parametrize("size", [1, 100, 200])
@pytest.mark.parametrize("retain", [False, True])
def test_products_added_to_a_gradient_are_computed_beside_it(size, retain):
    """Small ones on the C stack (up to 512 bytes), larger ones in a tensor; the first one is the gradient itself."""
    x, ys = leaf(np.linspace(1, 2, size, dtype=np.float32)), [fg.full((size,), float(k)) for k in range(1, 5)]
    total = sum(((x * y).sum() for y in ys[1:]), (x * ys[0]).sum())
    for k in range(1 + retain):
        total.backward(retain_graph=retain)
        np.testing.assert_array_equal(x.grad.numpy(), np.full(size, 10.0 * (k + 1), np.float32))


def test_what_a_rule_of_one_op_reads_may_not_have_been_modified():
    x, y = leaf([1.0, 2.0]), fg.tensor([3.0, 4.0])
    z = (x * y).sum()
    y += 1
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        z.backward()
    assert x.grad is None


def test_each_node_is_visited_once():
    x = leaf(fg.tensor(1.0, dtype=fg.float64).item())
    y = x.double()
    visits = []
    for _ in range(60):
        y = y + y
        y.register_hook(lambda g: visits.append(1))
    y.backward()
    assert x.grad.item() == 2.0**60
    assert len(visits) == 60


def test_a_second_backward_raises_and_retain_graph_allows_it():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4.0, 8.0])
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4.0, 8.0])


def test_backward_from_what_is_not_a_scalar_needs_a_gradient():
    x = leaf([1.0, 2.0])
    y = x * x
    with pytest.raises(RuntimeError, match="scalar"):
        y.backward()
    with pytest.raises(ValueError, match="shape"):
        y.backward(fg.ones(3))
    y.backward(fg.tensor([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 40.0])


def test_backward_without_history_raises():
    with pytest.raises(RuntimeError, match="does not require grad"):
        fg.ones(()).backward()


def test_grad_leaves_grad_alone_and_names_unused_inputs():
    x, z = leaf(2.0), leaf(5.0)
    y = x * x
    (g,) = fg.autograd.grad(y, x, retain_graph=True)
    assert g.item() == 4.0
    assert x.grad is None
    with pytest.raises(RuntimeError, match=r"input 1, of shape .*was not used"):
        fg.autograd.grad(y, (x, z), retain_graph=True)
    assert fg.autograd.grad(y, (x, z), allow_unused=True, retain_graph=True)[1] is None
    assert fg.autograd.grad(y, (x, z), materialize_grads=True)[1].item() == 0.0


def test_grad_with_respect_to_an_inner_node():
    x = leaf(2.0)
    h = x * x
    y = h * h
    gh, gx = fg.autograd.grad(y, (h, x))
    assert gh.item() == 8.0
    assert gx.item() == 32.0


def test_inputs_limits_what_backward_fills():
    x, w = leaf(2.0), leaf(3.0)
    (x * w).backward(inputs=[w])
    assert x.grad is None
    assert w.grad.item() == 2.0


def test_higher_orders():
    x = leaf(2.0)
    y = x * x * x
    for expected in (12.0, 12.0, 6.0):
        (y,) = fg.autograd.grad(y, x, create_graph=True)
        assert y.item() == expected


def test_gradients_are_cast_back():
    x = leaf([1.0, 2.0])
    (x * fg.ones(2, dtype=fg.float64)).sum().backward()
    assert x.grad.dtype is fg.float32


def test_broadcast_gradients_are_summed():
    x = leaf([[1.0], [2.0]])
    b = leaf([1.0, 2.0, 3.0])
    s = leaf(2.0)
    ((x + b) * s).sum().backward()
    assert x.grad.shape == (2, 1)
    assert b.grad.shape == (3,)
    assert s.grad.shape == ()
    np.testing.assert_array_equal(x.grad.numpy(), [[6.0], [6.0]])
    np.testing.assert_array_equal(b.grad.numpy(), [4.0] * 3)


def test_no_grad_and_enable_grad_nest():
    x = leaf(1.0)
    with fg.no_grad():
        assert not (x * 2).requires_grad
        with fg.enable_grad():
            assert (x * 2).requires_grad
        assert not fg.is_grad_enabled()

    @fg.no_grad()
    def f():
        return x * 2

    assert not f().requires_grad
    assert (x * 2).requires_grad
    with pytest.raises(KeyError), fg.no_grad():
        raise KeyError
    assert fg.is_grad_enabled()


def test_recording_state_belongs_to_the_thread():
    seen = []
    with fg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(fg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


# ---- hooks -------------------------------------------------------------------------------------------------------------


def test_hooks_see_and_replace_gradients():
    x = leaf(2.0)
    h = x * 3.0
    seen = []
    handle = h.register_hook(lambda g: seen.append(g.item()))
    h.register_hook(lambda g: g * 10.0)
    x.register_hook(lambda g: g + 1.0)
    (h * h).backward(retain_graph=True)
    assert seen == [12.0]
    assert x.grad.item() == 361.0
    handle.remove()
    (h * h).backward()
    assert len(seen) == 1


def test_an_exception_in_a_hook_leaves_the_tape_usable():
    x = leaf(2.0)
    h = x * x

    def bad(g):
        raise KeyError("hook")

    handle = h.register_hook(bad)
    y = h * 3.0
    with pytest.raises(KeyError):
        y.backward(retain_graph=True)
    assert x.grad is None
    assert fg.is_grad_enabled()
    handle.remove()
    y.backward()
    assert x.grad.item() == 12.0


def test_backward_inside_a_hook():
    x, z = leaf(2.0), leaf(3.0)
    h = x * x

    def hook(g):
        with fg.enable_grad():
            (z * z).backward()

    h.register_hook(hook)
    h.backward()
    assert x.grad.item() == 4.0
    assert z.grad.item() == 6.0


def test_a_run_inside_a_run_over_the_same_graph_is_refused():
    x = leaf(2.0)
    h = x * x
    y = h * 3.0
    h.register_hook(lambda g: y.backward(retain_graph=True))
    with pytest.raises(RuntimeError, match="another run"):
        y.backward(retain_graph=True)
    assert x.grad is None


def test_a_rule_may_differentiate_by_what_is_newer_than_the_run_it_is_in():
    class Cube(fg.autograd.Function):
        """Its backward is found by differentiating (x + t)^3 by t, though x has the history of the run under way."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with fg.enable_grad():
                t = fg.zeros_like(x).requires_grad_()
                return fg.autograd.grad((x + t) ** 3, t, g, create_graph=True)[0]

    x = leaf(2.0)
    y = x * 1.0
    (g,) = fg.autograd.grad(Cube.apply(y), x, create_graph=True)
    assert g.item() == 12
    (h,) = fg.autograd.grad(g, x, create_graph=True)
    assert h.item() == 12
    assert fg.autograd.grad(h, x)[0].item() == 6

    class Older(Cube):
        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            with fg.enable_grad():
                return fg.autograd.grad(x**3, x, g, create_graph=True)[0]

    with pytest.raises(RuntimeError, match="another run"):
        fg.autograd.grad(Older.apply(x * 1.0), x, create_graph=True)


# ---- deep graphs -------------------------------------------------------------------------------------------------------

SHAPES = {
    "left": lambda y, x: y + x,
    "right": lambda y, x: x + y,
    "both": lambda y, x: y * y,
    "diamond": lambda y, x: (y * 0.5) + (y * 0.5),
    "view": lambda y, x: y.reshape(()),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("differentiate", [False, True])
def test_graphs_of_a_million_nodes_are_freed_without_recursion(shape, differentiate):
    step = SHAPES[shape]
    x = fg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(1_000_000 if shape != "diamond" else 333_333):
        y = step(y, x)
    if differentiate:
        y.backward()
        assert x.grad is not None
    del y


def test_a_deep_chain_of_custom_functions():
    class Same(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g

    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = Same.apply(y)
    y.backward()
    assert x.grad.item() == 1.0


@measures_memory
def test_memory_is_flat_over_many_steps():
    w = fg.tensor(np.ones((8, 8), np.float32), requires_grad=True)
    x = fg.ones(4, 8)

    def steps(n):
        for _ in range(n):
            w.grad = None
            ((x @ w).tanh() * 2.0).sum().backward()

    steps(2_000)
    gc.collect()
    before = resident()
    steps(100_000)
    gc.collect()
    assert resident() - before < 2 << 20


@pytest.mark.skipif(SANITIZED, reason="the build for AddressSanitizer keeps nothing for reuse")
def test_a_graph_built_again_allocates_nothing_and_empty_cache_gives_it_back():
    x = leaf(1.5)

    def step():
        y = x
        for _ in range(5_000):
            y = y * x - x
        y.backward()

    step()
    gc.collect()
    before = sys.getallocatedblocks()
    step()
    assert sys.getallocatedblocks() - before < 100
    fg.empty_cache()
    assert before - sys.getallocatedblocks() > 10_000
    step()


# ---- cycles ------------------------------------------------------------------------------------------------------------


class KeepsItsOutput(fg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.y = x.exp()
        return ctx.y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.y


def hook_on_itself():
    t = leaf(1.0) * 2.0
    t.register_hook(lambda g: t.item() * g)
    return t


def attribute_holding_itself():
    t = leaf(1.0) * 2.0
    t.me = t
    return t


def leaf_hook_on_itself():
    t = leaf(1.0)
    t.register_hook(lambda g: t.item() * g)
    return t


def context_holding_its_output():
    return KeepsItsOutput.apply(leaf(1.0))


@pytest.mark.parametrize(
    "make",
    [hook_on_itself, attribute_holding_itself, leaf_hook_on_itself, context_holding_its_output],
    ids=lambda f: f.__name__,
)
def test_cycles_are_collected(make):
    t = make()
    ref = weakref.ref(t)
    del t
    gc.collect()
    assert ref() is None


@pytest.mark.parametrize("make", [hook_on_itself, context_holding_its_output], ids=lambda f: f.__name__)
def test_backward_cuts_cycles(make):
    gc.collect()
    gc.disable()
    try:
        t = make()
        (t * 1.0).backward()
        ref = weakref.ref(t)
        del t
        assert ref() is None
    finally:
        gc.enable()


def test_a_gradient_that_holds_its_own_leaf_is_freed_when_cleared():
    a = leaf([1.0, 2.0])
    (a * a * a).sum().backward(create_graph=True)
    a.grad = None
    ref = weakref.ref(a)
    del a
    gc.collect()
    assert ref() is None


# ---- custom functions --------------------------------------------------------------------------------------------------


class Multiply(fg.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * y, g * x


def test_custom_function_to_second_order():
    x, y = leaf(2.0), leaf(3.0)
    z = Multiply.apply(x, Multiply.apply(x, y))
    gx, gy = fg.autograd.grad(z, (x, y), create_graph=True)
    assert gx.item() == 12.0
    assert gy.item() == 4.0
    (gxx,) = fg.autograd.grad(gx, x)
    assert gxx.item() == 6.0
    assert z.grad_fn.name() == "MultiplyBackward"


def test_custom_function_with_a_gradient_of_a_wrong_shape():
    class Wrong(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g.sum()

    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="invalid gradient for input 0"):
        Wrong.apply(x).sum().backward()
    assert x.grad is None


def test_custom_function_notices_modified_saves():
    x = leaf([1.0, 2.0])
    y = x * 1.0
    z = Multiply.apply(y, y)
    y.add_(1.0)
    with pytest.raises(RuntimeError, match="modified"):
        z.sum().backward()


def test_custom_function_with_several_outputs_and_a_constant():
    class Parts(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.scale = scale
            sign = x.sign()
            ctx.mark_non_differentiable(sign)
            return x * scale, sign, x + 1

        @staticmethod
        def backward(ctx, g, _, h=None):
            return (g * ctx.scale, None) if h is None else (g * ctx.scale + h, None)

    x = leaf([1.0, -2.0])
    a, sign, _ = Parts.apply(x, 3.0)
    assert not sign.requires_grad
    a.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3.0, 3.0])


# ---- threads -----------------------------------------------------------------------------------------------------------


def test_two_threads_over_one_subgraph():
    """Either both find the whole gradient, one after the other, or one is told; never a wrong number or a crash."""
    for _ in range(20):
        x = leaf(np.ones(64, np.float32))
        shared = x
        for _ in range(50):
            shared = shared * 1.0
        heads = [(shared * float(k + 1)).sum() for k in range(2)]
        errors, start = [], threading.Barrier(2)

        def work(y, errors=errors, start=start):
            start.wait()
            try:
                y.backward(retain_graph=True)
            except RuntimeError as error:
                errors.append(str(error))

        threads = [threading.Thread(target=work, args=(y,)) for y in heads]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert all("another run" in e for e in errors)
        if not errors:
            np.testing.assert_array_equal(x.grad.numpy(), np.full(64, 3.0, np.float32))


def test_threads_with_graphs_of_their_own():
    results = {}

    def work(k):
        x = leaf(float(k))
        for _ in range(200):
            y = x
            for _ in range(20):
                y = y * 1.0 + x * 0.0
            x.grad = None
            y.backward()
        results[k] = x.grad.item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == dict.fromkeys(range(4), 1.0)


# ---- many inputs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [15, 16, 17, 255, 512, 513, 1000, 70_000])
def test_a_node_with_many_inputs(n):
    xs = [fg.tensor([float(k % 7)], requires_grad=True) for k in range(n)]
    y = fg.cat(xs)
    (y * y).sum().backward()
    assert [x.grad.item() for x in (xs[0], xs[n // 2], xs[-1])] == [2.0 * (k % 7) for k in (0, n // 2, n - 1)]


def test_a_graph_that_fans_out_is_freed():
    """Many nodes wait to be freed at once: more than fit into the thread's own list."""
    xs = [fg.tensor([1.0], requires_grad=True) * 2.0 for _ in range(5_000)]
    refs = [weakref.ref(x) for x in xs]
    y = fg.cat(xs).sum()
    del xs
    del y
    gc.collect()
    assert not any(r() is not None for r in refs)


def test_set_grad_enabled_switches_at_once_and_back_at_the_end():
    for mode in (False, True):
        with fg.set_grad_enabled(mode), fg.set_grad_enabled(not mode):
            assert fg.is_grad_enabled() is not mode
        assert fg.is_grad_enabled()
    fg.set_grad_enabled(False)
    assert not fg.is_grad_enabled()
    fg.set_grad_enabled(True)
