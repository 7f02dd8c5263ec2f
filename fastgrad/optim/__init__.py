"""Optimisers and schedules of their learning rates."""

from fastgrad._near import missing as _missing
from fastgrad.optim import lr_scheduler
from fastgrad.optim.adam import Adam, AdamW
from fastgrad.optim.optimizer import Optimizer
from fastgrad.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]

__getattr__ = _missing(__name__, globals())
