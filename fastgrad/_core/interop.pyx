"""NumPy's and DLPack's protocols: memory shared both ways, NumPy functions on Tensors.

A NumPy function on Tensors that fastgrad has is run by fastgrad, and recorded. Any other computes on the arrays that the
Tensors are, and is refused where one of them requires grad: nothing is detached in silence.
"""

cimport cython
cimport numpy as cnp
from cpython.pycapsule cimport (
    PyCapsule_CheckExact, PyCapsule_GetPointer, PyCapsule_IsValid, PyCapsule_New, PyCapsule_SetName)
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

import numpy as np

from .data cimport array_of
from .memory cimport foreign_storage
from .tensor cimport *

from .memory import DTYPES
from .table import functions, publish
from .tensor import install

cnp.import_array()


# ---- arrays --------------------------------------------------------------------------------------------------------

def numpy(Tensor self not None, *, bint force=False):
    """The NumPy array that shares this tensor's memory.

    Raises RuntimeError for a tensor that requires grad; with force=True it is detached first.
    """
    if not force and self.requires_grad:
        raise RuntimeError("can't call numpy() on a Tensor that requires grad: the array would have no history; "
                           "use tensor.detach().numpy()")
    if not force:
        only_plain(self, "numpy()", DUAL)
    return array_of(self)


def __array__(Tensor self not None, dtype=None, copy=None):
    """What ``numpy.asarray(tensor)`` calls: the array that shares this tensor's memory, cast or copied as asked."""
    a = numpy(self)
    if dtype is not None and a.dtype != dtype:
        if copy is False:
            raise ValueError(f"an array of dtype {np.dtype(dtype)} cannot share the memory of a {dtype_of(self.dtype)} tensor")
        return a.astype(dtype)
    return a.copy() if copy else a


# NumPy's name -> fastgrad's, where the meaning is the same; `axis`, `keepdims` become `dim`, `keepdim`.
cdef dict RENAMED = {
    "absolute": "abs", "add": "add", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "bitwise_and": "bitwise_and", "bitwise_or": "bitwise_or",
    "bitwise_xor": "bitwise_xor", "ceil": "ceil", "copysign": "copysign", "cos": "cos", "cosh": "cosh", "divide": "div",
    "equal": "eq", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "fabs": "abs", "floor": "floor",
    "floor_divide": "floor_divide", "fmod": "fmod", "greater": "gt", "greater_equal": "ge", "hypot": "hypot",
    "invert": "bitwise_not", "isfinite": "isfinite", "isinf": "isinf", "isnan": "isnan", "less": "lt", "less_equal": "le",
    "log": "log", "log10": "log10", "log1p": "log1p", "log2": "log2", "logaddexp": "logaddexp", "logical_and": "logical_and",
    "logical_not": "logical_not", "logical_or": "logical_or", "logical_xor": "logical_xor", "matmul": "matmul",
    "maximum": "maximum", "minimum": "minimum", "multiply": "mul", "negative": "neg", "not_equal": "ne", "positive": "positive",
    "power": "pow", "float_power": "float_power", "reciprocal": "reciprocal", "remainder": "remainder", "rint": "round",
    "sign": "sign", "sin": "sin", "sinh": "sinh", "sqrt": "sqrt", "square": "square", "subtract": "sub", "tan": "tan",
    "tanh": "tanh", "trunc": "trunc",
}
cdef dict FUNCTIONS = {
    "concatenate": "cat", "stack": "stack", "vstack": "vstack", "hstack": "hstack", "where": "where", "sum": "sum",
    "mean": "mean", "prod": "prod", "reshape": "reshape", "ravel": "ravel", "squeeze": "squeeze", "expand_dims": "unsqueeze",
    "swapaxes": "transpose", "moveaxis": "movedim", "cumsum": "cumsum", "cumprod": "cumprod", "dot": "matmul", "outer": "outer",
    "einsum": "einsum", "trace": "trace", "tril": "tril", "triu": "triu", "flip": "flip", "roll": "roll", "argmax": "argmax",
    "argmin": "argmin", "amax": "amax", "amin": "amin", "broadcast_to": "broadcast_to", "zeros_like": "zeros_like",
    "ones_like": "ones_like", "empty_like": "empty_like", "full_like": "full_like", "tensordot": "tensordot",
}
cdef dict KEYWORDS = {"axis": "dim", "keepdims": "keepdim"}


cdef object exchanged(object x, bint to_arrays, list found):
    """x with its Tensors replaced by arrays, or its arrays by Tensors, in lists and tuples too; `found` collects the Tensors."""
    if type(x) is Tensor:
        found.append(x)
        return array_of(<Tensor>x) if to_arrays else x
    if isinstance(x, np.ndarray):
        return x if to_arrays else slots.from_array(x)
    if type(x) is list:
        return [exchanged(item, to_arrays, found) for item in x]
    if type(x) is tuple:
        return tuple([exchanged(item, to_arrays, found) for item in x])
    return x


cdef object on_arrays(object call, str name, tuple args, dict kwargs):
    """The call on the arrays that the Tensors are; refused where a history would be lost."""
    cdef list found = []
    given = exchanged(args, True, found)
    named = {k: exchanged(v, True, found) for k, v in kwargs.items()}
    for t in found:
        if t.requires_grad:
            raise TypeError(f"numpy.{name} cannot record what it does to a Tensor that requires grad; "
                            f"use a function of fastgrad, or tensor.detach().numpy()")
        only_plain(t, f"numpy.{name}", DUAL)
    return call(*given, **named)


def __array_ufunc__(Tensor self not None, ufunc, method, *inputs, **kwargs):
    """NumPy's universal functions: fastgrad's function of that meaning where there is one."""
    f = functions.get(RENAMED.get(ufunc.__name__))
    if f is not None and method == "__call__" and not kwargs:
        return f(*exchanged(inputs, False, []))
    name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    return on_arrays(getattr(ufunc, method), name, inputs, kwargs)


def __array_function__(Tensor self not None, func, types, args, kwargs):
    """NumPy's other functions: fastgrad's function of that meaning where there is one."""
    f = functions.get(FUNCTIONS.get(func.__name__)) if func.__module__ == "numpy" else None
    if f is not None and "out" not in kwargs:
        named = {KEYWORDS.get(k, k): exchanged(v, False, []) for k, v in kwargs.items()}
        return f(*exchanged(args, False, []), **named)
    return on_arrays(func, func.__name__, args, kwargs)


install("numpy", numpy)
install("__array__", __array__)
install("__array_priority__", 1000)     # before ndarray, where a library asks
install("__array_ufunc__", __array_ufunc__)
install("__array_function__", __array_function__)


# ---- DLPack --------------------------------------------------------------------------------------------------------
# https://dmlc.github.io/dlpack/latest/c_api.html

cdef extern from *:
    """
    #include <stdint.h>
    typedef struct { int32_t device_type, device_id; } dl_device;
    typedef struct { uint8_t code, bits; uint16_t lanes; } dl_dtype;
    typedef struct {
        void *data;
        dl_device device;
        int32_t ndim;
        dl_dtype dtype;
        int64_t *shape, *strides;
        uint64_t byte_offset;
    } dl_tensor;
    typedef struct dl_legacy {
        dl_tensor tensor;
        void *manager;
        void (*deleter)(struct dl_legacy *self);
    } dl_legacy;
    typedef struct dl_versioned {
        uint32_t major, minor;
        void *manager;
        void (*deleter)(struct dl_versioned *self);
        uint64_t flags;
        dl_tensor tensor;
    } dl_versioned;
    """
    ctypedef struct dl_device:
        int32_t device_type
        int32_t device_id
    ctypedef struct dl_dtype:
        uint8_t code
        uint8_t bits
        uint16_t lanes
    ctypedef struct dl_tensor:
        void* data
        dl_device device
        int32_t ndim
        dl_dtype dtype
        int64_t* shape
        int64_t* strides
        uint64_t byte_offset
    ctypedef struct dl_legacy:
        dl_tensor tensor
        void* manager
        void (*deleter)(dl_legacy*) noexcept with gil
    ctypedef struct dl_versioned:
        uint32_t major
        uint32_t minor
        void* manager
        void (*deleter)(dl_versioned*) noexcept with gil
        uint64_t flags
        dl_tensor tensor

cdef enum:
    DL_CPU = 1
    DL_READONLY = 1
    DL_COPIED = 2

cdef struct export_t:           # one block: what the capsule points to, then the sizes it refers to
    dl_legacy legacy            # first, so that its address is the block's; its `manager` is the owner of the memory
    dl_versioned versioned      # its `manager` is the block
    int64_t sizes[16]

# by dtype: DLPack's code (0 int, 1 unsigned, 2 float, 6 bool) and bits
cdef uint8_t[6] dl_codes = [2, 2, 0, 0, 1, 6]
cdef uint8_t[6] dl_bits = [32, 64, 64, 32, 8, 8]


cdef void delete_versioned(dl_versioned* m) noexcept with gil:
    cdef export_t* e = <export_t*>m.manager
    owner = <object>e.legacy.manager
    free(e)
    Py_DECREF(owner)


cdef void delete_legacy(dl_legacy* m) noexcept with gil:
    delete_versioned(&(<export_t*>m).versioned)


cdef void destroy_capsule(object capsule) noexcept:
    # a capsule that nobody took
    cdef dl_versioned* v
    cdef dl_legacy* m
    if PyCapsule_IsValid(capsule, "dltensor_versioned"):
        v = <dl_versioned*>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        v.deleter(v)
    elif PyCapsule_IsValid(capsule, "dltensor"):
        m = <dl_legacy*>PyCapsule_GetPointer(capsule, "dltensor")
        m.deleter(m)


cdef object export(Tensor t, bint versioned, bint copied):
    cdef export_t* e = <export_t*>calloc(1, sizeof(export_t))
    cdef dl_tensor* d
    cdef int k
    if e == NULL:
        raise MemoryError("__dlpack__: no memory")
    d = &e.versioned.tensor if versioned else &e.legacy.tensor
    d.data = t.data
    d.device.device_type = DL_CPU
    d.ndim = t.layout.c.ndim
    d.dtype.code = dl_codes[t.dtype]
    d.dtype.bits = dl_bits[t.dtype]
    d.dtype.lanes = 1
    d.shape = e.sizes
    d.strides = e.sizes + 8
    for k in range(d.ndim):
        d.shape[k] = t.layout.c.shape[k]
        d.strides[k] = t.layout.c.stride[k]
    e.versioned.major = 1
    e.versioned.manager = e
    e.versioned.deleter = delete_versioned
    e.versioned.flags = (DL_READONLY if t.storage.readonly else 0) | (DL_COPIED if copied else 0)
    e.legacy.manager = <void*>t.storage
    e.legacy.deleter = delete_legacy
    Py_INCREF(t.storage)
    if versioned:
        return PyCapsule_New(&e.versioned, "dltensor_versioned", destroy_capsule)
    return PyCapsule_New(&e.legacy, "dltensor", destroy_capsule)


def __dlpack__(Tensor self not None, *, stream=None, max_version=None, dl_device=None, copy=None):
    """A DLPack capsule of this tensor's memory, for other libraries' ``from_dlpack``."""
    door(self, "__dlpack__()")
    versioned = max_version is not None and max_version[0] >= 1
    if self.requires_grad:
        raise BufferError("can't export a tensor that requires grad; use tensor.detach()")
    only_plain(self, "__dlpack__", BOXED | DUAL)
    if stream is not None:
        raise BufferError("a tensor on the CPU has no stream")
    if dl_device is not None and tuple(dl_device) != (DL_CPU, 0):
        raise BufferError(f"a tensor on the CPU cannot be exported to device {tuple(dl_device)}")
    if copy:
        self = self.clone()
    if self.storage.readonly and not versioned:
        raise BufferError("read-only memory can be exported from DLPack 1.0 on only; clone() the tensor first")
    return export(self, versioned, bool(copy))


def __dlpack_device__(Tensor self not None):
    """(kDLCPU, 0)"""
    return (DL_CPU, 0)


install("__dlpack__", __dlpack__)
install("__dlpack_device__", __dlpack_device__)


@cython.final
cdef class Import:
    # Keeps what another library exported until no tensor uses it.
    cdef dl_versioned* versioned
    cdef dl_legacy* legacy

    def __dealloc__(self):
        if self.versioned != NULL and self.versioned.deleter != NULL:
            self.versioned.deleter(self.versioned)
        if self.legacy != NULL and self.legacy.deleter != NULL:
            self.legacy.deleter(self.legacy)


@publish(method=False)
def from_dlpack(ext_tensor, /):
    """A tensor that shares the memory of another library's array, through DLPack. Read-only memory stays read-only.

    Raises BufferError for memory that is not on the CPU, TypeError for a dtype that fastgrad does not have.

    >>> import fastgrad as fg
    >>> import numpy as np
    >>> fg.from_dlpack(np.ones(2, np.float32))
    tensor([1., 1.])
    """
    cdef Import owner = Import.__new__(Import)
    cdef dl_tensor* d
    cdef bint readonly = False
    if PyCapsule_CheckExact(ext_tensor):
        capsule = ext_tensor
    elif hasattr(ext_tensor, "__dlpack__"):
        where = tuple(ext_tensor.__dlpack_device__())
        if where[0] != DL_CPU:
            raise BufferError(f"from_dlpack: the memory is on device {where}, not on the CPU")
        try:
            capsule = ext_tensor.__dlpack__(max_version=(1, 0))
        except TypeError:       # from before DLPack 1.0
            capsule = ext_tensor.__dlpack__()
    else:
        raise TypeError(f"from_dlpack: expected an object with __dlpack__, got {type(ext_tensor).__name__}")
    if PyCapsule_IsValid(capsule, "dltensor_versioned"):
        owner.versioned = <dl_versioned*>PyCapsule_GetPointer(capsule, "dltensor_versioned")
        PyCapsule_SetName(capsule, "used_dltensor_versioned")
        if owner.versioned.major != 1:
            raise BufferError(f"from_dlpack: version {owner.versioned.major} of DLPack is unknown")
        d = &owner.versioned.tensor
        readonly = (owner.versioned.flags & DL_READONLY) != 0
    elif PyCapsule_IsValid(capsule, "dltensor"):
        owner.legacy = <dl_legacy*>PyCapsule_GetPointer(capsule, "dltensor")
        PyCapsule_SetName(capsule, "used_dltensor")
        d = &owner.legacy.tensor
    else:
        raise TypeError("from_dlpack: not a DLPack capsule, or one that was used already")
    return imported(d, owner, readonly)


cdef Tensor imported(dl_tensor* d, Import owner, bint readonly):
    cdef int code, k
    cdef int64_t shape[8]
    cdef int64_t stride[8]
    cdef int64_t extent = 1, step = 1
    cdef Layout lay
    cdef Storage storage
    for code in range(FG_NDTYPES):
        if d.dtype.code == dl_codes[code] and d.dtype.bits == dl_bits[code] and d.dtype.lanes == 1:
            break
    else:
        raise TypeError(f"from_dlpack: unsupported dtype {dl_name(d)}; the supported ones are {', '.join(DTYPES)}")
    if d.device.device_type != DL_CPU:
        raise BufferError("from_dlpack: the memory is not on the CPU")
    if d.ndim > FG_MAX_DIMS:
        raise RuntimeError(f"from_dlpack: a tensor has at most {FG_MAX_DIMS} dimensions, got {d.ndim}")
    for k in range(d.ndim - 1, -1, -1):
        shape[k] = d.shape[k]
        stride[k] = step if d.strides == NULL else d.strides[k]
        step *= shape[k]
        if shape[k] > 1 and stride[k] < 0:
            raise BufferError("from_dlpack: negative strides are not supported; copy the array first")
        extent += (shape[k] - 1) * stride[k]
    lay = strided_layout(d.ndim, shape, stride)
    if lay.c.size == 0:
        extent = 0
    storage = foreign_storage(<char*>d.data + d.byte_offset, extent * fg_itemsize[code], owner, readonly)
    if <size_t>storage.data % fg_itemsize[code]:
        raise BufferError("from_dlpack: the memory is not aligned; copy the array first")
    return make_tensor(storage, lay, storage.data, code)


cdef str dl_name(dl_tensor* d):
    kinds = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
    kind = kinds.get(d.dtype.code, "type " + str(d.dtype.code) + " of ")
    return f"{kind}{d.dtype.bits}" + (f" x {d.dtype.lanes}" if d.dtype.lanes != 1 else "")
