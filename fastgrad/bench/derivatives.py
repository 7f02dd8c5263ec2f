"""Gradients, Hessian-vector products, Hessians and Jacobians.

The products are written in `autograd.grad` and `func.hvp`, the matrices in `func.hessian` and `func.jacrev`; what a
library does not have yet is "not yet". Compiled, they are the functions of `func` in one `fastgrad.compile` or `jax.jit`.
"""

import importlib
from itertools import pairwise

import numpy as np

from . import harness
from .contenders import library, one_line, torch_alike
from .problem import NotTimedError
from .results import Measure, Table, Verdict

COMPILED, FORWARD = "fastgrad compiled", "Hv, forward over reverse"
# Batch, sizes, and how many gradients a Hessian-vector product costs, counted in matrix products: eager and
# compiled, where what nothing reads is left out.
NETS = [
    (64, (64, 64, 10), 2.19, 1.72),
    (128, (784, 512, 256, 10), 2.33, 1.89),
    (256, (784, 1024, 1024, 10), 2.66, 2.27),
]
MARGINS = (1.15, 1.1)
VARIABLES = 50
WIDE = (100, 100, 100)
# What is computed -> microseconds, eager and compiled.
LIMITS = {"gradient": (5, 1.3), "Hessian": (100, 5), "VJP": (6, 2.5), "Jacobian": (60, 25)}
# Sizes of nets whose Jacobian is taken in the mode that jacobian() chooses, and in both.
CHOICES = [(100, 64, 100), (200, 64, 20), (20, 64, 200)]
CHOICE = 1.1


def section(context):
    libraries = torch_alike(context.run)
    _products(context, libraries)
    _matrices(context, libraries)
    _choices(context)


def _products(context, libraries):
    run = context.run
    columns = [*libraries, COMPILED, "jax.jit"]
    table = Table("products of Hessians", "Gradient and Hessian-vector product of an MLP", columns, "fastgrad")
    run.tables.append(table)
    for batch, sizes, *counted in NETS[: 1 if context.quick else None]:
        label = f"{batch} x {'-'.join(map(str, sizes))}"
        context.progress(label)
        values = _values(batch, sizes)
        made = {name: _mlp(torch, *values) for name, torch in libraries.items()}
        made[COMPILED] = _compiled_mlp(libraries["fastgrad"], *values)
        try:
            made["jax.jit"] = _jitted_mlp(library("jax"), *values)
        except NotTimedError as reason:
            run.note("jax.jit", str(reason))
        moved, steps = made["fastgrad"][0], {}
        for name, (gradient, products) in made.items():
            steps["gradient", name] = harness.repeated(gradient)
            for what, product in products.items():
                try:
                    right = _is_right(moved, product)
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
        for name, margin, ratio in zip(("fastgrad", COMPILED), MARGINS, counted, strict=True):
            run.verdicts.append(_in_gradients(table, label, name, margin * ratio))


def _in_gradients(table, label, name, limit):
    """The verdict on the fastest product: how many gradients of the same kind it takes."""
    times = {what: cells[name].median for what, cells in table.rows.items() if what.startswith(label) and name in cells}
    one, target = times.pop(f"{label}, gradient"), f"≤ {limit:.2f} gradients"
    if not times:
        return Verdict("6", f"Hv of {label}, {name}", target, "-", None)
    cost = min(times.values()) / one
    return Verdict("6", f"Hv of {label}, {name}", target, f"{cost:.2f}", cost <= limit)


def _values(batch, sizes):
    """Inputs, labels, parameters and a direction for each, as arrays."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, sizes[0])).astype(np.float32)
    target, params = rng.integers(0, sizes[-1], batch), []
    for i, o in pairwise(sizes):
        for shape in ((o, i), (o,)):
            params.append((rng.standard_normal(shape) / np.sqrt(i)).astype(np.float32))
    return x, target, params, [np.full_like(p, 0.01) for p in params]


def _loss(torch, x, target):
    functional = torch.nn.functional

    def loss(params):
        z = x
        for k in range(0, len(params), 2):
            z = functional.linear(z, params[k], params[k + 1])
            z = torch.tanh(z) if k < len(params) - 2 else z
        return functional.cross_entropy(z, target)

    return loss


def _mlp(torch, x, target, params, direction):
    """The gradient at the parameters moved by h along the direction, and the ways to the Hessian's product with it."""
    loss, grad = _loss(torch, *map(torch.from_numpy, (x, target))), torch.autograd.grad
    params, direction = [torch.from_numpy(p).requires_grad_() for p in params], [*map(torch.from_numpy, direction)]

    def gradient(h=0.0):
        moved = [(p + h * v).detach().requires_grad_() for p, v in zip(params, direction, strict=True)] if h else params
        return grad(loss(moved), moved)

    def twice():
        first = grad(loss(params), params, create_graph=True)
        return grad(first, params, direction)

    products, values = {"Hv, reverse over reverse": twice}, [p.detach() for p in params]
    try:
        func = importlib.import_module(f"{torch.__name__}.func")
    except ImportError:
        return gradient, products
    if hasattr(func, "hvp"):
        products[FORWARD] = lambda: func.hvp(loss, (values,), (direction,))[0]
    else:
        slope = func.grad(loss)
        products[FORWARD] = lambda: func.jvp(slope, (values,), (direction,))[1]
    return gradient, products


def _compiled_mlp(fastgrad, x, target, params, direction):
    loss, func = _loss(fastgrad, *map(fastgrad.from_numpy, (x, target))), fastgrad.func
    params, direction = ([*map(fastgrad.from_numpy, arrays)] for arrays in (params, direction))
    gradient = fastgrad.compile(func.grad(loss))
    product = fastgrad.compile(lambda values, vectors: func.hvp(loss, (values,), (vectors,))[0])
    return lambda: gradient(params), {FORWARD: lambda: product(params, direction)}


def _jitted_mlp(jax, x, target, params, direction):
    numpy = jax.numpy

    def loss(params):
        z = x
        for k in range(0, len(params), 2):
            z = z @ params[k].T + params[k + 1]
            z = numpy.tanh(z) if k < len(params) - 2 else z
        return -numpy.mean(numpy.take_along_axis(jax.nn.log_softmax(z), target[:, None], 1))

    x, target = numpy.array(x), numpy.array(target)
    params, direction = ([*map(numpy.array, arrays)] for arrays in (params, direction))
    gradient = jax.jit(jax.grad(loss))
    product = jax.jit(lambda values, vectors: jax.jvp(jax.grad(loss), (values,), (vectors,))[1])
    ready = jax.block_until_ready
    return lambda: ready(gradient(params)), {FORWARD: lambda: ready(product(params, direction))}


def _is_right(gradient, product):
    """Whether the product is the difference of gradients."""
    h = 1e-2
    ahead, behind, got = ([np.asarray(t.detach() if hasattr(t, "detach") else t) for t in ts]
                          for ts in (gradient(h), gradient(-h), product()))  # fmt: skip
    difference = sum(np.square((a - b) / (2 * h) - v).sum() for a, b, v in zip(ahead, behind, got, strict=True))
    return difference <= 1e-2 * sum(np.square(v).sum() for v in got)


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    return (100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2).sum()


def _matrices(context, libraries):
    run, columns = context.run, [*libraries, COMPILED, "jax.jit"]
    table = Table("matrices", f"Rosenbrock's function of {VARIABLES} variables; a 100-100-100 net", columns, "fastgrad")
    run.tables.append(table)
    makers = {name: _eager(torch) for name, torch in libraries.items()}
    makers[COMPILED] = _compiled(libraries["fastgrad"])
    try:
        makers["jax.jit"] = _jitted(library("jax"))
    except NotTimedError as reason:
        run.note("jax.jit", str(reason))
    for what, limits in LIMITS.items():
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
        for name, limit in zip(("fastgrad", COMPILED), limits, strict=True):
            run.verdicts.append(context.within("6", f"{label}, {name}", cells.get(name), 1e3 * limit))
        run.verdicts.append(_against(label, cells, COMPILED, "jax.jit"))


def _against(label, cells, name, peer):
    ours, theirs = cells.get(name), cells.get(peer)
    what, target = f"{label}, {name}", f"≤ 1x {peer}"
    if not isinstance(ours, Measure) or not isinstance(theirs, Measure):
        return Verdict("6", what, target, f"no {peer}" if isinstance(ours, Measure) else "-", None)
    multiple = ours.median / theirs.median
    return Verdict("6", what, target, f"{multiple:.3g}x", multiple <= 1)


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


def _compiled(fastgrad):
    point, weights, x, g = _inputs()
    func, (w1, w2) = fastgrad.func, map(fastgrad.from_numpy, weights)

    def net(x):
        return fastgrad.tanh(x @ w1.T) @ w2.T

    def call(f, *operands):
        f, operands = fastgrad.compile(f), [*map(fastgrad.from_numpy, operands)]
        return lambda: f(*operands)

    return {
        "gradient": call(func.grad(rosenbrock), point),
        "Hessian": call(func.hessian(rosenbrock), point),
        "VJP": call(lambda x, g: func.vjp(net, x)[1](g)[0], x, g),
        "Jacobian": call(func.jacrev(net), x),
    }


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


def _choices(context):
    """Jacobians in both modes, and in the one that jacobian() chooses."""
    fastgrad, run = library("fastgrad"), context.run
    table = Table("modes", "Jacobian of a net, by mode", ["reverse", "forward", "auto"], "auto")
    run.tables.append(table)
    rng, linear = np.random.default_rng(0), fastgrad.nn.functional.linear
    for sizes in CHOICES:
        label = "-".join(map(str, sizes))
        context.progress(label)
        weights = [(rng.standard_normal((o, i)) / np.sqrt(i)).astype(np.float32) for i, o in pairwise(sizes)]
        w1, w2 = map(fastgrad.from_numpy, weights)
        x = fastgrad.from_numpy(rng.standard_normal(sizes[0]).astype(np.float32))
        modes = {
            mode: fastgrad.func.jacobian(lambda x, w1=w1, w2=w2: linear(linear(x, w1).tanh(), w2), mode=mode)
            for mode in table.columns
        }
        steps = {mode: harness.repeated(lambda f=f, x=x: f(x)) for mode, f in modes.items()}
        cells = table.rows[label] = harness.interleave(steps, context.rounds)
        ratio = cells["auto"].median / min(cells["reverse"].median, cells["forward"].median)
        what, target = f"Jacobian of {label}, auto", f"≤ {CHOICE}x the better mode"
        run.verdicts.append(Verdict("6", what, target, f"{ratio:.2f}x", ratio <= CHOICE))
