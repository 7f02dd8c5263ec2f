"""The step in tinygrad, under its TinyJit."""

from tinygrad import Context, Tensor, TinyJit
from tinygrad.nn import optim


class TinygradStep:
    """One replay of the jitted step at a time."""

    def __init__(self, problem, lr):
        params = [Tensor(p.copy()).realize().is_param_() for p in problem.params]
        x, target = Tensor(problem.x).realize(), Tensor(problem.labels).realize()
        if problem.net.optimizer == "adamw":
            optimizer = optim.AdamW(params, lr=lr, weight_decay=problem.decay)
        else:
            optimizer = optim.SGD(params, lr=lr)
        mse = problem.net.loss == "mse"

        @TinyJit
        def step():
            z = x
            for k in range(0, len(params), 2):
                z = z.linear(params[k].T, params[k + 1])
                z = z.relu() if k < len(params) - 2 else z
            loss = (z - target).square().mean() if mse else z.sparse_categorical_crossentropy(target)
            optimizer.zero_grad()
            loss.backward()
            return loss.realize(*optimizer.schedule_step())

        self.step = step

    def losses(self, n):
        with Context(TRAINING=1):
            return [self.step().item() for _ in range(n)]

    def run(self, n):
        with Context(TRAINING=1):
            for _ in range(n - 1):
                self.step()
            self.step().item()  # waits for the device
