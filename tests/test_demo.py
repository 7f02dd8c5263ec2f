"""The demo: how well it reads, what it prints, and that its checkpoint is what it trained."""

import io
import re

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import demo


@pytest.fixture
def short_run(tmp_path, capsys):
    """Two epochs of the whole demo: its exit status, its lines, and the checkpoint it wrote."""
    path = tmp_path / "digits.npz"
    status = demo.main(["--epochs", "2", "--seed", "3", "--out", str(path)])
    return status, capsys.readouterr().out, path


def trained(seed, epochs):
    fg.manual_seed(seed)
    net = demo.make_net()
    training, test = demo.load_split(seed)
    losses = [loss for loss, _ in demo.train(net, training, epochs, seed)]
    return net, test, losses


def test_mean_accuracy_over_five_seeds_is_at_least_97_percent():
    accuracies = []
    for seed in range(5):
        net, test, losses = trained(seed, epochs=20)
        accuracies.append(demo.count_correct(net, test) / len(test))
        assert losses[-1] < losses[0] / 2
    assert np.mean(accuracies) >= 0.97


def test_the_split_is_stratified_and_covers_every_digit_once():
    training, test = demo.load_split(seed=1)
    assert len(training) + len(test) == 1797
    held_out, everything = (
        np.bincount(labels) for labels in (test.tensors[1], fg.cat([training.tensors[1], test.tensors[1]]))
    )
    assert np.all(np.abs(held_out - 0.2 * everything) <= 0.5)


def test_the_same_seed_gives_the_same_network():
    one, other = trained(7, epochs=2), trained(7, epochs=2)
    assert one[2] == other[2]
    for a, b in zip(one[0].parameters(), other[0].parameters(), strict=True):
        assert fg.equal(a, b)


def test_it_prints_one_line_for_each_epoch_and_the_result(short_run):
    status, out, _ = short_run
    assert status == 0
    epochs = re.findall(r"^epoch +(\d+)/2   loss (\d\.\d+)   test +(\d+\.\d+)% +[\d.]+ [mu]?s per step$", out, re.M)
    assert [number for number, _, _ in epochs] == ["1", "2"]
    result = re.search(r"^test accuracy +(\d+\.\d+)%, (\d+) of (\d+) \((.*)\)$", out, re.M)
    assert result[1] == epochs[-1][2] == f"{100 * int(result[2]) / int(result[3]):.2f}"
    assert result[4] == "stratified random 80/20 split, seed 3"
    assert re.search(r"^time per step +[\d.]+ [mu]?s", out, re.M)


def test_it_prints_what_the_backward_pass_cost_beside_both_tapes(short_run):
    rows = re.findall(
        r"^  (fastgrad|NumPy tape|pure-Python tape) +[\d.]+ \w+ +[\d.]+ \w+ +([\d,.]+)x$", short_run[1], re.M
    )
    assert [name for name, _ in rows] == ["fastgrad", "NumPy tape", "pure-Python tape"]
    ratios = [float(ratio.replace(",", "")) for _, ratio in rows]
    assert ratios[0] == 1.0
    assert ratios[2] > 50 * ratios[1]  # between the tapes, so that a debug build of fastgrad passes too


def test_plain_output_has_no_control_codes(short_run):
    assert not re.search(r"[\r\x1b\b]", short_run[1])


def test_the_checkpoint_holds_the_trained_network(short_run):
    _, out, path = short_run
    assert f"checkpoint     {path}: saved, loaded into a new network, same scores to the last bit" in out
    net, test, _ = trained(3, epochs=2)
    restored = demo.make_net()
    restored.load_state_dict(fg.load(path))
    assert fg.equal(restored(test.tensors[0]), net(test.tensors[0]))


def test_a_checkpoint_that_does_not_reproduce_the_scores_is_noticed(tmp_path, monkeypatch, capsys):
    load = fg.load

    def load_with_an_error(path):
        state = load(path)
        state["2.bias"] = state["2.bias"] + 1e-3
        return state

    monkeypatch.setattr(fg, "load", load_with_an_error)
    assert demo.main(["--epochs", "1", "--out", str(tmp_path / "x.npz")]) == 1
    assert "does NOT give the same scores" in capsys.readouterr().out


def test_the_three_backward_passes_agree():
    fg.manual_seed(0)
    x, labels = (tensor[:4] for tensor in demo.load_split(0)[0].tensors)
    rows = demo.compare_backward(demo.make_net(), x, labels)
    assert all(forward > 0 and backward > 0 for _, forward, backward, _ in rows)
    differences = [row[3] for row in rows]
    assert differences[0] == 0
    assert 0 < max(differences) < 1e-5  # float32 against the float64 of the scalar tape: close, and not the same code


def test_on_a_terminal_a_bar_stands_below_the_last_epoch(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    progress = demo.Progress(total=2)
    progress.line("first", done=1)
    assert terminal.getvalue().endswith("\n[" + "#" * 25 + "." * 25 + "]")
    progress.line("second", done=2)
    last = terminal.getvalue().rpartition("\r")[2]
    assert last == "second" + " " * 46 + "\n"  # as wide as the bar that it covers


def test_zero_epochs_are_refused(capsys):
    with pytest.raises(SystemExit):
        demo.main(["--epochs", "0"])
    assert "--epochs must be at least 1, not 0" in capsys.readouterr().err
