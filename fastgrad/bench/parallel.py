"""Two trainings at a time, on two threads, against one after the other; by the time that passes."""

import os
import time
from functools import partial

import fastgrad as fg

from . import harness
from .problem import Net
from .results import Measure, Table, Verdict

NETS = (
    Net(1, (4, 64, 64, 2), "sgd"),
    Net(64, (64, 64, 10), "adamw"),
    Net(32, (784, 128, 10), "sgd"),
    Net(128, (784, 512, 256, 10), "sgd"),
)
BATCHES, LIMIT, IDLE = 20, 1.7, 0.2  # batches of an epoch; gain to be reached; of a processor, what others may take


def section(context):
    run = context.run
    table = Table(
        "parallel", "Two trainings, float32", ["one after the other", "on two threads"], "one after the other"
    )
    table.note = (
        "`parallel_map` of a function that builds a net and trains it with `run` of a compiled step, by the time that "
        "passes. The losses of both ways are equal to the last bit."
    )
    run.tables.append(table)
    for net in NETS[1:2] if context.quick else NETS:
        context.progress(str(net))
        cells, others = _row(net, context.rounds)
        table.rows[str(net)] = cells
        gain = cells["one after the other"].median / cells["on two threads"].median
        free = _processors() >= 2 and others is not None and others < IDLE
        why = "" if free else " (two free processors are needed to judge)"
        run.verdicts.append(
            Verdict("9", f"two threads, {net}", f"≥ {LIMIT}x", f"{gain:.2f}x{why}", gain >= LIMIT if free else None)
        )


def _row(net, rounds):
    """The times of both ways, and what other programs took meanwhile, as a part of one processor."""
    epochs = 1
    while _seconds(partial(training, net, 0, epochs)) < 0.25:
        epochs *= 2
    ways = {
        "one after the other": lambda: [training(net, seed, epochs) for seed in (0, 1)],
        "on two threads": lambda: fg.parallel_map(lambda seed: training(net, seed, epochs), [0, 1], threads=2),
    }
    samples, losses = {name: [] for name in ways}, {}
    before, ours, start = _busy(), time.process_time(), time.perf_counter()
    for _ in range(rounds):
        for name, way in ways.items():
            samples[name].append(1e9 * _seconds(lambda name=name, way=way: losses.update({name: way()})))
    passed, ours, after = time.perf_counter() - start, time.process_time() - ours, _busy()
    if losses["one after the other"] != losses["on two threads"]:
        raise AssertionError(f"losses on two threads differ from those of separate runs: {losses}")
    cells: dict[str, Measure | str] = {name: harness.summarise(found) for name, found in samples.items()}
    return cells, None if before is None else (after - before - ours) / passed


def training(net, seed, epochs):
    """Trains a net on random data; returns the last loss."""
    fg.manual_seed(seed)
    layers = []
    for i, o in zip(net.sizes, net.sizes[1:], strict=False):
        layers += [fg.nn.Linear(i, o), fg.nn.ReLU()]
    model = fg.nn.Sequential(*layers[:-1])
    make = {"sgd": fg.optim.SGD, "adamw": fg.optim.AdamW}[net.optimizer]
    optimizer = make(model.parameters(), lr=1e-3)

    @fg.compile
    def step(x, labels):
        loss = fg.nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    rows = net.batch * BATCHES
    data = fg.randn(rows, net.sizes[0]), fg.randint(net.sizes[-1], (rows,))
    return step.run(data, batch_size=net.batch, epochs=epochs, shuffle=True)[-1].item()


def _seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _processors():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _busy():
    """Seconds that all processors together have worked since the machine started; None where the system does not say."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, *others = map(int, file.readline().split()[1:])
    except (OSError, ValueError):
        return None
    return (user + nice + system + sum(others[:3])) / os.sysconf("SC_CLK_TCK")
