"""Embedding. Imports Module, functional and init."""

from fastgrad import _core
from fastgrad._core import Parameter
from fastgrad.nn import functional as F
from fastgrad.nn import init
from fastgrad.nn.module import Module


class Embedding(Module):
    """A table of vectors, looked up by integers.

    Args:
        num_embeddings: number of rows of the table.
        embedding_dim: size of each vector.
        padding_idx: a row that starts as zeros and gets no gradient.

    Parameter: `weight` (num_embeddings, embedding_dim), drawn from N(0, 1).

    Input: integers of any shape; output: the same shape and embedding_dim.

    Example:
        >>> fg.nn.Embedding(10, 3)(fg.tensor([[1, 2], [4, 5]])).shape
        fastgrad.Size([2, 2, 3])
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, *, _weight=None, device=None, dtype=None):
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx must be within num_embeddings ({num_embeddings}), but got {padding_idx}")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        if _weight is None:
            self.weight = Parameter(_core.empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
            self.reset_parameters()
        else:
            self.weight = Parameter(_weight)

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, padding_idx=None):
        """A layer over the given (rows, columns) table, trained only if `freeze` is false."""
        if embeddings.dim() != 2:
            raise ValueError(f"embeddings is expected to be 2-dimensional, but got shape {tuple(embeddings.shape)}")
        layer = cls(*embeddings.shape, padding_idx, _weight=embeddings)
        layer.weight.requires_grad_(not freeze)
        return layer

    def reset_parameters(self):
        """Draws the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with _core.no_grad():
                self.weight[self.padding_idx].fill_(0)

    def forward(self, input):
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self):
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
