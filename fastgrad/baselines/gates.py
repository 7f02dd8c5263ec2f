"""Backpropagation as a graph of gates.

A gate is an object that knows one function and nothing of the graph around it: `forward` computes the output
and keeps what `backward` will need; `backward` takes the gradient that arrives from upstream, multiplies it
by the gate's own local derivative, and hands the product to each input. The graph knows the wiring and
nothing of calculus: it runs `forward` in topological order and `backward` in the reverse of it.
"""

import numpy as np


class MatMul:
    """y = x Wᵀ for a batch of rows x and a weight of one row for each output."""

    def forward(self, x, W):
        self.x, self.W = x, W
        return x @ W.T

    def backward(self, upstream):
        return upstream @ self.W, upstream.T @ self.x


class AddBias:
    """y = x + b with b added to every row: copied forward, so summed backward."""

    def forward(self, x, b):
        return x + b

    def backward(self, upstream):
        return upstream, upstream.sum(axis=0)


class ReLU:
    """y = max(x, 0): a gate in the literal sense, open where the input is positive."""

    def forward(self, x):
        self.open = x > 0
        return x * self.open

    def backward(self, upstream):
        return (upstream * self.open,)


class SoftmaxCrossEntropy:
    """The mean over rows of -log softmax(scores)[label]. The labels receive no gradient."""

    def forward(self, scores, labels):
        shifted = scores - scores.max(axis=1, keepdims=True)
        exps = np.exp(shifted)
        totals = exps.sum(axis=1, keepdims=True)
        self.probabilities = exps / totals
        self.chosen = np.arange(len(labels)), labels
        return (np.log(totals[:, 0]) - shifted[self.chosen]).mean()

    def backward(self, upstream):
        dscores = self.probabilities.copy()
        dscores[self.chosen] -= 1
        return dscores * (upstream / len(dscores)), None


class Graph:
    """Gates and the names of what flows between them.

    `connect("h", MatMul(), "x", "W")` says that the wire h is MatMul of the wires x and W. Gates may be
    connected in any order, and a wire may feed several gates.
    """

    def __init__(self):
        self.gates = {}  # output wire -> (gate, input wires)

    def connect(self, output, gate, *inputs):
        self.gates[output] = gate, inputs
        return output

    def topologically_sorted(self, target):
        """The computed wires that `target` depends on, each after all that it depends on itself."""
        order, done, stack = [], set(), [target]
        while stack:
            wire = stack[-1]
            missing = [name for name in self.gates[wire][1] if name in self.gates and name not in done]
            if missing:
                stack += missing
            else:
                stack.pop()
                if wire not in done:
                    done.add(wire)
                    order.append(wire)
        return order

    def forward(self, target, values):
        """The value of the wire `target`, given those of the wires that no gate computes."""
        values = dict(values)
        self.order = self.topologically_sorted(target)
        for wire in self.order:
            gate, inputs = self.gates[wire]
            values[wire] = gate.forward(*(values[name] for name in inputs))
        return values[target]

    def backward(self):
        """The gradient of the last target with respect to every wire, by name, the data among them."""
        grads = {self.order[-1]: 1.0}
        for wire in reversed(self.order):
            gate, inputs = self.gates[wire]
            for name, grad in zip(inputs, gate.backward(grads[wire]), strict=True):
                if grad is not None:
                    grads[name] = grads[name] + grad if name in grads else grad
        return grads


class MLP:
    """Three gates for a hidden layer, two for the last, one for the loss."""

    def __init__(self, params):
        self.params = [param.copy() for param in params]
        self.graph = Graph()
        self.names = []
        wire = "x"
        layers = len(params) // 2
        for i in range(layers):
            self.names += [f"W{i}", f"b{i}"]
            wire = self.graph.connect(f"product{i}", MatMul(), wire, f"W{i}")
            wire = self.graph.connect(f"sum{i}", AddBias(), wire, f"b{i}")
            if i + 1 < layers:
                wire = self.graph.connect(f"hidden{i}", ReLU(), wire)
        self.graph.connect("loss", SoftmaxCrossEntropy(), wire, "labels")

    def loss(self, x, labels):
        """Mean softmax cross-entropy of a batch."""
        values = dict(zip(self.names, self.params, strict=True), x=x, labels=labels)
        return float(self.graph.forward("loss", values))

    def backward(self):
        """The gradients of the last loss, one array for each parameter."""
        grads = self.graph.backward()
        self.grads = [grads[name] for name in self.names]
        return self.grads

    def update(self, lr):
        """One step of gradient descent with the gradients of the last `backward`."""
        for param, grad in zip(self.params, self.grads, strict=True):
            param -= lr * grad

    def arrays(self):
        """The parameters as arrays."""
        return self.params
