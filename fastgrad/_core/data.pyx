"""Tensors of data: Python numbers, nested sequences of them, NumPy arrays."""

cimport numpy as cnp
from cpython.bool cimport PyBool_Check
from cpython.complex cimport PyComplex_Check
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.long cimport PyLong_CheckExact
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

import warnings

import numpy as np

from .arguments cimport SUPPORTED, check_device, code_of, default_code
from .memory cimport foreign_storage
from .promote cimport cast
from .tensor cimport *

from ._errors import DTypeError
from .table import publish
from .tensor import install

cnp.import_array()

cdef Op CLONE = declare("clone")


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


cdef object plain_number(object x, str who):
    """A Python int or float from a number, a NumPy scalar or a one-element tensor."""
    if PyFloat_CheckExact(x) or PyLong_CheckExact(x):
        return x
    if fg_is_real(number_code(x, who)):
        return float(x)
    return int(x)


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


def new_tensor_(Tensor self not None, data, *, dtype=None, device=None, bint requires_grad=False):
    """`tensor(data)`, of this tensor's dtype unless another is given."""
    cdef int code = code_of(dtype, "new_tensor")
    check_device(device, "new_tensor")
    return finished(from_data(data, self.dtype if code < 0 else code, True), requires_grad)


install("new_tensor", new_tensor_)
