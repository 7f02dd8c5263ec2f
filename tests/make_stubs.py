"""Writes the type stubs of fastgrad and its core: python tests/make_stubs.py [FOLDER], by default this checkout's package.

Names, arguments and defaults come from the installed package, so they cannot differ from it; types come from the tables
below. tests/test_stubs.py fails where a stub in the checkout is not what this script writes.
"""

import inspect
import sys
from pathlib import Path

import fastgrad
from fastgrad import _core

# Types of arguments by their name; what is not here and has no bool, int, float or str as its default stays untyped.
ARGUMENTS = {
    "alpha": "_float",
    "axis": "_int | Sequence[_int] | None",
    "batch1": "Tensor",
    "batch2": "Tensor",
    "beta": "_float",
    "bias": "Tensor | None",
    "decimals": "_int",
    "diagonal": "_int",
    "dims": "_int | Sequence[_int] | None",
    "end_dim": "_int",
    "eps": "_float | None",
    "exponent": "Tensor | _float",
    "gradient": "Tensor | None",
    "mat1": "Tensor",
    "max": "Tensor | _float | None",
    "min": "Tensor | _float | None",
    "num_samples": "_int",
    "offset": "_int",
    "reduction": "_str",
    "rounding_mode": "_str | None",
    "shape": "Sequence[_int] | None",
    "start_dim": "_int",
    "step": "_int",
    "tensor1": "Tensor",
    "tensor2": "Tensor",
    "unbiased": "_bool | None",
    "vec1": "Tensor",
    "device": "_device | _str | None",
    "dim": "_int | Sequence[_int] | None",
    "dim0": "_int",
    "dim1": "_int",
    "dtype": "_dtype | None",
    "generator": "Generator | None",
    "index": "Tensor | _int",
    "input": "Tensor",
    "keepdim": "_bool",
    "mat2": "Tensor",
    "mask": "Tensor",
    "other": "Tensor | _float",
    "requires_grad": "_bool",
    "size": "_int | Sequence[_int] | None",
    "sizes": "_int | Sequence[_int]",
    "target": "Tensor",
    "tensors": "Sequence[Tensor]",
    "vec": "Tensor",
    "vec2": "Tensor",
    "weight": "Tensor | None",
}
# ... except in these, where the name means something else.
UNTYPED = {"size", "index_fill", "full", "new_full", "where", "input"}

# What is returned, where it is not a Tensor.
RETURNS = {
    **dict.fromkeys(
        ["equal", "allclose", "is_tensor", "can_cast", "retains_grad", "requires_grad", "is_leaf"], "_bool"
    ),
    **dict.fromkeys(["is_floating_point", "is_complex", "is_nonzero", "is_contiguous", "is_same_size"], "_bool"),
    **dict.fromkeys(["is_signed", "is_cpu", "is_cuda", "__bool__", "__contains__"], "_bool"),
    **dict.fromkeys(["numel", "nelement", "ndimension", "dim", "ndim", "element_size", "itemsize", "nbytes"], "_int"),
    **dict.fromkeys(["output_nr", "data_ptr", "storage_offset", "__int__", "__index__", "__len__", "__hash__"], "_int"),
    **dict.fromkeys(["_version", "seed", "initial_seed"], "_int"),
    **dict.fromkeys(["promote_types", "result_type", "dtype", "get_default_dtype"], "_dtype"),
    **dict.fromkeys(["split", "chunk", "unbind", "aminmax", "var_mean", "std_mean"], "tuple[Tensor, ...]"),
    **dict.fromkeys(["sort", "topk", "median", "kthvalue", "mode", "cummax", "cummin"], "tuple[Tensor, Tensor]"),
    **dict.fromkeys(
        ["max", "min", "nonzero", "where", "finfo", "iinfo", "item", "tolist", "type", "stride", "size"], "Any"
    ),
    **dict.fromkeys(
        ["grad_fn", "layout", "__reduce_ex__", "__array_ufunc__", "__array_function__", "__dlpack__"], "Any"
    ),
    **dict.fromkeys(["backward", "retain_grad", "__setitem__", "__delitem__", "cuda", "half", "bfloat16"], "None"),
    **dict.fromkeys(
        ["set_rng_state", "set_default_dtype", "clear_grads", "empty_cache", "clip_grads_", "multi_step"], "None"
    ),
    **dict.fromkeys(["reset_peak_memory_stats", "set_printer"], "None"),
    **dict.fromkeys(["__repr__", "__format__"], "_str"),
    **dict.fromkeys(["numpy", "__array__"], "np.ndarray[Any, Any]"),
    "__float__": "_float",
    "__complex__": "complex",
    "__iter__": "Iterator[Tensor]",
    "__dlpack_device__": "tuple[_int, _int]",
    "__array_priority__": "_int",
    "_base": "Tensor | None",
    "Tensor.grad": "Tensor | None",
    "grad": "tuple[Tensor | None, ...]",
    "memory_stats": "dict[_str, _int]",
    "shape": "Size",
    "device": "_device",
    "register_hook": "RemovableHandle",
    "manual_seed": "Generator",
    "set_state": "Generator",
    "is_grad_enabled": "_bool",
    "is_inference_mode_enabled": "_bool",
}

REFLECTED = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"]
IN_PLACE = [name for name in REFLECTED if name != "matmul"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]

HEAD = "# {what} Written by tests/make_stubs.py, where the types are.\n\n"

IMPORTS = """\
from builtins import bool as _bool, float as _float, int as _int, str as _str
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import numpy as np

"""

CLASSES = """\
@final
class dtype:
    name: _str
    code: _int
    itemsize: _int
    is_floating_point: _bool
    is_signed: _bool
    numpy_dtype: np.dtype[Any]
    def __init__(self, *args: Any) -> None: ...

_dtype = dtype

class device:
    type: _str
    index: None
    def __new__(cls, type=..., index=...) -> device: ...

_device = device

class Function:
    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any: ...
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any: ...
    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any: ...
    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any: ...
    @staticmethod
    def vmap(info: Any, in_dims: tuple[_int | None, ...], *args: Any) -> Any: ...
    generate_vmap_rule: _bool | None
    @classmethod
    def apply(cls, *args: Any) -> Any: ...

class Size(tuple[_int, ...]):
    def numel(self) -> _int: ...

class RemovableHandle:
    def __init__(self, hooks: list[Any], number: _int) -> None: ...
    def remove(self) -> None: ...
    def __enter__(self) -> RemovableHandle: ...
    def __exit__(self, *exc: object) -> None: ...

class DTypeError(NotImplementedError, TypeError): ...
class ForgottenZeroGrad(UserWarning): ...
class CompileError(RuntimeError): ...
class MissingState(LookupError): ...
class ShapeError(RuntimeError, ValueError): ...

class _Mode:
    def __enter__(self) -> None: ...
    def __exit__(self, *exc: object) -> None: ...
    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]: ...

class enable_grad(_Mode): ...

class inference_mode(_Mode):
    def __init__(self, mode: _bool = ...) -> None: ...

class no_grad(_Mode):
    def __new__(cls, orig_func: Any = ...) -> Any: ...
    def __init__(self, orig_func: Any = ...) -> None: ...

class set_grad_enabled(_Mode):
    def __init__(self, mode: _bool) -> None: ...

class Parameter(Tensor):  # type: ignore[misc]  # a Tensor with a flag; nothing else can derive from Tensor
    def __new__(cls, data: Tensor | None = ..., requires_grad: _bool = ...) -> Parameter: ...

"""


def annotated(parameter, owner):
    name, default = parameter.name, parameter.default
    text = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "") + name
    kind = ARGUMENTS.get(name) if owner not in UNTYPED else None
    if kind is None and type(default) in (bool, int, float, str):
        kind = {bool: "_bool", int: "_float", float: "_float", str: "_str"}[type(default)]
    if kind and default is None and "None" not in kind:
        kind += " | None"
    if kind:
        text += f": {kind}"
    if default is not parameter.empty:
        shown = default if default is None or type(default) in (bool, int, float, str) else "..."
        shown = repr(shown) if isinstance(shown, str) and shown != "..." else shown
        text += (f" = {shown}" if kind else f"={shown}").replace("'", '"')
    return text


def arguments(function, owner, method):
    """The arguments of a signature as texts, with / and * where they belong."""
    texts = []
    parameters = list(inspect.signature(function).parameters.values())
    for k, parameter in enumerate(parameters):
        before = parameters[k - 1].kind if k else None
        if parameter.kind is not parameter.POSITIONAL_ONLY and before is parameter.POSITIONAL_ONLY:
            texts.append("/")
        if parameter.kind is parameter.KEYWORD_ONLY and before not in (
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        ):
            texts.append("*")
        texts.append(parameter.name if method and k == 0 else annotated(parameter, owner))
    if parameters and parameters[-1].kind is inspect.Parameter.POSITIONAL_ONLY:
        texts.append("/")
    return texts


def documented(text, doc, indent):
    """A def with its docstring, which editors show: those of compiled modules they find nowhere else."""
    doc = inspect.cleandoc(doc or "")
    if not doc:
        return text
    lines = "".join(f"{indent}    {line}".rstrip() + "\n" for line in doc.split("\n"))
    body = lines.strip() + (f"\n{indent}    " if "\n" in doc else "")
    return text.removesuffix(" ...\n") + f'\n{indent}    {"r" * (chr(92) in doc)}"""{body}"""\n'


def definition(name, texts, returned, indent="", doc=None):
    """One def, broken as ruff breaks it."""
    return documented(undocumented(name, texts, returned, indent), doc, indent)


def undocumented(name, texts, returned, indent):
    line = f"{indent}def {name}({', '.join(texts)}) -> {returned}: ..."
    if len(line) <= 120:
        return line + "\n"
    inner = f"{indent}    {', '.join(texts)}"
    if len(inner) <= 120 and not any(text.startswith("*") and text != "*" for text in texts[-1:]):
        return f"{indent}def {name}(\n{inner}\n{indent}) -> {returned}: ...\n"
    lines = "".join(f"{indent}    {text},\n" for text in texts)
    return f"{indent}def {name}(\n{lines}{indent}) -> {returned}: ...\n"


def returned_by(name, owner=""):
    return RETURNS.get(owner + name, RETURNS.get(name, "Tensor"))


def tensor_class():
    out = ["@final\nclass Tensor:\n    def __init__(self, *args: Any) -> None: ...\n"]
    written = {"__init__", "__new__", "__doc__", "__reduce__", "__setstate__", "__str__", "__dict__"}
    for name in REFLECTED:
        more = ["/"] if name != "pow" else ["mod=None", "/"]
        for dunder in (f"__{name}__", f"__r{name}__"):
            out.append(definition(dunder, ["self", "other", *more], "Tensor", "    "))
            written.add(dunder)
    for name in IN_PLACE:
        ignore = "  # type: ignore[misc]" if name == "pow" else ""
        out.append(f"    def __i{name}__(self, other, /) -> Tensor: ...{ignore}\n")
        written.add(f"__i{name}__")
    for name in COMPARISONS:
        ignore = "  # type: ignore[override]" if name in ("eq", "ne") else ""
        out.append(f"    def __{name}__(self, other, /) -> Tensor: ...{ignore}\n")
        written.add(f"__{name}__")
    attributes = {name: value for name, value in vars(_core.Tensor).items() if name not in written}
    for name, value in sorted(attributes.items()):
        if callable(value):
            returned = returned_by(name, "Tensor.")
            doc = inspect.cleandoc(value.__doc__ or "").partition("\n\n")[0]  # the whole stands at the function
            out.append(definition(name, arguments(value, name, True), returned, "    ", doc))
        elif isinstance(value, int):
            out.append(f"    {name}: {RETURNS[name]}\n")
        else:
            out.append(f"    @property\n    def {name}(self) -> {returned_by(name, 'Tensor.')}: ...\n")
            if name in ("data", "grad", "requires_grad"):
                out.append(f"    @{name}.setter\n    def {name}(self, value) -> None: ...\n")
    return "".join(out)


def plain_class(cls):
    out = [f"class {cls.__name__}:\n"]
    for name, value in sorted(vars(cls).items()):
        if name == "__init__":
            out.append("    def __init__(self, device: _str = ...) -> None: ...\n")
        elif name.startswith("_"):
            continue
        elif callable(value):
            out.append(definition(name, arguments(value, name, True), RETURNS.get(name, "Tensor"), "    "))
        else:
            out.append(f"    @property\n    def {name}(self) -> {RETURNS.get(name, 'Any')}: ...\n")
    return "".join(out)


def is_function(value):
    return callable(value) and not inspect.isclass(value)


def core_stub():
    """Everything public of the core, wherever it is exported."""
    public = {name: value for name, value in vars(_core).items() if not name.startswith("_")}
    parts = [HEAD.format(what="The core's public names."), IMPORTS, CLASSES, plain_class(_core.Generator), "\n"]
    parts += [tensor_class(), "\n"]
    constants = {"default_generator": "Generator", "DTYPES": "dict[_str, dtype]", "FAMILIES": "tuple[_str, ...]"}
    constants |= dict.fromkeys(["strided", "contiguous_format", "preserve_format", "functions"], "Any")
    constants |= {name: "dtype" for name, value in public.items() if isinstance(value, _core.dtype)}
    parts += [f"{name}: {kind}\n" for name, kind in sorted(constants.items()) if name in public]
    parts.append("\n")
    for name, value in sorted(public.items()):
        if is_function(value):
            parts.append(definition(name, arguments(value, name, False), returned_by(name), doc=value.__doc__))
    return "".join(parts)


def package_stub():
    """The front: the core's names again, and the modules."""
    lazy = fastgrad._FROM_MODULES  # in vars() once they were used
    public = {name: v for name, v in vars(fastgrad).items() if not name.startswith("_") and name not in lazy}
    imports, constants = [("fastgrad", name) for name in fastgrad._MODULES], []
    imports += [(f"fastgrad.{module}", name) for name, module in fastgrad._FROM_MODULES.items()]
    for name, value in sorted(public.items()):
        if getattr(_core, name, _core) is value:
            imports.append(("fastgrad._core", name))
        elif isinstance(value, float):
            imports.append(("math", name))
        elif is_function(value):
            imports.append((value.__module__, value.__name__, name))
        elif not inspect.ismodule(value):
            constants.append(f"{name}: {'None' if value is None else type(value).__name__.lower()}\n")
    lines = [f"from {module} import {names[0]} as {names[-1]}\n" for module, *names in sorted(set(imports))]
    return "".join([HEAD.format(what="All that is public."), *lines, "\n", *constants, "__version__: str\n"])


def stubs():
    """The files: path below the package -> text."""
    return {"_core/__init__.pyi": core_stub(), "__init__.pyi": package_stub()}


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "fastgrad"
    for path, text in stubs().items():
        (folder / path).write_text(text, encoding="utf-8")
