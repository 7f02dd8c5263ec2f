"""A training problem: data, weights, and the losses that every contender must reach from them.

The losses are those of the step in float64 NumPy, written by hand. Imports the baselines.
"""

from dataclasses import dataclass

import numpy as np

from fastgrad.baselines import init_params

CHECK_STEPS = 10
CHECK_LR = {"sgd": 0.05, "adamw": 1e-3}
TOLERANCE = 1e-4
# The timed steps leave the weights where they are. A net trained to the end on its one batch has gradients that
# underflow, and what would be timed is how each contender meets denormal numbers.
TIMED_LR = 1e-8
ADAMW_DECAY = 0.01  # PyTorch's default, for contenders that have none
NAMES = {"sgd": "SGD", "adamw": "AdamW"}


class NotTimedError(Exception):
    """A contender that cannot run a row, or computes something else; the message says why."""


@dataclass(frozen=True)
class Net:
    """An MLP with ReLU between its layers, its batch, its loss and its optimiser."""

    batch: int
    sizes: tuple[int, ...]
    optimizer: str
    loss: str = "cross_entropy"

    @property
    def weights(self):
        return sum(i * o for i, o in zip(self.sizes, self.sizes[1:], strict=False))

    def __str__(self):
        return f"{self.batch} x {'-'.join(map(str, self.sizes))}, {NAMES[self.optimizer]}"


class Problem:
    """The data and weights of a net, in float32, and the losses to be reached from them."""

    def __init__(self, net):
        rng = np.random.default_rng(1)
        self.net = net
        self.x = rng.standard_normal((net.batch, net.sizes[0])).astype(np.float32)
        if net.loss == "mse":
            self.labels = rng.standard_normal((net.batch, net.sizes[-1])).astype(np.float32)
        else:
            self.labels = rng.integers(0, net.sizes[-1], net.batch)
        self.params = init_params(net.sizes, seed=2, dtype=np.float32)
        self.decay = ADAMW_DECAY if net.optimizer == "adamw" else 0.0
        self.check_lr = CHECK_LR[net.optimizer]
        self.expected, _ = expected_losses(self, CHECK_STEPS, self.check_lr)


def checked(make, problem):
    """The step to be timed, once another from the same weights has reached the expected losses."""
    losses = np.array(make(problem, problem.check_lr).losses(CHECK_STEPS))
    wrong = ~(np.abs(losses - problem.expected) <= TOLERANCE * np.abs(problem.expected))
    if wrong.any():
        k = int(wrong.argmax())
        raise NotTimedError(f"the loss of step {k} is {losses[k]:.6g}, not {problem.expected[k]:.6g}")
    return make(problem, TIMED_LR)


def expected_losses(problem, steps, lr):
    """The loss of each of `steps` steps in float64, and the parameters after them."""
    params = [p.astype(np.float64) for p in problem.params]
    update, found = Update(problem.net.optimizer, params, lr, problem.decay), []
    for _ in range(steps):
        loss, grads = gradient(problem.net.loss, params, problem.x.astype(np.float64), problem.labels)
        found.append(loss)
        update(grads)
    return np.array(found), params


def gradient(kind, params, x, target):
    """The loss of an MLP and its gradients, layer by layer."""
    inputs = [x]
    for w, b in zip(params[0:-2:2], params[1:-2:2], strict=True):
        inputs.append(np.maximum(inputs[-1] @ w.T + b, 0))
    z = inputs[-1] @ params[-2].T + params[-1]
    if kind == "mse":
        loss, dz = np.square(z - target).mean(), 2 * (z - target) / z.size
    else:
        rows = np.arange(len(z))
        z = z - z.max(1, keepdims=True)
        p = np.exp(z)
        total = p.sum(1, keepdims=True)
        loss, dz = (np.log(total[:, 0]) - z[rows, target]).mean(), p / total
        dz[rows, target] -= 1
        dz /= len(z)
    grads = []
    for x, w in zip(inputs[::-1], params[-2::-2], strict=True):
        grads += [dz.sum(0), dz.T @ x]
        dz = (dz @ w) * (x > 0)
    return float(loss), grads[::-1]


class Update:
    """SGD or AdamW on NumPy arrays, in place: for the expected losses, and for libraries that bring no optimiser."""

    def __init__(self, optimizer, params, lr, decay):
        self.params, self.lr, self.decay = params, lr, decay
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in params] if optimizer == "adamw" else None
        self.step = 0

    def __call__(self, grads):
        if self.moments is None:
            for p, g in zip(self.params, grads, strict=True):
                p -= self.lr * g
        else:
            self.step += 1
            self._adamw(grads)

    def _adamw(self, grads, beta1=0.9, beta2=0.999, eps=1e-8):
        """Loshchilov and Hutter, Decoupled weight decay regularization (2019), algorithm 2."""
        rate, root = self.lr / (1 - beta1**self.step), (1 - beta2**self.step) ** -0.5
        for p, g, (m, v) in zip(self.params, grads, self.moments, strict=True):
            m += (1 - beta1) * (g - m)
            v += (1 - beta2) * (g * g - v)
            p *= 1 - self.lr * self.decay
            p -= rate * m / (np.sqrt(v) * root + eps)
