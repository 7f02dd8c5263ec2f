"""Losses as layers: each holds the arguments of its function. Imports Module and functional.

`reduction` is 'mean', 'sum' or 'none' in all of them; see the functions for the formulas.
"""

from fastgrad.nn import functional as F
from fastgrad.nn.module import Module


class _Loss(Module):
    def __init__(self, *, reduction="mean"):
        super().__init__()
        self.reduction = reduction


class _WeightedLoss(_Loss):
    def __init__(self, weight=None, *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """(x - y)^2.

    Example:
        >>> fg.nn.MSELoss()(fg.tensor([1.0, 2.0]), fg.tensor([0.0, 0.0]))
        tensor(2.5000)
    """

    def forward(self, input, target):
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """|x - y|.

    Example:
        >>> fg.nn.L1Loss()(fg.tensor([1.0, 2.0]), fg.tensor([0.0, 0.0]))
        tensor(1.5000)
    """

    def forward(self, input, target):
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """d^2 / (2 beta) where d = |x - y| < beta, else d - beta / 2.

    Example:
        >>> fg.nn.SmoothL1Loss(reduction="none")(fg.tensor([0.5, 2.0]), fg.tensor([0.0, 0.0]))
        tensor([0.1250, 1.5000])
    """

    def __init__(self, *, reduction="mean", beta=1.0):
        super().__init__(reduction=reduction)
        self.beta = beta

    def forward(self, input, target):
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """d^2 / 2 where d = |x - y| < delta, else delta * (d - delta / 2).

    Example:
        >>> fg.nn.HuberLoss(reduction="none", delta=0.5)(fg.tensor([0.5, 2.0]), fg.tensor([0.0, 0.0]))
        tensor([0.1250, 0.8750])
    """

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input, target):
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_WeightedLoss):
    """-(y log x + (1 - y) log(1 - x)) for probabilities x; each logarithm is at least -100.

    Example:
        >>> fg.nn.BCELoss()(fg.tensor([0.5, 0.9]), fg.tensor([0.0, 1.0]))
        tensor(0.3993)
    """

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """-(p y log s + (1 - y) log(1 - s)), s = sigmoid(x), p = pos_weight; exact for large |x|.

    Example:
        >>> fg.nn.BCEWithLogitsLoss()(fg.tensor([0.0, 200.0]), fg.tensor([0.0, 1.0]))
        tensor(0.3466)
    """

    def __init__(self, weight=None, *, reduction="mean", pos_weight=None):
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(x)[y], from logits (N, C, ...) and class indices (N, ...) or probabilities (N, C, ...).

    Example:
        >>> fg.nn.CrossEntropyLoss()(fg.tensor([[0.0, 0.0], [0.0, 100.0]]), fg.tensor([0, 1]))
        tensor(0.3466)
    """

    def __init__(self, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input, target):
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """-x[y], from log-probabilities (N, C, ...) and class indices (N, ...).

    Example:
        >>> fg.nn.NLLLoss()(fg.tensor([[-0.5, -1.0], [-3.0, -0.25]]), fg.tensor([0, 1]))
        tensor(0.3750)
    """

    def __init__(self, weight=None, *, ignore_index=-100, reduction="mean"):
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def forward(self, input, target):
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class KLDivLoss(_Loss):
    """y (log y - x) for log-probabilities x; reduction='batchmean' is the divergence as it is defined.

    Example:
        >>> fg.nn.KLDivLoss(reduction="batchmean")(fg.tensor([[0.5, 0.5]]).log(), fg.tensor([[0.25, 0.75]]))
        tensor(0.1308)
    """

    def __init__(self, *, reduction="mean", log_target=False):
        super().__init__(reduction=reduction)
        self.log_target = log_target

    def forward(self, input, target):
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class MultiMarginLoss(_WeightedLoss):
    """sum over j != y of max(0, margin - x_y + x_j)^p / C: the multiclass SVM.

    Example:
        >>> fg.nn.MultiMarginLoss()(fg.tensor([[0.0, 0.5]]), fg.tensor([1]))
        tensor(0.2500)
    """

    def __init__(self, p=1, margin=1.0, weight=None, *, reduction="mean"):
        super().__init__(weight, reduction=reduction)
        if p not in (1, 2):
            raise ValueError(f"only p == 1 and p == 2 supported, but got {p}")
        self.p = p
        self.margin = margin

    def forward(self, input, target):
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """x where y = 1, max(0, margin - x) where y = -1.

    Example:
        >>> fg.nn.HingeEmbeddingLoss()(fg.tensor([0.5, 0.25]), fg.tensor([1, -1]))
        tensor(0.6250)
    """

    def __init__(self, margin=1.0, *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input, target):
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """1 - cos(x1, x2) where y = 1, max(0, cos(x1, x2) - margin) where y = -1.

    Example:
        >>> fg.nn.CosineEmbeddingLoss()(fg.eye(2), fg.ones(2, 2), fg.tensor([1, 1]))
        tensor(0.2929)
    """

    def __init__(self, margin=0.0, *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """max(0, margin - y (x1 - x2)): y = 1 where the first is to rank higher, y = -1 where the second is.

    Example:
        >>> fg.nn.MarginRankingLoss(margin=0.5)(fg.tensor([1.0]), fg.tensor([0.75]), fg.tensor([1.0]))
        tensor(0.2500)
    """

    def __init__(self, margin=0.0, *, reduction="mean"):
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input1, input2, target):
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, margin + |a - p| - |a - n|); see `nn.functional.triplet_margin_loss`.

    Example:
        >>> fg.nn.TripletMarginLoss()(fg.zeros(1, 2), fg.ones(1, 2), fg.tensor([[0.0, 1.5]]))
        tensor(0.9142)
    """

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, *, reduction="mean"):
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(f"margin must be greater than 0, got {margin}")
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(_Loss):
    """As TripletMarginLoss, with any function of two tensors as the distance.

    Example:
        >>> fg.nn.TripletMarginWithDistanceLoss()(fg.zeros(1, 2), fg.ones(1, 2), fg.tensor([[0.0, 1.5]]))
        tensor(0.9142)
    """

    def __init__(self, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
        super().__init__(reduction=reduction)
        self.distance_function, self.margin, self.swap = distance_function, margin, swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


class SoftMarginLoss(_Loss):
    """log(1 + exp(-y x)) for labels y = 1 and y = -1.

    Example:
        >>> fg.nn.SoftMarginLoss()(fg.tensor([0.0, 2.0]), fg.tensor([1.0, -1.0]))
        tensor(1.4100)
    """

    def forward(self, input, target):
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class PoissonNLLLoss(_Loss):
    """exp(x) - y x for logarithms of a Poisson rate; see `nn.functional.poisson_nll_loss`.

    Example:
        >>> fg.nn.PoissonNLLLoss()(fg.zeros(2), fg.tensor([1.0, 3.0]))
        tensor(1.)
    """

    def __init__(self, log_input=True, full=False, *, eps=1e-8, reduction="mean"):
        super().__init__(reduction=reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, input, target):
        return F.poisson_nll_loss(input, target, self.log_input, full=self.full, eps=self.eps, reduction=self.reduction)


class GaussianNLLLoss(_Loss):
    """(log v + (x - y)^2 / v) / 2 for the mean x and the variance v of a normal distribution.

    Example:
        >>> fg.nn.GaussianNLLLoss()(fg.zeros(2), fg.ones(2), fg.tensor([1.0, 4.0]))
        tensor(0.6591)
    """

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input, target, var):
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """-(y log s(x) + (1 - y) log s(-x)), s the sigmoid, averaged over the classes.

    Example:
        >>> fg.nn.MultiLabelSoftMarginLoss()(fg.zeros(1, 3), fg.tensor([[1.0, 0.0, 1.0]]))
        tensor(0.6931)
    """

    def forward(self, input, target):
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """sum of max(0, 1 - x[y] + x[j]) / C over the classes y of a sample and all others j.

    Example:
        >>> fg.nn.MultiLabelMarginLoss()(fg.tensor([[0.1, 0.2, 0.4]]), fg.tensor([[2, -1, -1]]))
        tensor(0.5000)
    """

    def forward(self, input, target):
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)
