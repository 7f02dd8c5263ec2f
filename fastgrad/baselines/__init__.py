"""One training step, written four ways without fastgrad: what it is compared with, and checked against.

- `scalar_tape`  every number is a node of a tape, in pure Python
- `numpy_tape`   every array is a node of a tape, in pure Python over NumPy
- `gates`        objects with `forward` and `backward`, run in topological order
- `flat_numpy`   forward and backward written out by hand

Each holds a class `MLP(params)`: linear layers with ReLU between them, trained on softmax cross-entropy from
integer labels by plain gradient descent. `params` are arrays `[W1, b1, W2, b2, ...]`, a weight having one row for
each output, so `y = x Wᵀ + b`; they are copied, and their dtype is kept. A step is `loss(x, labels)`, the forward
pass and the loss, then `backward()`, which returns the gradients in the order of `params`, then `update(lr)`.
`arrays()` are the parameters as they are now.
These modules import NumPy and the standard library only.
"""

from itertools import pairwise

import numpy as np

from . import flat_numpy, gates, numpy_tape, scalar_tape

__all__ = ["flat_numpy", "gates", "init_params", "numpy_tape", "scalar_tape"]


def init_params(sizes, seed=0, dtype=np.float64):
    """Random parameters of an MLP with the given layer sizes, inputs first.

    Weights have the variance 2 / inputs that keeps the activations of ReLU layers at one scale; biases are zero.
    """
    rng = np.random.default_rng(seed)
    params = []
    for inputs, outputs in pairwise(sizes):
        weight = rng.normal(0.0, np.sqrt(2.0 / inputs), (outputs, inputs))
        params += [weight.astype(dtype), np.zeros(outputs, dtype)]
    return params
