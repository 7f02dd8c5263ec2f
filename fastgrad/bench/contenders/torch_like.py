"""The step in PyTorch's API, by whichever library has it: fastgrad or PyTorch."""

from itertools import pairwise

from ..problem import NotTimedError


def sequential(torch, problem):
    """`nn.Sequential` with the problem's weights."""
    layers = []
    for i, o in pairwise(problem.net.sizes):
        layers += [torch.nn.Linear(i, o), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    with torch.no_grad():
        for p, value in zip(net.parameters(), problem.params, strict=True):
            p.copy_(torch.from_numpy(value))
    return net


class TorchStep:
    """The public step: forward, loss, zero_grad, backward, optimizer.step."""

    def __init__(self, problem, lr, *, library, **options):
        torch = library
        self.net = sequential(torch, problem)
        functional = torch.nn.functional
        self.loss = {"cross_entropy": functional.cross_entropy, "mse": functional.mse_loss}[problem.net.loss]
        make = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[problem.net.optimizer]
        self.optimizer = make(self.net.parameters(), lr=lr, **options)
        self.x, self.labels = torch.from_numpy(problem.x), torch.from_numpy(problem.labels)

    def step(self, x, labels):
        loss = self.loss(self.net(x), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, n):
        return [self.step(self.x, self.labels).item() for _ in range(n)]

    def run(self, n):
        net, optimizer, criterion, x, labels = self.net, self.optimizer, self.loss, self.x, self.labels
        for _ in range(n):
            loss = criterion(net(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


class CompiledStep(TorchStep):
    """The whole step recorded once by `library.compile` and replayed."""

    def __init__(self, problem, lr, *, library, **options):
        if not hasattr(library, "compile"):
            raise NotTimedError("not yet")
        super().__init__(problem, lr, library=library, **options)
        self.step = library.compile(super().step)

    def run(self, n):
        step, x, labels = self.step, self.x, self.labels
        for _ in range(n):
            step(x, labels)


class CompiledLoopStep(CompiledStep):
    """All steps in one call of the compiled step's `run`: no Python between them."""

    def losses(self, n):
        return self.step.run((self.x, self.labels), epochs=n).tolist()

    def run(self, n):
        self.step.run((self.x, self.labels), epochs=n)

    def epochs(self, n, data, batch):
        """n epochs over a data set, in a new order each."""
        self.step.run(data, batch_size=batch, epochs=n, shuffle=True, drop_last=True)


class CompiledLossStep(TorchStep):
    """Net and loss through `torch.compile`, as its documentation has it; the optimiser stays outside."""

    def __init__(self, problem, lr, *, library, **options):
        super().__init__(problem, lr, library=library, **options)
        net, criterion = self.net, self.loss
        self.forward = library.compile(lambda x, labels: criterion(net(x), labels))

    def step(self, x, labels):
        loss = self.forward(x, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, n):
        for _ in range(n):
            self.step(self.x, self.labels)
