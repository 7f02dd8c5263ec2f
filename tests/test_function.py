"""Custom functions: contexts, checks of what backward returns, what is saved; custom_vjp and custom_jvp."""

import gc
import weakref

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.autograd import Function, custom_jvp, custom_vjp, grad, gradcheck, gradgradcheck, once_differentiable


def leaf(data, dtype=fg.float64):
    return fg.tensor(data, dtype=dtype, requires_grad=True)


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Scale(Function):
    """In the style with setup_context; a number among the arguments."""

    @staticmethod
    def forward(x, k):
        return x * x * k

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.k = inputs
        ctx.save_for_backward(x, None)

    @staticmethod
    def backward(ctx, g):
        x, nothing = ctx.saved_tensors
        assert nothing is None
        return 2 * g * x * ctx.k, None


def test_saved_outputs_and_inputs_have_their_history():
    x = leaf([0.5, -1.0])
    assert gradcheck(Exp.apply, x) and gradgradcheck(Exp.apply, x)
    assert gradgradcheck(lambda x: Scale.apply(Exp.apply(x), 3.0), x)
    (g,) = grad(Exp.apply(x).sum(), x, create_graph=True)
    for _ in range(2):
        (g,) = grad(g.sum(), x, create_graph=True)
    np.testing.assert_array_equal(g.detach().numpy(), np.exp([0.5, -1.0]))


def test_a_saved_output_makes_no_cycle():
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(leaf(1.0))
        ref = weakref.ref(y)
        del y
        assert ref() is None
    finally:
        gc.enable()


def test_a_deep_chain_that_saves_is_freed():
    x = leaf(0.0)
    y = x
    for _ in range(100_000):
        y = Scale.apply(y, 0.5)
    del y


def test_a_function_may_return_its_input():
    class Through(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x, x

        @staticmethod
        def backward(ctx, g, h):
            (x,) = ctx.saved_tensors
            return g + 2 * h * x

    x = leaf([3.0])
    a, b = Through.apply(x * 1.0)
    assert a.grad_fn is b.grad_fn is not None
    (g,) = grad(a + 10 * b, x, create_graph=True)
    assert g.item() == 1 + 2 * 10 * 3
    assert grad(g, x)[0].item() == 20


def test_needs_input_grad_says_what_this_pass_wants():
    seen = []

    class Product(Function):
        @staticmethod
        def forward(ctx, x, y, z):
            ctx.save_for_backward(x, y)
            seen.append(ctx.needs_input_grad)
            return x * y + z

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            seen.append(ctx.needs_input_grad)
            return g * y, g * x, g

    x, y, z = leaf(2.0), leaf(3.0), fg.tensor(1.0, dtype=fg.float64)
    out = Product.apply(x, y, z)
    out.backward(retain_graph=True)
    grad(out, y)
    assert seen == [(True, True, False), (True, True, False), (False, True, False)]
    assert z.grad is None


class Two(Function):
    materialize = True

    @classmethod
    def of(cls, materialize, seen):
        return type("Two", (cls,), {"materialize": materialize, "seen": seen})

    @staticmethod
    def forward(ctx, kind, x):
        ctx.kind = kind
        ctx.set_materialize_grads(kind.materialize)
        whole = x.sign().long()
        fixed = x.sign()
        ctx.mark_non_differentiable(fixed)
        return x * 2, whole, x * 3, fixed

    @staticmethod
    def backward(ctx, a, whole, b, fixed):
        ctx.kind.seen.extend([a, whole, b, fixed])
        return None, None if a is None else a * 2


def test_backward_gets_a_gradient_for_each_output():
    seen = []
    x = leaf([1.0, -2.0])
    two = Two.of(True, seen)
    a, whole, b, fixed = two.apply(two, x)
    assert not whole.requires_grad and not fixed.requires_grad and b.requires_grad
    a.sum().backward()
    assert [g.tolist() for g in seen] == [[1, 1], [0, 0], [0, 0], [0, 0]]
    assert seen[1].dtype is fg.int64
    seen.clear()
    two = Two.of(False, seen)
    two.apply(two, x)[2].sum().backward()
    assert seen[0] is None and seen[1] is None and seen[2].tolist() == [1, 1] and seen[3] is None


def returning(make, forward=lambda x, y: x * 1.0):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x, y):
            return forward(x, y)

        @staticmethod
        def backward(ctx, *gs):
            return make(*gs)

    return Wrong


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda g: (g[:1], None), RuntimeError, r"Wrong.backward returned an invalid gradient for input 0: got shape \(1,\)"),
        (lambda g: (g[:1], None), ValueError, r"expected shape \(2,\)"),
        (lambda g: (g.float(), None), TypeError, "got fastgrad.float32 but expected fastgrad.float64"),
        (lambda g: (g.long(), None), RuntimeError, "got fastgrad.int64 but expected fastgrad.float64"),
        (lambda g: (3.0, None), TypeError, "returned float for input 0"),
        (lambda g: g, RuntimeError, r"incorrect number of gradients \(expected 2, one for each argument of forward, got 1"),
        (lambda g: (g, None, g), RuntimeError, "expected 2, one for each argument of forward, got 3"),
        (lambda g: (g, g), RuntimeError, "different from None at position 1, but the corresponding argument"),
    ],
)  # fmt: skip
def test_what_backward_returns_is_checked(make, error, message):
    x = leaf([1.0, 2.0])
    with pytest.raises(error, match=message):
        returning(make).apply(x, 5.0).sum().backward()
    assert x.grad is None


def test_gradients_that_nobody_wants_may_be_given():
    returning(lambda g: (g, g, None, None)).apply(x := leaf([1.0, 2.0]), fg.arange(2)).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_errors_of_forward():
    class Asks(Function):
        @staticmethod
        def forward(ctx, x, what, given):
            getattr(ctx, what)(given)

    with pytest.raises(TypeError, match=r"Asks.apply\(...\)"):
        Asks()
    for what, given, error, message in (
        ("mark_dirty", leaf(1.0), NotImplementedError, "cannot modify its inputs in place"),
        ("save_for_backward", 1.0, TypeError, "save_for_backward takes Tensors, got float"),
        ("mark_non_differentiable", 1.0, TypeError, "mark_non_differentiable takes Tensors, got float"),
        ("set_materialize_grads", 1, TypeError, "expects a bool, got int"),
    ):
        with pytest.raises(error, match=message):
            Asks.apply(leaf(1.0), what, given)

    class Bare(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2.0

    y = Bare.apply(leaf(1.0))
    with pytest.raises(NotImplementedError, match="Bare: a Function must define a static method backward"):
        y.backward()


def test_what_is_no_tensor_is_returned_as_it_is():
    y, n, nothing = returning(lambda g, n, none: (g, None), lambda x, y: (x * 2.0, "n", None)).apply(leaf(1.0), 0)
    assert y.requires_grad and n == "n" and nothing is None


def test_once_differentiable():
    class Sine(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return fg.from_numpy(np.sin(x.detach().numpy()))

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * fg.from_numpy(np.cos(x.detach().numpy()))

    x = leaf([0.3, 0.4])
    assert gradcheck(Sine.apply, x)
    (g,) = grad(Sine.apply(x).sum(), x, create_graph=True)  # no gradient flows in that has a history
    np.testing.assert_array_equal(g.detach().numpy(), np.cos([0.3, 0.4]))
    with pytest.raises(RuntimeError, match=r"Sine\.backward is marked with once_differentiable"):
        grad(g.sum(), x)
    (g,) = grad((Sine.apply(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"Sine\.backward is marked with once_differentiable"):
        g.sum().backward()


# ---- decorators ----------------------------------------------------------------------------------------------------


def make_power():
    """x^3 sin(k x) with residuals that are computed in forward."""

    @custom_vjp
    def f(x):
        return x["a"] ** 3 * x["b"].sin()

    def forward(x):
        cube, s = x["a"] ** 3, x["b"].sin()
        return cube * s, (x, {"cube": cube, "sin": s})

    def backward(residuals, g):
        x, r = residuals
        return ({"a": g * 3 * x["a"] ** 2 * r["sin"], "b": g * r["cube"] * x["b"].cos()},)

    f.defvjp(forward, backward)
    return f


def test_custom_vjp_is_right_to_third_order():
    f = make_power()
    a, b = leaf([0.5, -1.5]), leaf([1.0, 2.0])
    g = lambda a, b: f({"a": a, "b": b})  # noqa: E731
    plain = lambda a, b: a**3 * b.sin()  # noqa: E731
    assert gradcheck(g, (a, b)) and gradgradcheck(g, (a, b))
    for mine, its in zip(third(g, a, b), third(plain, a, b), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), its.detach().numpy(), rtol=1e-13)
    assert not f({"a": a.detach(), "b": b.detach()}).requires_grad


def third(f, a, b):
    y = f(a, b).sum()
    for _ in range(3):
        gs = grad(y, (a, b), create_graph=True)
        y = sum(g.sum() for g in gs)
    return gs


def test_custom_vjp_with_fixed_arguments_and_its_errors():
    def f(n, x, y):
        return x**n + y

    with pytest.raises(RuntimeError, match=r"f: no rule was given; call f.defvjp\(forward, backward\) first"):
        custom_vjp(f)(2, leaf(1.0), leaf(1.0))
    g = custom_vjp(f, nondiff_argnums=0)
    g.defvjp(lambda n, x, y: (x**n + y, x), lambda n, x, g: (g * n * x ** (n - 1), g))
    x, y = leaf([2.0, 3.0]), leaf([1.0, 1.0])
    assert gradgradcheck(lambda x, y: g(3, x, y), (x, y))
    g.defvjp(lambda n, x, y: (x**n + y, x), lambda n, x, g: g)
    with pytest.raises(
        RuntimeError, match="f: the backward rule must return a tuple with one gradient for each of its 2 arg"
    ):
        g(3, x, y).sum().backward()
    g.defvjp(lambda n, x, y: (x**n + y, x), lambda n, x, g: ([g], g))
    with pytest.raises(RuntimeError, match="f: the gradient of argument 0 does not have the structure"):
        g(3, x, y).sum().backward()
    g.defvjp(lambda n, x, y: x, lambda n, x, g: (g, g))
    with pytest.raises(RuntimeError, match=r"f: the forward rule must return \(result, residuals\), got Tensor"):
        g(3, x, y)
    with pytest.raises(TypeError, match="custom_vjp decorates a function"):
        custom_vjp(3)


def test_custom_jvp_is_transposed_to_third_order():
    @custom_jvp
    def f(x, pair):
        return {"product": x * pair[0].exp(), "k": pair[1]}

    @f.defjvp
    def rule(primals, tangents):
        x, (y, k) = primals
        dx, (dy, dk) = tangents
        assert dk is None
        e = y.exp()
        return {"product": x * e, "k": k}, {"product": dx * e + x * e * dy, "k": None}

    x, y = leaf([0.5, -1.5]), leaf([[0.3], [0.2]])
    g = lambda x, y: f(x, (y, 7))["product"]  # noqa: E731
    plain = lambda x, y: x * y.exp()  # noqa: E731
    assert gradcheck(g, (x, y)) and gradgradcheck(g, (x, y))
    for mine, its in zip(third(g, x, y), third(plain, x, y), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), its.detach().numpy(), rtol=1e-13)
    assert f(x, (y, 7))["k"] == 7
    assert f.__name__ == "f"


def test_the_rule_of_a_custom_jvp_is_what_counts():
    """A rule that is wrong on purpose: reverse mode follows it."""

    @custom_jvp
    def f(x):
        return x * 1.0

    f.defjvp(lambda primals, tangents: (primals[0] * 1.0, tangents[0] * 5.0))
    x = leaf([1.0, 2.0])
    f(x).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]
    f.defjvp(lambda primals, tangents: primals[0])
    with pytest.raises(RuntimeError, match=r"f: the rule must return \(result, tangent\), got Tensor"):
        f(x).sum().backward()
