"""Calls as a user writes them, as text: what they give here is compared with what they give with PyTorch.

`t` is the module, `F` its functional. The letters of TENSORS are tensors, made anew for each call; those of a real dtype
require grad. A line that starts with "!" is a call that must raise.
"""

import re

import numpy as np


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

_UNARY = """abs absolute acos arccos asin arcsin atan arctan ceil cos cosh erf erfc exp exp2 expm1 fix floor frac log log10
log1p log2 logical_not neg negative reciprocal round rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc relu isnan isinf
isfinite nan_to_num acosh asinh atanh deg2rad rad2deg sinc logit sgn signbit positive isposinf isneginf
isreal arccosh arcsinh arctanh""".split()
_BINARY = """add sub mul div true_divide divide multiply subtract pow maximum minimum fmax fmin fmod remainder floor_divide atan2
arctan2 hypot xlogy logaddexp logaddexp2 eq ne lt le gt ge greater less greater_equal less_equal not_equal logical_and
logical_or logical_xor float_power copysign heaviside""".split()
# PyTorch takes no number as their second argument; here some do.
_TENSORS_ONLY = """maximum minimum fmax fmin atan2 arctan2 hypot logaddexp logaddexp2 heaviside logical_and logical_or
logical_xor""".split()
_FUNCTIONAL = """relu relu6 elu selu celu gelu silu mish hardtanh hardswish hardsigmoid softsign logsigmoid tanhshrink
softshrink hardshrink leaky_relu softplus sigmoid tanh""".split()

CALLS = []
for _f in _UNARY:
    _x = {"acosh": "(p + 1)", "arccosh": "(p + 1)"}.get(_f, "q")
    CALLS += [f"t.{_f}({_x})", f"{_x}.{_f}()", f"t.{_f}(input={_x})"]
    CALLS += [f"t.{_f}({a})" for a in ("f", "i", "b", "u")]
for _f in _BINARY:
    CALLS += [f"t.{_f}(p, q)", f"p.{_f}(q)", f"p.{_f}(other=q)" if _f not in ("pow", "float_power") else f"p.{_f}(exponent=q)"]
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
for _o in ("sum", "mean", "prod", "var", "std", "amax", "amin", "norm", "logsumexp", "nansum", "nanmean", "median", "nanmedian",
           "any", "all", "argmax", "argmin", "max", "min", "count_nonzero", "cumsum", "cumprod", "cummax", "cummin", "softmax",
           "log_softmax", "sort", "argsort", "topk", "kthvalue", "mode", "aminmax", "var_mean", "std_mean", "logcumsumexp",
           "diff", "flip", "roll", "unbind", "quantile"):
    _more = {"kthvalue": "2, ", "topk": "2, ", "roll": "1, ", "quantile": "0.3, "}.get(_o, "")
    _dims = "dims" if _o in ("flip", "roll") else "dim"
    _k = {n: f"({n},)" if _o == "flip" else n for n in (0, 1, -1, 5, -3)}
    if _o not in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "logsumexp", "softmax", "log_softmax", "flip"):
        CALLS += [f"t.{_o}(x, {_more.rstrip(', ')})".replace(", )", ")"), f"x.{_o}({_more.rstrip(', ')})"]
    CALLS += [f"t.{_o}(x, {_more}{_dims}={_k[0]})", f"t.{_o}(x, {_more}{_dims}={_k[-1]})", f"t.{_o}(input=x, {_more and _more[:-2] and ''}{_dims}={_k[1]})"
              if not _more else f"x.{_o}({_more}{_dims}={_k[1]})", f"!t.{_o}(x, {_more}{_dims}={_k[5]})", f"!t.{_o}(x, {_more}{_dims}={_k[-3]})"]
    if _o not in ("flip", "roll"):
        CALLS += [f"x.{_o}({_more}axis=1)"]
    if _o in ("sum", "mean", "prod", "var", "std", "amax", "amin", "logsumexp", "any", "all", "argmax", "argmin", "max", "min",
              "median", "nansum", "norm", "nanmean", "kthvalue", "mode", "var_mean", "std_mean", "nanmedian", "quantile"):
        CALLS += [f"z.{_o}({_more}dim=1, keepdim=True)", f"z.{_o}({_more}dim=2, keepdims=True)"]
    if _o in ("sum", "mean", "var", "std", "amax", "amin", "logsumexp", "nansum", "norm", "any", "all", "var_mean",
              "count_nonzero"):
        CALLS += [f"z.{_o}(dim=(0, 2))", f"t.{_o}(z, dim=[-1, 0])", f"!z.{_o}(dim=(0, 0))"]
    CALLS += [f"t.{_o}({a}, {_more}{_dims}={_k[0]})" for a in "fijbu"]
    CALLS += [f"t.{_o}(s, {_more.replace('2', '1')}{_dims}={_k[0]})" if _o not in ("roll",) else "t.roll(x, (1, 2), (0, 1))",
              f"t.{_o}(o, {_more.replace('2', '0') if _o == 'topk' else _more}{_dims}={_k[0]})", f"t.{_o}(o, {_more}{_dims}={_k[1]})"]

CALLS += """
t.add(x, y, alpha=2)
t.sub(x, y, alpha=0.5)
x.add(y, alpha=-1)
x.sub(2, alpha=3)
t.rsub(x, 2)
t.rsub(x, y, alpha=2)
t.div(x, y, rounding_mode="trunc")
t.div(x, y, rounding_mode="floor")
t.div(i, 2, rounding_mode="floor")
t.div(i, 2, rounding_mode="trunc")
!t.div(x, y, rounding_mode="up")
t.pow(2, x)
t.pow(2.0, i)
t.pow(p, 0.5)
t.pow(x, 3)
t.pow(x, 0)
t.pow(i, 2)
!t.pow(i, -1)
!i ** -2
t.float_power(i, -1)
t.float_power(2, x)
t.xlogy(2, p)
t.clamp(x, -0.5, 0.5)
t.clamp(x, min=0)
t.clamp(x, max=0.2)
x.clamp(min=y)
t.clamp(x, min=y, max=y + 1)
t.clip(x, -0.1, 0.1)
x.clamp(0)
i.clamp(0, 2)
i.clamp(min=0.5)
!x.clamp()
t.clamp_min(x, 0.1)
t.clamp_max(x, 0.1)
x.clamp_min(y)
t.clamp(input=x, min=0.0, max=1.0)
t.where(b, x, y)
t.where(b, x, 0.0)
t.where(b, 1.0, x)
t.where(b, 1, 2)
t.where(b, f, y)
t.where(b, i, 2.5)
t.where(b)
x.where(b, y)
x.where(b, 0)
t.where(condition=b, input=x, other=y)
!t.where(i, x, y)
t.lerp(x, y, 0.3)
t.lerp(x, y, p)
x.lerp(y, weight=0.25)
t.lerp(input=x, end=y, weight=0.75)
!t.lerp(x, 1.0, 0.5)
t.addcmul(x, y, p)
t.addcmul(x, y, p, value=2)
t.addcdiv(x, y, p, value=-0.5)
x.addcdiv(y, p)
t.addcmul(input=x, tensor1=y, tensor2=p, value=3)
t.logaddexp(x, y)
t.isclose(x, y)
t.isclose(x, x + 1e-9)
t.allclose(x, x)
t.allclose(x, y)
x.allclose(y, rtol=1e-3)
t.equal(x, y)
x.equal(x)
!t.equal(x, 1)
t.nan_to_num(x / 0)
t.nan_to_num(x / 0, nan=1.0, posinf=2.0, neginf=3.0)
t.round(x, decimals=1)
x.round(decimals=2)
t.bitwise_and(i, 3)
t.bitwise_or(i, j)
t.bitwise_xor(b, b)
t.bitwise_not(i)
t.bitwise_not(b)
~b
~i
!~x
!t.bitwise_and(x, y)
!x & 1
-x
+x
!-b
abs(x)
2 - x
2 / p
1 // p
5 % p
2 ** x
!x + None
!x + "a"
!t.add(x, [1, 2, 3])
!t.exp(2.0)
!t.exp([1.0])
!t.ones(2, 3) + t.ones(2, 4)
x + t.ones(3)
x + t.ones(3, dtype=t.float32)
!x.tanh(1)
!t.tanh()
b - 1
!b - b
True - x
b * 2
b + b
b / 2
b + 1.5
i / 2
i / i
i // 0.7
u + 100
u * 2
u - 300
i + 1.0
j + 1
j * i
u + i
u + j
b + u
f + s
f * y
s + g
g + s
i * s
i * g
j * g
f.double() + g
t.tensor(2) * f
t.tensor(2.0, dtype=t.float64) * f
t.tensor([2.0], dtype=t.float64) * f
t.result_type(f, y)
t.result_type(i, 1.5)
t.promote_types(t.int32, t.float32)
t.promote_types(t.uint8, t.int64)
t.can_cast(t.float64, t.int64)
t.square(i)
t.sqrt(-p)
t.log(-p)
t.sum(x)
t.sum(x, 1)
t.sum(x, (0, 1))
t.sum(x, 1, True)
t.sum(i)
t.sum(b)
t.sum(u)
t.sum(j, dtype=t.int32)
t.sum(i, dtype=t.float32)
t.sum(f, dtype=t.float64)
x.sum(0, 1)
x.sum([])
x.sum(dim=None)
x.sum(())
!t.mean(i)
t.mean(i, dtype=t.float64)
t.mean(x, 0)
t.mean(t.zeros(0))
t.prod(i)
t.prod(x, 0)
t.prod(x * t.tensor([0.0, 1.0, 1.0]), 1)
t.var(x, unbiased=False)
t.var(x, 0, False)
t.var(x, 1, correction=0)
t.var(x, dim=1, unbiased=True)
t.std(x, dim=(0, 1))
t.std(x, 0, keepdim=True)
t.std(x, correction=2)
t.std(x, False)
x.std(unbiased=False)
x.var(0, True, True)
!t.var(i)
t.var(t.tensor([1.0]))
t.std(z, (0, 1), correction=0, keepdim=True)
t.std_mean(x, dim=1)
t.var_mean(x, 0, correction=0)
t.max(x)
t.max(x, 1)
t.max(x, 1, True)
t.max(x, dim=0)
t.max(x, y)
x.max(y)
t.max(x, other=y)
t.min(x, 0).indices
t.max(x, 0)[0]
t.max(i)
t.max(b)
!t.max(o)
t.max(o, 1)
!t.max(o, 0)
!t.argmax(o)
t.amax(x)
t.amax(x, (0, 1))
t.amax(x, ())
!t.amax(o, 0)
t.aminmax(x)
t.aminmax(x, dim=0, keepdim=True)
t.argmax(x)
t.argmax(x, None)
t.argmax(x, 1, True)
t.argmax(x, dim=None, keepdim=True)
t.argmin(i, 0)
!t.argmax(b)
t.all(x)
t.any(b, 1)
t.all(b, dim=0, keepdim=True)
t.all(u)
t.any(i)
t.norm(x)
t.norm(x, 1)
t.norm(x, p=2)
t.norm(x, p=float("inf"))
t.norm(x, p=-float("inf"))
t.norm(x, p=0)
t.norm(x, p=3, dim=1)
t.norm(x, dim=0, keepdim=True)
t.norm(x, p="fro")
t.norm(x, p="fro", dim=(0, 1))
x.norm(p=1, dim=1)
x.norm(2)
x.norm(dim=-1, keepdim=True)
t.norm(x, dtype=t.float64)
!t.norm(i)
t.logsumexp(x, 1)
t.logsumexp(x, (0, 1), keepdim=True)
t.logsumexp(i, 0)
t.softmax(x, 1)
t.softmax(x, dim=-1)
t.softmax(f, 1, dtype=t.float64)
x.softmax(0)
!t.softmax(x)
!t.softmax(i, 0)
t.softmax(i, 0, dtype=t.float64)
F.softmax(x, dim=1)
F.softmax(input=x, dim=0)
F.log_softmax(x, 1)
F.softmin(x, dim=1)
F.log_softmax(f, dim=1, dtype=t.float64)
t.matmul(x, m)
t.matmul(v, m)
t.matmul(m, v)
t.matmul(v, v)
t.matmul(x, n)
t.matmul(n, v)
t.matmul(input=x, other=m)
x @ m
n @ m
m @ n
!x @ x
!t.matmul(s, x)
!x @ 2
!x @ f.T
i @ i.T
t.mm(x, m)
x.mm(m)
t.mm(input=x, mat2=m)
!t.mm(x, v)
!t.mm(n, m)
!t.mm(x, y)
t.bmm(n, n)
t.bmm(n, mat2=n)
!t.bmm(x, m)
!t.bmm(n, n[:1])
t.mv(m, v)
m.mv(vec=v)
!t.mv(v, m)
t.dot(v, v)
v.dot(v)
t.dot(v, tensor=v)
!t.dot(x, y)
!t.dot(v, w)
t.vdot(v, v)
t.addmm(m[:2], x, m)
t.addmm(v, x, m)
t.addmm(x, x, m, beta=0.5, alpha=2)
x.addmm(x, m, alpha=-1)
!t.addmm(x, x, x)
t.addmv(v, m, v)
t.addmv(v, m, v, beta=2, alpha=3)
t.addr(m, v, v)
t.baddbmm(n, n, n, beta=2, alpha=0.5)
t.addbmm(m, n, n)
t.outer(v, w)
v.outer(w)
t.ger(v, w)
t.outer(v, vec2=w)
!t.outer(x, v)
t.inner(x, y)
t.inner(v, v)
t.inner(s, x)
t.tensordot(x, y, dims=2)
t.tensordot(x, m, dims=1)
t.tensordot(x, z, dims=([0, 1], [0, 1]))
t.tensordot(x, z, ([1], [1]))
t.einsum("ij,jk->ik", x, m)
t.einsum("ij,ij->", x, y)
t.einsum("bij,bjk->bik", n, n)
t.einsum("ij->j", x)
t.einsum("i,j", v, w)
t.einsum("ij,kj->ik", [x, y])
t.einsum("...j,j", z.transpose(1, 2), v)
t.einsum("ii", m)
t.einsum("Ab,bC->CA", x, m)
!t.einsum("ij,jk", x, x)
t.kron(x, v)
t.cross(x, y, dim=1)
t.linalg.cross(x, y)
t.trace(m)
!t.trace(n)
m.trace()
t.reshape(x, (3, 2))
t.reshape(x, [-1])
x.reshape(3, -1)
x.reshape((6,))
x.reshape(-1, 1, 2)
x.reshape(t.Size([3, 2]))
t.reshape(input=x, shape=(6,))
!x.reshape(4)
!x.reshape(-1, -1)
!x.reshape(-1, 4)
o.reshape(3, 0)
!o.reshape(-1, 0)
x.view(3, 2)
x.view(-1)
x.view((6,))
!x.T.view(-1)
!x.view(5)
x.view(t.float64)
x.view_as(t.ones(6))
x.reshape_as(t.ones(3, 2))
x.expand_as(t.ones(5, 2, 3))
t.permute(z, (2, 0, 1))
z.permute(2, 0, 1)
z.permute((1, 2, 0))
z.permute(dims=(0, 2, 1))
z.permute(-1, 0, 1)
!z.permute(0, 1)
!z.permute(0, 0, 1)
!z.permute(0, 1, 5)
t.transpose(x, 0, 1)
x.transpose(-1, 0)
t.transpose(input=x, dim0=0, dim1=1)
x.transpose(dim0=0, dim1=-1)
!x.transpose(0, 2)
t.swapaxes(z, 0, 2)
z.swapdims(1, 2)
t.t(x)
x.t()
v.t()
!z.t()
x.T
v.T
z.mT
x.mT
!v.mT
x.H
m.adjoint()
z.unsqueeze(0)
t.unsqueeze(x, dim=-1)
x.unsqueeze(1)
!x.unsqueeze(4)
!x.unsqueeze()
s.unsqueeze(0)
x[None].squeeze()
x[None].squeeze(0)
x[None].squeeze(1)
x.squeeze(dim=0)
x[None, :, None].squeeze((0, 2))
t.squeeze(x[:, :1], -1)
!x.squeeze(3)
x.expand(4, 2, 3)
x.expand((4, 2, 3))
x.expand(-1, -1)
x[:, :1].expand(-1, 5)
x[:, :1].expand(size=(2, 4))
!x.expand(2, 4)
!x.expand(3)
v.expand(2, 3)
t.broadcast_to(v, (2, 3))
v.broadcast_to((4, 3))
t.broadcast_tensors(x, v)
t.broadcast_tensors(x, x[:, :1], s)
!t.broadcast_tensors(x, w)
t.broadcast_shapes((2, 1), (3,))
t.cat((x, y))
t.cat([x, y], 1)
t.cat([x, y], dim=-1)
t.cat(tensors=[x, y], dim=0)
t.cat((x, y), axis=1)
t.cat([x, f])
t.cat([i, x])
t.cat([t.tensor([]), v])
t.cat((x, o))
!t.cat([])
!t.cat([x, v])
!t.cat([x, y], 2)
!t.cat(x)[0, 0, 0, 0]
!t.cat([x, z], 0)
!t.cat([x, 1])
t.concat([x, y])
t.concatenate([x, y], 1)
t.stack([x, y])
t.stack((x, y), 1)
t.stack([x, y], dim=-1)
t.stack(tensors=(v, v))
!t.stack([x, v])
!t.stack([])
!t.stack([x, y], 4)
t.hstack((x, y))
t.hstack([v, w])
t.vstack((x, v))
t.vstack([v, v])
t.dstack((x, y))
t.column_stack((v, v))
t.row_stack((v, v))
t.split(x, 2, 1)
t.split(x, [1, 2], dim=1)
x.split(1)
x.split(2, dim=-1)
x.split(split_size=2, dim=1)
t.split(tensor=x, split_size_or_sections=2, dim=1)
!x.split([1, 1], 1)
!x.split(0)
!x.split(-1)
t.chunk(x, 2, 1)
x.chunk(2)
x.chunk(5, dim=1)
t.chunk(input=x, chunks=2, dim=-1)
!x.chunk(0)
t.tensor_split(z, 2, 1)
t.tensor_split(z, (1, 3), dim=2)
t.unbind(x)
x.unbind(1)
t.unbind(x, dim=-1)
t.hsplit(x, [1])
t.vsplit(x, 2)
t.flatten(z)
t.flatten(z, 1)
z.flatten(start_dim=1)
z.flatten(0, 1)
t.flatten(z, end_dim=-2)
s.flatten()
!z.flatten(2, 1)
t.unflatten(z, 2, (2, 2))
z.unflatten(-1, (-1, 2))
t.ravel(x)
x.ravel()
x.clone()
t.clone(x)
x.T.contiguous()
x.clone().detach()
x.detach()
t.gather(x, 1, k[:, :2])
x.gather(0, k)
x.gather(dim=1, index=k)
t.gather(input=x, dim=1, index=k)
!x.gather(1, k.double())
!x.gather(0, i)
!x.gather(2, k)
!x.gather(1, c)
x.gather(1, k)
t.index_select(x, 1, c)
x.index_select(0, c[1:])
x.index_select(dim=1, index=c)
x.index_select(1, c.int())
!x.index_select(0, c + 5)
!x.index_select(0, c.double())
t.masked_fill(x, b, 0.5)
x.masked_fill(b, -float("inf"))
x.masked_fill(b, s)
x.masked_fill(mask=b, value=2)
x.masked_fill(b[0], 1)
!x.masked_fill(i, 0.0)
!x.masked_fill(b, v)
t.masked_select(x, b)
x.masked_select(b[0])
!x.masked_select(i)
t.take_along_dim(x, k, 1)
t.take_along_dim(x, k, dim=0)
t.take_along_dim(x, t.tensor([0, 5]))
t.take(x, t.tensor([0, 5, 2]))
t.narrow(x, 1, 0, 2)
x.narrow(0, 1, 1)
x.narrow(dim=1, start=1, length=2)
x.narrow(1, -2, 2)
!x.narrow(1, 2, 2)
t.select(x, 1, 0)
x.select(0, -1)
x.select(dim=1, index=2)
!x.select(1, 3)
x[0]
x[-1]
x[:, 1]
x[..., 1]
x[0, 1]
x[:, ::2]
x[:, 1:]
x[None]
x[:, None]
x[b]
t.tensor([True, False])]
x[c[1:]]
x[:, c]
x[[0, 1], [1, 2]]
x[t.tensor([0, 1]), t.tensor([2, 0])]
x[[1, 0]]
x[(0,)]
x[...]
x[()]
x[True]
x[False]
x[t.tensor(1)]
x[t.tensor(1):]
z[0, :, c]
z[:, c, 1]
z[:, c, :][..., 0]
z[c[1:], :, c[1:]]
x[t.tensor([[0, 1], [1, 0]])]
x[range(2)]
x[slice(0, 1)]
!x[2]
!x[0, 0, 0]
!x[:, 3]
!x["a"]
!x[1.0]
!x[::-1]
!x[b[0]]
!x[c + 3]
!x[t.tensor([0.5])]
!s[0]
t.zeros(2, 3).index_add(0, c[1:], x[:1].detach())
x.index_add(1, c, y[:, :2])
x.index_add(1, c, y[:, :2], alpha=2)
t.index_add(x, dim=1, index=c, source=y[:, :2])
x.index_fill(1, c, 0.5)
x.index_copy(1, c, y[:, :2])
x.index_put((k[:, 0], k[:, 1]), v[:2])
x.index_put((k[:, 0], k[:, 1]), v[:2], accumulate=True)
x.index_put([c[1:]], s)
x.scatter(1, k, y)
x.scatter(1, k[:, :1], 1.5)
t.scatter_add(x, 0, k, y)
x.scatter_add(dim=1, index=k, src=y)
!x.scatter(1, k, f)
!x.scatter(1, k + 5, 1.0)
x.scatter_reduce(1, k, y, reduce="sum")
x.scatter_reduce(1, k, y, "mean", include_self=False)
x.scatter_reduce(1, k, y, "amax")
x.scatter_reduce(1, k, y, "prod")
x.masked_scatter(b, y)
t.nonzero(i)
i.nonzero()
i.nonzero(as_tuple=True)
t.nonzero(s)
t.argwhere(i)
t.unique(i.abs())
t.unique(k, return_inverse=True)
t.unique(k, return_counts=True)
t.unique(k, dim=0)
t.unique_consecutive(t.tensor([1, 1, 2, 2, 1]))
t.bincount(k.flatten())
t.bincount(k.flatten(), minlength=4)
t.bincount(k.flatten(), weights=x.detach().flatten())
t.searchsorted(t.tensor([1.0, 2.0, 3.0]), t.tensor([0.5, 2.0, 9.0]))
t.searchsorted(t.tensor([1.0, 2.0, 3.0]), t.tensor([0.5, 2.0, 9.0]), right=True)
t.bucketize(x, t.tensor([-0.5, 0.5], dtype=t.float64))
t.histc(x.detach(), bins=4, min=-1, max=1)
t.isin(i, t.tensor([0, 3]))
x.repeat(2, 2)
x.repeat((2, 1))
v.repeat(2, 2)
!x.repeat(2)
t.tile(x, (2,))
x.tile(2, 1)
t.repeat_interleave(x, 2)
t.repeat_interleave(x, 2, dim=1)
x.repeat_interleave(t.tensor([1, 2]), dim=0)
x.repeat_interleave(2, 0)
t.repeat_interleave(c)
t.flip(x, (0,))
x.flip(0)
x.flip(0, 1)
x.flip([0, 1])
t.fliplr(x)
t.flipud(x)
t.rot90(x)
t.rot90(x, 2, (0, 1))
t.roll(x, 1)
t.roll(x, 1, 0)
t.roll(x, shifts=(1, -1), dims=(0, 1))
x.roll(2, 1)
t.diag(v)
t.diag(m)
t.diag(m, 1)
v.diag(-1)
!t.diag(z)
t.diagonal(m)
t.diagonal(m, 1)
t.diagonal(m, -1)
t.diagonal(z, 0, 1, 2)
z.diagonal(offset=1, dim1=0, dim2=2)
x.diagonal()
!v.diagonal()
!m.diagonal(dim1=0, dim2=0)
m.diagonal(5)
t.diag_embed(x)
t.diag_embed(x, 1)
t.diag_embed(x, offset=0, dim1=0, dim2=2)
t.diagflat(x)
t.tril(m)
t.triu(m, 1)
m.tril(diagonal=-1)
n.triu()
!v.tril()
t.tril(x, 1)
t.tril(b)
t.tril_indices(3, 3)
t.triu_indices(2, 3, 1)
t.movedim(z, 0, 2)
z.movedim((0, 1), (2, 0))
t.moveaxis(z, 1, 0)
!t.movedim(z, (0, 1), (1,))
t.meshgrid(v, w, indexing="ij")
t.meshgrid(v, w, indexing="xy")
t.meshgrid([v, w], indexing="ij")
t.cartesian_prod(v, w)
t.combinations(v)
t.combinations(v, r=2, with_replacement=True)
t.block_diag(x, m)
t.atleast_1d(s)
t.atleast_2d(v)
t.atleast_3d(x)
z.unfold(2, 2, 1)
v.unfold(0, 2, 1)
x.unfold(dimension=1, size=2, step=2)
w.unfold(0, 2, 3)
!v.unfold(0, 4, 1)
!v.unfold(0, 2, 0)
t.cumsum(x, 1)
t.cumsum(x, dim=0)
t.cumsum(i, 0, dtype=t.float64)
x.cumprod(1)
t.cumprod(i, 1)
t.logcumsumexp(x, 1)
t.cummax(x, 1)
t.diff(x)
t.diff(x, n=2, dim=1)
t.diff(x, prepend=x[:, :1])
t.trapezoid(x)
t.trapezoid(x, dx=0.5)
t.trapezoid(x, y.abs().cumsum(1))
t.trapz(x, dim=0)
t.cov(x)
t.corrcoef(x)
t.cdist(x, y)
t.cdist(x, y, p=1)
t.dist(x, y)
t.dist(x, y, p=1)
t.sort(x)
t.sort(x, 0, True)
t.sort(x, dim=1, descending=True)
x.sort(stable=True)
x.sort()[0]
x.sort().values
t.argsort(x)
x.argsort(dim=0, descending=True)
t.topk(x, 2)
x.topk(2, dim=1, largest=False)
t.topk(input=x, k=1, dim=0)
!x.topk(4)
!x.topk(-1)
t.median(x)
t.median(x, 1)
t.kthvalue(x, 2)
t.quantile(x, 0.5)
t.quantile(x, t.tensor([0.25, 0.75], dtype=t.float64), dim=1)
t.quantile(x, 0.4, dim=0, keepdim=True, interpolation="nearest")
t.nanquantile(x, 0.5)
t.mode(k)
t.count_nonzero(i)
t.count_nonzero(i, 0)
t.renorm(x, 2, 0, 0.5)
x.sum_to_size(1, 3)
t.select_scatter(x, v, 0, 1)
t.slice_scatter(x, y[:, :2], 1, 0, 2)
t.diagonal_scatter(m, v)
t.zeros(2, 3)
t.zeros((2, 3))
t.zeros([2])
t.zeros(2, dtype=t.int64)
t.zeros(size=(2, 2))
t.zeros(())
t.ones(3, dtype=float)
t.ones(2, dtype=int)
t.ones(2, dtype=bool)
t.ones(2, requires_grad=True)
!t.zeros(-1)
!t.zeros(2, dtype="float32")
!t.zeros(2.5)
!t.ones(2, dtype=t.int64, requires_grad=True)
t.full((2, 2), 3)
t.full((2,), 1.5)
t.full((2,), True)
t.full(size=(2,), fill_value=2, dtype=t.float64)
t.arange(5)
t.arange(1, 4)
t.arange(0, 1, 0.25)
t.arange(5, 0, -2)
t.arange(3.0)
t.arange(start=1, end=7, step=2)
t.arange(end=3)
t.arange(2, dtype=t.float32)
!t.arange(0, 5, -1)
!t.arange(0, 5, 0)
t.linspace(0, 1, 5)
t.linspace(start=-1, end=1, steps=3)
t.linspace(0, 1, steps=1)
t.linspace(0, 1, 3, dtype=t.float64)
t.logspace(0, 2, 3)
t.eye(3)
t.eye(2, 3)
t.eye(2, dtype=t.int64)
t.eye(n=2, m=2)
t.zeros_like(x)
t.ones_like(i)
t.full_like(x, 2.0)
t.full_like(i, 2)
t.zeros_like(x, dtype=t.float32)
t.ones_like(x, requires_grad=True)
t.rand(2, 3).shape
t.rand((2, 3)).dtype
t.randn(2, dtype=t.float64).dtype
t.randint(5, (2,)).dtype
t.randint(2, 5, (2,)).shape
t.randint(low=0, high=3, size=(4,)).shape
t.randperm(4).sort()[0]
t.randn_like(x).shape
t.rand_like(x, dtype=t.float32).dtype
t.empty(2, 3).shape
t.empty_like(i).dtype
t.normal(0.0, 1.0, (2, 3)).shape
t.normal(t.zeros(3), t.ones(3)).shape
t.normal(mean=0.0, std=t.ones(2)).shape
t.bernoulli(t.ones(3))
t.multinomial(t.tensor([0.0, 1.0, 0.0]), 2, replacement=True)
t.multinomial(t.tensor([[0.0, 1.0], [1.0, 0.0]]), 1)
t.multinomial(input=t.tensor([0.0, 1.0]), num_samples=1)
!t.multinomial(t.tensor([0.0, 1.0, 0.0]), 2)
!t.multinomial(t.tensor([-1.0, 1.0]), 1)
!t.multinomial(t.tensor([0.5, 0.5]), 3)
!t.randint(0, 0, (2,))
!t.randint(5)
t.tensor(1)
t.tensor(1.5)
t.tensor(True)
t.tensor([1, 2])
t.tensor([1, 2.5])
t.tensor([[1], [2]])
t.tensor([])
t.tensor([True, 2])
t.tensor([1.0], dtype=t.int64)
t.tensor(data=[1.0], dtype=t.float64, requires_grad=True)
t.tensor(range(3))
t.tensor((1, 2))
!t.tensor([[1, 2], [3]])
!t.tensor("a")
!t.tensor(None)
!t.tensor([1], requires_grad=True)
!t.tensor()
t.as_tensor([1, 2])
t.asarray([1.0, 2.0])
t.Tensor([1, 2])
t.Tensor(2, 3).shape
t.Tensor([[1.5]])
t.FloatTensor([1, 2])
t.LongTensor([1, 2])
t.DoubleTensor([1])
t.BoolTensor([True])
t.Tensor().shape
x.new_zeros(2)
x.new_ones((2, 2))
i.new_full((2,), 3)
x.new_tensor([1, 2])
x.new_empty(3).dtype
x.new_zeros(2, dtype=t.int64)
x.new_tensor(2.0, dtype=t.float32)
x.shape
x.size()
x.size(0)
x.size(-1)
x.size(dim=1)
!x.size(2)
x.shape[1]
x.dim()
x.ndim
x.ndimension()
x.numel()
x.nelement()
t.numel(x)
x.stride()
x.stride(0)
x.T.stride()
x.storage_offset()
x[1].storage_offset()
x.is_contiguous()
x.T.is_contiguous()
x.is_floating_point()
i.is_floating_point()
t.is_floating_point(x)
t.is_tensor(x)
t.is_nonzero(s)
!t.is_nonzero(x)
x.is_complex()
i.is_signed()
u.is_signed()
x.element_size()
x.itemsize
x.nbytes
x.is_leaf
(x * 1).is_leaf
x.requires_grad
x.grad
x.dtype
i.dtype
x.float().dtype
x.double().dtype
x.long()
x.int()
x.bool()
x.byte().dtype
f.float().dtype
x.to(t.float32)
x.to(f)
x.to("cpu")
x.to(t.device("cpu"))
x.to(dtype=t.int64)
x.to("cpu", t.float32)
x.to(device="cpu", dtype=t.float32, non_blocking=True, copy=True)
!x.to("cuda")
!x.to("nowhere")
x.type(t.float32)
x.type_as(f)
x.cpu()
s.item()
i[0, 0].item()
b[0, 0].item()
!x.item()
x.tolist()
i.tolist()
s.tolist()
len(x)
!len(s)
float(s)
int(i[0, 0])
bool(b[0, 0])
bool(s)
!bool(x)
!float(x)
complex(s)
round(s.item(), 1)
list(v)
[a.shape for a in x]
!list(s)
2 in c
7 in c
c[0] in [2, 0]
reversed(v)
x.detach().numpy().shape
!x.numpy()
x.data
x.detach().requires_grad
x.requires_grad_().requires_grad
x.detach().requires_grad_(True).is_leaf
!i.requires_grad_()
!(x * 1).requires_grad_(False)
(x * 1).add_(y)
(x * 1).add_(y, alpha=2)
(x * 1).sub_(2)
(x * 1).mul_(y)
(x * 1).div_(p)
(x * 1).pow_(2)
(x * 1).exp_()
(x * 1).tanh_()
(x * 1).relu_()
(x * 1).sigmoid_()
(x * 1).neg_()
(x * 1).abs_()
(x * 1).clamp_(-0.5, 0.5)
(x * 1).clamp_min_(0)
(x * 1).zero_()
(x * 1).fill_(2)
(x * 1).fill_(s)
(x * 1).copy_(y)
(x * 1).copy_(v)
(x * 1).lerp_(y, 0.5)
(x * 1).addcmul_(y, p, value=2)
(x * 1).addcdiv_(y, p)
(x * 1).masked_fill_(b, 0.0)
(x * 1).index_add_(1, c, y[:, :2])
(x * 1).index_fill_(1, c, 0)
(x * 1).index_copy_(1, c, y[:, :2])
(x * 1).index_put_((k[:, 0], k[:, 1]), v[:2])
(x * 1).scatter_(1, k, 2.0)
(x * 1).scatter_add_(1, k, y)
(x * 1).tril_()
(x * 1).triu_(1)
(x * 1).cumsum_(1)
(x * 1).floor_()
(x * 1).round_()
(x * 1).remainder_(2)
(x * 1).addmm_(x, m)
(v * 1).addmv_(m, v)
(n * 1).baddbmm_(n, n)
(x * 1).nan_to_num_()
(p * 1).log_()
(p * 1).sqrt_()
(p * 1).rsqrt_()
(p * 1).reciprocal_()
(x * 1).erf_()
(x * 1).sin_()
(x * 1).hypot_(y)
(x * 1).atan2_(y)
(x * 1).float_power_(2)
(x * 1).square_()
(x * 1).sign_()
(x * 1).trunc_()
(m * 1).fill_diagonal_(0)
(x * 1).masked_scatter_(b, y)
(x * 1).detach_()
(i * 1).add_(1)
!(i * 1).add_(1.5)
!(i * 1).div_(2)
(i * 1).bitwise_and_(1)
!x.add_(1)
!(v * 1).add_(x)
!(f * 1).fill_("a")
(f * 1).add_(s)
(f * 1).add_(y)
(x * 1).uniform_().shape
(x * 1).normal_(0, 1).shape
(x * 1).detach().bernoulli_(0.5).shape
(x * 1).detach().exponential_().shape
(x * 1).detach().random_(5).shape
F.linear(x, m)
F.linear(x, m, v)
F.linear(input=x, weight=m, bias=v)
F.linear(z.transpose(1, 2), m)
F.linear(v, m, v)
!F.linear(x, x.T)
!F.linear(x, m, w)
F.bilinear(x, y, n, v[:2])
F.relu(x, inplace=False)
F.relu((x * 1), inplace=True)
F.leaky_relu(x, 0.2)
F.leaky_relu(x, negative_slope=0.3)
F.elu(x, alpha=0.5)
F.celu(x, alpha=2.0)
F.softplus(x, beta=2, threshold=1)
F.gelu(x, approximate="tanh")
!F.gelu(x, approximate="fast")
F.hardtanh(x, -0.2, 0.3)
F.hardtanh(x, min_val=-0.5, max_val=0.5)
F.threshold(x, 0.1, 20.0)
F.prelu(x, v[:1].abs())
F.prelu(x, v.abs())
F.glu(z, dim=-1)
F.glu(z)
!F.glu(x)
F.softshrink(x, 0.3)
F.hardshrink(x, 0.4)
F.rrelu(x)
F.normalize(x)
F.normalize(x, p=1, dim=0)
F.cosine_similarity(x, y)
F.cosine_similarity(x, y, dim=0)
t.cosine_similarity(x, y, dim=1)
F.cosine_similarity(z, z + 1, dim=-1)
F.cosine_similarity(x, v, dim=1)
F.pairwise_distance(x, y)
F.pairwise_distance(x, y, p=1, keepdim=True)
F.pairwise_distance(x, v)
F.mse_loss(x, y)
F.mse_loss(x, y, reduction="sum")
F.mse_loss(input=x, target=y, reduction="none")
!F.mse_loss(x, y, reduction="average")
F.l1_loss(x, y)
F.smooth_l1_loss(x, y)
F.smooth_l1_loss(x, y, beta=0.3, reduction="sum")
F.huber_loss(x, y, delta=0.4)
F.huber_loss(x, y, reduction="none")
F.cross_entropy(x, c)
F.cross_entropy(input=x, target=c)
F.cross_entropy(x, c, weight=p[0].detach())
F.cross_entropy(x, c, p[0].detach())
F.cross_entropy(x, c, ignore_index=0)
F.cross_entropy(x, c, label_smoothing=0.1)
F.cross_entropy(x, c, weight=p[0].detach(), label_smoothing=0.1, ignore_index=2)
F.cross_entropy(x, c, reduction="sum")
F.cross_entropy(x, c, reduction="none")
F.cross_entropy(x, q)
F.cross_entropy(x, q, label_smoothing=0.2, weight=p[0].detach())
F.cross_entropy(v, c[0])
F.cross_entropy(z, c.unsqueeze(1).expand(2, 4))
!F.cross_entropy(x, c + 5)
!F.cross_entropy(x, t.tensor([0, 1, 2]))
!F.cross_entropy(x, c.float())
F.nll_loss(x.log_softmax(1), c)
F.nll_loss(x.log_softmax(1), c, weight=p[0].detach(), reduction="sum")
F.nll_loss(x.log_softmax(1), c, ignore_index=2)
F.nll_loss(z.log_softmax(1), c.unsqueeze(1).expand(2, 4))
F.binary_cross_entropy(q, b.double())
F.binary_cross_entropy(q, b.double(), weight=p.detach(), reduction="sum")
!F.binary_cross_entropy(q + 1, b.double())
!F.binary_cross_entropy(q, b.double()[0])
F.binary_cross_entropy_with_logits(x, b.double())
F.binary_cross_entropy_with_logits(x, q.detach(), pos_weight=p[0].detach())
F.binary_cross_entropy_with_logits(x, q.detach(), weight=p.detach(), reduction="none")
F.kl_div(x, q, reduction="batchmean")
F.kl_div(x, q, reduction="sum")
F.kl_div(x, y, log_target=True, reduction="none")
F.multi_margin_loss(x, c)
F.multi_margin_loss(x, c, p=2, margin=0.5)
F.hinge_embedding_loss(x, (b * 2 - 1).double())
F.cosine_embedding_loss(x, y, t.tensor([1.0, -1.0], dtype=t.float64), margin=0.1)
F.margin_ranking_loss(x, y, (b * 2 - 1).double())
F.margin_ranking_loss(x, y, (b * 2 - 1).double(), margin=0.5, reduction="sum")
F.triplet_margin_loss(x, y, x.flip(0))
F.triplet_margin_loss(x, y, x.flip(0), margin=2.0, p=1, swap=True, reduction="none")
F.soft_margin_loss(x, (b * 2 - 1).double())
F.poisson_nll_loss(x, p.detach())
F.poisson_nll_loss(x, p.detach(), log_input=False, full=True)
F.gaussian_nll_loss(x, y, p)
F.gaussian_nll_loss(x, y, p, full=True, reduction="none")
F.multilabel_soft_margin_loss(x, b.double())
F.multilabel_margin_loss(x, t.tensor([[0, 2, -1], [1, -1, 0]]))
F.dropout(x, 0.0)
F.dropout(x, p=0.5, training=False)
F.dropout(x, 1.0)
!F.dropout(x, 1.5)
F.embedding(c, m)
F.embedding(input=k, weight=m)
F.embedding(k, m, padding_idx=1)
!F.embedding(c + 5, m)
!F.embedding(x, m)
F.layer_norm(x, (3,))
F.layer_norm(x, [3], v, v)
F.layer_norm(z, (3, 4))
F.layer_norm(x, normalized_shape=(3,), weight=v, eps=1e-3)
!F.layer_norm(x, (2,))
F.rms_norm(x, (3,))
F.rms_norm(x, (3,), v, eps=1e-4)
F.batch_norm(x, None, None, training=True)
F.batch_norm(x, t.zeros(3).double(), t.ones(3).double())
F.batch_norm(z, None, None, v, v, True, 0.1, 1e-3)
F.batch_norm(x, running_mean=v.detach(), running_var=v.detach().abs(), weight=v, bias=v)
F.group_norm(z, 3)
F.group_norm(z, 1, v, v, 1e-3)
!F.group_norm(z, 2)
F.instance_norm(z)
F.instance_norm(z, weight=v, bias=v, eps=1e-3)
F.instance_norm(z, t.zeros(3).double(), t.ones(3).double(), use_input_stats=False)
F.local_response_norm(z, 2)
F.one_hot(c)
F.one_hot(c, 5)
F.one_hot(c, num_classes=3)
!F.one_hot(i)
!F.one_hot(c, 2)
F.pad(x, (1, 1))
F.pad(x, (1, 0, 2, 1), "constant", 0.5)
F.pad(z, (1, 1), mode="reflect")
F.pad(z, (1, 2), mode="replicate")
F.pad(z, (1, 2), mode="circular")
F.pad(x, pad=(0, -1))
!F.pad(x, (1,))
F.scaled_dot_product_attention(n, n, n)
F.scaled_dot_product_attention(n, n, n, is_causal=True)
F.scaled_dot_product_attention(n, n, n, attn_mask=t.ones(3, 3).tril().bool())
F.unfold(z[:, None], 2)
F.unfold(z[:, None], (2, 3), padding=1, stride=2)
F.fold(F.unfold(z[:, None], 2), (3, 4), 2)
F.fold(z, (2, 2), (1, 1))
F.pixel_shuffle(z.reshape(1, 4, 2, 3), 2)
F.pixel_unshuffle(z[None, :, :2].reshape(1, 2, 2, 4), 2)
t.linalg.norm(x)
t.linalg.norm(x, ord=1)
t.linalg.norm(x, ord="fro")
t.linalg.norm(x, ord=float("inf"))
t.linalg.norm(x, ord=2)
t.linalg.norm(x, ord="nuc")
t.linalg.norm(x, dim=1)
t.linalg.norm(x, 3, 1, True)
t.linalg.norm(v, ord=2)
t.linalg.norm(n, dim=(1, 2))
t.linalg.vector_norm(x)
t.linalg.vector_norm(x, ord=1)
t.linalg.vector_norm(x, 3, dim=1, keepdim=True)
t.linalg.vector_norm(z, dim=(0, 2))
t.linalg.vector_norm(x, ord=float("inf"))
!t.linalg.vector_norm(i)
t.linalg.matrix_norm(x)
t.linalg.matrix_norm(n, ord=1)
t.linalg.inv(m)
t.linalg.inv(n)
t.inverse(m)
m.inverse()
!t.linalg.inv(x)
!t.linalg.inv(t.zeros(2, 2))
t.linalg.solve(m, v)
t.linalg.solve(m, m + 1)
t.linalg.solve(n, x)
t.linalg.solve(n, m)
!t.linalg.solve(t.zeros(2, 2), t.ones(2))
t.linalg.det(m)
t.linalg.det(n)
t.det(m)
m.det()
!t.det(x)
t.linalg.slogdet(m)
t.slogdet(n)
t.logdet(m @ m.T)
t.linalg.cholesky(m @ m.T)
t.linalg.cholesky(n @ n.mT + t.eye(3))
t.linalg.cholesky(m @ m.T, upper=True)
t.cholesky(m @ m.T)
!t.linalg.cholesky(-t.eye(2))
t.linalg.matrix_power(m, 3)
t.matrix_power(m, -1)
t.linalg.multi_dot([x, m, m])
t.linalg.vecdot(x, y)
t.linalg.eigvalsh(m + m.T)
t.linalg.eigh(m + m.T)[0]
t.linalg.svdvals(x)
t.linalg.pinv(m)
t.linalg.matrix_rank(m)
t.linalg.qr(m)[1].abs()
t.linalg.lstsq(m, v[:, None])[0]
t.linalg.solve_triangular(m.tril(), m, upper=False)
t.linalg.diagonal(m)
t.cholesky_solve(m[:, :1], t.linalg.cholesky(m @ m.T))
t.finfo(t.float32).eps
t.finfo(t.float64).max
t.finfo().tiny
t.iinfo(t.int64).max
t.is_grad_enabled()
t.get_default_dtype()
t.pi
t.inf
t.cuda.is_available()
x.device
x.device.type
x.is_cuda
x.var().backward() is None
x.ndim == len(x.shape)
t.Size([2, 3]).numel()
isinstance(x.shape, tuple)
x.numel() == x.shape.numel()
x.dtype.is_floating_point
t.float32.itemsize
x.dtype == t.double
t.autograd.grad(x.square().sum(), x)
t.autograd.grad([x.sum(), y.square().sum()], [x, y])
t.autograd.grad(x * y, x, y)
t.autograd.grad(x * y, x, grad_outputs=y)
t.autograd.grad(x.sum(), y, allow_unused=True)
!t.autograd.grad(x.sum(), y)
!t.autograd.grad(x * 1, x)
!t.autograd.grad(x.detach().sum(), x)
t.autograd.grad(outputs=x.exp().sum(), inputs=x, create_graph=True, retain_graph=True, only_inputs=True)
t.autograd.grad(x.sum(), y, materialize_grads=True)
t.autograd.backward(x.sum())
t.autograd.backward([x * 1], [y])
""".strip().splitlines()  # fmt: skip
CALLS = list(dict.fromkeys(CALLS))


# What differs on purpose: docs/differences.md says why.
DIFFERENT = """
t.square(b)
t.logit(f)
t.sub(b, i)
b.sub(2)
t.subtract(b, i)
b.subtract(2)
t.pow(i, f)
t.float_power(i, f)
t.copysign(i, f)
t.copysign(j, g)
t.heaviside(p, q)
p.heaviside(q)
t.heaviside(p, v)
t.var(s, dim=0)
x.norm(axis=1)
z.norm(dim=2, keepdims=True)
t.median(b, dim=0)
t.nanmedian(b, dim=0)
t.argmax(b, dim=0)
t.argmin(b, dim=0)
t.topk(b, 2, dim=0)
t.kthvalue(b, 2, dim=0)
t.var_mean(s, dim=0)
!t.lerp(x, 1.0, 0.5)
t.nan_to_num(x / 0)
t.nan_to_num(x / 0, nan=1.0, posinf=2.0, neginf=3.0)
!t.exp(2.0)
b - 1
True - x
x.sum(0, 1)
!t.argmax(b)
!x @ 2
!x @ f.T
x.view(t.float64)
z[0, :, c]
t.zeros(2, 3).index_add(0, c[1:], x[:1].detach())
!t.multinomial(t.tensor([0.0, 1.0, 0.0]), 2)
!x.to("cuda")
F.smooth_l1_loss(x, y, beta=0.3, reduction="sum")
t.linalg.slogdet(m)
t.slogdet(n)
"""
DIFFERENT = set(DIFFERENT.strip().splitlines())


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
