"""save and load: Tensors, and what holds them, in files that cannot run code. Imports the core.

A file is a NumPy .npz archive: one array for each Tensor, and a JSON text for all around them. Pickle, the usual way,
runs whatever the file says. A path that ends in .safetensors is written in that format, which other libraries read.
"""

import json
import os
import zipfile
import zlib
from collections import OrderedDict
from contextlib import contextmanager, nullcontext

import numpy as np

from fastgrad import _core
from fastgrad._core import Parameter, Tensor

_SKELETON = "fastgrad.json"
_CONTAINERS = {"dict": dict, "OrderedDict": OrderedDict, "list": list, "tuple": tuple}
_NAMES = {container: name for name, container in _CONTAINERS.items()}
# What NumPy, zipfile and json raise where bytes are not what they should be.
_DAMAGE = (
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_PLAIN = (type(None), bool, int, float, str)


def save(obj, f):
    """Writes `obj` to a file, which `load` reads back.

    Args:
        obj: Tensors, numbers, strings, None, and dictionaries, lists and tuples of these, nested to any depth: a
            Tensor, a `state_dict()`, or a checkpoint that holds several.
        f: a path, or a file open for writing bytes. A path is written whole or not at all: a crash leaves the old file.
            With the ending .safetensors, `obj` is a dictionary of Tensors by name.

    Raises: TypeError that says where in `obj` something is that cannot be saved.
    """
    if _is_safetensors(f):
        write = _safetensors_writer(obj)
    else:
        arrays = {}
        skeleton = json.dumps(_taken_apart(obj, "obj", arrays, {}))
        arrays[_SKELETON] = np.frombuffer(skeleton.encode(), np.uint8)

        def write(file):
            np.savez(file, **arrays)

    if hasattr(f, "write"):
        write(f)
        return
    with _replacing(f) as file:
        write(file)


def load(f, map_location=None, *, weights_only=True):
    """Reads what `save` wrote.

    Args:
        f: a path, or a file open for reading bytes.
        map_location: None or the CPU, as "cpu" or a `device`. A function or a dictionary, which PyTorch would ask where to
            put what another device held, is not asked: nothing was elsewhere.
        weights_only: accepted; a file holds nothing that could be run.

    Returns: an equal object; Tensors and Parameters that were one object are one again.

    Raises: RuntimeError if the file was not written by `save`, or is damaged, and for another device.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> save({"epoch": 3, "weights": fg.ones(2)}, file)
        >>> file.seek(0)
        0
        >>> load(file)
        {'epoch': 3, 'weights': tensor([1., 1.])}
    """
    if map_location is not None and not isinstance(map_location, dict) and not callable(map_location):
        _core.device(map_location)
    if _is_safetensors(f):
        return _read_safetensors(f)
    # Opened here, since NumPy leaves a path that it cannot read open.
    with nullcontext(f) if hasattr(f, "read") else open(f, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
            skeleton = json.loads(arrays[_SKELETON].tobytes())
            return _put_together(skeleton, arrays, {})
        except _DAMAGE as error:
            raise RuntimeError(f"load: {f!r} was not written by fastgrad.save, or is damaged ({error})") from error


# ---- the skeleton: JSON, in which {"type": ...} is a container or a Tensor -------------------------------------------


def _taken_apart(obj, where, arrays, seen):
    kind = type(obj)
    if kind in _PLAIN:
        return obj
    if isinstance(obj, Tensor):
        if id(obj) not in seen:
            seen[id(obj)] = str(len(arrays))
            arrays[seen[id(obj)]] = obj.detach().numpy()
        parameter = isinstance(obj, Parameter)
        return {
            "type": "Parameter" if parameter else "Tensor",
            "array": seen[id(obj)],
            "requires_grad": obj.requires_grad and (parameter or obj.is_leaf),
        }
    if kind in (dict, OrderedDict):
        items = []
        for key, value in obj.items():
            if type(key) not in _PLAIN:
                raise TypeError(f"save: {where} has a key of type {type(key).__name__}; use strings or numbers")
            items.append([key, _taken_apart(value, f"{where}[{key!r}]", arrays, seen)])
        return {"type": _NAMES[kind], "items": items}
    if kind in (list, tuple):
        items = [_taken_apart(value, f"{where}[{k}]", arrays, seen) for k, value in enumerate(obj)]
        return {"type": _NAMES[kind], "items": items}
    raise TypeError(
        f"save: {where} is of type {kind.__name__}; a file holds Tensors, numbers, strings, None, and dictionaries, "
        f"lists and tuples of these{_advice(obj)}"
    )


def _advice(obj):
    if hasattr(obj, "state_dict"):
        return ": save its state_dict()"
    if isinstance(obj, np.ndarray):
        return ": save fastgrad.from_numpy(array)"
    if isinstance(obj, np.generic):
        return ": save its item()"
    return ""


def _put_together(node, arrays, made):
    if not isinstance(node, dict):
        return node
    kind = node["type"]
    if kind in ("Tensor", "Parameter"):
        name = node["array"]
        if name not in made:
            tensor = _core.from_numpy(arrays[name])
            if kind == "Parameter":
                tensor = Parameter(tensor, requires_grad=node["requires_grad"])
            elif node["requires_grad"]:
                tensor.requires_grad_()
            made[name] = tensor
        return made[name]
    if kind in ("dict", "OrderedDict"):
        return _CONTAINERS[kind]((key, _put_together(value, arrays, made)) for key, value in node["items"])
    return _CONTAINERS[kind](_put_together(value, arrays, made) for value in node["items"])


# ---- safetensors -----------------------------------------------------------------------------------------------------


def _is_safetensors(f):
    return isinstance(f, str | os.PathLike) and os.fspath(f).endswith(".safetensors")


def _package():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "files ending in .safetensors need the package safetensors: pip install safetensors"
        ) from error
    return safetensors


def _safetensors_writer(obj):
    if not isinstance(obj, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in obj.items()):
        raise TypeError(
            "save: a .safetensors file holds one dictionary of Tensors by name; "
            "save anything else under another ending, such as .npz"
        )
    content = _package().numpy.save(
        {name: np.asarray(tensor.detach().numpy(), order="C") for name, tensor in obj.items()}
    )
    return lambda file: file.write(content)


def _read_safetensors(f):
    package = _package()
    try:
        return {name: _core.from_numpy(array) for name, array in package.numpy.load_file(f).items()}
    except package.SafetensorError as error:
        raise RuntimeError(f"load: {f!r} is not a .safetensors file, or is damaged ({error})") from error


# ---- files -----------------------------------------------------------------------------------------------------------


@contextmanager
def _replacing(path):
    """A new file that takes the place of `path` when the block ends without an error."""
    path = os.path.realpath(path)  # a link stays a link
    temporary = f"{path}.{os.urandom(4).hex()}.tmp"
    with open(temporary, "xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            file.close()  # some systems do not remove an open file
            os.unlink(temporary)
            raise
    os.replace(temporary, path)
