"""In-place operations and views: gradients through every path, refusals before the first write, nothing left behind.

The oracle is numerical: a program run on constants gives values, and central differences of those give the gradient that
the tape must find, to first and second order.
"""

import gc
import random
import weakref
from time import thread_time

import numpy as np
import pytest

import fastgrad as fg

A = np.arange(1.0, 7.0).reshape(2, 3) / 4


def leaf(x):
    return fg.tensor(np.array(x), requires_grad=True)


def const(x):
    return fg.tensor(np.array(x))


def differences(f, x, eps=1e-6):
    """Central differences of a scalar function of an array."""
    g = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i] += eps
        down[i] -= eps
        g[i] = (f(up) - f(down)) / (2 * eps)
    return g


def check(program):
    """program(make) builds a scalar from make(A); its gradient, and that of a function of its gradient, must be numerical."""

    def value(x):
        return program(const(x)).item()

    def slope(x):
        a = leaf(x)
        (g,) = fg.autograd.grad(program(a), a)
        return g.pow(3).sum().item()

    a = leaf(A)
    (g,) = fg.autograd.grad(program(a), a, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), differences(value, A), rtol=1e-6, atol=1e-8)
    if not g.requires_grad:  # the program is linear
        np.testing.assert_allclose(differences(slope, A), np.zeros_like(A), atol=1e-6)
        return
    (second,) = fg.autograd.grad(g.pow(3).sum(), a, materialize_grads=True)
    np.testing.assert_allclose(second.numpy(), differences(slope, A), rtol=1e-5, atol=1e-6)


PROGRAMS = {}


def program(f):
    PROGRAMS[f.__name__] = f
    return f


@program
def view_then_base(a):
    b = a * 1.0
    v = b[0:1]
    b.mul_(a.sin())
    return (v * 3.0).sum()


@program
def base_sees_a_write_through_a_view(a):
    b = a * 1.0
    b[:, 1:].mul_(b.sum())
    return (b * b).sum()


@program
def sibling_views(a):
    b = a * 1.0
    u, v = b[:, :2], b[:, 1:]
    u.sin_()
    return (v * v).sum()


@program
def view_of_a_view(a):
    b = a * 1.0
    v = b[0].reshape(3, 1)[1:]
    w = b.transpose(0, 1)
    v.exp_()
    return w.sin().sum()


@program
def buffer_filled_row_by_row(a):
    out = const(np.zeros((3, 3)))
    for i in range(3):
        out[i] = (a * float(i + 1)).sin()[0] * out[(i - 1) % 3].sum().exp()
    return (out * out).sum()


@program
def view_of_a_constant_gets_a_history(a):
    out = const(np.zeros((2, 3)))
    u, v = out[0], out[:, 1:]
    v.add_(a[:, 1:])
    return (u * u).sum()


@program
def accumulating_products(a):
    w = const(A)
    h = a * 1.0
    h += w * h
    h += w * h
    return h.sum()


@program
def masks_and_integers(a):
    b = a * 1.0
    b[fg.tensor(A > 1)] = 0.5
    t = b.transpose(0, 1)
    t[fg.tensor([2, 0])] = a[:, :2]
    return (b.sin() * t[0].sum()).sum()


@program
def transposed_detached_base(a):
    d = const(A).transpose(0, 1).detach()
    v = d.transpose(0, 1).reshape(6)[1:5:2]
    v.mul_(a[0, :2])
    return (d * d * d).sum()


@program
def base_with_gaps(a):
    d = const(np.ones((4, 6)))[::2, ::2].detach()
    d[1].mul_(a[0])
    d.t()[2].add_(a[:, 1])
    return (d * d * d).sum()


@program
def expanded_view_of_a_written_base(a):
    b = a * 1.0
    e = b.expand(4, 2, 3)
    b.sin_()
    return (e * e).sum()


@program
def zero_then_add(a):
    b = a * a
    b.zero_()
    b.add_(a)
    return (b * b).sum()


@program
def row_of_a_product(a):
    b = a @ a.transpose(0, 1)
    b[0].sin_()
    return (b @ b).sum()


@program
def target_times_itself(a):
    b = a * 1.0
    b *= b
    b *= b
    return b.sum()


@program
def overlapping_operand(a):
    b = a * 1.0
    b[:, 1:] *= b[:, :-1]
    return (b * b).sum()


@program
def row_times_other_row(a):
    b = a * 1.0
    b[0] *= b[1]
    return (b * b).sum()


@program
def own_transpose_as_operand(a):
    b = a.transpose(0, 1) @ a
    b += b.transpose(0, 1)
    b.copy_(b.transpose(0, 1))
    return (b * b).sum()


@program
def several_views_read_after_a_write(a):
    b = a * 1.0
    u = b.unbind(0)
    b.mul_(a.sin())
    return (u[0] * u[1]).sum()


@program
def clamp_then_scale(a):
    b = a * 2.0
    b.clamp_(0.6, 2.2)
    b.mul_(b.detach() * 0 + a)
    return b.sum()


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_of_programs_are_numerical(name):
    check(PROGRAMS[name])


# ---- random programs -------------------------------------------------------------------------------------------------

STATEMENTS = (
    "mul",
    "sin",
    "slice",
    "slice",
    "t",
    "reshape",
    "expand",
    "mul_",
    "mul_",
    "add_",
    "sin_",
    "copy_",
    "set",
    "fill_",
)


def fits(target, value):
    try:
        return np.broadcast_shapes(tuple(target.shape), tuple(value.shape)) == tuple(target.shape)
    except ValueError:
        return False


def execute(values, kind, a, b, number, index):
    """Runs one statement: appends a new value, or writes into one; nothing where the statement does not apply."""
    x, y = values[1 + a % (len(values) - 1)], values[b % len(values)]
    operand = y if fits(x, y) else number
    expanded = any(s == 0 and n > 1 for s, n in zip(x.stride(), x.shape, strict=True))
    if kind == "mul":
        values.append(x * operand)
    elif kind == "sin":
        values.append(x.sin())
    elif kind == "slice" and x.ndim:
        values.append(x[index % x.shape[0] :] if index else x[0])
    elif kind == "t" and x.ndim == 2:
        values.append(x.t())
    elif kind == "reshape":
        values.append(x.reshape(-1))
    elif kind == "expand" and x.ndim < 3:
        values.append(x.expand(2, *x.shape))
    elif expanded:
        return
    elif kind in ("mul_", "add_", "copy_"):
        getattr(x, kind)(operand)
    elif kind == "sin_":
        x.sin_()
    elif kind == "set" and x.ndim:
        x[index % x.shape[0]] = x[0] * number
    elif kind == "fill_":
        x.fill_(number)


def run_program(statements, a):
    values = [a, a * 1.0]
    for s in statements:
        execute(values, *s)
    return sum(((v * (0.5 + 0.1 * k)).sin().sum() for k, v in enumerate(values)), start=a.sum() * 0.0)


def random_program(seed):
    r = random.Random(seed)
    return [
        (r.choice(STATEMENTS), r.randrange(20), r.randrange(20), r.uniform(0.3, 1.2), r.randrange(3))
        for _ in range(r.randrange(3, 11))
    ]


def test_random_programs_are_numerical():
    compared = 0
    for seed in range(150):
        statements = random_program(seed)
        a = leaf(A)
        y = run_program(statements, a)
        try:
            (g,) = fg.autograd.grad(y, a)
        except RuntimeError as error:  # the program modified what it needed: a clear error is the right answer
            if "modified by an in-place" not in str(error):
                raise
            continue
        numeric = differences(lambda x, s=statements: run_program(s, const(x)).item(), A)
        np.testing.assert_allclose(g.numpy(), numeric, rtol=2e-5, atol=1e-6, err_msg=f"seed {seed}: {statements}")
        compared += 1
    assert compared > 80


# ---- refusals --------------------------------------------------------------------------------------------------------


def saved_then_modified(a):
    b = a * 1.0
    y = b * b
    b.add_(1.0)
    return y.sum()


def another_slice_of_what_was_saved_is_modified(a):
    b = a * 1.0
    y = b[0].sin()
    b[1].zero_()
    return y.sum()


def saved_output_modified(a):
    b = a.exp()
    b.add_(1.0)
    return b.sum()


def saved_leaf_modified_under_no_grad(a):
    y = a.sin()
    with fg.no_grad():
        a.mul_(2.0)
    return y.sum()


def saved_value_modified_through_detach(a):
    b = a * 1.0
    y = b.sin()
    b.detach().zero_()
    return y.sum()


@pytest.mark.parametrize(
    "f",
    [
        saved_then_modified,
        another_slice_of_what_was_saved_is_modified,
        saved_output_modified,
        saved_leaf_modified_under_no_grad,
        saved_value_modified_through_detach,
    ],
    ids=lambda f: f.__name__,
)
def test_backward_refuses_a_modified_save(f):
    y = f(leaf(A))
    with pytest.raises(RuntimeError, match="modified by an in-place operation"):
        y.backward()


def refused_at_once():
    a = leaf(A)
    b = a * 1.0
    with fg.no_grad():
        unrecorded = b[0]
        unrecorded_constant = const(A)[0]
    yield "a leaf", a, lambda: a.add_(1.0), "leaf"
    yield "a view of a leaf", a, lambda: a[0].fill_(1.0), "leaf"
    yield "an item of a leaf", a, lambda: a.__setitem__(0, 1.0), "leaf"
    yield "an output of unbind", b, lambda: b.unbind(0)[0].add_(1.0), "several views"
    yield "a view of an output of split", b, lambda: b.split(1)[0][0].add_(1.0), "several views"
    yield "a view made under no_grad", b, lambda: unrecorded.add_(1.0), "no_grad"
    yield "such a view of a constant", unrecorded_constant, lambda: unrecorded_constant.add_(a[0]), "no_grad"
    e = b.expand(2, 2, 3)
    yield "an expanded target", b, lambda: e.add_(1.0), "clone"
    yield "a result larger than the target", b, lambda: b[0].add_(a), "cannot hold"
    n = fg.tensor([1, 2, 3])
    yield "real numbers into integers", n, lambda: n.add_(0.5), "can't be cast"
    yield "an item out of range", b, lambda: b.__setitem__(5, 1.0), "out of bounds"
    yield "a value of a wrong shape", b, lambda: b.__setitem__(0, fg.ones(4).double()), "cannot"


@pytest.mark.parametrize("k", range(12))
def test_refusals_come_before_the_first_write(k):
    name, target, write, message = list(refused_at_once())[k]
    before, version = target.detach().numpy().copy(), target._version
    with pytest.raises((RuntimeError, IndexError), match=message):
        write()
    np.testing.assert_array_equal(target.detach().numpy(), before, err_msg=name)
    assert target._version == version


def test_a_view_made_under_no_grad_is_not_read_after_its_base_was_rewritten():
    b = leaf(A) * 1.0
    with fg.no_grad():
        v = b[0]
    b.mul_(2.0)
    with pytest.raises(RuntimeError, match="no_grad"):
        v * 1.0


# ---- histories -------------------------------------------------------------------------------------------------------


def test_gradient_with_respect_to_a_base_written_through_a_view():
    b = leaf(A) * 1.0
    v = b[0]
    v.mul_(2.0)
    (g,) = fg.autograd.grad((v * v).sum(), b)
    np.testing.assert_allclose(g.numpy(), [4 * A[0] * 2 / 2, [0, 0, 0]])


def test_retained_gradients_follow_the_value():
    a = leaf(A)
    b = a * 1.0
    v = b[0]
    b.retain_grad()
    v.retain_grad()
    b.mul_(2.0)
    (v * 3.0 + b[1]).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), [[6] * 3, [2] * 3])
    np.testing.assert_allclose(b.grad.numpy(), [[3] * 3, [1] * 3])
    np.testing.assert_allclose(v.grad.numpy(), [3, 3, 3])


def test_a_base_that_becomes_a_leaf_gives_its_views_a_history():
    b = const(A)
    v = b[0]
    b.requires_grad_()
    (v * 2.0).sum().backward()
    np.testing.assert_allclose(b.grad.numpy(), [[2] * 3, [0] * 3])


def test_gradients_belong_to_the_user():
    a, b = leaf(A), leaf(A)
    (a + b).sum().backward()
    a.grad.zero_()
    assert (b.grad == 1).all()


def test_writes_under_no_grad_change_values_and_keep_histories():
    a = leaf(A)
    b = a * 1.0
    v = b[0]
    with fg.no_grad():
        b.mul_(2.0)
        v.add_(1.0)
    (b * 3.0).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), np.full((2, 3), 3.0))
    np.testing.assert_allclose(v.detach().numpy(), 2 * A[0] + 1)


def test_copy_keeps_the_targets_history():
    a = leaf(A)
    b = a * 1.0
    b.fill_(3.0)
    assert b.requires_grad
    (b * b).sum().backward()
    assert a.grad is None or (a.grad == 0).all()


def test_plain_graphs_free_without_the_collector():
    def in_place():
        a, w = leaf(A), leaf(A)
        h = a * 1.0
        h += w * h
        h *= h
        return [h, a, w]

    def after_backward():
        _h, a, w = in_place()
        k = a.sin()
        k += w * a
        k.sum().backward()
        return [k, a, w]

    def views():
        a = leaf(A)
        b = a * 1.0
        v = b[0]
        u = v[:2]
        v *= v
        u.sin_()
        b[0] = u.sum()
        y = v * b
        b.retain_grad()
        return [a, b, v, u, y]

    def leaf_that_became_a_target():
        a = leaf(A)
        y = a * leaf(A)
        a.requires_grad_(False)
        a.add_(y)
        return [a, y]

    def second_order():
        a = leaf(A)
        b = a * 1.0
        b *= b
        (g,) = fg.autograd.grad(b.sum(), a, create_graph=True)
        (g * g).sum().backward()
        return [a, b, g]

    gc.collect()
    gc.disable()
    try:
        for make in (in_place, after_backward, views, leaf_that_became_a_target, second_order):
            refs = [weakref.ref(t) for t in make()]
            assert not any(ref() is not None for ref in refs), make.__name__
    finally:
        gc.enable()


def test_filling_a_buffer_row_by_row_costs_a_row_each_in_backward():
    """Linear in the rows, at a fixed row: a copy of the whole buffer for each row would make it quadratic."""

    def backward_time(rows):
        a = fg.ones(64, requires_grad=True)
        out = fg.zeros(rows, 64)
        for i in range(rows):
            out[i] = a * float(i)
        y = out.sum()
        start = thread_time()  # of this thread alone: what else the machine does hardly matters
        y.backward()
        return thread_time() - start

    few = min(backward_time(500) for _ in range(5))
    many = min(backward_time(4000) for _ in range(5))
    assert many < 32 * few  # 8 times the rows; quadratic would be 64 times and more


# ---- memory of NumPy -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("write", [lambda t, o: t.add_(o), lambda t, o: t.copy_(o), lambda t, o: t.mul_(o).sub_(o)])
def test_two_tensors_over_overlapping_parts_of_one_array(write, step):
    a = np.arange(400.0)
    values = fg.tensor(a)
    write(values[10:390], values[10 + step : 390 + step])  # views of one tensor
    write(fg.from_numpy(a[10:390]), fg.from_numpy(a[10 + step : 390 + step]))
    assert a.tolist() == values.tolist()
