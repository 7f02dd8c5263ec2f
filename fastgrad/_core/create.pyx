"""New tensors: from Python data and from arrays, filled with numbers, and like others.

What is made here has no history: memory is taken and filled directly. Whatever reads an existing tensor is an op.
"""

cimport numpy as cnp
from cpython.bool cimport PyBool_Check
from cpython.complex cimport PyComplex_Check
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from libc.math cimport ceil, isfinite, pow as power
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import operator
import warnings

import numpy as np

from .levels cimport batched_like
from .memory cimport DType, foreign_storage
from .promote cimport cast
from .shape cimport read_shape
from .tensor cimport *

from ._errors import DTypeError
from .memory import DTYPES
from .table import publish
from .tensor import get_default_dtype, install

cnp.import_array()

cdef Op CLONE = declare("clone")

cdef str SUPPORTED = ", ".join(DTYPES)


# ---- arguments -----------------------------------------------------------------------------------------------------

class device:
    """Where a tensor is: ``device("cpu")``, the only one."""

    __slots__ = ()
    type = "cpu"
    index = None

    def __new__(cls, type="cpu", index=None):
        check_device(type, "device")
        return object.__new__(cls)

    def __eq__(self, other):
        return isinstance(other, device)

    def __hash__(self):
        return hash("cpu")

    def __repr__(self):
        return "device(type='cpu')"

    def __str__(self):
        return "cpu"

    def __reduce__(self):
        return device, ("cpu",)


cdef object CPU = device()
install("device", property(lambda Tensor self: CPU, None, None, "Where the tensor is: always ``device(type='cpu')``."))
install("is_cuda", property(lambda Tensor self: False, None, None, "False: there is no GPU here."))
install("is_cpu", property(lambda Tensor self: True, None, None, "True."))


class _Named:
    # A constant that only has a name.
    __slots__ = ("_name",)

    def __init__(self, name):
        self._name = name

    def __repr__(self):
        return f"fastgrad.{self._name}"

    def __reduce__(self):
        return self._name


# Accepted where PyTorch accepts them: every new tensor is dense in row-major order.
strided = _Named("strided")
contiguous_format = _Named("contiguous_format")
preserve_format = _Named("preserve_format")
install("layout", property(lambda Tensor self: strided, None, None, "Always ``fastgrad.strided``."))


cdef int check_device(object which, str who) except -1:
    if which is None or isinstance(which, device) or (isinstance(which, str) and which in ("cpu", "cpu:0")):
        return 0
    raise RuntimeError(f"{who}: fastgrad computes on the CPU only, got device={str(which)!r}; use device='cpu' or leave it out")


cdef int check_options(object which, object layout, str who) except -1:
    if which is not None:
        check_device(which, who)
    if layout is not None and layout is not strided:
        raise RuntimeError(f"{who}: tensors are strided only, got layout={layout!r}")
    return 0


cdef int code_of(object dtype, str who) except -2:
    """The code of a dtype argument; -1 for None."""
    if dtype is None:
        return -1
    if type(dtype) is DType:
        return (<DType>dtype).code
    if dtype is float:
        return FG_F64
    if dtype is int:
        return FG_I64
    if dtype is bool:
        return FG_BOOL
    raise TypeError(f"{who}: dtype must be one of fastgrad's ({SUPPORTED}), got {dtype!r}")


cdef int default_code() except -1:
    return (<DType>get_default_dtype()).code


cdef Layout sizes_layout(tuple sizes, object size, str who):
    """The dense layout of sizes given as f(2, 3), f((2, 3)) or f(size=(2, 3))."""
    cdef int64_t shape[8]
    cdef int n
    if size is not None:
        if sizes:
            raise TypeError(f"{who}: sizes given twice, as arguments and as size=")
        sizes = (size,)
    if len(sizes) == 1 and not PyLong_CheckExact(sizes[0]) and hasattr(sizes[0], "__index__"):
        sizes = (operator.index(sizes[0]),)         # f(array.sum()), f(tensor)
    n = read_shape(sizes, shape, who)
    return dense_layout(n, shape)


cdef Tensor finished(Tensor t, bint requires_grad):
    if requires_grad:
        require_grad(t)
    return t


# ---- numbers -------------------------------------------------------------------------------------------------------

cdef object overflow(object x, int dtype):
    if dtype == FG_I64:
        return ValueError(f"{x} overflows int64")
    return RuntimeError(f"{x} cannot be converted to {dtype_of(dtype).name} without overflow")


cdef int store(void* at, int dtype, object x) except -1:
    """Writes one Python number (or 0-d tensor, or NumPy scalar) as `dtype`."""
    cdef int64_t i
    if dtype == FG_F32:
        (<float*>at)[0] = <float><double>x
        return 0
    if dtype == FG_F64:
        (<double*>at)[0] = <double>x
        return 0
    if dtype == FG_BOOL:
        (<uint8_t*>at)[0] = bool(x)
        return 0
    try:
        i = x if PyLong_CheckExact(x) else int(x)
    except OverflowError:
        raise overflow(x, dtype) from None
    if dtype == FG_I64:
        (<int64_t*>at)[0] = i
    elif dtype == FG_I32:
        if i != <int32_t>i:
            raise overflow(x, dtype)
        (<int32_t*>at)[0] = <int32_t>i
    else:
        if i != <uint8_t>i:
            raise overflow(x, dtype)
        (<uint8_t*>at)[0] = <uint8_t>i
    return 0


cdef int fill(Tensor t, object value) except -1:
    """Fills new, dense memory with one number."""
    cdef uint64_t one = 0
    cdef uint32_t half
    cdef int64_t k, n = t.layout.c.size
    store(&one, t.dtype, value)
    memcpy(&half, &one, 4)
    if one == 0:
        memset(t.data, 0, <size_t>(n * fg_itemsize[t.dtype]))
    elif fg_itemsize[t.dtype] == 8:
        for k in range(n):
            (<uint64_t*>t.data)[k] = one
    elif fg_itemsize[t.dtype] == 4:
        for k in range(n):
            (<uint32_t*>t.data)[k] = half
    else:
        memset(t.data, half & 0xFF, <size_t>n)
    return 0


cdef int number_code(object x, str who) except -1:
    """The dtype of one number: bool, int64, the default real dtype, or that of a NumPy scalar or one-element tensor."""
    if PyFloat_CheckExact(x):
        return default_code()
    if PyBool_Check(x):
        return FG_BOOL
    if PyLong_CheckExact(x):
        return FG_I64
    if cnp.PyArray_CheckScalar(x):          # 0-d arrays too
        return array_code(x.dtype, who)
    if type(x) is Tensor:
        if (<Tensor>x).layout.c.size != 1:
            raise ValueError(f"{who}: only one element tensors can stand among numbers, got shape {tuple(x.shape)}; "
                             f"use stack() or cat() to join tensors")
        if x.requires_grad:
            warnings.warn(f"{who}: a tensor that requires grad was copied without its history; use stack() or cat() to join "
                          f"tensors", UserWarning, stacklevel=2)
        return (<Tensor>x).dtype
    if isinstance(x, float):
        return default_code()
    if isinstance(x, int):
        return FG_I64
    if PyComplex_Check(x):
        raise TypeError(f"{who}: complex numbers are not supported; the dtypes are {SUPPORTED}")
    raise DTypeError(f"{who}: could not infer a dtype from {type(x).__name__}; expected numbers, nested sequences of numbers, or "
                     f"an array")


# ---- arrays --------------------------------------------------------------------------------------------------------

cdef int array_code_or(object dtype) except -2:
    """The code of a NumPy dtype in any byte order; -1 where there is none."""
    cdef str kind = dtype.kind
    cdef int size = dtype.itemsize
    if kind == "f":
        return FG_F32 if size == 4 else FG_F64 if size == 8 else -1
    if kind == "i":
        return FG_I64 if size == 8 else FG_I32 if size == 4 else -1
    if kind == "u" and size == 1:
        return FG_U8
    return FG_BOOL if kind == "b" else -1


cdef int array_code(object dtype, str who) except -1:
    cdef int code = array_code_or(dtype)
    if code < 0:
        raise TypeError(f"{who}: can't convert a NumPy array of type {dtype}; the only supported types are {SUPPORTED}"
                        f"{'; convert it with .astype() first' if dtype.kind in 'fiu' else ''}")
    return code


cdef str why_not_shared(cnp.ndarray a):
    """Why a tensor cannot have this array's memory; None where it can."""
    cdef int k
    cdef int64_t size = a.dtype.itemsize
    if not a.dtype.isnative:
        return "its byte order is not the native one"
    if not cnp.PyArray_ISALIGNED(a):
        return "it is not aligned"
    if a.ndim > FG_MAX_DIMS:
        return f"it has {a.ndim} dimensions, and a tensor at most {FG_MAX_DIMS}"
    for k in range(a.ndim):
        if a.shape[k] > 1 and a.strides[k] < 0:
            return "at least one stride is negative"
        if a.shape[k] > 1 and a.strides[k] % size:
            return "its strides are no multiples of its item size"
    return None


cdef Tensor share_array(cnp.ndarray a, int code):
    cdef int64_t shape[8]
    cdef int64_t stride[8]
    cdef int64_t extent = 1
    cdef int k
    cdef Layout lay
    cdef Storage storage
    for k in range(a.ndim):
        shape[k] = a.shape[k]
        stride[k] = a.strides[k] // fg_itemsize[code]
        extent += (shape[k] - 1) * stride[k]
    lay = strided_layout(a.ndim, shape, stride)
    if lay.c.size == 0:
        extent = 0
    storage = foreign_storage(cnp.PyArray_DATA(a), extent * fg_itemsize[code], a, not cnp.PyArray_ISWRITEABLE(a))
    return make_tensor(storage, lay, storage.data, code)


cdef Tensor copy_array(cnp.ndarray a, int code, str who):
    """A tensor of dtype `code` with the values of any numeric array."""
    cdef Tensor t
    cdef int64_t shape[8]
    cdef int k
    if a.dtype.kind not in "fiub":
        array_code(a.dtype, who)        # raises
    if a.ndim > FG_MAX_DIMS:
        raise RuntimeError(f"{who}: a tensor has at most {FG_MAX_DIMS} dimensions, got {a.ndim}")
    for k in range(a.ndim):
        shape[k] = a.shape[k]
    t = new_tensor(dense_layout(a.ndim, shape), code)
    if cnp.PyArray_IS_C_CONTIGUOUS(a) and a.dtype == dtype_of(code).numpy_dtype:
        memcpy(t.data, cnp.PyArray_DATA(a), <size_t>(t.layout.c.size * fg_itemsize[code]))
    else:
        np.copyto(array_of(t), a, casting="unsafe")
    return t


cdef int* typenums = [cnp.NPY_FLOAT32, cnp.NPY_FLOAT64, cnp.NPY_INT64, cnp.NPY_INT32, cnp.NPY_UINT8, cnp.NPY_BOOL]


cdef object array_of(Tensor t):
    """The array over a tensor's memory; it holds the storage."""
    cdef cnp.npy_intp shape[8]
    cdef cnp.npy_intp stride[8]
    cdef int k
    cdef int flags = 0 if t.storage.readonly else cnp.NPY_ARRAY_WRITEABLE
    door(t, "reading a tensor as an array")
    only_plain(t, "reading the values", BOXED)
    for k in range(t.layout.c.ndim):
        shape[k] = t.layout.c.shape[k]
        stride[k] = t.layout.c.stride[k] * fg_itemsize[t.dtype]
    a = cnp.PyArray_New(cnp.ndarray, t.layout.c.ndim, shape, typenums[t.dtype], stride, t.data, 0, flags, None)
    cnp.set_array_base(a, t.storage)
    return a


cdef object from_array(object x):
    """Any object with ``__array__`` as a tensor, without a copy where that is possible: what operands go through."""
    cdef cnp.ndarray a = np.asarray(x)
    cdef int code = array_code(a.dtype, "an operand")
    return share_array(a, code) if why_not_shared(a) is None else copy_array(a, code, "an operand")


slots.from_array = from_array


@publish(method=False)
def from_numpy(ndarray, /):
    """A tensor that shares the array's memory: writing one changes the other. A read-only array gives a tensor that in-place
    operations refuse.

    Raises TypeError for anything but an array of float32, float64, int64, int32, uint8 or bool, ValueError for an array whose
    memory cannot be shared (negative strides, foreign byte order); copy it with ``tensor(array)``.

    >>> import numpy, fastgrad as fg
    >>> a = numpy.zeros(3)
    >>> t = fg.from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0., 0.], dtype=fastgrad.float64)
    """
    cdef cnp.ndarray a
    cdef int code
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected np.ndarray (got {type(ndarray).__name__})")
    a = ndarray
    code = array_code(a.dtype, "from_numpy")
    why = why_not_shared(a)
    if why is not None:
        raise ValueError(f"from_numpy: the memory of this array cannot be shared: {why}; copy it with fastgrad.tensor(array)")
    return share_array(a, code)


# ---- Python data ---------------------------------------------------------------------------------------------------

cdef object sequence_of(object x):
    """x as a list or tuple; None where it is no sequence of items."""
    if type(x) is list or type(x) is tuple:
        return x
    if PyFloat_CheckExact(x) or PyLong_CheckExact(x) or type(x) is Tensor or cnp.PyArray_CheckScalar(x):
        return None
    if isinstance(x, (str, bytes, dict)):
        return None
    if hasattr(type(x), "__len__") and hasattr(type(x), "__getitem__"):
        return list(x)
    return None


cdef int promoted_code(object x, int code, int depth) except -2:
    """The promoted dtype of all numbers in nested sequences and `code` (-1: none yet)."""
    cdef int one
    seq = sequence_of(x)
    if seq is None:
        one = number_code(x, "tensor")
        return one if code < 0 else fg_promote(code, one)
    if depth == 0:
        raise ValueError("tensor: sequences nested too deeply, or unevenly")
    for item in seq:
        if PyFloat_CheckExact(item) and (code == FG_F32 or code == FG_F64):
            continue
        code = promoted_code(item, code, depth - 1)
    return code


cdef int read_items(object seq, int axis, Layout lay, int dtype, char** at) except -1:
    """Writes the numbers of nested sequences in row-major order, checking that they have the layout's shape."""
    cdef int64_t n = 0, size = lay.c.shape[axis]
    cdef bint last = axis == lay.c.ndim - 1
    for item in seq:
        n += 1
        if n > size:
            break
        if last:
            if sequence_of(item) is not None:
                raise ValueError(f"tensor: expected a number at dim {axis + 1}, got a {type(item).__name__}: the nested "
                                 f"sequences are uneven")
            store(at[0], dtype, item)
            at[0] += fg_itemsize[dtype]
        else:
            inner = sequence_of(item)
            if inner is None:
                raise ValueError(f"tensor: expected a sequence of length {lay.c.shape[axis + 1]} at dim {axis + 1}, got a "
                                 f"{type(item).__name__}: the nested sequences are uneven")
            read_items(inner, axis + 1, lay, dtype, at)
    if n != size:
        raise ValueError(f"tensor: expected sequence of length {size} at dim {axis} (got {len(seq)})")
    return 0


cdef Tensor from_sequence(object seq, int dtype):
    cdef int64_t shape[8]
    cdef int ndim = 0
    cdef char* at
    cdef Tensor t
    first = seq
    while first is not None:
        if ndim == FG_MAX_DIMS:
            raise ValueError(f"tensor: a tensor has at most {FG_MAX_DIMS} dimensions; the sequences are nested deeper")
        shape[ndim] = len(first)
        ndim += 1
        if not len(first):
            break
        item = first[0]
        if isinstance(item, np.ndarray) and item.ndim:      # a list of arrays: NumPy puts it together
            a = np.array(seq)
            return copy_array(a, array_code(a.dtype, "tensor") if dtype < 0 else dtype, "tensor")
        first = sequence_of(item)
    if dtype < 0:
        dtype = promoted_code(seq, -1, ndim)
        if dtype < 0:
            dtype = default_code()
    t = new_tensor(dense_layout(ndim, shape), dtype)
    at = <char*>t.data
    read_items(seq, 0, t.layout, dtype, &at)
    return t


cdef Tensor from_data(object data, int dtype, bint copy):
    """The tensor of any data; shares memory where it can and `copy` is false."""
    cdef Tensor t
    cdef cnp.ndarray a
    if PyFloat_CheckExact(data) and (dtype < 0 or fg_is_real(dtype)):
        return scalar(PyFloat_AS_DOUBLE(data), default_code() if dtype < 0 else dtype)
    if type(data) is list or type(data) is tuple:
        return from_sequence(data, dtype)
    if type(data) is Tensor:
        t = <Tensor>data
        if not copy:
            return t if dtype < 0 or dtype == t.dtype else cast(t, dtype)
        if t.flags & REQUIRES_GRAD:
            warnings.warn("tensor: the copy has no history; to say so, write t.detach().clone(), and t.clone() to keep it",
                          UserWarning, stacklevel=2)
        t = alias(t)
        return cast(t, dtype) if dtype >= 0 and dtype != t.dtype else apply1(CLONE, t, None)
    if isinstance(data, np.ndarray) or (hasattr(data, "__array__") and not isinstance(data, (int, float))):
        a = np.asarray(data)
        if dtype < 0:
            dtype = array_code(a.dtype, "tensor")
        if not copy and array_code_or(a.dtype) == dtype and why_not_shared(a) is None:
            return share_array(a, dtype)
        return copy_array(a, dtype, "tensor")
    seq = sequence_of(data)
    if seq is not None:
        return from_sequence(seq, dtype)
    if isinstance(data, np.generic):
        a = np.asarray(data)
        return copy_array(a, array_code(a.dtype, "tensor") if dtype < 0 else dtype, "tensor")
    if dtype < 0 or PyComplex_Check(data):
        dtype = number_code(data, "tensor")
    t = new_tensor(scalar_layout, dtype)
    try:
        store(t.data, dtype, data)
    except TypeError:
        number_code(data, "tensor")         # says what is expected
        raise
    return t


@publish(method=False)
def tensor(data, *, dtype=None, device=None, bint requires_grad=False, bint pin_memory=False):
    """A new tensor with a copy of the data.

    data: a number, nested sequences of numbers, a NumPy array or anything with ``__array__``, or a Tensor. Python floats take
    the default real dtype, ints int64, bools bool; arrays and tensors keep theirs.
    dtype: the dtype to have instead. requires_grad: whether operations on it are recorded.

    Raises ValueError for uneven sequences, TypeError for data of a dtype that fastgrad does not have (complex, float16, object).

    >>> import fastgrad as fg
    >>> fg.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> fg.tensor(1.5, requires_grad=True)
    tensor(1.5000, requires_grad=True)
    """
    cdef Tensor t
    if device is not None:
        check_device(device, "tensor")
    t = from_data(data, code_of(dtype, "tensor"), True)
    if requires_grad:
        require_grad(t)
    return t


@publish(method=False)
def as_tensor(data, dtype=None, device=None):
    """The data as a tensor, without a copy where it is a Tensor or an array already of that dtype (then memory is shared).

    >>> import fastgrad as fg
    >>> fg.as_tensor([1.0, 2.0])
    tensor([1., 2.])
    """
    check_device(device, "as_tensor")
    return from_data(data, code_of(dtype, "as_tensor"), False)


@publish(method=False)
def asarray(obj, *, dtype=None, device=None, copy=None, bint requires_grad=False):
    """The object as a tensor; ``copy`` True forces one, False forbids it, None copies only where memory cannot be shared.

    >>> import fastgrad as fg
    >>> fg.asarray([1, 2])
    tensor([1, 2])
    """
    cdef Tensor t
    check_device(device, "asarray")
    t = from_data(obj, code_of(dtype, "asarray"), copy is True)
    if copy is False and type(obj) is not Tensor and not np.shares_memory(array_of(t), np.asarray(obj)):
        raise ValueError("asarray: the object cannot be shared without a copy")
    if requires_grad and not t.requires_grad:
        require_grad(t)
    return t


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


def new_tensor_(Tensor self not None, data, *, dtype=None, device=None, bint requires_grad=False):
    """`tensor(data)`, of this tensor's dtype unless another is given."""
    cdef int code = code_of(dtype, "new_tensor")
    check_device(device, "new_tensor")
    return finished(from_data(data, self.dtype if code < 0 else code, True), requires_grad)


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


install("new_tensor", new_tensor_)
for _f in (new_zeros, new_ones, new_empty, new_full):
    install(_f.__name__, _f)


# ---- ranges --------------------------------------------------------------------------------------------------------

cdef object plain_number(object x, str who):
    """A Python int or float from a number, a NumPy scalar or a one-element tensor."""
    if PyFloat_CheckExact(x) or PyLong_CheckExact(x):
        return x
    if fg_is_real(number_code(x, who)):
        return float(x)
    return int(x)


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
