"""Custom functions under every transform: right where the same function without derivatives of its own is."""

import gc
import warnings
import weakref

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F
from fastgrad.autograd import Function, once_differentiable

from .custom_functions import STYLES, A, SavesInputs, SavesOutput, V, X, close, plain, transforms_of

REFERENCE = {
    "twice": transforms_of(lambda x, a: plain(plain(x, a) * 0.1, a)),
    None: transforms_of(plain),
}


@pytest.mark.parametrize("transform", sorted(REFERENCE[None]))
@pytest.mark.parametrize("style", sorted(STYLES))
def test_as_without_a_derivative_of_its_own(style, transform):
    expected = REFERENCE[style if style in REFERENCE else None][transform]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        close(transforms_of(STYLES[style])[transform](), expected)


# ---- results, saves and contexts -----------------------------------------------------------------------------------


def test_several_results_and_what_is_no_tensor():
    class Parts(Function):
        @staticmethod
        def forward(ctx, x, k, y):
            ctx.k = k
            ctx.set_materialize_grads(False)
            return x * k, "name", y.sum(), x.long()

        @staticmethod
        def backward(ctx, a, _, b, n):
            assert n is None
            return None if a is None else a * ctx.k, None, None if b is None else b.expand(4)

        @staticmethod
        def jvp(ctx, dx, dk, dy):
            assert dk is None
            return None if dx is None else dx * ctx.k, None, None if dy is None else dy.sum(), None

    f = lambda x, y: Parts.apply(x, 3.0, y)  # noqa: E731
    (a, b), (da, db) = F.jvp(lambda x: f(x, A[0])[::2], (X[0],), (V[0],))
    close(a, X[0] * 3)
    close(da, V[0] * 3)
    assert b.item() == A[0].sum().item() and db.item() == 0
    close(F.vmap(lambda x, y: f(x, y)[2])(X, A), A.sum(1))
    close(F.grad(lambda x, y: f(x, y)[2])(X[0], A[0]), fg.zeros(4))
    close(F.vmap(F.grad(lambda x, y: f(x, y)[2], 1))(X, A), fg.ones(3, 4))
    assert F.vmap(lambda x, y: f(x, y)[3])(X, A).dtype is fg.int64


def test_an_argument_that_is_returned():
    class Through(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x)
            return x, y

        @staticmethod
        def backward(ctx, g, h):
            (x,) = ctx.saved_tensors
            return g + 2 * h * x, h * 0

    x, y, v = X[0], A[0], V[0]
    f = lambda x: Through.apply(x, y)  # noqa: E731
    (a, b), (da, db) = F.jvp(f, (x,), (v,))
    close(a, x)
    close(b, y)
    close(da, v)
    close(db, 2 * x * v)
    assert x.storage_offset() == 0 and not x.requires_grad
    g = F.vmap(F.grad(lambda x: sum(t.sum() for t in f(x))))(X)
    close(g, 1 + 2 * X)
    p, q = F.vmap(f)(X)
    close(p, X)
    close(q, y.expand(3, 4))
    q += 1  # not one row three times
    close(q, y.expand(3, 4) + 1)


def test_needs_input_grad_inside_transforms():
    seen = []

    class Product(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            x, y = ctx.saved_tensors
            return g * y if ctx.needs_input_grad[0] else None, g * x if ctx.needs_input_grad[1] else None

    x, y = X[0], A[0]
    close(F.vmap(F.grad(lambda x, y: Product.apply(x, y).sum()))(X, A), A)
    close(F.jvp(lambda y: Product.apply(x, y), (y,), (V[0],))[1], x * V[0])
    assert seen == [(True, False), (False, True)]


def test_integer_empty_and_0d_arguments():
    class Take(Function):
        @staticmethod
        def forward(ctx, x, i):
            ctx.save_for_backward(x, i)
            return x[i]

        @staticmethod
        def backward(ctx, g):
            x, i = ctx.saved_tensors
            return fg.zeros_like(x).index_put((i,), g, accumulate=True), None

    i = fg.tensor([[0, 1], [3, 3], [2, 0]])
    close(F.vmap(Take.apply)(X, i), fg.stack([x[k] for x, k in zip(X, i, strict=True)]))
    g = F.vmap(F.grad(lambda x, i: (Take.apply(x, i) ** 2).sum()))(X, i)
    close(g, F.vmap(F.grad(lambda x, i: (x[i] ** 2).sum()))(X, i))
    close(F.jvp(lambda x: Take.apply(x, i[1]), (X[0],), (V[0],))[1], V[0][i[1]])
    empty = fg.zeros(0, dtype=fg.float64)
    assert F.jvp(SavesInputs.apply, (empty, empty), (empty, empty))[1].shape == (0,)
    assert F.vmap(F.grad(lambda x, a: SavesInputs.apply(x, a).sum()))(X[:, :0], A[:, :0]).shape == (3, 0)
    assert F.vmap(F.grad(SavesInputs.apply))(X[:0, 0], A[:0, 0]).shape == (0,)
    close(F.vmap(F.hessian(SavesInputs.apply))(X[0], A[0]), F.vmap(F.hessian(plain))(X[0], A[0]))


def test_in_place_and_views_around_a_custom_function():
    def f(g):
        def h(x, a):
            z = x.clone()
            z[1:] *= a[1:]
            y = g(z[::2], a[::2]) * x[:2]
            return y.sum() + z[0] ** 2

        return h

    for name, style in STYLES.items():
        if name in REFERENCE:  # another function
            continue
        mine, its = f(style), f(plain)
        close(F.vmap(F.grad(mine))(X, A), F.vmap(F.grad(its))(X, A))
        close(F.jvp(mine, (X[0], A[0]), (V[0], V[1]))[1], F.jvp(its, (X[0], A[0]), (V[0], V[1]))[1])
        close(F.hessian(mine)(X[0], A[0]), F.hessian(its)(X[0], A[0]))


def test_recursion_and_control_flow():
    class Power(Function):
        @staticmethod
        def forward(ctx, x, n):
            ctx.save_for_backward(x)
            ctx.n = n
            return x if n == 1 else x * Power.apply(x, n - 1)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * ctx.n * Power.apply(x, ctx.n - 1) if ctx.n > 1 else g, None

    f = lambda x: Power.apply(x, 4).sum()  # noqa: E731
    close(F.vmap(F.hessian(f))(X), F.vmap(fg.diag)(12 * X**2))
    close(F.jvp(F.grad(F.grad(lambda x: Power.apply(x, 4))), (X[0, 0],), (V[0, 0],))[1], 24 * X[0, 0] * V[0, 0])


def test_a_pullback_may_be_called_again():
    _, pullback = F.vjp(SavesOutput.apply, X[0], A[0])
    first, second = pullback(V[0]), pullback(V[0])
    close(first[0], second[0])
    close(F.vmap(pullback)(V)[1], F.vmap(F.vjp(plain, X[0], A[0])[1])(V)[1])


def test_dtypes_of_tangents_and_mixed_dtypes():
    class Mixed(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x.float() * y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            return (g * y).double(), g * x.float()

    x, y = X[0], A[0].float()
    out, t = F.jvp(Mixed.apply, (x, y), (V[0], V[1].float()))
    assert out.dtype is t.dtype is fg.float32
    close(t, V[0].float() * y + x.float() * V[1].float(), rtol=1e-6)
    gx, gy = F.vmap(F.grad(lambda x, y: Mixed.apply(x, y).sum(), (0, 1)))(X, A.float())
    assert gx.dtype is fg.float64 and gy.dtype is fg.float32


def test_once_differentiable_says_so_in_every_mode():
    class Sine(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * x.cos()

    class Tangent(Sine):
        @staticmethod
        def jvp(ctx, t):
            (x,) = ctx.saved_tensors
            return t * x.cos()

    class Twofold(Sine):
        @staticmethod
        def backward(ctx, g):
            return 2 * Sine.backward(ctx, g)

    x, v = X[0], V[0]
    close(F.vmap(F.grad(lambda x: Sine.apply(x).sum()))(X), X.cos())
    close(F.jvp(Tangent.apply, (x,), (v,))[1], v * x.cos())
    close(F.jacfwd(Tangent.apply)(x), fg.diag(x.cos()))
    f = lambda x: Sine.apply(x).sum()  # noqa: E731
    for call in (
        lambda: F.jvp(Sine.apply, (x,), (v,)),
        lambda: F.jvp(F.grad(f), (x,), (v,)),
        lambda: F.hvp(f, x, v),
        lambda: F.vhp(f, x, v),
        lambda: F.hessian(f)(x),
        lambda: F.vmap(F.hessian(f))(X),
        lambda: F.vmap(lambda x: F.jvp(F.grad(f), (x,), (v,))[1])(X),
        lambda: F.grad(lambda x: (F.grad(f)(x) ** 2).sum())(x),
        lambda: F.hvp(lambda x: Twofold.apply(x).sum(), x, v),
        lambda: F.vhp(lambda x: Twofold.apply(x).sum(), x, v),
    ):
        with pytest.raises(RuntimeError, match=r"(Sine|Twofold)\.backward is marked with once_differentiable"):
            call()
    with pytest.raises(NotImplementedError, match=r"give Sine a static method jvp\(ctx, \*tangents\)"):
        F.jvp(Sine.apply, (x,), (v,))


def test_a_derivative_by_other_means_is_not_lost_in_silence():
    class Numpy(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return fg.from_numpy(np.sin(x.detach().numpy()))

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return fg.from_numpy(g.detach().numpy() * np.cos(x.detach().numpy()))

    class Given(Numpy):
        @staticmethod
        def jvp(ctx, t):
            (x,) = ctx.saved_tensors
            return fg.from_numpy(t.detach().numpy() * np.cos(x.detach().numpy()))

        @staticmethod
        def vmap(info, in_dims, x):
            return Given.apply(x), in_dims[0]

    class Step(Function):
        @staticmethod
        def forward(ctx, x):
            return x.sign()

        @staticmethod
        def backward(ctx, g):
            return fg.zeros_like(g)

    x, v = X[0], V[0]
    close(F.grad(lambda x: Numpy.apply(x).sum())(x), x.cos())
    with pytest.raises(NotImplementedError, match=r"Numpy.backward computes a gradient with other means .* jvp"):
        F.jvp(Numpy.apply, (x,), (v,))
    with pytest.raises(RuntimeError, match="inside vmap"):
        F.vmap(Numpy.apply)(X)
    close(F.jvp(Given.apply, (x,), (v,))[1], v * x.cos())
    close(F.vmap(Given.apply)(X), X.sin())
    close(F.vmap(F.grad(lambda x: Given.apply(x).sum()))(X), X.cos())
    close(F.jvp(Step.apply, (x,), (v,))[1], fg.zeros(4))


def test_what_a_function_closes_over_is_a_constant_or_an_error():
    def closing(w):
        class Closed(Function):
            @staticmethod
            def forward(ctx, x):
                return x * w

            @staticmethod
            def backward(ctx, g):
                return g * w

        return Closed.apply

    w, x = A[0], X[0]
    close(F.jvp(lambda w: closing(w)(x), (w,), (V[0],))[1], fg.zeros(4))
    close(F.jvp(lambda x: closing(w)(x), (x,), (V[0],))[1], V[0] * w)
    close(F.vmap(lambda w: closing(w)(x))(A), A * x)  # nothing is differentiated
    leaf = x.detach().requires_grad_()
    with pytest.raises(RuntimeError, match=r"Closed.forward returned a batch of a vmap .* pass what it closes over"):
        F.vmap(lambda w: closing(w)(leaf))(A)
    with pytest.raises(RuntimeError, match=r"Closed\.backward reads a batch of vmap"):
        F.vmap(lambda w: F.grad(lambda x: closing(w)(x).sum())(x))(A)


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (lambda t: (t[:1], None), ValueError, r"Wrong.jvp returned an invalid tangent for output 0: got shape \(1,\) but"),
        (lambda t: (t.float(), None), TypeError, "invalid tangent for output 0: got fastgrad.float32 but expected"),
        (lambda t: (t, t, t), RuntimeError, r"incorrect number of tangents \(expected 2, one for each result of forward"),
        (lambda t: (t, t), RuntimeError, "different from None at position 1, but the corresponding result of forward"),
        (lambda t: (1.0, None), TypeError, "returned float for output 0; expected a Tensor or None"),
    ],
)  # fmt: skip
def test_what_jvp_returns_is_checked(found, error, message):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1.0, 7

        @staticmethod
        def jvp(ctx, t):
            return found(t)

    with pytest.raises(error, match=message):
        F.jvp(lambda x: Wrong.apply(x)[0], (X[0],), (V[0],))
    with pytest.raises(error, match=message):
        F.vmap(lambda x, v: F.jvp(lambda x: Wrong.apply(x)[0], (x,), (v,))[1])(X, V)


def test_gradients_are_checked_inside_vmap():
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1.0

        @staticmethod
        def backward(ctx, g):
            return g[:1]

    for call in (
        lambda: F.vmap(F.grad(lambda x: Wrong.apply(x).sum()))(X),
        lambda: F.jvp(Wrong.apply, (X[0],), (V[0],)),
    ):
        with pytest.raises(ValueError, match=r"Wrong.backward returned an invalid gradient for input 0: got shape"):
            call()


def test_vmap_of_its_own_is_checked():
    class Own(Function):
        result = None

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def vmap(info, in_dims, x):
            return Own.result(x)

    for result, error, message in (
        (lambda x: x, RuntimeError, r"Own.vmap must return \(output, out_dims\), got Tensor"),
        (lambda x: ((x, x), (0,)), RuntimeError, "Own.vmap returned 2 outputs and 1 out_dims"),
        (lambda x: (x, 1), ValueError, r"output 0 of shape \(3, 4\) with out_dims 1, which is not the batch of 3"),
        (lambda x: (7, 0), TypeError, "Own.vmap returned int as output 0"),
    ):
        Own.result = result
        with pytest.raises(error, match=message):
            F.vmap(Own.apply)(X)
    Own.result = lambda x: ((x * 2, x[0]), (0, None))
    a, b = F.vmap(Own.apply, out_dims=(0, None))(X)
    close(a, 2 * X)
    close(b, X[0])
    Own.generate_vmap_rule = True
    with pytest.raises(RuntimeError, match="Own: it has a vmap of its own and generate_vmap_rule=True"):
        F.vmap(Own.apply)(X)

    class No(SavesInputs):
        generate_vmap_rule = False

    with pytest.raises(RuntimeError, match="No: cannot run inside vmap, since it has generate_vmap_rule=False"):
        F.vmap(No.apply)(X, A)


def test_random_numbers_of_a_custom_function_follow_the_policy():
    class Noise(Function):
        @staticmethod
        def forward(ctx, x):
            mask = (fg.rand(4) < 0.5).double()
            ctx.save_for_backward(mask)
            return x * mask

        @staticmethod
        def backward(ctx, g):
            (mask,) = ctx.saved_tensors
            return g * mask

    with pytest.raises(RuntimeError, match="randomness='different'"):
        F.vmap(Noise.apply)(X)
    fg.manual_seed(0)
    g = F.vmap(F.grad(lambda x: Noise.apply(x).sum()), randomness="different")(fg.ones(50, 4, dtype=fg.float64))
    assert 60 < g.sum().item() < 140 and len({tuple(row) for row in g.tolist()}) > 4
    g = F.vmap(F.grad(lambda x: Noise.apply(x).sum()), randomness="same")(X)
    assert (g == g[0]).all()


# ---- memory --------------------------------------------------------------------------------------------------------


def test_forward_mode_leaves_nothing_behind():
    gc.collect()
    gc.disable()
    try:
        for style in STYLES.values():
            x = X[0].clone()
            refs = [weakref.ref(x)]
            y, t = F.jvp(lambda x, a: style(x, a), (x, A[0]), (V[0], V[1]))  # noqa: B023
            z = F.hvp(lambda x: style(x, A[0]).sum(), x, V[0])  # noqa: B023
            refs += [weakref.ref(y), weakref.ref(t), weakref.ref(z)]
            del x, y, t, z
            assert [ref() for ref in refs] == [None] * 4
    finally:
        gc.enable()


# ---- compiled ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", sorted(STYLES))
def test_compiled_bits_are_those_of_eager(style):
    f = STYLES[style]

    def work(x, a, v):
        total = lambda x: f(x, a).sum()  # noqa: E731
        return (
            F.vmap(F.grad(lambda x, a: f(x, a).sum()))(fg.stack([x, a]), fg.stack([a, v])),
            F.jvp(f, (x, a), (v, x)),
            F.hvp(total, x, v),
            F.hessian(total)(x),
        )

    step = fg.compile(work)
    step.poisons = True
    for i in range(5):
        args = [fg.tensor(np.random.default_rng(7 * i + k).uniform(0.5, 1.5, size=4)) for k in range(3)]
        expected, got = work(*args), step(*args)
        for one, other in zip([expected[0], *expected[1], *expected[2:]], [got[0], *got[1], *got[2:]], strict=True):
            assert one.numpy().tobytes() == other.numpy().tobytes()
    assert step.replays == 3
