"""What is wrong with a gradient: `diagnose` a model, watch its training, find the first NaN, find a learning rate."""

from fastgrad._near import missing as _missing
from fastgrad.diagnostics._anomaly import AnomalyError, detect_anomaly, set_detect_anomaly
from fastgrad.diagnostics._diagnose import Diagnosis, Finding, LayerReport, diagnose
from fastgrad.diagnostics._lr_find import LearningRates, lr_find
from fastgrad.diagnostics._monitor import GradientMonitor

__all__ = [
    "AnomalyError",
    "Diagnosis",
    "Finding",
    "GradientMonitor",
    "LayerReport",
    "LearningRates",
    "detect_anomaly",
    "diagnose",
    "lr_find",
    "set_detect_anomaly",
]

__getattr__ = _missing(__name__, globals())
