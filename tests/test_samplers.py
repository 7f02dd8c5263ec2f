"""Samplers, parts of data sets, and how a DataLoader reads them."""

import pytest

import fastgrad as fg
from fastgrad.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    random_split,
)


class Counted(TensorDataset):
    """Not read as a whole: a subclass may do anything in __getitem__."""

    def __getitem__(self, index):
        return tuple(10 * x for x in super().__getitem__(index))


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))


DATA = TensorDataset(fg.arange(10))


def test_random_split_by_sizes_and_fractions():
    for lengths, sizes in (([7, 3], [7, 3]), ([0.7, 0.3], [7, 3]), ([1 / 3, 1 / 3, 1 / 3], [4, 3, 3])):
        parts = random_split(DATA, lengths, generator=fg.Generator().manual_seed(1))
        assert [len(part) for part in parts] == sizes
        assert sorted(x.item() for part in parts for (x,) in (part[i] for i in range(len(part)))) == list(range(10))
    again = random_split(DATA, [7, 3], generator=fg.Generator().manual_seed(1))
    assert again[0].indices == random_split(DATA, [7, 3], generator=fg.Generator().manual_seed(1))[0].indices
    with pytest.raises(ValueError, match="Sum of input lengths does not equal"):
        random_split(DATA, [7, 4])


def test_a_subset_is_read_like_its_data():
    subset = Subset(DATA, [8, 2, 5])
    assert len(subset) == 3 and subset[1][0].item() == 2
    assert [x.tolist() for (x,) in DataLoader(subset, batch_size=2)] == [[8, 2], [5]]
    assert [x.tolist() for (x,) in DataLoader(Subset(Counted(fg.arange(10)), [8, 2]), batch_size=2)] == [[80, 20]]
    shuffled = DataLoader(subset, batch_size=3, shuffle=True)
    assert sorted(next(iter(shuffled))[0].tolist()) == [2, 5, 8]


def test_data_sets_one_after_the_other():
    both = DATA + Subset(DATA, [9, 8])
    assert isinstance(both, ConcatDataset) and len(both) == 12
    assert [both[i][0].item() for i in (0, 9, 10, -1)] == [0, 9, 9, 8]
    with pytest.raises(IndexError, match="index 12 is out of range"):
        both[12]
    with pytest.raises(ValueError, match="empty"):
        ConcatDataset([])


def test_samplers_give_each_index_once_or_by_weight():
    fg.manual_seed(0)
    assert list(SequentialSampler(range(3))) == [0, 1, 2]
    assert sorted(RandomSampler(range(5))) == [0, 1, 2, 3, 4] and len(RandomSampler(range(5))) == 5
    assert len(list(RandomSampler(range(3), num_samples=7))) == 7
    assert all(0 <= i < 3 for i in RandomSampler(range(3), replacement=True, num_samples=50))
    assert sorted(SubsetRandomSampler([4, 7, 9])) == [4, 7, 9]
    drawn = list(WeightedRandomSampler([0.0, 1.0, 3.0], 2000))
    assert 0 not in drawn and 0.7 < drawn.count(2) / 2000 < 0.8
    assert list(BatchSampler(SequentialSampler(range(5)), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="positive integer"):
        WeightedRandomSampler([1.0], 0)


def test_a_loader_takes_samplers():
    loader = DataLoader(DATA, batch_size=4, sampler=RandomSampler(DATA))
    assert len(loader) == 3 and sorted(x for (batch,) in loader for x in batch.tolist()) == list(range(10))
    loader = DataLoader(DATA, batch_sampler=BatchSampler(SequentialSampler(DATA), 5, False))
    assert [x.tolist() for (x,) in loader] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_a_stream_is_read_in_turn():
    assert [x.tolist() for x in DataLoader(Stream(), batch_size=2)] == [[0, 1], [2, 3], [4]]
    assert [x.tolist() for x in DataLoader(Stream(), batch_size=2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(), batch_size=None)) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="read in its own order"):
        DataLoader(Stream(), shuffle=True)


def test_what_makes_workers_is_accepted():
    loader = DataLoader(DATA, 5, num_workers=2, persistent_workers=True, prefetch_factor=2, pin_memory=True, timeout=1)
    assert [x.tolist() for (x,) in loader] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
