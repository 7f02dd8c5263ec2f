"""`fastgrad bench`: its command line, its report, and that what it divides by and compares with is right."""

import importlib.util
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from fastgrad.bench import chart, compare, contenders, derivatives, floor, graphs, harness, memory, report, steps
from fastgrad.bench.command import SECTIONS, measure, parser
from fastgrad.bench.problem import Net, NotTimedError, Problem, checked, gradient
from fastgrad.bench.results import Measure, Run, Table, Verdict

from .memory import measures_memory


def command(*arguments, cwd, **variables):
    environment = os.environ | variables
    return subprocess.run(
        [sys.executable, "-P", "-m", "fastgrad", "bench", *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def made(scale=1.0):
    """A run with a floor, two contenders and one that is missing."""
    run = Run({"date": "today", "processor": "one <fast>"}, {"quick": True})
    cells = {
        "floor": Measure(1000.0, 900.0, 1100.0),
        "fastgrad": Measure(4000.0 * scale, 3900.0 * scale, 4100.0 * scale),
    }
    run.tables.append(Table("steps", "Steps", ["floor", "fastgrad", "torch", "fastgrad compiled"], "floor"))
    run.tables[0].rows["1 x 4-2, SGD"] = cells | {
        "torch": Measure.single(300_000.0, "ns"),
        "fastgrad compiled": "not yet",
    }
    run.verdicts.append(Verdict("2", "1 x 4-2, SGD, fastgrad", "≤ 3x floor", "4x", False))
    run.note("tinygrad", "not installed")
    run.note("micrograd", "has SGD only", "1 x 4-2, AdamW")
    return run


def test_a_quick_run_without_a_checkout_says_why_there_is_no_floor(tmp_path):
    """Data is the shortest section; what slows OpenBLAS is removed, and that is said."""
    done = command(
        "--quick", "--rounds", "1", "--only", "data", "--json", "a.json", cwd=tmp_path, OPENBLAS_L2_SIZE="512"
    )
    assert done.returncode == 0, done.stderr
    assert "OPENBLAS_L2_SIZE is set and slows OpenBLAS: starting again without it" in done.stderr
    assert "DataLoader, 784 features" in done.stdout
    assert "section steps: not chosen" in done.stdout
    results = json.loads((tmp_path / "a.json").read_text())
    assert results["options"]["only"] == ["data"]
    assert "OPENBLAS_L2_SIZE removed" in results["machine"]["environment"]
    again = command("--compare", "a.json", "a.json", cwd=tmp_path)
    assert "1x" in again.stdout, again.stderr


def test_a_section_that_fails_is_said_and_takes_nothing_along(monkeypatch, capsys):
    monkeypatch.setattr("fastgrad.bench.data.section", lambda context: 1 / 0)
    run = measure(parser().parse_args(["--quick", "--only", "data"]))
    assert list(run.notes["section data"]) == ["failed: ZeroDivisionError: division by zero"]
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--threads", "0"], ["--compare", "a.json"]])
def test_wrong_arguments_are_refused(arguments, tmp_path):
    assert command(*arguments, cwd=tmp_path).returncode == 2


def test_results_of_another_kind_are_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    done = command("--compare", "a.json", "a.json", cwd=tmp_path)
    assert done.returncode == 1
    assert "does not hold results" in done.stderr


def test_the_floor_says_where_its_source_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    floor.module.cache_clear()
    assert "--floor FOLDER" in floor.why_not()
    floor.module.cache_clear()


def test_every_section_is_a_module():
    for name in SECTIONS:
        assert callable(__import__(f"fastgrad.bench.{name}", fromlist=["section"]).section)


def test_report_shows_multiples_verdicts_and_what_is_left_out():
    text = report.markdown(made())
    assert "| 1 x 4-2, SGD | 1 µs ±10% | **4x** (4 µs ±2%) | **300x** (300 µs) | not yet |" in text
    assert "0 of 1 targets met; 0 not judged." in text
    assert "**missed**: no profile yet" in text
    assert "- tinygrad: not installed" in text
    assert "- micrograd: has SGD only (1 x 4-2, AdamW)" in text


def test_page_has_the_chart_and_the_results_beside_it(tmp_path):
    report.write_page(made(), tmp_path / "page.md")
    assert "](page.svg)" in (tmp_path / "page.md").read_text(encoding="utf-8")
    assert Run.read(tmp_path / "page.json") == made()


def test_chart_is_xml_with_a_bar_for_each_contender():
    root = ElementTree.fromstring(chart.svg(made()))
    bars = [r for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("fill") != "#fff"]
    lengths = [float(bar.get("width")) for bar in bars]
    assert len(lengths) == 2
    assert lengths[1] / lengths[0] == pytest.approx(np.log(300) / np.log(4), rel=1e-2)
    ElementTree.fromstring(chart.svg(Run({"processor": "none"}, {})))


def test_comparison_marks_what_is_out_of_the_spread():
    text = compare.markdown(made(), made(scale=1.5))
    assert "| 1 x 4-2, SGD | fastgrad | 4 µs ±2% | 6 µs ±2% | 1.5x | more |" in text
    assert "| floor | 1 µs ±10% | 1 µs ±10% | 1x |  |" in text


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_expected_gradients_are_the_differences_of_the_loss(loss):
    problem = Problem(Net(3, (4, 5, 2), "sgd", loss))
    params, x, h = [p.astype(np.float64) for p in problem.params], problem.x.astype(np.float64), 1e-6
    for p, g in zip(params, gradient(loss, params, x, problem.labels)[1], strict=True):
        for k in range(min(4, p.size)):
            old = p.flat[k]
            p.flat[k] = old + h
            above = gradient(loss, params, x, problem.labels)[0]
            p.flat[k] = old - h
            below = gradient(loss, params, x, problem.labels)[0]
            p.flat[k] = old
            assert (above - below) / (2 * h) == pytest.approx(g.flat[k], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(
    "net", [Net(8, (6, 7, 3), o, loss) for o in ("sgd", "adamw") for loss in ("cross_entropy", "mse")], ids=str
)
def test_every_contender_that_is_here_reaches_the_losses_or_says_why_not(net):
    """What is installed, which for the suite is fastgrad and the baselines."""
    run, problem, reasons = Run({}, {}), Problem(net), {}
    makers = contenders.available(run)
    for name in set(makers) - {"torch.compile", "tinygrad"}:  # those compile for seconds
        try:
            checked(makers[name], problem).run(1)
        except NotTimedError as reason:
            reasons[name] = str(reason)
    assert "fastgrad" in makers
    assert not [why for why in reasons.values() if why != "not yet" and not why.startswith("has ")]


def test_a_contender_with_other_losses_is_not_timed():
    class Wrong:
        def __init__(self, problem, lr):
            self.found = problem.expected * 1.01

        def losses(self, n):
            return self.found

    with pytest.raises(NotTimedError, match="the loss of step 0 is"):
        checked(Wrong, Problem(steps.ROWS[0].net))


def test_derivatives_that_are_timed_are_right():
    """Every way to the product with the Hessian, and the matrices compiled and not."""
    import fastgrad

    values = derivatives._values(8, (4, 5, 3))
    gradient, products = derivatives._mlp(fastgrad, *values)
    compiled, more = derivatives._compiled_mlp(fastgrad, *values)
    assert len(products) == 2
    assert all(derivatives._is_right(gradient, product) for product in [*products.values(), *more.values()])
    assert not derivatives._is_right(gradient, compiled)
    eager, program = derivatives._eager(fastgrad), derivatives._compiled(fastgrad)
    assert set(eager) == set(program) == set(derivatives.LIMITS)
    for name, call in eager.items():
        np.testing.assert_allclose(program[name]().numpy(), call().numpy(), rtol=1e-5, atol=1e-4)


def test_interleaved_times_are_of_one_unit_of_work(monkeypatch):
    """On a clock that only the work moves."""
    ticks = [0]

    def work(cost):
        def run(n):
            ticks[0] += cost * n

        return run

    monkeypatch.setattr(harness, "_clock", lambda: ticks[0])
    found = harness.interleave({"one": work(1000), "two": work(2000)}, rounds=5, seconds=0.002)
    assert (found["one"].median, found["two"].median) == (1000, 2000)


@measures_memory
def test_memory_of_many_steps_is_flat():
    step = contenders.CONTENDERS["fastgrad"][1](Problem(Net(1, (4, 64, 64, 2), "adamw")), 1e-8)
    step.run(500)
    before = graphs.resident()
    step.run(5000)
    assert graphs.resident() - before <= 100_000


@measures_memory
@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the kernel does not reset the high-water mark"
)
@pytest.mark.parametrize("name", memory.OURS)
def test_peak_memory_of_a_step_is_its_activations_and_gradients(name):
    """An activation of 2 MB and its gradient; parameters, which are as large in all, have gradients, too."""
    net = Net(512, (256, 1024, 256), "sgd")
    assert 5e6 < memory.in_new_process(name, net) < 11e6


@measures_memory
@pytest.mark.parametrize("name", memory.OURS)
def test_counted_memory_is_that_of_activations_and_gradients(name):
    net = Net(512, (256, 1024, 256), "sgd")
    least = 4 * (2 * net.batch * 1024 + 1024 * 256 + 1024)
    assert least < memory.counted(name, net) < 1.5 * least
    assert memory.counted(name, Net(8, (4, 4, 2), "adamw")) < 2000


CHECK = Path(__file__).parents[1] / "benchmarks/bench_check.py"


@pytest.fixture
def bench_check():
    if not CHECK.exists():
        pytest.skip("the tests run outside a checkout")
    spec = importlib.util.spec_from_file_location("bench_check", CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_more_instructions_fail_unless_the_message_says_why(bench_check, capsys):
    before = {"a": 1000, "b": 1000, "c": 1000, "d": "an error", "e": 1000}
    after = {"a": 1049, "b": 1051, "c": 1051, "d": 5, "e": "an error", "f": 5}
    assert bench_check.compare(before, after, {"c": "it does more"}) == ["b", "e"]
    table = capsys.readouterr().out
    assert "| b | 1,000 | 1,051 | +5.10% | too much |" in table
    assert "| c | 1,000 | 1,051 | +5.10% | intended: it does more |" in table


def test_intended_rises_are_read_from_the_messages(bench_check, monkeypatch):
    repository = bench_check.Repository(Path("nowhere"))
    log = "One\n\nInstructions rise: a, b_c: more is checked\n\nTwo\nInstructions rise: d\n"
    monkeypatch.setattr(repository, "git", lambda *arguments: log)
    assert repository.intended("base") == {"a": "more is checked", "b_c": "more is checked"}


def test_a_shared_build_is_older_than_what_changed(bench_check, tmp_path):
    built, source = tmp_path / "this", tmp_path / "parent"
    for name in ("build/kernels/a.o", "build/lib.x/fastgrad/_core/new.so", "build/lib.x/fastgrad/_core/old.so"):
        (built / name).parent.mkdir(parents=True, exist_ok=True)
        (built / name).touch()
    (built / "build/lib.x/fastgrad/a.py").touch()
    for name in ("fastgrad/_core/old.pyx", "csrc/same.c", "csrc/changed.c"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
        os.utime(source / name, (1, 1))
    bench_check.share(built, source, ["csrc/changed.c", "csrc/only_in_this.c"])
    found = {str(path.relative_to(source)) for path in source.glob("build/**/*.*") if path.is_file()}
    assert found == {"build/kernels/a.o", "build/lib.x/fastgrad/_core/old.so"}
    assert (source / "csrc/same.c").stat().st_mtime == 1
    assert (source / "csrc/changed.c").stat().st_mtime >= (source / "build/kernels/a.o").stat().st_mtime
    bench_check.share(built, tmp_path / "other", ["setup.py"])
    assert not (tmp_path / "other").exists()
