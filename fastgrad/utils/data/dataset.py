"""Data sets: samples by number, or one after the other. Imports the core."""

import bisect
import itertools
import math

from fastgrad import _core


class Dataset:
    """The base class of data sets: a subclass defines `__getitem__(index)` and `__len__()`."""

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __add__(self, other):
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """The base class of data sets that are read from the start: a subclass defines `__iter__()`."""

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")


class TensorDataset(Dataset):
    """Samples that are rows of Tensors: sample i is the tuple of their rows i.

    Args:
        *tensors: Tensors of the same size along their first axis.

    Example:
        >>> data = fastgrad.utils.data.TensorDataset(fastgrad.zeros(100, 4), fastgrad.zeros(100))
        >>> len(data)
        100
    """

    def __init__(self, *tensors):
        sizes = [tensor.shape[0] for tensor in tensors]
        if len(set(sizes)) > 1:
            raise ValueError(f"Size mismatch between tensors: their first axes have sizes {sizes}")
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self):
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """The samples of a data set at the given indices.

    Example:
        >>> fg.utils.data.Subset(fg.utils.data.TensorDataset(fg.arange(5)), [4, 1])[0]
        (tensor(4),)
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self):
        return len(self.indices)


class ConcatDataset(Dataset):
    """The samples of several data sets, one set after the other.

    Example:
        >>> len(fg.utils.data.ConcatDataset([fg.utils.data.TensorDataset(fg.zeros(2)), fg.utils.data.TensorDataset(fg.zeros(3))]))
        5
    """

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise ValueError("ConcatDataset does not support IterableDataset: its samples have no numbers")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index):
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for a ConcatDataset of {size} samples")
        index %= size
        at = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[at][index - (self.cumulative_sizes[at - 1] if at else 0)]

    def __len__(self):
        return self.cumulative_sizes[-1]


def random_split(dataset, lengths, generator=None):
    """Random parts of a data set, without overlap, as a list of Subsets.

    Args:
        dataset: what to split.
        lengths: the sizes of the parts, which sum to len(dataset); or fractions that sum to 1, whose parts are rounded down
            and get what is left one by one, from the first on.
        generator: where the order is drawn from; the default generator if None.

    Example:
        >>> data = fastgrad.utils.data.TensorDataset(fastgrad.zeros(10, 4))
        >>> [len(part) for part in fastgrad.utils.data.random_split(data, [0.7, 0.3])]
        [7, 3]
    """
    size = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9 and all(0 <= share <= 1 for share in lengths):
        sizes = [math.floor(size * share) for share in lengths]
        for k in range(size - sum(sizes)):
            sizes[k % len(sizes)] += 1
        lengths = sizes
    if sum(lengths) != size:
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset: {list(lengths)} sum to {sum(lengths)}, "
            f"but there are {size} samples"
        )
    order = _core.randperm(size, generator=generator).tolist()
    ends = list(itertools.accumulate(lengths))
    return [Subset(dataset, order[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
