"""micrograd's moons example as a workload: a 2-16-16-1 ReLU net, hinge loss over 100 points, an L2 term.

On single numbers it is a graph of about 65,000 operations; on matrices the same step is a dozen.
"""

from itertools import pairwise

import numpy as np

SIZES = (2, 16, 16, 1)
POINTS = 100
DECAY = 1e-4
TOLERANCE = 1e-4


class MoonsNet:
    """Points, labels (-1 or 1) and weights, and the step on them written for scalars and for matrices."""

    def __init__(self):
        rng = np.random.default_rng(5)
        angle, self.labels = rng.uniform(0, np.pi, POINTS), np.where(np.arange(POINTS) % 2, 1.0, -1.0)
        upper = np.stack([np.cos(angle), np.sin(angle)], 1)
        lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
        self.points = np.where(self.labels[:, None] > 0, lower, upper) + rng.normal(0, 0.1, (POINTS, 2))
        self.weights = [rng.uniform(-1, 1, (o, i)) for i, o in pairwise(SIZES)]
        self.biases = [np.zeros(o) for o in SIZES[1:]]
        self.expected = self._by_hand()

    @property
    def operations(self):
        """Binary operations and activations of one forward pass on single numbers."""
        inner = sum(2 * i * o for i, o in pairwise(SIZES)) + sum(SIZES[1:-1])
        params = sum(w.size + b.size for w, b in zip(self.weights, self.biases, strict=True))
        return POINTS * (inner + 4) + 2 * params + 1

    def scalar_step(self, make, no_gradient):
        """A function that returns the loss and the parameters with their gradients.

        `make(number)` is a leaf of the tape, `no_gradient` what its `grad` is set to before a step.
        """
        weights = [[[make(float(v)) for v in row] for row in w] for w in self.weights]
        biases = [[make(float(v)) for v in b] for b in self.biases]
        params = [p for w, b in zip(weights, biases, strict=True) for row in (*w, b) for p in row]
        points, labels = self.points.tolist(), self.labels.tolist()
        last = len(weights) - 1

        def step():
            for p in params:
                p.grad = no_gradient
            total = None
            for values, label in zip(points, labels, strict=True):
                for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
                    outputs = []
                    for row, shift in zip(w, b, strict=True):
                        score = shift
                        for p, v in zip(row, values, strict=True):
                            score = score + p * v
                        outputs.append(score if k == last else score.relu())
                    values = outputs
                hinge = (values[0] * -label + 1.0).relu()
                total = hinge if total is None else total + hinge
            decay = params[0] * params[0]
            for p in params[1:]:
                decay = decay + p * p
            loss = total * (1.0 / POINTS) + decay * DECAY
            loss.backward()
            return loss, params

        return step

    def matrix_step(self, torch):
        """The same, on matrices, in a library with PyTorch's names."""
        pairs = list(zip(self.weights, self.biases, strict=True))
        params = [torch.from_numpy(p.astype(np.float32)).requires_grad_() for pair in pairs for p in pair]
        x = torch.from_numpy(self.points.astype(np.float32))
        sign = torch.from_numpy(-self.labels[:, None].astype(np.float32))
        linear, relu = torch.nn.functional.linear, torch.relu

        def step():
            for p in params:
                p.grad = None
            w1, b1, w2, b2, w3, b3 = params
            score = linear(relu(linear(relu(linear(x, w1, b1)), w2, b2)), w3, b3)
            loss = relu(score * sign + 1.0).mean()
            for p in params:
                loss = loss + (p * p).sum() * DECAY
            loss.backward()
            return loss, params

        return step

    def disagreement(self, result):
        """Why a step's loss or gradient is not the one written out by hand, or None."""
        loss, params = result
        found = [float(getattr(loss, "data", loss)), float(np.sqrt(sum(_square(p.grad) for p in params)))]
        for name, got, want in zip(("loss", "norm of the gradient"), found, self.expected, strict=True):
            if not abs(got - want) <= TOLERANCE * want:
                return f"the {name} is {got:.6g}, not {want:.6g}"
        return None

    def _by_hand(self):
        """The loss and the norm of its gradient in NumPy."""
        inputs = [self.points]
        for w, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            inputs.append(np.maximum(inputs[-1] @ w.T + b, 0))
        margin = 1 - (inputs[-1] @ self.weights[-1].T + self.biases[-1]) * self.labels[:, None]
        params = [*self.weights, *self.biases]
        loss = np.maximum(margin, 0).mean() + DECAY * sum(_square(p) for p in params)
        g, squares = np.where(margin > 0, -1.0, 0.0) * self.labels[:, None] / POINTS, 0.0
        for x, w, b in zip(inputs[::-1], self.weights[::-1], self.biases[::-1], strict=True):
            squares += _square(g.T @ x + 2 * DECAY * w) + _square(g.sum(0) + 2 * DECAY * b)
            g = (g @ w) * (x > 0)
        return float(loss), float(np.sqrt(squares))


def _square(values):
    return float(np.square(np.asarray(values, np.float64)).sum())
