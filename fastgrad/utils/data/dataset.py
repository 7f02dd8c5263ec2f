"""Data sets: samples by number. Imports nothing of fastgrad."""


class Dataset:
    """The base class of data sets: a subclass defines `__getitem__(index)` and `__len__()`."""

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")


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
