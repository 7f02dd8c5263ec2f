"""Flatten and Unflatten. Imports Module."""

from fastgrad.nn.module import Module


class Flatten(Module):
    """Joins the axes from `start_dim` to `end_dim` into one; the default keeps the batch axis.

    Example:
        >>> fg.nn.Flatten()(fg.zeros(8, 3, 4)).shape
        fastgrad.Size([8, 12])
    """

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input):
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one axis into several of the given sizes, one of which may be -1.

    Example:
        >>> fg.nn.Unflatten(1, (3, 4))(fg.zeros(8, 12)).shape
        fastgrad.Size([8, 3, 4])
    """

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input):
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
