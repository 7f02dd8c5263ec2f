"""The compiled core. Modules in the order of their arrows: each may import those above it."""

import importlib

from . import memory, tensor, inplace, table, shape, backward, modes  # noqa: F401

# The families of the table; each registers its records and user functions when it is imported.
FAMILIES = ("elementwise", "reduce", "rows", "linalg", "indexing")
for _name in FAMILIES:
    try:
        importlib.import_module(f"{__name__}.{_name}")
    except ModuleNotFoundError:
        pass
