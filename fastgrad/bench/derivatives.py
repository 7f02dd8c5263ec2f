"""Gradients, Hessian-vector products, Hessians and Jacobians.

The products are written in `autograd.grad`, the matrices in `func.hessian` and `func.jacrev`; what a library does not
have yet is "not yet".
"""

import importlib
from itertools import pairwise

import numpy as np

from . import harness
from .contenders import library, one_line, torch_alike
from .problem import NotTimedError
from .results import Table, Verdict

# Batch, sizes, and how many gradients a Hessian-vector product costs, counted in matrix products.
NETS = [
    (64, (64, 64, 10), 2.19),
    (128, (784, 512, 256, 10), 2.33),
    (256, (784, 1024, 1024, 10), 2.66),
]
MARGIN = 1.15
VARIABLES = 50
WIDE = (100, 100, 100)


def section(context):
    run = context.run
    libraries = torch_alike(run)
    _products(context, libraries)
    _matrices(context, libraries)


def _products(context, libraries):
    run = context.run
    table = Table("products of Hessians", "Gradient and Hessian-vector product of an MLP", list(libraries), "fastgrad")
    run.tables.append(table)
    for batch, sizes, counted in NETS[: 1 if context.quick else None]:
        label = f"{batch} x {'-'.join(map(str, sizes))}"
        context.progress(label)
        steps = {}
        for name, torch in libraries.items():
            gradient, products = _mlp(torch, batch, sizes)
            steps["gradient", name] = harness.repeated(gradient)
            for what, product in products.items():
                try:
                    right = _is_right(gradient, product)
                except Exception as error:
                    run.note(name, one_line(error), f"{label}, {what}")
                    continue
                if right:
                    steps[what, name] = harness.repeated(product)
                else:
                    run.note(name, f"{what} is not the difference of gradients", label)
        rounds = context.rounds if batch < 256 else max(3, context.rounds // 2)
        for (what, name), time in harness.interleave(steps, rounds).items():
            table.rows.setdefault(f"{label}, {what}", {})[name] = time
        rows = [(what, cells) for what, cells in table.rows.items() if what.startswith(label) and "fastgrad" in cells]
        ours = {what: cells["fastgrad"].median for what, cells in rows}
        one, limit = ours.pop(f"{label}, gradient"), MARGIN * counted
        cost = min(ours.values()) / one
        run.verdicts.append(Verdict("6", f"Hv of {label}", f"≤ {limit:.2f} gradients", f"{cost:.2f}", cost <= limit))


def _mlp(torch, batch, sizes):
    """The gradient at the parameters moved by h along a vector, and the ways to the Hessian's product with it."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((batch, sizes[0])).astype(np.float32))
    target = torch.from_numpy(rng.integers(0, sizes[-1], batch))
    params, functional, grad = [], torch.nn.functional, torch.autograd.grad
    for i, o in pairwise(sizes):
        for shape in ((o, i), (o,)):
            value = (rng.standard_normal(shape) / np.sqrt(i)).astype(np.float32)
            params.append(torch.from_numpy(value).requires_grad_())
    ones = [torch.ones_like(p) * 0.01 for p in params]

    def loss(params):
        z = x
        for k in range(0, len(params), 2):
            z = functional.linear(z, params[k], params[k + 1])
            z = torch.tanh(z) if k < len(params) - 2 else z
        return functional.cross_entropy(z, target)

    def gradient(h=0.0):
        moved = [(p + h * v).detach().requires_grad_() for p, v in zip(params, ones, strict=True)] if h else params
        return grad(loss(moved), moved)

    def twice():
        first = grad(loss(params), params, create_graph=True)
        return grad(first, params, ones)

    products, values = {"Hv, reverse over reverse": twice}, [p.detach() for p in params]
    try:
        func = importlib.import_module(f"{torch.__name__}.func")
    except ImportError:
        return gradient, products
    if hasattr(func, "hvp"):
        products["Hv, forward over reverse"] = lambda: func.hvp(loss, (values,), (ones,))[0]
    else:
        slope = func.grad(loss)
        products["Hv, forward over reverse"] = lambda: func.jvp(slope, (values,), (ones,))[1]
    return gradient, products


def _is_right(gradient, product):
    """Whether the product is the difference of gradients."""
    h = 1e-2
    ahead, behind, got = gradient(h), gradient(-h), product()
    difference = sum(float(((a - b) / (2 * h) - v).square().sum()) for a, b, v in zip(ahead, behind, got, strict=True))
    return difference <= 1e-2 * sum(float(v.square().sum()) for v in got)


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    return (100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2).sum()


def _matrices(context, libraries):
    run, columns = context.run, [*libraries, "jax.jit"]
    table = Table("matrices", f"Rosenbrock's function of {VARIABLES} variables; a 100-100-100 net", columns, "fastgrad")
    run.tables.append(table)
    makers = {name: _eager(torch) for name, torch in libraries.items()}
    try:
        makers["jax.jit"] = _jitted(library("jax"))
    except NotTimedError as reason:
        run.note("jax.jit", str(reason))
    for what, limit in (("gradient", 5), ("Hessian", 100), ("VJP", 6), ("Jacobian", 60)):
        context.progress(what)
        cells, steps, values = {}, {}, {}
        for name, made in makers.items():
            step = made.get(what)
            if step is None:
                cells[name] = "not yet"
                run.note(name, "not yet", what)
            else:
                try:
                    values[name], steps[name] = np.asarray(step()), harness.repeated(step)
                except Exception as error:
                    cells[name] = "-"
                    run.note(name, one_line(error), what)
        for name, value in values.items():
            if not np.allclose(value, next(iter(values.values())), rtol=1e-3, atol=1e-2):
                run.note(name, "differs from the others", what)
                del steps[name]
        label = f"{'Rosenbrock' if what in ('gradient', 'Hessian') else '100-100-100'}, {what}"
        cells = table.rows[label] = cells | harness.interleave(steps, context.rounds)
        run.verdicts.append(context.within("6", label, cells.get("fastgrad"), 1e3 * limit))


def _inputs():
    rng = np.random.default_rng(0)
    point = rng.standard_normal(VARIABLES).astype(np.float32)
    weights = [(rng.standard_normal((o, i)) / np.sqrt(i)).astype(np.float32) for i, o in pairwise(WIDE)]
    return point, weights, rng.standard_normal(WIDE[0]).astype(np.float32), np.ones(WIDE[-1], np.float32)


def _eager(torch):
    point, weights, x, g = _inputs()
    point, x = torch.from_numpy(point).requires_grad_(), torch.from_numpy(x).requires_grad_()
    (w1, w2), g, grad = map(torch.from_numpy, weights), torch.from_numpy(g), torch.autograd.grad

    def net(x):
        return torch.tanh(x @ w1.T) @ w2.T

    found = {
        "gradient": lambda: grad(rosenbrock(point), point)[0],
        "VJP": lambda: grad(net(x), x, g)[0],
    }
    try:
        func = importlib.import_module(f"{torch.__name__}.func")
    except ImportError:
        return found
    hessian, jacobian = func.hessian(rosenbrock), func.jacrev(net)
    at, where = point.detach(), x.detach()
    return found | {"Hessian": lambda: hessian(at), "Jacobian": lambda: jacobian(where)}


def _jitted(jax):
    point, weights, x, g = _inputs()
    w1, w2 = weights

    def net(x):
        return jax.numpy.tanh(x @ w1.T) @ w2.T

    def call(f, *operands):
        f, operands = jax.jit(f), [jax.numpy.array(v) for v in operands]
        return lambda: f(*operands).block_until_ready()

    return {
        "gradient": call(jax.grad(rosenbrock), point),
        "Hessian": call(jax.hessian(rosenbrock), point),
        "VJP": call(lambda x, g: jax.vjp(net, x)[1](g)[0], x, g),
        "Jacobian": call(jax.jacrev(net), x),
    }
