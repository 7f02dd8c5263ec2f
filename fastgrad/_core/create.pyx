"""New tensors filled with numbers: constants, ranges, and in the shape of others.

What is made here has no history: memory is taken and filled directly. Whatever reads an existing tensor is an op.
"""

from cpython.long cimport PyLong_CheckExact
from libc.math cimport ceil, isfinite, pow as power
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memset

from .arguments cimport check_options, code_of, default_code, sizes_layout
from .data cimport fill, finished, number_code, plain_number
from .levels cimport batched_like
from .shape cimport read_shape
from .tensor cimport *

from .memory import DTYPES
from .table import publish
from .tensor import install


# ---- filled --------------------------------------------------------------------------------------------------------

cdef Tensor filled(Layout lay, object value, int dtype, bint requires_grad):
    cdef Tensor t = new_tensor(lay, dtype)
    fill(t, value)
    return finished(t, requires_grad)


@publish(method=False)
def zeros(*sizes, size=None, dtype=None, layout=None, device=None, bint requires_grad=False, bint pin_memory=False):
    """A tensor of zeros.

    >>> import fastgrad as fg
    >>> fg.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    cdef int code = code_of(dtype, "zeros")
    check_options(device, layout, "zeros")
    return filled(sizes_layout(sizes, size, "zeros"), 0, default_code() if code < 0 else code, requires_grad)


@publish(method=False)
def ones(*sizes, size=None, dtype=None, layout=None, device=None, bint requires_grad=False, bint pin_memory=False):
    """A tensor of ones.

    >>> import fastgrad as fg
    >>> fg.ones(2, 3)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    cdef int code = code_of(dtype, "ones")
    check_options(device, layout, "ones")
    return filled(sizes_layout(sizes, size, "ones"), 1, default_code() if code < 0 else code, requires_grad)


cdef Tensor unfilled(Layout lay, int code):
    """A new tensor with whatever was in memory; with zeros in a compiled function, whose calls must be alike."""
    cdef Tensor t = new_tensor(lay, code)
    if thread().special & RECORDED:
        t.zero_()
    return t


@publish(method=False)
def empty(*sizes, size=None, dtype=None, layout=None, device=None, bint requires_grad=False, bint pin_memory=False,
          memory_format=None):
    """A tensor whose elements are whatever was in memory.

    >>> import fastgrad as fg
    >>> fg.empty(2, 3).shape
    fastgrad.Size([2, 3])
    """
    cdef int code = code_of(dtype, "empty")
    check_options(device, layout, "empty")
    return finished(unfilled(sizes_layout(sizes, size, "empty"), default_code() if code < 0 else code), requires_grad)


@publish(method=False)
def full(size, fill_value, *, dtype=None, layout=None, device=None, bint requires_grad=False, bint pin_memory=False):
    """A tensor with every element fill_value; its dtype, where not given, is that of the number.

    >>> import fastgrad as fg
    >>> fg.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    cdef int code = code_of(dtype, "full")
    check_options(device, layout, "full")
    if code < 0:
        code = number_code(fill_value, "full")
    return filled(sizes_layout((), size, "full"), fill_value, code, requires_grad)


cdef Tensor filled_like(Tensor x, object value, int code, bint requires_grad):
    """In the shape of x; for a batch where x is one, so that the values of one can be written into it."""
    cdef Tensor t = filled(layout_like(x), value, x.dtype if code < 0 else code, False)
    return finished(batched_like(t, x), requires_grad)


cdef Layout layout_like(Tensor x):
    return x.layout if x.layout.c.flags & FG_DENSE else dense_layout(x.layout.c.ndim, x.layout.c.shape)


@publish(method=False)
def zeros_like(Tensor input not None, *, dtype=None, layout=None, device=None, bint requires_grad=False, memory_format=None):
    """Zeros of the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.zeros_like(fg.tensor([5.0, 6.0]))
    tensor([0., 0.])
    """
    cdef int code = code_of(dtype, "zeros_like")
    check_options(device, layout, "zeros_like")
    return filled_like(input, 0, code, requires_grad)


@publish(method=False)
def ones_like(Tensor input not None, *, dtype=None, layout=None, device=None, bint requires_grad=False, memory_format=None):
    """Ones of the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.ones_like(fg.tensor([5, 6]))
    tensor([1, 1])
    """
    cdef int code = code_of(dtype, "ones_like")
    check_options(device, layout, "ones_like")
    return filled_like(input, 1, code, requires_grad)


@publish(method=False)
def empty_like(Tensor input not None, *, dtype=None, layout=None, device=None, bint requires_grad=False, memory_format=None):
    """Uninitialised, of the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.empty_like(fg.ones(2, 3)).shape
    fastgrad.Size([2, 3])
    """
    cdef int code = code_of(dtype, "empty_like")
    check_options(device, layout, "empty_like")
    return finished(batched_like(unfilled(layout_like(input), input.dtype if code < 0 else code), input), requires_grad)


@publish(method=False)
def full_like(Tensor input not None, fill_value, *, dtype=None, layout=None, device=None, bint requires_grad=False,
              memory_format=None):
    """Every element fill_value, of the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.full_like(fg.zeros(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    cdef int code = code_of(dtype, "full_like")
    check_options(device, layout, "full_like")
    return filled_like(input, fill_value, code, requires_grad)


def new_zeros(Tensor self not None, *sizes, size=None, dtype=None, layout=None, device=None, bint requires_grad=False):
    """Zeros of the given shape, of this tensor's dtype unless another is given."""
    cdef int code = code_of(dtype, "new_zeros")
    check_options(device, layout, "new_zeros")
    t = filled(sizes_layout(sizes, size, "new_zeros"), 0, self.dtype if code < 0 else code, False)
    return finished(batched_like(t, self), requires_grad)


def new_ones(Tensor self not None, *sizes, size=None, dtype=None, layout=None, device=None, bint requires_grad=False):
    """Ones of the given shape, of this tensor's dtype unless another is given."""
    cdef int code = code_of(dtype, "new_ones")
    check_options(device, layout, "new_ones")
    t = filled(sizes_layout(sizes, size, "new_ones"), 1, self.dtype if code < 0 else code, False)
    return finished(batched_like(t, self), requires_grad)


def new_empty(Tensor self not None, *sizes, size=None, dtype=None, layout=None, device=None, bint requires_grad=False):
    """Uninitialised, of the given shape, of this tensor's dtype unless another is given."""
    cdef int code = code_of(dtype, "new_empty")
    check_options(device, layout, "new_empty")
    t = unfilled(sizes_layout(sizes, size, "new_empty"), self.dtype if code < 0 else code)
    return finished(batched_like(t, self), requires_grad)


def new_full(Tensor self not None, size, fill_value, *, dtype=None, layout=None, device=None, bint requires_grad=False):
    """Every element fill_value, of the given shape, of this tensor's dtype unless another is given."""
    cdef int code = code_of(dtype, "new_full")
    check_options(device, layout, "new_full")
    t = filled(sizes_layout((), size, "new_full"), fill_value, self.dtype if code < 0 else code, False)
    return finished(batched_like(t, self), requires_grad)


for _f in (new_zeros, new_ones, new_empty, new_full):
    install(_f.__name__, _f)


# ---- ranges --------------------------------------------------------------------------------------------------------

cdef void put_real(Tensor t, int64_t k, double value) noexcept:
    """Element k of new, dense memory; truncated where the dtype is an integer."""
    if t.dtype == FG_F32:
        (<float*>t.data)[k] = <float>value
    elif t.dtype == FG_F64:
        (<double*>t.data)[k] = value
    elif t.dtype == FG_I64:
        (<int64_t*>t.data)[k] = <int64_t>value
    elif t.dtype == FG_I32:
        (<int32_t*>t.data)[k] = <int32_t><int64_t>value
    elif t.dtype == FG_U8:
        (<uint8_t*>t.data)[k] = <uint8_t><int64_t>value
    else:
        (<uint8_t*>t.data)[k] = value != 0


cdef Layout line(object n):
    cdef int64_t c
    try:
        c = n
    except OverflowError:
        raise MemoryError(f"a tensor of {n} elements does not fit into memory") from None
    return dense_layout(1, &c)


@publish(method=False)
def arange(start=None, end=None, step=1, *, dtype=None, layout=None, device=None, bint requires_grad=False,
           bint pin_memory=False):
    """The numbers start, start + step, ... before end; ``arange(end)`` starts at 0. int64 where all three are integers.

    >>> import fastgrad as fg
    >>> fg.arange(1, 2.5, 0.5)
    tensor([1.0000, 1.5000, 2.0000])
    """
    cdef int code = code_of(dtype, "arange")
    cdef Tensor t
    cdef int64_t k, i0, istep
    cdef double a, b, s, count
    check_options(device, layout, "arange")
    if end is None:
        start, end = 0, start
    elif start is None:
        start = 0
    if end is None:
        raise TypeError("arange: missing the argument 'end'")
    start, end, step = plain_number(start, "arange"), plain_number(end, "arange"), plain_number(step, "arange")
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    whole = PyLong_CheckExact(start) and PyLong_CheckExact(end) and PyLong_CheckExact(step)
    if not whole and not (isfinite(start) and isfinite(end)):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}")
    if (end - start) * (1 if step > 0 else -1) < 0:
        raise RuntimeError(f"arange: end {end} cannot be reached from start {start} with step {step}")
    if whole:
        t = new_tensor(line(-((start - end) // step)), FG_I64 if code < 0 else code)
        i0 = start
        istep = step
        if t.dtype == FG_I64:
            for k in range(t.layout.c.size):
                (<int64_t*>t.data)[k] = i0 + k * istep
        else:
            for k in range(t.layout.c.size):
                put_real(t, k, <double>(i0 + k * istep))
        return finished(t, requires_grad)
    a, b, s = start, end, step
    count = ceil((b - a) / s)
    t = new_tensor(line(int(count)), default_code() if code < 0 else code)
    for k in range(t.layout.c.size):
        put_real(t, k, a + k * s)
    return finished(t, requires_grad)


cdef Tensor spaced(object start, object end, object steps, object dtype, str who):
    cdef int code = code_of(dtype, who)
    cdef double a = plain_number(start, who), b = plain_number(end, who), step
    cdef int64_t n = steps, k
    cdef Tensor t
    if n < 0:
        raise RuntimeError(f"{who}: number of steps must be non-negative, got {n}")
    t = new_tensor(dense_layout(1, &n), default_code() if code < 0 else code)
    step = (b - a) / (n - 1) if n > 1 else 0
    for k in range(n):      # from both ends, so that both are exact and the rest is symmetric
        put_real(t, k, a + step * k if 2 * k < n else b - step * (n - 1 - k))
    return t


@publish(method=False)
def linspace(start, end, steps, *, dtype=None, layout=None, device=None, bint requires_grad=False, bint pin_memory=False):
    """`steps` evenly spaced numbers from start to end, both included.

    >>> import fastgrad as fg
    >>> fg.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    check_options(device, layout, "linspace")
    return finished(spaced(start, end, steps, dtype, "linspace"), requires_grad)


@publish(method=False)
def logspace(start, end, steps, base=10.0, *, dtype=None, layout=None, device=None, bint requires_grad=False,
             bint pin_memory=False):
    """``base ** linspace(start, end, steps)``.

    >>> import fastgrad as fg
    >>> fg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    cdef int code = code_of(dtype, "logspace")
    cdef double b = base
    cdef int64_t k
    cdef Tensor x, t
    check_options(device, layout, "logspace")
    x = spaced(start, end, steps, DTYPES["float64"], "logspace")
    t = new_tensor(x.layout, default_code() if code < 0 else code)
    for k in range(x.layout.c.size):
        put_real(t, k, power(b, (<double*>x.data)[k]))
    return finished(t, requires_grad)


@publish(method=False)
def eye(n, m=None, *, dtype=None, layout=None, device=None, bint requires_grad=False, bint pin_memory=False):
    """The matrix [n, m] (m = n where not given) with ones on its diagonal.

    >>> import fastgrad as fg
    >>> fg.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    cdef int code = code_of(dtype, "eye")
    cdef int64_t shape[2]
    cdef int64_t k
    cdef Tensor t
    check_options(device, layout, "eye")
    read_shape((n, n if m is None else m), shape, "eye")
    if shape[0] < 0 or shape[1] < 0:
        raise RuntimeError(f"eye: sizes must be greater than or equal to 0, got {shape[0]} and {shape[1]}")
    t = new_tensor(dense_layout(2, shape), default_code() if code < 0 else code)
    memset(t.data, 0, <size_t>(t.layout.c.size * fg_itemsize[t.dtype]))
    for k in range(min(shape[0], shape[1])):
        put_real(t, k * shape[1] + k, 1)
    return finished(t, requires_grad)
