"""save and load: round trips, damaged files, crashes while writing."""

import io
import math
import os
import pickle
import stat
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import fastgrad
from fastgrad import nn, optim


def round_trip(obj, path):
    fastgrad.save(obj, path)
    return fastgrad.load(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.npz"


@pytest.mark.parametrize("name", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_tensors(name, shape, path):
    dtype = getattr(fastgrad, name)
    t = fastgrad.ones(shape, dtype=dtype)
    back = round_trip(t, path)
    assert back.dtype == dtype
    assert back.shape == shape
    assert back.tolist() == t.tolist()


def test_bits_survive(path):
    t = fastgrad.tensor([math.nan, math.inf, -0.0, 5e-324, 0.1], dtype=fastgrad.float64)
    assert round_trip(t, path).numpy().tobytes() == t.numpy().tobytes()
    view = fastgrad.arange(12.0).reshape(3, 4).T[1:]
    assert round_trip(view, path).tolist() == view.tolist()


def test_nested_objects(path):
    obj = {
        "numbers": [1, 2**80, -0.5, math.inf, 1e-300, True, None],
        "keys": {1: "int", "1": "string", 2.5: "float", None: "none", False: "bool"},
        "tuple": (1, (2, []), {}),
        "ordered": OrderedDict([("b", 1), ("a", 2)]),
        "text": 'é\n"type"',
        "type": "items",
    }
    back = round_trip(obj, path)
    assert back == obj
    assert [type(key) for key in back["keys"]] == [type(key) for key in obj["keys"]]
    assert list(back["ordered"]) == ["b", "a"]
    assert type(back["ordered"]) is OrderedDict
    assert type(back["tuple"][1]) is tuple
    assert type(back["numbers"][5]) is bool
    assert math.isnan(round_trip(math.nan, path))


def test_flags_and_identity_survive(path):
    parameter = nn.Parameter(fastgrad.ones(2), requires_grad=False)
    leaf = fastgrad.ones(2, requires_grad=True)
    back = round_trip([parameter, leaf, parameter, leaf * 2], path)
    assert isinstance(back[0], nn.Parameter)
    assert not back[0].requires_grad
    assert back[2] is back[0]
    assert back[1].requires_grad
    assert not isinstance(back[1], nn.Parameter)
    assert not back[3].requires_grad
    back[1].sum().backward()


@pytest.mark.parametrize("make", [optim.AdamW, lambda p: optim.SGD(p, momentum=0.9)])
def test_training_resumes_exactly(make, path):
    def step(net, optimizer, k):
        optimizer.zero_grad()
        net(fastgrad.full((4, 3), float(k))).square().sum().backward()
        optimizer.step()

    def network():
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
        return net, make(net.parameters())

    fastgrad.manual_seed(0)
    net, optimizer = network()
    for k in range(3):
        step(net, optimizer, k)
    fastgrad.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path)
    other, resumed = network()
    saved = fastgrad.load(path)
    assert str(other.load_state_dict(saved["net"])) == "<All keys matched successfully>"
    resumed.load_state_dict(saved["optimizer"])
    assert saved["epoch"] == 3
    assert saved["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    for k in range(3, 6):
        step(net, optimizer, k)
        step(other, resumed, k)
    for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        assert a.tolist() == b.tolist()


def test_open_files():
    file = io.BytesIO()
    fastgrad.save({"x": fastgrad.ones(2)}, file)
    file.seek(0)
    assert fastgrad.load(file)["x"].tolist() == [1.0, 1.0]


def test_a_loaded_tensor_may_be_changed(path):
    back = round_trip(fastgrad.ones(2), path)
    back.add_(1)
    assert back.tolist() == [2.0, 2.0]
    assert fastgrad.load(str(path)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("obj", "match"),
    [
        ({"a": [1, {2}]}, r"obj\['a'\]\[1\] is of type set"),
        ({"net": nn.Linear(1, 1)}, r"obj\['net'\] is of type Linear; .*: save its state_dict\(\)"),
        (np.ones(2), "ndarray; .*from_numpy"),
        ((np.float32(1),), r"obj\[0\] is of type float32; .*item\(\)"),
        ({(1, 2): 3}, "obj has a key of type tuple"),
        (lambda: None, "of type function"),
    ],
)
def test_what_cannot_be_saved_says_where_it_is(obj, match, path):
    with pytest.raises(TypeError, match=match):
        fastgrad.save(obj, path)
    assert list(path.parent.iterdir()) == []


def damaged(path):
    content = path.read_bytes()
    yield b""
    yield b"not an archive"
    yield content[: len(content) // 2]
    yield pickle.dumps({"x": 1})
    middle = content.index(b"1.NUMPY") if b"1.NUMPY" in content else len(content) // 3
    yield content[:middle] + b"\xff\xff\xff\xff" + content[middle + 4 :]


def test_damaged_files(path):
    fastgrad.save({"x": fastgrad.ones(200)}, path)
    for k, content in enumerate(damaged(path)):
        other = path.with_name(f"{k}.npz")
        other.write_bytes(content)
        with pytest.raises(RuntimeError, match=r"was not written by fastgrad.save, or is damaged"):
            fastgrad.load(other)


def test_another_archive_is_not_a_checkpoint(path):
    np.savez(path, x=np.ones(2))
    with pytest.raises(RuntimeError, match=r"was not written by fastgrad.save"):
        fastgrad.load(path)


def test_a_file_that_would_run_code_is_refused(path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(path.parent / "owned"),)

    np.savez(path, **{"fastgrad.json": np.array([Attack()], dtype=object)}, allow_pickle=True)
    with pytest.raises(RuntimeError, match="not written by"):
        fastgrad.load(path)
    assert not (path.parent / "owned").exists()


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        fastgrad.load(tmp_path / "nothing.npz")
    with pytest.raises(FileNotFoundError):
        fastgrad.save(1, tmp_path / "nowhere" / "x.npz")


def test_devices(path):
    fastgrad.save(1, path)
    for where in ("cpu", fastgrad.device("cpu"), {"cuda:0": "cpu"}, lambda storage, place: storage):
        assert fastgrad.load(path, map_location=where) == 1
    with pytest.raises(RuntimeError, match="'cuda'"):
        fastgrad.load(path, map_location="cuda")


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    fastgrad.save("old", path)
    monkeypatch.setattr(np, "savez", lambda file, **_: (file.write(b"half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        fastgrad.save("new", path)
    assert fastgrad.load(path) == "old"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="links and modes are POSIX's")
def test_links_and_modes_are_kept(path):
    real = path.with_name("real.npz")
    os.symlink(real.name, path)
    fastgrad.save("through the link", path)
    assert path.is_symlink()
    assert fastgrad.load(real) == "through the link"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(Path(real).stat().st_mode) == 0o666 & ~umask


# ---- safetensors -----------------------------------------------------------------------------------------------------


def test_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "weights.safetensors"
    net = nn.Linear(3, 2)
    back = round_trip(net.state_dict(), path)
    assert set(back) == {"weight", "bias"}
    nn.Linear(3, 2).load_state_dict(back)
    assert back["weight"].tolist() == net.weight.tolist()
    norm = nn.BatchNorm1d(2)
    norm.load_state_dict(round_trip(norm.state_dict(), path))
    assert round_trip({"t": net.weight.T}, str(path))["t"].tolist() == net.weight.T.tolist()
    with pytest.raises(TypeError, match="one dictionary of Tensors by name"):
        fastgrad.save({"epoch": 3}, path)
    path.write_bytes(b"no")
    with pytest.raises(RuntimeError, match=r"is not a .safetensors file"):
        fastgrad.load(path)
