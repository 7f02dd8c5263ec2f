"""What a compiled function may be called with and may return: every kind of value and of tensor, and memory that is shared."""

import collections
import itertools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn

from .compiling import bits, compiled, inputs, labels, parameter, refused

F = nn.functional
Pair = collections.namedtuple("Pair", "x y")


class Listed(list):
    """A list of a user's own type."""


class Odd(tuple):
    """A tuple that cannot be made of its items."""

    def __new__(cls, a, b):
        return super().__new__(cls, (a, b))


def exact(v):
    """As bits, with the types of what holds the tensors."""
    if isinstance(v, (tuple, list)):
        return type(v), [exact(x) for x in v]
    if isinstance(v, dict):
        return type(v), [(key, exact(x)) for key, x in v.items()]
    return type(v), bits(v)


def agrees(function, args, kwargs=lambda i: {}, calls=12, replays=None):
    """Calls on fresh arguments each time: results, and what the arguments are afterwards."""
    h = compiled(function)
    for i in range(calls):
        ours, theirs, named, others = args(i), args(i), kwargs(i), kwargs(i)
        assert exact(h(*ours, **named)) == exact(function(*theirs, **others)), i
        assert exact((ours, named)) == exact((theirs, others)), i
    assert h.replays == (calls - 2 if replays is None else replays), (h.records, h.why)
    return h


# ---- what is no tensor -------------------------------------------------------------------------------------------------

STATIC = {
    "None": None,
    "bool": True,
    "int": 3,
    "a large int": 10**30,
    "float": 0.5,
    "nan": float("nan"),
    "complex": 1 + 2j,
    "str": "a",
    "bytes": b"ab",
    "slice": slice(0, 2),
    "ellipsis": ...,
    "range": range(3),
    "frozenset": frozenset({1, 2}),
    "dtype": fg.float64,
    "size": fg.Size([3, 4]),
    "function": fg.tanh,
    "type": float,
    "numpy float": np.float32(0.5),
    "numpy int": np.int64(2),
    "numpy bool": np.bool_(True),
}


@pytest.mark.parametrize("value", STATIC.values(), ids=STATIC)
def test_a_static_value_is_one_program(value):
    # Made anew for each call where that can be: equal is enough.
    again = {complex: lambda: complex(1, 2), range: lambda: range(3), frozenset: lambda: frozenset({1, 2})}
    make = again.get(type(value), lambda: value.copy() if isinstance(value, np.generic) else value)
    agrees(lambda x, k: (x * 2, k), lambda i: (inputs(i), make()))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (2, 2.0),
        (1, True),
        (0.0, -0.0),
        ("a", "b"),
        (None, False),
        (range(3), range(4)),
        (frozenset({1}), frozenset({1.0})),
        (np.float32(0.0), np.float32(-0.0)),
        (np.int32(1), np.int64(1)),
        (1j, -1j),
    ],
)
def test_static_values_that_differ_are_two_programs(a, b):
    h = agrees(lambda x, k: (x * 2, k), lambda i: (inputs(i), (a, b)[i % 2]), replays=8)
    assert len(h.programs) == 2


def test_named_default_and_starred_arguments():
    def f(x, *rest, k=2.0, y=None, **others):
        return sum(rest, x * k) + sum(others.values()) + (0 if y is None else y)

    ways = [
        ((inputs(0),), {}),
        ((inputs(0),), {"k": 3.0}),
        ((inputs(0), inputs(1)), {}),
        ((inputs(0),), {"y": inputs(2)}),
        ((inputs(0), inputs(3)), {"z": inputs(4), "k": 2.0}),
    ]
    h = agrees(f, lambda i: ways[i % 5][0], lambda i: ways[i % 5][1], calls=25, replays=15)
    assert len(h.programs) == 5


@pytest.mark.parametrize(
    "make",
    [
        lambda i: (Pair(inputs(i), 2.0),),
        lambda i: (Listed([inputs(i), 2.0]),),
        lambda i: ({1: inputs(i), None: 2.0, "deep": [({"x": inputs(i + 1)},)]},),
        lambda i: (([], {}, ()), inputs(i)),
        lambda i: tuple(inputs(i + k) for k in range(20)),
    ],
    ids=["namedtuple", "own list", "keys of any kind", "empty", "twenty"],
)
def test_structures(make):
    def f(*args):
        def walk(v):
            if isinstance(v, fg.Tensor):
                yield v
            elif isinstance(v, (tuple, list, dict)):
                for x in v.values() if isinstance(v, dict) else v:
                    yield from walk(x)

        return sum(walk(args)), args[0]

    agrees(f, make)


def test_a_tuple_that_cannot_be_made_again_is_refused():
    refused(lambda pair: pair[0] * 2, "Odd cannot be made of its items again", args=lambda i: (Odd(inputs(i), 1),))
    refused(lambda x: Odd(x * 2, 1), "Odd cannot be made of its items again")


def test_wrong_arguments_are_named_as_the_function_names_them():
    def f(x, k):
        return x

    with pytest.raises(TypeError, match=r"f\(\) missing 1 required positional argument: 'k'"):
        compiled(f)(inputs(0))


# ---- results ------------------------------------------------------------------------------------------------------------

w = parameter(0, 3)
counter = itertools.count()
RESULTS = {
    "nothing": lambda x: None,
    "an argument": lambda x: x,
    "an argument twice": lambda x: (x, [x]),
    "a view of an argument": lambda x: x[1:].mT,
    "a product, a view of it and the same again": lambda x: (lambda y: (y, y[::2], y))(x * 2),
    "an expanded product": lambda x: (x * 2).sum(0).expand(5, 3),
    "data": lambda x: (fg.tensor([1.0, 2.0]), fg.zeros(3), fg.arange(3)),
    "a parameter": lambda x: (w.detach(), w.detach()[1:]),
    "plain values": lambda x: (x * 2, 3.5, "a", None, True, x.shape, x.dtype, np.float64(2.0)),
    "a namedtuple": lambda x: Pair(x * 2, {"k": [x]}),
    "an op's own namedtuple": lambda x: x.max(1),
    "empty structures": lambda x: [[], {}, ()],
}


@pytest.mark.parametrize("function", RESULTS.values(), ids=RESULTS)
def test_a_result(function):
    agrees(function, lambda i: (inputs(i),))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: {1, 2}, "the result, a Python set,"),
        (lambda x: {"seen": [x, object()]}, r"the result\['seen'\]\[1\], a Python object,"),
        (lambda x: (x * 2, next(counter)), r"the result\[1\], a Python int, .* would be frozen"),
        (lambda x: [x * 2] * (next(counter) % 2 + 1), "the result differs from call to call in its structure"),
    ],
    ids=["set", "object", "counter", "length"],
)
def test_a_result_that_would_be_frozen_is_named(make, words):
    refused(make, words)


def test_where_a_result_with_a_graph_was_made_is_named():
    def f(x):
        y = x * w
        return {"y": [y]}

    line = f.__code__.co_firstlineno + 1
    refused(f, rf"the result\['y'\]\[0\], made at test_compile_arguments.py:{line}\).*detach")


# ---- tensors of every kind ----------------------------------------------------------------------------------------------

DTYPES = [fg.float32, fg.float64, fg.int64, fg.int32, fg.uint8, fg.bool]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_tensors_of_a_dtype_beside_another(dtype):
    agrees(
        lambda x: (x * 2, x + x, x.sum(), x[1:]),
        lambda i: ((inputs(i) * 3).to(dtype if i % 2 else fg.float32),),
        replays=10 if dtype is fg.float32 else 8,
    )


def made_by(kind, i):
    big = inputs(i, 8, 6)
    return {
        "0-d": fg.tensor(float(i)),
        "empty": fg.zeros(0, 3),
        "transposed": inputs(i, 3, 3).mT,
        "dense": inputs(i, 3, 3),
        "strided": big[::2, 1::2],
        "part": big[i % 4 : i % 4 + 3],
        "expanded": inputs(i, 1, 3).expand(4, 3),
        "one row": inputs(i, 1, 3),
    }[kind]


KINDS = ["0-d", "empty", "transposed", "dense", "strided", "part", "expanded", "one row"]


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_a_layout(kind):
    agrees(lambda x: (x * 2, x.sum(), x.reshape(-1), x.exp()), lambda i: (made_by(kind, i),))


def test_layouts_in_turn_each_have_a_program():
    kinds = [kind for kind in KINDS if kind != "part"]
    n = len(kinds)
    h = agrees(
        lambda x: (x * 2, x.sum(), x.is_contiguous()), lambda i: (made_by(kinds[i % n], i),), calls=4 * n, replays=2 * n
    )
    assert len(h.programs) == n


# ---- memory that is shared ----------------------------------------------------------------------------------------------


def slices(overlap):
    def make(i):
        x = inputs(i, 8)
        return x[:4], x[4 - overlap : 8 - overlap]

    return make


def twice(i):
    x = inputs(i)
    return x, x


def apart(i):
    return inputs(i), inputs(i + 50)


def written(a, b):
    a.add_(b)
    return a * b, b.sum()


@pytest.mark.parametrize("function", [lambda a, b: a * b, written], ids=["read", "written"])
@pytest.mark.parametrize(
    "make", [slices(0), slices(2), slices(4), twice], ids=["beside", "overlapping", "equal", "the same"]
)
def test_arguments_that_are_parts_of_one_tensor(make, function):
    agrees(function, make)


def test_arguments_that_share_memory_every_other_time():
    ways = [apart, twice, slices(2)]
    h = agrees(written, lambda i: ways[i % 3](i), calls=18, replays=12)
    assert len(h.programs) == 3
    h = agrees(lambda a, b: a * b, lambda i: ways[i % 3](i))
    assert len(h.programs) == 1


def test_an_argument_that_is_written_keeps_its_identity_and_its_data():
    def f(x):
        x[1:3].mul_(2.0)
        return x.sum()

    agrees(f, lambda i: (inputs(i, 8)[2:6],))
    x = inputs(0)
    h = compiled(f)
    for _ in range(5):
        h(x)
    assert bits(x[1:3]) == bits(inputs(0)[1:3] * 32)


def test_what_may_not_be_written_is_refused_as_ever_and_the_argument_is_as_it_was():
    h = compiled(lambda x: x.add_(1.0))
    x = inputs(0, 1).expand(4, 3)
    for _ in range(4):
        with pytest.raises(RuntimeError, match="expand"):
            h(x)
    assert bits(x) == bits(inputs(0, 1).expand(4, 3))


def test_a_parameter_that_needs_no_gradient_is_an_argument_like_any_other():
    agrees(lambda p: p * 2, lambda i: (parameter(i, 3).requires_grad_(False),))


def test_labels_and_floats_change_their_places():
    agrees(
        lambda a, b: (a * 2, b + 1), lambda i: (inputs(i), labels(i)) if i % 2 else (labels(i), inputs(i)), replays=8
    )


def test_an_argument_that_is_written_and_lies_in_what_is_read_from_outside():
    def made():
        outside = inputs(0, 8)

        def f(x):
            y = outside.softmax(1)
            x.mul_(0.5)
            return (y * outside).sum(0), x.add_(outside[2:6])

        return outside, f

    (a, f), (b, g) = made(), made()
    h = compiled(g)
    for i in range(16):
        ours, theirs = (t[i % 4 : i % 4 + 4] if i % 3 == 2 else inputs(i) for t in (b, a))
        assert bits(h(ours)) == bits(f(theirs)), i
        assert bits(a) == bits(b), i
    assert h.replays >= 6


def test_an_argument_that_is_a_gradient():
    def made():
        p = parameter(0, 4, 3)

        def f(x):
            ((p * x).tanh() * x).sum().backward()
            return x * 2

        return p, f

    (a, f), (b, g) = made(), made()
    h = compiled(g, limit=20)
    for i in range(20):
        ours, theirs = (p.grad if i % 3 == 2 else p.grad[1:2].detach() if i % 5 == 4 else inputs(i) for p in (b, a))
        assert bits(h(ours)) == bits(f(theirs)), i
        assert bits(a.grad) == bits(b.grad), i
    assert h.replays >= 4


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_arguments_that_overlap_by_another_number_of_rows(step):
    h = compiled(written)
    for i in range(18):
        at = 2 + step if i in (0, 1, 5, 6) else 2 + (i % 3 - 1)
        ours, theirs = inputs(i, 8), inputs(i, 8)
        assert bits(h(ours[2:6], ours[at : at + 4])) == bits(written(theirs[2:6], theirs[at : at + 4])), i
        assert bits(ours) == bits(theirs), i
    assert h.replays >= 9


# ---- what is said ----------------------------------------------------------------------------------------------------------


class Thing:
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda i: (Thing(), inputs(0)), r"argument 0 \(first\) is another Thing in each call"),
        (lambda i: (inputs(0), {1, i}), r"argument 1 \(second\) is another set in each call"),
        (lambda i: (inputs(0, i + 1), 2), r"argument 0 \(first\) keeps changing its shape"),
        (lambda i: (inputs(0), i), r"argument 1 \(second\) keeps changing its value; .* 0-d tensor"),
    ],
    ids=["object", "set", "shape", "number"],
)
def test_calls_of_too_many_kinds_to_be_replayed_name_the_argument(make, words):
    kept = []

    def f(first, second, *, third=1):
        return third * 2

    h = compiled(f)

    def calls(**named):
        for i in range(20):
            kept.append(make(i))
            h(*kept[-1], **named)

    with pytest.warns(UserWarning, match=rf"has recorded 17 calls, no two of one kind: {words}") as caught:
        calls()
    assert len(caught) == 1
    h = compiled(f)
    with pytest.warns(UserWarning, match=words):
        calls(third=3)


def test_a_named_argument_that_keeps_changing_is_named():
    h = compiled(lambda x, k=0: x * k)

    def calls():
        for i in range(40):
            h(inputs(0), k=i // 2)

    with pytest.warns(UserWarning, match="has 17 programs: argument 'k' keeps changing its value"):
        calls()


def test_dictionaries_of_other_types():
    def f(batch):
        return type(batch)((key, value * 2) for key, value in batch.items())

    agrees(f, lambda i: (collections.OrderedDict(b=inputs(i), a=inputs(i + 1)),))
    refused(
        lambda batch: batch,
        "defaultdict cannot be made of its items",
        args=lambda i: (collections.defaultdict(list, x=inputs(i)),),
    )
    net = nn.Linear(3, 2)
    agrees(lambda x: net.state_dict(), lambda i: (inputs(i),))


@pytest.mark.parametrize(
    "change",
    [
        lambda given: given["rows"].append(given["x"] * 2),
        lambda given: given.pop("rows"),
        lambda given: given.update(x=given["x"] * 2),
        lambda given: given.update(y=1),
        lambda given: given["rows"].reverse(),
    ],
    ids=["append", "pop", "exchange", "add", "reverse"],
)
def test_a_container_among_the_arguments_that_is_changed_is_refused(change):
    def f(given):
        change(given)
        return inputs(0) * 2

    refused(
        f,
        "changing a list or a dictionary that is an argument",
        args=lambda i: ({"x": inputs(i), "rows": [inputs(i), 1]},),
    )
    agrees(lambda given: dict(given, y=given["x"] * 2), lambda i: ({"x": inputs(i), "rows": [inputs(i), 1]},))
