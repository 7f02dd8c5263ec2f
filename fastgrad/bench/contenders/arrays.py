"""Steps of what has no optimiser of its own: the baselines, HIPS autograd and MyGrad, with the update in NumPy."""

import importlib

import numpy as np

from ..problem import NotTimedError, Update

# A pure-Python step on single numbers takes about a microsecond for each weight and sample.
MOST_OF_SCALARS = 20_000


class ArrayStep:
    """A step whose `gradient()` returns the loss and the gradients of `params`, which `Update` changes in place."""

    def update_with(self, problem, lr, params):
        self.params, self.update = params, Update(problem.net.optimizer, params, lr, problem.decay)

    def losses(self, n):
        return [self.step() for _ in range(n)]

    def step(self):
        loss, grads = self.gradient()
        self.update(grads)
        return float(loss)

    def run(self, n):
        for _ in range(n):
            self.step()


class BaselineStep(ArrayStep):
    """A net of fastgrad.baselines, in float32."""

    def __init__(self, problem, lr, *, baseline):
        net = problem.net
        if net.loss != "cross_entropy":
            raise NotTimedError("has cross-entropy only")
        on_scalars = baseline == "scalar_tape"
        if on_scalars and net.optimizer != "sgd":
            raise NotTimedError("has SGD only")
        if on_scalars and net.batch * net.weights > MOST_OF_SCALARS:
            raise NotTimedError("would take seconds for a step")
        self.mlp = importlib.import_module(f"fastgrad.baselines.{baseline}").MLP(problem.params)
        self.x, self.labels = problem.x, problem.labels
        if on_scalars:
            self.update = lambda grads: self.mlp.update(lr)
        else:
            self.update_with(problem, lr, self.mlp.arrays())

    def gradient(self):
        return self.mlp.loss(self.x, self.labels), self.mlp.backward()


class AutogradStep(ArrayStep):
    """HIPS autograd: `value_and_grad` of a function of the list of parameters."""

    def __init__(self, problem, lr):
        import autograd
        import autograd.numpy as anp

        x, target, rows = problem.x, problem.labels, np.arange(problem.net.batch)

        def cross_entropy(z):
            z = z - anp.max(z, axis=1, keepdims=True)
            return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[rows, target])

        def mse(z):
            return anp.mean((z - target) ** 2)

        criterion = {"cross_entropy": cross_entropy, "mse": mse}[problem.net.loss]

        def loss(params):
            z = x
            for k in range(0, len(params) - 2, 2):
                z = anp.maximum(anp.dot(z, params[k].T) + params[k + 1], 0)
            return criterion(anp.dot(z, params[-2].T) + params[-1])

        self.value_and_grad = autograd.value_and_grad(loss)
        self.update_with(problem, lr, [p.copy() for p in problem.params])

    def gradient(self):
        return self.value_and_grad(self.params)


class MyGradStep(ArrayStep):
    """MyGrad with its own ReLU and cross-entropy."""

    def __init__(self, problem, lr):
        import mygrad
        from mygrad.nnet.activations import relu
        from mygrad.nnet.losses import softmax_crossentropy

        self.relu, self.x, self.labels = relu, problem.x, problem.labels
        self.criterion = softmax_crossentropy if problem.net.loss == "cross_entropy" else _mygrad_mse
        self.tensors = [mygrad.tensor(p.copy()) for p in problem.params]
        self.update_with(problem, lr, [t.data for t in self.tensors])

    def gradient(self):
        z, last = self.x, len(self.tensors) - 2
        for k in range(0, last + 2, 2):
            z = z @ self.tensors[k].T + self.tensors[k + 1]
            if k < last:
                z = self.relu(z)
        loss = self.criterion(z, self.labels)
        loss.backward()
        return loss.data, [t.grad for t in self.tensors]


def _mygrad_mse(z, target):
    return ((z - target) ** 2).mean()


class MicrogradStep(ArrayStep):
    """micrograd on single numbers: SGD on the squared error, all that its operations allow."""

    def __init__(self, problem, lr):
        from micrograd.engine import Value

        net = problem.net
        if net.loss != "mse":
            raise NotTimedError("has no exp and no log, so no cross-entropy; it runs on the scalar graph")
        if net.optimizer != "sgd":
            raise NotTimedError("has SGD only")
        if net.batch * net.weights > MOST_OF_SCALARS:
            raise NotTimedError("would take seconds for a step")
        self.params = [
            [[Value(float(v)) for v in row] for row in p] if p.ndim == 2 else [Value(float(v)) for v in p]
            for p in problem.params
        ]
        self.values = [v for p in self.params for row in p for v in (row if isinstance(row, list) else [row])]
        self.x, self.target, self.lr = problem.x.tolist(), problem.labels.tolist(), lr

    def gradient(self):
        loss, last = 0.0, len(self.params) - 2
        for z, target in zip(self.x, self.target, strict=True):
            for k in range(0, last + 2, 2):
                out = []
                for row, shift in zip(self.params[k], self.params[k + 1], strict=True):
                    total = shift
                    for w, v in zip(row, z, strict=True):
                        total = total + w * v
                    out.append(total.relu() if k < last else total)
                z = out
            for got, want in zip(z, target, strict=True):
                loss = loss + (got - want) ** 2
        loss = loss * (1.0 / (len(self.x) * len(self.target[0])))
        for v in self.values:
            v.grad = 0.0
        loss.backward()
        return loss.data, None

    def update(self, grads):
        for v in self.values:
            v.data -= self.lr * v.grad
