"""The step in scikit-learn: one batch through `partial_fit` of its MLP."""

import numpy as np

from ..problem import NotTimedError


class SklearnStep:
    """MLPClassifier or MLPRegressor with SGD without momentum, on the problem's weights."""

    def __init__(self, problem, lr):
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        net = problem.net
        if net.optimizer == "adamw":
            raise NotTimedError("has Adam, not AdamW")
        if net.loss == "cross_entropy" and net.sizes[-1] == 2:
            raise NotTimedError("has one output for two classes")
        if net.loss == "mse":
            lr = 2 * lr / net.sizes[-1]  # its loss is half the squared error, summed over the outputs
        kind = MLPClassifier if net.loss == "cross_entropy" else MLPRegressor
        self.mlp = kind(
            hidden_layer_sizes=net.sizes[1:-1], solver="sgd", alpha=0.0, batch_size=net.batch,
            learning_rate_init=lr, momentum=0.0, nesterovs_momentum=False, shuffle=False,
        )  # fmt: skip
        self.x, self.mse = problem.x, net.loss == "mse"
        self.target = problem.labels[:, 0] if self.mse and net.sizes[-1] == 1 else problem.labels
        self.more = {} if self.mse else {"classes": np.arange(net.sizes[-1])}
        self.mlp.partial_fit(self.x, self.target, **self.more)
        for own, value in zip(self.mlp.coefs_, problem.params[0::2], strict=True):
            own[...] = value.T
        for own, value in zip(self.mlp.intercepts_, problem.params[1::2], strict=True):
            own[...] = value

    def losses(self, n):
        found = []
        for _ in range(n):
            self.run(1)
            found.append(self.mlp.loss_ * (2 if self.mse else 1))
        return found

    def run(self, n):
        fit, x, target = self.mlp.partial_fit, self.x, self.target
        for _ in range(n):
            fit(x, target)
