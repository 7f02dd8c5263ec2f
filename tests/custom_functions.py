"""One function, x**2 sin(a) exp(x), in every style in which a custom function can be written, and points to try it at."""

import numpy as np

import fastgrad as fg
from fastgrad import func as F
from fastgrad.autograd import Function, custom_jvp, custom_vjp
from fastgrad.utils.checkpoint import checkpoint

rng = np.random.default_rng(0)
X, V, A = (fg.tensor(rng.uniform(0.5, 1.5, size=(3, 4))) for _ in range(3))
EYE = fg.tensor(np.eye(4))


def close(a, b, rtol=1e-11, atol=1e-13):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)


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
