"""Finds the floor: the hand-written C steps in `benchmarks/floor` of a checkout, which are not part of the package."""

import functools
import importlib.util
import pathlib
import sys

from .problem import NotTimedError

_folder = None


def use_folder(folder):
    """Where to look instead of in the current folder and those above it."""
    global _folder
    _folder = folder
    module.cache_clear()


def checkout():
    """The root of the checkout whose floor is used, or None."""
    here = pathlib.Path.cwd()
    places = [_folder.resolve().parents[1]] if _folder else [here, *here.parents]
    return next((place for place in places if (place / "benchmarks/floor/mlp.c").exists()), None)


@functools.cache
def module():
    """The module that builds and calls the floor; NotTimedError where there is none."""
    root = checkout()
    if root is None:
        raise NotTimedError(
            "its C source is in benchmarks/floor of a checkout: run `fastgrad bench` there or say --floor FOLDER"
        )
    path = root / "benchmarks/floor/__init__.py"
    spec = importlib.util.spec_from_file_location("fastgrad_floor", path)
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


def why_not():
    """None where the floor can be built and run, else the reason."""
    try:
        found = module()
        found.library(), found.openblas()
    except NotTimedError as reason:
        return str(reason)
    except (found.FloorError, OSError) as reason:
        return str(reason).splitlines()[0]
    return None


class FloorStep:
    """The training step in C."""

    def __init__(self, problem, lr):
        net = problem.net
        if net.loss != "cross_entropy":
            raise NotTimedError("has cross-entropy only")
        floor = module()
        self.problem = problem
        try:
            self.mlp = floor.Mlp(net.sizes, net.batch, problem.params, net.optimizer, lr=lr, weight_decay=problem.decay)
        except floor.FloorError as reason:
            raise NotTimedError(str(reason)) from None

    def losses(self, n):
        return self.mlp.run(self.problem.x, self.problem.labels, n, losses=True)

    def run(self, n):
        self.mlp.run(self.problem.x, self.problem.labels, n)
