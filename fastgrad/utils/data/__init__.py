"""Data sets and their batches."""

from fastgrad._near import missing as _missing
from fastgrad.utils.data.collate import default_collate
from fastgrad.utils.data.dataloader import DataLoader
from fastgrad.utils.data.dataset import Dataset, TensorDataset

__all__ = ["DataLoader", "Dataset", "TensorDataset", "default_collate"]

__getattr__ = _missing(__name__, globals())
