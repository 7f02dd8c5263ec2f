"""Calls as a user writes them, as text: what they give here is compared with what they give with PyTorch.

`t` is the module, `F` its functional. The letters of TENSORS are tensors, made anew for each call; those of a real dtype
require grad. A line that starts with "!" is a call that must raise.
"""

import re
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"  # calls.txt: those that are not made by a rule below


def _draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


# name: (values, dtype)
TENSORS = {
    "x": (_draw(1, 2, 3), "float64"),
    "y": (_draw(2, 2, 3), "float64"),
    "z": (_draw(3, 2, 3, 4), "float64"),
    "p": (np.abs(_draw(4, 2, 3)) + 0.1, "float64"),
    "q": (np.random.default_rng(5).uniform(0.05, 0.95, (2, 3)), "float64"),
    "v": (_draw(6, 3), "float64"),
    "w": (_draw(7, 4), "float64"),
    "m": (_draw(8, 3, 3) + 2 * np.eye(3), "float64"),
    "n": (_draw(9, 2, 3, 3), "float64"),
    "s": (np.array(0.7), "float64"),
    "f": (_draw(10, 2, 3), "float32"),
    "g": (np.array(1.5), "float32"),
    "o": (np.zeros((0, 3)), "float64"),
    "i": (np.array([[3, -1, 2], [0, 5, -7]]), "int64"),
    "j": (np.array([[1, 2, 4], [3, 1, 2]]), "int32"),
    "u": (np.array([[1, 200, 4], [3, 0, 255]]), "uint8"),
    "b": (np.array([[True, False, True], [False, False, True]]), "bool"),
    "c": (np.array([2, 0]), "int64"),
    "k": (np.array([[0, 1, 1], [1, 0, 1]]), "int64"),
}


def _names(text):
    return text.split()


_UNARY = _names("""
abs absolute acos arccos asin arcsin atan arctan ceil cos cosh erf erfc exp exp2 expm1 fix floor frac log log10
log1p log2 logical_not neg negative reciprocal round rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc relu isnan isinf
isfinite nan_to_num acosh asinh atanh deg2rad rad2deg sinc logit sgn signbit positive isposinf isneginf
isreal arccosh arcsinh arctanh""")
_BINARY = _names("""
add sub mul div true_divide divide multiply subtract pow maximum minimum fmax fmin fmod remainder floor_divide atan2
arctan2 hypot xlogy logaddexp logaddexp2 eq ne lt le gt ge greater less greater_equal less_equal not_equal logical_and
logical_or logical_xor float_power copysign heaviside""")
# PyTorch takes no number as their second argument; here some do.
_TENSORS_ONLY = _names("""maximum minimum fmax fmin atan2 arctan2 hypot logaddexp logaddexp2 heaviside logical_and logical_or
logical_xor""")
_FUNCTIONAL = _names("""relu relu6 elu selu celu gelu silu mish hardtanh hardswish hardsigmoid softsign logsigmoid tanhshrink
softshrink hardshrink leaky_relu softplus sigmoid tanh""")

CALLS = []
for _f in _UNARY:
    _x = {"acosh": "(p + 1)", "arccosh": "(p + 1)"}.get(_f, "q")
    CALLS += [f"t.{_f}({_x})", f"{_x}.{_f}()", f"t.{_f}(input={_x})"]
    CALLS += [f"t.{_f}({a})" for a in ("f", "i", "b", "u")]
for _f in _BINARY:
    CALLS += [
        f"t.{_f}(p, q)",
        f"p.{_f}(q)",
        f"p.{_f}(other=q)" if _f not in ("pow", "float_power") else f"p.{_f}(exponent=q)",
    ]
    CALLS += [f"t.{_f}({a}, {c})" for a, c in ("pv", "fp", "fs", "ij", "if", "bi", "bb", "uj", "iu", "sf", "jg")]
    if _f not in _TENSORS_ONLY:
        CALLS += [f"p.{_f}(2.5)", f"i.{_f}(2)", f"i.{_f}(1.5)", f"b.{_f}(2)", f"f.{_f}(3)"]
for _f in _FUNCTIONAL:
    CALLS += [f"F.{_f}(x)", f"F.{_f}(f)", f"F.{_f}(input=x)"]
for _o in ("+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!="):
    CALLS += [f"p {_o} q", f"p {_o} 2", f"2.5 {_o} p", f"i {_o} 2", f"7 {_o} j", f"f {_o} s", f"i {_o} 1.5"]
for _o in ("&", "|", "^"):
    CALLS += [f"j {_o} 2", f"j {_o} j", f"3 {_o} j", f"i.abs() {_o} j"]
    CALLS += [f"b {_o} (i > 0)", f"True {_o} b", f"b {_o} False"]

# Functions along a dimension: what comes between the tensor and the dimension, and whether the dimension may be left out, may
# be several, may stay with size 1.
_ALONG = dict.fromkeys(
    _names("""
sum mean prod var std amax amin norm logsumexp nansum nanmean median nanmedian any all argmax argmin max
min count_nonzero cumsum cumprod cummax cummin softmax log_softmax sort argsort topk kthvalue mode aminmax var_mean std_mean
logcumsumexp diff flip roll unbind quantile"""),
    "",
)
_ALONG |= {"kthvalue": "2, ", "topk": "2, ", "roll": "1, ", "quantile": "0.3, "}
_NEEDED = _names("cumsum cumprod cummax cummin logcumsumexp logsumexp softmax log_softmax flip")
_SEVERAL = _names("sum mean var std amax amin logsumexp nansum norm any all var_mean count_nonzero")
_KEPT = _names("""sum mean prod var std amax amin logsumexp any all argmax argmin max min median nansum norm nanmean kthvalue mode
var_mean std_mean nanmedian quantile""")
for _f, _first in _ALONG.items():
    _dim = "dims=" if _f in ("flip", "roll") else "dim="
    _at = {n: f"{_first}{_dim}({n},)" if _f == "flip" else f"{_first}{_dim}{n}" for n in (0, 1, -1, 5, -3)}
    if _f not in _NEEDED:
        _only = _first.rstrip(", ")
        CALLS += [f"t.{_f}(x, {_only})" if _only else f"t.{_f}(x)", f"x.{_f}({_only})"]
    CALLS += [f"t.{_f}(x, {_at[0]})", f"t.{_f}(x, {_at[-1]})", f"!t.{_f}(x, {_at[5]})", f"!t.{_f}(x, {_at[-3]})"]
    CALLS += [f"x.{_f}({_at[1]})" if _first else f"t.{_f}(input=x, {_at[1]})"]
    if _f not in ("flip", "roll"):
        CALLS += [f"x.{_f}({_first}axis=1)"]
    if _f in _KEPT:
        CALLS += [f"z.{_f}({_first}dim=1, keepdim=True)", f"z.{_f}({_first}dim=2, keepdims=True)"]
    if _f in _SEVERAL:
        CALLS += [f"z.{_f}(dim=(0, 2))", f"t.{_f}(z, dim=[-1, 0])", f"!z.{_f}(dim=(0, 0))"]
    CALLS += [f"t.{_f}({a}, {_at[0]})" for a in "fijbu"]
    CALLS += ["t.roll(x, (1, 2), (0, 1))" if _f == "roll" else f"t.{_f}(s, {_at[0].replace('2', '1')})"]
    CALLS += [f"t.{_f}(o, {_at[0].replace('2', '0') if _f == 'topk' else _at[0]})", f"t.{_f}(o, {_at[1]})"]

CALLS += (DATA / "calls.txt").read_text(encoding="utf-8").splitlines()
CALLS = list(dict.fromkeys(CALLS))


# What differs on purpose: docs/differences.md says why.
DIFFERENT = set((DATA / "calls_different.txt").read_text(encoding="utf-8").splitlines())


def _flat(result):
    """The leaves of nested tuples and lists; a shape is one."""
    if isinstance(result, (tuple, list)) and type(result).__name__ != "Size":
        return [leaf for part in result for leaf in _flat(part)]
    return [result]


def _sums(array):
    """Two weighted sums of an array, in which any wrong element shows; NaN and infinities count as numbers."""
    a = np.nan_to_num(np.asarray(array, np.float64).ravel(), nan=7.25, posinf=31.5, neginf=-29.5)
    k = np.arange(a.size)
    return [float(a @ np.cos(0.7 * k + 0.3)), float(a @ np.sin(1.3 * k + 1))]


def _weighted(ys, module, wave):
    """The sum of all elements times fixed weights, a scalar to differentiate; None where nothing requires grad."""
    total = None
    for k, y in enumerate(ys):
        if not isinstance(y, module.Tensor) or not y.requires_grad:
            continue
        weights = module.tensor(wave(np.arange(y.numel()) * 0.7 + k + 1).reshape(tuple(y.shape)))
        part = (y.double() * weights).sum()
        total = part if total is None else total + part
    return total


def _sums_of(gradients):
    return [n for g in gradients for n in ([0.0, 0.0] if g is None else _sums((g.detach() + 0).numpy()))]


def _described(leaf, module):
    """A result as what JSON can hold: its kind, then what must be equal, then numbers that must be close."""
    if isinstance(leaf, module.Tensor):
        shape = [str(leaf.dtype).rpartition(".")[2], *leaf.shape, "grad" if leaf.requires_grad else "no grad"]
        return [shape, _sums(leaf.detach().numpy())]
    if isinstance(leaf, module.dtype):
        return [["dtype", str(leaf).rpartition(".")[2]], []]
    if isinstance(leaf, float):
        return [["float"], _sums(leaf)]
    return [[type(leaf).__name__, re.sub(r"\b(torch|fastgrad)\.", "", str(leaf))], []]


def run(call, module, functional):
    """What a call gives, as [what must be equal, what must be close], or the names of the classes of what it raises."""
    names = {"t": module, "F": functional}
    for name, (values, dtype) in TENSORS.items():
        names[name] = module.tensor(np.array(values, dtype))
        if dtype.startswith("float"):
            names[name].requires_grad_()
    try:
        result = eval(call.lstrip("!"), names)
    except Exception as error:
        return [cls.__name__ for cls in type(error).__mro__]
    leaves = _flat(result)
    exact, close = [], []
    for leaf in leaves:
        same, numbers = _described(leaf, module)
        exact.append(same)
        close += numbers
    scalar = _weighted(leaves, module, np.cos)
    xs = [names[n] for n in TENSORS if re.search(rf"\b{n}\b", call) and names[n].requires_grad]
    if scalar is not None and xs:
        try:
            gs = module.autograd.grad(scalar, xs, create_graph=True, allow_unused=True)
            close += _sums_of(gs)
            scalar = _weighted(gs, module, np.sin)
            hs = module.autograd.grad(scalar, xs, allow_unused=True) if scalar is not None else []
            close += _sums_of(hs) or [0.0, 0.0] * len(xs)
        except RuntimeError:  # PyTorch does not have every derivative: what is not recorded is not compared
            if module.__name__ != "torch":
                raise
    return [exact, close]
