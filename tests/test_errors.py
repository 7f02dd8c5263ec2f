"""Bad input: the exception's type, a message that says op, expected, came and fix, and nothing changed by it."""

import operator

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.nn import functional as F

X = fg.ones(2, 3)

CASES = {
    "shapes that do not broadcast": (
        lambda: X + fg.ones(4),
        ValueError,
        r"add: shapes \(2, 3\) and \(4,\) cannot be broadcast",
    ),
    "inner sizes": (
        lambda: fg.ones(4, 3) @ fg.ones(2, 5),
        ValueError,
        r"matmul: inner sizes differ: \(4, 3\) @ \(2, 5\)",
    ),
    "batch sizes": (lambda: fg.ones(2, 3, 4) @ fg.ones(3, 4, 5), ValueError, "matmul"),
    "a shape error is a RuntimeError too": (lambda: X + fg.ones(4), RuntimeError, "add"),
    "reshape to another size": (
        lambda: X.reshape(4, 2),
        RuntimeError,
        r"shape \[4, 2\] is invalid for input of size 6",
    ),
    "two unknown sizes": (lambda: X.reshape(-1, -1), RuntimeError, "only one dimension can be inferred"),
    "view of a transpose": (lambda: X.t().view(6), RuntimeError, "use reshape"),
    "expand a size": (lambda: X.expand(4, 3), RuntimeError, "must match the existing size"),
    "permute with a repeated dim": (lambda: X.permute(0, 0), RuntimeError, "repeated"),
    "dim out of range": (lambda: X.sum(dim=2), IndexError, r"range of \[-2, 1\], but got 2"),
    "dim twice": (lambda: X.sum(dim=(0, 0)), RuntimeError, "multiple times"),
    "index out of range": (lambda: X[2], IndexError, "index 2 is out of bounds for dimension 0 with size 2"),
    "too many indices": (lambda: X[0, 0, 0], IndexError, "too many indices"),
    "negative step": (lambda: X[::-1], ValueError, "step must be greater than zero"),
    "index tensor out of range": (lambda: X[fg.tensor([0, 5])], IndexError, "out of range|out of bounds"),
    "gather out of range": (
        lambda: X.gather(1, fg.tensor([[3]])),
        (IndexError, RuntimeError),
        "out of range|out of bounds",
    ),
    "mask of a wrong shape": (lambda: X[fg.ones(3, 3).bool()], IndexError, "mask"),
    "split sizes": (lambda: X.split([1, 1], dim=1), RuntimeError, "sum to the size 3"),
    "maximum of nothing": (lambda: fg.zeros(0).max(), (RuntimeError, IndexError, ValueError), "max"),
    "item of many": (lambda: X.item(), (RuntimeError, ValueError), "cannot be converted to a number"),
    "truth of many": (lambda: bool(X), (RuntimeError, ValueError), "ambiguous|[Bb]oolean"),
    "len of a scalar": (lambda: len(fg.tensor(1.0)), TypeError, "0-d"),
    "add a string": (lambda: X + "a", TypeError, "unsupported operand"),
    "a number in a product": (
        lambda: X @ 2,
        TypeError,
        r"matmul: both operands need at least 1 dimension.*use \* to multiply",
    ),
    "a product with a tensor of no dimension": (
        lambda: fg.tensor(2.0) @ X,
        RuntimeError,
        "use \\* to multiply by a number",
    ),
    "a string in a function": (lambda: fg.tanh("a"), TypeError, "expected a Tensor"),
    "integers that require grad": (lambda: fg.tensor([1], requires_grad=True), RuntimeError, "floating point"),
    "bits of reals": (lambda: X & X, (RuntimeError, TypeError), "bitwise_and: not implemented for float32"),
    "integer division by zero": (lambda: fg.tensor([1]) // fg.tensor([0]), RuntimeError, "division by zero"),
    "a negative size": (lambda: fg.zeros(-1), RuntimeError, "negative"),
    "nine dimensions": (lambda: fg.zeros(*[1] * 9), RuntimeError, "at most 8 dimensions"),
    "more memory than there is": (lambda: fg.empty(1 << 40, 1 << 10), MemoryError, "memory|allocate"),
    "more elements than can be counted": (lambda: fg.empty(1 << 40, 1 << 40), MemoryError, "memory"),
    "NaN as a size": (lambda: fg.zeros(float("nan")), TypeError, "."),
    "a label out of range": (lambda: F.cross_entropy(X, fg.tensor([0, 3])), IndexError, "3"),
    "labels of a wrong shape": (lambda: F.cross_entropy(X, fg.tensor([0, 1, 2])), (ValueError, RuntimeError), "."),
    "a layer of another width": (lambda: nn.Linear(4, 2)(X), ValueError, r"linear"),
    "an unknown device": (lambda: fg.zeros(1, device="cuda"), RuntimeError, "cuda"),
    "a dtype there is not": (lambda: fg.tensor(np.zeros(1, np.complex64)), TypeError, "complex64"),
    "a name there is not": (lambda: fg.tanhh, AttributeError, "tanh"),
    "a transposed vector": (lambda: fg.ones(3).mT, RuntimeError, "at least 2 dimensions"),
}


@pytest.mark.parametrize("name", CASES)
def test_message(name):
    run, kind, message = CASES[name]
    with pytest.raises(kind, match=message):
        run()


def test_a_failed_op_leaves_no_trace():
    x = fg.ones(2, 3, requires_grad=True)
    y = x * 2
    before = y.grad_fn, y._version, x.grad
    for bad in (
        lambda: y + fg.ones(4),
        lambda: y @ y,
        lambda: y.add_(fg.ones(5)),
        lambda: y.index_select(0, fg.tensor([9])),
    ):
        with pytest.raises((RuntimeError, IndexError)):
            bad()
    assert (y.grad_fn, y._version, x.grad) == before
    y.sum().backward()
    assert x.grad.tolist() == [[2.0] * 3] * 2


OPERATORS = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "lt",
    "le",
    "gt",
    "ge",
    "and_",
    "or_",
    "xor",
]


@pytest.mark.parametrize("operand", ["a", None, [1, 2, 3], {}, object()], ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("name", [*OPERATORS, "iadd", "imul"])
def test_operators_refuse_what_is_no_number(name, operand):
    x = fg.ones(2, 3).long()
    before = x.clone()
    with pytest.raises(TypeError):
        getattr(operator, name)(x, operand)
    if not name.startswith("i") and not (name == "mod" and operand == "a"):  # "a" % x is the string's
        with pytest.raises(TypeError):
            getattr(operator, name)(operand, x)
    assert (x == before).all()
    assert (x == operand) is False and (x != operand) is True
