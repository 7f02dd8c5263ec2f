"""Reverse-mode differentiation of single numbers, in pure Python.

Every number is a `Value`, and every operation makes a new one that remembers two things: the values it was
computed from, and the derivative of the result by each of them. That is the whole tape. `Value.backward`
then needs no knowledge of the operations: it only multiplies and adds along the edges.
"""

import math

import numpy as np


class Value:
    """A number, its gradient, and the edges to the numbers it was computed from.

    An operation has at most two operands, so an edge is a pair of fields rather than an entry in a list:
    `left` with `by_left`, the derivative of this value by `left`, and `right` with `by_right`.
    A leaf has neither; an operation on one value, or on a value and a constant, has no `right`.
    """

    __slots__ = ("by_left", "by_right", "consumers", "data", "grad", "left", "right")

    def __init__(self, data, left=None, by_left=0.0, right=None, by_right=0.0):
        self.data = data
        self.grad = 0.0
        self.left = left
        self.by_left = by_left
        self.right = right
        self.by_right = by_right
        self.consumers = 0  # results still to be heard from; zero except while `backward` runs

    def __add__(self, other):
        if other.__class__ is Value:
            return Value(self.data + other.data, self, 1.0, other, 1.0)
        return Value(self.data + other, self, 1.0)

    def __sub__(self, other):
        if other.__class__ is Value:
            return Value(self.data - other.data, self, 1.0, other, -1.0)
        return Value(self.data - other, self, 1.0)

    def __mul__(self, other):
        if other.__class__ is Value:
            return Value(self.data * other.data, self, other.data, other, self.data)
        return Value(self.data * other, self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def relu(self):
        return Value(self.data, self, 1.0) if self.data > 0.0 else Value(0.0, self, 0.0)

    def exp(self):
        y = math.exp(self.data)
        return Value(y, self, y)

    def log(self):
        return Value(math.log(self.data), self, 1.0 / self.data)

    def backward(self):
        """Add the derivative of this value to `grad` of every leaf it depends on.

        A value may pass its gradient on only when all its consumers have passed theirs to it. So the first
        sweep counts, for every value, the consumers that this result reaches; the second starts here and
        releases a value when its last consumer is done. Neither recurses, so depth costs nothing.
        """
        self.grad = 1.0
        reached = [self]
        for value in reached:  # the list grows as it is read
            left = value.left
            if left is not None:
                if not left.consumers:
                    reached.append(left)
                    if left.left is not None:
                        left.grad = 0.0  # only leaves accumulate over several calls
                left.consumers += 1
                right = value.right
                if right is not None:
                    if not right.consumers:
                        reached.append(right)
                        if right.left is not None:
                            right.grad = 0.0
                    right.consumers += 1

        ready = [self]
        while ready:
            value = ready.pop()
            left = value.left
            if left is not None:
                grad = value.grad
                left.grad += grad * value.by_left
                left.consumers -= 1
                if not left.consumers:
                    ready.append(left)
                right = value.right
                if right is not None:
                    right.grad += grad * value.by_right
                    right.consumers -= 1
                    if not right.consumers:
                        ready.append(right)


class MLP:
    """One `Value` per weight; a forward pass makes two more for every multiplication and addition."""

    def __init__(self, params):
        self.params = [_to_values(param) for param in params]
        self.dtype = params[0].dtype

    def loss(self, x, labels):
        """Mean softmax cross-entropy of a batch. The inputs are constants: plain numbers, not values."""
        losses = [
            _cross_entropy(self._logits(row), label) for row, label in zip(x.tolist(), labels.tolist(), strict=True)
        ]
        self._loss = _sum(losses) * (1.0 / len(losses))
        return self._loss.data

    def _logits(self, hidden):
        last = len(self.params) - 2
        for i in range(0, len(self.params), 2):
            weight, bias = self.params[i : i + 2]
            outputs = []
            for weights, shift in zip(weight, bias, strict=True):
                total = shift
                for w, h in zip(weights, hidden, strict=True):
                    total = total + w * h
                outputs.append(total if i == last else total.relu())
            hidden = outputs
        return hidden

    def backward(self):
        """The gradients of the last loss, one array for each parameter."""
        for param in self.params:
            for value in _leaves(param):
                value.grad = 0.0
        self._loss.backward()
        return [_to_array(param, "grad", self.dtype) for param in self.params]

    def update(self, lr):
        """One step of gradient descent with the gradients of the last `backward`."""
        for param in self.params:
            for value in _leaves(param):
                value.data -= lr * value.grad

    def arrays(self):
        """The parameters as arrays."""
        return [_to_array(param, "data", self.dtype) for param in self.params]


def _cross_entropy(logits, label):
    """-log softmax(logits)[label] = log(sum(exp(z))) - z[label], shifted so that no exp can overflow."""
    top = max(z.data for z in logits)
    total = _sum([(z - top).exp() for z in logits])
    return total.log() + top - logits[label]


def _sum(values):
    return sum(values[1:], values[0])  # not from 0, which would be one node more


def _to_values(array):
    if array.ndim == 1:
        return [Value(number) for number in array.tolist()]
    return [_to_values(row) for row in array]


def _leaves(param):
    for entry in param:
        if entry.__class__ is Value:
            yield entry
        else:
            yield from entry


def _to_array(param, field, dtype):
    if param[0].__class__ is Value:
        return np.array([getattr(value, field) for value in param], dtype)
    return np.array([[getattr(value, field) for value in row] for row in param], dtype)
