"""Distances of vectors as layers. Imports Module and functional."""

from fastgrad.nn import functional as F
from fastgrad.nn.module import Module


class PairwiseDistance(Module):
    """The p-norms of x1 - x2 + eps along the last dimension.

    Example:
        >>> fg.nn.PairwiseDistance()(fg.zeros(1, 2), fg.tensor([[3.0, 4.0]]))
        tensor([5.0000])
    """

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """x1 . x2 / (max(|x1|, eps) * max(|x2|, eps)) along `dim`.

    Example:
        >>> fg.nn.CosineSimilarity()(fg.tensor([[1.0, 0.0]]), fg.tensor([[1.0, 1.0]]))
        tensor([0.7071])
    """

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
