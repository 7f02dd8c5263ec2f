"""The workloads whose instructions bench_check.py counts, and the program that runs them under callgrind.

Each is a function that sets things up and returns what is counted. They are fixed: change one and its counts can no
longer be compared, so give it another name.
"""

import ctypes
import gc
import sys
from itertools import pairwise

import numpy as np

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.utils.data import DataLoader, TensorDataset

F = nn.functional


def leaf(*shape, seed=0):
    return fg.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32)).requires_grad_()


def labels(count, classes):
    return fg.from_numpy(np.arange(count) % classes)


def recorded_mul():
    a, b = leaf(16), leaf(16).detach()

    def run():
        for _ in range(1000):
            a * b

    return run


def scalar_chain():
    x, c = fg.tensor(1.0, requires_grad=True), fg.tensor(1.0)

    def run():
        y = x
        for _ in range(1000):
            y = y * c
        y.backward()

    return run


def scalar_graph():
    """The mix of micrograd's moons net: sums of products, relu, numbers as operands, leaves used many times."""
    w, x = [fg.tensor(0.1 * k, requires_grad=True) for k in range(1, 17)], [0.3 - 0.05 * k for k in range(16)]

    def run():
        total = None
        for shift in w:
            score = shift
            for p, v in zip(w, x, strict=True):
                score = score + p * v
            y = score.relu()
            total = y * y if total is None else total + y**2 * y - -y
        (total * 0.01).backward()

    return run


def broadcast_add():
    x, b = leaf(64, 64), leaf(64)
    return lambda: (x + b).sum().backward()


def elementwise():
    x = leaf(10_000)
    return lambda: (x.tanh() * x.exp() + x.sigmoid()).sum().backward()


def reductions():
    x = leaf(100, 100)
    return lambda: (x.mean(0).sum() + x.var(1).sum() + x.softmax(1).max(1).values.sum()).backward()


def matmul():
    a, b = leaf(32, 64), leaf(64, 64)
    return lambda: (a @ b).sum().backward()


def cross_entropy():
    z, t = leaf(64, 10), labels(64, 10)
    return lambda: F.cross_entropy(z, t).backward()


def layer_norm():
    x, w, b = leaf(64, 64), leaf(64), leaf(64)
    return lambda: F.layer_norm(x, (64,), w, b).sum().backward()


def indexing():
    x, at = leaf(100, 10), fg.from_numpy(np.arange(0, 100, 3))
    return lambda: fg.cat([x[at], x[10:20], x[:5]]).sum().backward()


def train_step(batch, sizes, make_optimizer):
    layers = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    optimizer = make_optimizer(net.parameters(), lr=1e-8)
    x, t = leaf(batch, sizes[0]).detach(), labels(batch, sizes[-1])

    def run():
        for _ in range(10):
            loss = F.cross_entropy(net(x), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run


def step_sgd():
    return train_step(1, (4, 64, 64, 2), optim.SGD)


def step_adamw():
    return train_step(64, (64, 64, 10), optim.AdamW)


def data_loader():
    loader = DataLoader(TensorDataset(leaf(512, 64).detach(), labels(512, 10)), batch_size=32, shuffle=True)
    return lambda: sum(len(x) for x, _ in loader)


def compiled_step(net, optimizer):
    @fg.compile
    def step(x, t):
        loss = F.cross_entropy(net(x), t)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def compiled_sgd():
    """Ten calls of a small step: what is around its kernels."""
    net = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    step = compiled_step(net, optim.SGD(net.parameters(), lr=1e-8))
    x, t = leaf(1, 4).detach(), labels(1, 2)

    def run():
        for _ in range(10):
            step(x, t)

    return run


def compiled_loop():
    """An epoch of 16 batches, shuffled: gathers, replays and what Python does for a stretch of them."""
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    step = compiled_step(net, optim.AdamW(net.parameters(), lr=1e-8))
    data = leaf(512, 64).detach(), labels(512, 10)
    return lambda: step.run(data, batch_size=32, shuffle=True)


WORKLOADS = [
    recorded_mul,
    scalar_chain,
    scalar_graph,
    broadcast_add,
    elementwise,
    reductions,
    matmul,
    cross_entropy,
    layer_norm,
    indexing,
    step_sgd,
    step_adamw,
    data_loader,
    compiled_sgd,
    compiled_loop,
]


def main(marker):
    lib = ctypes.CDLL(marker)
    gc.disable()
    for make in WORKLOADS:
        fg.manual_seed(0)
        try:
            run = make()
            for _ in range(3):  # caches fill, lazily made things are made
                run()
        except Exception as error:  # an older commit may lack an op; bench_check.py decides whether that is a failure
            print(f"{make.__name__}: {type(error).__name__}:", *str(error).splitlines()[:1])
            continue
        gc.collect()
        lib.marker_start()
        run()
        lib.marker_stop(make.__name__.encode())


if __name__ == "__main__":
    main(sys.argv[1])
