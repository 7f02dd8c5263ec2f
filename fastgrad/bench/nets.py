"""Other work of a training loop: an epoch on the digits, a wide loss, and nets of other layers.

Everything is written in PyTorch's API and run by both libraries; a layer that fastgrad lacks is "not yet".
"""

import numpy as np

from fastgrad.datasets import load_digits

from . import harness
from .contenders import CONTENDERS, available, one_line, torch_alike
from .problem import Net, Problem, checked
from .results import Table

BATCH, STEPS, TOLERANCE = 32, 56, 1e-3


def section(context):
    run = context.run
    libraries = torch_alike(run)
    _epoch(context, libraries)
    table = Table("nets", "Other losses and layers, float32, forward and backward", ["fastgrad", "torch"], "fastgrad")
    table.note = "The nets with AdamW, fused in PyTorch. The first losses must agree with PyTorch's."
    run.tables.append(table)
    for what, make, limit in NETS:
        context.progress(what)
        cells = table.rows[what] = _row(run, what, make, libraries, context.rounds)
        run.verdicts.append(context.within("6", what, cells["fastgrad"], 1e6 * limit))


def _epoch(context, libraries):
    """56 batches in order, as slices: what a training loop costs beside its steps is data's section. Only the compiled loop,
    which gathers its batches itself, takes them in a new order."""
    net = Net(BATCH, (64, 64, 10), "adamw")
    images, labels = load_digits()
    images, problem = (images / 16).astype(np.float32), Problem(net)
    names = ("fastgrad", "fastgrad compiled loop", "torch", "torch fused", "floor")
    makers = available(context.run, names)
    table = Table("epoch", f"An epoch on the digits: {STEPS} steps of {net}", list(makers), "floor")
    table.note = f"The floor is {STEPS} steps on one batch."
    context.progress("an epoch on the digits")
    runs = {}
    for name in makers:
        step = checked(CONTENDERS[name][1], problem)
        if name == "floor":
            runs[name] = lambda n, step=step: step.run(n * STEPS)
        else:
            torch = libraries[name.split()[0]]
            x, y = torch.from_numpy(images), torch.from_numpy(labels)
            if hasattr(step, "epochs"):
                runs[name] = lambda n, step=step, data=(x, y): step.epochs(n, data, BATCH)
                continue
            runs[name] = harness.repeated(lambda step=step, x=x, y=y: _pass(step, x, y))
    table.rows["epoch"] = harness.interleave(runs, context.rounds)
    context.run.tables.append(table)
    for name, limit in (("fastgrad", 1.2e6), ("fastgrad compiled loop", 0.75e6)):
        cell = table.rows["epoch"][name]
        context.run.verdicts.append(context.within("6", f"{table.title}, {name}", cell, limit))


def _pass(step, x, y):
    for k in range(0, STEPS * BATCH, BATCH):
        step.step(x[k : k + BATCH], y[k : k + BATCH])


def _row(run, what, make, libraries, rounds):
    cells, steps = {"fastgrad": "-", "torch": "-"}, {}
    values, losses = None, {}
    for name in sorted(libraries, reverse=True):  # PyTorch first: its initial weights are copied
        torch = libraries[name]
        try:
            params, step = make(torch)
        except AttributeError as error:
            cells[name] = "not yet"
            run.note(name, f"not yet ({error})", what)
            continue
        except Exception as error:
            cells[name] = "-"
            run.note(name, one_line(error), what)
            continue
        if values is None:
            values = [p.detach().numpy().copy() for p in params]
        else:
            with torch.no_grad():
                for p, value in zip(params, values, strict=True):
                    p.copy_(torch.from_numpy(value))
        losses[name] = [step().item() for _ in range(3)]
        steps[name] = harness.repeated(step)
    if len(losses) == 2 and not np.allclose(losses["fastgrad"], losses["torch"], rtol=TOLERANCE):
        run.note("fastgrad", f"losses {losses['fastgrad']}, not {losses['torch']}", what)
        del steps["fastgrad"]
    return cells | harness.interleave(steps, rounds)


def _loss(torch):
    z = torch.from_numpy(np.random.default_rng(0).standard_normal((1024, 1000)).astype(np.float32)).requires_grad_()
    target = torch.from_numpy(np.arange(1024) % 1000)

    def step():
        z.grad = None
        loss = torch.nn.functional.cross_entropy(z, target)
        loss.backward()
        return loss

    return [z], step


def _training(torch, module, x, target):
    """A training step of `module` with AdamW; its outputs are scores of classes in the last axis."""
    options = {"fused": True} if torch.__name__ == "torch" else {}
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5, **options)
    x, target = torch.from_numpy(x), torch.from_numpy(target)

    def step():
        scores = module(x)
        loss = torch.nn.functional.cross_entropy(scores.reshape(-1, scores.shape[-1]), target.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return list(module.parameters()), step


def _lenet(torch):
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    x = np.random.default_rng(0).standard_normal((32, 1, 28, 28)).astype(np.float32)
    return _training(torch, module, x, np.arange(32) % 10)


def _lstm(torch):
    nn = torch.nn
    recurrent = nn.LSTM(64, 64, batch_first=True)

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.head = recurrent, nn.Linear(64, 10)

        def forward(self, x):
            return self.head(self.recurrent(x)[0][:, -1])

    x = np.random.default_rng(0).standard_normal((32, 32, 64)).astype(np.float32)
    return _training(torch, Last(), x, np.arange(32) % 10)


def _transformer(torch):
    nn = torch.nn
    layer, embedding = nn.TransformerEncoderLayer, nn.Embedding

    class Characters(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = embedding(65, 64), embedding(64, 64)
            options = {"dropout": 0.0, "batch_first": True, "norm_first": True}
            self.blocks = nn.ModuleList([layer(64, 4, 256, **options) for _ in range(2)])
            self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, 65)
            self.places = torch.arange(64)
            self.mask = torch.triu(torch.full((64, 64), float("-inf")), 1)

        def forward(self, x):
            h = self.tokens(x) + self.positions(self.places)
            for block in self.blocks:
                h = block(h, src_mask=self.mask)
            return self.head(self.norm(h))

    text = np.random.default_rng(0).integers(0, 65, (8, 65))
    return _training(torch, Characters(), text[:, :-1].copy(), text[:, 1:].copy())


# What, how it is made of a library, and the target in milliseconds.
NETS = [
    ("softmax cross-entropy 1024x1000", _loss, 0.45),
    ("LeNet-5, 28x28, batch 32", _lenet, 1.5),
    ("LSTM, batch 32, sequence 32, hidden 64", _lstm, 1.1),
    ("char transformer, 2 layers, T=64, C=64, 4 heads, batch 8", _transformer, 3.5),
]
