"""Custom functions under every transform: right where the same function without derivatives of its own is, and in torch.func."""

import gc
import importlib.util
import warnings
import weakref

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F
from fastgrad.autograd import Function, custom_jvp, custom_vjp, once_differentiable
from fastgrad.utils.checkpoint import checkpoint

rng = np.random.default_rng(0)
X, V, A = (fg.tensor(rng.uniform(0.5, 1.5, size=(3, 4))) for _ in range(3))
EYE = fg.tensor(np.eye(4))


def close(a, b, rtol=1e-11, atol=1e-13):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)


# ---- one function, x**2 sin(a) exp(x) and more, in every style -----------------------------------------------------


def plain(x, a):
    return x * x * a.sin() * x.exp()


class SavesInputs(Function):
    @staticmethod
    def forward(ctx, x, a):
        ctx.save_for_backward(x, a)
        return x * x * a.sin() * x.exp()

    @staticmethod
    def backward(ctx, g):
        x, a = ctx.saved_tensors
        return g * (2 * x + x * x) * a.sin() * x.exp(), g * x * x * a.cos() * x.exp()


class SavesOutput(Function):
    @staticmethod
    def forward(x, a):
        return x * x * a.sin() * x.exp()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx, g):
        x, a, y = ctx.saved_tensors
        return g * y * (2 / x + 1), g * y * a.cos() / a.sin()


class WithJvp(SavesInputs):
    @staticmethod
    def jvp(ctx, dx, da):
        x, a = ctx.saved_tensors
        return dx * (2 * x + x * x) * a.sin() * x.exp() + da * x * x * a.cos() * x.exp()


class OnlyJvp(Function):
    """Reverse mode is the transpose of its jvp."""

    @staticmethod
    def forward(ctx, x, a):
        y = x * x * a.sin() * x.exp()
        ctx.save_for_forward(x, a, y)
        ctx.save_for_backward(x, a, y)
        return y

    @staticmethod
    def jvp(ctx, dx, da):
        x, a, y = ctx.saved_tensors
        return dx * y * (2 / x + 1) + da * y * a.cos() / a.sin()


class OwnVmap(SavesInputs):
    @staticmethod
    def vmap(info, in_dims, x, a):
        assert info.randomness == "error" and info.batch_size in (2, 3, 4)
        assert all(d in (0, None) for d in in_dims)
        x = x.movedim(in_dims[0], -1) if in_dims[0] is not None else x.unsqueeze(-1).expand(*x.shape, info.batch_size)
        a = a.movedim(in_dims[1], -1) if in_dims[1] is not None else a.unsqueeze(-1).expand(*a.shape, info.batch_size)
        return OwnVmap.apply(x, a), -1


class Pair(Function):
    """Two outputs, of which the second is a constant, and an attribute that is a tensor."""

    @staticmethod
    def forward(ctx, x, a):
        ctx.x = x
        ctx.save_for_backward(a)
        y, z = x * x * a.sin() * x.exp(), x.sign()
        ctx.mark_non_differentiable(z)
        return y, z

    @staticmethod
    def backward(ctx, g, _):
        (a,) = ctx.saved_tensors
        x = ctx.x
        return g * (2 * x + x * x) * a.sin() * x.exp(), g * x * x * a.cos() * x.exp()


@custom_vjp
def by_vjp(x, a):
    return plain(x, a)


def _forward(x, a):
    y = by_vjp(x, a)
    return y, {"s": a.sin(), "x": x, "ratio": (y / a.sin(), a.cos())}


def _backward(residuals, g):
    x, (u, c) = residuals["x"], residuals["ratio"]
    return g * (2 / x + 1) * u * residuals["s"], g * u * c


by_vjp.defvjp(_forward, _backward)


@custom_jvp
def by_jvp(x, a):
    return plain(x, a)


@by_jvp.defjvp
def _rule(primals, tangents):
    (x, a), (dx, da) = primals, tangents
    y = by_jvp(x, a)
    return y, dx * y * (2 / x + 1) + da * y * a.cos() / a.sin()


STYLES = {
    "saves inputs": SavesInputs.apply,
    "saves its output": SavesOutput.apply,
    "has a jvp": WithJvp.apply,
    "has a jvp alone": OnlyJvp.apply,
    "has a vmap": OwnVmap.apply,
    "two outputs": lambda x, a: Pair.apply(x, a)[0],
    "custom_vjp": by_vjp,
    "custom_jvp": by_jvp,
    "twice": lambda x, a: SavesInputs.apply(SavesOutput.apply(x, a) * 0.1, a),
    "checkpointed": lambda x, a: checkpoint(SavesInputs.apply, x, a),
}


def transforms_of(f):
    """name -> function of nothing: everything that can be asked of f, to depth three."""
    x, v, a, b = X[0], V[0], A[0], A[1]
    total = lambda x, a: f(x, a).sum()  # noqa: E731

    def tangent(g, *pairs):
        return F.jvp(g, tuple(p for p, _ in pairs), tuple(t for _, t in pairs))[1]

    def hvp(x):
        return tangent(lambda x: F.grad(total)(x, a), (x, v))

    return {
        "value": lambda: f(x, a),
        "grad": lambda: F.grad(total)(x, a),
        "grad by the other": lambda: F.grad(total, 1)(x, a),
        "jvp": lambda: tangent(f, (x, v), (a, b)),
        "jvp by one": lambda: tangent(lambda a: f(x, a), (a, b)),
        "linearize": lambda: F.linearize(f, x, a)[1](v, b),
        "vmap": lambda: F.vmap(f)(X, A),
        "vmap, one shared": lambda: F.vmap(f, (0, None))(X, a),
        "vmap along the other dimension": lambda: F.vmap(f, (1, 0), 1)(X.T.contiguous().T, EYE[:, :3] + 1),
        "vmap vmap": lambda: F.vmap(lambda a: F.vmap(lambda x: f(x, a))(X))(A),
        "vmap grad": lambda: F.vmap(F.grad(total))(X, A),
        "vmap grad of what is shared": lambda: F.vmap(F.grad(total), (None, 0))(x, A),
        "grad vmap of what is shared": lambda: F.grad(lambda x: F.vmap(lambda a: f(x, a))(A).sum())(x),
        "vmap jvp": lambda: F.vmap(lambda x, v, a: tangent(lambda x: f(x, a), (x, v)))(X, V, A),
        "vmap jvp, one point": lambda: F.vmap(lambda v: tangent(lambda x: f(x, a), (x, v)))(V),
        "jvp vmap": lambda: tangent(F.vmap(f), (X, V), (A, V)),
        "forward over reverse": lambda: hvp(x),
        "hvp": lambda: F.hvp(lambda x: total(x, a), x, v),
        "vhp": lambda: F.vhp(lambda x: total(x, a), x, v),
        "reverse over forward": lambda: F.grad(lambda x: tangent(lambda x: total(x, a), (x, v)))(x),
        "hessian": lambda: F.hessian(total)(x, a),
        "hessian of both": lambda: F.hessian(total, (0, 1))(x, a)[0][1],
        "jacrev": lambda: F.jacrev(f)(x, a),
        "jacfwd": lambda: F.jacfwd(f, 1)(x, a),
        "jacfwd of jacrev": lambda: F.jacfwd(F.jacrev(f))(x, a),
        "jacrev of jacfwd": lambda: F.jacrev(F.jacfwd(f))(x, a),
        "jacfwd of jacfwd": lambda: F.jacfwd(F.jacfwd(f), 1)(x, a),
        "laplacian": lambda: F.laplacian(f)(x, a),
        "ggnvp": lambda: F.ggnvp(lambda x: f(x, a), lambda y: (y**3).sum(), x, v),
        "vmap hessian": lambda: F.vmap(F.hessian(total))(X, A),
        "hessian of a vmap": lambda: F.hessian(lambda a: F.vmap(lambda x: f(x, a))(X).sum())(a),
        "third: grad of hvp": lambda: F.grad(lambda x: (hvp(x) * v).sum())(x),
        "third: hvp forward": lambda: tangent(hvp, (x, v)),
        "third: reverse thrice": lambda: F.grad(
            lambda x: (F.grad(lambda x: (F.grad(total)(x, a) * v).sum())(x) * v).sum()
        )(x),
        "third: forward thrice": lambda: tangent(
            lambda x: tangent(lambda x: tangent(lambda x: f(x, a), (x, v)), (x, v)), (x, v)
        ),
        "third: vmap of grad of hvp": lambda: F.vmap(lambda x: F.grad(lambda x: (hvp(x) * v).sum())(x))(X),
        "a penalty on per-sample gradients": lambda: F.grad(
            lambda x: (F.vmap(F.grad(total), (None, 0))(x, A) ** 2).sum()
        )(x),
        "a pullback under a newer vmap": lambda: F.vmap(F.vjp(lambda x: f(x, a), x)[1])(EYE)[0],
        "an older vmap's pullback under a newer": lambda: F.vmap(
            lambda x, a: F.vmap(F.vjp(lambda x: F.grad(total)(x, a), x)[1])(EYE)[0]
        )(X, A),
        "a tape's second derivative": lambda: twice_by_tape(total, x, a),
    }


def twice_by_tape(total, x, a):
    x = x.detach().requires_grad_()
    (g,) = fg.autograd.grad(total(x, a), x, create_graph=True)
    return fg.autograd.grad((g * V[0]).sum(), x)[0]


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


# ---- the decorators ------------------------------------------------------------------------------------------------


def test_decorators_with_containers_and_fixed_arguments():
    def of(kind):
        def f(n, x, k):
            return {"y": x["a"] ** n * x["b"].sin(), "k": k}

        g = kind(f, nondiff_argnums=(0, 2))
        if kind is custom_vjp:

            def backward(n, k, r, gs):
                x, p = r
                g = gs["y"]
                return ({"a": g * n * x["a"] ** (n - 1) * x["b"].sin(), "b": g * p * x["b"].cos()},)

            g.defvjp(lambda n, x, k: (f(n, x, k), (x, x["a"] ** n)), backward)
        else:

            def rule(n, k, primals, tangents):
                ((x,), (t,)) = primals, tangents
                dy = t["a"] * n * x["a"] ** (n - 1) * x["b"].sin() + t["b"] * x["a"] ** n * x["b"].cos()
                return f(n, x, k), {"y": dy, "k": None}

            g.defjvp(rule)
        return lambda a, b: g(3, {"a": a, "b": b}, "k")["y"]

    its = transforms_of(lambda a, b: a**3 * b.sin())
    for kind in (custom_vjp, custom_jvp):
        for name, call in transforms_of(of(kind)).items():
            np.testing.assert_allclose(
                call().detach().numpy(), its[name]().detach().numpy(), 1e-11, 1e-13, err_msg=name
            )


def test_the_rule_counts_in_every_mode():
    """Rules that are wrong on purpose."""
    a = custom_vjp(lambda x: x * 1.0)
    a.defvjp(lambda x: (x * 1.0, None), lambda _, g: (g * 5,))
    b = custom_jvp(lambda x: x * 1.0)
    b.defjvp(lambda primals, tangents: (b(*primals), tangents[0] * 5.0))
    for f in (a, b):
        five_times(f, X[0], V[0])


def five_times(f, x, v):
    close(F.jvp(f, (x,), (v,))[1], 5 * v)
    close(F.grad(lambda x: f(x).sum())(x), 5 * fg.ones(4))
    close(F.vmap(F.grad(lambda x: f(x).sum()))(X), 5 * fg.ones(3, 4))
    close(F.hessian(lambda x: (f(x) ** 2).sum())(x), 50 * fg.tensor(np.eye(4)))
    close(F.hvp(lambda x: (f(x) ** 2).sum(), x, v), 50 * v)


def test_the_clipped_gradient_of_a_custom_vjp_is_itself_in_forward_mode():
    f = custom_vjp(lambda x: x * 1.0)
    f.defvjp(lambda x: (x * 1.0, None), lambda _, g: (g.clamp(-1, 1),))
    close(F.jvp(f, (X[0],), (V[0],))[1], V[0])
    close(F.vmap(F.grad(lambda x: (f(x) * 3).sum()))(X), fg.ones(3, 4))


def test_a_forward_rule_that_draws_cannot_be_run_again():
    f = custom_vjp(lambda x: x * 1.0)

    def forward(x):
        mask = (fg.rand(4) < 0.5).double()
        return x * mask, mask

    f.defvjp(forward, lambda mask, g: (g * mask,))
    x = X[0].clone().requires_grad_()
    assert set(fg.autograd.grad(f(x).sum(), x)[0].tolist()) <= {0.0, 1.0}
    for call in (
        lambda: fg.autograd.grad(f(x).sum(), x, create_graph=True),
        lambda: F.jvp(f, (X[0],), (V[0],)),
    ):
        with pytest.raises(RuntimeError, match="the forward rule draws random numbers"):
            call()


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (lambda g: (g[:1],), ValueError, r"f: the gradient of argument 0 has shape \(1,\), expected \(4,\)"),
        (
            lambda g: (g.float(),),
            TypeError,
            "f: the gradient of argument 0 is fastgrad.float32, expected fastgrad.float64",
        ),
        (lambda g: (1.0,), TypeError, "f: the gradient of argument 0 must be a Tensor or None, got float"),
    ],
)
def test_gradients_of_a_custom_vjp_are_checked(found, error, message):
    @custom_vjp
    def f(x):
        return x * 1.0

    f.defvjp(lambda x: (x * 1.0, None), lambda _, g: found(g))
    for call in (
        lambda: F.grad(lambda x: f(x).sum())(X[0]),
        lambda: F.vmap(F.grad(lambda x: f(x).sum()))(X),
        lambda: F.jvp(f, (X[0],), (V[0],)),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (lambda y, t: (y, t[:1]), ValueError, r"f: the tangent of result 0 has shape \(1,\), expected \(4,\)"),
        (
            lambda y, t: (y, t.float()),
            TypeError,
            "f: the tangent of result 0 is fastgrad.float32, expected fastgrad.float64",
        ),
        (lambda y, t: (y, (t,)), RuntimeError, "f: the tangent does not have the structure of the result"),
        (lambda y, t: y, RuntimeError, r"f: the rule must return \(result, tangent\), got Tensor"),
    ],
)
def test_tangents_of_a_custom_jvp_are_checked(found, error, message):
    @custom_jvp
    def f(x):
        return x * 1.0

    f.defjvp(lambda primals, tangents: found(primals[0] * 1.0, tangents[0]))
    for call in (
        lambda: F.grad(lambda x: f(x).sum())(X[0]),
        lambda: F.vmap(F.grad(lambda x: f(x).sum()))(X),
        lambda: F.jvp(f, (X[0],), (V[0],)),
    ):
        with pytest.raises(error, match=message):
            call()


def test_a_rule_runs_once_in_forward_mode():
    count = []

    @custom_jvp
    def f(x):
        count.append("f")
        return x.sin()

    @f.defjvp
    def rule(primals, tangents):
        count.append("rule")
        (x,), (t,) = primals, tangents
        return f(x), t * x.cos()

    F.jvp(f, (X[0],), (V[0],))
    assert count == ["rule", "f"]
    count.clear()
    F.jvp(lambda x: F.jvp(f, (x,), (V[0],))[1], (X[0],), (V[0],))
    assert count == ["rule", "rule", "f"]


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


# ---- against torch.func --------------------------------------------------------------------------------------------


def in_two_libraries(fg, F, Function, t):
    """name -> function of nothing, the same program for two libraries."""

    class Cube(Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x, k):
            return x**3 * k, x.sign()

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, ctx.k = inputs
            ctx.mark_non_differentiable(output[1])
            ctx.save_for_backward(x)
            ctx.save_for_forward(x)

        @staticmethod
        def backward(ctx, g, _):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x * ctx.k, None

        @staticmethod
        def jvp(ctx, t, _):
            (x,) = ctx.saved_tensors
            return t * 3 * x * x * ctx.k, None

    f = lambda x: Cube.apply(x, 2.0)[0]  # noqa: E731
    total = lambda x: (f(x).sin() * x).sum()  # noqa: E731
    x, v, X = t(np.linspace(0.5, 1, 4)), t(np.linspace(-1, 1, 4)), t(np.linspace(0.2, 1.1, 12).reshape(3, 4))
    tangent = lambda g, x: F.jvp(g, (x,), (v,))[1]  # noqa: E731
    return {
        "jvp": lambda: tangent(f, x),
        "vmap": lambda: F.vmap(f)(X),
        "vmap grad": lambda: F.vmap(F.grad(total))(X),
        "hessian": lambda: F.hessian(total)(x),
        "jvp grad": lambda: tangent(F.grad(total), x),
        "grad jvp": lambda: F.grad(lambda x: tangent(total, x))(x),
        "jacfwd jacrev": lambda: F.jacfwd(F.jacrev(f))(x),
        "vmap jvp grad": lambda: F.vmap(lambda x: tangent(F.grad(total), x))(X),
        "vmap vmap": lambda: F.vmap(F.vmap(f))(X),
        "grad jvp grad": lambda: F.grad(lambda x: (tangent(F.grad(total), x) * v).sum())(x),
        "vmap vmap grad": lambda: F.vmap(F.vmap(F.grad(f)))(X),
    }


MINE = in_two_libraries(fg, F, Function, lambda a: fg.tensor(a))


@pytest.mark.filterwarnings("ignore")  # PyTorch's own
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", sorted(MINE))
def test_as_torch_func(name):
    import torch

    its = in_two_libraries(torch, torch.func, torch.autograd.Function, torch.tensor)[name]()
    np.testing.assert_allclose(MINE[name]().numpy(), its.detach().numpy(), rtol=1e-11, atol=1e-13)
