"""The tape of a function as flat NumPy code: forward and backward, line by line. Imports _trace and _fused.

The lines are the ops that ran, those of the backward pass included: a rule is made of ops, so nothing here knows a
derivative. What an op is in NumPy its record says.
"""

import builtins
import inspect
import keyword
import math
import re
from time import perf_counter

import numpy as np

from fastgrad import _core
from fastgrad._core import Tensor, grad
from fastgrad._core.watch import Watcher, place
from fastgrad.viz import _fused
from fastgrad.viz._trace import named_tensors, only_tensor, read


class FlatCode:
    """NumPy code that computes a value and its gradients: `source` is its text, calling it runs it.

    `arguments` are the arrays it was made with, by name; calling it with others by keyword replaces them. A call returns the
    value and a dictionary of gradients by name.
    """

    def __init__(self, source, arguments, name, inputs=(), lines=None):
        self.source = source
        self.arguments = arguments
        self.inputs = inputs  # of which there are gradients
        self.lines = lines or {}  # a line's text -> (the op of the forward pass it belongs to, whether it is backward)
        self._name = name
        namespace = {}
        exec(compile(source, "<flat NumPy code>", "exec"), namespace)
        self._function = namespace[name]

    def __call__(self, **arguments):
        unknown = set(arguments) - set(self.arguments)
        if unknown:
            raise TypeError(f"unknown argument {sorted(unknown)[0]!r}; there are {', '.join(self.arguments)}")
        return self._function(**{**self.arguments, **arguments})

    def timed(self, key, lines):
        """A function that runs the code and returns its result and the seconds of its lines, added up by
        `key(op, backward)`."""
        body, keys = [], []
        for line in self.source.split("\n"):
            body.append(line)
            if line.strip() in lines:
                keys.append(key(*lines[line.strip()]))
                body.append("    _marks.append(_clock())")
        namespace = {"_clock": perf_counter}
        exec(compile("\n".join(body), "<timed flat NumPy code>", "exec"), namespace)

        def run():
            marks = namespace["_marks"] = [perf_counter()]
            result = namespace[self._name](**self.arguments)
            found = {}
            for name, start, end in zip(keys, marks[:-1], marks[1:], strict=True):
                found[name] = found.get(name, 0.0) + end - start
            return result, found

        return run

    def __str__(self):
        return self.source

    def __repr__(self):
        return f"<flat NumPy code of {', '.join(self.arguments)}>"


def to_flat_numpy(function, *inputs, names=None):
    """The tape of `function(*inputs)` written out as flat NumPy code, forward and backward.

    Args:
        function: takes Tensors, returns one Tensor; a Module is one. It runs once, and so does its backward pass; branches
            and loops are written out as they went.
        inputs: its arguments. Those that require grad get gradients, and so do parameters that it uses; where nothing
            requires grad, all real inputs do.
        names: {name: Tensor} of tensors that the function uses without taking them, or a Module.

    Returns: a `FlatCode`. Random numbers that were drawn are constants in it. One liberty is taken for readable code: where
    an upstream gradient is 0 and a local one infinite, fastgrad sends 0 back, NumPy NaN.

    Raises: NotImplementedError where an op has no NumPy form (a custom C kernel, an index that overlaps itself).

    Example:
        >>> code = to_flat_numpy(lambda x, y, z: (x + y) * z, *(fg.tensor(v, dtype=fg.float64) for v in (-2.0, 5.0, -4.0)))
        >>> print(code)
        import numpy as np
        <BLANKLINE>
        <BLANKLINE>
        def forward_backward(x, y, z):
            add_1 = x + y
            mul_1 = add_1 * z
        <BLANKLINE>
            dmul_1 = 1.0
            dadd_1 = dmul_1 * z
            dx = dadd_1
            dy = dadd_1
            dz = dmul_1 * add_1
            return mul_1, {"x": dx, "y": dy, "z": dz}
        >>> value, gradients = code()
        >>> float(value), float(gradients["z"])
        (-12.0, 3.0)
    """
    if not callable(function):
        raise TypeError(f"to_flat_numpy: expected a function or a Module, got {type(function).__name__}")
    named = named_tensors(function, inputs, names)
    if not any(t.requires_grad for _, t in named.values()):
        inputs = tuple(_made_leaf(x) for x in inputs)
        named = named_tensors(function, inputs, names)
    watcher = Watcher(keep=True)
    watcher.start()
    try:
        result = only_tensor(function(*inputs), "to_flat_numpy")
        forward = len(watcher)
        if not result.requires_grad:
            raise RuntimeError("to_flat_numpy: the result does not require grad: no input that does leads to it")
        first = None if result.numel() == 1 else _core.ones_like(result)
        wanted = _wanted(watcher, named, result, forward)
        grads = grad(result, wanted, first, allow_unused=True)
    finally:
        watcher.stop()
    return _Writer(named, read(watcher), result, wanted, grads).code()


def _made_leaf(x):
    if isinstance(x, Tensor) and x.is_floating_point():
        return x.detach().requires_grad_()
    return x


def _wanted(watcher, named, result, forward):
    """Every tensor so far that requires grad, leaves first, each place once."""
    found = {place(t): t for _, t in named.values() if t.requires_grad}
    leaves = dict(found)
    for t in watcher.tensors():
        if t.requires_grad and t.is_floating_point():
            found.setdefault(place(t), t)
            if t.is_leaf:
                leaves.setdefault(place(t), t)
    found.setdefault(place(result), result)
    return [*leaves.values(), *(t for key, t in found.items() if key not in leaves)]


class _Writer:
    """Turns steps into lines."""

    def __init__(self, named, steps, result, wanted, grads):
        self.steps = steps
        self.taken = set(keyword.kwlist) | set(dir(builtins)) | {"np"} | set(vars(_fused))
        self.names = {}  # place -> variable
        self.literals = {}  # place -> text
        self.arguments = {}  # variable -> array
        self.aliases = {}  # place -> further names
        self.count = {}
        self.result = result
        for key, (name, tensor) in named.items():
            self.add_argument(key, name, tensor)
        self.inputs = [name for name, t in ((self.names[key], t) for key, (_, t) in named.items()) if t.requires_grad]
        self.name_forward()
        self.name_gradients(wanted, grads)

    def fresh(self, stem):
        self.count[stem] = self.count.get(stem, 0) + 1
        name = f"{stem}_{self.count[stem]}"
        return name if name not in self.taken else self.fresh(stem)

    def take(self, name):
        name = re.sub(r"\W", "_", name)
        if not name.isidentifier():
            name = "net_" + name
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def add_argument(self, key, name, tensor):
        self.names[key] = self.take(name)
        self.arguments[self.names[key]] = tensor.detach().numpy()

    def name_forward(self):
        for step in self.steps:
            if step.within:
                continue
            for k, t in enumerate(step.outs):
                if t is not None and place(t) not in self.names and k < step.op.outputs - step.op.aux:
                    self.names[place(t)] = self.fresh(step.op.name.rstrip("_"))

    def name_gradients(self, wanted, grads):
        """`grad` returns copies: what was copied is the gradient itself."""
        copied = {}
        for step in self.steps:
            if step.op.name == "clone":
                copied[place(step.outs[0])] = place(step.ins[0])
        self.gradients = {}  # variable -> place of its gradient
        self.gradient_names = {}  # variable -> that of its gradient
        self.values = {}  # variable -> its gradient
        self.lines = {}
        made = {place(t): k for k, step in enumerate(self.steps) for t in step.outs if t is not None}
        order = sorted(
            zip(wanted, grads, strict=True), key=lambda pair: -made.get(place(pair[0]), -1)
        )  # the last made is the first to get its gradient
        for tensor, g in order:
            if g is None:
                continue
            key = copied.get(place(g), place(g))
            if place(tensor) not in self.names:
                self.add_argument(place(tensor), self.fresh("w"), tensor)
                self.inputs.append(self.names[place(tensor)])
            variable = self.names[place(tensor)]
            self.gradients[variable] = key
            self.gradient_names[variable] = self.take("d" + variable)
            self.values[variable] = g
            if key in self.names:
                self.aliases.setdefault(key, []).append(self.gradient_names[variable])
            else:
                self.names[key] = self.gradient_names[variable]

    # ---- one line ----------------------------------------------------------------------------------------------------

    def operand(self, t, op):
        """The text of an input."""
        if t is None:
            return "None"
        key = place(t)
        if key in self.names:
            return self.names[key]
        if key not in self.literals:
            if t.numel() == 1 and t.ndim == 0:
                self.literals[key] = _number(t.item())
            else:
                self.add_argument(key, self.fresh("c"), t)
                return self.names[key]
        text = self.literals[key]
        if op.elementwise or t.dtype in (_core.float64, _core.int64):
            return text
        return f"np.{t.dtype.name}({text})"

    def lines_of(self, step):
        """[(outputs, inputs, text)] of a step: places written, places read, and the line."""
        form = step.op.numpy
        shapes = [None if t is None else tuple(t.shape) for t in step.ins]
        if callable(form):
            form = form(step.attrs, *shapes)
        forms = (form,) * len(step.outs) if not isinstance(form, tuple) and len(step.outs) == 1 else form
        if step.op.name == "split":
            forms = _parts(step)
        lines = []
        for t, text in zip(step.outs, forms or [None] * len(step.outs), strict=False):
            if t is None:
                continue
            key = place(t)
            reads = [place(x) for x in step.ins if x is not None]
            if text is None:  # drawn at random, or no NumPy form: a constant
                lines.append((key, (), None, step))
                continue
            lines.append((key, reads, text, step))
        return lines

    def format(self, text, key, step):
        out = next(t for t in step.outs if t is not None and place(t) == key)
        text = re.sub(r"\{(\w+)\}", lambda m: _placeholder(m[1], step, out), text)
        operands = [self.operand(t, step.op) for t in step.ins]
        alone = re.fullmatch(r"x\d+", text)

        def put(match):
            if match[1] == "y":
                return self.operand(step.outs[int(match[2])], step.op)
            name = operands[int(match[2])]
            return f"({name})" if name.startswith("-") and not alone else name

        return re.sub(r"\b([xy])(\d+)\b", put, text)

    def code(self):
        lines = [line for step in self.steps for line in self.lines_of(step)]
        wanted = {place(self.result)} | {self.gradients[name] for name in self.inputs if name in self.gradients}
        kept = []
        for line in reversed(lines):
            key, reads, text, step = line
            if key not in wanted:
                continue
            if place_is_read(step, key):
                wanted.add(key)
            elif text is not None:
                wanted.discard(key)
            wanted.update(reads)
            if text is not None and re.search(r"\by\d+\b", text):
                wanted.update(place(t) for t in step.outs if t is not None and place(t) != key)
            kept.append(line)
        kept.reverse()
        body, gap, where = [], False, None
        owners = {step.node: step.op.name for step in self.steps if step.node and not step.within}
        for key, _, text, step in kept:
            if text is None:
                if step.op.family != "random":
                    raise NotImplementedError(f"to_flat_numpy: {step.op.name} has no NumPy form")
                tensor = next(t for t in step.outs if t is not None and place(t) == key)
                if key not in self.names or self.names[key] not in self.arguments:
                    self.add_argument(key, self.fresh("drawn"), tensor)
                continue
            if step.within and not gap:
                gap = True
                body.append("")
                body += self.start()
            path = step.modules[-1][0] if step.modules else None
            if path != where and path is not None:
                body.append(f"# {path}: {type(step.modules[-1][1]).__name__}")
            where = path
            expression = self.format(text, key, step)
            if place_is_read(step, key):
                body.append(f"{self.names[key]}[...] = {expression}")
                continue
            if key not in self.names and re.fullmatch(r"\w+\.T", expression):
                self.names[key] = expression  # a transpose is read where it is used
                continue
            if key not in self.names:
                self.names[key] = self.fresh("g" if step.within else step.op.name)
            body.append(f"{self.names[key]} = {expression}")
            self.lines[body[-1]] = (owners.get(step.within, step.op.name), bool(step.within))
            body += [f"{alias} = {self.names[key]}" for alias in self.aliases.pop(key, ())]
        if not gap:
            body += ["", *self.start()]
        returned = [f'"{name}": {self.gradient_names[name]}' for name in self.inputs if name in self.gradients]
        value = self.names[place(self.result)]
        if len(", ".join(returned)) < 80:
            body.append(f"return {value}, {{{', '.join(returned)}}}")
        else:
            body += [f"return {value}, {{", *(f"    {entry}," for entry in returned), "}"]
        return self.assemble(body)

    def start(self):
        """The line of the gradient that the backward pass begins with."""
        key = self.gradients[self.names[place(self.result)]]
        shape = tuple(self.result.shape)
        one = "1.0" if self.result.dtype is _core.float64 else f"np.{self.result.dtype.name}(1.0)"
        value = one if self.result.ndim == 0 else f"np.ones({shape}, np.{self.result.dtype.name})"
        lines = [f"{self.names[key]} = {value}"] + [
            f"{alias} = {self.names[key]}" for alias in self.aliases.pop(key, ())
        ]
        made = {place(t) for step in self.steps for t in step.outs if t is not None}
        for name in self.inputs:  # a gradient that is one constant number
            constant = self.gradients.get(name)
            if constant is not None and constant not in made and constant != key:
                lines.append(f"{self.gradient_names[name]} = {_number(self.values[name].item())}")
        return lines

    def assemble(self, body):
        helpers = {}
        pending = "\n".join(body)
        while True:
            used = [
                name
                for name, thing in vars(_fused).items()
                if inspect.isfunction(thing) and name not in helpers and re.search(rf"\b{name}\(|\b{name},", pending)
            ]
            if not used:
                break
            for name in used:
                helpers[name] = inspect.getsource(getattr(_fused, name))
            pending = "\n".join(helpers.values())
        text = "\n".join(body)
        arguments = [name for name in self.arguments if re.search(rf"\b{re.escape(name)}\b", text)]
        indented = "\n".join("    " + line if line else "" for line in body)
        order = [name for name in vars(_fused) if name in helpers]
        source = "import numpy as np\n\n\n"
        if "erf" in helpers:
            source = "import math\n\n" + source
        source += "".join(helpers[name].rstrip() + "\n\n\n" for name in order)
        source += f"def forward_backward({', '.join(arguments)}):\n{indented}\n"
        return FlatCode(
            source.rstrip(),
            {name: self.arguments[name] for name in arguments},
            "forward_backward",
            [name for name in self.inputs if name in self.gradients],
            self.lines,
        )


def place_is_read(step, key):
    """Whether a step writes into what it reads."""
    return any(t is not None and place(t) == key for t in step.ins)


# ---- attributes as text ----------------------------------------------------------------------------------------------


def _number(x):
    if isinstance(x, bool):
        return str(x)
    if isinstance(x, float):
        if math.isnan(x):
            return "np.nan"
        if math.isinf(x):
            return "np.inf" if x > 0 else "-np.inf"
        if abs(x) < 3e38 and x == float(np.float32(x)):  # as short as float32 prints it
            return repr(float(str(np.float32(x))))
    return repr(x)


def _axes(mask, ndim):
    return tuple(k for k in range(ndim) if mask >> k & 1)


def _over(step):
    """The axes of a reduction as keywords."""
    ndim = step.ins[0].ndim
    axes = _axes(step.attrs.axes, ndim)
    keep = ", keepdims=True" if step.attrs.mode == 1 else ""
    if len(axes) == ndim and not keep:
        return ""
    return f"axis={axes[0] if len(axes) == 1 else axes}{keep}"


def _sum(step, out):
    if step.attrs.mode != 2:
        return f"x0.sum({_over(step)})"
    ndim, lead = step.ins[0].ndim, step.ins[0].ndim - out.ndim
    axes = _axes(step.attrs.axes, ndim)
    if axes == tuple(range(lead)):
        return "x0.sum()" if len(axes) == ndim else f"x0.sum(axis={axes[0] if len(axes) == 1 else axes})"
    text = f"x0.sum(axis={axes[0] if len(axes) == 1 else axes}, keepdims=True)"
    return f"{text}.reshape({tuple(out.shape)})" if lead else text


def basic_index(shape, offset, sizes, strides):
    """The basic index that gives a strided pattern over an array of this shape in row-major order, as text.

    >>> basic_index((4, 5), 7, (2, 3), (10, 1))
    '1::2, 2:'
    """
    if len(strides) < len(sizes):
        raise NotImplementedError("to_flat_numpy: an index with new axes that is written to")
    dense = [int(np.prod(shape[k + 1 :], dtype=np.int64)) for k in range(len(shape))]
    starts, rest = [], offset
    for d, n in zip(dense, shape, strict=True):
        starts.append(min(rest // d, n - 1) if d else 0)
        rest -= starts[-1] * d
    keys, text, j = [], [], 0
    for k, (d, n) in enumerate(zip(dense, shape, strict=True)):
        while j < len(sizes) and sizes[j] == 1 and (strides[j] != d or len(sizes) - j > len(shape) - k):
            keys.append(None)
            text.append("None")
            j += 1
        step = strides[j] // d if j < len(sizes) and d and strides[j] % d == 0 else 0
        if step >= 1 and starts[k] + (sizes[j] - 1) * step < n:
            stop = starts[k] + (sizes[j] - 1) * step + 1
            keys.append(slice(starts[k], stop, step))
            whole = starts[k] == 0 and stop + step > n
            begin = "" if starts[k] == 0 else str(starts[k])
            end = "" if stop + step > n else str(stop)
            text.append(":" if whole and step == 1 else f"{begin}:{end}" + (f":{step}" if step > 1 else ""))
            j += 1
        else:
            keys.append(starts[k])
            text.append(str(starts[k]))
    for _ in range(j, len(sizes)):
        keys.append(None)
        text.append("None")
    flat = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    grid = np.full(sizes, offset)
    for axis, stride in enumerate(strides):
        grid += (np.arange(sizes[axis]) * stride).reshape([-1 if k == axis else 1 for k in range(len(sizes))])
    try:
        if np.array_equal(flat[tuple(keys)], grid):
            return ", ".join(text) or "()"
    except IndexError:
        pass
    raise NotImplementedError("to_flat_numpy: a view that no basic index gives")


def _index(step):
    """The key of advanced indexing: index tensors at their axes, colons elsewhere."""
    axes = _axes(step.attrs.axes, step.ins[0].ndim)
    first = len(step.ins) - len(axes)
    at = {axis: f"x{first + k}" for k, axis in enumerate(axes)}
    return ", ".join(at.get(k, ":") for k in range(max(axes) + 1))


def _parts(step):
    """The outputs of a split as slices."""
    lead = ":, " * step.attrs.axis
    found, at = [], 0
    for n in step.attrs.py:
        found.append(f"x0[{lead}{at}]" if step.attrs.mode else f"x0[{lead}{at}:{at + n}]")
        at += n
    return tuple(found)


def _placeholder(name, step, out):
    a = step.attrs
    if name == "over":
        return _over(step)
    if name == "sum":
        return _sum(step, out)
    if name == "out":
        return str(tuple(out.shape))
    if name == "dtype":
        return out.dtype.name
    if name == "inputs":
        return ", ".join(f"x{k}" for k in range(len(step.ins)))
    if name == "index":
        return _index(step)
    if name == "sliced":
        return f"x0[{basic_index(tuple(step.ins[0].shape), a.offset, a.shape, a.stride)}]"
    if name == "key":
        inner = step.ins[0] if step.op.name == "unslice" else step.ins[1]
        return basic_index(tuple(out.shape), a.offset, tuple(inner.shape), a.stride[: inner.ndim])
    if name == "mode":
        return str(a.mode) if step.op.name != "index_put" else str(bool(a.mode))
    if name in ("axis", "shape"):
        return str(getattr(a, name))
    kind, k = name[0], int(name[1:])
    return _number(a.f[k]) if kind == "f" else str(a.i[k])
