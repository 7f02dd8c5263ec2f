"""Tensors as Python numbers and lists, in other dtypes, and compared as wholes; what Tensor's C slots for these call."""

from types import SimpleNamespace

from libc.stdint cimport int32_t, int64_t, uint8_t

import numpy as np

from .arguments cimport check_options, code_of
from .data cimport array_of
from .memory cimport DType
from .promote cimport cast
from .tensor cimport *

from .memory import DTYPES, Size
from .table import functions, publish
from .tensor import get_default_dtype, install, set_maker

cdef Op CLONE = declare("clone")


# ---- numbers -------------------------------------------------------------------------------------------------------

cdef object number_of(Tensor t, str what):
    """The number in a tensor of one element."""
    only_plain(t, what, BOXED)
    return number_at(t.data, t.dtype)


cdef object number_at(const void* at, int dtype):
    if dtype == FG_F32:
        return <double>(<const float*>at)[0]
    if dtype == FG_F64:
        return (<const double*>at)[0]
    if dtype == FG_I64:
        return (<const int64_t*>at)[0]
    if dtype == FG_I32:
        return (<const int32_t*>at)[0]
    if dtype == FG_U8:
        return (<const uint8_t*>at)[0]
    return (<const uint8_t*>at)[0] != 0


def item(Tensor self not None):
    """The value of a tensor of one element as a Python number."""
    if self.layout.c.size != 1:
        raise RuntimeError(f"a Tensor with {self.layout.c.size} elements cannot be converted to a number; use tolist()")
    door(self, "item()")
    return number_of(self, "item()")


cdef object list_of(const char* at, const fg_layout* l, int axis, int dtype):
    cdef int64_t k, step
    if axis == l.ndim:
        return number_at(at, dtype)
    step = l.stride[axis] * fg_itemsize[dtype]
    return [list_of(at + k * step, l, axis + 1, dtype) for k in range(l.shape[axis])]


def tolist(Tensor self not None):
    """The elements as nested lists of Python numbers; one number for a 0-d tensor."""
    only_plain(self, "tolist()", BOXED)
    door(self, "tolist()")
    return list_of(<const char*>self.data, &self.layout.c, 0, self.dtype)


cdef int only_one(Tensor self, str kind) except -1:
    door(self, kind)
    if self.layout.c.size != 1:
        raise ValueError(f"only one element tensors can be converted to {kind}, got shape {tuple(self.shape)}")
    return 0


def __bool__(Tensor self not None):
    if self.layout.c.size != 1:
        raise RuntimeError(f"the truth value of a Tensor with {self.layout.c.size or 'no'} elements is ambiguous; "
                           f"use any() or all()")
    door(self, "bool()")
    return bool(number_of(self, "bool()"))


def __float__(Tensor self not None):
    only_one(self, "a Python float")
    return float(number_of(self, "float()"))


def __int__(Tensor self not None):
    only_one(self, "a Python int")
    return int(number_of(self, "int()"))


def __index__(Tensor self not None):
    if self.layout.c.size != 1 or fg_is_real(self.dtype):
        raise TypeError("only integer tensors of a single element can be converted to an index")
    door(self, "use as an index")
    return int(number_of(self, "int()"))


def __complex__(Tensor self not None):
    return complex(__float__(self))


def __contains__(Tensor self not None, element):
    return bool(array_of(self == element).any())


cdef object printer = None      # of fastgrad/_printing.py, above the core


def set_printer(function):
    """Gives the function from a Tensor to its text."""
    global printer
    printer = function


def __repr__(Tensor self not None):
    if self.flags & BOXED:
        return f"<batch of {self.extra.inner.shape[0]} tensors of shape {tuple(self.shape)} inside vmap>"
    door(self, "printing")
    return object.__repr__(self) if printer is None else printer(self)


def __format__(Tensor self not None, spec):
    """A 0-d tensor is formatted as its number; others take no format."""
    door(self, "printing")
    if self.layout.c.ndim == 0:
        return format(number_of(self, "format()"), spec)
    return object.__format__(self, spec)


for _f in (item, tolist, __bool__, __float__, __int__, __index__, __complex__, __contains__, __repr__, __format__):
    install(_f.__name__, _f)
install("__str__", __repr__)


# What C calls for bool(t), float(t), ...: an attribute alone does not fill a slot of a type that exists already.
cdef extern from "Python.h":
    ctypedef struct PyNumberMethods:
        int (*nb_bool)(object) except -1
        object (*nb_float)(object)
        object (*nb_int)(object)
        object (*nb_index)(object)
    ctypedef struct PySequenceMethods:
        int (*sq_contains)(object, object) except -1
    ctypedef struct PyTypeObject:
        PyNumberMethods* tp_as_number
        PySequenceMethods* tp_as_sequence
        object (*tp_repr)(object)
        object (*tp_str)(object)
        object (*tp_iter)(object)


cdef int bool_slot(object t) except -1:
    return __bool__(t)


cdef object float_slot(object t):
    return __float__(t)


cdef object int_slot(object t):
    return __int__(t)


cdef object index_slot(object t):
    return __index__(t)


cdef int contains_slot(object t, object element) except -1:
    return __contains__(t, element)


cdef object repr_slot(object t):
    return __repr__(t)


cdef object iter_slot(object t):
    return Tensor.__iter__(t)


cdef PyTypeObject* kind = <PyTypeObject*>Tensor
kind.tp_as_number.nb_bool = bool_slot
kind.tp_as_number.nb_float = float_slot
kind.tp_as_number.nb_int = int_slot
kind.tp_as_number.nb_index = index_slot
kind.tp_as_sequence.sq_contains = contains_slot
kind.tp_repr = repr_slot
kind.tp_str = repr_slot
kind.tp_iter = iter_slot


# ---- dtypes --------------------------------------------------------------------------------------------------------

cdef Tensor converted(Tensor x, int code, bint copy):
    if code >= 0 and code != x.dtype:
        return cast(x, code)
    return apply1(CLONE, x, None) if copy else x


def to(Tensor self not None, *args, dtype=None, device=None, other=None, non_blocking=False, bint copy=False, memory_format=None):
    """This tensor in another dtype: ``to(dtype)``, ``to(other)``, ``to(device)``, ``to(device, dtype)``.

    Itself where nothing changes, unless copy=True. The only device is "cpu".
    """
    cdef int code = code_of(dtype, "to")
    if other is not None:
        args = (other, *args)
    for k, arg in enumerate(args):
        if type(arg) is Tensor:
            code = (<Tensor>arg).dtype
        elif isinstance(arg, bool):         # to(dtype, non_blocking, copy)
            copy = arg if k and isinstance(args[k - 1], bool) else copy
        elif arg is None or isinstance(arg, str) or hasattr(arg, "index"):
            check_options(arg, None, "to")
        else:
            code = code_of(arg, "to")
    check_options(device, None, "to")
    return converted(self, code, copy)


cdef dict TYPE_NAMES = {"FloatTensor": FG_F32, "DoubleTensor": FG_F64, "LongTensor": FG_I64, "IntTensor": FG_I32,
                        "ByteTensor": FG_U8, "BoolTensor": FG_BOOL}


cdef Tensor legacy(tuple args, int code):
    """What Tensor(data) and Tensor(2, 3) make: a copy of the data, or uninitialised memory of a shape."""
    if not args:
        args = ([],)
    if len(args) == 1 and not isinstance(args[0], (int, Size)):
        return functions["tensor"](args[0], dtype=dtype_of(code))
    return functions["empty"](args[0] if args and isinstance(args[0], Size) else args, dtype=dtype_of(code))


def _typed(name, code):
    def typed(*data):
        return legacy(data, code)
    typed.__name__ = typed.__qualname__ = name
    typed.__doc__ = (f"A {dtype_of(code).name} tensor with a copy of the data; of ints, an uninitialised one of that shape. "
                     f"PyTorch's older way of tensor() and empty().")
    publish(typed, method=False)


for _name, _code in TYPE_NAMES.items():
    _typed(_name, _code)
set_maker(lambda args: legacy(args, get_default_dtype().code))


def type_(Tensor self not None, dtype=None, non_blocking=False):
    """This tensor in another dtype, given as a dtype or a name like "FloatTensor"; without one, the name of its own."""
    if dtype is None:
        return "fastgrad." + next(name for name, code in TYPE_NAMES.items() if code == self.dtype)
    if isinstance(dtype, str):
        name = dtype.rpartition(".")[2]
        if name not in TYPE_NAMES:
            raise ValueError(f"type: unknown type {dtype!r}; known are {', '.join(TYPE_NAMES)}")
        return converted(self, TYPE_NAMES[name], False)
    return converted(self, code_of(dtype, "type"), False)


def type_as(Tensor self not None, Tensor other not None):
    """This tensor in the dtype of another."""
    return converted(self, other.dtype, False)


def cpu(Tensor self not None, memory_format=None):
    """This tensor."""
    return self


def cuda(Tensor self not None, device=None, non_blocking=False):
    """Raises RuntimeError: there is no GPU here."""
    check_options("cuda", None, "cuda")


def half(Tensor self not None):
    """Raises TypeError: there is no float16 here."""
    raise TypeError(f"half: float16 is not supported; the dtypes are {', '.join(DTYPES)}")


def bfloat16(Tensor self not None):
    """Raises TypeError: there is no bfloat16 here."""
    raise TypeError(f"bfloat16 is not supported; the dtypes are {', '.join(DTYPES)}")


def element_size(Tensor self not None):
    """Bytes of one element."""
    return fg_itemsize[self.dtype]


def is_signed(Tensor self not None):
    """Whether the dtype has negative numbers."""
    return dtype_of(self.dtype).is_signed


for _f in (to, type_as, cpu, cuda, half, bfloat16, element_size, is_signed):
    install(_f.__name__, _f)
install("type", type_)


@publish
def is_floating_point(Tensor input not None):
    """Whether the dtype is float32 or float64.

    >>> import fastgrad as fg
    >>> fg.is_floating_point(fg.zeros(1))
    True
    """
    return bool(fg_is_real(input.dtype))


@publish
def is_complex(Tensor input not None):
    """False: there are no complex dtypes.

    >>> import fastgrad as fg
    >>> fg.is_complex(fg.zeros(1))
    False
    """
    return False


@publish
def is_nonzero(Tensor input not None):
    """Whether the one element of this tensor is not zero.

    >>> import fastgrad as fg
    >>> fg.is_nonzero(fg.tensor([2.0]))
    True
    """
    return bool(input)


@publish(method=False)
def is_tensor(obj):
    """Whether the object is a Tensor.

    >>> import fastgrad as fg
    >>> fg.is_tensor([1.0])
    False
    """
    return type(obj) is Tensor


cdef DType dtype_argument(object x, str who):
    if code_of(x, who) < 0:
        raise TypeError(f"{who}: expected a dtype, got None")
    return dtype_of(code_of(x, who))


@publish(method=False)
def promote_types(type1, type2):
    """The smallest dtype that holds both, by the rules that operations on tensors follow.

    >>> import fastgrad as fg
    >>> fg.promote_types(fg.int64, fg.float32)
    fastgrad.float32
    """
    return dtype_of(fg_promote(dtype_argument(type1, "promote_types").code, dtype_argument(type2, "promote_types").code))


@publish(method=False)
def can_cast(from_, to):
    """Whether an in-place operation may write values of one dtype into a tensor of another: never to a lower category.

    >>> import fastgrad as fg
    >>> fg.can_cast(fg.float64, fg.float32), fg.can_cast(fg.float32, fg.int64)
    (True, False)
    """
    return bool(fg_category[dtype_argument(from_, "can_cast").code] <= fg_category[dtype_argument(to, "can_cast").code])


@publish(method=False)
def result_type(tensor1, tensor2):
    """The dtype of an operation on two tensors or numbers.

    >>> import fastgrad as fg
    >>> fg.result_type(fg.tensor([1]), 1.5)
    fastgrad.float32
    """
    cdef int with_axes = -1, without = -1
    cdef Tensor t
    for x in (tensor1, tensor2):
        t = x if type(x) is Tensor else functions["tensor"](x)
        if t.layout.c.ndim:
            with_axes = t.dtype if with_axes < 0 else fg_promote(with_axes, t.dtype)
        else:
            without = t.dtype if without < 0 else fg_promote(without, t.dtype)
    return dtype_of(fg_promote_standing(with_axes, without))


cdef object limits(str name, object of, str fields):
    """Python numbers: NumPy's would make float64 of what they are added to."""
    values = {key: getattr(of, key).item() if hasattr(getattr(of, key), "item") else getattr(of, key) for key in fields.split()}
    return SimpleNamespace(bits=of.bits, dtype=str(of.dtype), **values)


@publish(method=False)
def finfo(type=None):
    """The limits of a real dtype (the default one if None): ``bits``, ``eps``, ``max``, ``min``, ``tiny``, ``resolution``.

    >>> import fastgrad as fg
    >>> fg.finfo(fg.float32).eps
    1.1920928955078125e-07
    """
    if type is None:
        type = get_default_dtype()
    return limits("finfo", np.finfo(dtype_argument(type, "finfo").numpy_dtype), "eps max min tiny smallest_normal resolution")


@publish(method=False)
def iinfo(type):
    """The limits of an integer dtype: ``bits``, ``max``, ``min``.

    >>> import fastgrad as fg
    >>> fg.iinfo(fg.int32).max
    2147483647
    """
    return limits("iinfo", np.iinfo(dtype_argument(type, "iinfo").numpy_dtype), "max min")


# ---- comparison ----------------------------------------------------------------------------------------------------

def is_same_size(Tensor self not None, Tensor other not None):
    """Whether the shapes are equal."""
    return bool(same_shape(self.layout, other.layout))


install("is_same_size", is_same_size)


@publish
def equal(Tensor input not None, Tensor other not None):
    """Whether two tensors have the same shape and elements; nan equals nothing.

    >>> import fastgrad as fg
    >>> fg.equal(fg.tensor([1, 2]), fg.tensor([1, 2]))
    True
    """
    return bool(same_shape(input.layout, other.layout)) and bool((array_of(input) == array_of(other)).all())


@publish
def allclose(Tensor input not None, Tensor other not None, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close, as `isclose` says.

    >>> import fastgrad as fg
    >>> fg.allclose(fg.tensor([1.0, 2.0]), fg.tensor([1.0, 2.00001]))
    True
    """
    return bool(array_of(functions["isclose"](input, other, rtol, atol, equal_nan)).all())
