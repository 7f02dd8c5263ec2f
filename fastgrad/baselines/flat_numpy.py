"""Backpropagation written out by hand, for one fixed function.

No graph and no tape: the forward pass keeps what the backward pass will read, and each line of the backward
pass is the derivative of one line of the forward pass, in the opposite order. It is the fastest way to write
it in NumPy and the least reusable: another layer, or another loss, is other code.
"""

import numpy as np


class MLP:
    """A stack of linear layers and ReLUs of any depth, as two loops over the layers."""

    def __init__(self, params):
        self.weights = [weight.copy() for weight in params[0::2]]
        self.biases = [bias.copy() for bias in params[1::2]]

    def loss(self, x, labels):
        """Mean softmax cross-entropy of a batch."""
        self.inputs = [x]  # of each layer
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = self.inputs[-1] @ W.T
            z += b
            self.inputs.append(np.maximum(z, 0, out=z))
        z = self.inputs[-1] @ self.weights[-1].T
        z += self.biases[-1]

        self.rows, self.labels = np.arange(len(labels)), labels
        z -= z.max(axis=1, keepdims=True)
        right = z[self.rows, labels]
        p = np.exp(z, out=z)
        totals = p.sum(axis=1)
        p /= totals[:, None]
        self.probabilities = p
        return float((np.log(totals) - right).mean())

    def backward(self):
        """The gradients of the last loss, one array for each parameter."""
        dz = self.probabilities.copy()
        dz[self.rows, self.labels] -= 1
        dz /= len(self.rows)
        grads = []
        for i in reversed(range(len(self.weights))):
            x = self.inputs[i]
            grads += [dz.sum(axis=0), dz.T @ x]
            if i > 0:  # nobody asks for the gradient of the data
                dz = dz @ self.weights[i]
                dz *= x > 0  # x is the output of the ReLU before this layer
        self.grads = grads[::-1]
        return self.grads

    def update(self, lr):
        """One step of gradient descent with the gradients of the last `backward`."""
        for param, grad in zip(self.arrays(), self.grads, strict=True):
            param -= lr * grad

    def arrays(self):
        """The parameters as arrays."""
        return [param for layer in zip(self.weights, self.biases, strict=True) for param in layer]
