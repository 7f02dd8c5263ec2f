"""custom_vjp and custom_jvp: containers, fixed arguments, what their rules return, how often these run."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F
from fastgrad.autograd import custom_jvp, custom_vjp

from .custom_functions import V, X, close, transforms_of


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
