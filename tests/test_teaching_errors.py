"""The messages of classic mistakes, word by word: each names the op or tensor, the cause and the fix. Every one has an entry in
docs/troubleshooting.md."""

import re
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
        "retain_graph=True to the first call",
    ),
    "nothing requires grad": (
        lambda: fg.ones(2).sum().backward(),
        RuntimeError,
        NO_HISTORY
        + "nothing it was computed from requires grad (call requires_grad_() on the inputs), or that part ran under "
        "no_grad(), after detach() or in NumPy",
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
        "before it",
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
    assert str(caught.value) == message


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
