"""The computational graph as nodes and edges: from a function that is run, or from the tape behind a tensor.

Imports the core, _trace and, to draw, _draw.
"""

import re
from dataclasses import dataclass, field, replace

import numpy as np

from fastgrad._core import Tensor, grad
from fastgrad._core.backward import pull
from fastgrad._core.table import rule_names
from fastgrad._core.watch import describe, history, place
from fastgrad.viz import _draw
from fastgrad.viz._explain import node_names, postorder
from fastgrad.viz._trace import named_tensors, only_tensor, trace

MANY = 40  # nodes above which modules are drawn collapsed


@dataclass(eq=False, slots=True)
class GraphNode:
    """One node of a drawn graph.

    kind: "input" (a named tensor), "constant", "op", "module" (collapsed) or "output". label: what it is called; sign: its
    arithmetic sign or None. shape, dtype, value, gradient: of its output; what is not known is None. role: how it treats a
    gradient ("distributor", "adder", "swapper", "router") or None. module: the path of the module it is in, or "".
    """

    kind: str
    label: str
    name: str = ""
    sign: str | None = None
    shape: tuple | None = None
    dtype: object = None
    value: object = None
    gradient: object = None
    role: str | None = None
    module: str = ""
    doc: str = ""
    line: tuple | None = None
    requires_grad: bool = False
    parameters: list = field(default_factory=list)
    modules: tuple = ()


@dataclass(eq=False, slots=True)
class GraphEdge:
    """What flows from one node to another: the value, and back along this edge alone its share of the gradient."""

    source: GraphNode
    target: GraphNode
    value: object = None
    gradient: object = None
    shape: tuple | None = None


class Graph:
    """A computational graph to look at: `nodes` and `edges` in order of execution.

    `print(graph)` lists it; `to_svg()`, `to_html()` and `to_dot()` return text, `save(path)` writes what the suffix says
    (.svg, .html, .dot, .txt). In a notebook it shows itself.
    """

    def __init__(self, nodes, edges, title=""):
        self.nodes, self.edges, self.title = nodes, edges, title

    def __str__(self):
        return _draw.as_text(self)

    def __repr__(self):
        return f"<graph of {len(self.nodes)} nodes and {len(self.edges)} edges>"

    def to_dot(self):
        """The graph in Graphviz's language."""
        return _draw.as_dot(self)

    def to_svg(self, numbers=None):
        """The graph as an SVG picture.

        numbers: whether values and gradients are written at the edges; by default where the graph is small.
        """
        return _draw.as_svg(self, numbers)

    def to_html(self):
        """A page of its own, without scripts: the picture, expanded as far as one chooses, and the list of nodes."""
        return _draw.as_html(self)

    def save(self, path):
        """Writes .svg, .html, .dot or .txt."""
        writers = {"svg": self.to_svg, "html": self.to_html, "dot": self.to_dot, "txt": self.__str__}
        suffix = str(path).rpartition(".")[2]
        if suffix not in writers:
            raise ValueError(f"save: the suffix must be one of {', '.join(writers)}, got {str(path)!r}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(writers[suffix]())

    def _repr_svg_(self):
        return self.to_svg()

    @property
    def depth(self):
        """How deep modules are nested in it."""
        return max((len(node.modules) for node in self.nodes), default=0)

    def collapsed(self, depth):
        """The graph with modules as single nodes: those `depth` levels below the outermost; 0 is the outermost itself."""
        groups, nodes, home = {}, [], {}
        for node in self.nodes:
            if len(node.modules) <= depth:
                nodes.append(node)
                home[node] = node
                continue
            path, module, call = node.modules[depth]
            key = (path, call)
            if key not in groups:
                groups[key] = GraphNode(
                    "module", type(module).__name__, path.rpartition(".")[2], modules=node.modules[:depth]
                )
                groups[key].module = path.rpartition(".")[0]
                groups[key].doc = f"{path}: {module.extra_repr()}"
                nodes.append(groups[key])
            group = groups[key]
            home[node] = group
            group.shape, group.dtype, group.requires_grad = node.shape, node.dtype, node.requires_grad
        edges, inner, drawn = [], set(), set()
        for edge in self.edges:
            source, target = home[edge.source], home[edge.target]
            if source is target:
                continue
            if source.kind == "input" and target.kind == "module" and source.name.rpartition(".")[0]:
                target.parameters.append((source.name, source.shape))
                inner.add(source)
                continue
            if "module" in (source.kind, target.kind):
                if (source, target) in drawn:
                    continue
                drawn.add((source, target))
            edges.append(GraphEdge(source, target, edge.value, edge.gradient, edge.shape))
        used = {e.source for e in edges} | {e.target for e in edges}
        return Graph([n for n in nodes if n in used or (n not in inner and n.kind == "module")], edges, self.title)

    def folded(self):
        """The graph with parameters that one op reads written into that op."""
        readers = {}
        for edge in self.edges:
            readers.setdefault(edge.source, []).append(edge.target)
        copies = {node: replace(node, parameters=list(node.parameters)) for node in self.nodes}
        gone = set()
        for node in self.nodes:
            if node.kind == "input" and "." in node.name and len(readers.get(node, ())) == 1:
                copies[readers[node][0]].parameters.append((node.name, node.shape))
                gone.add(node)
            elif node.kind == "constant":
                gone.add(node)
        edges = [
            replace(e, source=copies[e.source], target=copies[e.target]) for e in self.edges if e.source not in gone
        ]
        return Graph([copies[n] for n in self.nodes if n not in gone], edges, self.title)


def graph(target, *inputs, names=None, depth=None):
    """The computational graph of a function that is run with `inputs`, or of the tape behind a tensor.

    Args:
        target: a function or Module, whose graph knows every value, constants too, and where the result is one number every
            gradient; or a Tensor with a history, whose graph knows what the tape saved.
        inputs: the arguments of the function.
        names: {name: Tensor} or a Module: names of tensors that are not arguments.
        depth: collapse modules this many levels below the outermost one; None: not at all, unless the graph is large.

    Returns: a `Graph`.

    Raises: RuntimeError where the tensor has no history, or a backward run has freed it.

    Example:
        >>> def f(x, y, z):
        ...     return (x + y) * z
        >>> print(graph(f, *(fg.tensor(v, requires_grad=True) for v in (-2.0, 5.0, -4.0))))
        node   what         shape  value  gradient  role
        x      input        ()        -2        -4
        y      input        ()         5        -4
        z      input        ()        -4         3
        add_1  add x y      ()         3        -4  distributor
        mul_1  mul add_1 z  ()       -12         1  swapper
    """
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise ValueError(f"graph: depth should be None or an integer from 0 on, got {depth!r}")
    if not isinstance(target, Tensor) and not callable(target):
        raise TypeError(f"graph: expected a Tensor, a function or a Module, got {type(target).__name__}")
    if isinstance(target, Tensor):
        if inputs:
            raise TypeError("graph: a Tensor takes no inputs; give the function that made it")
        made = _from_tape(target, names)
    else:
        made = _from_trace(target, inputs, names)
    if depth is None and len(made.nodes) > MANY and made.depth:
        depth = next((d for d in range(made.depth - 1, 0, -1) if len(made.collapsed(d).nodes) <= MANY), 1)
        return made.collapsed(depth)
    return made if depth is None else made.collapsed(depth)


def sign_of(op):
    """The arithmetic sign of a binary op, as its NumPy form writes it."""
    match = re.fullmatch(r"x0 ?([-+*/@%]|\*\*|//) ?x1", op.numpy) if isinstance(op.numpy, str) else None
    return {"*": "×", "/": "÷", "-": "−"}.get(match[1], match[1]) if match else None  # noqa: RUF001


def _array(t):
    return t.detach().numpy().copy()


# ---- roles -----------------------------------------------------------------------------------------------------------


def named_by(op, k):
    """The names of the arguments of an op's rule for input k."""
    rules = op.vjp
    if not isinstance(rules, tuple):
        return ()
    rule = rules[min(k, len(rules) - 1)]
    return () if rule is None else rule_names(rule)


def role_of(op, upstream, shares, ins, out):
    """How an op treats the gradient, in the words of the lecture figures; None where none of them fits.

    A swapper multiplies it by the other input: its rules read each the other one. A distributor hands it on to every
    input: its rules read nothing. A router hands each element to the input whose value the output is, or to none.
    """
    if upstream is None or not isinstance(op.vjp, tuple):
        return None
    reads = [{name for name in named_by(op, k) if name[0] in "xy"} for k in range(len(ins))]
    if reads == [{"x1"}, {"x0"}]:
        return "swapper" if sign_of(op) in ("×", "@") else None  # noqa: RUF001
    arriving = [(x, share) for x, share in zip(ins, shares, strict=True) if share is not None]
    if not op.elementwise or not arriving:
        return None
    if len(arriving) > 1 and not any(reads):
        return "distributor" if all(np.allclose(np.sum(s), np.sum(upstream)) for _, s in arriving) else None
    routed = [
        np.shape(s) == np.shape(upstream) and np.array_equal(s, np.where(x == out, upstream, 0)) for x, s in arriving
    ]
    return "router" if any(reads) and all(routed) else None


# ---- from a function -------------------------------------------------------------------------------------------------


def _from_trace(function, inputs, names):
    named = named_tensors(function, inputs, names)
    result, steps = trace(function, *inputs)
    result = only_tensor(result, "graph")
    tensors = {place(t): t for _, t in named.values()}
    for step in steps:
        for t in (*step.ins, *step.outs):
            if t is not None:
                tensors[place(t)] = t
    gradients = {}
    if result.requires_grad and result.numel() == 1:
        wanted = {key: t for key, t in tensors.items() if t.requires_grad}
        got = grad(result, list(wanted.values()), retain_graph=True, allow_unused=True)
        gradients = {key: g for key, g in zip(wanted, got, strict=True) if g is not None}

    nodes, edges, made = [], [], {}
    counts = {}

    def source(t):
        key = place(t)
        if key not in made:
            name, _ = named.get(key, ("", None))
            node = GraphNode("input" if name else "constant", name or _constant(t), name)
            _fill(node, t, gradients.get(key))
            nodes.append(node)
            made[key] = node
        return made[key]

    for key, (_, t) in named.items():  # arguments first, in their order
        if any(x is not None and place(x) == key for step in steps for x in step.ins):
            source(t)
    for step in steps:
        t = next((t for t in step.outs if t is not None), None)
        if t is None or step.within:
            continue
        counts[step.op.name] = counts.get(step.op.name, 0) + 1
        node = GraphNode(
            "op", step.op.name, f"{step.op.name}_{counts[step.op.name]}", sign_of(step.op), doc=step.op.doc or ""
        )
        node.modules, node.line = step.modules, step.line
        node.module = step.modules[-1][0] if step.modules else ""
        _fill(node, t, gradients.get(place(t)))
        shares = [None] * len(step.ins)
        past = history(t)
        if place(t) in gradients and past is not None:
            shares = _shares(step, past[0], gradients)
            upstream = _array(gradients[place(t)])
            ins = [None if x is None else _array(x) for x in step.ins]
            node.role = role_of(step.op, upstream, shares, ins, _array(t))
        for x, share in zip(step.ins, shares, strict=True):
            if x is not None:
                edges.append(GraphEdge(source(x), node, _array(x), share, tuple(x.shape)))
        nodes.append(node)
        for y in step.outs[: max(step.op.outputs - step.op.aux, 1)] if step.op.name != "split" else step.outs:
            if y is not None:
                made[place(y)] = node
    kept = _leading_to(made.get(place(result)), edges)
    _mark_adders(edges, kept)
    title = getattr(function, "__name__", type(function).__name__)
    return Graph(
        [n for n in nodes if n in kept], [e for e in edges if e.source in kept and e.target in kept], title.strip("<>")
    )


def _shares(step, node, gradients):
    """What an op's node sends back along each input."""
    op, _, shapes, _, _ = describe(node)
    if op is not step.op:
        return [None] * len(step.ins)
    gs = [gradients.get(place(y)) if y is not None else None for y in step.outs[: len(shapes)]]
    found = pull(node, gs)
    return [None if g is None else _array(g) for g in found] + [None] * (len(step.ins) - len(found))


def _constant(t):
    return _draw.number(t.item()) if t.numel() == 1 else "constant"


def _fill(node, t, gradient):
    node.shape, node.dtype, node.value = tuple(t.shape), t.dtype, _array(t)
    node.gradient = None if gradient is None else _array(gradient)
    node.requires_grad = t.requires_grad


def _leading_to(node, edges):
    into = {}
    for edge in edges:
        into.setdefault(edge.target, []).append(edge.source)
    found, waiting = set(), [node] if node is not None else []
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += into.get(node, ())
    return found


def _mark_adders(edges, kept):
    """A value that several ops read is an adder on the way back."""
    uses = {}
    for edge in edges:
        if edge.source in kept and edge.target in kept and edge.gradient is not None:
            uses[edge.source] = uses.get(edge.source, 0) + 1
    for node, n in uses.items():
        if n > 1 and node.role is None and node.kind != "op":
            node.role = "adder"


# ---- from a tape -----------------------------------------------------------------------------------------------------


def _from_tape(tensor, names):
    past = history(tensor)
    if past is None:
        raise RuntimeError("graph: this tensor has no history: nothing it was computed from requires grad")
    order = postorder(past[0])
    called = node_names(order, names)
    if names is not None and not isinstance(names, dict):
        names = dict(names.named_parameters())
    leaves = {history(t)[0]: t for t in (names or {}).values() if history(t) is not None}
    nodes, edges, made = [], [], {}
    for node in order:
        op, _, shapes, dtype, saved = describe(node)
        if op is None:
            drawn = GraphNode("input", called[node], called[node])
            if node in leaves:
                _fill(drawn, leaves[node], leaves[node].grad)
        else:
            label = called[node].rpartition("_")[0]
            drawn = GraphNode("op", label, called[node], sign_of(op), doc=op.doc or "")
            if "y0" in saved:
                drawn.value = _array(saved["y0"])
            for k, (parent, _) in enumerate(node.next_functions):
                value = _array(saved[f"x{k}"]) if f"x{k}" in saved else None
                if parent is not None:
                    source = made[parent]
                    if source.value is None and value is not None:
                        source.value = value
                    edges.append(GraphEdge(source, drawn, source.value, None, source.shape))
                elif value is not None:
                    source = GraphNode("constant", _draw.number(value.item()) if value.size == 1 else "constant", "")
                    source.value, source.shape, source.dtype = value, value.shape, saved[f"x{k}"].dtype
                    nodes.append(source)
                    edges.append(GraphEdge(source, drawn, value, None, value.shape))
        drawn.shape, drawn.dtype, drawn.requires_grad = shapes[0], dtype, True
        made[node] = drawn
        nodes.append(drawn)
    for edge in edges:
        edge.value = edge.source.value
        edge.shape = edge.source.shape
    if tensor.numel() == 1:
        made[past[0]].value = _array(tensor)
    return Graph(nodes, edges, "tape")
