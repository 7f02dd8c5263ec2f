"""fastgrad: automatic differentiation for small networks on a CPU, with PyTorch's names.

Everything public is reached from here: functions and classes, and the modules `nn`, `optim`, `autograd`, `utils`, ...,
which are imported when they are first used.
"""

import importlib as _importlib

from ._version import __version__

try:
    from . import _core
except ImportError as _error:
    if _error.name is None or not _error.name.startswith("fastgrad._core"):
        raise
    raise ImportError(
        f"{__path__[0]} is the source of fastgrad, where nothing is compiled. Install it (pip install . in the folder "
        f"above), and start Python in another folder"
    ) from _error

from . import _functions
from ._compile import compile
from ._config import (
    get_num_threads,
    set_float32_matmul_precision,
    set_num_threads,
    show_config,
    use_deterministic_algorithms,
)
from ._core import (
    CompileError,
    DTypeError,
    ForgottenZeroGrad,
    Generator,
    ShapeError,
    Size,
    Tensor,
    contiguous_format,
    default_generator,
    device,
    dtype,
    empty_cache,
    enable_grad,
    get_default_dtype,
    get_rng_state,
    inference_mode,
    initial_seed,
    is_grad_enabled,
    is_inference_mode_enabled,
    manual_seed,
    memory_stats,
    no_grad,
    preserve_format,
    reset_peak_memory_stats,
    seed,
    set_default_dtype,
    set_grad_enabled,
    set_loss_broadcasting,
    set_rng_state,
    strided,
)
from ._printing import set_printoptions

# All functions: arithmetic, reductions, creation, ...
globals().update(_core.functions)

# dtypes, and PyTorch's other names for them
float32 = float = _core.float32
float64 = double = _core.float64
int64 = long = _core.int64
int32 = int = _core.int32
uint8 = _core.uint8
bool = _core.bool

from math import e, inf, nan, pi  # noqa: E402

newaxis = None

_MODULES = (
    "autograd",
    "backends",
    "cuda",
    "datasets",
    "diagnostics",
    "func",
    "linalg",
    "nn",
    "optim",
    "profiler",
    "utils",
    "viz",
)
_FROM_MODULES = {
    **dict.fromkeys(["load", "save"], "serialization"),
    **dict.fromkeys(["cosine_similarity", "pairwise_distance", "group_norm", "instance_norm"], "nn.functional"),
    **dict.fromkeys(["pixel_shuffle", "pixel_unshuffle", "kl_div", "cosine_embedding_loss"], "nn.functional"),
    **dict.fromkeys(["hinge_embedding_loss", "margin_ranking_loss", "poisson_nll_loss"], "nn.functional"),
    "triplet_margin_loss": "nn.functional",
    "detect_anomaly": "diagnostics",
    "parallel_map": "_parallel",
    "vmap": "func",
}


def __getattr__(name):
    if name in _MODULES:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _FROM_MODULES:
        value = getattr(_importlib.import_module(f"{__name__}.{_FROM_MODULES[name]}"), name)
        globals()[name] = value
        return value
    from ._near import hint

    near = "" if name.startswith("_") else hint(name, __dir__())
    raise AttributeError(f"module 'fastgrad' has no attribute {name!r}{near}", name=name)


def __dir__():
    names = {name for name in globals() if not name.startswith("_")}
    return sorted(names | set(_MODULES) | set(_FROM_MODULES) | {"__version__"})
