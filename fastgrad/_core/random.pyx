"""The family of random numbers: generators, fills, and dropout.

The bits are those of NumPy's PCG64DXSM, through its C interface; what becomes of them is in csrc/random.c. A generator makes
its bit generator when it is first used, since importing numpy.random takes longer than importing fastgrad.
"""

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.float cimport DBL_MAX
from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint64_t

import os

import numpy as np

from .arguments cimport check_options, code_of, default_code, sizes_layout
from .create cimport layout_like
from .data cimport array_of, finished
from .inplace cimport inplace
from .levels cimport behind, boxed, drawn_levels
from .promote cimport cast
from .tensor cimport *

from ._errors import DTypeError
from .table import DIAGONAL, LINEAR, ROWS, functions, op, publish
from .tensor import install


# ---- generators ----------------------------------------------------------------------------------------------------

# What a new Generator starts from, as in PyTorch; the default generator starts from the system's entropy.
SEED = 67280421310721


cdef class Generator:
    """A stream of random numbers: ``Generator().manual_seed(0)``.

    Functions that draw take one as ``generator=``; without it they draw from ``default_generator``.
    """

    def __init__(self, device="cpu"):
        check_options(device, None, "Generator")
        self.start = SEED

    def manual_seed(self, seed):
        """Starts the stream of `seed`, an integer; returns the generator."""
        forbid("seeding a generator")
        if not hasattr(seed, "__index__"):
            raise TypeError(f"manual_seed: expected an int, got {type(seed).__name__}")
        seed = seed.__index__()
        if not -2**63 <= seed < 2**64:
            raise ValueError(f"manual_seed: {seed} does not fit into 64 bits")
        self.start = seed & 0xFFFFFFFFFFFFFFFF
        if self.bits is not None:
            fresh = bit_generator(self.start)
            with self.bits.lock:
                self.bits.state = fresh.state
        return self

    def seed(self):
        """Starts a stream from the system's entropy; returns its seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self.start

    def initial_seed(self):
        """The seed the stream was started with."""
        return self.start

    def get_state(self):
        """Where the stream is, as a uint8 tensor for `set_state`."""
        prepare(self)
        with self.bits.lock:
            state = self.bits.state["state"]
        words = (self.start.to_bytes(8, "little") + state["state"].to_bytes(16, "little") + state["inc"].to_bytes(16, "little"))
        return functions["tensor"](np.frombuffer(words, np.uint8))

    def set_state(self, new_state):
        """Goes to where `get_state` was called; returns the generator."""
        if type(new_state) is not Tensor or (<Tensor>new_state).dtype != FG_U8 or new_state.numel() != 40:
            raise TypeError("set_state: expected a uint8 tensor of 40 elements from get_state()")
        words = bytes(new_state.tolist())
        self.manual_seed(int.from_bytes(words[:8], "little"))
        prepare(self)
        with self.bits.lock:
            state = self.bits.state
            state["state"] = {"state": int.from_bytes(words[8:24], "little"), "inc": int.from_bytes(words[24:], "little")}
            self.bits.state = state
        return self

    @property
    def device(self):
        """``device(type='cpu')``"""
        return functions["empty"](0).device

    def __reduce__(self):
        return _generator_at, (self.get_state().numpy(),)


def _generator_at(state):
    return Generator().set_state(functions["tensor"](state))


def bit_generator(start):
    from numpy.random import PCG64DXSM

    return PCG64DXSM(start)


cdef int prepare(Generator g) except -1:
    """Makes g's bit generator, once and for all: another thread may be drawing from it, without the interpreter's lock."""
    while g.bits is None:
        start = g.start
        bits = bit_generator(start)
        if g.bits is None and g.start == start:     # else another thread was here
            g.bits = bits
            g.address = PyCapsule_GetPointer(bits.capsule, "BitGenerator")
    return 0


default_generator = Generator()
default_generator.seed()
cdef Generator default = default_generator
cdef dict own = {}          # thread -> what it draws from instead


cdef Generator current():
    """The default generator of this thread."""
    return <Generator>own.get(<size_t>thread(), default) if own else default


def use_generator(Generator generator):
    """Makes a generator the default one of this thread; None: that of the process again."""
    if generator is None:
        own.pop(<size_t>thread(), None)
    else:
        own[<size_t>thread()] = generator


def manual_seed(seed):
    """Starts the default generator's stream of `seed`, an integer; returns that generator.

    >>> import fastgrad as fg
    >>> _ = fg.manual_seed(0)
    >>> a = fg.rand(3)
    >>> _ = fg.manual_seed(0)
    >>> fg.equal(a, fg.rand(3))
    True
    """
    return current().manual_seed(seed)


def seed():
    """Starts the default generator's stream from the system's entropy; returns the seed."""
    return current().seed()


def initial_seed():
    """The seed of the default generator's stream."""
    return current().initial_seed()


def get_rng_state():
    """Where the default generator is, as a uint8 tensor."""
    return current().get_state()


def set_rng_state(new_state):
    """Takes the default generator to where `get_rng_state` was called."""
    current().set_state(new_state)


# ---- records -------------------------------------------------------------------------------------------------------
# A fill is an op of the tensor that it overwrites, whose values it does not read: the gradient of that is zero.

cdef dict FILLED = {"shape": "SAME", "dtype": "T->T", "vjp": (lambda g: None,), "jvp": DIAGONAL, "dense": True,
                    "keeps_history": True, "family": "random"}
cdef Op UNIFORM = op("uniform", **FILLED, doc="Draws from the uniform distribution on [f0, f1).")
cdef Op NORMAL = op("normal", **FILLED, doc="Draws from the normal distribution of mean f0 and standard deviation f1.")
cdef Op EXPONENTIAL = op("exponential", **FILLED, doc="Draws from the exponential distribution of rate f0.")
cdef Op INTEGERS = op("integers", **FILLED, doc="Draws from the i2 integers that begin with i1.")
cdef Op BERNOULLI = op("bernoulli", **FILLED, doc="1 with probability f0, else 0.")
cdef Op PERMUTATION = op("permutation", **FILLED, doc="The integers from 0 in random order.")
cdef Op DROPOUT = op("dropout", shape="SAME", dtype="T->Tb", outputs=2, aux=1, dense=True, family="random",
                     vjp=(lambda g, y1, a: dropout_vjp(g, y1, a),),
                     doc="f1 x with probability f0, else 0; the mask is kept for the derivative (Srivastava et al., 2014).",
                     numpy=("x0 * y1 * {f1}", None))
cdef Op DROPOUT_VJP = op("dropout_vjp", shape="SAME", dtype="Tb->T", dense=True, family="random",
                         vjp=(lambda g, x1, a: dropout_vjp(g, x1, a), None), jvp=LINEAR, batch=ROWS,
                         doc="f1 g where the mask is set, else 0.", numpy="x0 * x1 * {f1}")


cdef Tensor dropout_vjp(Tensor g, Tensor mask, Attrs a):
    cdef PyObject* xs[2]
    xs[0] = <PyObject*>g
    xs[1] = <PyObject*>mask
    return <Tensor>apply(DROPOUT_VJP, xs, 2, a)


cdef Generator chosen(object generator):
    if generator is None:
        return current()
    if type(generator) is not Generator:
        raise TypeError(f"generator must be a fastgrad.Generator or None, got {type(generator).__name__}")
    return <Generator>generator


cdef Attrs draw_attrs(Generator g):
    cdef Attrs a = new_attrs()
    prepare(g)
    a.c.i[0] = <int64_t>g.address
    a.py = g
    return a


cdef Tensor target(Layout lay, int dtype, str who):
    """A new tensor to draw into: inside vmaps whose elements draw for themselves, a batch."""
    cdef Tensor t
    cdef list levels
    if not thread().vmaps:
        return new_tensor(lay, dtype)
    levels = drawn_levels(who)
    for _, size in reversed(levels):
        lay = behind(lay, size, 0)
    t = new_tensor(dense_layout(lay.c.ndim, lay.c.shape), dtype)
    for level, _ in levels:
        t = boxed(t, level)
    return t


cdef Tensor values_of(Tensor t):
    while t.flags & BOXED:
        t = t.extra.inner
    return t


cdef object fill_batch(Op record, Tensor t, Attrs a):
    """Draws inside vmap, as its randomness says, and writes them into t."""
    cdef Tensor drawn = target(layout_like(t), t.dtype, record.name + "_"), values = values_of(drawn)
    cdef Generator g = a.py
    with g.bits.lock:
        if record is PERMUTATION and values is not drawn:       # one for each element
            for row in values.reshape(-1, t.layout.c.size):
                inplace(record, row, [], a)
        else:
            inplace(record, values, [], a)
    return t.copy_(drawn)


cdef object fill(Op record, Tensor t, Attrs a):
    """Fills t in place, in row-major order whatever its strides."""
    cdef Tensor dense
    cdef Generator g = a.py
    if thread().vmaps:
        return fill_batch(record, t, a)
    if t.layout.c.flags & FG_DENSE:
        with g.bits.lock:
            return inplace(record, t, [], a)
    dense = new_tensor(layout_like(t), t.dtype)
    with g.bits.lock:
        inplace(record, dense, [], a)
    return t.copy_(dense)


# ---- in-place ------------------------------------------------------------------------------------------------------

cdef int only_real(Tensor t, str who) except -1:
    if not fg_is_real(t.dtype):
        raise DTypeError(f"{who}: not implemented for {dtype_of(t.dtype)}; it draws real numbers")
    return 0


cdef object fill_real(Op record, Tensor t, double first, double second, object generator):
    cdef Attrs a = draw_attrs(chosen(generator))
    a.c.f[0] = first
    a.c.f[1] = second
    return fill(record, t, a)


def uniform_(Tensor self not None, double low=0, double high=1, *, generator=None, **named):
    """Fills with draws from the uniform distribution on [from, to); returns this tensor."""
    low, high = named.pop("from", low), named.pop("to", high)
    if named:
        raise TypeError(f"uniform_: unexpected argument {next(iter(named))!r}")
    only_real(self, "uniform_")
    if not low <= high:
        raise RuntimeError(f"uniform_: expected from <= to, got [{low}, {high})")
    return fill_real(UNIFORM, self, low, high, generator)


def normal_(Tensor self not None, double mean=0, double std=1, *, generator=None):
    """Fills with draws from the normal distribution; returns this tensor."""
    only_real(self, "normal_")
    if not std >= 0:
        raise RuntimeError(f"normal_: expected std >= 0, got {std}")
    return fill_real(NORMAL, self, mean, std, generator)


def exponential_(Tensor self not None, double lambd=1, *, generator=None):
    """Fills with draws from the exponential distribution of rate lambd; returns this tensor."""
    only_real(self, "exponential_")
    if not lambd > 0:
        raise RuntimeError(f"exponential_: expected lambd > 0, got {lambd}")
    return fill_real(EXPONENTIAL, self, lambd, 0, generator)


def bernoulli_(Tensor self not None, p=0.5, *, generator=None):
    """Fills with 1 with probability p, a number or a tensor of probabilities, else 0; returns this tensor."""
    if type(p) is Tensor:
        return self.copy_(bernoulli(p.expand(self.shape), generator=generator))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_: expected 0 <= p <= 1, got {p}")
    return fill_real(BERNOULLI, self, p, 0, generator)


cdef object LARGEST = {FG_F32: 2**24, FG_F64: 2**53, FG_I64: 2**63 - 1, FG_I32: 2**31 - 1, FG_U8: 255, FG_BOOL: 1}


cdef object fill_integers(Tensor t, object low, object high, object generator, str who):
    cdef Attrs a
    if not low < high:
        raise RuntimeError(f"{who}: expected low < high, got [{low}, {high})")
    if not fg_is_real(t.dtype) and (low < -LARGEST[t.dtype] - 1 or high - 1 > LARGEST[t.dtype] or low < 0 and t.dtype >= FG_U8):
        raise RuntimeError(f"{who}: [{low}, {high}) does not fit into {dtype_of(t.dtype)}")
    a = draw_attrs(chosen(generator))
    a.c.i[1] = low
    a.c.i[2] = <int64_t><uint64_t>(high - low)
    return fill(INTEGERS, t, a)


def random_(Tensor self not None, low=None, high=None, *, generator=None, **named):
    """Fills with draws from the integers in [from, to); up to the largest that the dtype holds exactly by default."""
    low, high = named.pop("from", low), named.pop("to", high)
    if named:
        raise TypeError(f"random_: unexpected argument {next(iter(named))!r}")
    if high is None:
        low, high = (0, LARGEST[self.dtype] + 1) if low is None else (0, low)
    return fill_integers(self, 0 if low is None else low, high, generator, "random_")


for _f in (uniform_, normal_, exponential_, bernoulli_, random_):
    install(_f.__name__, _f)


# ---- new tensors ---------------------------------------------------------------------------------------------------

cdef Tensor new_real(Layout lay, int code, object layout, object device, str who):
    cdef Tensor t
    check_options(device, layout, who)
    t = target(lay, default_code() if code < 0 else code, who)
    only_real(t, who)
    return t


@publish(method=False)
def rand(*sizes, size=None, generator=None, dtype=None, layout=None, device=None, bint requires_grad=False,
         bint pin_memory=False):
    """Draws from the uniform distribution on [0, 1).

    >>> import fastgrad as fg
    >>> fg.rand(2, 3).shape
    fastgrad.Size([2, 3])
    """
    cdef Tensor t = new_real(sizes_layout(sizes, size, "rand"), code_of(dtype, "rand"), layout, device, "rand")
    fill_real(UNIFORM, t, 0, 1, generator)
    return finished(t, requires_grad)


@publish(method=False)
def randn(*sizes, size=None, generator=None, dtype=None, layout=None, device=None, bint requires_grad=False,
          bint pin_memory=False):
    """Draws from the normal distribution of mean 0 and variance 1.

    >>> import fastgrad as fg
    >>> fg.randn(2, 3, dtype=fg.float64).dtype
    fastgrad.float64
    """
    cdef Tensor t = new_real(sizes_layout(sizes, size, "randn"), code_of(dtype, "randn"), layout, device, "randn")
    fill_real(NORMAL, t, 0, 1, generator)
    return finished(t, requires_grad)


@publish(method=False)
def rand_like(Tensor input not None, *, generator=None, dtype=None, layout=None, device=None, bint requires_grad=False,
              memory_format=None):
    """Draws from the uniform distribution on [0, 1), in the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.rand_like(fg.zeros(2, 3)).shape
    fastgrad.Size([2, 3])
    """
    cdef int code = code_of(dtype, "rand_like")
    cdef Tensor t = new_real(layout_like(input), input.dtype if code < 0 else code, layout, device, "rand_like")
    fill_real(UNIFORM, t, 0, 1, generator)
    return finished(t, requires_grad)


@publish(method=False)
def randn_like(Tensor input not None, *, generator=None, dtype=None, layout=None, device=None, bint requires_grad=False,
               memory_format=None):
    """Draws from the normal distribution of mean 0 and variance 1, in the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.randn_like(fg.zeros(2, 3)).shape
    fastgrad.Size([2, 3])
    """
    cdef int code = code_of(dtype, "randn_like")
    cdef Tensor t = new_real(layout_like(input), input.dtype if code < 0 else code, layout, device, "randn_like")
    fill_real(NORMAL, t, 0, 1, generator)
    return finished(t, requires_grad)


cdef tuple range_of(tuple given, dict named, str who):
    """(low, high, rest) of f(high, ...) or f(low, high, ...), by position or by name."""
    rest = list(given)
    if "high" in named:
        high = named.pop("high")
        low = named.pop("low") if "low" in named else rest.pop(0) if rest and isinstance(rest[0], int) else 0
    elif len(rest) > 1 and isinstance(rest[1], int):
        low, high = rest[:2]
        rest = rest[2:]
    elif rest:
        low, high = named.pop("low", 0), rest.pop(0)
    else:
        raise TypeError(f"{who}: missing the argument 'high'")
    return int(low), int(high), rest


@publish(method=False)
def randint(*args, generator=None, dtype=None, layout=None, device=None, bint requires_grad=False, bint pin_memory=False,
            **named):
    """Draws from the integers in [low, high): ``randint(high, size)`` or ``randint(low, high, size)``; int64 by default.

    >>> import fastgrad as fg
    >>> x = fg.randint(1, 7, (1000,))
    >>> x.min(), x.max()
    (tensor(1), tensor(6))
    """
    cdef int code = code_of(dtype, "randint")
    cdef Tensor t
    low, high, rest = range_of(args, named, "randint")
    size = named.pop("size") if "size" in named else rest.pop(0) if rest else None
    if size is None or isinstance(size, int) or rest or named:
        raise TypeError("randint: expected randint(high, size) or randint(low, high, size) with a tuple for size")
    check_options(device, layout, "randint")
    t = target(sizes_layout((), size, "randint"), FG_I64 if code < 0 else code, "randint")
    fill_integers(t, low, high, generator, "randint")
    return finished(t, requires_grad)


@publish(method=False)
def randint_like(Tensor input not None, *args, generator=None, dtype=None, layout=None, device=None,
                 bint requires_grad=False, memory_format=None, **named):
    """Draws from the integers in [low, high), in the shape and dtype of a tensor: ``randint_like(x, high)``.

    >>> import fastgrad as fg
    >>> fg.randint_like(fg.zeros(2, 3), 10).shape
    fastgrad.Size([2, 3])
    """
    cdef int code = code_of(dtype, "randint_like")
    cdef Tensor t
    low, high, rest = range_of(args, named, "randint_like")
    if rest or named:
        raise TypeError("randint_like: expected randint_like(input, high) or randint_like(input, low, high)")
    check_options(device, layout, "randint_like")
    t = target(layout_like(input), input.dtype if code < 0 else code, "randint_like")
    fill_integers(t, low, high, generator, "randint_like")
    return finished(t, requires_grad)


@publish(method=False)
def randperm(n, *, generator=None, dtype=None, layout=None, device=None, bint requires_grad=False, bint pin_memory=False):
    """The integers from 0 to n - 1 in random order; int64 by default.

    >>> import fastgrad as fg
    >>> fg.randperm(5).sort().values
    tensor([0, 1, 2, 3, 4])
    """
    cdef int code = code_of(dtype, "randperm")
    cdef Tensor t
    if isinstance(n, int) and n < 0:
        raise RuntimeError(f"randperm: n must be non-negative, got {n}")
    check_options(device, layout, "randperm")
    t = target(sizes_layout((n,), None, "randperm"), FG_I64, "randperm")
    fill(PERMUTATION, t, draw_attrs(chosen(generator)))
    return finished(t if code < 0 else cast(t, code), requires_grad)


cdef bint all_within(Tensor t, double low, double high):
    """Whether all elements lie in [low, high], NaN nowhere. No door: a compiled function's recorded calls may look, its
    replays do without, and whatever the values are, what is drawn is in range."""
    cdef Tensor dense = values_of(t).contiguous()
    cdef float* f = <float*>dense.data
    cdef double* d = <double*>dense.data
    cdef int64_t k
    cdef bint found = True
    if dense.dtype == FG_F32:
        for k in range(dense.layout.c.size):
            found &= f[k] >= low and f[k] <= high
    else:
        for k in range(dense.layout.c.size):
            found &= d[k] >= low and d[k] <= high
    return found


@publish
def bernoulli(Tensor input not None, p=None, *, generator=None):
    """1 with the probability that the element of `input` is (or p), else 0; in the shape and dtype of `input`.

    >>> import fastgrad as fg
    >>> fg.bernoulli(fg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    cdef Tensor t = target(layout_like(input), input.dtype, "bernoulli")
    if p is not None:
        return bernoulli_(t, p, generator=generator)
    only_real(input, "bernoulli")
    if not all_within(input, 0, 1):
        raise RuntimeError("bernoulli: expected all probabilities to be in [0, 1]")
    fill_real(UNIFORM, t, 0, 1, generator)
    return cast(t < alias(input), t.dtype)


@publish(method=False)
def normal(mean=0.0, std=1.0, size=None, *, generator=None, dtype=None, layout=None, device=None, bint requires_grad=False,
           bint pin_memory=False):
    """Draws from normal distributions: of one mean and std, numbers, in `size`; or of a tensor of means, of stds, or both.

    >>> import fastgrad as fg
    >>> fg.normal(5.0, 0.0, (2,))
    tensor([5., 5.])
    """
    cdef Tensor t
    if type(mean) is not Tensor and type(std) is not Tensor:
        if size is None:
            raise TypeError("normal: numbers for mean and std need a size")
        t = randn(size=size, generator=generator, dtype=dtype, layout=layout, device=device)
        if not std >= 0:
            raise RuntimeError(f"normal: expected std >= 0, got {std}")
        return finished(t * std + mean, requires_grad)
    if type(std) is Tensor and not all_within(std, 0, INFINITY):
        raise RuntimeError("normal: expected all elements of std >= 0")
    spread = mean + std
    return alias(randn_like(spread, generator=generator) * std + mean)


@publish
def multinomial(Tensor input not None, num_samples, replacement=False, *, generator=None):
    """Indices drawn in proportion to the weights in each row of `input` [..., n], shape [..., num_samples], int64.

    input: float32 or float64, one or two dimensions; the weights of a row need not sum to 1. In a compiled function weights are
        looked at only while it is recorded, and several samples with replacement cannot be drawn.

    Raises RuntimeError for weights that are negative, not finite or all zero in a row, and for more samples than weights above
    zero without replacement.

    >>> import fastgrad as fg
    >>> fg.multinomial(fg.tensor([0.0, 0.0, 2.0]), 2, replacement=True)
    tensor([2, 2])
    """
    cdef Tensor weights, keys
    only_real(input, "multinomial")
    if input.layout.c.ndim not in (1, 2):
        raise RuntimeError(f"multinomial: expected 1 or 2 dimensions, got {input.layout.c.ndim}")
    if num_samples <= 0:
        raise RuntimeError(f"multinomial: cannot draw {num_samples} samples")
    weights = cast(alias(input), FG_F64)
    above = cast((weights > 0).sum(-1), FG_F64)
    if not all_within(weights, 0, DBL_MAX) or not all_within(above, 1, INFINITY):
        raise RuntimeError("multinomial: weights must be finite, non-negative, and not all zero in a row")
    if replacement and num_samples > 1:
        return with_replacement(array_of(weights), num_samples, generator)
    if not all_within(above, num_samples, INFINITY):
        raise RuntimeError(f"multinomial: cannot draw {num_samples} samples without replacement from fewer weights above zero")
    # The smallest of exponential variables divided by the weights (Efraimidis and Spirakis, 2006).
    keys = target(layout_like(weights), FG_F64, "multinomial")
    fill_real(EXPONENTIAL, keys, 1, 0, generator)
    keys = keys / weights
    return functions["argmin"](keys, -1, True) if num_samples == 1 else functions["topk"](keys, num_samples, -1, False)[1]


cdef object with_replacement(object weights, num_samples, generator):
    lead = weights.shape[:weights.ndim - 1]
    keys = array_of(rand(*lead, num_samples, generator=generator, dtype=dtype_of(FG_F64)))
    edges = weights.cumsum(-1)
    edges /= edges.max(-1, keepdims=True)
    found = [np.searchsorted(e, u, side="right") for e, u in zip(np.atleast_2d(edges), np.atleast_2d(keys))]
    return functions["tensor"](np.array(found).reshape(*lead, num_samples))


# ---- dropout -------------------------------------------------------------------------------------------------------

cdef Tensor dropout_mask(Tensor x, Attrs a):
    """Which elements stay."""
    cdef Tensor mask = target(layout_like(x), FG_BOOL, "dropout")
    cdef Attrs b = draw_attrs(a.py)
    b.c.f[0] = a.c.f[0]
    return fill(BERNOULLI, mask, b)


@publish(method=False)
def dropout(Tensor input not None, double p=0.5, bint training=True, *, generator=None):
    """In training, each element is zero with probability p and otherwise scaled by 1 / (1 - p); else the input itself.

    >>> import fastgrad as fg
    >>> fg.nn.functional.dropout(fg.ones(3), p=0.5, training=False)
    tensor([1., 1., 1.])
    """
    cdef Attrs a
    cdef Generator g
    cdef PyObject* px = <PyObject*>input
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: the probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    only_real(input, "dropout")
    g = chosen(generator)
    a = draw_attrs(g)
    a.c.f[0] = 1 - p
    a.c.f[1] = 1 / (1 - p) if p < 1 else 0
    if input.flags & (BOXED | DUAL) or thread().vmaps:
        return dropout_vjp(input, dropout_mask(input, a), a)
    with g.bits.lock:
        return apply(DROPOUT, &px, 1, a)
