"""Compositions of ops: values against NumPy, gradients against differences to second order, and against PyTorch where it is."""

import numpy as np
import pytest

import fastgrad as fg
import fastgrad.nn.functional as F
from fastgrad.autograd import gradcheck, gradgradcheck


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


A, B, V, C = draw(3, 4), draw(4, 5, seed=1), draw(6, seed=2), draw(2, 3, 4, seed=3)

# name: (function of a module like torch and its functional, arrays, NumPy's)
CASES = {
    "cumsum": (lambda t, f, x: t.cumsum(x, 1), [C], lambda x: x.cumsum(1)),
    "cumsum of 7": (lambda t, f, x: x.cumsum(-1), [draw(7)], lambda x: x.cumsum()),
    "cumprod": (lambda t, f, x: t.cumprod(x, 2), [C], lambda x: x.cumprod(2)),
    "cumprod with zeros": (lambda t, f, x: t.cumprod(x, 0), [np.array([1.5, 0.0, 2.0, 0.0, 3.0])], lambda x: x.cumprod(0)),
    "sort": (lambda t, f, x: t.sort(x, 1)[0], [C], lambda x: np.sort(x, 1)),
    "sort down": (lambda t, f, x: x.sort(descending=True).values, [A], lambda x: -np.sort(-x)),
    "topk": (lambda t, f, x: t.topk(x, 2, 0)[0], [A], lambda x: -np.sort(-x, 0)[:2]),
    "topk least": (lambda t, f, x: x.topk(3, largest=False).values, [A], lambda x: np.sort(x)[:, :3]),
    "median": (lambda t, f, x: t.median(x), [draw(3, 5)], np.median),
    "median of an even number": (lambda t, f, x: x.median(), [V], lambda x: np.sort(x)[2]),
    "median along": (lambda t, f, x: t.median(x, 1, True).values, [draw(3, 5)], lambda x: np.median(x, 1, keepdims=True)),
    "tril": (lambda t, f, x: t.tril(x, -1), [C], lambda x: np.tril(x, -1)),
    "triu": (lambda t, f, x: x.triu(1), [A], lambda x: np.triu(x, 1)),
    "diag of a vector": (lambda t, f, x: t.diag(x, 1), [V], lambda x: np.diag(x, 1)),
    "diag of a matrix": (lambda t, f, x: x.diag(-1), [A], lambda x: np.diag(x, -1)),
    "trace": (lambda t, f, x: t.trace(x), [A], np.trace),
    "flip": (lambda t, f, x: t.flip(x, (0, -1)), [C], lambda x: np.flip(x, (0, 2))),
    "roll": (lambda t, f, x: t.roll(x, (1, -2), (0, 2)), [C], lambda x: np.roll(x, (1, -2), (0, 2))),
    "roll all": (lambda t, f, x: x.roll(5), [A], lambda x: np.roll(x, 5)),
    "repeat": (lambda t, f, x: x.repeat(2, 1, 3), [A], lambda x: np.tile(x, (2, 1, 3))),
    "tile": (lambda t, f, x: t.tile(x, (2,)), [A], lambda x: np.tile(x, 2)),
    "meshgrid": (lambda t, f, x, y: t.meshgrid(x, y, indexing="xy")[1] * 1.0, [V, draw(2)], lambda x, y: np.meshgrid(x, y)[1]),
    "broadcast_tensors": (lambda t, f, x, y: t.broadcast_tensors(x, y)[0] * 1.0, [draw(3, 1), draw(4)],
                          lambda x, y: np.broadcast_arrays(x, y)[0]),
    "pad": (lambda t, f, x: f.pad(x, (1, 2, 0, -1), value=1.5), [A],
            lambda x: np.pad(x[:2], ((0, 0), (1, 2)), constant_values=1.5)),
    "pad reflect": (lambda t, f, x: f.pad(x, (2, 1), mode="reflect"), [C],
                    lambda x: np.pad(x, ((0, 0), (0, 0), (2, 1)), mode="reflect")),
    "pad replicate": (lambda t, f, x: f.pad(x, (5, 1), mode="replicate"), [C],
                      lambda x: np.pad(x, ((0, 0), (0, 0), (5, 1)), mode="edge")),
    "pad circular": (lambda t, f, x: f.pad(x, (2, 3), mode="circular"), [C],
                     lambda x: np.pad(x, ((0, 0), (0, 0), (2, 3)), mode="wrap")),
    "normalize": (lambda t, f, x: f.normalize(x, dim=0), [A], lambda x: x / np.linalg.norm(x, axis=0)),
}  # fmt: skip
for _equation, *_shapes in [
    ("ij,jk->ik", (3, 4), (4, 5)), ("ij,jk", (3, 4), (4, 5)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("i,i->", (6,), (6,)),
    ("i,j->ij", (3,), (4,)), ("ij->ji", (3, 4)), ("ij->", (3, 4)), ("ii->i", (3, 3)), ("ii", (3, 3)),
    ("ij,ij->i", (3, 4), (3, 4)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)), ("...i->...", (2, 3, 4)), ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)), ("i,ij,j->", (3,), (3, 4), (4,)), ("ik,jkl,il->ij", (2, 3), (4, 3, 5), (2, 5)),
    ("iji->j", (3, 2, 3)), (" ab , cb -> ac ", (2, 3), (4, 3)), ("ij,kl->", (2, 3), (2, 2)),
]:  # fmt: skip
    CASES[f"einsum {_equation}"] = (
        lambda t, f, *xs, e=_equation: t.einsum(e, *xs),
        [draw(*s, seed=k) for k, s in enumerate(_shapes)],
        lambda *xs, e=_equation: np.einsum(e, *xs),
    )


@pytest.mark.parametrize("name", CASES)
def test_values_are_numpys_and_gradients_numerical(name):
    function, arrays, reference = CASES[name]
    xs = [fg.tensor(a, requires_grad=True) for a in arrays]
    y = function(fg, F, *xs)
    np.testing.assert_allclose(y.detach().numpy(), reference(*arrays), rtol=1e-12, atol=1e-12)
    assert gradcheck(lambda *xs: function(fg, F, *xs), xs)
    assert gradgradcheck(lambda *xs: function(fg, F, *xs), xs)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    function, arrays, _ = CASES[name]
    found = []
    for module, functional in ((fg, F), (torch, torch.nn.functional)):
        xs = [module.tensor(a, requires_grad=True) for a in arrays]
        y = function(module, functional, *xs)
        weights = module.tensor(np.cos(np.arange(y.numel()) * 0.7).reshape(tuple(y.shape)))
        (y * weights).sum().backward()
        found.append([y, *[x.grad for x in xs]])
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        if a is None:
            continue
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("n", [0, 1, 2, 16, 17, 33, 1000])
def test_the_order_is_numpys(n, dtype):
    """Stable, in rows of any layout, both ways; -0 and 0 are equal, infinities and NaN at the ends."""
    values = np.random.default_rng(n).integers(-9 if dtype[0] in "fi" else 0, 9, size=(3, n)).astype(dtype)
    if dtype[0] == "f" and n > 16:
        values[0, 3:9] = [np.nan, -0.0, 0.0, np.inf, -np.inf, np.nan]
    x = fg.tensor(values)
    assert x.argsort(1).dtype is fg.int64
    np.testing.assert_array_equal(x.argsort(1).numpy(), np.argsort(values, 1, kind="stable"))
    np.testing.assert_array_equal(x.T.argsort(0).numpy(), np.argsort(values.T, 0, kind="stable"))
    np.testing.assert_array_equal(x.argsort(0).numpy(), np.argsort(values, 0, kind="stable"))
    down = n - 1 - np.flip(np.argsort(np.flip(values, 1), 1, kind="stable"), 1)
    np.testing.assert_array_equal(x.argsort(1, descending=True).numpy(), down)


def test_sorting_compiles():
    compiled = fg.compile(lambda x: (x.sort().values, x.topk(2).indices, x.median()))
    for k in range(6):
        x = fg.tensor(np.random.default_rng(k).normal(size=(4, 5)))
        values, indices, middle = compiled(x)
        np.testing.assert_array_equal(values.numpy(), np.sort(x.numpy()))
        np.testing.assert_array_equal(indices.numpy(), np.argsort(-x.numpy())[:, :2])
        assert middle.item() == np.sort(x.numpy().ravel())[9]
    assert compiled.replays >= 3


def test_order_of_ties_and_nan():
    x = fg.tensor([2.0, float("nan"), 1.0, 2.0, 1.0])
    assert x.argsort().tolist() == [2, 4, 0, 3, 1]
    assert x.argsort(descending=True).tolist() == [1, 0, 3, 2, 4]
    assert x.sort().indices.tolist() == [2, 4, 0, 3, 1]
    assert np.isnan(x.median().item()) and x.median(0).indices.item() == 1
    assert fg.tensor(3.0).sort().values.item() == 3.0
    t = fg.tensor([1.0, 1.0, 1.0], requires_grad=True)
    t.median().backward()
    np.testing.assert_allclose(t.grad.numpy(), 1 / 3, rtol=1e-6)
    values, indices = fg.tensor([[3, 1, 2], [5, 4, 6]]).median(1)
    assert values.tolist() == [2, 5] and indices.tolist() == [2, 0]
    assert fg.tensor([3, 1, 2, 2]).median().item() == 2


def test_integers_and_bools():
    assert fg.tensor([True, True, False]).cumsum(0).tolist() == [1, 2, 2]
    assert fg.tensor([2, 3, 4], dtype=fg.int32).cumprod(0).dtype is fg.int64
    assert fg.tensor([1, 2]).cumsum(0, dtype=fg.float32).dtype is fg.float32
    x = fg.tensor([1.0, 2.0])
    assert x.cumsum_(0) is x and x.tolist() == [1.0, 3.0]
    assert fg.tensor([1.0]).cumsum(0).tolist() == [1.0] and fg.zeros(0).cumsum(0).shape == (0,)


def test_one_hot():
    y = F.one_hot(fg.tensor([[0, 2], [1, 0]]))
    assert y.dtype is fg.int64 and y.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0]]]
    assert F.one_hot(fg.tensor(1), 4).tolist() == [0, 1, 0, 0]


def test_copies_are_copies():
    x = fg.ones(2, 2)
    for f in (lambda x: x.flip(()), lambda x: x.roll(0, 0), lambda x: x.repeat(1, 1), lambda x: x.repeat(0, 1),
              lambda x: F.pad(x, (0, 0)), lambda x: x.cumsum(0), lambda x: x.diag()):  # fmt: skip
        f(x).zero_()
    assert x.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.cumsum(2), IndexError, "cumsum: dimension 2 is out of range for a tensor with 2 dimensions"),
        (lambda x: x.topk(5), RuntimeError, "topk: k must be from 0 to 4, the size of dimension -1, got 5"),
        (lambda x: x[0].tril(), RuntimeError, "tril: expected a tensor of at least 2 dimensions, got 1"),
        (lambda x: x.flip(0, 0), RuntimeError, "flip: a dimension comes twice"),
        (lambda x: x.roll((1, 2), 0), RuntimeError, "roll: shifts and dims must have the same length, got 2 and 1"),
        (lambda x: x.repeat(2), RuntimeError, "repeat: 1 sizes for a tensor of 2 dimensions"),
        (lambda x: F.pad(x, (1, 1, 1)), RuntimeError, "pad: expected pairs of counts"),
        (
            lambda x: F.pad(x, (4, 0), mode="reflect"),
            RuntimeError,
            "do not fit dimension 1 of size 4 in mode 'reflect'",
        ),
        (lambda x: F.one_hot(x), RuntimeError, "one_hot: expected a tensor of classes, integers, got"),
        (lambda x: F.one_hot(fg.tensor([3]), 3), RuntimeError, "one_hot: class 3 is not below num_classes, 3"),
        (lambda x: F.one_hot(fg.tensor([-1])), RuntimeError, "one_hot: classes must not be negative"),
        (lambda x: fg.einsum("ij,jk->ik", x, x), ValueError, "einsum: 'ij,jk->ik': subscript 'j' has sizes 4 and 3"),
        (lambda x: fg.einsum("ij,jk", x), RuntimeError, "2 terms for 1 operands"),
        (lambda x: fg.einsum("ijk->i", x), RuntimeError, "'ijk' has 3 subscripts for an operand of 2 dimensions"),
        (lambda x: fg.einsum("ij->iz", x), RuntimeError, "each subscript of the result must come once there"),
        (lambda x: fg.einsum("i1->i", x), RuntimeError, "subscripts are letters, got 'i1'"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(fg.ones(3, 4))
