"""The table of ops: op() turns a record into an Op, checks it, and gives it its public names.

A record says how an op computes (kernel, shape, dtype), how it is differentiated (vjp, jvp), and what the project shows of
it (doc, sample). Everything else follows from these; a second list of ops anywhere is a bug. See docs/design.md.
"""

from cython cimport final
from cpython.object cimport PyObject
from cpython.mem cimport PyMem_Malloc
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from .inplace cimport inplace as run_inplace
from .tensor cimport *
from ._errors import NoMatrix, ShapeError
from .kernels import declared, kernel_names, records
from .tensor import install

# What the derivative kind of a record may be. Not given: derived as the transpose of the vjp.
DIAGONAL = "diagonal"           # elementwise: the vjp rule applied to a tangent is the jvp
LINEAR = "linear"               # linear in all differentiable inputs together: apply the op to the tangents
MULTILINEAR = "multilinear"     # linear in each input alone: sum over inputs of the op with one tangent in place
REDUCED = "reduced"             # sums of functions of one element each: the tangent times the vjp of 1, summed like the op
NONE = None                     # said explicitly: no derivative

KINDS = {DIAGONAL: J_DIAGONAL, LINEAR: J_LINEAR, MULTILINEAR: J_MULTILINEAR, REDUCED: J_REDUCED, "given": J_GIVEN,
         "derived": J_DERIVED, "none": J_NONE}

# How an op runs on a whole batch, where that does not follow from the kind of its shape rule.
ROWS = "rows"                   # each operand with the batch in front; attrs.axis, axes and shape move by one
PATTERN = "pattern"             # as ROWS, and attrs.stride walks over whole tensors first

REQUIRED = object()

pairs = {}                      # (name, name) -> the op that joins these two


class composed:
    """Marks a batch rule that gives the op in simpler ones, ``rule(a, *xs)``; what it returns NotImplemented for is ROWS."""

    def __init__(self, rule):
        self.rule = rule


class joint:
    """Marks a vjp rule that returns the gradients of all inputs at once, as a tuple (None: no gradient)."""

    def __init__(self, rule):
        self.rule = rule


def elements(shape):
    """How many elements a shape has."""
    n = 1
    for d in shape:
        n *= d
    return n


LETTERS = {"i": FG_I64, "b": FG_BOOL, "f": FG_F32, "d": FG_F64}


def op(name, *, shape, dtype, vjp=REQUIRED, jvp=None, batch=None, kernel=None, outputs=1, aux=0, dense=False,
       over=-1, keeps_history=False, joins=None, flops=None, numpy=None, sample=None, doc=None, family=None, public=""):
    """Adds a record to the table and returns it.

    name      the op's name, PyTorch's where it has one.
    shape     kind of the shape rule: SAME, BROADCAST, REDUCE, MATMUL, GIVEN (attrs.shape), VIEW, MUTATE (writes the
              tensors it is given), or a function
              ``rule(a, *shapes)`` returning the output's shape, or a tuple of shapes (None: left out) for several outputs;
              or the same in C, a ShapeRule.
    dtype     letters for inputs -> outputs. T: common promoted dtype; F: as T but real; i b f d: int64, bool, float32,
              float64; ".": taken as it is; L (output): T, but int64 for integers and bool; a (output): attrs.i[3].
              A "*" after the last input letter: any number of them.
    vjp       a rule per input (None: no derivative), or joint(rule); NONE: the op has no derivative. A rule that is one op is
              written as it, "mul_vjp g x1" for ``lambda g, x1: mul_vjp(g, x1)`` ("a" last: with the attributes), and one that
              hands the gradient on as "g": these run without a call into Python. So does a joint rule, "linear_vjp g x0 x1
              needs" ("needs" last: attrs.needs says which gradients are wanted), whose op has an output for each input. The
              gradients that an op gives which is not elementwise have the shapes of the inputs.
    jvp       DIAGONAL, LINEAR, MULTILINEAR, REDUCED, or a rule that names t0.. (tangents, None for a constant) and what a vjp
              rule names, and returns the tangent, or a tuple of them; not given: the transpose of the vjp.
    batch     how vmap runs it: nothing for SAME and BROADCAST (elementwise ops), REDUCE, MATMUL and VIEW; ROWS, PATTERN,
              composed(rule), or ``rule(a, size, which, xs)``, which gets the operands with the batch of `size` in front
              where bit i of `which` is set, and returns outputs with the batch in front. Without one, an error.
    kernel    name of the C kernel, the op's own where not given; False for an op that only moves a layout.
    outputs   how many outputs the kernel has; the last `aux` of them are for the rules only.
    dense     the kernel wants dense inputs; the core copies others.
    over      the input that the kernel may write its output over: backward does where nobody asks for that save again.
    joins     the names of two ops: it does the first and then, to its first output, the second, which is elementwise, has no
              attributes, and whose other inputs follow those of the first, dense as that output. Programs take it for the two
              where nobody else reads what lies between (epilogue.pyx); nobody else does, so it has no derivative.
    flops     function of (attrs, *shapes), or a number per output element; a reduction's is one per input element if not given.
    numpy     the op in NumPy, as an expression in the inputs x0, x1, ... (a tuple: one for each output), or a function of
              (attrs, *shapes) that returns it. Braces hold attributes: {f0} {i0} {axis} {shape}; {over}: the axes of a
              reduction as keywords; {out} and {dtype} of the output; {key}: a strided pattern as a basic index.
              `viz.to_flat_numpy` writes a tape out with it.
    sample    function of a NumPy generator returning a list of samples for the tests: (args, kwargs) of the user function.
    doc       one sentence; a formula and its source where there is one.
    public    which names it gets by itself: f function, m method, i in-place method. Ops with parameters of their own
              leave this empty and write their user function below the record, with publish().
    """
    cdef Op o = declare(name)
    if o.shape is not None:
        raise ValueError(f"op {name}: recorded twice")
    o.shape = shape if isinstance(shape, str) else "FUNCTION"
    o.is_view = shape == "VIEW"
    o.infer = infer_of(o, shape)
    o.infer_py = shape if callable(shape) else None
    read_dtype(o, dtype, outputs, aux)
    o.dense, o.over = dense, over
    o.keeps_history = keeps_history
    o.flops = (lambda a, x: elements(x)) if flops is None and shape == "REDUCE" else flops
    o.cost = flops if type(flops) is int else 1
    o.numpy = numpy
    o.sample = sample
    o.doc = doc
    o.family = family
    o.public = public
    if vjp is REQUIRED:
        raise ValueError(f"op {name}: say its derivative (vjp=...), or vjp=NONE where it has none")
    read_rules(o, vjp)
    read_jvp(o, jvp)
    o.batch = batch
    o.kernel = None if kernel is False else (kernel or name)
    if o.kernel is not None:
        if not find_kernels(o):
            raise ValueError(f"op {name}: there is no kernel {o.kernel!r}")
    o.elementwise = shape in ("SAME", "BROADCAST") and outputs == 1 and not dense and o.nin > 0 and only_common(o)
    o.fast_out = -1 if o.out_kind[0] <= D_REAL else o.out_fixed[0]
    if o.out_kind[0] not in (D_COMMON, D_REAL, D_FIXED):
        o.elementwise = False
    if joins is not None:
        pairs[joins] = o
    publish_op(o, public)
    return o


cdef bint only_common(Op o):
    for i in range(o.nin):
        if o.in_kind[i] > D_REAL:
            return False
    return True


cdef int read_dtype(Op o, str text, int outputs, int aux) except -1:
    ins, arrow, outs = text.partition("->")
    if not arrow:
        raise ValueError(f"op {o.name}: dtype {text!r} has no '->'")
    o.dtype = text
    o.outputs = outputs
    o.aux = aux
    o.nin = len(ins)
    if ins.endswith("*"):
        o.nin = -1
        ins = ins[:-1]
    if len(ins) > MAX_X or outputs > MAX_Y:
        raise ValueError(f"op {o.name}: too many inputs or outputs")
    for i in range(MAX_X):
        c = ins[min(i, len(ins) - 1)] if ins else "."
        o.in_fixed[i] = -1
        if c == "T":
            o.in_kind[i] = D_COMMON
        elif c == "F":
            o.in_kind[i] = D_REAL
        elif c == ".":
            o.in_kind[i] = D_ANY
        elif c in LETTERS:
            o.in_kind[i] = D_FIXED
            o.in_fixed[i] = LETTERS[c]
        else:
            raise ValueError(f"op {o.name}: unknown dtype letter {c!r}")
    if len(outs) != outputs:
        raise ValueError(f"op {o.name}: {outputs} outputs, but the dtype says {len(outs)}")
    for k, c in enumerate(outs):
        o.out_fixed[k] = -1
        if c == "T" or c == "F":
            o.out_kind[k] = D_COMMON
        elif c == "L":
            o.out_kind[k] = D_ACCUMULATE
        elif c == "a":
            o.out_kind[k] = D_ATTR
        elif c in LETTERS:
            o.out_kind[k] = D_FIXED
            o.out_fixed[k] = LETTERS[c]
        else:
            raise ValueError(f"op {o.name}: unknown dtype letter {c!r}")
    return 0


# ---- rules ---------------------------------------------------------------------------------------------------------

cdef int read_rules(Op o, vjp) except -1:
    o.vjp = vjp
    o.differentiable = vjp is not None
    if vjp is None:
        return 0
    o.joint = isinstance(vjp, joint)
    rules = (vjp.rule,) if o.joint else tuple(vjp)
    if not o.joint and o.nin >= 0 and len(rules) != o.nin:
        raise ValueError(f"op {o.name}: {o.nin} inputs, but {len(rules)} rules")
    o.rules = <rule_t*>PyMem_Malloc(len(rules) * sizeof(rule_t))     # for the life of the process
    memset(o.rules, 0, len(rules) * sizeof(rule_t))
    o.nrules = len(rules)
    for i, rule in enumerate(rules):
        if rule is None:
            continue
        read_rule(o, &o.rules[i], rule)
    return 0


cdef Written written(str text):
    cdef Written w = Written.__new__(Written)
    words = text.split()
    if words != ["g"]:
        w.op = declare(words[0])
        w.takes_attrs = "a" in words
        w.takes_needs = "needs" in words
    return w


def rule_names(rule):
    """What a rule names, in the order of its arguments."""
    if isinstance(rule, str):
        return tuple(rule.split()[1:]) or ("g",)
    return rule.__code__.co_varnames[:rule.__code__.co_argcount]


cdef int read_rule(Op o, rule_t* r, rule) except -1:
    names = rule_names(rule)
    if isinstance(rule, str):
        rule = written(rule)
    Py_INCREF(rule)
    r.call = <PyObject*>rule
    if len(names) > MAX_ARGS:
        raise ValueError(f"op {o.name}: a rule with more than {MAX_ARGS} arguments")
    for name in names:
        head, digits = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")):]
        k = int(digits) if digits else 0
        limit = o.nin if o.nin >= 0 else MAX_X
        if head == "g" and k < o.outputs:
            kind = ARG_G
        elif head == "gs" and not digits:
            kind = ARG_GS
        elif head == "y" and k < o.outputs:
            kind = ARG_Y
            r.mask |= <uint64_t>1 << (BIT_Y + k)
        elif head == "t" and digits and k < limit and r == &o.forward:
            kind = ARG_T
        elif head == "x" and digits and k < limit:
            kind = ARG_X
            r.mask |= <uint64_t>1 << k
        elif head == "s" and digits and k < limit:
            kind = ARG_S
            r.mask |= <uint64_t>1 << (BIT_S + k)
        elif name == "a":
            kind = ARG_A
        elif name == "needs":
            kind = ARG_NEEDS
        elif name == "node":
            kind = ARG_NODE
        elif name == "shapes":
            kind = ARG_SHAPES
            if not o.joint:
                raise ValueError(f"op {o.name}: only a joint rule can name 'shapes'")
        else:
            raise ValueError(f"op {o.name}: a rule names {name!r}; it may name g or g0.. (gradients), gs (all of them), y or "
                             f"y0.. and x0.. (values), s0.. (layouts), a (attributes), needs, shapes")
        r.args[r.nargs].kind = kind
        r.args[r.nargs].index = k
        r.nargs += 1
    return 0


cdef int read_jvp(Op o, jvp) except -1:
    if callable(jvp):
        o.jvp = "given"
        o.jvp_rule = jvp
        read_rule(o, &o.forward, jvp)
    else:
        o.jvp = jvp if jvp is not None else ("derived" if o.differentiable else "none")
    if o.jvp == DIAGONAL and (o.joint or o.shape not in ("SAME", "BROADCAST")):
        raise ValueError(f"op {o.name}: DIAGONAL is for elementwise ops with a rule per input")
    o.jvp_kind = KINDS[o.jvp]
    return 0


# ---- kinds of shape rules ------------------------------------------------------------------------------------------

@final
cdef class ShapeRule:
    """A shape rule in C, for ops whose Python rule would cost as much as their kernel."""


cdef ShapeRule shape_rule(infer_fn call):
    cdef ShapeRule r = ShapeRule.__new__(ShapeRule)
    r.call = call
    return r


cdef infer_fn infer_of(Op o, shape) except NULL:
    if type(shape) is ShapeRule:
        return (<ShapeRule>shape).call
    if callable(shape):
        return infer_function
    if shape == "SAME":
        return infer_same
    if shape == "BROADCAST":
        return infer_broadcast
    if shape == "REDUCE":
        return infer_reduce
    if shape == "MATMUL":
        return infer_matmul
    if shape == "GIVEN":
        return infer_given
    if shape in ("VIEW", "MUTATE"):
        return infer_elsewhere
    raise ValueError(f"op {o.name}: unknown kind of shape rule {shape!r}")


cdef int give(PyObject** lays, int k, Layout lay) except -1:
    Py_INCREF(lay)
    lays[k] = <PyObject*>lay
    return 0


cdef int infer_same(Op op, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef Layout l = dense_form((<Tensor>xs[0]).layout)
    cdef int k
    for k in range(op.outputs):
        give(lays, k, l)
    return 0


cdef int infer_broadcast(Op op, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef int64_t shape[8]
    cdef int i, k, nd = 0, at
    cdef Layout l
    cdef int64_t d
    for i in range(n):
        if xs[i] != NULL and (<Tensor>xs[i]).layout.c.ndim > nd:
            nd = (<Tensor>xs[i]).layout.c.ndim
    for k in range(nd):
        shape[k] = 1
    for i in range(n):
        if xs[i] == NULL:
            continue
        l = (<Tensor>xs[i]).layout
        for k in range(l.c.ndim):
            at = nd - l.c.ndim + k
            d = l.c.shape[k]
            if d == shape[at] or d == 1:
                continue
            if shape[at] != 1:
                raise_broadcast(op, xs, n)
            shape[at] = d
    l = dense_layout(nd, shape)
    for k in range(op.outputs):
        give(lays, k, l)
    return 0


cdef int raise_broadcast(Op op, PyObject** xs, int n) except -1:
    shapes = " and ".join([str(tuple(shape_of((<Tensor>xs[i]).layout))) for i in range(n) if xs[i] != NULL])
    raise ShapeError(f"{op.name}: shapes {shapes} cannot be broadcast together: aligned at the last dimension, sizes must be "
                     f"equal or 1")


cdef int infer_reduce(Op op, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    """attrs.axes: the reduced axes; attrs.mode 0: they go, 1: they stay with size 1, 2: attrs.shape is the result's."""
    cdef Layout l = (<Tensor>xs[0]).layout
    cdef int64_t shape[8]
    cdef int k, nd = 0
    if a.c.mode == 2:
        l = dense_layout(a.c.ndim, a.c.shape)
    else:
        for k in range(l.c.ndim):
            if a.c.axes >> k & 1:
                if a.c.mode == 1:
                    shape[nd] = 1
                    nd += 1
            else:
                shape[nd] = l.c.shape[k]
                nd += 1
        l = dense_layout(nd, shape)
    for k in range(op.outputs):
        give(lays, k, l)
    return 0


cdef int infer_matmul(Op op, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    """x [..., m, k] @ y [..., k, n], leading axes broadcast; a vector x is a row, a vector y a column, and that axis goes."""
    cdef Layout x = (<Tensor>xs[0]).layout
    cdef Layout y = (<Tensor>xs[1]).layout
    cdef int64_t shape[8]
    cdef int64_t d, e
    cdef int k, i, j, batch = max(x.c.ndim, y.c.ndim, 2) - 2, nd = batch
    if x.c.ndim == 0 or y.c.ndim == 0:
        raise NoMatrix(f"{op.name}: both operands need at least 1 dimension: {tuple(shape_of(x))} @ {tuple(shape_of(y))}; "
                       f"use * to multiply by a number")
    if x.c.shape[x.c.ndim - 1] != y.c.shape[max(y.c.ndim - 2, 0)]:
        raise ShapeError(f"{op.name}: inner sizes differ: {tuple(shape_of(x))} @ {tuple(shape_of(y))}")
    for k in range(batch):
        i = k - (batch + 2 - x.c.ndim)
        j = k - (batch + 2 - y.c.ndim)
        d = x.c.shape[i] if i >= 0 else 1
        e = y.c.shape[j] if j >= 0 else 1
        if d != e and d != 1 and e != 1:
            raise ShapeError(f"{op.name}: batch sizes cannot be broadcast: {tuple(shape_of(x))} @ {tuple(shape_of(y))}")
        shape[k] = e if d == 1 else d
    if x.c.ndim > 1:
        shape[nd] = x.c.shape[x.c.ndim - 2]
        nd += 1
    if y.c.ndim > 1:
        shape[nd] = y.c.shape[y.c.ndim - 1]
        nd += 1
    give(lays, 0, dense_layout(nd, shape))
    return 0


cdef int infer_given(Op op, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef int k
    for k in range(op.outputs):
        give(lays, k, dense_layout(a.c.ndim, a.c.shape))
    return 0


cdef int infer_elsewhere(Op op, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    raise RuntimeError(f"{op.name} makes no output: it runs through apply_view or apply_mutating")


cdef int infer_function(Op op, PyObject** xs, int n, Attrs a, PyObject** lays) except -1:
    cdef int k
    shapes = op.infer_py(a, *[None if xs[i] == NULL else shape_of((<Tensor>xs[i]).layout) for i in range(n)])
    if op.outputs == 1:
        shapes = (shapes,)
    for k in range(op.outputs):
        if shapes[k] is not None:
            give(lays, k, layout_from(shapes[k]))
    return 0


cdef Layout layout_from(shape):
    """The dense layout of a sequence of ints."""
    cdef int64_t c[8]
    cdef int k, nd = len(shape)
    if nd > FG_MAX_DIMS:
        raise RuntimeError(f"a tensor has at most {FG_MAX_DIMS} dimensions, got {nd}")
    for k in range(nd):
        c[k] = shape[k]
    return dense_layout(nd, c)


# ---- public names --------------------------------------------------------------------------------------------------

functions = {}      # name -> function, what fastgrad and fastgrad.nn.functional re-export


def publish(function=None, *, method=True, name=None, inplace=None):
    """Makes a user function public under its name; as a method of Tensor too. `inplace`: its in-place method."""
    def go(f):
        key = name or f.__name__
        functions[key] = f
        if method:
            install(key, f)
        if inplace is not None:
            install(key + "_", inplace)
        return f
    return go if function is None else go(function)


cdef int publish_op(Op o, str public) except -1:
    if not public:
        return 0
    makers = {1: unary, 2: binary}
    if o.nin not in makers:
        raise ValueError(f"op {o.name}: write its user function and publish() it")
    f = makers[o.nin](o)
    f.__name__ = f.__qualname__ = o.name
    f.__doc__ = o.doc
    if "f" in public:
        functions[o.name] = f
    if "m" in public:
        install(o.name, f)
    if "i" in public:
        g = {1: unary_, 2: binary_}[o.nin](o)
        g.__name__ = g.__qualname__ = o.name + "_"
        g.__doc__ = f"In-place form of `{o.name}`: writes the result into this tensor and returns it."
        install(o.name + "_", g)
    return 0


def unary(Op o):
    def elementwise(input):
        if type(input) is not Tensor:
            input = as_operand(input, FG_F32, o.name)
        return apply1(o, <Tensor>input, None)
    return elementwise


def binary(Op o):
    def elementwise(input, other):
        y = apply2(o, input, other)
        if y is NotImplemented:
            bad = input if type(other) is Tensor else other
            raise TypeError(f"{o.name}: expected a Tensor or a number, got {type(bad).__name__}")
        return y
    return elementwise


def unary_(Op o):
    def elementwise_(Tensor self not None):
        return run_inplace(o, self, [], None)
    return elementwise_


def binary_(Op o):
    def elementwise_(Tensor self not None, other):
        return run_inplace(o, self, [other], None)
    return elementwise_


def check_table():
    """Raises where a kernel has no record or an op was declared and never recorded; called once all families are in."""
    used = {o.kernel for o in records().values()}
    orphans = sorted(set(kernel_names()) - used)
    missing = sorted(set(declared()) - set(records()))
    if orphans or missing:
        raise ImportError(f"the table of ops is incomplete: kernels without a record {orphans}, ops without one {missing}")
