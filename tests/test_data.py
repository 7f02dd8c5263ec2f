"""Data sets, batches, collating."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import fastgrad
from fastgrad.utils.data import DataLoader, Dataset, TensorDataset, default_collate


def dataset(size=10):
    return TensorDataset(fastgrad.arange(2 * size).reshape(size, 2), fastgrad.arange(size))


class Squares(Dataset):
    def __init__(self, size=10):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return {"x": float(index), "y": (index, index**2)}


def test_tensor_dataset():
    data = dataset()
    assert len(data) == 10
    x, y = data[3]
    assert (x.tolist(), y.item()) == ([6, 7], 3)
    with pytest.raises(ValueError, match=r"Size mismatch between tensors: .* \[10, 9\]"):
        TensorDataset(fastgrad.zeros(10, 2), fastgrad.zeros(9))


def test_batches_in_order():
    loader = DataLoader(dataset(), batch_size=4)
    batches = list(loader)
    assert len(loader) == len(batches) == 3
    assert [y.tolist() for _, y in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches[2][0].tolist() == [[16, 17], [18, 19]]
    assert next(iter(loader))[1].tolist() == [0, 1, 2, 3]


def test_drop_last():
    loader = DataLoader(dataset(), 4, drop_last=True)
    assert len(loader) == len(list(loader)) == 2


def test_a_batch_is_a_copy():
    data = dataset()
    for _, y in DataLoader(data, 4):
        y.fill_(-1)
    assert data.tensors[1].tolist() == list(range(10))


def orders(loader, passes=2):
    return [[i for _, y in loader for i in y.tolist()] for _ in range(passes)]


def test_shuffling_keeps_rows_together_and_changes_every_pass():
    data = dataset(50)
    loader = DataLoader(data, batch_size=7, shuffle=True)
    for x, y in loader:
        assert x[:, 0].tolist() == (2 * y).tolist()
    first, second = orders(loader)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second != list(range(50))


def test_the_order_follows_the_seed():
    for loaders in (
        [DataLoader(dataset(50), 7, True, generator=fastgrad.Generator().manual_seed(3)) for _ in range(2)],
        [DataLoader(dataset(50), 7, True), DataLoader(dataset(50), 7, True)],
    ):
        seen = []
        for loader in loaders:
            fastgrad.manual_seed(5)
            seen.append(orders(loader))
        assert seen[0] == seen[1]


def test_a_generator_leaves_the_default_one_alone():
    loader = DataLoader(dataset(), shuffle=True, generator=fastgrad.Generator())
    fastgrad.manual_seed(0)
    expected = fastgrad.rand(3).tolist()
    fastgrad.manual_seed(0)
    list(loader)
    assert fastgrad.rand(3).tolist() == expected


def test_samplers():
    assert orders(DataLoader(dataset(), 2, sampler=[3, 1, 2]), 1) == [[3, 1, 2]]
    assert len(DataLoader(dataset(), 2, sampler=[3, 1, 2])) == 2
    loader = DataLoader(dataset(), batch_sampler=[[3, 1], [2]])
    assert [y.tolist() for _, y in loader] == [[3, 1], [2]]
    assert len(loader) == 2


def test_single_samples():
    loader = DataLoader(dataset(3), batch_size=None)
    assert len(loader) == 3
    assert [y.item() for _, y in loader] == [0, 1, 2]


def test_other_datasets_are_collated():
    batches = list(DataLoader(Squares(), batch_size=4))
    assert [b["x"].tolist() for b in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches[1]["x"].dtype == fastgrad.float64
    assert [part.tolist() for part in batches[1]["y"]] == [[4, 5, 6, 7], [16, 25, 36, 49]]
    assert next(iter(DataLoader([1, 2, 3], 3))).tolist() == [1, 2, 3]


def test_collate_fn_gets_the_samples():
    loader = DataLoader(dataset(), 4, collate_fn=lambda samples: [y.item() for _, y in samples])
    assert list(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(DataLoader(Squares(), 5, shuffle=True, collate_fn=len)) == [5, 5]


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"num_workers": -1}, "num_workers option should be non-negative"),
        ({"shuffle": True, "sampler": [0]}, "mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "mutually exclusive with drop_last"),
        ({"batch_size": 0}, "positive integer value, but got batch_size=0"),
        ({"batch_size": 2.0}, "positive integer value"),
    ],
)
def test_loader_errors(kwargs, match):
    with pytest.raises(ValueError, match=match):
        DataLoader(dataset(), **kwargs)


def test_pinned_memory_is_accepted():
    assert len(list(DataLoader(dataset(), 5, pin_memory=True))) == 2


def test_a_dataset_defines_its_items():
    with pytest.raises(NotImplementedError, match="Dataset must define __getitem__"):
        Dataset()[0]


# ---- collating -------------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", ["a", "b"])


def test_collate_types():
    assert default_collate([fastgrad.ones(2), fastgrad.zeros(2)]).tolist() == [[1.0, 1.0], [0.0, 0.0]]
    arrays = default_collate([np.ones(2, np.float32), np.zeros(2, np.float32)])
    assert arrays.dtype == fastgrad.float32
    assert arrays.shape == (2, 2)
    assert default_collate([np.float64(1), np.float64(2)]).tolist() == [1.0, 2.0]
    assert default_collate([1, 2]).dtype == fastgrad.int64
    assert default_collate([1.5, 2.5]).dtype == fastgrad.float64
    assert default_collate([True, False]).dtype == fastgrad.bool
    assert default_collate(["a", "b"]) == ["a", "b"]
    pair = default_collate([Pair(1, "x"), Pair(2, "y")])
    assert type(pair) is Pair
    assert (pair.a.tolist(), pair.b) == ([1, 2], ("x", "y"))
    ordered = default_collate([OrderedDict(a=1), OrderedDict(a=2)])
    assert type(ordered) is OrderedDict
    assert ordered["a"].tolist() == [1, 2]


def test_collate_errors():
    with pytest.raises(RuntimeError, match=r"equal size, but got sizes \[1, 2\]"):
        default_collate([[1], [1, 2]])
    with pytest.raises(TypeError, match="but got object; pass collate_fn"):
        default_collate([object()])
    with pytest.raises(RuntimeError):
        default_collate([fastgrad.ones(2), fastgrad.ones(3)])
