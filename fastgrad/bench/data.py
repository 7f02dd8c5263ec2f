"""Batches of data in memory: a shuffled epoch of a DataLoader against slices of a permuted index array."""

import numpy as np

from . import harness
from .contenders import library
from .problem import NotTimedError
from .results import Table, Verdict

SAMPLES, BATCH, LIMIT = 2000, 32, 1.2


def section(context):
    run = context.run
    columns = ["fastgrad", "slicing", "NumPy slicing", "torch"]
    table = Table("data", f"A shuffled epoch of {SAMPLES:,} samples in batches of {BATCH}", columns, "slicing")
    table.note = (
        "Slicing takes x[order[i:i+32]] and y[order[i:i+32]] of Tensors of fastgrad; the rest use a DataLoader."
    )
    run.tables.append(table)
    for features in (64, 784):
        context.progress(f"{features} features")
        x, y = np.zeros((SAMPLES, features), np.float32), np.zeros(SAMPLES, np.int64)
        steps = {"NumPy slicing": harness.repeated(lambda x=x, y=y: by_hand(_permutation, x, y))}
        for name in ("fastgrad", "torch"):
            try:
                torch = library(name)
            except NotTimedError as reason:
                run.note(name, str(reason))
                continue
            tensors = torch.from_numpy(x), torch.from_numpy(y)
            steps[name] = harness.repeated(lambda torch=torch, tensors=tensors: loader(torch, *tensors))
            if name == "fastgrad":
                draw = torch.randperm
                steps["slicing"] = harness.repeated(lambda draw=draw, tensors=tensors: by_hand(draw, *tensors))
        cells = table.rows[f"{features} features"] = harness.interleave(steps, context.rounds)
        times = cells["fastgrad"].median / cells["slicing"].median
        what = f"DataLoader, {features} features"
        run.verdicts.append(Verdict("8", what, f"≤ {LIMIT}x slicing", f"{times:.2f}x", times <= LIMIT))


def _permutation(n):
    return np.random.default_rng(0).permutation(n)


def by_hand(draw, x, y):
    """An epoch as one writes it without a loader."""
    order, seen = draw(SAMPLES), 0
    for i in range(0, SAMPLES, BATCH):
        at = order[i : i + BATCH]
        _, labels = x[at], y[at]
        seen += len(labels)
    assert seen == SAMPLES


def loader(torch, x, y):
    """An epoch by `utils.data.DataLoader`."""
    import importlib

    data = importlib.import_module(f"{torch.__name__}.utils.data")
    batches = data.DataLoader(data.TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    assert sum(len(labels) for _, labels in batches) == SAMPLES
