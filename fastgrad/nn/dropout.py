"""Dropout. Imports Module and functional."""

from fastgrad.nn import functional as F
from fastgrad.nn.module import Module


class Dropout(Module):
    """In training, sets each element to zero with probability `p` and scales the others by 1 / (1 - p).

    Args:
        p: the probability of an element to be zeroed.
        inplace: whether to change the input instead of a copy.

    Example:
        >>> fg.nn.Dropout(0.5).eval()(fg.ones(3))
        tensor([1., 1., 1.])
    """

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input):
        return F.dropout(input, self.p, True, self.inplace) if self.training else input

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"
