"""The compiled core. Its modules in the order of their arrows: each imports only modules before it."""

import importlib as _importlib

from . import memory, tensor, inplace, table, shape, backward, modes  # noqa: F401

# The families of the table: each registers its records and user functions as it is imported.
FAMILIES = ("create", "elementwise", "reduce", "rows", "linalg", "indexing", "multi", "random")
for _name in FAMILIES:
    try:
        _importlib.import_module(f"{__name__}.{_name}")
    except ModuleNotFoundError:
        pass

from ._errors import DTypeError, MissingState, ShapeError  # noqa: E402, F401
from .backward import RemovableHandle, grad  # noqa: E402, F401
from .memory import DType as dtype  # noqa: E402, F401
from .memory import DTYPES, Size, empty_cache, memory_stats, reset_peak_memory_stats  # noqa: E402, F401
from .modes import (  # noqa: E402, F401
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .multi import clear_grads, clip_grads_, grad_norm, multi_step, scale_grads_  # noqa: E402, F401
from .table import functions  # noqa: E402
from .tensor import Tensor, get_default_dtype, set_default_dtype  # noqa: E402, F401

globals().update(functions)
