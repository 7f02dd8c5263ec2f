"""gradcheck and gradgradcheck find wrong derivatives, and say where; autograd.backward."""

import re

import pytest

import fastgrad as fg
from fastgrad.autograd import Function, GradcheckError, backward, gradcheck, gradgradcheck


def leaf(*shape, seed=0):
    return fg.randn(*shape, dtype=fg.float64, generator=fg.Generator().manual_seed(seed)).requires_grad_()


class WrongCube(Function):
    """x^3 whose derivative is wrong at element (1, 0)."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        wrong = fg.zeros_like(x)
        wrong[1, 0] = 0.5
        return g * (3 * x * x + wrong)


class WrongSecond(Function):
    """x^3 with a right derivative, whose own derivative is wrong: what it saved is detached."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * (x * x).detach()


def test_right_derivatives_pass():
    x, y = leaf(2, 3), leaf(3, seed=1)
    assert gradcheck(lambda a, b: a * b + a.exp(), (x, y))
    assert gradgradcheck(lambda a, b: a * b + a.exp(), (x, y))
    assert gradcheck(fg.tanh, x)
    assert gradcheck(lambda a: (a.sum(), a * 2), [x])
    assert gradcheck(lambda a, k: a * k, (x, 3.0))


def test_an_error_names_output_input_index_and_both_numbers():
    x = leaf(2, 2)
    message = (
        r"output 0\[1, 0\] \(made by MulBackward\w*\) with respect to input 1\[1, 0\] is (\S+), "
        r"but finite differences say (\S+) \(1 of 16"
    )
    with pytest.raises(GradcheckError) as raised:
        gradcheck(lambda k, a: WrongCube.apply(a) * k, (2.0, x))
    analytical, numerical = map(float, re.search(message, str(raised.value)).groups())
    right = 6 * x[1, 0].item() ** 2
    assert numerical == pytest.approx(right, rel=1e-6)
    assert analytical == pytest.approx(right + 1, rel=1e-6)
    assert gradcheck(WrongCube.apply, x, raise_exception=False) is False
    assert gradcheck(WrongCube.apply, x, atol=1)


def test_second_derivatives_are_checked():
    x = leaf(3)
    assert gradcheck(WrongSecond.apply, x)
    with pytest.raises(GradcheckError, match="finite differences"):
        gradgradcheck(WrongSecond.apply, x)
    assert gradgradcheck(WrongSecond.apply, x, raise_exception=False) is False
    assert gradgradcheck(lambda a: a**3, x, grad_outputs=fg.ones(3, dtype=fg.float64))
    assert gradgradcheck(lambda a: a**3, x, gen_non_contig_grad_outputs=True)


def test_a_missing_gradient_is_found():
    x = leaf(2)
    with pytest.raises(GradcheckError, match=r"output 0\[(\d)\] with respect to input 0\[\1\] is 0"):
        gradcheck(lambda a: a.detach() * 2, x)


def test_a_pass_that_differs_from_the_next_is_found():
    x = leaf(2)
    count = iter(range(1000))

    class Unstable(Function):
        @staticmethod
        def forward(ctx, a):
            return a * 1

        @staticmethod
        def backward(ctx, g):
            return g + next(count)

    with pytest.raises(GradcheckError, match="two backward passes"):
        gradcheck(Unstable.apply, x)
    assert gradcheck(fg.exp, x, nondet_tol=0.0)


def test_values_are_left_as_they_were():
    x = leaf(2, 2)
    before = x.tolist()
    gradcheck(fg.exp, x)
    gradgradcheck(fg.exp, x)
    assert x.tolist() == before
    assert x.grad is None


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: fg.ones(2, dtype=fg.float64), "must require grad"),
        (lambda: fg.ones(2, requires_grad=True), "float64"),
        (lambda: fg.ones(2, dtype=fg.float64, requires_grad=True) * 2, "leaf"),
        (lambda: fg.ones(1, dtype=fg.float64).expand(3).requires_grad_(), "share memory"),
    ],
)
def test_inputs_that_cannot_be_checked(make, word):
    for check in (gradcheck, gradgradcheck):
        with pytest.raises(ValueError, match=word):
            check(fg.exp, make())


def test_a_function_without_an_output():
    with pytest.raises(ValueError, match="no real Tensor"):
        gradcheck(lambda a: None or (), leaf(2))


# ---- autograd.backward -----------------------------------------------------------------------------------------------


def test_backward_of_several_tensors():
    x = leaf(2)
    backward([x.sum(), (x * x)], [None, fg.tensor([1.0, 2.0], dtype=fg.float64)])
    assert fg.allclose(x.grad, 1 + fg.tensor([2.0, 4.0], dtype=fg.float64) * x.detach())
    y = leaf(2)
    backward(y.sum())
    backward([(y * 3)], fg.ones(2, dtype=fg.float64))
    assert y.grad.tolist() == [4, 4]
    z, w = leaf(2), leaf(2)
    backward([(z * w).sum(), z.sum()], inputs=[z])
    assert w.grad is None
    assert fg.allclose(z.grad, w.detach() + 1)


def test_backward_refusals():
    x = leaf(2)
    with pytest.raises(RuntimeError, match="shape"):
        backward([x * 2, x.sum()])
    with pytest.raises(RuntimeError, match=r"2 tensors .* 1 gradients"):
        backward([x.sum(), x.sum()], [None])
    with pytest.raises(RuntimeError, match="no tensors"):
        backward([])
