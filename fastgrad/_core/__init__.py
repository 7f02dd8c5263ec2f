"""The compiled core. Its modules in the order of their arrows: each imports only modules before it."""

import importlib as _importlib

from . import table

# The families of the table: each registers its records and user functions as it is imported.
FAMILIES = (
    "slices",
    "attributes",
    "create",
    "interop",
    "convert",
    "copying",
    "elementwise",
    "activation",
    "reduce",
    "rows",
    "losses",
    "cross_entropy",
    "norms",
    "linalg",
    "indexing",
    "gather",
    "joining",
    "multi",
    "context",
    "random",
    "attention",
    "order",
    "compose",
    "einsum",
)
for _name in FAMILIES:
    _importlib.import_module(f"{__name__}.{_name}")
table.check_table()
from . import transforms  # noqa: E402
from ._errors import DTypeError, ForgottenZeroGrad, MissingState, ShapeError  # noqa: E402
from .arguments import contiguous_format, device, preserve_format, strided  # noqa: E402
from .context import once_differentiable  # noqa: E402
from .convert import set_printer  # noqa: E402
from .copying import Parameter  # noqa: E402
from .function import Function  # noqa: E402
from .gradients import RemovableHandle, backward, grad  # noqa: E402
from .losses import broadcast_loss, set_loss_broadcasting  # noqa: E402
from .memory import DTYPES, Size, empty_cache, memory_stats, reset_peak_memory_stats  # noqa: E402
from .memory import DType as dtype  # noqa: E402
from .modes import (  # noqa: E402
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .multi import clear_grads, clip_grad_norm, clip_grads_, grad_norm, multi_step  # noqa: E402
from .random import (  # noqa: E402
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .record import module_changed  # noqa: E402
from .recorder import CompileError, forbid_recorded, module_replaced  # noqa: E402
from .saving import saved_tensors_hooks  # noqa: E402
from .table import functions  # noqa: E402
from .tensor import Tensor, get_default_dtype, set_default_dtype  # noqa: E402

globals().update(DTYPES)
globals().update(functions)
