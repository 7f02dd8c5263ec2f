"""Reverse-mode differentiation of arrays: a pure-Python tape over NumPy.

The scalar tape stores the derivative along each edge. For arrays that derivative would be a Jacobian, as
large as input times output, so a node stores a *rule* instead: a function that takes the gradient of its
result and returns the gradients of its operands, already multiplied out. Each rule closes over only what it
reads, and it returns None for an operand that needs no gradient.
"""

import heapq
from itertools import count

import numpy as np

_births = count()


class Array:
    """A NumPy array, its gradient, and how to send that gradient on to the operands.

    A result is always born after its operands. Visiting nodes from the youngest to the oldest therefore
    visits every one after all its consumers, and `birth` is all the ordering that `backward` needs.
    """

    __slots__ = ("birth", "data", "grad", "parents", "requires_grad", "rule")

    def __init__(self, data, requires_grad=False):
        self.data = data
        self.grad = None
        self.parents = ()
        self.rule = None
        self.requires_grad = requires_grad
        self.birth = next(_births)

    def __add__(self, other):
        a, b = self, other
        return _result(
            a.data + b.data,
            (a, b),
            lambda g: (
                sum_to(g, a.data.shape) if a.requires_grad else None,
                sum_to(g, b.data.shape) if b.requires_grad else None,
            ),
        )

    def __mul__(self, other):
        a, b = self, other
        return _result(
            a.data * b.data,
            (a, b),
            lambda g: (
                sum_to(g * b.data, a.data.shape) if a.requires_grad else None,
                sum_to(g * a.data, b.data.shape) if b.requires_grad else None,
            ),
        )

    def __matmul__(self, other):
        """The product of two matrices; of y = a b the gradients are g bᵀ and aᵀ g."""
        a, b = self, other
        return _result(
            a.data @ b.data,
            (a, b),
            lambda g: (
                g @ b.data.T if a.requires_grad else None,
                a.data.T @ g if b.requires_grad else None,
            ),
        )

    @property
    def T(self):  # noqa: N802 - the name that NumPy gives it
        return _result(self.data.T, (self,), lambda g: (g.T,))

    def relu(self):
        y = np.maximum(self.data, 0)
        return _result(y, (self,), lambda g: (g * (y > 0),))

    def sum(self):
        shape = self.data.shape
        return _result(self.data.sum(), (self,), lambda g: (np.broadcast_to(g, shape),))

    def backward(self):
        """Add the derivative of this number to `grad` of every leaf that requires one."""
        grads = {self: np.ones_like(self.data)}
        waiting = [(-self.birth, self)]
        while waiting:
            _, node = heapq.heappop(waiting)
            grad = grads.pop(node)
            if node.rule is None:
                node.grad = grad if node.grad is None else node.grad + grad
                continue
            for parent, part in zip(node.parents, node.rule(grad), strict=True):
                if part is None:
                    continue
                if parent in grads:
                    grads[parent] = grads[parent] + part
                else:
                    grads[parent] = part
                    heapq.heappush(waiting, (-parent.birth, parent))


def cross_entropy(logits, labels):
    """Mean of -log softmax(logits)[label] over the rows; its gradient is (softmax - one_hot) / rows."""
    rows = np.arange(len(labels))
    shifted = logits.data - logits.data.max(axis=1, keepdims=True)
    exps = np.exp(shifted)
    totals = exps.sum(axis=1)
    losses = np.log(totals) - shifted[rows, labels]

    def rule(g):
        dlogits = exps / totals[:, None]
        dlogits[rows, labels] -= 1
        dlogits *= g / len(rows)
        return (dlogits,)

    return _result(losses.mean(), (logits,), rule)


def sum_to(grad, shape):
    """Undo broadcasting: an operand that was repeated receives the sum over its copies."""
    if grad.shape == shape:
        return grad
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=True)


def _result(data, parents, rule):
    out = Array(data)
    if any(parent.requires_grad for parent in parents):
        out.requires_grad = True
        out.parents = parents
        out.rule = rule
    return out


class MLP:
    """Three nodes for a hidden layer and its activation; the transpose of a weight is one of its own."""

    def __init__(self, params):
        self.params = [Array(param.copy(), requires_grad=True) for param in params]

    def loss(self, x, labels):
        """Mean softmax cross-entropy of a batch."""
        hidden = Array(x)
        last = len(self.params) - 2
        for i in range(0, len(self.params), 2):
            weight, bias = self.params[i : i + 2]
            hidden = hidden @ weight.T + bias
            if i != last:
                hidden = hidden.relu()
        self._loss = cross_entropy(hidden, labels)
        return float(self._loss.data)

    def backward(self):
        """The gradients of the last loss, one array for each parameter."""
        for param in self.params:
            param.grad = None
        self._loss.backward()
        return [param.grad for param in self.params]

    def update(self, lr):
        """One step of gradient descent with the gradients of the last `backward`."""
        for param in self.params:
            param.data -= lr * param.grad

    def arrays(self):
        """The parameters as arrays."""
        return [param.data for param in self.params]
