"""What a compiled function refuses, and says; what it need not refuse."""

import itertools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn

from .compiling import bits, compiled, inputs, parameter, refused

F = nn.functional


class Holder:
    def __init__(self):
        self.h, self.w = fg.zeros(4, 3), parameter(9, 3, 3)

    def carry(self, x):
        self.h = self.h * 0.5 + x
        return self.h * 1.0

    def keep(self, x):
        self.last = (x * 2.0).detach()
        return x + 1.0

    def keep_argument(self, x):
        self.last = x
        return x + 1.0

    def keep_result(self, x):
        self.last = x * 2.0
        return self.last

    def history(self, x):
        fg.zeros(())
        self.h.add_(x @ self.w)
        return x * 1.0

    def outer(self, x):
        return x @ self.hw

    def swap(self, x):
        self.h.data = x * 2.0
        return x + 1.0


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("carry", "state is carried in Python"),
        ("keep", "side effect"),
        ("keep_argument", "side effect"),
        ("keep_result", "side effect"),
        ("history", "history"),
        ("swap", r"assigning \.data at test_compile"),
    ],
)
def test_side_effects_are_refused(method, words):
    refused(getattr(Holder(), method), words)


def test_the_line_of_a_side_effect_is_named():
    o = Holder()

    def f(x):
        y = x + 1.0
        o.h_new = x * 3.0
        return y

    line = f.__code__.co_firstlineno + 2
    refused(f, f"side effect: the tensor made at test_compile_refused.py:{line} outlives the call")


def test_the_line_of_a_number_that_changes_is_named():
    c = [0.0]

    def f(x):
        c[0] += 0.5
        return x * c[0]

    line = f.__code__.co_firstlineno + 2
    refused(f, f"becomes a tensor at test_compile_refused.py:{line} differs")


def test_a_number_that_changes_after_recording_is_frozen_until_it_is_passed():
    c = [1.0]
    frozen, passed = compiled(lambda x: x * c[0]), compiled(lambda x, scale: x * scale)
    for i in range(4):
        frozen(inputs(i))
    c[0] = 2.0
    assert bits(frozen(inputs(0))) == bits(inputs(0))
    for scale in (1.0, 1.0, 2.0, 2.0, 2.0):
        assert bits(passed(inputs(0), scale)) == bits(inputs(0) * scale)


def test_a_tensor_with_history_from_outside_is_refused():
    o = Holder()
    o.hw = o.w * 2.0
    refused(o.outer, "detach")


def test_a_view_of_a_parameter_kept_is_harmless():
    o = Holder()

    def f(x):
        o.last = o.w.mT
        return x + 1.0

    h = compiled(f)
    for i in range(6):
        h(inputs(i))
    assert bits(o.last) == bits(o.w.detach().mT)


def test_a_dead_cycle_is_no_escape():
    def f(x):
        loop = [x * 2.0]
        loop.append(loop)
        return x + 1.0

    h = compiled(f)
    for i in range(5):
        h(inputs(i))
    assert h.replays == 3


DOORS = {
    "item": (lambda t: t.item(), r"item\(\)"),
    "bool": (lambda t: bool(t), r"bool\(\)"),
    "float": (lambda t: float(t), "a Python float"),
    "int": (lambda t: int(t), "a Python int"),
    "tolist": (lambda t: t.tolist(), r"tolist\(\)"),
    "numpy": (lambda t: t.numpy(), "as an array"),
    "print": (lambda t: repr(t), "printing"),
    "format": (lambda t: f"{t:.3f}", "printing"),
    "dlpack": (lambda t: t.__dlpack__(), "dlpack"),
    "mask": (lambda t: t.reshape(1)[t.reshape(1) > 0], "shape depends on values"),
    "equal": (lambda t: fg.equal(t, t), "array"),
}


def test_the_result_whose_graph_is_left_is_named():
    w = parameter(0, 3)

    def f(x):
        y = (w * x).sum()
        return {"seen": (x.sum(), y)}

    refused(f, r"the result\['seen'\]\[1\]")


@pytest.mark.parametrize(("read", "words"), DOORS.values(), ids=DOORS)
def test_reading_a_value_is_refused_with_the_line(read, words):
    def f(x):
        s = x.sum()
        read(s)
        return x

    refused(f, f"({words}).*test_compile")


def test_python_data_on_its_way_back_is_no_value():
    h = compiled(lambda x: x * fg.tensor(2.0).item())
    assert [bits(h(inputs(i))) for i in range(5)] == [bits(inputs(i) * 2) for i in range(5)]
    assert h.replays == 3


def test_a_number_that_changes_is_refused():
    it = iter(range(99))
    refused(lambda x: x * fg.tensor([float(next(it))] * 3), "pass it as a tensor argument")
    c = [0.0]

    def closure(x):
        c[0] += 0.5
        return x * c[0]

    refused(closure, "pass it as a tensor argument")
    flip = itertools.cycle([1.0, 2.0])
    refused(lambda x: x * next(flip), "pass it as a tensor argument")
    sign = itertools.cycle([0.0, -0.0])
    refused(lambda x: x * next(sign), "pass it as a tensor argument")
    slopes = itertools.cycle([0.0, -0.0])
    refused(lambda x: F.leaky_relu(x, next(slopes)), "attributes")


def test_nan_equals_itself():
    h = compiled(lambda x: x * float("nan"))
    for i in range(4):
        h(inputs(i))
    assert h.replays == 2


def test_a_returned_tensor_with_a_live_graph_is_refused():
    w = parameter(1, 3, 2)
    refused(lambda x: x @ w, "detach")


def test_an_argument_that_requires_grad_is_refused():
    refused(lambda x: x * 2.0, "requires grad", args=lambda i: (parameter(i, 2),))


def test_an_array_as_an_argument_is_refused():
    refused(lambda a: fg.tensor(a) * 2, "from_numpy", args=lambda i: (np.ones(3),))


def test_a_tensor_made_anew_for_each_call_is_refused():
    outer = {}

    def args(i):
        outer["m"] = inputs(i + 50)
        return (inputs(i),)

    refused(lambda x: x * outer["m"], "pass it as an argument", args=args)


def test_seeding_inside_is_refused():
    def f(x):
        fg.manual_seed(0)
        return F.dropout(x, 0.5)

    refused(f, "seeding")


def test_check_finds_a_closure_number_that_changed():
    c = [1.0]
    h = compiled(lambda x: x * c[0], check=4)
    hit = None
    for i in range(12):
        if i == 6:
            c[0] = 2.0
        try:
            h(inputs(i))
        except fg.CompileError as error:
            hit = str(error)
            break
    assert "no longer describes" in hit


def test_fallback_runs_eagerly_and_says_so_once():
    def f(x):
        return x * 2 if x.sum() > 0 else x * 3

    h = fg.compile(f, fallback=True)
    with pytest.warns(UserWarning, match=r"eagerly.*bool") as caught:
        results = [h(inputs(i)) for i in range(5)]
    assert len(caught) == 1
    assert bits(results) == bits([f(inputs(i)) for i in range(5)])


def test_an_argument_that_is_the_written_external():
    buf = inputs(0)

    def f(x):
        buf.add_(x)
        return x * 2.0

    h = compiled(f)
    for i in range(5):
        h(inputs(i))
    before = buf.clone()
    assert bits(h(buf)) == bits((before + before) * 2.0)
    assert "shares memory" in h.why[0]


def test_an_argument_written_in_place():
    def f(x):
        x.add_(1.0)
        return x * 2.0

    h = compiled(f)
    for i in range(6):
        x = inputs(i)
        version = x._version
        r = h(x)
        assert bits(x) == bits(inputs(i) + 1)
        assert bits(r) == bits((inputs(i) + 1) * 2)
        assert x._version > version


def test_grad_mode_is_guarded():
    h = compiled(lambda x: x * 2.0)
    for i in range(6):
        h(inputs(i))
    with fg.no_grad():
        h(inputs(0))
    assert h.why == ["grad mode changed"]


def test_many_programs_say_which_argument_changes():
    h = compiled(lambda x, k: x * k)

    def calls():
        for k in range(40):
            h(inputs(0), k)
            h(inputs(0), k)

    with pytest.warns(UserWarning, match="argument 1"):
        calls()
