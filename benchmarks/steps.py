"""One training step of a ReLU MLP, divided by the floor: fastgrad, PyTorch and the NumPy baselines side by side.

The step is the public one of each library: forward, cross-entropy, zero_grad, backward, optimizer.step. A contender is
timed only if it reaches the reference losses from the same weights; otherwise the reason is printed.

    python benchmarks/steps.py --rows small
"""

import harness

if __name__ == "__main__":
    harness.restart_pinned()

import importlib
from dataclasses import dataclass
from functools import partial

import floor
import numpy as np
import reference

from fastgrad.baselines import flat_numpy, init_params, numpy_tape


@dataclass(frozen=True)
class Row:
    """A net and its optimiser; `target` is how many floors a step of fastgrad may cost."""

    group: str
    batch: int
    sizes: tuple[int, ...]
    optimizer: str
    target: float

    @property
    def net(self):
        return f"{self.batch}, {'-'.join(map(str, self.sizes))}"


ROWS = [
    Row("small", 1, (4, 64, 64, 2), "sgd", 6),
    Row("small", 1, (4, 64, 64, 2), "adamw", 5),
    Row("small", 64, (64, 64, 10), "sgd", 1.6),
    Row("small", 64, (64, 64, 10), "adamw", 1.6),
    Row("medium", 32, (784, 128, 10), "sgd", 1.4),
    Row("medium", 32, (784, 128, 10), "adamw", 1.4),
    Row("large", 128, (784, 512, 256, 10), "sgd", 1.15),
    Row("large", 256, (784, 1024, 1024, 10), "sgd", 1.1),
]
NAMES = {"sgd": "SGD", "adamw": "AdamW"}
CHECK_STEPS = 10
CHECK_LR = {"sgd": 0.05, "adamw": 1e-3}
TOLERANCE = 1e-4
# The timed steps leave the weights where they are. A net trained to the end on its one batch has gradients that
# underflow, and what would be timed is how each contender meets denormal numbers.
TIMED_LR = 1e-8
ADAMW_DECAY = 0.01  # PyTorch's default, for contenders that have none


class Problem:
    """The data and weights of a row, and the losses to be reached from them."""

    def __init__(self, row):
        rng = np.random.default_rng(1)
        self.row = row
        self.x = rng.standard_normal((row.batch, row.sizes[0])).astype(np.float32)
        self.labels = rng.integers(0, row.sizes[-1], row.batch)
        self.params = init_params(row.sizes, seed=2, dtype=np.float32)
        self.decay = ADAMW_DECAY if row.optimizer == "adamw" else 0.0
        self.expected, _ = reference.losses(
            self.params,
            self.x,
            self.labels,
            row.optimizer,
            CHECK_STEPS,
            lr=CHECK_LR[row.optimizer],
            weight_decay=self.decay,
        )


class NotTimedError(Exception):
    """A contender that cannot run a row; the message says why."""


class FloorStep:
    def __init__(self, problem, lr):
        row = problem.row
        self.problem = problem
        self.net = floor.Mlp(row.sizes, row.batch, problem.params, row.optimizer, lr=lr, weight_decay=problem.decay)

    def losses(self, n):
        return self.net.run(self.problem.x, self.problem.labels, n, losses=True)

    def run(self, n):
        self.net.run(self.problem.x, self.problem.labels, n)


class TorchStep:
    """The step in PyTorch's API, by whichever library has it."""

    def __init__(self, problem, lr, *, library, **options):
        torch, row = library, problem.row
        torch.set_num_threads(1)
        layers = []
        for k in range(len(row.sizes) - 1):
            layers += [torch.nn.Linear(row.sizes[k], row.sizes[k + 1]), torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*layers[:-1])
        with torch.no_grad():
            for p, value in zip(self.net.parameters(), problem.params, strict=True):
                p.copy_(torch.from_numpy(value))
        self.cross_entropy = torch.nn.functional.cross_entropy
        make = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[row.optimizer]
        self.optimizer = make(self.net.parameters(), lr=lr, **options)
        self.x, self.labels = torch.from_numpy(problem.x), torch.from_numpy(problem.labels)

    def losses(self, n):
        found = []
        for _ in range(n):
            loss = self.cross_entropy(self.net(self.x), self.labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            found.append(loss.item())
        return found

    def run(self, n):
        net, optimizer, cross_entropy, x, labels = self.net, self.optimizer, self.cross_entropy, self.x, self.labels
        for _ in range(n):
            loss = cross_entropy(net(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


class BaselineStep:
    """A net of fastgrad.baselines, in float32."""

    def __init__(self, problem, lr, *, module):
        if problem.row.optimizer != "sgd":
            raise NotTimedError("has SGD only")
        self.net, self.lr, self.x, self.labels = module.MLP(problem.params), lr, problem.x, problem.labels

    def losses(self, n):
        return [self.step() for _ in range(n)]

    def step(self):
        loss = self.net.loss(self.x, self.labels)
        self.net.backward()
        self.net.update(self.lr)
        return loss

    def run(self, n):
        for _ in range(n):
            self.step()


def contenders():
    """Name -> a maker of its step, or the reason why there is none."""
    found = {"floor": FloorStep}
    for name, module, options in [
        ("fastgrad", "fastgrad", {}),
        ("torch", "torch", {}),
        ("torch, fused optimiser", "torch", {"fused": True}),
    ]:
        try:
            found[name] = partial(TorchStep, library=importlib.import_module(module), **options)
        except ImportError:
            found[name] = "not installed"
    found["fastgrad, compiled"] = "not yet"
    found["NumPy by hand"] = partial(BaselineStep, module=flat_numpy)
    found["NumPy tape"] = partial(BaselineStep, module=numpy_tape)
    return found


def checked(make, problem):
    """The step to be timed, once another from the same weights has reached the reference losses."""
    losses = np.array(make(problem, CHECK_LR[problem.row.optimizer]).losses(CHECK_STEPS))
    wrong = ~(np.abs(losses - problem.expected) <= TOLERANCE * np.abs(problem.expected))
    if wrong.any():
        k = int(wrong.argmax())
        raise NotTimedError(f"the loss of step {k} is {losses[k]:.6g}, not {problem.expected[k]:.6g}")
    return make(problem, TIMED_LR)


def measure(row, makers, rounds, notes):
    """The cells of one line of the table."""
    problem, steps = Problem(row), {}
    for name, make in makers.items():
        try:
            steps[name] = checked(make, problem).run
        except (NotTimedError, floor.FloorError) as reason:
            note = f"{name} ({row.net}, {NAMES[row.optimizer]}): {reason}"
            notes.append(note)
    seconds = 0.02 if row.group == "small" else 0.05
    timings = harness.interleave(steps, rounds, seconds)
    base = timings.get("floor")
    cells = []
    for name in makers:
        if name not in timings:
            cells.append("-")
        elif name == "floor":
            cells.append(base)
        else:
            cells.append(harness.Ratio.of(timings[name], base))
    return cells


def target_text(row, fastgrad):
    if not isinstance(fastgrad, harness.Ratio) or fastgrad.multiple is None:
        return f"≤ {row.target:g}x"
    return f"≤ {row.target:g}x {'met' if fastgrad.multiple <= row.target else 'missed'}"


def main():
    parser = harness.arguments(__doc__.splitlines()[0])
    parser.add_argument("--rows", choices=["small", "medium", "large", "all"], help="default: all but large")
    chosen = parser.parse_args()
    wanted = {None: {"small", "medium"}, "all": {"small", "medium", "large"}}.get(chosen.rows, {chosen.rows})

    report = harness.Report("One training step: forward, backward and optimiser, float32")
    found = contenders()
    makers = {name: make for name, make in found.items() if not isinstance(make, str)}
    notes = [f"{name}: {reason}" for name, reason in found.items() if isinstance(reason, str)]
    lines = []
    for row in ROWS:
        if row.group in wanted:
            cells = dict(zip(makers, measure(row, makers, chosen.rounds, notes), strict=True))
            lines.append([row.net, NAMES[row.optimizer], *cells.values(), target_text(row, cells.get("fastgrad"))])
    report.table("Steps, as multiples of the floor", ["batch, net", "optimiser", *makers, "target of fastgrad"], lines)
    report.notes("Not timed", notes)
    report.write(chosen.json)


if __name__ == "__main__":
    main()
