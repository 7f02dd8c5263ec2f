"""Arguments of the functions that make tensors: dtype=, device=, layout=, and sizes."""

from cpython.long cimport PyLong_CheckExact
from libc.stdint cimport int64_t

import operator

from .memory cimport DType
from .shape cimport read_shape
from .tensor cimport *

from .memory import DTYPES
from .tensor import get_default_dtype, install

SUPPORTED = ", ".join(DTYPES)


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
