"""The profiler on nets whose operations and bytes are known by hand; times add up to the whole."""

import gc
import json
import re
import subprocess
import sys
import weakref
import xml.etree.ElementTree as ET
from pathlib import Path
from time import perf_counter

import pytest

import fastgrad as fg
from fastgrad.profiler import compare, profile, record_function
from fastgrad.profiler._roofline import SIZES, _Labels, ceilings
from fastgrad.utils.data import DataLoader, TensorDataset
from fastgrad.viz._draw import meet

F = fg.nn.functional


def mlp():
    fg.manual_seed(0)
    return fg.nn.Sequential(fg.nn.Linear(8, 16), fg.nn.ReLU(), fg.nn.Linear(16, 4))


@pytest.fixture(scope="module")
def trained():
    """The profile of three epochs of two batches of ten."""
    net = mlp()
    optimizer = fg.optim.SGD(net.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(fg.randn(20, 8), fg.randint(0, 4, (20,))), batch_size=10)
    with profile() as prof:
        for _ in range(3):
            for x, y in loader:
                loss = F.cross_entropy(net(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return prof


def rows(prof, group):
    return {row.name: row for row in prof.rows(group)}


def test_calls_and_operations_by_hand(trained):
    found = rows(trained, "kernel")
    assert found["linear"].calls == 12
    assert found["linear"].flops == 6 * (2 * 10 * 8 * 16 + 2 * 10 * 16 * 4)
    # dW of both layers, dX of the second only
    assert found["linear_vjp"].flops == 6 * (2 * 10 * 8 * 16 + 2 * 2 * 10 * 16 * 4)
    assert found["relu"].flops == 6 * 160 and found["relu"].bytes == 6 * 2 * 160 * 4
    paired = rows(trained, "op")
    assert paired["linear"].flops == found["linear"].flops + found["linear_vjp"].flops
    assert paired["linear"].forward > 0 and paired["linear"].backward > 0
    assert paired["relu"].saved == 6 * 160 * 4


def test_modules_lines_and_phases(trained):
    modules = rows(trained, "module")
    assert modules["Sequential.0"].calls == modules["Sequential.2"].calls == 6
    assert modules["Sequential.0"].flops == 6 * 2 * (2 * 10 * 8 * 16)
    lines = rows(trained, "line")
    assert any(re.fullmatch(r"test_profiler.py:\d+", name) and row.backward for name, row in lines.items())
    phases = rows(trained, "phase")
    assert {"forward", "backward", "optimiser", "data"} <= set(phases)
    assert all(phases[name].total > 0 for name in phases)


def test_times_add_up_to_the_whole(trained):
    prof = trained
    for group in ("op", "module", "line", "phase", "kernel"):
        assert sum(row.total for row in prof.rows(group)) == pytest.approx(prof.wall)


def test_the_whole_is_what_a_clock_around_it_shows_within_5_percent():
    net, x = mlp(), fg.randn(10, 8)
    for _ in range(5):  # a process that is put aside between two clocks proves nothing
        start = perf_counter()
        with profile() as prof:
            for _ in range(300):
                net(x).sum().backward()
        seconds = perf_counter() - start
        total = sum(row.total for row in prof.rows("op"))
        if total == pytest.approx(seconds, rel=0.05):
            break
    assert total == pytest.approx(seconds, rel=0.05)
    assert all(span.own >= -1 for span in prof.spans)  # a nanosecond of rounding


def test_what_it_says(trained):
    prof = trained
    text = prof.table(sort_by="calls", group_by="op", limit=3)
    head = "op calls forward backward other total share GFLOP/s GB/s FLOP saved"
    assert text.splitlines()[0].split() == head.split()
    assert "more" in text and "whole" in text
    assert str(prof) == prof.table()
    found = prof.to_dict()
    assert found["complete"] and json.dumps(found)
    assert {row["name"] for row in found["phase"]} >= {"forward", "backward"}
    with pytest.raises(ValueError, match="sort_by"):
        prof.table(sort_by="speed")
    with pytest.raises(ValueError, match="group_by"):
        prof.table(group_by="colour")


def test_chrome_trace(trained, tmp_path):
    prof = trained
    prof.export_chrome_trace(tmp_path / "t.json")
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert len(events) == len(prof.spans)
    assert all(e["ph"] == "X" and e["dur"] >= 0 for e in events)
    linear = next(e for e in events if e["name"] == "linear")
    assert linear["args"]["shapes"] == "(10, 8), (16, 8), (16,)" and linear["args"]["module"] == "Sequential.0"


def test_html_report_needs_nothing_else(trained, tmp_path):
    prof = trained
    prof.save(tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert "<script" not in page and not re.findall(r'(?:src|href)="', page)
    pictures = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(pictures) == 2  # flame chart and roofline
    for picture in pictures:
        ET.fromstring(picture)
    assert "<table" in prof._repr_html_()


def test_roofline(trained):
    found = {r["name"]: r for r in trained.roofline()}
    linear = found["linear"]
    flops, moved = 2 * 10 * 8 * 16 + 2 * 10 * 16 * 4, 4 * (80 + 128 + 16 + 160 + 160 + 64 + 4 + 40)
    assert linear["intensity"] == pytest.approx(flops / moved)
    assert linear["reached"] == pytest.approx(linear["gflops"] / linear["ceiling"]) and linear["ceiling"] > 0


def test_nothing_reaches_more_than_its_ceiling():
    x, small = fg.randn(64, 256), fg.randn(8, 8)
    weight = fg.randn(256, 256)
    with profile() as prof, fg.no_grad():
        for _ in range(30):
            (x @ weight).relu().mul(x).add_(x)
            small.relu()
    top = ceilings()
    rates = list(top.gbytes.values())
    assert rates == sorted(rates, reverse=True) and rates[-1] > 0
    assert top.bandwidth(100) == top.bandwidth(SIZES[0]) == rates[0] and top.bandwidth(10**9) == rates[-1]
    assert top.least(1000, 1) == 1000 / top.gflops and top.least(1, 100) == 100 / rates[0]
    for row in prof.roofline():
        assert 0 < row["reached"] < 1.25, row  # others may have had the machine while the ceilings were measured
        assert row["ceiling"] <= 1.0001 * min(top.gflops, rates[0] * row["intensity"])


def test_labels_of_the_roofline_are_beside_dots_and_other_labels():
    dots = [(100, 100, 10), (125, 100, 10), (100, 125, 10), (100, 100, 4)]
    labels = _Labels(dots, (0, 0, 200, 200))
    labels.keep_clear(50, 60, -30, 60)
    before = len(labels.taken)
    places = [labels.place(*dot, "kernel_vjp") for dot in dots]
    assert any(places)
    boxes = labels.taken[before:]
    assert len(boxes) == sum(place is not None for place in places)
    for k, box in enumerate(boxes):
        assert labels.inside(box) and not any(meet(box, other) for other in labels.taken[: before + k])


def test_plot_says_what_it_needs(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=re.escape("pip install fastgrad[plot]")):
        trained.plot()


def test_named_parts():
    with profile() as prof, record_function("mine"):
        fg.ones(3) * 2
    assert [s.name for s in prof.spans] == ["mine", "mul"]
    assert rows(prof, "op")["(mine)"].total > 0
    with record_function("nothing"):
        fg.ones(3) * 2


def test_results_and_gradients_are_the_same_under_it():
    net, x = mlp(), fg.randn(5, 8)
    net(x).sum().backward()
    expected = [p.grad.tolist() for p in net.parameters()]
    net.zero_grad()
    with profile():
        net(x).sum().backward()
    assert [p.grad.tolist() for p in net.parameters()] == expected


def test_an_error_leaves_nothing_behind():
    batches = DataLoader.__iter__
    prof = None

    def fail():
        nonlocal prof
        with profile() as prof:
            fg.ones(2) + 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert DataLoader.__iter__ is batches
    assert [s.name for s in prof.spans] == ["add"]
    assert fg._core.watch.current() is None


def test_a_full_profile_says_so():
    def many():
        with profile(limit=5) as prof:
            x = fg.ones(2)
            for _ in range(9):
                x = x + 1
        return prof

    with pytest.warns(UserWarning, match="full after 5 events"):
        prof = many()
    assert prof.full and len(prof.spans) == 5


def test_a_compiled_step_shows_its_calls():
    net = mlp()
    optimizer = fg.optim.SGD(net.parameters(), lr=0.1)

    def step(x, y):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    compiled, x, y = fg.compile(step), fg.randn(10, 8), fg.randint(0, 4, (10,))
    for _ in range(4):
        compiled(x, y)
    replays = compiled.replays
    with profile() as prof:
        for _ in range(3):
            compiled(x, y)
    assert "3 compiled steps are not in this" in str(prof.memory()) and prof.memory().replays == 3
    assert compiled.replays == replays + 3
    kernels = rows(prof, "kernel")
    assert all(kernels[name].calls == 3 for name in ("linear + relu", "linear", "linear_vjp + relu_vjp", "linear_vjp"))
    assert kernels["linear"].flops == 3 * 2 * 10 * 16 * 4
    assert kernels["linear_vjp"].flops == 3 * 2 * 10 * 8 * 16
    assert kernels["linear"].backward == 0 < kernels["linear"].forward
    paired = rows(prof, "op")
    assert paired["linear"].forward > 0 and paired["linear"].backward > 0 and paired["sgd_"].other > 0
    assert {"forward", "backward", "optimiser", "compiled step"} <= set(rows(prof, "phase"))
    assert sum(row.total for row in paired.values()) == pytest.approx(prof.wall)
    with (
        pytest.raises(fg.diagnostics.AnomalyError),
        fg.detect_anomaly(),
    ):  # looks at tensors, so the function itself runs
        compiled(x.clone().fill_(3e38), y)


def test_recording_is_told_from_replaying():
    compiled = fg.compile(lambda x: x * 2)
    with profile() as prof:
        for _ in range(4):
            compiled(fg.ones(3))
    names = rows(prof, "op")
    assert names["(compiled step: recording)"].total > names["(compiled step: guards and bindings)"].total > 0
    assert compiled.records == compiled.replays == 2
    assert sum(row.total for row in names.values()) == pytest.approx(prof.wall)


def known_of(prof):
    """What a profile knows of each op's calls and operations in both passes, by module, line and op."""
    return {
        group: {
            name: (row.calls, row.flops)
            for name, row in rows(prof, group).items()
            if row.flops or name.startswith("Sequential")
        }
        for group in ("module", "line", "op")
    }


class Residual(fg.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.up = fg.nn.LayerNorm(width), fg.nn.Linear(width, width)

    def forward(self, x):
        return x + self.up(self.norm(x)).sin()


@pytest.mark.parametrize("loop", [False, True])
def test_compiled_steps_know_their_modules_and_lines_as_eager_ones_do(loop):
    fg.manual_seed(0)
    net = fg.nn.Sequential(fg.nn.Linear(8, 8), Residual(8), fg.nn.Linear(8, 4))
    optimizer = fg.optim.SGD(net.parameters(), lr=0.1)

    def step(x, y):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    x, y = fg.randn(10, 8), fg.randint(0, 4, (10,))
    with profile() as eager:
        for _ in range(4):
            step(x, y)
    compiled = fg.compile(step)
    for _ in range(3):
        compiled(x, y)
    with profile() as prof:
        if loop:
            compiled.run((x, y), epochs=4)
        else:
            for _ in range(4):
                compiled(x, y)
    expected, found = known_of(eager), known_of(prof)
    assert {"Sequential.0", "Sequential.1", "Sequential.1.norm", "Sequential.1.up"} <= set(found["module"])
    layers = expected["module"].keys() - {"(no module)", "Sequential"}  # which runs no op, and so is no row of a replay
    assert {name: found["module"][name] for name in layers} == {name: expected["module"][name] for name in layers}
    for group in ("line", "op"):
        assert found[group] == expected[group]


def test_a_program_keeps_no_module_alive():
    nets = [fg.nn.Linear(2, 2)]
    compiled = fg.compile(lambda x: nets[0](x).detach())
    for _ in range(3):
        compiled(fg.ones(1, 2))
    gone = weakref.ref(nets[0])
    with profile() as prof:
        compiled(fg.ones(1, 2))
    assert rows(prof, "module")["Linear"].calls
    nets.clear()
    gc.collect()
    assert gone() is None


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_memory_by_hand():
    x = fg.ones(100, requires_grad=True)
    with profile() as prof:
        for _ in range(3):
            y = x.exp()  # saves its result: 400 bytes
            z = y.tanh()  # and so does this one
            z.sum().backward()
    memory = prof.memory()
    assert memory.peak == 800
    assert {(h.op, h.nbytes, h.shape) for h in memory.held} == {("exp", 400, (100,)), ("tanh", 400, (100,))}
    assert all(h.line.startswith("test_profiler.py:") for h in memory.held)
    assert memory.growing == [] and "800 bytes" in str(memory)


def test_a_sum_of_losses_over_steps_is_named():
    w = fg.ones(3, requires_grad=True)
    running = 0
    with profile() as prof:
        for _ in range(12):
            loss = (w * w).sum()
            loss.backward()
            running = running + loss  # the mistake
    with pytest.warns(UserWarning, match=r"test_profiler.py:\d+ keeps a graph alive: .* loss.item\(\)") as caught:
        memory = prof.memory()
    assert caught[0].filename == __file__
    (line, count), *rest = memory.growing
    assert count >= 10 and not rest
    assert "running = running + loss" in Path(__file__).read_text().splitlines()[int(line.rpartition(":")[2]) - 1]
    assert "loss.item()" in str(memory)


def test_a_sum_of_losses_in_place_is_named():
    w = fg.ones(3, requires_grad=True)
    running = fg.zeros(())
    with profile() as prof:
        for _ in range(12):
            loss = (w * w).sum()
            loss.backward()
            running += loss  # the mistake
    with pytest.warns(UserWarning, match="keeps a graph alive"):
        ((line, _),) = prof.memory().growing
    assert "running += loss" in Path(__file__).read_text().splitlines()[int(line.rpartition(":")[2]) - 1]


def test_predicted_and_measured_memory():
    x = fg.ones(10_000, requires_grad=True)
    with profile() as prof:
        y = x.exp()  # saves its result, which y holds as well
        z = y.tanh()  # and so does this one
        z.sum().backward()
    memory = prof.memory()
    assert memory.peak == 80_000
    assert memory.peak <= memory.measured < 1.3 * memory.peak  # blocks have sizes of their own
    assert memory.most >= memory.measured + 40_000  # with a gradient under way
    assert 0 < memory.peak_time <= memory.most_time <= prof.wall
    assert memory.by("op") == {"exp": 40_000, "tanh": 40_000}
    assert len(memory.by("line")) == 2 and list(memory.by("module")) == [""]
    assert "80,000 bytes by what the ops save" in str(memory) and "<table" in memory._repr_html_()
    with pytest.raises(ValueError, match="by: expected"):
        memory.by("colour")


# ---- compare, the command --------------------------------------------------------------------------------------------


def test_compare_agrees_and_orders():
    net = mlp()
    kept = [p.grad for p in net.parameters()]
    found = compare(net, (fg.randn(6, 8), fg.randint(0, 4, (6,))), seconds_each=0.02)
    names = [row[0] for row in found.rows]
    assert names == ["fastgrad", "flat NumPy", "NumPy by hand", "NumPy tape", "pure-Python tape"]
    assert found.rows[-1][1] > found.rows[0][1]
    assert all(row[3] < 1e-5 for row in found.rows)
    assert {op for op, *_ in found.ops} == {"linear", "relu", "cross_entropy"}
    assert all(all(t > 0 for t in times) for _, *times in found.ops)
    assert "pure-Python tape" in str(found)
    ET.fromstring(found.to_svg())
    assert [p.grad for p in net.parameters()] == kept


def test_compare_with_any_model_and_loss():
    net = fg.nn.Sequential(fg.nn.Linear(8, 4), fg.nn.Tanh())
    found = compare(net, (fg.randn(6, 8), fg.randn(6, 4)), F.mse_loss, seconds_each=0.01)
    assert [row[0] for row in found.rows] == ["fastgrad", "flat NumPy"]
    assert "linear layers with ReLU" in str(found)


def run(*args):
    return subprocess.run(
        [sys.executable, "-P", "-m", "fastgrad", "profile", *args], capture_output=True, text=True, check=False
    )


def test_the_command_runs_a_script(tmp_path):
    script = tmp_path / "s.py"
    script.write_text(
        "import sys\nimport fastgrad as fg\nassert __name__ == '__main__'\n"
        "x = fg.ones(4, requires_grad=True)\n(x * 2).sum().backward()\nprint(sys.argv[1:])\nsys.exit(3)\n"
    )
    done = run("--group-by", "line", "--html", str(tmp_path / "p.html"), "--memory", str(script), "--flag", "a")
    assert done.returncode == 3, done.stderr
    assert "['--flag', 'a']" in done.stdout and "s.py:5" in done.stdout and "held for backward" in done.stdout
    assert (tmp_path / "p.html").exists()


def test_the_command_warns_of_a_graph_that_grows(tmp_path):
    script = tmp_path / "s.py"
    script.write_text(
        "import fastgrad as fg\nw, total = fg.ones(3, requires_grad=True), 0\n"
        "for _ in range(12):\n    loss = (w * w).sum()\n    loss.backward()\n    total += loss\n"
    )
    done = run(str(script))
    assert done.returncode == 0, done.stderr
    assert "warning: s.py:6 keeps a graph alive" in done.stdout


def test_the_command_compares(tmp_path):
    done = run("--baseline", "--sizes", "4-5-3", "--batch", "2", "--svg", str(tmp_path / "c.svg"))
    assert done.returncode == 0, done.stderr
    assert "pure-Python tape" in done.stdout and (tmp_path / "c.svg").exists()
    assert run("--baseline", "--sizes", "4-x").returncode == 2
    assert run("no-such-script.py").returncode == 2
