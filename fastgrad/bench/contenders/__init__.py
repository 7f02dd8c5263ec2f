"""The training step as each library writes it, and which of them are here.

A step is made by `make(problem, lr)`; `losses(n)` runs n steps and returns their losses, `run(n)` runs n and returns
nothing. To add a contender, write such a class and one line of `CONTENDERS`: a name, the module that must be
importable, and what makes the step. A maker raises NotTimedError where it cannot run a problem.
"""

import importlib
import importlib.metadata
from functools import partial

from .. import floor
from ..problem import NotTimedError


def _torch_like(problem, lr, *, library, kind="TorchStep", **options):
    from . import torch_like

    return getattr(torch_like, kind)(problem, lr, library=importlib.import_module(library), **options)


def _module(problem, lr, *, module, kind, **options):
    return getattr(importlib.import_module(f"{__name__}.{module}"), kind)(problem, lr, **options)


CONTENDERS = {
    "floor": (None, floor.FloorStep),
    "fastgrad": ("fastgrad", partial(_torch_like, library="fastgrad")),
    "fastgrad compiled": ("fastgrad", partial(_torch_like, library="fastgrad", kind="CompiledStep")),
    "fastgrad compiled loop": ("fastgrad", partial(_torch_like, library="fastgrad", kind="CompiledLoopStep")),
    "torch": ("torch", partial(_torch_like, library="torch")),
    "torch fused": ("torch", partial(_torch_like, library="torch", fused=True)),
    "torch.compile": ("torch", partial(_torch_like, library="torch", kind="CompiledLossStep", fused=True)),
    "jax.jit": ("jax", partial(_module, module="jax_step", kind="JaxStep")),
    "jax.jit loop": ("jax", partial(_module, module="jax_step", kind="JaxLoop")),
    "autograd": ("autograd", partial(_module, module="arrays", kind="AutogradStep")),
    "MyGrad": ("mygrad", partial(_module, module="arrays", kind="MyGradStep")),
    "tinygrad": ("tinygrad", partial(_module, module="tinygrad_step", kind="TinygradStep")),
    "micrograd": ("micrograd", partial(_module, module="arrays", kind="MicrogradStep")),
    "scikit-learn": ("sklearn", partial(_module, module="sklearn_step", kind="SklearnStep")),
    "NumPy by hand": (None, partial(_module, module="arrays", kind="BaselineStep", baseline="flat_numpy")),
    "NumPy tape": (None, partial(_module, module="arrays", kind="BaselineStep", baseline="numpy_tape")),
    "NumPy gates": (None, partial(_module, module="arrays", kind="BaselineStep", baseline="gates")),
    "pure Python": (None, partial(_module, module="arrays", kind="BaselineStep", baseline="scalar_tape")),
}
# What the tables of several sections call the peers.
DISTRIBUTIONS = {
    "torch": "torch",
    "jax": "jax",
    "autograd": "autograd",
    "mygrad": "mygrad",
    "tinygrad": "tinygrad",
    "micrograd": "micrograd",
    "sklearn": "scikit-learn",
}


def use_threads(threads):
    """Tells the peers that do not read it from the environment how many threads they may use."""
    if version("torch"):
        library("torch").set_num_threads(threads)


def version(module):
    """The version of an installed peer, or None."""
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(module, module))
    except importlib.metadata.PackageNotFoundError:
        return None


def library(module):
    """The module of a peer; NotTimedError where it is not installed or does not load."""
    if version(module) is None and module != "fastgrad":
        raise NotTimedError("not installed")
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise NotTimedError(f"is installed but does not load: {one_line(error)}") from error


def torch_alike(run):
    """fastgrad and, where it is installed, PyTorch, by name; what is missing is noted in the run with the reason."""
    found = {}
    for name in ("fastgrad", "torch"):
        try:
            found[name] = library(name)
        except NotTimedError as reason:
            run.note(name, str(reason))
    return found


def available(run, names=None):
    """Name -> maker of the contenders that are here; the others are noted in the run with the reason."""
    found = {}
    for name in names or CONTENDERS:
        module, make = CONTENDERS[name]
        try:
            if module is not None:
                library(module)
            elif name == "floor" and (reason := floor.why_not()):
                raise NotTimedError(reason)
        except NotTimedError as reason:
            run.note(name, str(reason))
        else:
            found[name] = make
    return found


def one_line(error):
    """The class and the first line of an exception."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
