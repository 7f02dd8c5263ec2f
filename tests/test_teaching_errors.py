"""The messages of classic mistakes, word by word: each names the op or tensor, the cause and the fix. Every one has an entry in
docs/troubleshooting.md."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastgrad as fg

F = fg.nn.functional


def leaf(*shape):
    return fg.ones(*shape, requires_grad=True)


def backward_twice():
    y = leaf(2).exp().sum()
    y.backward()
    y.backward()


def backward_under_no_grad():
    with fg.no_grad():
        leaf(2).sum().backward()


def saved_value_overwritten():
    y = leaf(2).exp()
    y.add_(1)
    y.sum().backward()


def under_detect_anomaly(mistake):
    def run():
        with fg.detect_anomaly():
            mistake()

    return run


saved_value_overwritten_under_detect_anomaly = under_detect_anomaly(saved_value_overwritten)


def value_read_in_a_compiled_function():
    fg.compile(lambda x: x * x.sum().item())(fg.ones(2))


class WrongShape(fg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g.sum()


class TooMany(WrongShape):
    @staticmethod
    def backward(ctx, g):
        return g, g


NO_HISTORY = "backward: element 0 of tensors does not require grad and does not have a grad_fn: "

MISTAKES = {
    "backward twice": (
        backward_twice,
        RuntimeError,
        "sum: trying to backward through the graph a second time, but its saved values were freed by the first; pass "
        "retain_graph=True to the first call, or detach() what an earlier step made; inside `with fastgrad.detect_anomaly():` "
        "this message names both lines",
    ),
    "backward twice, with its lines": (
        under_detect_anomaly(backward_twice),
        RuntimeError,
        "sum: trying to backward through the graph a second time, but its saved values were freed by the first; pass "
        "retain_graph=True to the first call, or detach() what an earlier step made: it was called at FILE:LINE, and "
        "differentiated at FILE:LINE",
    ),
    "nothing requires grad": (
        lambda: fg.ones(2).sum().backward(),
        RuntimeError,
        NO_HISTORY
        + "nothing it was computed from requires grad (call requires_grad_() on the inputs), or the chain to it was cut, by "
        "no_grad(), detach(), a cast to integers, a comparison, argmax or NumPy; inside `with fastgrad.detect_anomaly():` this "
        "message names the line that cut it",
    ),
    "the chain was cut": (
        under_detect_anomaly(lambda: leaf(2, 2).argmax(1).float().sum().backward()),
        RuntimeError,
        NO_HISTORY + "the chain was cut: argmax has no derivative at FILE:LINE",
    ),
    "an integer": (
        lambda: leaf(2).argmax().backward(),
        RuntimeError,
        NO_HISTORY
        + "it is int64: a cast to integers or bool, argmax and comparisons have no derivative; differentiate the "
        "values they were made from",
    ),
    "under no_grad": (
        backward_under_no_grad,
        RuntimeError,
        NO_HISTORY
        + "recording is off here: this line, or the one that computed it, is inside no_grad() or inference_mode()",
    ),
    "no scalar": (
        lambda: (leaf(2) * 2).backward(),
        RuntimeError,
        "backward: grad can be implicitly created only for scalar outputs; the output has shape (2,): reduce it (.sum(), "
        ".mean()) or pass a gradient of that shape",
    ),
    "a saved value overwritten": (
        saved_value_overwritten,
        RuntimeError,
        "exp: a value needed to compute the gradient, its output of shape (2,), was modified by an in-place operation after it "
        "was saved (it is at version 1; expected version 0 instead). Use the out-of-place form of that operation, or clone() "
        "before it; inside `with fastgrad.detect_anomaly():` this message names both lines",
    ),
    "a saved value overwritten, with its lines": (
        saved_value_overwritten_under_detect_anomaly,
        RuntimeError,
        "exp: a value needed to compute the gradient, its output of shape (2,), was modified by an in-place operation after it "
        "was saved (it is at version 1; expected version 0 instead): saved at FILE:LINE, written by add_ at FILE:LINE. Use the "
        "out-of-place form of that operation, or clone() before it",
    ),
    "a leaf written in place": (
        lambda: leaf(2).add_(1),
        RuntimeError,
        "add_: a leaf tensor that requires grad is being used in an in-place operation; do it under no_grad(), or on a clone()",
    ),
    "an unused input": (
        lambda: fg.autograd.grad(leaf(2).sum(), [leaf(3)]),
        RuntimeError,
        "grad: input 0, of shape (3,), was not used to compute the outputs: nothing leads from it to them but perhaps detach() "
        "or no_grad(); pass allow_unused=True for None (or materialize_grads=True for zeros) in its place",
    ),
    "a loss that would broadcast": (
        lambda: F.mse_loss(fg.ones(4, 1), fg.ones(4)),
        fg.ShapeError,
        "mse_loss: input and target must have the same shape, but got (4, 1) and (4,); reshape or expand one of them first",
    ),
    "a gradient of a wrong shape": (
        lambda: WrongShape.apply(leaf(2)).sum().backward(),
        fg.ShapeError,
        "WrongShape.backward returned an invalid gradient for input 0: got shape () but expected shape (2,)",
    ),
    "too many gradients": (
        lambda: TooMany.apply(leaf(2)).sum().backward(),
        RuntimeError,
        "TooMany.backward returned an incorrect number of gradients (expected 1, one for each argument of forward, got 2)",
    ),
    "a misspelt name": (
        lambda: fg.sigmod,
        AttributeError,
        "module 'fastgrad' has no attribute 'sigmod'; did you mean 'sigmoid'?",
    ),
    "a misspelt layer": (
        lambda: fg.nn.Linaer,
        AttributeError,
        "module 'fastgrad.nn' has no attribute 'Linaer'; did you mean 'Linear'?",
    ),
    "a wrong keyword": (
        lambda: fg.nn.Linear(2, 3, bais=False),
        TypeError,
        "Linear.__init__() got an unexpected keyword argument 'bais'; did you mean 'bias'?",
    ),
    "a wrong keyword of a function": (
        lambda: fg.sum(fg.ones(2), dims=0),
        TypeError,
        "sum() got an unexpected keyword argument 'dims'; did you mean 'dim'?",
    ),
    "two floating-point types": (
        lambda: fg.nn.Linear(2, 3)(fg.ones(4, 2, dtype=fg.float64)),
        fg.DTypeError,
        "linear: the input is float64 and the weight float32: convert the input with .float() (NumPy's arrays are float64 unless "
        "they say otherwise), or the model with .double()",
    ),
    "a value read in a compiled function": (
        value_read_in_a_compiled_function,
        fg.CompileError,
        "item() at FILE:LINE cannot be replayed by a compiled function: a value that Python reads would be frozen; return the "
        "tensor instead",
    ),
    "a layer's input": (
        lambda: fg.nn.Linear(2, 3)(fg.ones(4, 5)),
        fg.ShapeError,
        "linear: an input of shape (4, 5) does not fit a weight of shape (3, 2): expected (..., 2)",
    ),
    "a label out of range": (
        lambda: F.cross_entropy(fg.ones(2, 3), fg.tensor([0, 3])),
        IndexError,
        "cross_entropy: label 3, at position 1, is out of range: there are scores for 3 classes, 0 to 2; count labels from 0, or "
        "name the one to leave out with ignore_index=",
    ),
    "labels of a wrong shape": (
        lambda: F.cross_entropy(fg.ones(2, 3), fg.tensor([[0], [1]])),
        fg.ShapeError,
        "cross_entropy: scores of shape (2, 3) need labels of shape (2,), got (2, 1)",
    ),
    "an integer that requires grad": (
        lambda: fg.tensor([1, 2], requires_grad=True),
        RuntimeError,
        "only tensors of a floating point dtype can require gradients, got fastgrad.int64; convert it with .float() first",
    ),
    "NumPy and gradients": (
        lambda: leaf(2).numpy(),
        RuntimeError,
        "can't call numpy() on a Tensor that requires grad: the array would have no history; use tensor.detach().numpy()",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_message(name):
    mistake, kind, message = MISTAKES[name]
    with pytest.raises(kind) as caught:
        mistake()
    assert type(caught.value) is kind
    assert re.sub(r"\S*\.py:\d+", "FILE:LINE", str(caught.value)) == message


def test_both_lines_of_a_saved_value_that_was_overwritten():
    with pytest.raises(RuntimeError) as caught:
        saved_value_overwritten_under_detect_anomaly()
    lines = Path(__file__).read_text().splitlines()
    saved, written = (
        lines[int(n) - 1].strip() for n in re.findall(r"test_teaching_errors\.py:(\d+)", str(caught.value))
    )
    assert (saved, written) == ("y = leaf(2).exp()", "y.add_(1)")
    assert caught.value.__notes__ == [
        note for note in caught.value.__notes__ if "the backward pass of exp called at" in note
    ]


def assigned(y):
    y[0] = 5.0


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (assigned, "item assignment"),
        (lambda y: y.__setitem__(0, 5.0), "__setitem__"),
        (lambda y: y[:1].mul_(2), "mul_"),
        (lambda y: y.detach().fill_(0), "fill_"),
        (lambda y: y.copy_(y.sum()), "copy_"),
        (lambda y: y.detach().div_(2, rounding_mode="floor"), "div_"),
    ],
)
def test_every_way_to_overwrite_is_named(write, name):
    def fail():
        with fg.detect_anomaly():
            y = leaf(2).exp()
            write(y)
            y.sum().backward()

    with pytest.raises(RuntimeError, match=rf"written by {name} at .*test_teaching_errors.py:\d+"):
        fail()


def test_an_optimiser_that_overwrites_a_weight_is_named():
    w = leaf(2)
    optimizer = fg.optim.SGD([w], lr=0.1)

    def fail():
        with fg.detect_anomaly():
            y = (w.exp() * w).sum()
            y.backward(retain_graph=True)
            optimizer.step()
            y.backward()

    with pytest.raises(RuntimeError, match=r"mul: .* saved at .*\.py:\d+, written by sgd_ at .*\.py:\d+"):
        fail()


def test_an_error_of_a_custom_backward_names_the_line_of_forward_under_detect_anomaly():
    def fail():
        with fg.detect_anomaly():
            y = WrongShape.apply(leaf(2))
            y.sum().backward()

    with pytest.raises(fg.ShapeError) as caught:
        fail()
    (note,) = caught.value.__notes__
    line = int(re.search(r"test_teaching_errors\.py:(\d+)", note)[1])
    assert "y = WrongShape.apply(leaf(2))" in Path(__file__).read_text().splitlines()[line - 1]


def no_grad_around(w):
    with fg.no_grad():
        h = w * 2
    return h.sum()


@pytest.mark.parametrize(
    ("forward", "cause", "line"),
    [
        (no_grad_around, "mul ran under no_grad()", "h = w * 2"),
        (lambda w: (w.exp().detach() * 2).sum(), "detach() before mul", "exp().detach()"),
        (lambda w: w.exp().detach(), "detach() of it", None),
        (lambda w: (w.exp() > 1).float().mean(), "gt has no derivative", "exp() > 1"),
        (lambda w: w.exp().long().float().sum(), "a cast to int64 has no derivative", "exp().long()"),
        (lambda w: fg.ones(2).exp().sum(), "nothing it was computed from requires grad", None),
    ],
)
def test_where_the_chain_was_cut(forward, cause, line):
    w = leaf(2)

    def fail():
        with fg.detect_anomaly():
            forward(w).backward(fg.ones(2) if cause.endswith("of it") else None)

    with pytest.raises(RuntimeError) as caught:
        fail()
    assert f": {cause}" in str(caught.value)
    if line is not None:
        number = int(re.search(r"test_teaching_errors\.py:(\d+)", str(caught.value))[1])
        assert line in Path(__file__).read_text().splitlines()[number - 1]


def test_both_lines_of_a_graph_that_was_differentiated_before():
    with pytest.raises(RuntimeError) as caught:
        under_detect_anomaly(backward_twice)()
    lines = Path(__file__).read_text().splitlines()
    called, first = (
        lines[int(n) - 1].strip() for n in re.findall(r"test_teaching_errors\.py:(\d+)", str(caught.value))
    )
    assert (called, first) == ("y = leaf(2).exp().sum()", "y.backward()")


def test_assignment_to_a_leaf_is_not_called_copy_alone():
    w = leaf(2)
    for write in (lambda: w.__setitem__(0, 1.0), lambda: w.fill_(1.0)):
        with pytest.raises(RuntimeError, match=r"copy_ \(or fill_, or an item assignment\): a (view of a )?leaf"):
            write()
    assert w.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("code", "near"),
    [("fg.ones(2).summ()", "sum"), ("fg.nn.Linear(1, 1).weigth", "weight"), ("fg.nn.functional.rellu", "relu")],
)
def test_the_interpreter_suggests_names_of_tensors_and_modules(code, near):
    # No __getattr__ of ours, which would slow down every attribute that exists: what the interpreter prints is enough.
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import fastgrad as fg, fastgrad.nn.functional\n{code}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"Did you mean: '{near}'?" in done.stderr


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda x: fg.sum(x, dims=0), "sum() got an unexpected keyword argument 'dims'; did you mean 'dim'?"),
        (lambda x: x.sum(axes=1), "sum() got an unexpected keyword argument 'axes'; did you mean 'axis'?"),
        (lambda x: F.softmax(x, dims=1), "softmax() got an unexpected keyword argument 'dims'; did you mean 'dim'?"),
        (lambda x: x.to(dtyp=fg.float64), "to() got an unexpected keyword argument 'dtyp'; did you mean 'dtype'?"),
        (
            lambda x: fg.randn(3, require_grad=True),
            "randn() got an unexpected keyword argument 'require_grad'; did you mean 'requires_grad'?",
        ),
        (
            lambda x: fg.sum(x, where=x),
            "sum() got an unexpected keyword argument 'where'; it takes input, dim, keepdim, dtype, axis, keepdims",
        ),
        (lambda x: fg.exp(x, out=x), "elementwise() got an unexpected keyword argument 'out'; it takes input"),
        (lambda x: fg.no_grad(mode=x), "__new__() got an unexpected keyword argument 'mode'; it takes orig_func"),
    ],
)
def test_wrong_keywords_of_functions_of_the_core(call, near):
    with pytest.raises(TypeError) as caught:
        call(fg.ones(2, 3))
    assert str(caught.value) == near


def test_a_function_of_the_core_takes_its_keywords_as_before():
    x = fg.ones(2, 3)
    assert fg.sum(x, dim=0).tolist() == x.sum(dim=0).tolist() == [2, 2, 2]
    with pytest.raises(TypeError, match=r"multiple values for (keyword )?argument 'dim'"):
        fg.sum(x, 0, dim=0)


def test_wrong_keywords_of_optimisers_and_of_the_user_s_modules():
    with pytest.raises(TypeError, match="unexpected keyword argument 'momentun'; did you mean 'momentum'"):
        fg.optim.SGD([leaf(2)], lr=0.1, momentun=0.9)

    class Net(fg.nn.Module):
        def __init__(self, width, *, depth=2):
            super().__init__()
            self.width, self.depth = width, depth

    class Open(fg.nn.Module):
        def __init__(self, **options):
            super().__init__()
            self.options = options

    assert Net(3, depth=4).depth == 4 and Net(width=3).width == 3
    assert Open(anything=1).options == {"anything": 1}
    with pytest.raises(TypeError, match=r"Net\.__init__\(\) got .* 'dept'; did you mean 'depth'"):
        Net(3, dept=4)


# ---- a loss that broadcasts, where it is asked for -------------------------------------------------------------------


@pytest.fixture
def broadcasting():
    assert fg.set_loss_broadcasting(True) is False
    yield
    assert fg.set_loss_broadcasting(False) is True


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_losses_broadcast_with_a_warning_where_that_is_switched_on(broadcasting, name):
    loss = getattr(F, name)
    x, y = fg.tensor([[1.0], [2.0]], requires_grad=True), fg.tensor([3.0, 5.0])
    with pytest.warns(UserWarning, match=r"shapes \(2, 1\) and \(2,\) are broadcast"):
        value = loss(x, y)
    expected = loss(x.expand(2, 2), y.expand(2, 2))
    assert value.item() == expected.item()
    assert fg.autograd.grad(value, x)[0].tolist() == fg.autograd.grad(expected, x)[0].tolist()


def test_losses_that_refuse_in_pytorch_refuse_still(broadcasting):
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with pytest.raises(fg.ShapeError, match="must have the same shape"):
            loss(fg.full((2, 1), 0.5), fg.ones(2))


def test_nll_names_the_label_too_and_ignored_labels_are_fine():
    scores = fg.zeros(2, 3)
    with pytest.raises(IndexError, match="nll_loss: label -1, at position 0, is out of range"):
        F.nll_loss(scores, fg.tensor([-1, 0]))
    assert F.nll_loss(scores, fg.tensor([-100, 0])).item() == 0
    assert F.cross_entropy(scores, fg.tensor([-1, 0]), ignore_index=-1).item() == pytest.approx(1.0986123)


def test_every_message_has_an_entry():
    page = Path(__file__).parent.parent / "docs" / "troubleshooting.md"
    if not page.exists():
        pytest.skip("the tests run outside a checkout")
    titles = set(re.findall(r"^## (.*)$", page.read_text(), re.M))
    assert {name[0].upper() + name[1:] for name in MISTAKES} <= titles
