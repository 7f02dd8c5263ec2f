"""Records what PyTorch computes for the samples of the table, and for the calls of calls.py: values, gradients, second
derivatives and the types of exceptions, in tests/data/torch.npz.

Run it where both are installed: `python tests/record_torch.py`. tests/test_torch.py compares with the file, so the
comparison also runs where PyTorch is not installed.
"""

import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
FILE = HERE / "data" / "torch.npz"

_spec = importlib.util.spec_from_file_location("table_samples", HERE / "table.py")
table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(table)
_spec = importlib.util.spec_from_file_location("torch_calls", HERE / "calls.py")
calls = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(calls)

# The same operation under another name or with other arguments there; what is not found is not compared.
NAMES = {"index_put": None}


def torch_function(name):
    """PyTorch's function of a record's name: torch.x, functional.x, Tensor.x, or None."""
    import torch

    name = NAMES.get(name, name)
    if name is None:
        return None
    for home in (torch.nn.functional, torch, torch.Tensor, torch.special):
        if hasattr(home, name):
            return getattr(home, name)
    return None


def weights(shape, k):
    """Fixed numbers that turn output k into a scalar, different for every element."""
    return np.cos(np.arange(np.prod(shape, dtype=int)) * 0.7 + k).reshape(shape)


def torch_results(name, k):
    """[values of outputs..., gradients of real inputs...] of one sample as PyTorch has it; None where it has no such op."""
    import torch

    function = torch_function(name)
    if function is None:
        return None
    args, _ = table.samples(name)[k]
    xs = [torch.tensor(a, requires_grad=True) for a in table.real_arrays(args)]
    ys = [torch.as_tensor(y) for y in table.call(name, k, xs, torch.tensor, function)]
    return collect(ys, xs, torch.tensor, lambda y, x: torch.autograd.grad(y, x, allow_unused=True))


def collect(ys, xs, tensor, grad):
    """Values, then the gradients of a weighted sum of all real outputs."""
    total = None
    for k, y in enumerate(ys):
        if y.requires_grad:
            part = (y * tensor(weights(tuple(y.shape), k))).sum()
            total = part if total is None else total + part
    gs = [None] * len(xs) if total is None else grad(total, xs)
    return [y.detach().numpy() for y in ys] + [np.zeros(0) if g is None else g.numpy() for g in gs]


def load():
    """What was recorded: {"name-k": [arrays]}."""
    with np.load(FILE) as data:
        numbers, index = data["numbers"], json.loads(str(data["index"]))
    at, recorded = 0, {}
    for key, arrays in index.items():
        recorded[key] = []
        for dtype, shape in arrays:
            size = int(np.prod(shape, dtype=int))
            recorded[key].append(numbers[at : at + size].astype(dtype).reshape(shape))
            at += size
    return recorded


def load_calls():
    """What was recorded of calls.py: {call: what calls.run gave}."""
    with np.load(FILE) as data:
        numbers, index = data["call_numbers"], json.loads(str(data["calls"]))
    at, recorded = 0, {}
    for call, entry in index.items():
        if isinstance(entry[-1], int):
            *exact, count = entry
            entry = [exact, numbers[at : at + count].tolist()]
            at += count
        recorded[call] = entry
    return recorded


def save(recorded, called):
    """One vector of all numbers and an index of shapes: a tenth of the size of an archive of small arrays."""
    index = {key: [(a.dtype.name, a.shape) for a in arrays] for key, arrays in recorded.items()}
    numbers = np.concatenate([a.astype(np.float64).ravel() for arrays in recorded.values() for a in arrays])
    raised = {call: entry for call, entry in called.items() if isinstance(entry[0], str)}
    gave = {call: entry for call, entry in called.items() if call not in raised}
    index_of_calls = {**raised, **{call: [*exact, len(close)] for call, (exact, close) in gave.items()}}
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        FILE,
        numbers=numbers,
        index=json.dumps(index),
        calls=json.dumps(index_of_calls),
        call_numbers=np.array([number for _, close in gave.values() for number in close]),
    )


def main():
    warnings.simplefilter("ignore")
    found, missing = {}, []
    for name, k in table.cases():
        try:
            results = torch_results(name, k)
        except (TypeError, RuntimeError) as error:
            missing.append(f"{name}-{k}: {str(error).splitlines()[0][:90]}")
            continue
        if results is None:
            missing.append(f"{name}-{k}: no such function")
        else:
            found[f"{name}-{k}"] = results
    import torch

    called = {call: calls.run(call, torch, torch.nn.functional) for call in calls.CALLS}
    save(found, called)
    print(f"{len(called)} calls and {len(found)} samples recorded; not compared:", *missing, sep="\n  ")


if __name__ == "__main__":
    main()
