"""Matrix products, float32, in the three layouts that a step needs: NN forward, NT and TN backward."""

import numpy as np

from . import harness
from .contenders import library
from .problem import NotTimedError
from .results import Table

CUBES = (1, 8, 16, 32, 64, 128, 256, 512, 1024)
SKINNY = ((1, 64, 64), (64, 10, 64), (32, 128, 784))
LAYOUTS = ("NN", "NT", "TN")


def section(context):
    run = context.run
    table = Table("products", "Matrix products m x n x k, float32", ["fastgrad", "NumPy", "torch"], "fastgrad")
    table.note = "NT multiplies by a transposed weight, TN by a transposed input; nothing is recorded."
    run.tables.append(table)
    libraries = {}
    for name in ("fastgrad", "torch"):
        try:
            libraries[name] = library(name)
        except NotTimedError as reason:
            run.note(name, str(reason))
    shapes = [(n, n, n) for n in (CUBES[1:6:2] if context.quick else CUBES)] + list(SKINNY)
    for shape in shapes:
        context.progress("x".join(map(str, shape)))
        for layout in LAYOUTS:
            a, b = operands(*shape, layout)
            products = {"NumPy": (np.matmul, a, b)}
            for name, torch in libraries.items():
                products[name] = (torch.matmul, _tensor(torch, a), _tensor(torch, b))
            _check(run, products)
            steps = {name: _repeated(*product) for name, product in products.items()}
            seconds = 0.02 if np.prod(shape) > 1e7 else 0.005
            cells = harness.interleave(steps, context.rounds, seconds)
            table.rows[f"{'x'.join(map(str, shape))} {layout}"] = cells


def operands(m, n, k, layout):
    """Arrays of m x k and k x n, of which the one that the layout names is a transposed view."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((k, m) if layout == "TN" else (m, k)).astype(np.float32)
    b = rng.standard_normal((n, k) if layout == "NT" else (k, n)).astype(np.float32)
    return a.T if layout == "TN" else a, b.T if layout == "NT" else b


def _tensor(torch, x):
    return torch.from_numpy(x) if x.flags.c_contiguous else torch.from_numpy(x.T).mT


def _check(run, products):
    want = np.matmul(*products["NumPy"][1:])
    for name in [name for name in products if name != "NumPy"]:
        f, a, b = products[name]
        if not np.allclose(f(a, b).numpy(), want, rtol=1e-4, atol=1e-3):
            run.note(name, "a matrix product differs from NumPy's")
            del products[name]


def _repeated(f, a, b):
    def run(n):
        for _ in range(n):
            f(a, b)

    return run
