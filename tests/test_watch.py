"""What a Watcher is told: every op, view, node and module of its thread, in order, and nothing when it is off."""

import threading

import pytest
from fastgrad._core.watch import Watcher, current, describe, history

import fastgrad as fg

F = fg.nn.functional


def watched(function, **options):
    w = Watcher(**options)
    w.start()
    try:
        function()
    finally:
        w.stop()
    return w.events()


def names(events):
    return [(e[0], getattr(e[2], "name", e[2])) for e in events]


def test_ops_views_and_modules_with_their_nesting():
    net = fg.nn.Sequential(fg.nn.Linear(2, 3), fg.nn.Tanh())
    x = fg.ones(4, 2)
    events = watched(lambda: net(x).T)
    kinds = [(e[0], e[1]) for e in events]
    assert kinds == [("module", -1), ("module", 0), ("op", 1), ("module", 0), ("op", 3), ("view", -1)]
    assert [e[2] for e in events if e[0] == "module"] == [net, net[0], net[1]]
    op = events[2]
    assert op[2].name == "linear" and op[5][0].shape == (4, 3)
    assert [lay.shape for lay in op[6]] == [(4, 2), (3, 2), (3,)]
    enter, begin, end, leave = op[3]
    assert 0 < enter <= begin <= end <= leave
    assert op[8] != 0  # it left a node


def test_backward_is_told_node_by_node():
    x = fg.ones(3, requires_grad=True)
    y = (x * x).sum()
    events = watched(y.backward)
    assert names(events)[:2] == [("range", "backward"), ("node", "sum")]
    assert [n for kind, n in names(events) if kind == "node"] == ["sum", "mul", "accumulate"]
    assert x.grad.tolist() == [2, 2, 2]


def test_the_line_is_the_caller_s():
    events = watched(lambda: F.relu(fg.ones(2)))
    code, _ = next(e for e in events if e[0] == "op" and e[2].name == "relu")[9]
    assert code.co_filename == __file__


def test_a_small_op_takes_the_same_value_watched_or_not():
    x = fg.tensor([1.0, 2.0], requires_grad=True)
    results = []
    watched(lambda: results.append((x * x + x).exp()))
    assert results[0].tolist() == (x * x + x).exp().tolist()


def test_off_means_off():
    assert current() is None
    w = Watcher()
    w.start()
    assert current() is w
    w.stop()
    assert current() is None
    before = len(w)
    fg.ones(2) + 1
    assert len(w) == before
    with pytest.raises(RuntimeError, match="once"):
        w.start()


def test_watchers_nest_and_know_their_thread():
    outer, inner = Watcher(), Watcher()
    outer.start()
    inner.start()
    with pytest.raises(RuntimeError, match="thread"):
        outer.stop()
    other = threading.Thread(target=lambda: fg.ones(2) * 2)
    other.start()
    other.join()
    inner.stop()
    assert len(inner) == 0
    fg.ones(2) * 2
    outer.stop()
    assert ("op", "mul") in names(outer.events())


def test_the_log_has_a_limit():
    w = Watcher(limit=3)
    w.start()
    x = fg.ones(2)
    for _ in range(5):
        x = x * 2
    w.stop()
    assert len(w) == 3 and w.full and x.tolist() == [32, 32]


def test_an_error_closes_its_events():
    def fail():
        fg.ones(2, 3) @ fg.ones(2, 3)

    w = Watcher()
    w.start()
    with pytest.raises(fg.ShapeError):
        fail()
    y = fg.ones(2) + 1
    w.stop()
    assert [e[1] for e in w.events() if e[2].name == "add"] == [-1]
    assert y.tolist() == [2, 2]


def test_what_nodes_save():
    x = fg.ones(4, 8)
    w = fg.ones(2, 8, requires_grad=True)
    watcher = Watcher()
    watcher.start()
    y = F.linear(x, w).tanh()
    watcher.stop()
    saves = watcher.saves()
    assert [(nbytes, name, leaf) for _, _, nbytes, name, leaf in saves] == [
        (128, "x0", True),
        (64, "x1", True),
        (32, "y0", False),
    ]
    op, _, shapes, dtype, saved = describe(history(y)[0])
    assert op.name == "tanh" and shapes == ((4, 2),) and dtype is fg.float32 and saved["y0"].shape == (4, 2)


def test_an_optimiser_of_very_many_parameters_is_told_without_them():
    params = [fg.ones(1, requires_grad=True) for _ in range(600)]
    sum(p.sum() for p in params).backward()
    optimizer = fg.optim.AdamW(params, lr=0.1)
    optimizer.step()
    events = watched(optimizer.step)
    assert [(e[0], e[2].name, e[5], e[6]) for e in events] == [("op", "adam_", (), ())]
