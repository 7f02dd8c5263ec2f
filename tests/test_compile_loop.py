"""`run` of a compiled function: the same numbers, state and random draws as calling it on the batches of a DataLoader."""

import gc
import sys
import threading
import types

import pytest

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.utils.data import DataLoader, Dataset, TensorDataset

from .compiling import Net, Scale, bits, compiled, inputs, labels, made
from .control_c import control_c_after

F = nn.functional
ROWS = 22


def data(rows=ROWS):
    return inputs(0, rows), labels(0, rows)


class Noisy(Net):
    """Draws from the default generator, as the shuffle does; its running statistics and a schedule go on as well."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(5)
        self.opt = optim.AdamW(self.parameters(), lr=0.01, weight_decay=0.1)
        self.schedule = optim.lr_scheduler.LambdaLR(self.opt, lambda k: 0.9**k)

    def forward(self, x):
        return F.dropout(self.norm(x @ self.w1 + self.b).relu(), 0.3, self.training) @ self.w2

    def step(self, x, y):
        self.opt.zero_grad()
        loss = F.cross_entropy(self(x), y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters(), 0.5)
        self.opt.step()
        return loss, norm

    def watch(self):
        return [*super().watch(), *self.buffers()]


class Accumulating(Net):  # .grad is None before every other call: two programs in turn, neither of which can loop
    def step(self, x, y):
        loss = F.cross_entropy(self(x), y) * 0.5
        loss.backward()
        if self.b.grad.shape:
            self.opt.step()
        return loss


class Twice(Net):  # returns what is in .grad: runs call by call
    def step(self, x, y):
        self.opt.zero_grad()
        for k in (0, 2):
            F.cross_entropy(self(x[k : k + 2]), y[k : k + 2]).backward()
        self.opt.step()
        return self.w1.grad


def eager(net, step, loader, epochs, every=None):
    found = []
    for _ in range(epochs):
        for batch in loader:
            found.append(step(*batch))
            if every == "step":
                net.schedule.step()
        if every == "epoch":
            net.schedule.step()
    return found


def rows_of(result, k):
    return tuple(part[k] for part in result) if isinstance(result, tuple) else result[k]


@pytest.mark.filterwarnings("ignore::fastgrad.ForgottenZeroGrad")  # one of them accumulates on purpose
@pytest.mark.parametrize("kind", [Net, Noisy, Accumulating, Twice])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
def test_run_is_the_loop_over_a_data_loader(kind, shuffle, drop_last):
    (a, step), (b, other) = made(kind)(), made(kind)()
    h = compiled(other)
    size, epochs = (4 if drop_last or kind is not Twice else 11), 6
    options = {"batch_size": size, "shuffle": shuffle, "drop_last": drop_last}
    fg.manual_seed(1)
    expected = eager(a, step, DataLoader(TensorDataset(*data()), **options), epochs)
    stream = fg.get_rng_state()
    fg.manual_seed(1)
    found = h.run(data(), epochs=epochs, **options)
    assert [bits(rows_of(found, k)) for k in range(len(expected))] == [bits(r) for r in expected]
    assert bits(a.watch()) == bits(b.watch())
    assert bits(fg.get_rng_state()) == bits(stream)
    assert h.records + h.replays == len(expected)
    assert h.replays >= len(expected) - 9


def source(name):
    x, y = data()
    plain = TensorDataset(x, y)
    return {
        "tuple": ((x, y), {"batch_size": 4}),
        "list": ([x, y], {"batch_size": 4}),
        "dataset": (plain, {"batch_size": 4}),
        "loader": (DataLoader(plain, batch_size=4), {}),
        "strided": ((fg.stack([x, x], 2)[:, :, 1], fg.stack([y, y], 1)[:, 0]), {"batch_size": 4}),
        "whole": ((x, y), {}),
    }[name]


@pytest.mark.parametrize("name", ["tuple", "list", "dataset", "loader", "strided", "whole"])
def test_what_batches_come_from(name):
    (a, step), (b, other) = made(Net)(), made(Net)()
    given, options = source(name)
    loader = DataLoader(TensorDataset(*data()), batch_size=4 if name != "whole" else ROWS)
    expected = eager(a, step, loader, 7)
    assert bits(compiled(other).run(given, epochs=7, **options)) == bits(fg.stack(expected))
    assert bits(a.watch()) == bits(b.watch())


def test_the_generator_of_a_loader_and_a_sampler_give_the_order():
    for options in ({"shuffle": True}, {"sampler": [3, 1, 2, 0, 5, 8, 21]}):
        a, b = (DataLoader(TensorDataset(*data()), batch_size=3, **options) for _ in range(2))
        for loader in (a, b):
            loader.generator = fg.Generator().manual_seed(4)
        expected = [x.sum() for _ in range(4) for x, _ in a]
        assert bits(compiled(lambda x, y: x.sum()).run(b, epochs=4)) == bits(fg.stack(expected))


def test_orders_that_are_drawn_ahead_are_those_that_would_have_been_drawn():
    step = compiled(lambda x: x * 1)
    x = fg.arange(12)
    g = fg.Generator().manual_seed(3)
    found = step.run(x, batch_size=4, epochs=500, shuffle=True, generator=g)
    other = fg.Generator().manual_seed(3)
    assert bits(found.reshape(500, 12)) == bits(fg.stack([fg.randperm(12, generator=other) for _ in range(500)]))
    assert bits(g.get_state()) == bits(other.get_state())
    assert step.records == 2


def test_one_tensor_and_arguments_before_the_batch():
    step = compiled(lambda scale, x: {"y": x * scale, "what": "scaled"})
    found = step.run(fg.arange(6.0), args=(2.0,), batch_size=2, epochs=3)
    assert bits(found["y"]) == bits((fg.arange(6.0) * 2).reshape(3, 2).repeat(3, 1))
    assert found["what"] == "scaled"


def test_a_function_without_a_batch():
    x = fg.tensor([3.0], requires_grad=True)
    opt = optim.SGD([x], lr=0.1)

    @fg.compile
    def step():
        loss = (x * x).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    losses = step.run(epochs=100)
    assert len(losses) == 100
    assert losses[-1] < 1e-8
    assert step.replays >= 96


def test_a_function_that_returns_nothing():
    total = fg.zeros(3)

    @fg.compile
    def add(x):
        total.add_(x.sum(0))

    assert add.run(data()[0], batch_size=2, epochs=2) is None
    assert fg.allclose(total, 2 * data()[0].sum(0), atol=1e-4)


def test_a_method():
    a, b = Scale(2), Scale(3)
    x = data()[0]
    before = Scale.scaled.replays
    for model in (a, b, a):
        assert bits(model.scaled.run(x, batch_size=2).reshape(ROWS, 3)) == bits(x * model.w)
    assert Scale.scaled.replays == a.scaled.replays > before + 20


def test_a_batch_that_is_written_leaves_the_data_as_it_was():
    def f(x):
        x.add_(1.0)
        return x * 2.0, x[1:]

    for size in (2, ROWS):
        x = data()[0]
        twice, view = compiled(f).run(x, batch_size=size, epochs=5)
        assert bits(x) == bits(data()[0])
        assert bits(twice[-1]) == bits((x[-size:] + 1) * 2)
        assert bits(view[-1]) == bits(x[-size:][1:] + 1)


def test_the_data_may_be_what_the_function_changes():
    def run(loop):
        x = fg.ones(4, 2)

        def f(batch):
            x.add_(batch * 0.5)
            return batch.sum()

        return loop(f, x)

    assert bits(run(lambda f, x: compiled(f).run(x, epochs=8))) == bits(
        run(lambda f, x: fg.stack([f(x.index_select(0, fg.arange(4))) for _ in range(8)]))
    )


# ---- callbacks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", ["step", "epoch"])
def test_a_schedule_in_the_callback(every):
    (a, step), (b, other) = made(Noisy)(), made(Noisy)()
    fg.manual_seed(1)
    expected = eager(a, step, DataLoader(TensorDataset(*data()), batch_size=4, shuffle=True), 6, every)
    fg.manual_seed(1)
    h = compiled(other)
    found = h.run(
        data(),
        batch_size=4,
        epochs=6,
        shuffle=True,
        callback=lambda now: b.schedule.step(),
        every={"step": 1}.get(every),
    )
    assert bits([rows_of(found, k) for k in range(36)]) == bits(expected)
    assert a.opt.param_groups[0]["lr"] == b.opt.param_groups[0]["lr"]
    assert h.replays >= 28


def test_a_callback_is_told_how_far_it_is_and_may_end_the_run():
    step = compiled(lambda x: x.sum())
    seen = []

    def callback(now):
        seen.append((now.epoch, now.step, now.steps, len(now.results)))
        return now.step == 9

    expected = fg.arange(8.0).reshape(4, 2).sum(1).repeat(10)
    found = step.run(fg.arange(8.0), batch_size=2, epochs=10, callback=callback, every=3)
    assert seen == [(0, 3, 40, 3), (1, 6, 40, 3), (2, 9, 40, 3)]
    assert bits(found) == bits(expected[:9])
    seen.clear()
    assert bits(step.run(fg.arange(8.0), batch_size=2, epochs=10, callback=callback)) == bits(expected)
    assert seen[:2] == [(1, 4, 40, 4), (2, 8, 40, 4)]
    assert len(seen) == 10


def test_a_gradient_held_by_the_callback_stays_as_it_is():
    net, held = Net(), []
    compiled(net.step).run(
        data(), batch_size=2, epochs=4, callback=lambda now: held.append((net.b.grad, bits(net.b.grad)))
    )
    assert all(bits(grad) == before for grad, before in held)
    assert len({before for _, before in held}) == 4


def test_the_callback_may_change_what_is_guarded():
    def change(net):
        return lambda now: net.w2.requires_grad_(now.epoch % 2 == 0)

    (a, step), (b, other) = made(Net)(), made(Net)()
    loader, expected, hear = DataLoader(TensorDataset(*data()), batch_size=2), [], change(a)
    for epoch in range(6):
        expected += [step(*batch) for batch in loader]
        hear(types.SimpleNamespace(epoch=epoch + 1))
    assert bits(compiled(other).run(data(), batch_size=2, epochs=6, callback=change(b))) == bits(fg.stack(expected))
    assert bits(a.watch()) == bits(b.watch())


def test_evaluation_in_the_callback_with_the_same_net():
    (a, step), (b, other) = made(Noisy)(), made(Noisy)()
    loader, x = DataLoader(TensorDataset(*data()), batch_size=11), data()[0]
    scores, expected = [], []
    evaluate = compiled(lambda x: b(x).detach())

    def callback(now):
        b.eval()
        scores.append(bits(evaluate.run(x, batch_size=11)))
        b.train()

    fg.manual_seed(1)
    for _ in range(6):
        for batch in loader:
            step(*batch)
        a.eval()
        with fg.no_grad():
            expected.append(bits(a(x).reshape(2, 11, 2)))
        a.train()
    fg.manual_seed(1)
    compiled(other).run(data(), batch_size=11, epochs=6, callback=callback)
    assert scores == expected


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 3, 7, 10])
def test_a_step_that_fails_is_named_and_leaves_the_state_of_the_one_before(k):
    (a, step), (b, other) = made(Net)(), made(Net)()
    x, y = data()
    h = compiled(other)
    h.run((x, y), batch_size=2, epochs=2)
    eager(a, step, DataLoader(TensorDataset(x, y), batch_size=2), 2)
    for each in list(zip(x.split(2), y.split(2), strict=True))[:k]:
        step(*each)
    y[2 * k + 1] = 9
    with pytest.raises(IndexError, match="cross_entropy"):
        step(x[2 * k : 2 * k + 2], y[2 * k : 2 * k + 2])  # its zero_grad() came first
    with pytest.raises(IndexError, match="cross_entropy") as caught:
        h.run((x, y), batch_size=2)
    assert f"in step {k} of run" in caught.value.__notes__[0]
    assert bits(a.watch()) == bits(b.watch())
    y[2 * k + 1] = 0
    assert len(h.run((x, y), batch_size=2)) == 11


def test_results_of_another_shape_are_refused_before_a_replay():
    count = fg.zeros(())

    def f(x):
        count.add_(1.0)
        return x * 1.0

    h = compiled(f)
    assert h.run(inputs(0, 5), batch_size=2, epochs=3, drop_last=True).shape == (6, 2, 3)
    for _ in range(3):
        h(inputs(0, 1))
    before = count.item()
    with pytest.raises(fg.ShapeError, match=r"\(1, 3\).*\(2, 3\).*drop_last"):
        h.run(inputs(1, 5), batch_size=2)
    assert count.item() == before + 2


def test_an_index_of_a_sampler_that_is_out_of_range():
    loader = DataLoader(TensorDataset(*data()), batch_size=1, sampler=[0, 1, 2, 3, 99])
    with pytest.raises(IndexError, match="out of range"):
        compiled(lambda x, y: x.sum()).run(loader)


class Squares(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, k):
        return fg.tensor(k * k)


@pytest.mark.parametrize(
    ("given", "options", "kind", "words"),
    [
        ((inputs(0).numpy(),), {}, TypeError, "from_numpy"),
        ("text", {}, TypeError, "Tensors in memory"),
        (DataLoader(Squares(), batch_size=2), {}, TypeError, "in a loop over this one"),
        (DataLoader(TensorDataset(inputs(0)), batch_sampler=[[0], [1, 2]]), {}, TypeError, "in a loop over this one"),
        (DataLoader(TensorDataset(inputs(0))), {"batch_size": 2}, TypeError, "pass them to it"),
        ((inputs(0, 4), inputs(0, 5)), {}, ValueError, r"\(4, 3\), \(5, 3\)"),
        (fg.tensor(1.0), {}, ValueError, "number of rows"),
        (inputs(0), {"batch_size": 0}, ValueError, "batch_size"),
        (inputs(0), {"batch_size": 9, "drop_last": True}, ValueError, "no batch"),
        (inputs(0, 0), {}, ValueError, "no batch"),
        (inputs(0), {"epochs": 0}, ValueError, "epochs"),
        (inputs(0), {"every": 2}, ValueError, "callback"),
        (inputs(0), {"every": 0, "callback": print}, ValueError, "every"),
    ],
)
def test_bad_input_is_refused(given, options, kind, words):
    def never(*batch):
        raise AssertionError

    with pytest.raises(kind, match=words):
        fg.compile(never).run(given, **options)


def test_a_function_that_cannot_be_replayed_runs_with_fallback():
    def f(x):
        return x * 2 if x.sum() > 0 else x * 3

    h = fg.compile(f, fallback=True)
    x = data()[0]
    with pytest.warns(UserWarning, match="eagerly"):
        found = h.run(x, batch_size=2)
    assert bits(found) == bits(fg.stack([f(part) for part in x.split(2)]))


def test_check_finds_a_number_that_changes_in_a_run():
    c = [1.0]
    h = fg.compile(lambda x: x * c[0], check=7)

    def callback(now):
        c[0] = 2.0

    h.run(data()[0], batch_size=2, epochs=5)
    with pytest.raises(fg.CompileError, match="no longer describes"):
        h.run(data()[0], batch_size=2, epochs=5, callback=callback)


def test_check_runs_the_function_as_often_as_in_calls():
    times = []

    def f(x):
        times.append(1)
        return x * 2.0

    fg.compile(f, check=10).run(fg.arange(102.0), batch_size=1)
    assert len(times) == 2 + 10


# ---- interruption, threads, progress ---------------------------------------------------------------------------------


class Counting:
    """Both counts are equal after a whole number of steps."""

    def __init__(self):
        self.a, self.b = fg.zeros(()), fg.zeros((), dtype=fg.float64)

    def step(self):
        self.a.add_(1.0)
        self.b.add_(1.0)
        return self.b


def test_control_c_ends_a_run_between_two_steps():
    counting = Counting()
    h = fg.compile(counting.step)
    with pytest.raises(KeyboardInterrupt), control_c_after(0.1):
        h.run(epochs=10**8, callback=lambda now: None, every=10**7)
    assert counting.b > 1000
    assert min(counting.a.item(), 2**24) == min(counting.b.item(), 2**24)
    before = counting.b.item()
    h.run(epochs=10)
    assert counting.b.item() == before + 10


def test_other_threads_run_beside_a_run_and_the_program_is_run_by_one_at_a_time():
    net = Net()
    h = fg.compile(net.step)
    x, y = data()
    h.run((x, y), batch_size=2, epochs=2)
    counts = []

    def calls(f, n):
        for _ in range(n):
            f()
        counts.append(n)

    threads = [
        threading.Thread(target=calls, args=(lambda: h.run((x, y), batch_size=2, epochs=2000), 5)),
        threading.Thread(target=calls, args=(lambda: h.run((x, y), batch_size=2, epochs=3, shuffle=True), 50)),
        threading.Thread(target=calls, args=(lambda: h(x[:2], y[:2]), 200)),
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(counts) == [5, 50, 200]
    assert h.records + h.replays == 22 + 5 * 22000 + 50 * 33 + 200
    assert all(p.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("none", [True, False])
def test_gradients_and_rates_that_another_thread_changes_during_a_run(none):
    class Other(Net):
        def step(self, x, y):
            self.opt.zero_grad(set_to_none=none)
            loss = F.cross_entropy(self(x), y)
            loss.backward()
            self.opt.step()
            return loss

    net, ended, held = Other(), threading.Event(), []
    h = fg.compile(net.step, limit=100)

    def meddle():
        while not ended.is_set():
            for p in net.parameters():
                held.append(p.grad)
                p.grad = None
            net.opt.param_groups[0]["lr"] *= 0.999
            del held[:-5]

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        for _ in range(20):
            h.run(data(), batch_size=2, epochs=50, shuffle=True)
    finally:
        ended.set()
        thread.join()
    assert h.replays > 10_000
    assert all(p.isfinite().all() for p in net.parameters())


def test_counts_of_one_program_on_several_threads_are_not_lost():
    counting = Counting()
    h = fg.compile(counting.step)
    h.run(epochs=4)
    threads = [threading.Thread(target=h.run, kwargs={"epochs": 20_000}) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert counting.b.item() == counting.a.item() == 60_004


def test_memory_stays_flat_over_a_million_replays():
    net = Net()
    h = fg.compile(net.step)
    x, y = data(4)

    def run():
        h.run((x, y), batch_size=2, epochs=250_000, shuffle=True)

    h.run((x, y), batch_size=2, epochs=10)
    gc.collect()
    before = fg.memory_stats()["allocated"]
    for _ in range(2):
        run()
        gc.collect()
        assert fg.memory_stats()["allocated"] == before
    assert h.replays >= 10**6


def test_progress_in_lines_where_there_is_no_tqdm(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    compiled(lambda x: x.sum()).run(fg.ones(6), batch_size=2, epochs=4, progress=True)
    text = capsys.readouterr().err
    assert "pip install 'fastgrad[progress]'" in text
    assert "step 12 of 12" in text
    assert "last result 2" in text


def test_progress_in_a_bar_of_tqdm(monkeypatch):
    shown = []

    class Bar:
        def __init__(self, total, unit, file):
            self.n, self.total = 0, total

        def update(self, n):
            self.n += n
            shown.append((self.n, self.total))

        def set_postfix_str(self, text, refresh):
            shown.append(text)

        def close(self):
            shown.append("closed")

    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=Bar))
    compiled(lambda x: x.sum()).run(fg.ones(6), batch_size=2, epochs=4, progress=True)
    assert shown == ["2", (12, 12), "closed"]


def test_a_profiler_sees_the_calls_of_a_run():
    h = fg.compile(lambda x: x * 2.0)
    h.run(fg.ones(6), batch_size=2, epochs=2)
    with fg.profiler.profile() as p:
        h.run(fg.ones(6), batch_size=2, epochs=2)
    assert "compiled step" in str(p.table())
