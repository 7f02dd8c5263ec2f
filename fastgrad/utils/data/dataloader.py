"""DataLoader. Imports the core, datasets and collate.

A TensorDataset, or a Subset of one, is read by one index_select per Tensor and batch; no Python runs per sample. All work is
done where the loader is iterated: for data in memory, worker processes would cost more than they take over.
"""

import itertools

from fastgrad import _core
from fastgrad.utils.data.collate import default_collate
from fastgrad.utils.data.dataset import IterableDataset, Subset, TensorDataset


class DataLoader:
    """Batches of a data set.

    Args:
        dataset: anything with `__getitem__` and `__len__`, or an IterableDataset.
        batch_size: samples in a batch; None for single samples, not collated.
        shuffle: whether to draw a new order for every pass.
        sampler: an iterable of indices that gives the order instead.
        batch_sampler: an iterable of lists of indices, instead of batch_size, shuffle, sampler and drop_last.
        num_workers, timeout, worker_init_fn, multiprocessing_context, prefetch_factor, persistent_workers, in_order,
            pin_memory_device: accepted and without effect: batches are made in this process, in order.
        collate_fn: joins a list of samples into a batch; `default_collate` if None.
        pin_memory: accepted; memory of a CPU need not be pinned.
        drop_last: whether to leave out a last batch that is smaller.
        generator: where the order is drawn from; the default generator, which `manual_seed` seeds, if None.

    Example:
        >>> data = fastgrad.utils.data.TensorDataset(fastgrad.zeros(100, 4), fastgrad.zeros(100))
        >>> for x, y in fastgrad.utils.data.DataLoader(data, batch_size=64, shuffle=True):
        ...     print(x.shape, y.shape)
        fastgrad.Size([64, 4]) fastgrad.Size([64])
        fastgrad.Size([36, 4]) fastgrad.Size([36])
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
    ):
        if num_workers < 0:
            raise ValueError(f"num_workers option should be non-negative, but got {num_workers}")
        if isinstance(dataset, IterableDataset) and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "an IterableDataset is read in its own order: leave out shuffle, sampler and batch_sampler"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
        if batch_size is None and drop_last:
            raise ValueError("batch_size=None disables batching and is mutually exclusive with drop_last")
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size <= 0):
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        self.dataset = dataset
        self.batch_size = batch_size if batch_sampler is None else None
        self.shuffle = bool(shuffle)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.generator = generator

    def __len__(self):
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        given = self.sampler is not None and not isinstance(self.dataset, IterableDataset)
        samples = len(self.sampler if given else self.dataset)
        if self.batch_size is None:
            return samples
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def __iter__(self):
        if isinstance(self.dataset, IterableDataset):
            return self._in_turn()
        if self.batch_size is None and self.batch_sampler is None:
            samples = map(self.dataset.__getitem__, self._order().tolist())
            return samples if self.collate_fn is None else map(self.collate_fn, samples)
        tensors, chosen = self._in_memory()
        if tensors is None:
            return map(self._samples, self._indices())
        return ([t.index_select(0, at if chosen is None else chosen[at]) for t in tensors] for at in self._indices())

    def _in_memory(self):
        """(Tensors whose rows are the samples, the numbers of these rows or None for all); (None, None) for other data."""
        data, chosen = self.dataset, None
        if type(data) is Subset and type(data.dataset) is TensorDataset:
            data, chosen = data.dataset, _core.tensor(list(data.indices), dtype=_core.int64)
        return (data.tensors, chosen) if type(data) is TensorDataset and self.collate_fn is None else (None, None)

    def _in_turn(self):
        """Batches of an IterableDataset."""
        samples, collate = iter(self.dataset), self.collate_fn or default_collate
        if self.batch_size is None:
            yield from samples if self.collate_fn is None else map(self.collate_fn, samples)
            return
        while batch := list(itertools.islice(samples, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield collate(batch)

    def _order(self):
        """The indices of one pass as a Tensor."""
        if self.sampler is not None:
            return _core.tensor(list(self.sampler), dtype=_core.int64)
        if self.shuffle:
            return _core.randperm(len(self.dataset), generator=self.generator)
        return _core.arange(len(self.dataset))

    def _indices(self):
        """The indices of each batch as a Tensor."""
        if self.batch_sampler is not None:
            for indices in self.batch_sampler:
                yield _core.tensor(list(indices), dtype=_core.int64)
            return
        order = self._order()
        end = len(order) - (len(order) % self.batch_size if self.drop_last else 0)
        for start in range(0, end, self.batch_size):
            yield order[start : start + self.batch_size]

    def _samples(self, indices):
        return (self.collate_fn or default_collate)([self.dataset[index] for index in indices.tolist()])
