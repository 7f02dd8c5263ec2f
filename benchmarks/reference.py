"""The losses every contender must reach: the training step in float64 NumPy, by hand."""

import numpy as np

from fastgrad.baselines import flat_numpy


def losses(params, x, labels, optimizer, steps, *, lr, weight_decay=0.0):
    """The loss of each of `steps` steps from `params` ([W1, b1, ...]), and the parameters after them."""
    net = flat_numpy.MLP([p.astype(np.float64) for p in params])
    moments = [(np.zeros(p.shape), np.zeros(p.shape)) for p in params]
    found = []
    for step in range(1, steps + 1):
        found.append(net.loss(x.astype(np.float64), labels))
        grads = net.backward()
        if optimizer == "sgd":
            net.update(lr)
        else:
            _adamw(net.arrays(), grads, moments, step, lr, weight_decay)
    return np.array(found), net.arrays()


def _adamw(params, grads, moments, step, lr, weight_decay, beta1=0.9, beta2=0.999, eps=1e-8):
    """Loshchilov and Hutter, Decoupled weight decay regularization (2019), algorithm 2, in place."""
    for p, g, (m, v) in zip(params, grads, moments, strict=True):
        m += (1 - beta1) * (g - m)
        v += (1 - beta2) * (g * g - v)
        p -= lr * (m / (1 - beta1**step) / (np.sqrt(v / (1 - beta2**step)) + eps) + weight_decay * p)
