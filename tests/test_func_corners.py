"""Corners of the transforms, against closed forms: closures, detach and no_grad, writes into arguments, empty, 0-d and integer
tensors, constant functions, one tensor twice, pullbacks that are called again."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F

rng = np.random.default_rng(1)
A, V, B = rng.normal(size=4), rng.normal(size=4), rng.normal(size=(3, 4))


def t(values):
    return fg.tensor(np.array(values))


def through_a_leaf(f):
    """The gradient that a leaf gets from backward() through whatever f does with it."""
    q = t(V).requires_grad_()
    f(q).sum().backward()
    return q.grad


def unrecorded(x):
    with fg.no_grad():
        y = x * 2
    return (y * x).sum()


def outside(f):
    with fg.no_grad():
        return f()


def written(x):
    x.mul_(x)
    return (x * x).sum()


def replaced(x):
    y = x.clone()
    y[0] = x[1]
    return y


def tripled(x):
    y = x * 1
    y.register_hook(lambda g: g * 3)
    return (y * 2).sum()


def kept(g):
    _, pullback = F.vjp(lambda x: x**3, t(A))
    return F.jvp(lambda h: pullback(h * g)[0], (g,), (g,))[1]


cube = lambda x: (x**3).sum()  # noqa: E731
E = np.eye(4)
CASES = {
    # closures over a leaf of the tape
    "a gradient's gradient reads a leaf": (
        lambda: through_a_leaf(lambda q: F.grad(lambda x: (F.grad(lambda x: (x**3 * q).sum())(x) * q).sum())(t(A))),
        12 * A * V,
    ),
    "forward mode reads a leaf": (
        lambda: through_a_leaf(lambda q: F.jvp(lambda x: (x**3 * q).sum(), (t(A),), (q * 2,))[1]),
        12 * A**2 * V,
    ),
    "a mapped gradient reads a leaf": (
        lambda: through_a_leaf(lambda q: F.vmap(F.grad(lambda x: ((x * q) ** 3).sum()))(t(B))),
        (9 * B**2 * V**2).sum(0),
    ),
    "a Hessian reads a leaf": (
        lambda: through_a_leaf(lambda q: F.hessian(lambda x: ((x * q) ** 3).sum())(t(A))),
        18 * A * V**2,
    ),
    "a pullback reads a leaf": (
        lambda: through_a_leaf(lambda q: F.vjp(lambda x: (x * q) ** 3, t(A))[1](q)[0]),
        12 * A**2 * V**3,
    ),
    "a leaf is the tangent": (
        lambda: through_a_leaf(lambda q: F.jvp(lambda x: x.sin(), (t(A),), (q,))[1]),
        np.cos(A),
    ),
    "a leaf is the primal": (lambda: through_a_leaf(lambda q: F.jvp(lambda x: x**3, (q,), (t(A),))[1]), 6 * V * A),
    "a leaf is linearized": (lambda: through_a_leaf(lambda q: F.linearize(lambda x: x**3, q)[1](t(A))), 6 * V * A),
    # constants
    "detach": (lambda: F.grad(lambda x: (x.detach() * x).sum())(t(A)), A),
    "detach, forward": (lambda: F.jvp(lambda x: x.detach() * x, (t(A),), (t(V),))[1], A * V),
    "detach in a batch": (lambda: F.vmap(F.grad(lambda x: (x.detach() * x).sum()))(t(B)), B),
    "no_grad inside": (lambda: F.grad(unrecorded)(t(A)), 2 * A),
    "no_grad outside": (lambda: outside(lambda: F.grad(cube)(t(A))), 3 * A**2),
    "no_grad outside of both": (lambda: outside(lambda: F.vhp(cube, t(A), t(V))), 6 * A * V),
    "a constant function": (lambda: F.jacfwd(fg.ones_like)(t(A)), np.zeros((4, 4))),
    "a constant function, reverse": (lambda: F.jacrev(lambda x: fg.ones_like(x) * 1.0)(t(A)), np.zeros((4, 4))),
    "the identity": (lambda: F.jacrev(lambda x: x)(t(A)), E),
    "the identity, forward": (lambda: F.jacfwd(lambda x: x)(t(A)), E),
    # writes
    "forward mode writes into its argument": (lambda: F.jvp(written, (t(A),), (t(V),))[1], (4 * A**3 * V).sum()),
    "a batch is written": (lambda: F.vmap(written)(t(B)), (B**4).sum(1)),
    "an element is replaced": (lambda: F.vmap(replaced)(t(B)), B[:, [1, 1, 2, 3]]),
    "a hook inside": (lambda: F.grad(tripled)(t(A)), np.full(4, 6.0)),
    # arguments and results
    "one tensor twice": (
        lambda: (lambda z: sum(F.grad(lambda x, y: (x * y * y).sum(), (0, 1))(z, z)))(t(A)),
        3 * A**2,
    ),
    "a pullback again": (lambda: (lambda p: p(t(V))[0] + p(t(V))[0])(F.vjp(lambda x: x**2, t(A))[1]), 4 * A * V),
    "the tangent of a pullback, mapped": (lambda: F.vmap(kept)(t(E)), 3 * A**2 * E),
    "an auxiliary value is differentiated": (
        lambda: F.grad(lambda x: F.grad(lambda y: ((y * x).sum(), y * x), has_aux=True)(x)[1].sum())(t(A)),
        2 * A,
    ),
    "a 0-d tensor": (lambda: F.hessian(lambda x: x**4)(t(2.0)), 48.0),
    "a batch of 0-d tensors": (lambda: F.vmap(F.grad(lambda x: x**3))(t(A)), 3 * A**2),
    "an empty batch": (lambda: F.vmap(F.grad(cube))(t(np.zeros((0, 4)))), np.zeros((0, 4))),
    "an empty tensor": (lambda: F.jacrev(lambda x: x * 2)(t(np.zeros(0))), np.zeros((0, 0))),
    "an empty tensor, forward": (lambda: F.jvp(cube, (t(np.zeros(0)),), (t(np.zeros(0)),))[1], 0.0),
    "integers in a batch": (lambda: F.vmap(lambda x, i: x[i])(t(B), t([1, 2, 0])), B[[0, 1, 2], [1, 2, 0]]),
    "integers are constants": (lambda: F.vmap(F.grad(lambda x, i: x[i] ** 2))(t(B), t([1, 2, 0])), None),
    # which perturbation is meant
    "a gradient inside a tangent": (
        lambda: F.jvp(lambda x: F.grad(lambda y: (x * y * x).sum())(x), (t(A),), (t(V),))[1],
        2 * A * V,
    ),
    "three of them": (
        lambda: F.vmap(lambda x: F.jvp(lambda y: F.grad(lambda z: (z * y * x).sum())(y), (x,), (x,))[1])(t(B)),
        B**2,
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_closed_form(name):
    call, expected = CASES[name]
    if expected is None:
        expected = np.zeros_like(B)
        for row, i in enumerate((1, 2, 0)):
            expected[row, i] = 2 * B[row, i]
    found = call().detach().numpy()
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_a_write_into_what_reverse_mode_differentiates_by_is_refused_and_changes_nothing():
    x = t(A)
    with pytest.raises(RuntimeError, match="in-place operation"):
        F.grad(written)(x)
    assert x.numpy().tolist() == A.tolist()


def test_tangents_are_never_written():
    v = t(V)
    F.jvp(written, (t(A),), (v,))
    assert v.numpy().tolist() == V.tolist()


def test_a_backward_of_ones_own_may_write_into_a_view_under_forward_mode():
    """In a run that does not record: the tangent of what is written goes to the view's base."""

    class Cube(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            slopes = fg.zeros(3, dtype=x.dtype)
            slopes[1:] = 3 * x * x
            return g * slopes[1:]

    x = fg.tensor([1.0, 2.0], dtype=fg.float64)
    assert F.hvp(lambda x: Cube.apply(x).sum(), x, fg.ones_like(x)).tolist() == [6.0, 12.0]
    assert F.jvp(F.grad(lambda x: Cube.apply(x).sum()), (x,), (fg.ones_like(x),))[1].tolist() == [6.0, 12.0]


def test_a_buffer_filled_through_views_has_derivatives_of_third_order():
    """Whether the gradient of a write is dense, or what it wrote into stands for a batch, is of no matter."""

    def filled(x):
        b = fg.zeros_like(x)
        b[0] = x[1] * x[2]
        b[1:] = x[:3] ** 3
        return b

    def formula(x):
        return fg.cat([x[1:2] * x[2:3], x[:3] ** 3])

    x, v = t(A), t(V)
    for derivative in (
        lambda f: F.linearize(lambda x: F.jacfwd(f)(x) @ x, x)[1](v),
        lambda f: F.grad(lambda x: (F.jacfwd(f)(x) @ x).sum())(x),
        lambda f: F.hvp(lambda x: (F.jvp(f, (x,), (x.sin(),))[1] * x).sum(), x, v),
        lambda f: F.hvp(lambda x: F.jacrev(lambda x: F.jvp(f, (x,), (x.sin(),))[1])(x).sum(), x, v),
        lambda f: F.grad(lambda x: (F.jacfwd(lambda x: F.hvp(lambda x: f(x).sum(), x, v))(x) @ x).sum())(x),
    ):
        np.testing.assert_allclose(derivative(filled).numpy(), derivative(formula).numpy(), rtol=1e-11, atol=1e-12)
