"""Joining samples into a batch. Imports the core."""

from collections.abc import Mapping, Sequence

import numpy as np

from fastgrad import _core
from fastgrad._core import ShapeError, Tensor


def default_collate(batch):
    """Joins a list of samples: Tensors, arrays and numbers along a new first axis, what contains them part by part.

    Floats become float64 and integers int64; mappings and named tuples keep their type, other sequences become lists;
    strings and bytes are left as they are.

    Raises: TypeError for anything else, RuntimeError where samples have different sizes.

    Example:
        >>> fg.utils.data.default_collate([(fg.zeros(2), 3), (fg.ones(2), 4)])
        [tensor([[0., 0.],
                [1., 1.]]), tensor([3, 4])]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return _core.stack(batch)
    if isinstance(first, np.ndarray | np.generic):
        return _core.stack([_core.as_tensor(sample) for sample in batch])
    if isinstance(first, float):
        return _core.tensor(batch, dtype=_core.float64)
    if isinstance(first, int):
        return _core.tensor(batch)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        return type(first)({key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise ShapeError(
                "each element in list of batch should be of equal size, "
                f"but got sizes {sorted({len(sample) for sample in batch})}"
            )
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists, "
        f"but got {type(first).__name__}; pass collate_fn= to the DataLoader"
    )
