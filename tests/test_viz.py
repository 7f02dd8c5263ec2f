"""Graphs, explanations and summaries of nets with known answers."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.viz import explain_backward, graph, summary, to_flat_numpy
from fastgrad.viz._draw import GRADIENT, VALUE, shared, text_width

F = fg.nn.functional


def number(value):
    return fg.tensor(value, dtype=fg.float64, requires_grad=True)


def by_name(drawn):
    return {node.name: node for node in drawn.nodes}


def shares(drawn, target):
    """{source: gradient along the edge} of one node."""
    return {e.source.name: e.gradient for e in drawn.edges if e.target.name == target}


# ---- values, gradients, roles ----------------------------------------------------------------------------------------


def test_a_product_of_a_sum():
    drawn = graph(lambda x, y, z: (x + y) * z, number(-2.0), number(5.0), number(-4.0))
    nodes = by_name(drawn)
    assert {name: (float(n.value), float(n.gradient)) for name, n in nodes.items()} == {
        "x": (-2, -4),
        "y": (5, -4),
        "z": (-4, 3),
        "add_1": (3, -4),
        "mul_1": (-12, 1),
    }
    assert nodes["add_1"].role == "distributor" and nodes["mul_1"].role == "swapper"
    assert nodes["add_1"].sign == "+" and nodes["mul_1"].sign == "×"  # noqa: RUF001


@pytest.mark.parametrize(
    ("function", "values", "role", "gradients"),
    [
        (lambda x, y: (x + y) * 2, (3.0, 4.0), "distributor", (2, 2)),
        (lambda x, y: (x * y) * 5, (2.0, 3.0), "swapper", (15, 10)),
        (lambda x, y: fg.maximum(x, y) * 9, (4.0, 5.0), "router", (0, 9)),
        (lambda x, y: fg.minimum(x, y) * 9, (4.0, 5.0), "router", (9, 0)),
        (lambda x: F.relu(x) * 3, (-2.0,), "router", (0,)),
        (lambda x: x.exp() * 2, (0.0,), None, (2,)),
        (lambda x, y: (x - y) * 2, (3.0, 4.0), None, (2, -2)),
    ],
)
def test_the_gate_s_role(function, values, role, gradients):
    drawn = graph(function, *map(number, values))
    gate = next(n for n in drawn.nodes if n.kind == "op")
    assert gate.role == role
    assert tuple(float(n.gradient) for n in drawn.nodes if n.kind == "input") == gradients


def test_a_value_used_twice_is_an_adder():
    drawn = graph(lambda x: x * 4 + x * 2, number(7.0))
    nodes = by_name(drawn)
    assert nodes["x"].role == "adder" and nodes["x"].gradient == 6
    assert shares(drawn, "mul_1")["x"] == 4 and shares(drawn, "mul_2")["x"] == 2


def test_matrices_and_their_shares():
    x = number([[2.0, 1.0, -3.0], [-3.0, 4.0, 2.0]])
    w = number([[3.0, 2.0, 1.0, -1.0], [2.0, 1.0, 3.0, 2.0], [3.0, 2.0, 1.0, -2.0]])
    upstream = number([[2.0, 3.0, -3.0, 9.0], [-8.0, 1.0, 4.0, 6.0]]).detach()
    nodes = by_name(graph(lambda x, w: ((x @ w) * upstream).sum(), x, w))
    assert np.array_equal(nodes["matmul_1"].value, [[-1, -1, 2, 6], [5, 2, 11, 7]])
    assert np.array_equal(nodes["x"].gradient, [[0, 16, -9], [-24, 9, -30]])
    assert np.array_equal(nodes["w"].gradient, [[28, 3, -18, 0], [-30, 7, 13, 33], [-22, -7, 17, -15]])
    assert nodes["matmul_1"].role == "swapper"


def test_what_does_not_lead_to_the_result_is_not_drawn():
    def f(x):
        _ = x.exp()
        return x * 2

    assert [n.label for n in graph(f, number(1.0)).nodes] == ["x", "2", "mul"]


def test_drawing_leaves_gradients_alone():
    x = number(3.0)
    graph(lambda x: x * x, x)
    assert x.grad is None
    y = x * x
    graph(y)
    explain_backward(y)
    y.backward()
    assert x.grad == 6


def test_from_a_tape():
    x, y, z = map(number, (-2.0, 5.0, -4.0))
    out = (x + y) * z
    drawn = graph(out, names={"x": x, "y": y, "z": z})
    nodes = by_name(drawn)
    assert set(nodes) == {"x", "y", "z", "add_1", "mul_1"}
    assert nodes["add_1"].value == 3 and nodes["mul_1"].value == -12 and nodes["x"].value == -2
    out.backward()
    with pytest.raises(RuntimeError, match="freed this graph"):
        graph(out)
    with pytest.raises(RuntimeError, match="no history"):
        graph(out.detach())
    with pytest.raises(TypeError, match="takes no inputs"):
        graph(out, x)


def test_a_deep_tape_needs_no_recursion():
    y = x = number(1.0)
    for _ in range(3000):
        y = y + x
    assert len(graph(y).nodes) == 3001


# ---- modules ---------------------------------------------------------------------------------------------------------


class Block(fg.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = fg.nn.Linear(4, 4)

    def forward(self, x):
        return x + self.inner(x).tanh()


def block_net():
    fg.manual_seed(0)
    return fg.nn.Sequential(fg.nn.Linear(3, 4), Block(), Block(), fg.nn.Linear(4, 2))


def test_modules_collapse():
    net = block_net()
    whole = graph(net, fg.ones(5, 3))
    assert whole.depth == 3
    ops = [(n.label, n.module) for n in whole.nodes if n.kind == "op"]
    assert ops[1:4] == [
        ("linear", "Sequential.1.inner"),
        ("tanh", "Sequential.1"),
        ("add", "Sequential.1"),
    ]
    one = whole.collapsed(1)
    assert [(n.label, n.name) for n in one.nodes if n.kind == "module"] == [
        ("Linear", "0"),
        ("Block", "1"),
        ("Block", "2"),
        ("Linear", "3"),
    ]
    assert [(e.source.name, e.target.name) for e in one.edges] == [("input", "0"), ("0", "1"), ("1", "2"), ("2", "3")]
    assert dict(one.nodes[1].parameters) == {"0.weight": (4, 3), "0.bias": (4,)}
    two = whole.collapsed(2)
    blocks = ["Linear", "tanh", "add"] * 2
    assert [n.label for n in two.nodes if n.kind != "input"] == ["linear", *blocks, "linear"]
    assert len(graph(net, fg.ones(5, 3), depth=0).nodes) == 2


def test_a_module_called_twice_is_two_boxes():
    block = Block()
    drawn = graph(lambda x: block(block(x)).sum(), fg.ones(2, 4), depth=0)
    assert [n.label for n in drawn.nodes if n.kind == "module"] == ["Block", "Block"]


# ---- formats ---------------------------------------------------------------------------------------------------------


def texts(svg):
    return [t.text for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_svg_says_what_it_should():
    drawn = graph(lambda x, y, z: (x + y) * z, number(-2.0), number(5.0), number(-4.0))
    found = texts(drawn.to_svg())
    for text in ("x", "y", "z", "+", "×", "-12", "3", "distributor", "swapper"):  # noqa: RUF001
        assert text in found
    assert "http" not in drawn.to_svg().replace("http://www.w3.org/2000/svg", "")


def test_nothing_overlaps():
    """Boxes of a net keep their distance."""
    ns = "{http://www.w3.org/2000/svg}"
    for view in (graph(block_net(), fg.ones(5, 3)), graph(block_net(), fg.ones(5, 3), depth=1)):
        boxes = [
            [float(r.get(k)) for k in ("x", "y", "width", "height")]
            for r in ET.fromstring(view.to_svg()).iter(ns + "rect")
            if r.get("width") != "100%"
        ]
        assert len(boxes) >= 5
        for i, (x, y, w, h) in enumerate(boxes):
            for u, v, s, t in boxes[i + 1 :]:
                assert x + w <= u or u + s <= x or y + h <= v or v + t <= y


def test_numbers_beside_wires_do_not_cover_each_other():
    def loss(W, x):  # a support vector machine, whose weights are used twice
        scores = W @ x
        return F.relu(scores - scores[1] + 1).sum() - 1 + 0.1 * (W**2).sum()

    drawn = graph(loss, number([[1.0, 2.0], [0.5, -1.0], [2.0, 1.0]]), fg.tensor([1.0, -1.0], dtype=fg.float64))
    boxes = []
    for text in ET.fromstring(drawn.to_svg()).iter("{http://www.w3.org/2000/svg}text"):
        if text.get("fill") in (VALUE, GRADIENT):
            x, y, wide = float(text.get("x")), float(text.get("y")), text_width(text.text)
            boxes.append((x - wide / 2, y - 10, x + wide / 2, y + 2))
    assert len(boxes) > 30
    for k, box in enumerate(boxes):
        assert shared(box, boxes[:k]) < 0.05 * (box[2] - box[0]) * 12


def test_what_cannot_be_drawn_is_refused():
    x = number(2.0)
    with pytest.raises(TypeError, match="graph: expected a Tensor, a function or a Module, got int"):
        graph(3)
    with pytest.raises(ValueError, match="depth should be None or an integer from 0 on, got -1"):
        graph(x * x, depth=-1)
    with pytest.raises(TypeError, match="explain_backward: expected a Tensor, got int"):
        explain_backward(3)
    with pytest.raises(TypeError, match="to_flat_numpy: expected a function or a Module, got int"):
        to_flat_numpy(3)


def test_names_are_escaped():
    def f(x):
        return x * 2

    f.__name__ = "<script>"
    page = graph(f, number(1.0)).to_html()
    assert "<script" not in page


def test_html_needs_nothing_else(tmp_path):
    drawn = graph(block_net(), fg.ones(5, 3))
    page = drawn.to_html()
    assert not re.findall(r'(?:src|href)="', page)
    assert page.count("<svg") == 3  # a view for each depth
    for suffix in ("svg", "html", "dot", "txt"):
        drawn.save(tmp_path / f"g.{suffix}")
        assert (tmp_path / f"g.{suffix}").stat().st_size > 100
    with pytest.raises(ValueError, match="suffix"):
        drawn.save(tmp_path / "g.png")


def test_dot():
    dot = graph(lambda x, y: x + y, number(1.0), number(2.0)).to_dot()
    assert dot.startswith("digraph") and dot.count("->") == 2 and '[label="+"' in dot


def test_a_table_stays_as_wide_as_a_terminal():
    net = fg.nn.Sequential(fg.nn.Linear(4, 4), fg.nn.ReLU())
    assert max(len(line) for line in str(graph(net, fg.randn(2, 4))).splitlines()) <= 120


def test_notebooks():
    x = number([1.0, 2.0])
    assert "<svg" not in x._repr_html_() and "tensor(" in x._repr_html_()
    y = (x * x).sum()
    assert "<svg" in y._repr_html_()
    y.backward()
    assert "<svg" not in y._repr_html_()
    assert "12 parameters" in fg.nn.Linear(3, 3)._repr_html_()
    assert graph(lambda x: x + x, number(1.0))._repr_svg_().startswith("<svg")


def test_the_pictures_of_the_documentation_are_what_the_code_draws():
    folder = Path(__file__).parent.parent / "docs" / "pictures"
    if not folder.exists():
        pytest.skip("the tests run outside a checkout")
    names = {}
    exec(compile((folder / "make.py").read_text(), "make.py", "exec"), names)
    for name in ("product-of-a-sum.svg", "dead-neuron.svg", "residual-net-collapsed.svg"):
        assert names["PICTURES"][name]() == (folder / name).read_text(), name


# ---- explanations ----------------------------------------------------------------------------------------------------


def test_each_step_multiplies_upstream_by_local():
    x, y = number([1.0, -2.0]), number([3.0, 0.5])
    told = explain_backward((x * y).tanh().sum(), names={"x": x, "y": y})
    for step in told:
        for _, local, downstream in step.inputs:
            if local is not None:
                np.testing.assert_allclose(step.upstream * local, downstream)
    (x * y).tanh().sum().backward()
    np.testing.assert_allclose(told.leaves["x"], x.grad.numpy())
    np.testing.assert_allclose(told.leaves["y"], y.grad.numpy())


def test_the_order_is_that_of_backward():
    order = []
    x = number(2.0)
    a = x * 3
    b = x.exp()
    c = a * b
    for name, t in (("c", c), ("a", a), ("b", b), ("x", x)):
        t.register_hook(lambda g, name=name: order.append(name))
    told = explain_backward(c + a, names={"x": x})
    (c + a).backward()
    names = {"mul_2": "c", "mul_1": "a", "exp_1": "b", "x": "x"}
    assert [names[s.node] for s in told if s.node in names and s.op != "add"] == order


def test_shared_values_add_up():
    x = number(3.0)
    told = explain_backward(x * x * x)
    assert told.leaves == {"leaf_1": 27}
    assert "leaf_1 is a leaf: its gradient is 27" in str(told)
    assert "<table" in told._repr_html_()


# ---- summary ---------------------------------------------------------------------------------------------------------


def test_summary_of_a_mlp():
    net = fg.nn.Sequential(fg.nn.Linear(8, 16), fg.nn.ReLU(), fg.nn.Linear(16, 4, bias=False))
    found = summary(net, fg.ones(10, 8))
    assert found.parameters == found.trainable == 8 * 16 + 16 + 16 * 4
    assert [row["output"] for row in found.rows] == [(10, 4), (10, 16), (10, 16), (10, 4)]
    assert [row["flops"] for row in found.rows] == [2560 + 160 + 1280, 2560, 160, 1280]
    assert found.activation_bytes == 10 * 16 * 4
    assert "Sequential" in str(found) and "<table" in found._repr_html_()


def test_summary_counts_shared_parameters_once_and_frozen_ones_apart():
    layer = fg.nn.Linear(4, 4)
    layer.bias.requires_grad_(False)
    found = summary(fg.nn.Sequential(layer, layer), fg.ones(1, 4))
    assert found.parameters == 20 and found.trainable == 16
    assert len(found.rows) == 3


def test_summary_wants_a_tensor_not_a_shape():
    with pytest.raises(TypeError, match=r"expected a Module, got function; viz.graph\(\) shows"):
        summary(lambda x: x * 2, fg.ones(2))
    with pytest.raises(TypeError, match=r"input 0 is a shape, \(4, 2\); pass a tensor: fastgrad.zeros\(4, 2\)"):
        fg.viz.summary(fg.nn.Linear(2, 3), (4, 2))
