"""GroupNorm, InstanceNorm, BatchNorm of images, and the containers of parameters."""

import copy

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn

F = nn.functional


def draw(*shape, seed=0):
    return fg.from_numpy(np.random.default_rng(seed).normal(size=shape))


def normalised(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def test_group_norm_with_one_group_for_each_channel_is_instance_norm():
    x = draw(2, 4, 3, 5)
    assert fg.allclose(nn.GroupNorm(4, 4).double()(x), nn.InstanceNorm2d(4)(x))
    two = nn.GroupNorm(2, 4).double()(x).detach().numpy()
    np.testing.assert_allclose(two, normalised(x.numpy().reshape(2, 2, 30), 2).reshape(x.shape), rtol=1e-12)
    with pytest.raises(ValueError, match="divisible"):
        nn.GroupNorm(3, 4)
    with pytest.raises(ValueError, match=r"group_norm: expected \(N, C, ...\) with C a multiple of num_groups, 3"):
        F.group_norm(x, 3)


def test_batch_norm_of_images_is_that_of_their_pixels():
    x = draw(2, 3, 4, 5)
    layer, flat = nn.BatchNorm2d(3).double(), nn.BatchNorm1d(3).double()
    assert fg.allclose(layer(x), flat(x.reshape(2, 3, 20)).reshape(x.shape))
    assert fg.allclose(layer.running_var, flat.running_var) and layer.num_batches_tracked.item() == 1
    with pytest.raises(ValueError, match=r"expected 4D input \(got 3D input\)"):
        layer(x[0])
    assert nn.BatchNorm3d(2)(fg.ones(2, 2, 1, 2, 2)).shape == (2, 2, 1, 2, 2)


def test_instance_norm_with_running_statistics():
    x = draw(4, 3, 6)
    layer = nn.InstanceNorm1d(3, affine=True, track_running_stats=True).double()
    np.testing.assert_allclose(layer(x).detach().numpy(), normalised(x.numpy(), 2), rtol=1e-12)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * x.numpy().mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.9 + 0.1 * x.numpy().var(2, ddof=1).mean(0), rtol=1e-12)
    layer.eval()
    expected = F.batch_norm(x, layer.running_mean, layer.running_var)
    assert fg.allclose(layer(x), expected)
    assert nn.InstanceNorm1d(3)(x[0]).shape == (3, 6)
    with pytest.raises(ValueError, match="expected 3 channels"):
        nn.InstanceNorm1d(3)(x[:, :2])


def test_a_list_of_parameters():
    params = nn.ParameterList([fg.ones(2), fg.zeros(3), "note"])
    assert [name for name, _ in params.named_parameters()] == ["0", "1"] and len(params) == 3
    assert params[-1] == "note" and isinstance(params[0], nn.Parameter) and len(params[:2]) == 2
    params.append(fg.ones(1))
    params[0] = nn.Parameter(fg.full((2,), 5.0))
    assert list(params.state_dict()) == ["0", "1", "3"] and params.state_dict()["0"].tolist() == [5, 5]
    assert "(0): Parameter containing: [fastgrad.float32 of size 2]" in repr(params)
    with pytest.raises(IndexError, match="index 4 is out of range for a ParameterList of 4"):
        params[4]
    assert len(list(copy.deepcopy(params).parameters())) == 3


def test_a_dictionary_of_parameters():
    params = nn.ParameterDict({"w": fg.ones(2), "b": nn.Parameter(fg.zeros(1))})
    assert list(params) == ["w", "b"] and "w" in params and [n for n, _ in params.named_parameters()] == ["w", "b"]
    assert params.pop("w").tolist() == [1, 1] and len(params) == 1 and params.get("w") is None
    with pytest.raises(KeyError):
        params["w"]
    params.update({"c": fg.ones(1)})
    assert list(params.state_dict()) == ["b", "c"]


def test_equal_layers_of_a_list_print_as_one():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()])
    assert repr(layers) == (
        "ModuleList(\n  (0-1): 2 x Linear(in_features=2, out_features=2, bias=True)\n  (2): ReLU()\n)"
    )


def test_layers_of_windows_and_distances():
    x = draw(1, 2, 4, 4)
    columns = nn.Unfold(2, stride=2)(x)
    assert fg.equal(nn.Fold((4, 4), 2, stride=2)(columns), x)
    assert fg.equal(nn.PixelUnshuffle(2)(nn.PixelShuffle(2)(draw(4, 2, 2))), draw(4, 2, 2))
    assert nn.Unflatten(1, (2, -1))(fg.zeros(3, 8)).shape == (3, 2, 4)
    assert nn.CosineSimilarity()(fg.ones(2, 3), fg.ones(2, 3)).tolist() == pytest.approx([1, 1])
    assert nn.PairwiseDistance()(fg.zeros(2, 4), fg.ones(2, 4)).tolist() == pytest.approx([2, 2], rel=1e-5)
    with pytest.raises(ValueError, match="does not fit"):
        F.unfold(x, 5)


@pytest.mark.parametrize(
    ("loss", "args", "value"),
    [
        (nn.MarginRankingLoss(1.0), ([1.0, 2.0], [2.0, 1.0], [1.0, 1.0]), 1.0),
        (nn.TripletMarginLoss(reduction="sum"), ([[0.0]], [[1.0]], [[1.5]]), 0.5),
        (nn.TripletMarginWithDistanceLoss(), ([[0.0]], [[1.0]], [[3.0]]), 0.0),
        (nn.SoftMarginLoss(), ([0.0, 0.0], [1.0, -1.0]), np.log(2)),
        (nn.PoissonNLLLoss(log_input=False, eps=0.0), ([2.0], [0.0]), 2.0),
        (nn.GaussianNLLLoss(), ([1.0], [3.0], [4.0]), (np.log(4) + 1) / 2),
        (nn.MultiLabelSoftMarginLoss(), ([[0.0, 0.0]], [[1.0, 0.0]]), np.log(2)),
    ],
)
def test_losses_of_small_cases(loss, args, value):
    assert loss(*[fg.tensor(a) for a in args]).item() == pytest.approx(value, abs=1e-5)


def test_multilabel_margin_counts_labels_up_to_the_first_minus_one():
    # label 3 alone, beside the classes 0, 1 and 2: torch's own example
    x, y = fg.tensor([[0.1, 0.2, 0.4, 0.8]]), fg.tensor([[3, 0, -1, 1]])
    assert nn.MultiLabelMarginLoss()(x, y).item() == pytest.approx(0.85)
