"""A small network on real handwritten digits: what `fastgrad demo` runs. It uses the public API only.

It trains, tests, saves and reloads; then it runs one batch through the trained network again, by fastgrad and by
the two pure-Python tapes of `fastgrad.baselines`, and prints what the backward pass of each took.
"""

import argparse
import gc
import statistics
import sys
from time import perf_counter

import numpy as np

import fastgrad as fg

from . import nn, optim
from .baselines import numpy_tape, scalar_tape
from .datasets import load_digits, stratified_split
from .utils.data import DataLoader, TensorDataset

F = nn.functional

BATCH = 32
LEARNING_RATE = 1e-2  # falls to zero along a cosine
LABEL_SMOOTHING = 0.1

UNITS = [("s", 1.0), ("ms", 1e-3), ("us", 1e-6)]


def make_net():
    """The network of the demo: 64 pixels, 64 hidden units, 10 scores."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def load_split(seed):
    """The digits, pixels from 0 to 1: a training and a test dataset."""
    images, labels = load_digits()
    return tuple(
        TensorDataset(fg.from_numpy(images[rows]).float() / 16, fg.from_numpy(labels[rows]))
        for rows in stratified_split(labels, test=0.2, seed=seed)
    )


def train(net, dataset, epochs, seed):
    """Trains the network; yields after each epoch its mean loss and the seconds that one step took on average."""
    batches = DataLoader(dataset, batch_size=BATCH, shuffle=True, generator=fg.Generator().manual_seed(seed))
    optimizer = optim.AdamW(net.parameters(), lr=LEARNING_RATE)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for _ in range(epochs):
        total = 0.0
        start = perf_counter()
        for x, labels in batches:
            loss = F.cross_entropy(net(x), labels, label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds = perf_counter() - start
        scheduler.step()
        yield total / len(batches), seconds / len(batches)


def count_correct(net, dataset):
    """How many images of the dataset get their highest score at their label."""
    images, labels = dataset.tensors
    with fg.no_grad():
        return int((net(images).argmax(dim=1) == labels).sum())


def reloads_identically(net, images, path):
    """Saves the network, loads it into a new one, and says whether both give the same scores to the last bit."""
    fg.save(net.state_dict(), path)
    restored = make_net()
    restored.load_state_dict(fg.load(path))
    with fg.no_grad():
        return fg.equal(net(images), restored(images))


class FastgradStep:
    """A network behind the interface of the baselines: `loss(x, labels)`, then `backward()`."""

    def __init__(self, net):
        self.net = net
        self.params = list(net.parameters())

    def loss(self, x, labels):
        self.last = F.cross_entropy(self.net(x), labels)

    def backward(self):
        for param in self.params:
            param.grad = None
        self.last.backward()
        return [param.grad for param in self.params]


def compare_backward(net, x, labels):
    """Times forward and backward of one batch by fastgrad and by both tapes, from the same weights.

    Returns:
        A list of (name, forward seconds, backward seconds, difference): medians over repetitions of that batch, and
        the largest difference of a gradient from fastgrad's, as a fraction of the largest gradient.
    """
    params = [param.detach().numpy() for param in net.parameters()]
    arrays = x.numpy(), labels.numpy()
    contenders = [
        ("fastgrad", FastgradStep(net), (x, labels), 300),
        ("NumPy tape", numpy_tape.MLP(params), arrays, 300),
        ("pure-Python tape", scalar_tape.MLP(params), arrays, 3),
    ]
    timed = [(name, *_time(step, batch, repetitions)) for name, step, batch, repetitions in contenders]
    expected = [np.asarray(grad) for grad in timed[0][-1]]
    scale = max(np.abs(grad).max() for grad in expected)
    return [
        (name, forward, backward, max(np.abs(a - b).max() for a, b in zip(grads, expected, strict=True)) / scale)
        for name, forward, backward, grads in timed
    ]


def _time(step, batch, repetitions):
    """Median seconds of forward and of backward, and the last gradients.

    With the garbage collector off: looking again and again through the 300,000 nodes of the scalar tape would
    multiply the time of its forward pass, and none of the three leaves anything to collect.
    """
    forwards, backwards = [], []
    was_on = gc.isenabled()
    gc.disable()
    try:
        for _ in range(repetitions):
            start = perf_counter()
            step.loss(*batch)
            middle = perf_counter()
            grads = step.backward()
            backwards.append(perf_counter() - middle)
            forwards.append(middle - start)
    finally:
        if was_on:
            gc.enable()
    return statistics.median(forwards), statistics.median(backwards), grads


class Progress:
    """One line for each epoch; on a terminal a bar stands below the last of them until the end."""

    WIDTH = 50

    def __init__(self, total):
        self.total = total
        self.draws = sys.stdout.isatty()

    def line(self, text, done):
        if not self.draws:
            print(text, flush=True)
            return
        print("\r" + text.ljust(self.WIDTH + 2))
        if done < self.total:
            filled = self.WIDTH * done // self.total
            print("[" + "#" * filled + "." * (self.WIDTH - filled) + "]", end="", flush=True)


def duration(seconds):
    """Three digits and a unit, in ten characters at most.

    >>> duration(0.1246), duration(9.87e-6), duration(2)
    ('125 ms', '9.87 us', '2.00 s')
    """
    unit, size = next(pair for pair in UNITS if seconds >= pair[1] or pair is UNITS[-1])
    number = seconds / size
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f} {unit}"


def main(argv=None):
    """Trains a small network on handwritten digits and says how well it reads and how fast it was."""
    parser = argparse.ArgumentParser(prog="fastgrad demo", description=main.__doc__)
    parser.add_argument("--epochs", type=int, default=20, help="passes over the training set (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and batches (default: %(default)s)")
    parser.add_argument("--out", default="digits-mlp.npz", help="the checkpoint to write (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.epochs < 1:
        parser.error(f"--epochs must be at least 1, not {args.epochs}")

    fg.manual_seed(args.seed)
    net = make_net()
    training, test = load_split(args.seed)
    split = f"stratified random 80/20 split, seed {args.seed}"
    weights = sum(param.numel() for param in net.parameters())
    print(f"fastgrad {fg.__version__} learns to read handwritten digits\n")
    print(f"data      {len(training) + len(test):,} images of 8x8 pixels (UCI), {split}:")
    print(f"          {len(training):,} to learn from, {len(test)} to be tested on")
    print(f"network   64-64-10, ReLU, {weights:,} weights")
    print(f"training  AdamW, batches of {BATCH}, learning rate {LEARNING_RATE:g} with cosine decay,")
    print(f"          cross-entropy with label smoothing {LABEL_SMOOTHING:g}\n")

    progress = Progress(args.epochs)
    steps = []
    for epoch, (loss, step) in enumerate(train(net, training, args.epochs, args.seed), start=1):
        steps.append(step)
        correct = count_correct(net, test)
        progress.line(
            f"epoch {epoch:3}/{args.epochs}   loss {loss:.4f}   test {correct / len(test):6.2%}   "
            f"{duration(step):>7} per step",
            done=epoch,
        )

    print(f"\ntest accuracy  {correct / len(test):.2%}, {correct} of {len(test)} ({split})")
    print(
        f"time per step  {duration(statistics.median(steps))}: batch, forward, backward and AdamW, median of epochs\n"
    )

    x, labels = (tensor[:BATCH] for tensor in training.tensors)
    rows = compare_backward(net, x, labels)
    print(f"The same network and the same batch of {BATCH} on two tapes written in Python, measured now:\n")
    print(f"  {'':<18}{'forward':>9}{'backward':>11}   backward against fastgrad")
    for name, forward, backward, _ in rows:
        ratio = backward / rows[0][2]
        factor = f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x"
        print(f"  {name:<18}{duration(forward):>9}{duration(backward):>11}{factor:>11}")
    print(
        f"\n  largest difference between their gradients: {max(row[3] for row in rows):.0e} of the largest gradient\n"
    )

    if not reloads_identically(net, test.tensors[0], args.out):
        print(f"checkpoint     {args.out} does NOT give the same scores when loaded again")
        return 1
    print(f"checkpoint     {args.out}: saved, loaded into a new network, same scores to the last bit")
    return 0
