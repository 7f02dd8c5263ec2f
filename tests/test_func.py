"""fastgrad.func as its users call it: arguments, containers, auxiliary values, errors; autograd.functional; modules."""

from collections import namedtuple

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func as F
from fastgrad import nn

f64 = fg.float64


def t(*values):
    return fg.tensor(list(values), dtype=f64)


def close(a, b, rtol=1e-10, atol=1e-12):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol)


Pair = namedtuple("Pair", ["w", "b"])


def test_argnums_and_containers():
    def f(p, x, scale=1.0):
        return ((p["w"] * x).sum() + p["rest"][0].sum()) * scale

    p = {"w": t(1, 2), "rest": (t(3), [t(4)])}
    x = t(5, 6)
    g = F.grad(f)(p, x, scale=2.0)
    assert g["w"].tolist() == [10, 12]
    assert g["rest"][0].tolist() == [2]
    assert g["rest"][1][0].tolist() == [0]
    assert F.grad(f, argnums=1)(p, x).tolist() == [1, 2]
    both = F.grad(f, argnums=(1, 0))(p, x)
    assert isinstance(both, tuple)
    assert both[0].tolist() == [1, 2]
    assert both[1]["w"].tolist() == [5, 6]
    assert F.grad(f, argnums=-1)(p, x).tolist() == [1, 2]
    named = F.grad(lambda q: (q.w * q.w).sum() + q.b)(Pair(t(1, 2), fg.tensor(0.0, dtype=f64)))
    assert isinstance(named, Pair)
    assert named.w.tolist() == [2, 4]
    hessian = F.hessian(lambda p: (p["a"] * p["b"]).sum())({"a": t(1, 2), "b": t(3, 4)})
    assert hessian["a"]["b"].tolist() == [[1, 0], [0, 1]]
    assert hessian["a"]["a"].tolist() == [[0, 0], [0, 0]]


def test_auxiliary_values():
    def f(x):
        return (x * x).sum(), {"twice": x * 2, "note": "kept"}

    x = t(1, 2)
    g, aux = F.grad(f, has_aux=True)(x)
    assert (g.tolist(), aux["twice"].tolist(), aux["note"]) == ([2, 4], [2, 4], "kept")
    (value, aux), g = F.value_and_grad(f, has_aux=True)(x)
    assert (value.item(), g.tolist()) == (5, [2, 4])
    assert F.grad_and_value(lambda x: x.sum())(x)[1].item() == 3
    y, _, aux = F.vjp(f, x, has_aux=True)
    assert y.item() == 5
    y, tangent, aux = F.jvp(f, (x,), (x,), has_aux=True)
    assert (y.item(), tangent.item()) == (5, 10)
    j, aux = F.jacrev(f, has_aux=True)(x)
    k, aux2 = F.jacfwd(f, has_aux=True)(x)
    assert j.tolist() == k.tolist() == [2, 4]
    assert aux["twice"].tolist() == aux2["twice"].tolist() == [2, 4]
    assert not any(a.requires_grad for a in (aux["twice"], value, aux2["twice"]))


def test_several_outputs():
    def f(x, y):
        return {"sum": x + y, "product": (x * y).sum()}

    x, y = t(1, 2), t(3, 4)
    out, pullback = F.vjp(f, x, y)
    gx, gy = pullback({"sum": t(1, 1), "product": fg.tensor(2.0, dtype=f64)})
    assert (gx.tolist(), gy.tolist()) == ([7, 9], [3, 5])
    for jacobian in (
        F.jacrev(f, (0, 1)),
        F.jacfwd(f, (0, 1)),
        F.jacobian(f, (0, 1)),
        F.jacrev(f, (0, 1), chunk_size=1),
    ):
        j = jacobian(x, y)
        assert j["sum"][0].tolist() == [[1, 0], [0, 1]]
        assert j["product"][1].tolist() == [1, 2]
    assert out["product"].item() == 11


@pytest.mark.parametrize("mode", ["auto", "reverse", "forward"])
def test_jacobians_of_every_shape(mode):
    w = fg.tensor(np.random.default_rng(0).normal(size=(5, 3)))
    for f, x in (
        (lambda x: w @ x.sin(), t(1, 2, 3)),
        (lambda x: (w @ x).exp().sum(), t(0.1, 0.2, 0.3)),
        (lambda x: x.sin().reshape(2, 2) @ x.reshape(2, 2), t(1, 2, 3, 4)),
        (lambda x: fg.stack([x, x * x]), fg.tensor(3.0, dtype=f64)),
    ):
        j = F.jacobian(f, mode=mode)(x)
        assert j.shape == f(x).shape + x.shape
        for index in np.ndindex(tuple(x.shape)):
            up, down = x.clone(), x.clone()
            up[index] += 1e-6
            down[index] -= 1e-6
            close(j[(..., *index)] if index else j, (f(up) - f(down)) / 2e-6, 1e-7, 1e-8)


def test_second_order_products():
    def f(x, y):
        return (x.sin() * y).sum() * y.sum()

    x, y, u, v = t(0.3, 0.7), t(1.1, -0.4), t(1, 2), t(-1, 0.5)
    h = F.hessian(f, (0, 1))(x, y)
    expected = (h[0][0] @ u + h[0][1] @ v, h[1][0] @ u + h[1][1] @ v)
    for product in (F.hvp(f, (x, y), (u, v)), F.vhp(f, (x, y), (u, v)), F.jvp(F.grad(f, (0, 1)), (x, y), (u, v))[1]):
        close(product[0], expected[0])
        close(product[1], expected[1])


def test_gauss_newton():
    w = fg.tensor(np.random.default_rng(1).normal(size=(4, 3)))
    x, v = t(0.1, -0.2, 0.3), t(1, 2, 3)

    def model(x):
        return (w @ x).tanh()

    def loss(y):
        return (y * y * y).sum()

    j, h = F.jacrev(model)(x), F.hessian(loss)(model(x))
    close(F.ggnvp(model, loss, x, v), j.T @ (h @ (j @ v)))
    close(F.ggnvp(model, loss, (x,), (v,))[0], j.T @ (h @ (j @ v)))
    targets = fg.tensor([0, 2])
    logits = lambda x: fg.stack([x, x * x])  # noqa: E731
    fisher = F.ggnvp(logits, lambda y: nn.functional.cross_entropy(y, targets), x, v)
    j = F.jacrev(logits)(x).reshape(6, 3)
    h = F.hessian(lambda y: nn.functional.cross_entropy(y, targets))(logits(x)).reshape(6, 6)
    close(fisher, j.T @ (h @ (j @ v)))


def test_a_linearized_function_is_linear_and_runs_once():
    calls = []

    def f(x, y):
        calls.append(1)
        return x.sin() * y, (x * y).sum()

    x, y, u, v = t(1, 2), t(3, 4), t(1, -1), t(0.5, 2)
    value, derivative = F.linearize(f, x, y)
    a, b = derivative(u, v)
    assert len(calls) == 1
    _, (c, d) = F.jvp(f, (x, y), (u, v))
    close(a, c)
    close(b, d)
    close(derivative(2 * u, 2 * v)[0], 2 * a)
    close(value[0], f(x, y)[0])
    rows = F.vmap(lambda u: derivative(u, v * 0)[0])(fg.eye(2, dtype=f64))
    close(rows, np.diag(np.cos([1.0, 2.0]) * [3, 4]))


def test_the_laplacian():
    def f(x):
        return (x**3).sum() * x[0] + (x[0] * x[1]).sin()

    x = t(0.4, 0.9, -0.3)
    close(F.laplacian(f)(x), np.trace(F.hessian(f)(x).numpy()))
    close(F.laplacian(f, chunk_size=2)(x), np.trace(F.hessian(f)(x).numpy()))
    X = fg.stack([x, 2 * x])
    close(F.vmap(F.laplacian(f))(X), [np.trace(F.hessian(f)(one).numpy()) for one in X])
    # a residual of Poisson's equation, differentiated by the weights of its solution
    w = t(0.5, 0.2, 0.1)
    g = F.grad(lambda w: F.laplacian(lambda x: (x * w).tanh().sum())(x) ** 2)(w)
    e = 1e-6
    slope = lambda w: F.laplacian(lambda x: (x * w).tanh().sum())(x) ** 2  # noqa: E731
    close(g, [((slope(w + d) - slope(w - d)) / (2 * e)).item() for d in fg.eye(3, dtype=f64) * e], 1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.grad(lambda x: x)(t(1, 2)), RuntimeError, "one real number"),
        (lambda: F.grad(lambda x: x.sum().long())(t(1, 2)), RuntimeError, "one real number"),
        (lambda: F.grad(lambda x: (x.sum(), 1))(t(1)), TypeError, "one Tensor"),
        (lambda: F.grad(lambda x: x.sum(), has_aux=True)(t(1)), RuntimeError, "pair"),
        (lambda: F.grad(lambda x: x.sum())(fg.arange(3)), TypeError, "float32 or float64"),
        (lambda: F.grad(lambda x: x)(3.0), TypeError, "float"),
        (lambda: F.grad(lambda x: x, argnums=1)(t(1)), ValueError, "argnums"),
        (lambda: F.grad(lambda x, y: x, argnums=(0, 0))(t(1), t(1)), ValueError, "argnums"),
        (lambda: F.jvp(lambda x: x, t(1), t(1)), TypeError, "tuple"),
        (lambda: F.jvp(lambda x: x, (t(1),), (t(1, 2),)), ValueError, "shape"),
        (lambda: F.jvp(lambda x: x, ([t(1)],), (t(1),)), ValueError, "structure"),
        (lambda: F.jvp(lambda x: t(1), (t(1),), (t(1),), strict=True), RuntimeError, "strict"),
        (lambda: F.vjp(lambda x: x, t(1))[1](t(1, 2)), ValueError, "shape"),
        (lambda: F.vjp(lambda x: (x, x), t(1))[1](t(1)), ValueError, "structure"),
        (lambda: F.jacobian(lambda x: x, mode="sideways"), ValueError, "mode"),
        (lambda: F.jacfwd(lambda x: x, randomness="some"), ValueError, "jacfwd: randomness"),
        (lambda: F.jacrev(lambda x: x, chunk_size=0)(t(1, 2)), ValueError, "chunk_size"),
        (lambda: F.hvp(lambda x: x, t(1, 2), t(1, 2)), RuntimeError, "one real number"),
        (lambda: F.jacrev(lambda x: x.tolist())(t(1, 2)), TypeError, "Tensors"),
    ],
)
def test_errors_say_what_is_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_input_that_is_not_used_has_zeros():
    assert F.grad(lambda x, y: (x * x).sum(), (0, 1))(t(1), t(2, 3))[1].tolist() == [0, 0]
    assert F.grad(lambda x: t(1).sum())(t(1, 2)).tolist() == [0, 0]
    assert F.jvp(lambda x: t(1), (t(1),), (t(1),))[1].tolist() == [0]
    assert F.jacrev(lambda x: t(1, 2))(t(1, 2)).tolist() == [[0, 0], [0, 0]]
    assert F.hvp(lambda x: x.sum(), t(1, 2), t(1, 2)).tolist() == [0, 0]
    assert F.hessian(lambda x: x.sum())(t(1, 2)).tolist() == [[0, 0], [0, 0]]


# ---- modules -------------------------------------------------------------------------------------------------------


def net():
    fg.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def test_a_module_as_a_function_of_its_parameters():
    model, x = net(), fg.tensor(np.random.default_rng(0).normal(size=(5, 3)))
    params = {name: p.detach() for name, p in model.named_parameters()}
    before = model(x)

    def loss(params, x):
        return (F.functional_call(model, params, (x,)) ** 2).sum()

    g = F.grad(loss)(params, x)
    (before**2).sum().backward()
    for name, p in model.named_parameters():
        close(g[name], p.grad)
    zeros = {name: p * 0 for name, p in params.items()}
    assert (F.functional_call(model, zeros, x) == 0).all()
    assert fg.equal(model(x), before)
    samples = F.vmap(F.grad(loss), (None, 0))(params, x)
    for name, s in samples.items():
        close(s.sum(0), g[name])
        assert s.shape == (5, *params[name].shape)
    # the penalty on per-sample gradient norms, differentiated by the parameters
    penalty = F.grad(lambda params: sum((s**2).sum() for s in F.vmap(F.grad(loss), (None, 0))(params, x).values()))(
        params
    )
    slow = F.grad(lambda params: sum((s**2).sum() for one in x for s in F.grad(loss)(params, one).values()))(params)
    for name in params:
        close(penalty[name], slow[name], 1e-9)


def test_functional_call_refuses():
    model = net()
    with pytest.raises(KeyError, match="nothing"):
        F.functional_call(model, {"nothing": t(1)}, t(1, 2, 3))
    with pytest.raises(RuntimeError, match="missing"):
        F.functional_call(model, {}, t(1, 2, 3), strict=True)
    with pytest.raises(TypeError, match="list"):
        F.functional_call(model, {"0.bias": [1.0]}, t(1, 2, 3))
    with pytest.raises(ValueError, match="more than one"):
        F.functional_call(model, ({"0.bias": t(1)}, {"0.bias": t(1)}), t(1, 2, 3))
    kept = model[0].bias
    with pytest.raises(ValueError, match="bias"):
        F.functional_call(model, {"0.bias": t(1, 2)}, t(1, 2, 3))
    assert model[0].bias is kept


def test_tied_weights():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    x = fg.ones(2)
    assert F.functional_call(model, {"0.weight": fg.eye(2) * 3}, x).tolist() == [9, 9]
    with pytest.raises(ValueError, match="tie_weights"):
        F.functional_call(model, {"0.weight": fg.eye(2), "1.weight": fg.eye(2) * 2}, x)
    untied = F.functional_call(model, {"0.weight": fg.eye(2), "1.weight": fg.eye(2) * 2}, x, tie_weights=False)
    assert untied.tolist() == [2, 2]


def test_an_ensemble_runs_at_once():
    models = [nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2)) for _ in range(3)]
    params, buffers = F.stack_module_state(models)
    x = fg.randn(5, 3)

    def call(params, buffers, x):
        return F.functional_call(models[0], (params, buffers), (x,))

    y = F.vmap(call, (0, 0, None))(params, buffers, x)
    expected = fg.stack([m(x) for m in models])
    close(y.detach(), expected.detach(), 1e-5, 1e-6)
    (y**2).sum().backward()
    (expected**2).sum().backward()
    for name, p in params.items():
        close(p.grad, fg.stack([dict(m.named_parameters())[name].grad for m in models]), 1e-4, 1e-5)
    with pytest.raises(RuntimeError, match="class"):
        F.stack_module_state([nn.ReLU(), nn.Tanh()])


# ---- autograd.functional -------------------------------------------------------------------------------------------


def test_functional():
    A = fg.autograd.functional
    x, y, v = t(0.3, 0.7), t(1.1, -0.4), t(1, 2)

    def f(x, y):
        return x.sin() * y, (x * y).sum()

    def g(x, y):
        return (x.sin() * y**2).sum()

    for strategy in ("reverse-mode", "forward-mode"):
        j = A.jacobian(f, (x, y), strategy=strategy)
        close(j[0][1], np.diag(np.sin(x.numpy())))
        close(j[1][0], y)
    h = A.hessian(g, (x, y))
    close(h[0][1], np.diag(2 * np.cos(x.numpy()) * y.numpy()))
    close(A.hessian(lambda x: g(x, y), x, outer_jacobian_strategy="forward-mode"), h[0][0])
    value, product = A.hvp(g, (x, y), (v, v))
    close(value, g(x, y))
    close(product[0], (h[0][0] + h[0][1]) @ v)
    close(A.vhp(g, (x, y), (v, v))[1][1], (h[1][0] + h[1][1]) @ v)
    _, product = A.vjp(f, (x, y), (v, fg.tensor(1.0, dtype=f64)))
    close(product[1], j[0][1].T @ v + j[1][1])
    _, product = A.jvp(f, (x, y), (v, v))
    close(product[0], (j[0][0] + j[0][1]) @ v)
    assert A.vjp(lambda x: x.sum(), x)[1].tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="left out"):
        A.jvp(lambda x: x, x)
    with pytest.raises(RuntimeError, match="independent"):
        A.jacobian(lambda x, y: x, (x, y), strict=True)
    with pytest.raises(ValueError, match="strategy"):
        A.jacobian(f, (x, y), strategy="sideways")


def test_functional_records_where_it_is_asked_to():
    A = fg.autograd.functional
    x = t(0.3, 0.7).requires_grad_()
    assert not A.jacobian(lambda x: x**3, x).requires_grad
    j = A.jacobian(lambda x: x**3, x, create_graph=True)
    (g,) = fg.autograd.grad(j.sum(), x)
    close(g, 6 * x.detach())
    (g,) = fg.autograd.grad(A.hvp(lambda x: (x**4).sum(), x, t(1, 1), create_graph=True)[1].sum(), x)
    close(g, 24 * x.detach())


def test_custom_functions_say_where_they_run():
    class Cube(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * g * x * x

    x, v = t(1, 2), t(1, -1)
    f = lambda x: Cube.apply(x).sum()  # noqa: E731
    assert F.grad(f)(x).tolist() == [3, 12]
    assert F.vhp(f, x, v).tolist() == [6, -12]
    for call in (lambda: F.vmap(Cube.apply)(x), lambda: F.jvp(Cube.apply, (x,), (v,)), lambda: F.hvp(f, x, v)):
        with pytest.raises(NotImplementedError, match="Cube"):
            call()
