# The core's public names. Written by tests/make_stubs.py, where the types are.

from builtins import bool as _bool, float as _float, int as _int, str as _str
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import numpy as np

@final
class dtype:
    name: _str
    code: _int
    itemsize: _int
    is_floating_point: _bool
    is_signed: _bool
    numpy_dtype: np.dtype[Any]
    def __init__(self, *args: Any) -> None: ...

_dtype = dtype

class device:
    type: _str
    index: None
    def __new__(cls, type=..., index=...) -> device: ...

_device = device

class Function:
    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any: ...
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any: ...
    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any: ...
    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any: ...
    @staticmethod
    def vmap(info: Any, in_dims: tuple[_int | None, ...], *args: Any) -> Any: ...
    generate_vmap_rule: _bool | None
    @classmethod
    def apply(cls, *args: Any) -> Any: ...

class Size(tuple[_int, ...]):
    def numel(self) -> _int: ...

class RemovableHandle:
    def __init__(self, hooks: list[Any], number: _int) -> None: ...
    def remove(self) -> None: ...
    def __enter__(self) -> RemovableHandle: ...
    def __exit__(self, *exc: object) -> None: ...

class DTypeError(NotImplementedError, TypeError): ...
class ForgottenZeroGrad(UserWarning): ...
class CompileError(RuntimeError): ...
class MissingState(LookupError): ...
class ShapeError(RuntimeError, ValueError): ...

class _Mode:
    def __enter__(self) -> None: ...
    def __exit__(self, *exc: object) -> None: ...
    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]: ...

class enable_grad(_Mode): ...

class inference_mode(_Mode):
    def __init__(self, mode: _bool = ...) -> None: ...

class no_grad(_Mode):
    def __new__(cls, orig_func: Any = ...) -> Any: ...
    def __init__(self, orig_func: Any = ...) -> None: ...

class set_grad_enabled(_Mode):
    def __init__(self, mode: _bool) -> None: ...

class Parameter(Tensor):  # type: ignore[misc]  # a Tensor with a flag; nothing else can derive from Tensor
    def __new__(cls, data: Tensor | None = ..., requires_grad: _bool = ...) -> Parameter: ...

class Generator:
    def __init__(self, device: _str = ...) -> None: ...
    @property
    def device(self) -> _device: ...
    def get_state(self) -> Tensor: ...
    def initial_seed(self) -> _int: ...
    def manual_seed(self, seed) -> Generator: ...
    def seed(self) -> _int: ...
    def set_state(self, new_state) -> Generator: ...

@final
class Tensor:
    def __init__(self, *args: Any) -> None: ...
    def __add__(self, other, /) -> Tensor: ...
    def __radd__(self, other, /) -> Tensor: ...
    def __sub__(self, other, /) -> Tensor: ...
    def __rsub__(self, other, /) -> Tensor: ...
    def __mul__(self, other, /) -> Tensor: ...
    def __rmul__(self, other, /) -> Tensor: ...
    def __truediv__(self, other, /) -> Tensor: ...
    def __rtruediv__(self, other, /) -> Tensor: ...
    def __floordiv__(self, other, /) -> Tensor: ...
    def __rfloordiv__(self, other, /) -> Tensor: ...
    def __mod__(self, other, /) -> Tensor: ...
    def __rmod__(self, other, /) -> Tensor: ...
    def __pow__(self, other, mod=None, /) -> Tensor: ...
    def __rpow__(self, other, mod=None, /) -> Tensor: ...
    def __matmul__(self, other, /) -> Tensor: ...
    def __rmatmul__(self, other, /) -> Tensor: ...
    def __and__(self, other, /) -> Tensor: ...
    def __rand__(self, other, /) -> Tensor: ...
    def __or__(self, other, /) -> Tensor: ...
    def __ror__(self, other, /) -> Tensor: ...
    def __xor__(self, other, /) -> Tensor: ...
    def __rxor__(self, other, /) -> Tensor: ...
    def __iadd__(self, other, /) -> Tensor: ...
    def __isub__(self, other, /) -> Tensor: ...
    def __imul__(self, other, /) -> Tensor: ...
    def __itruediv__(self, other, /) -> Tensor: ...
    def __ifloordiv__(self, other, /) -> Tensor: ...
    def __imod__(self, other, /) -> Tensor: ...
    def __ipow__(self, other, /) -> Tensor: ...  # type: ignore[misc]
    def __iand__(self, other, /) -> Tensor: ...
    def __ior__(self, other, /) -> Tensor: ...
    def __ixor__(self, other, /) -> Tensor: ...
    def __eq__(self, other, /) -> Tensor: ...  # type: ignore[override]
    def __ne__(self, other, /) -> Tensor: ...  # type: ignore[override]
    def __lt__(self, other, /) -> Tensor: ...
    def __le__(self, other, /) -> Tensor: ...
    def __gt__(self, other, /) -> Tensor: ...
    def __ge__(self, other, /) -> Tensor: ...
    @property
    def H(self) -> Tensor: ...
    @property
    def T(self) -> Tensor: ...
    def __abs__(self, /) -> Tensor:
        """abs(self)"""
    def __array__(self, dtype: _dtype | None = None, copy=None) -> np.ndarray[Any, Any]:
        """What ``numpy.asarray(tensor)`` calls: the array that shares this tensor's memory, cast or copied as asked."""
    def __array_function__(self, func, types, args, kwargs) -> Any:
        """NumPy's other functions: fastgrad's function of that meaning where there is one."""
    __array_priority__: _int
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs) -> Any:
        """NumPy's universal functions: fastgrad's function of that meaning where there is one."""
    def __bool__(self) -> _bool: ...
    def __complex__(self) -> complex: ...
    def __contains__(self, element) -> _bool: ...
    def __copy__(self) -> Tensor:
        """Another tensor that shares this one's memory."""
    def __deepcopy__(self, memo) -> Tensor:
        """A copy in memory of its own. Tensors that share memory and are copied together share it again."""
    def __delitem__(self, key, /) -> None:
        """Delete self[key]."""
    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None) -> Any:
        """A DLPack capsule of this tensor's memory, for other libraries' ``from_dlpack``."""
    def __dlpack_device__(self) -> tuple[_int, _int]:
        """(kDLCPU, 0)"""
    def __float__(self) -> _float: ...
    def __format__(self, spec) -> _str:
        """A 0-d tensor is formatted as its number; others take no format."""
    def __getitem__(self, key, /) -> Tensor:
        """Return self[key]."""
    def __hash__(self, /) -> _int:
        """Return hash(self)."""
    def __index__(self) -> _int: ...
    def __int__(self) -> _int: ...
    def __invert__(self, /) -> Tensor:
        """~self"""
    def __iter__(self) -> Iterator[Tensor]: ...
    def __len__(self, /) -> _int:
        """Return len(self)."""
    def __neg__(self, /) -> Tensor:
        """-self"""
    def __pos__(self, /) -> Tensor:
        """+self"""
    def __reduce_ex__(self, protocol) -> Any:
        """Pickles the values, requires_grad and attributes; not the gradient."""
    def __repr__(self) -> _str: ...
    def __reversed__(self) -> Tensor: ...
    def __setitem__(self, key, value, /) -> None:
        """Set self[key] to value."""
    @property
    def _base(self) -> Tensor | None: ...
    def _repr_html_(self) -> Tensor:
        """What a notebook shows: the tensor as it prints, and the graph behind it to unfold."""
    @property
    def _version(self) -> _int: ...
    def abs(input) -> Tensor:
        """|x0|; the derivative at 0 is 0."""
    def abs_(self) -> Tensor:
        """In-place form of `abs`: writes the result into this tensor and returns it."""
    def absolute(input) -> Tensor:
        """|x0|; the derivative at 0 is 0."""
    def absolute_(self) -> Tensor:
        """In-place form of `abs`: writes the result into this tensor and returns it."""
    def acos(input) -> Tensor:
        """The inverse cosine."""
    def acos_(self) -> Tensor:
        """In-place form of `acos`: writes the result into this tensor and returns it."""
    def acosh(input) -> Tensor:
        """The inverse hyperbolic cosine, of numbers from 1 on: log1p(t + sqrt(2 t + t^2)) with t = x - 1."""
    def acosh_(input) -> Tensor:
        """In-place form of `acosh`: writes the result into this tensor and returns it."""
    def add(input, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
        """input + alpha * other."""
    def add_(self, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
        """In-place form of `add`."""
    def addbmm(input, batch1: Tensor, batch2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """beta * input + alpha * the sum of the products of two stacks of matrices."""
    def addbmm_(input, batch1: Tensor, batch2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """In-place form of `addbmm`: writes the result into this tensor and returns it."""
    def addcdiv(input, tensor1: Tensor, tensor2: Tensor, *, value: _float = 1) -> Tensor:
        """input + value * tensor1 / tensor2."""
    def addcdiv_(self, tensor1: Tensor, tensor2: Tensor, *, value: _float = 1) -> Tensor:
        """In-place form of `addcdiv`."""
    def addcmul(input, tensor1: Tensor, tensor2: Tensor, *, value: _float = 1) -> Tensor:
        """input + value * tensor1 * tensor2."""
    def addcmul_(self, tensor1: Tensor, tensor2: Tensor, *, value: _float = 1) -> Tensor:
        """In-place form of `addcmul`."""
    def addmm(input, mat1: Tensor, mat2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """``beta * input + alpha * (mat1 @ mat2)`` for matrices; input broadcasts."""
    def addmm_(input, mat1: Tensor, mat2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """In-place form of `addmm`: writes the result into this tensor and returns it."""
    def addmv(input, mat, vec: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """``beta * input + alpha * (mat @ vec)`` for a matrix and a vector; input broadcasts."""
    def addmv_(input, mat, vec: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """In-place form of `addmv`: writes the result into this tensor and returns it."""
    def addr(input, vec1: Tensor, vec2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """beta * input + alpha * the outer product of two vectors."""
    def addr_(input, vec1: Tensor, vec2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """In-place form of `addr`: writes the result into this tensor and returns it."""
    def adjoint(self) -> Tensor:
        """The last two dimensions exchanged, as a view."""
    def all(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """Whether all elements over `dim`, or all there are, are not 0."""
    def allclose(
        input, other: Tensor | _float, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False
    ) -> _bool:
        """Whether all elements are close, as `isclose` says."""
    def amax(
        input,
        dim: _int | Sequence[_int] | None = ...,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The largest element over `dim` (an int or several), or over all dimensions. Ties share the gradient evenly."""
    def amin(
        input,
        dim: _int | Sequence[_int] | None = ...,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The smallest element over `dim` (an int or several), or over all dimensions. Ties share the gradient evenly."""
    def aminmax(
        input,
        *,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> tuple[Tensor, ...]:
        """The smallest and the largest element along `dim`, or of all, as (min, max)."""
    def any(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """Whether any element over `dim`, or of all, is not 0."""
    def arccos(input) -> Tensor:
        """The inverse cosine."""
    def arccos_(self) -> Tensor:
        """In-place form of `acos`: writes the result into this tensor and returns it."""
    def arccosh(input) -> Tensor:
        """The inverse hyperbolic cosine, of numbers from 1 on: log1p(t + sqrt(2 t + t^2)) with t = x - 1."""
    def arccosh_(input) -> Tensor:
        """In-place form of `acosh`: writes the result into this tensor and returns it."""
    def arcsin(input) -> Tensor:
        """The inverse sine."""
    def arcsin_(self) -> Tensor:
        """In-place form of `asin`: writes the result into this tensor and returns it."""
    def arcsinh(input) -> Tensor:
        """The inverse hyperbolic sine, sign(x) log(|x| + sqrt(x^2 + 1)), without cancellation at 0."""
    def arcsinh_(input) -> Tensor:
        """In-place form of `asinh`: writes the result into this tensor and returns it."""
    def arctan(input) -> Tensor:
        """The inverse tangent."""
    def arctan2(input, other: Tensor | _float) -> Tensor:
        """The angle of the point (x1, x0)."""
    def arctan2_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `atan2`: writes the result into this tensor and returns it."""
    def arctan_(self) -> Tensor:
        """In-place form of `atan`: writes the result into this tensor and returns it."""
    def arctanh(input) -> Tensor:
        """The inverse hyperbolic tangent, of numbers between -1 and 1: (log1p(x) - log1p(-x)) / 2."""
    def arctanh_(input) -> Tensor:
        """In-place form of `atanh`: writes the result into this tensor and returns it."""
    def argmax(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The index of the first largest element along `dim`, or in the flattened tensor."""
    def argmin(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The index of the first smallest element along `dim`, or in the flattened tensor."""
    def argsort(
        input,
        dim: _int | Sequence[_int] | None = -1,
        descending: _bool = False,
        *,
        stable: _bool = True,
        axis: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """The indices that sort along `dim`, int64. The order is always stable; NaN counts as the largest."""
    def argwhere(input) -> Tensor:
        """The positions of the elements that are not zero: (count, ndim), int64."""
    def asin(input) -> Tensor:
        """The inverse sine."""
    def asin_(self) -> Tensor:
        """In-place form of `asin`: writes the result into this tensor and returns it."""
    def asinh(input) -> Tensor:
        """The inverse hyperbolic sine, sign(x) log(|x| + sqrt(x^2 + 1)), without cancellation at 0."""
    def asinh_(input) -> Tensor:
        """In-place form of `asinh`: writes the result into this tensor and returns it."""
    def atan(input) -> Tensor:
        """The inverse tangent."""
    def atan2(input, other: Tensor | _float) -> Tensor:
        """The angle of the point (x1, x0)."""
    def atan2_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `atan2`: writes the result into this tensor and returns it."""
    def atan_(self) -> Tensor:
        """In-place form of `atan`: writes the result into this tensor and returns it."""
    def atanh(input) -> Tensor:
        """The inverse hyperbolic tangent, of numbers between -1 and 1: (log1p(x) - log1p(-x)) / 2."""
    def atanh_(input) -> Tensor:
        """In-place form of `atanh`: writes the result into this tensor and returns it."""
    def backward(
        self, gradient: Tensor | None = None, retain_graph=None, create_graph: _bool = False, inputs=None
    ) -> None:
        """Computes the gradient of this tensor with respect to the leaves it depends on and adds it to their ``.grad``."""
    def baddbmm(input, batch1: Tensor, batch2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """``beta * input + alpha * (batch1 @ batch2)`` for stacks of matrices; input broadcasts."""
    def baddbmm_(input, batch1: Tensor, batch2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """In-place form of `baddbmm`: writes the result into this tensor and returns it."""
    def bernoulli(input, p=None, *, generator: Generator | None = None) -> Tensor:
        """1 with the probability that the element of `input` is (or p), else 0; in the shape and dtype of `input`."""
    def bernoulli_(self, p: _float = 0.5, *, generator: Generator | None = None) -> Tensor:
        """Fills with 1 with probability p, a number or a tensor of probabilities, else 0; returns this tensor."""
    def bfloat16(self) -> None:
        """Raises TypeError: there is no bfloat16 here."""
    def bincount(input, weights=None, minlength: _float = 0) -> Tensor:
        """How often each integer from 0 on comes in a vector; with `weights`, their sums."""
    def bitwise_and(input, other: Tensor | _float) -> Tensor:
        """x0 & x1, of integers or bools."""
    def bitwise_and_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `bitwise_and`: writes the result into this tensor and returns it."""
    def bitwise_not(input) -> Tensor:
        """~x0, of integers or bools."""
    def bitwise_not_(self) -> Tensor:
        """In-place form of `bitwise_not`: writes the result into this tensor and returns it."""
    def bitwise_or(input, other: Tensor | _float) -> Tensor:
        """x0 | x1, of integers or bools."""
    def bitwise_or_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `bitwise_or`: writes the result into this tensor and returns it."""
    def bitwise_xor(input, other: Tensor | _float) -> Tensor:
        """x0 ^ x1, of integers or bools."""
    def bitwise_xor_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `bitwise_xor`: writes the result into this tensor and returns it."""
    def bmm(input, mat2: Tensor) -> Tensor:
        """The products of two stacks of as many matrices, (b, m, k) and (b, k, n)."""
    def bool(self, *, memory_format=None) -> Tensor:
        """This tensor as bool; itself where it is that already."""
    def broadcast_to(input, size: _int | Sequence[_int] | None) -> Tensor:
        """The tensor expanded to a shape, as a view."""
    def byte(self, *, memory_format=None) -> Tensor:
        """This tensor as uint8; itself where it is that already."""
    def ceil(input) -> Tensor:
        """The next integer above."""
    def ceil_(self) -> Tensor:
        """In-place form of `ceil`: writes the result into this tensor and returns it."""
    def cholesky(input, upper: _bool = False) -> Tensor:
        """The Cholesky factor of symmetric positive definite matrices, `linalg.cholesky`."""
    def cholesky_solve(input, L, upper: _bool = False) -> Tensor:
        """The X with A X = input, where L is the Cholesky factor of A."""
    def chunk(input, chunks, dim: _int | Sequence[_int] | None = 0) -> tuple[Tensor, ...]:
        """At most `chunks` consecutive parts of equal size along `dim` (the last may be smaller). A tuple of views."""
    def clamp(input, min: Tensor | _float | None = None, max: Tensor | _float | None = None) -> Tensor:
        """Elements between `min` and `max`, numbers or tensors; either may be None. The derivative at a bound is 1."""
    def clamp_(self, min: Tensor | _float | None = None, max: Tensor | _float | None = None) -> Tensor:
        """In-place form of `clamp`."""
    def clamp_max(input, max: Tensor | _float | None) -> Tensor:
        """Elements, but at most `max`."""
    def clamp_max_(self, max: Tensor | _float | None) -> Tensor:
        """In-place form of `clamp_max`."""
    def clamp_min(input, min: Tensor | _float | None) -> Tensor:
        """Elements, but at least `min`."""
    def clamp_min_(self, min: Tensor | _float | None) -> Tensor:
        """In-place form of `clamp_min`."""
    def clip(input, min: Tensor | _float | None = None, max: Tensor | _float | None = None) -> Tensor:
        """Elements between `min` and `max`, numbers or tensors; either may be None. The derivative at a bound is 1."""
    def clip_(self, min: Tensor | _float | None = None, max: Tensor | _float | None = None) -> Tensor:
        """In-place form of `clamp`."""
    def clone(input, *, memory_format=None) -> Tensor:
        """A dense copy of the tensor, recorded."""
    def combinations(input, r: _float = 2, with_replacement: _bool = False) -> Tensor:
        """All combinations of r elements of a vector, as rows in the order of itertools."""
    def contiguous(self, memory_format=None) -> Tensor:
        """This tensor where it is dense in row-major order, else a dense copy, recorded."""
    def copy_(self, src, non_blocking: _bool = False) -> Tensor:
        """Writes the values of src, expanded and cast, into this tensor; returns it."""
    def copysign(input, other: Tensor | _float) -> Tensor:
        """|input| with the sign of `other`, a tensor or a number."""
    def copysign_(input, other: Tensor | _float) -> Tensor:
        """In-place form of `copysign`: writes the result into this tensor and returns it."""
    def corrcoef(input) -> Tensor:
        """The correlation coefficients of variables (rows) over observations (columns)."""
    def cos(input) -> Tensor:
        """The cosine."""
    def cos_(self) -> Tensor:
        """In-place form of `cos`: writes the result into this tensor and returns it."""
    def cosh(input) -> Tensor:
        """The hyperbolic cosine."""
    def cosh_(self) -> Tensor:
        """In-place form of `cosh`: writes the result into this tensor and returns it."""
    def count_nonzero(
        input, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
    ) -> Tensor:
        """How many elements over `dim`, or of all, are not 0."""
    def cov(input, *, correction: _float = 1, fweights=None, aweights=None) -> Tensor:
        """The covariance matrix of variables (rows) over observations (columns), divided by n - correction."""
    def cpu(self, memory_format=None) -> Tensor:
        """This tensor."""
    def cross(input, other: Tensor | _float, dim: _int | Sequence[_int] | None = None) -> Tensor:
        """The cross product of vectors of 3 along `dim`, by default the first dimension of size 3."""
    def cuda(self, device: _device | _str | None = None, non_blocking: _bool = False) -> None:
        """Raises RuntimeError: there is no GPU here."""
    def cummax(
        input, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """(values, indices) of the largest element up to each along `dim`; of equal ones the last."""
    def cummin(
        input, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """(values, indices) of the smallest element up to each along `dim`; of equal ones the last."""
    def cumprod(
        input,
        dim: _int | Sequence[_int] | None = None,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """The products of all elements up to each along `dim`; of integers and bools as int64. Right, to any order, where
        elements are 0.
        """
    def cumprod_(
        input,
        dim: _int | Sequence[_int] | None = None,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """In-place form of `cumprod`: writes the result into this tensor and returns it."""
    def cumsum(
        input,
        dim: _int | Sequence[_int] | None = None,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """The sums of all elements up to each along `dim`; of integers and bools as int64."""
    def cumsum_(
        input,
        dim: _int | Sequence[_int] | None = None,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """In-place form of `cumsum`: writes the result into this tensor and returns it."""
    @property
    def data(self) -> Tensor: ...
    @data.setter
    def data(self, value) -> None: ...
    def data_ptr(self) -> _int:
        """The address of the first element."""
    def deg2rad(input) -> Tensor:
        """Degrees as radians."""
    def deg2rad_(input) -> Tensor:
        """In-place form of `deg2rad`: writes the result into this tensor and returns it."""
    def det(input) -> Tensor:
        """The determinant of square matrices, `linalg.det`."""
    def detach(self) -> Tensor:
        """The same memory without the history: a leaf that does not require grad."""
    def detach_(self) -> Tensor:
        """Takes the history of this tensor away, in place; returns it. Raises RuntimeError for a view."""
    @property
    def device(self) -> _device: ...
    def diag(input, diagonal: _int = 0) -> Tensor:
        """The square matrix with the elements of a vector on a diagonal; of a matrix, the elements of a diagonal, as a copy."""
    def diag_embed(input, offset: _int = 0, dim1: _int = -2, dim2: _float = -1) -> Tensor:
        """Matrices with the last dimension of `input` on a diagonal, in the dimensions dim1 and dim2 of the result."""
    def diagflat(input, offset: _int = 0) -> Tensor:
        """The square matrix with all elements of a tensor on a diagonal."""
    def diagonal(input, offset: _int = 0, dim1: _int = 0, dim2: _float = 1) -> Tensor:
        """The elements of a diagonal of the matrices in the dimensions dim1 and dim2, as a view; it becomes the last dimension."""
    def diagonal_scatter(input, src, offset: _int = 0, dim1: _int = 0, dim2: _float = 1) -> Tensor:
        """A copy of the tensor with `src` on a diagonal."""
    def diff(
        input,
        n: _float = 1,
        dim: _int | Sequence[_int] | None = -1,
        prepend=None,
        append=None,
        *,
        axis: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """Differences of neighbours along `dim`, n times; `prepend` and `append` are put before and after first."""
    def dim(self) -> _int:
        """The number of dimensions."""
    def dist(input, other: Tensor | _float, p: _float = 2) -> Tensor:
        """The p-norm of input - other."""
    def div(input, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
        """input / other; rounded towards 0 if `rounding_mode` is "trunc", down if it is "floor"."""
    def div_(self, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
        """In-place form of `div`."""
    def divide(input, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
        """input / other; rounded towards 0 if `rounding_mode` is "trunc", down if it is "floor"."""
    def divide_(self, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
        """In-place form of `div`."""
    def dot(input, tensor) -> Tensor:
        """The scalar product of two vectors of one size."""
    def double(self, *, memory_format=None) -> Tensor:
        """This tensor as float64; itself where it is that already."""
    def dsplit(input, indices_or_sections) -> Tensor:
        """Parts along dimension 2: so many of equal size, or between the given indices."""
    @property
    def dtype(self) -> _dtype: ...
    def element_size(self) -> _int:
        """Bytes of one element."""
    def eq(input, other: Tensor | _float) -> Tensor:
        """x0 == x1, as bool."""
    def equal(input, other: Tensor | _float) -> _bool:
        """Whether two tensors have the same shape and elements; nan equals nothing."""
    def erf(input) -> Tensor:
        """The error function."""
    def erf_(self) -> Tensor:
        """In-place form of `erf`: writes the result into this tensor and returns it."""
    def erfc(input) -> Tensor:
        """1 - erf(x0), accurate far out."""
    def erfc_(self) -> Tensor:
        """In-place form of `erfc`: writes the result into this tensor and returns it."""
    def exp(input) -> Tensor:
        """e^x0."""
    def exp2(input) -> Tensor:
        """2^x0."""
    def exp2_(self) -> Tensor:
        """In-place form of `exp2`: writes the result into this tensor and returns it."""
    def exp_(self) -> Tensor:
        """In-place form of `exp`: writes the result into this tensor and returns it."""
    def expand(self, *sizes: _int | Sequence[_int], size: _int | Sequence[_int] | None = None) -> Tensor:
        """Dimensions of size 1 repeated to the given sizes, and new leading ones added, as a view; -1 keeps a size."""
    def expand_as(self, other: Tensor | _float) -> Tensor:
        """This tensor expanded to the shape of another."""
    def expm1(input) -> Tensor:
        """e^x0 - 1, accurate near 0."""
    def expm1_(self) -> Tensor:
        """In-place form of `expm1`: writes the result into this tensor and returns it."""
    def exponential_(self, lambd: _float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Fills with draws from the exponential distribution of rate lambd; returns this tensor."""
    def fill_(self, value) -> Tensor:
        """Writes one value into every element; returns this tensor."""
    def fill_diagonal_(self, fill_value, wrap: _bool = False) -> Tensor:
        """Writes a number on the main diagonal of a matrix, in place; `wrap` starts again below in a tall one."""
    def fix(input) -> Tensor:
        """The next integer towards 0."""
    def fix_(self) -> Tensor:
        """In-place form of `trunc`: writes the result into this tensor and returns it."""
    def flatten(input, start_dim: _int = 0, end_dim: _int = -1) -> Tensor:
        """The dimensions from start_dim to end_dim joined into one; a 0-d tensor becomes 1-d."""
    def flip(input, *axes, dims: _int | Sequence[_int] | None = None) -> Tensor:
        """The elements in reverse order along each of the dimensions, ints or one sequence (or `dims`); a copy."""
    def fliplr(input) -> Tensor:
        """The columns in reverse order."""
    def flipud(input) -> Tensor:
        """The rows in reverse order."""
    def float(self, *, memory_format=None) -> Tensor:
        """This tensor as float32; itself where it is that already."""
    def float_power(input, exponent: Tensor | _float) -> Tensor:
        """input ** exponent, computed in float64."""
    def float_power_(input, exponent: Tensor | _float) -> Tensor:
        """In-place form of `float_power`: writes the result into this tensor and returns it."""
    def floor(input) -> Tensor:
        """The next integer below."""
    def floor_(self) -> Tensor:
        """In-place form of `floor`: writes the result into this tensor and returns it."""
    def floor_divide(input, other: Tensor | _float) -> Tensor:
        """floor(x0 / x1), as Python's //."""
    def floor_divide_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `floor_divide`: writes the result into this tensor and returns it."""
    def fmax(input, other: Tensor | _float) -> Tensor:
        """The larger of both, and where one is NaN the other."""
    def fmin(input, other: Tensor | _float) -> Tensor:
        """The smaller of both, and where one is NaN the other."""
    def fmod(input, other: Tensor | _float) -> Tensor:
        """The remainder of x0 / x1 with the sign of x0."""
    def fmod_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `fmod`: writes the result into this tensor and returns it."""
    def frac(input) -> Tensor:
        """x0 - trunc(x0)."""
    def frac_(self) -> Tensor:
        """In-place form of `frac`: writes the result into this tensor and returns it."""
    def gather(
        input, dim: _int | Sequence[_int] | None, index: Tensor | _int, *, sparse_grad: _bool = False
    ) -> Tensor:
        """The elements whose position along `dim` the index gives: ``out[i][j] = input[i][index[i][j]]`` for dim 1."""
    def ge(input, other: Tensor | _float) -> Tensor:
        """x0 >= x1, as bool."""
    def ger(input, vec2: Tensor) -> Tensor:
        """The outer product of two vectors."""
    @property
    def grad(self) -> Tensor | None: ...
    @grad.setter
    def grad(self, value) -> None: ...
    @property
    def grad_fn(self) -> Any: ...
    def greater(input, other: Tensor | _float) -> Tensor:
        """x0 > x1, as bool."""
    def greater_equal(input, other: Tensor | _float) -> Tensor:
        """x0 >= x1, as bool."""
    def gt(input, other: Tensor | _float) -> Tensor:
        """x0 > x1, as bool."""
    def half(self) -> None:
        """Raises TypeError: there is no float16 here."""
    def hardshrink(input, lambd: _float = 0.5) -> Tensor:
        """x, and 0 where |x| <= lambd."""
    def heaviside(input, values) -> Tensor:
        """0 where input < 0, 1 where input > 0, `values` where it is 0; NaN stays."""
    def heaviside_(input, values) -> Tensor:
        """In-place form of `heaviside`: writes the result into this tensor and returns it."""
    def histc(
        input, bins: _float = 100, min: Tensor | _float | None = 0, max: Tensor | _float | None = 0
    ) -> Tensor:
        """How many elements lie in each of `bins` equal intervals between min and max (both 0: of the input), as real numbers."""
    def hsplit(input, indices_or_sections) -> Tensor:
        """Parts along dimension 1: so many of equal size, or between the given indices."""
    def hypot(input, other: Tensor | _float) -> Tensor:
        """sqrt(x0^2 + x1^2)."""
    def hypot_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `hypot`: writes the result into this tensor and returns it."""
    def index_add(
        input, dim: _int | Sequence[_int] | None, index: Tensor | _int, source, *, alpha: _float = 1
    ) -> Tensor:
        """A copy to which ``alpha * source`` is added at the indices of a vector along one dimension; repeated indices add up."""
    def index_add_(
        self, dim: _int | Sequence[_int] | None, index: Tensor | _int, source, *, alpha: _float = 1
    ) -> Tensor:
        """Adds the parts of the source at the indices along one dimension; returns this tensor."""
    def index_copy(input, dim: _int | Sequence[_int] | None, index: Tensor | _int, source) -> Tensor:
        """A copy whose parts at the indices of a vector along one dimension are those of the source."""
    def index_copy_(self, dim: _int | Sequence[_int] | None, index: Tensor | _int, source) -> Tensor:
        """Writes the parts of the source at the indices along one dimension; returns this tensor."""
    def index_fill(input, dim, index, value) -> Tensor:
        """A copy whose parts at the indices of a vector along one dimension hold one value."""
    def index_fill_(self, dim: _int | Sequence[_int] | None, index: Tensor | _int, value) -> Tensor:
        """Writes one value at the indices along one dimension; returns this tensor."""
    def index_put(input, indices, values, accumulate: _bool = False) -> Tensor:
        """A copy with ``copy[indices] = values``, or with the values added where `accumulate` is true (also several times to one
        element).
        """
    def index_put_(self, indices, values, accumulate: _bool = False) -> Tensor:
        """Writes (or adds) values where the indices say; returns this tensor."""
    def index_select(input, dim: _int | Sequence[_int] | None, index: Tensor | _int) -> Tensor:
        """The parts of the tensor at the indices of a vector, along one dimension."""
    def inner(input, other: Tensor | _float) -> Tensor:
        """Scalar products over the last dimensions of both: (..., k), (...', k) -> (..., ...'); a number just multiplies."""
    def int(self, *, memory_format=None) -> Tensor:
        """This tensor as int32; itself where it is that already."""
    def inverse(input) -> Tensor:
        """The inverse of square matrices, `linalg.inv`."""
    def is_complex(input) -> _bool:
        """False: there are no complex dtypes."""
    def is_contiguous(self, memory_format=None) -> _bool:
        """Whether the elements lie dense in row-major order."""
    @property
    def is_cpu(self) -> _bool: ...
    @property
    def is_cuda(self) -> _bool: ...
    def is_floating_point(input) -> _bool:
        """Whether the dtype is float32 or float64."""
    @property
    def is_leaf(self) -> _bool: ...
    def is_nonzero(input) -> _bool:
        """Whether the one element of this tensor is not zero."""
    def is_same_size(self, other: Tensor | _float) -> _bool:
        """Whether the shapes are equal."""
    def is_signed(self) -> _bool:
        """Whether the dtype has negative numbers."""
    def isclose(
        input, other: Tensor | _float, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False
    ) -> Tensor:
        """Whether |input - other| <= atol + rtol * |other|, elementwise; NaN equals NaN only if `equal_nan`."""
    def isfinite(input) -> Tensor:
        """Whether it is neither infinite nor NaN, as bool."""
    def isinf(input) -> Tensor:
        """Whether it is infinite, as bool."""
    def isnan(input) -> Tensor:
        """Whether it is NaN, as bool."""
    def isneginf(input) -> Tensor:
        """Whether it is -inf, as bool."""
    def isposinf(input) -> Tensor:
        """Whether it is +inf, as bool."""
    def isreal(input) -> Tensor:
        """True everywhere: there are no complex numbers here."""
    def item(self) -> Any:
        """The value of a tensor of one element as a Python number."""
    @property
    def itemsize(self) -> _int: ...
    def kron(input, other: Tensor | _float) -> Tensor:
        """The Kronecker product: every element of input times `other`."""
    def kthvalue(
        input,
        k,
        dim: _int | Sequence[_int] | None = -1,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> tuple[Tensor, Tensor]:
        """(values, indices) of the k-th smallest element along `dim`, counted from 1."""
    @property
    def layout(self) -> Any: ...
    def le(input, other: Tensor | _float) -> Tensor:
        """x0 <= x1, as bool."""
    def lerp(input, end, weight: Tensor | None) -> Tensor:
        """input + weight * (end - input); `weight` is a number or a tensor."""
    def lerp_(self, end, weight: Tensor | None) -> Tensor:
        """In-place form of `lerp`."""
    def less(input, other: Tensor | _float) -> Tensor:
        """x0 < x1, as bool."""
    def less_equal(input, other: Tensor | _float) -> Tensor:
        """x0 <= x1, as bool."""
    def log(input) -> Tensor:
        """The natural logarithm."""
    def log10(input) -> Tensor:
        """The logarithm to base 10."""
    def log10_(self) -> Tensor:
        """In-place form of `log10`: writes the result into this tensor and returns it."""
    def log1p(input) -> Tensor:
        """log(1 + x0), accurate near 0."""
    def log1p_(self) -> Tensor:
        """In-place form of `log1p`: writes the result into this tensor and returns it."""
    def log2(input) -> Tensor:
        """The logarithm to base 2."""
    def log2_(self) -> Tensor:
        """In-place form of `log2`: writes the result into this tensor and returns it."""
    def log_(self) -> Tensor:
        """In-place form of `log`: writes the result into this tensor and returns it."""
    def log_softmax(
        input,
        dim: _int | Sequence[_int] | None = None,
        dtype: _dtype | None = None,
        *,
        axis: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """log(softmax(x)) along `dim`, without computing the softmax."""
    def logaddexp(input, other: Tensor | _float) -> Tensor:
        """log(e^x0 + e^x1)."""
    def logaddexp2(input, other: Tensor | _float) -> Tensor:
        """log2(2^x + 2^y), without overflow."""
    def logcumsumexp(
        input, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
    ) -> Tensor:
        """log of the sums of exp(x) up to each element along `dim`, without overflow."""
    def logdet(input) -> Tensor:
        """The logarithm of the determinant of square matrices; NaN where it is negative, -inf where it is 0."""
    def logical_and(input, other: Tensor | _float) -> Tensor:
        """Whether both are not 0, as bool."""
    def logical_not(input) -> Tensor:
        """Whether it is 0, as bool."""
    def logical_or(input, other: Tensor | _float) -> Tensor:
        """Whether either is not 0, as bool."""
    def logical_xor(input, other: Tensor | _float) -> Tensor:
        """Whether exactly one is not 0, as bool."""
    def logit(input, eps: _float | None = None) -> Tensor:
        """log(x / (1 - x)), the inverse of the sigmoid; x is clamped to [eps, 1 - eps] where `eps` is given."""
    def logit_(input, eps: _float | None = None) -> Tensor:
        """In-place form of `logit`: writes the result into this tensor and returns it."""
    def logsumexp(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """log(sum(exp(input))) over `dim` (an int or several), without overflow."""
    def long(self, *, memory_format=None) -> Tensor:
        """This tensor as int64; itself where it is that already."""
    def lt(input, other: Tensor | _float) -> Tensor:
        """x0 < x1, as bool."""
    @property
    def mH(self) -> Tensor: ...
    @property
    def mT(self) -> Tensor: ...
    def masked_fill(input, mask: Tensor, value) -> Tensor:
        """A copy that holds one value where the mask, which broadcasts, is true."""
    def masked_fill_(self, mask: Tensor, value) -> Tensor:
        """Writes one value where the mask, which broadcasts, is true; returns this tensor."""
    def masked_scatter(input, mask: Tensor, source) -> Tensor:
        """A copy of the tensor with the elements of `source`, in order, where the mask is True."""
    def masked_scatter_(input, mask: Tensor, source) -> Tensor:
        """In-place form of `masked_scatter`: writes the result into this tensor and returns it."""
    def masked_select(input, mask: Tensor) -> Tensor:
        """The elements where the mask is true, as a vector; the two broadcast together."""
    def matmul(input, other: Tensor | _float) -> Tensor:
        """The product of two tensors, as the operator ``@``: of matrices, of vectors (a row on the left, a column on the right),
        or of stacks of matrices, whose leading dimensions broadcast.
        """
    def matrix_power(input, n) -> Tensor:
        """The n-th power of square matrices, by squaring; a negative one is a power of the inverse."""
    def max(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        other: Tensor | _float | None = None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Any:
        """The largest element of all; with a `dim`, (values, indices) along it; with a Tensor, the larger of both, elementwise."""
    def maximum(input, other: Tensor | _float) -> Tensor:
        """The larger of both, NaN if either is; equal ones share the gradient."""
    def mean(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The mean over `dim` (an int or several), or over all dimensions."""
    def median(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The median, the lower of two in the middle; NaN if there is one. With a `dim`, (values, indices) along it."""
    def min(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        other: Tensor | _float | None = None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Any:
        """The smallest element of all; with a `dim`, (values, indices) along it; with a Tensor, the smaller of both, elementwise."""
    def minimum(input, other: Tensor | _float) -> Tensor:
        """The smaller of both, NaN if either is; equal ones share the gradient."""
    def mm(input, mat2: Tensor) -> Tensor:
        """The product of two matrices, (m, k) and (k, n)."""
    def mode(
        input,
        dim: _int | Sequence[_int] | None = -1,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> tuple[Tensor, Tensor]:
        """(values, indices) of the most frequent element along `dim`, the smallest of several; the index is of its last one."""
    def moveaxis(input, source, destination) -> Tensor:
        """Dimensions moved to other places, the rest in order, as a view."""
    def movedim(input, source, destination) -> Tensor:
        """Dimensions moved to other places, the rest in order, as a view."""
    def mul(input, other: Tensor | _float) -> Tensor:
        """x0 * x1."""
    def mul_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `mul`: writes the result into this tensor and returns it."""
    def multinomial(
        input, num_samples: _int, replacement: _bool = False, *, generator: Generator | None = None
    ) -> Tensor:
        """Indices drawn in proportion to the weights in each row of `input` [..., n], shape [..., num_samples], int64."""
    def multiply(input, other: Tensor | _float) -> Tensor:
        """x0 * x1."""
    def multiply_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `mul`: writes the result into this tensor and returns it."""
    def mv(input, vec: Tensor) -> Tensor:
        """The product of a matrix (m, k) and a vector (k)."""
    def nan_to_num(input, nan: _float = 0.0, posinf=None, neginf=None) -> Tensor:
        """NaN and the infinities replaced by numbers: 0, and the largest and smallest of the dtype, where none are given."""
    def nan_to_num_(self, nan: _float = 0.0, posinf=None, neginf=None) -> Tensor:
        """In-place form of `nan_to_num`."""
    def nanmean(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The mean over `dim`, or over all dimensions, of the elements that are not NaN."""
    def nanmedian(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The median of the elements that are not NaN, the lower of two in the middle; with a `dim`, (values, indices) along it."""
    def nanquantile(
        input,
        q,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        interpolation: _str = "linear",
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """As `quantile`, of the elements that are not NaN."""
    def nansum(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The sum over `dim`, or over all dimensions, where NaN counts as 0."""
    def narrow(input, dim: _int | Sequence[_int] | None, start, length) -> Tensor:
        """`length` elements from `start` on along `dim`, as a view."""
    @property
    def nbytes(self) -> _int: ...
    @property
    def ndim(self) -> _int: ...
    def ndimension(self) -> _int:
        """The number of dimensions."""
    def ne(input, other: Tensor | _float) -> Tensor:
        """x0 != x1, as bool."""
    def neg(input) -> Tensor:
        """-x0."""
    def neg_(self) -> Tensor:
        """In-place form of `neg`: writes the result into this tensor and returns it."""
    def negative(input) -> Tensor:
        """-x0."""
    def negative_(self) -> Tensor:
        """In-place form of `neg`: writes the result into this tensor and returns it."""
    def nelement(input) -> _int:
        """The number of elements."""
    def new_empty(
        self,
        *sizes: _int | Sequence[_int],
        size: _int | Sequence[_int] | None = None,
        dtype: _dtype | None = None,
        layout=None,
        device: _device | _str | None = None,
        requires_grad: _bool = False,
    ) -> Tensor:
        """Uninitialised, of the given shape, of this tensor's dtype unless another is given."""
    def new_full(
        self, size, fill_value, *, dtype=None, layout=None, device=None, requires_grad: _bool = False
    ) -> Tensor:
        """Every element fill_value, of the given shape, of this tensor's dtype unless another is given."""
    def new_ones(
        self,
        *sizes: _int | Sequence[_int],
        size: _int | Sequence[_int] | None = None,
        dtype: _dtype | None = None,
        layout=None,
        device: _device | _str | None = None,
        requires_grad: _bool = False,
    ) -> Tensor:
        """Ones of the given shape, of this tensor's dtype unless another is given."""
    def new_tensor(
        self, data, *, dtype: _dtype | None = None, device: _device | _str | None = None, requires_grad: _bool = False
    ) -> Tensor:
        """`tensor(data)`, of this tensor's dtype unless another is given."""
    def new_zeros(
        self,
        *sizes: _int | Sequence[_int],
        size: _int | Sequence[_int] | None = None,
        dtype: _dtype | None = None,
        layout=None,
        device: _device | _str | None = None,
        requires_grad: _bool = False,
    ) -> Tensor:
        """Zeros of the given shape, of this tensor's dtype unless another is given."""
    def nonzero(input, *, as_tuple: _bool = False) -> Any:
        """The positions of the elements that are not zero: (count, ndim), int64; with `as_tuple`, one vector per dimension."""
    def norm(
        input,
        p: _str = "fro",
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        dtype: _dtype | None = None,
        *,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The p-norm of all elements, or of the vectors along `dim`; p a number, inf, -inf or "fro" (2)."""
    def normal_(self, mean: _float = 0.0, std: _float = 1.0, *, generator: Generator | None = None) -> Tensor:
        """Fills with draws from the normal distribution; returns this tensor."""
    def not_equal(input, other: Tensor | _float) -> Tensor:
        """x0 != x1, as bool."""
    def numel(input) -> _int:
        """The number of elements."""
    def numpy(self, *, force: _bool = False) -> np.ndarray[Any, Any]:
        """The NumPy array that shares this tensor's memory."""
    def outer(input, vec2: Tensor) -> Tensor:
        """All products of an element of one vector and one of another: (m), (n) -> (m, n)."""
    @property
    def output_nr(self) -> _int: ...
    def permute(input, *order, dims: _int | Sequence[_int] | None = None) -> Tensor:
        """The dimensions in the given order (ints or one sequence), as a view."""
    def positive(input) -> Tensor:
        """The tensor itself: +x."""
    def pow(input, exponent: Tensor | _float) -> Tensor:
        """input to the power `exponent`; one of them may be a number."""
    def pow_(self, exponent: Tensor | _float) -> Tensor:
        """In-place form of `pow`."""
    def prelu(input, weight: Tensor | None) -> Tensor:
        """x where x > 0, else weight * x; one weight, or one for each index of dimension 1."""
    def prod(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The product over `dim`, or over all dimensions; of integers and bools as int64."""
    def quantile(
        input,
        q,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        interpolation: _str = "linear",
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The q-quantiles along `dim`, or of all elements: q a number or a vector of numbers in [0, 1], whose results come first."""
    def rad2deg(input) -> Tensor:
        """Radians as degrees."""
    def rad2deg_(input) -> Tensor:
        """In-place form of `rad2deg`: writes the result into this tensor and returns it."""
    def random_(self, low=None, high=None, *, generator: Generator | None = None, **named) -> Tensor:
        """Fills with draws from the integers in [from, to); up to the largest that the dtype holds exactly by default."""
    def ravel(input) -> Tensor:
        """All elements in one dimension."""
    def reciprocal(input) -> Tensor:
        """1 / x0."""
    def reciprocal_(self) -> Tensor:
        """In-place form of `reciprocal`: writes the result into this tensor and returns it."""
    def register_hook(self, hook) -> RemovableHandle:
        """Calls ``hook(grad)`` each time the gradient of this tensor is computed; what it returns, if not None, replaces it."""
    def relu(input, inplace: _bool = False) -> Tensor:
        """max(x, 0); the derivative at 0 is 0."""
    def relu_(self) -> Tensor:
        """In-place form of `relu`."""
    def remainder(input, other: Tensor | _float) -> Tensor:
        """The remainder of x0 / x1 with the sign of x1, as Python's %."""
    def remainder_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `remainder`: writes the result into this tensor and returns it."""
    def renorm(input, p, dim: _int | Sequence[_int] | None, maxnorm) -> Tensor:
        """Each part along `dim` scaled down to the p-norm `maxnorm` where its norm is larger."""
    def repeat(self, *sizes: _int | Sequence[_int]) -> Tensor:
        """This tensor repeated along each dimension; more sizes than dimensions add dimensions in front. A copy."""
    def repeat_interleave(
        input, repeats=None, dim: _int | Sequence[_int] | None = None, *, output_size=None
    ) -> Tensor:
        """Each element along `dim` (of the flattened tensor without it) repeated: `repeats` times, an int or a tensor of counts."""
    @property
    def requires_grad(self) -> _bool: ...
    @requires_grad.setter
    def requires_grad(self, value) -> None: ...
    def requires_grad_(self, requires_grad: _bool = True) -> Tensor:
        """Makes this leaf record (or no longer record) operations on it; returns it."""
    def reshape(input, *sizes: _int | Sequence[_int], shape: Sequence[_int] | None = None) -> Tensor:
        """The same elements, in row-major order, in another shape: a view where the strides allow it, else a copy."""
    def reshape_as(self, other: Tensor | _float) -> Tensor:
        """This tensor in the shape of another."""
    def retain_grad(self) -> None:
        """Makes a tensor that is no leaf keep its gradient in ``.grad`` during `backward`; nothing for a leaf."""
    @property
    def retains_grad(self) -> _bool: ...
    def roll(input, shifts, dims: _int | Sequence[_int] | None = None) -> Tensor:
        """The elements moved along `dims` by `shifts`, those that leave at one end entering at the other; flattened without dims."""
    def rot90(input, k: _float = 1, dims: _int | Sequence[_int] | None = ...) -> Tensor:
        """The tensor turned by 90 degrees k times in the plane of two dimensions."""
    def round(input, *, decimals: _int = 0) -> Tensor:
        """The nearest integer, the even one at a half; with `decimals` that many digits after the point."""
    def round_(self, *, decimals: _int = 0) -> Tensor:
        """In-place form of `round`."""
    def rsqrt(input) -> Tensor:
        """1 / sqrt(x0)."""
    def rsqrt_(self) -> Tensor:
        """In-place form of `rsqrt`: writes the result into this tensor and returns it."""
    def rsub(input, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
        """other - alpha * input."""
    def scatter(input, dim: _int | Sequence[_int] | None, index: Tensor | _int, src=None, *, value=None) -> Tensor:
        """A copy with each element of `src` (a tensor or one number) at the position along `dim` that the index gives:
        ``out[i][index[i][j]] = src[i][j]`` for dim 1. Which of several values for one place stays is not defined.
        """
    def scatter_(self, dim: _int | Sequence[_int] | None, index: Tensor | _int, src=None, *, value=None) -> Tensor:
        """Writes each element of the source at the position along `dim` that the index gives; returns this tensor."""
    def scatter_add(input, dim: _int | Sequence[_int] | None, index: Tensor | _int, src) -> Tensor:
        """A copy with each element of `src` added at the position along `dim` that the index gives; repeated places add up."""
    def scatter_add_(self, dim: _int | Sequence[_int] | None, index: Tensor | _int, src) -> Tensor:
        """Adds each element of the source at the position along `dim` that the index gives; returns this tensor."""
    def scatter_reduce(
        input, dim: _int | Sequence[_int] | None, index: Tensor | _int, src, reduce, *, include_self: _bool = True
    ) -> Tensor:
        """A copy of the tensor, into which src[i][j] was reduced at [index[i][j]][j] (for dim 0)."""
    def scatter_reduce_(
        input, dim: _int | Sequence[_int] | None, index: Tensor | _int, src, reduce, *, include_self: _bool = True
    ) -> Tensor:
        """In-place form of `scatter_reduce`: writes the result into this tensor and returns it."""
    def select(input, dim: _int | Sequence[_int] | None, index: Tensor | _int) -> Tensor:
        """The part of index `index` along `dim`, which goes, as a view."""
    def select_scatter(input, src, dim: _int | Sequence[_int] | None, index: Tensor | _int) -> Tensor:
        """A copy of the tensor with `src` as the part of index `index` along `dim`."""
    def sgn(input) -> Tensor:
        """-1, 0 or 1, the sign."""
    def sgn_(input) -> Tensor:
        """In-place form of `sgn`: writes the result into this tensor and returns it."""
    @property
    def shape(self) -> Size: ...
    def sigmoid(input) -> Tensor:
        """1 / (1 + e^-x0)."""
    def sigmoid_(self) -> Tensor:
        """In-place form of `sigmoid`: writes the result into this tensor and returns it."""
    def sign(input) -> Tensor:
        """-1, 0 or 1, the sign of x0."""
    def sign_(self) -> Tensor:
        """In-place form of `sign`: writes the result into this tensor and returns it."""
    def signbit(input) -> Tensor:
        """Whether the sign is negative, also that of -0.0, as bool."""
    def sin(input) -> Tensor:
        """The sine."""
    def sin_(self) -> Tensor:
        """In-place form of `sin`: writes the result into this tensor and returns it."""
    def sinc(input) -> Tensor:
        """sin(pi x) / (pi x), 1 at 0."""
    def sinc_(input) -> Tensor:
        """In-place form of `sinc`: writes the result into this tensor and returns it."""
    def sinh(input) -> Tensor:
        """The hyperbolic sine."""
    def sinh_(self) -> Tensor:
        """In-place form of `sinh`: writes the result into this tensor and returns it."""
    def size(self, dim=None) -> Any:
        """The shape, or the size of one dimension."""
    def slice_scatter(
        input, src, dim: _int | Sequence[_int] | None = 0, start=None, end=None, step: _int = 1
    ) -> Tensor:
        """A copy of the tensor with `src` as the slice from `start` to `end` along `dim`."""
    def slogdet(input) -> Tensor:
        """(sign, logabsdet) of square matrices, `linalg.slogdet`."""
    def softmax(
        input,
        dim: _int | Sequence[_int] | None = None,
        dtype: _dtype | None = None,
        *,
        axis: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """exp(x) / sum(exp(x)) along `dim`."""
    def sort(
        input,
        dim: _int | Sequence[_int] | None = -1,
        descending: _bool = False,
        *,
        stable: _bool = True,
        axis: _int | Sequence[_int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(values, indices) sorted along `dim`. The order is always stable; NaN counts as the largest."""
    def split(self, split_size, dim: _int | Sequence[_int] | None = 0) -> tuple[Tensor, ...]:
        """Consecutive parts along `dim`: of one size (the last may be smaller), or of the sizes in a list. A tuple of views."""
    def sqrt(input) -> Tensor:
        """The square root."""
    def sqrt_(self) -> Tensor:
        """In-place form of `sqrt`: writes the result into this tensor and returns it."""
    def square(input) -> Tensor:
        """x0^2."""
    def square_(self) -> Tensor:
        """In-place form of `square`: writes the result into this tensor and returns it."""
    def squeeze(
        input, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
    ) -> Tensor:
        """Dimensions of size 1 left out (all, or those of `dim` that have size 1), as a view."""
    def std(
        input,
        dim: _int | Sequence[_int] | None = None,
        unbiased: _bool | None = None,
        keepdim: _bool = False,
        *,
        correction=None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The standard deviation over `dim`, or over all dimensions: the square root of `var`."""
    def storage_offset(self) -> _int:
        """Elements between the start of the memory and the first element."""
    def stride(self, dim: _int | Sequence[_int] | None = None) -> Any:
        """Elements to step over in memory from one index to the next: of every dimension as a tuple, or of `dim`."""
    def sub(input, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
        """input - alpha * other."""
    def sub_(self, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
        """In-place form of `sub`."""
    def subtract(input, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
        """input - alpha * other."""
    def subtract_(self, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
        """In-place form of `sub`."""
    def sum(
        input,
        dim: _int | Sequence[_int] | None = None,
        keepdim: _bool = False,
        *,
        dtype: _dtype | None = None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The sum over `dim` (an int or several), or over all dimensions; of integers and bools as int64."""
    def sum_to_size(self, *size: _int | Sequence[_int] | None) -> Tensor:
        """The tensor summed over the dimensions along which the given shape is broadcast to its own."""
    def swapaxes(input, dim0: _int, dim1: _int) -> Tensor:
        """Two dimensions exchanged, as a view."""
    def swapdims(input, dim0: _int, dim1: _int) -> Tensor:
        """Two dimensions exchanged, as a view."""
    def t(input) -> Tensor:
        """The transpose of a matrix; a tensor of fewer dimensions as it is."""
    def take(input, index: Tensor | _int) -> Tensor:
        """The elements at the indices of the flattened tensor; the result has the shape of the index."""
    def take_along_dim(input, indices, dim: _int | Sequence[_int] | None = None) -> Tensor:
        """`gather` with the other dimensions broadcast; without `dim`, from the flattened tensor."""
    def tan(input) -> Tensor:
        """The tangent."""
    def tan_(self) -> Tensor:
        """In-place form of `tan`: writes the result into this tensor and returns it."""
    def tanh(input) -> Tensor:
        """The hyperbolic tangent."""
    def tanh_(self) -> Tensor:
        """In-place form of `tanh`: writes the result into this tensor and returns it."""
    def tensor_split(input, indices_or_sections, dim: _int | Sequence[_int] | None = 0) -> Tensor:
        """Parts along `dim`: so many, as equal as possible, or between the given indices. A tuple of views."""
    def tile(input, *dims: _int | Sequence[_int] | None) -> Tensor:
        """The tensor repeated along each dimension; fewer numbers than dimensions leave the first ones as they are."""
    def to(
        self,
        *args,
        dtype: _dtype | None = None,
        device: _device | _str | None = None,
        other: Tensor | _float | None = None,
        non_blocking: _bool = False,
        copy: _bool = False,
        memory_format=None,
    ) -> Tensor:
        """This tensor in another dtype: ``to(dtype)``, ``to(other)``, ``to(device)``, ``to(device, dtype)``."""
    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; one number for a 0-d tensor."""
    def topk(
        input,
        k,
        dim: _int | Sequence[_int] | None = -1,
        largest: _bool = True,
        sorted: _bool = True,
        *,
        axis: _int | Sequence[_int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(values, indices) of the k largest elements along `dim`, or of the smallest; always sorted."""
    def trace(input) -> Tensor:
        """The sum of the diagonal of a matrix."""
    def transpose(input, dim0: _int, dim1: _int) -> Tensor:
        """Two dimensions exchanged, as a view."""
    def tril(input, diagonal: _int = 0) -> Tensor:
        """The lower triangle of a matrix, or of each of a stack: 0 above the given diagonal."""
    def tril_(input, diagonal: _int = 0) -> Tensor:
        """In-place form of `tril`: writes the result into this tensor and returns it."""
    def triu(input, diagonal: _int = 0) -> Tensor:
        """The upper triangle of a matrix, or of each of a stack: 0 below the given diagonal."""
    def triu_(input, diagonal: _int = 0) -> Tensor:
        """In-place form of `triu`: writes the result into this tensor and returns it."""
    def true_divide(input, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
        """input / other; rounded towards 0 if `rounding_mode` is "trunc", down if it is "floor"."""
    def true_divide_(self, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
        """In-place form of `div`."""
    def trunc(input) -> Tensor:
        """The next integer towards 0."""
    def trunc_(self) -> Tensor:
        """In-place form of `trunc`: writes the result into this tensor and returns it."""
    def type(self, dtype: _dtype | None = None, non_blocking: _bool = False) -> Any:
        """This tensor in another dtype, given as a dtype or a name like "FloatTensor"; without one, the name of its own."""
    def type_as(self, other: Tensor | _float) -> Tensor:
        """This tensor in the dtype of another."""
    def unbind(
        input, dim: _int | Sequence[_int] | None = 0, *, axis: _int | Sequence[_int] | None = None
    ) -> tuple[Tensor, ...]:
        """The parts along `dim`, which goes, as a tuple of views."""
    def unflatten(input, dim: _int | Sequence[_int] | None, sizes: _int | Sequence[_int]) -> Tensor:
        """One dimension split into several of the given sizes (one may be -1), as a view."""
    def unfold(self, dimension, size: _int | Sequence[_int] | None, step: _int) -> Tensor:
        """All slices of `size` elements along a dimension, `step` apart, as a view: `dimension` counts them, the last holds them."""
    def uniform_(
        self,
        low: _float = 0.0,
        high: _float = 1.0,
        *,
        generator: Generator | None = None,
        **named,
    ) -> Tensor:
        """Fills with draws from the uniform distribution on [from, to); returns this tensor."""
    def unique(
        input,
        sorted: _bool = True,
        return_inverse: _bool = False,
        return_counts: _bool = False,
        dim: _int | Sequence[_int] | None = None,
    ) -> Tensor:
        """The different elements in ascending order (along `dim`, the different slices); with them, if asked for, the index of
        each element among these, and how often each comes.
        """
    def unique_consecutive(
        input, return_inverse: _bool = False, return_counts: _bool = False, dim: _int | Sequence[_int] | None = None
    ) -> Tensor:
        """The elements without those that equal the one before (along `dim`, slices); as `unique` for the rest."""
    def unsqueeze(
        input, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
    ) -> Tensor:
        """A new dimension of size 1 at `dim`, as a view."""
    def var(
        input,
        dim: _int | Sequence[_int] | None = None,
        unbiased: _bool | None = None,
        keepdim: _bool = False,
        *,
        correction=None,
        axis: _int | Sequence[_int] | None = None,
        keepdims: _bool = False,
    ) -> Tensor:
        """The variance over `dim`, or over all dimensions, with n - correction as its divisor (correction 1 if not given)."""
    def vdot(input, other: Tensor | _float) -> Tensor:
        """The dot product of two vectors."""
    def view(self, *shape: Sequence[_int] | None) -> Tensor:
        """The same memory in another shape; never a copy."""
    def view_as(self, other: Tensor | _float) -> Tensor:
        """This tensor viewed in the shape of another."""
    def vsplit(input, indices_or_sections) -> Tensor:
        """Parts along dimension 0: so many of equal size, or between the given indices."""
    def where(self, condition, other) -> Any:
        """This tensor where the condition, a bool tensor, holds, else other."""
    def xlogy(input, other: Tensor | _float) -> Tensor:
        """x0 log(x1), and 0 where x0 is 0."""
    def xlogy_(self, other: Tensor | _float) -> Tensor:
        """In-place form of `xlogy`: writes the result into this tensor and returns it."""
    def zero_(self) -> Tensor:
        """Writes zero into every element; returns this tensor."""

DTYPES: dict[_str, dtype]
FAMILIES: tuple[_str, ...]
bool: dtype
contiguous_format: Any
default_generator: Generator
float32: dtype
float64: dtype
functions: Any
int32: dtype
int64: dtype
preserve_format: Any
strided: Any
uint8: dtype

def BoolTensor(*data) -> Tensor:
    """A bool tensor with a copy of the data; of ints, an uninitialised one of that shape. PyTorch's older way of tensor() and empty()."""
def ByteTensor(*data) -> Tensor:
    """A uint8 tensor with a copy of the data; of ints, an uninitialised one of that shape. PyTorch's older way of tensor() and empty()."""
def DoubleTensor(*data) -> Tensor:
    """A float64 tensor with a copy of the data; of ints, an uninitialised one of that shape. PyTorch's older way of tensor() and empty()."""
def FloatTensor(*data) -> Tensor:
    """A float32 tensor with a copy of the data; of ints, an uninitialised one of that shape. PyTorch's older way of tensor() and empty()."""
def IntTensor(*data) -> Tensor:
    """A int32 tensor with a copy of the data; of ints, an uninitialised one of that shape. PyTorch's older way of tensor() and empty()."""
def LongTensor(*data) -> Tensor:
    """A int64 tensor with a copy of the data; of ints, an uninitialised one of that shape. PyTorch's older way of tensor() and empty()."""
def abs(input: Tensor) -> Tensor:
    """|x0|; the derivative at 0 is 0."""
def absolute(input: Tensor) -> Tensor:
    """|x0|; the derivative at 0 is 0."""
def acos(input: Tensor) -> Tensor:
    """The inverse cosine."""
def add(input: Tensor, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
    """input + alpha * other.

    >>> import fastgrad as fg
    >>> fg.add(fg.tensor([1.0, 2.0]), fg.tensor([10.0, 20.0]), alpha=0.5)
    tensor([ 6., 12.])
    """
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: _float = 1) -> Tensor:
    """input + value * tensor1 / tensor2.

    >>> import fastgrad as fg
    >>> fg.addcdiv(fg.ones(2), fg.tensor([1.0, 2.0]), fg.tensor([4.0, 4.0]), value=2)
    tensor([1.5000, 2.0000])
    """
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: _float = 1) -> Tensor:
    """input + value * tensor1 * tensor2.

    >>> import fastgrad as fg
    >>> fg.addcmul(fg.ones(2), fg.tensor([1.0, 2.0]), fg.tensor([4.0, 4.0]), value=0.5)
    tensor([3., 5.])
    """
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` for matrices; input broadcasts.

    >>> import fastgrad as fg
    >>> fg.addmm(fg.ones(2), fg.eye(2), fg.eye(2), beta=0.5)
    tensor([[1.5000, 0.5000],
            [0.5000, 1.5000]])
    """
def addmv(input: Tensor, mat, vec: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)`` for a matrix and a vector; input broadcasts.

    >>> import fastgrad as fg
    >>> fg.addmv(fg.ones(2), fg.eye(2), fg.tensor([3.0, 4.0]))
    tensor([4., 5.])
    """
def all(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """Whether all elements over `dim`, or all there are, are not 0.

    >>> import fastgrad as fg
    >>> fg.all(fg.tensor([[True, False], [True, True]]), dim=1)
    tensor([False,  True])
    """
def allclose(
    input: Tensor, other: Tensor | _float, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False
) -> _bool:
    """Whether all elements are close, as `isclose` says.

    >>> import fastgrad as fg
    >>> fg.allclose(fg.tensor([1.0, 2.0]), fg.tensor([1.0, 2.00001]))
    True
    """
def amax(
    input: Tensor,
    dim: _int | Sequence[_int] | None = ...,
    keepdim: _bool = False,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The largest element over `dim` (an int or several), or over all dimensions. Ties share the gradient evenly.

    >>> import fastgrad as fg
    >>> fg.amax(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1)
    tensor([3., 4.])
    """
def amin(
    input: Tensor,
    dim: _int | Sequence[_int] | None = ...,
    keepdim: _bool = False,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The smallest element over `dim` (an int or several), or over all dimensions. Ties share the gradient evenly.

    >>> import fastgrad as fg
    >>> fg.amin(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1)
    tensor([1., 2.])
    """
def aminmax(
    input: Tensor,
    *,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> tuple[Tensor, ...]:
    """The smallest and the largest element along `dim`, or of all, as (min, max).

    >>> import fastgrad as fg
    >>> fg.aminmax(fg.tensor([1.0, 3.0, 2.0])).max
    tensor(3.)
    """
def any(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """Whether any element over `dim`, or of all, is not 0.

    >>> import fastgrad as fg
    >>> fg.any(fg.tensor([[False, False], [True, False]]), dim=1)
    tensor([False,  True])
    """
def arange(
    start=None,
    end=None,
    step: _int = 1,
    *,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """The numbers start, start + step, ... before end; ``arange(end)`` starts at 0. int64 where all three are integers.

    >>> import fastgrad as fg
    >>> fg.arange(1, 2.5, 0.5)
    tensor([1.0000, 1.5000, 2.0000])
    """
def arccos(input: Tensor) -> Tensor:
    """The inverse cosine."""
def arcsin(input: Tensor) -> Tensor:
    """The inverse sine."""
def arctan(input: Tensor) -> Tensor:
    """The inverse tangent."""
def arctan2(input: Tensor, other: Tensor | _float) -> Tensor:
    """The angle of the point (x1, x0)."""
def argmax(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The index of the first largest element along `dim`, or in the flattened tensor.

    >>> import fastgrad as fg
    >>> fg.argmax(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1)
    tensor([1, 0])
    """
def argmin(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The index of the first smallest element along `dim`, or in the flattened tensor.

    >>> import fastgrad as fg
    >>> fg.argmin(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1)
    tensor([0, 1])
    """
def argsort(
    input: Tensor,
    dim: _int | Sequence[_int] | None = -1,
    descending: _bool = False,
    *,
    stable: _bool = True,
    axis: _int | Sequence[_int] | None = None,
) -> Tensor:
    """The indices that sort along `dim`, int64. The order is always stable; NaN counts as the largest.

    >>> import fastgrad as fg
    >>> fg.argsort(fg.tensor([3, 1, 2]), descending=True)
    tensor([0, 2, 1])
    """
def as_tensor(data, dtype: _dtype | None = None, device: _device | _str | None = None) -> Tensor:
    """The data as a tensor, without a copy where it is a Tensor or an array already of that dtype (then memory is shared).

    >>> import fastgrad as fg
    >>> fg.as_tensor([1.0, 2.0])
    tensor([1., 2.])
    """
def asarray(
    obj, *, dtype: _dtype | None = None, device: _device | _str | None = None, copy=None, requires_grad: _bool = False
) -> Tensor:
    """The object as a tensor; ``copy`` True forces one, False forbids it, None copies only where memory cannot be shared.

    >>> import fastgrad as fg
    >>> fg.asarray([1, 2])
    tensor([1, 2])
    """
def asin(input: Tensor) -> Tensor:
    """The inverse sine."""
def atan(input: Tensor) -> Tensor:
    """The inverse tangent."""
def atan2(input: Tensor, other: Tensor | _float) -> Tensor:
    """The angle of the point (x1, x0)."""
def backward(
    tensors: Sequence[Tensor], grad_tensors=None, retain_graph=None, create_graph: _bool = False, inputs=None
) -> None:
    """Adds to ``.grad`` of the leaves the gradients of all tensors together, in one run.

    tensors: a Tensor or a sequence of them. grad_tensors: their gradients; None, or None in the sequence, for scalars.
    retain_graph, create_graph, inputs: as for `Tensor.backward`.
    """
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
    """``beta * input + alpha * (batch1 @ batch2)`` for stacks of matrices; input broadcasts.

    >>> import fastgrad as fg
    >>> fg.baddbmm(fg.zeros(5, 2, 4), fg.zeros(5, 2, 3), fg.zeros(5, 3, 4)).shape
    fastgrad.Size([5, 2, 4])
    """
def batch_norm(
    input: Tensor,
    running_mean,
    running_var,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: _bool = False,
    momentum: _float = 0.1,
    eps: _float | None = 1e-05,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel of x (N, C) or (N, C, ...).

    In training mean and variance are those of the batch, and the running ones, where given, move towards them by
    `momentum`, the variance with n - 1 as its divisor; else they are the running ones.

    >>> import fastgrad as fg
    >>> fg.nn.functional.batch_norm(fg.tensor([[1.0], [3.0]]), None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
def bernoulli(input: Tensor, p=None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that the element of `input` is (or p), else 0; in the shape and dtype of `input`.

    >>> import fastgrad as fg
    >>> fg.bernoulli(fg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
def bilinear(input1, input2, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """``y[..., o] = input1 weight[o] input2 + bias[o]``, a bilinear form for each output.

    input1: (..., in1); input2: (..., in2); weight: (out, in1, in2); bias: (out) or None. Returns (..., out).

    >>> import fastgrad as fg
    >>> fg.nn.functional.bilinear(fg.zeros(8, 2), fg.zeros(8, 3), fg.zeros(4, 2, 3)).shape
    fastgrad.Size([8, 4])
    """
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: _str = "mean"
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) for probabilities x in [0, 1]; weight, a factor for each element, broadcasts.

    >>> import fastgrad as fg
    >>> fg.nn.functional.binary_cross_entropy(fg.tensor([0.5, 0.9]), fg.tensor([0.0, 1.0]))
    tensor(0.3993)
    """
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: _str = "mean", pos_weight=None
) -> Tensor:
    """-(p t log s + (1 - t) log(1 - s)) with s = sigmoid(x) and p = pos_weight, exact for large |x|.

    >>> import fastgrad as fg
    >>> fg.nn.functional.binary_cross_entropy_with_logits(fg.tensor([0.0, 200.0]), fg.tensor([0.0, 1.0]))
    tensor(0.3466)
    """
def bitwise_and(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 & x1, of integers or bools."""
def bitwise_not(input: Tensor) -> Tensor:
    """~x0, of integers or bools."""
def bitwise_or(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 | x1, of integers or bools."""
def bitwise_xor(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 ^ x1, of integers or bools."""
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two stacks of as many matrices, (b, m, k) and (b, k, n).

    >>> import fastgrad as fg
    >>> fg.bmm(fg.zeros(5, 2, 3), fg.zeros(5, 3, 4)).shape
    fastgrad.Size([5, 2, 4])
    """
def broadcast_loss(who, x, t, allowed: _bool = True) -> Tensor:
    """The two operands of a loss, of one shape; an error unless `set_loss_broadcasting(True)` allows it."""
def broadcast_tensors(*tensors: Sequence[Tensor]) -> Tensor:
    """All tensors expanded to one shape.

    >>> import fastgrad as fg
    >>> [x.shape for x in fg.broadcast_tensors(fg.zeros(3, 1), fg.zeros(2))]
    [fastgrad.Size([3, 2]), fastgrad.Size([3, 2])]
    """
def broadcast_to(input: Tensor, size: _int | Sequence[_int] | None) -> Tensor:
    """The tensor expanded to a shape, as a view.

    >>> import fastgrad as fg
    >>> fg.broadcast_to(fg.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
def can_cast(from_, to) -> _bool:
    """Whether an in-place operation may write values of one dtype into a tensor of another: never to a lower category.

    >>> import fastgrad as fg
    >>> fg.can_cast(fg.float64, fg.float32), fg.can_cast(fg.float32, fg.int64)
    (True, False)
    """
def cat(
    tensors: Sequence[Tensor], dim: _int | Sequence[_int] | None = 0, *, axis: _int | Sequence[_int] | None = None
) -> Tensor:
    """Tensors one after the other along one dimension; the others must agree in size.

    >>> import fastgrad as fg
    >>> fg.cat([fg.zeros(2, 3), fg.ones(1, 3)]).shape
    fastgrad.Size([3, 3])
    """
def ceil(input: Tensor) -> Tensor:
    """The next integer above."""
def celu(input: Tensor, alpha: _float = 1.0, inplace: _bool = False) -> Tensor:
    """x where x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017).

    >>> import fastgrad as fg
    >>> fg.nn.functional.celu(fg.tensor([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.0000])
    """
def chunk(input: Tensor, chunks, dim: _int | Sequence[_int] | None = 0) -> tuple[Tensor, ...]:
    """At most `chunks` consecutive parts of equal size along `dim` (the last may be smaller). A tuple of views.

    >>> import fastgrad as fg
    >>> fg.chunk(fg.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
def clamp(input: Tensor, min: Tensor | _float | None = None, max: Tensor | _float | None = None) -> Tensor:
    """Elements between `min` and `max`, numbers or tensors; either may be None. The derivative at a bound is 1.

    >>> import fastgrad as fg
    >>> fg.clamp(fg.tensor([-2.0, 0.5, 2.0]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
def clamp_max(input: Tensor, max: Tensor | _float | None) -> Tensor:
    """Elements, but at most `max`.

    >>> import fastgrad as fg
    >>> fg.clamp_max(fg.tensor([-2.0, 2.0]), 1)
    tensor([-2.,  1.])
    """
def clamp_min(input: Tensor, min: Tensor | _float | None) -> Tensor:
    """Elements, but at least `min`.

    >>> import fastgrad as fg
    >>> fg.clamp_min(fg.tensor([-2.0, 2.0]), 1)
    tensor([1., 2.])
    """
def clear_grads(params) -> None:
    """Sets the ``.grad`` of all tensors to None."""
def clip(input: Tensor, min: Tensor | _float | None = None, max: Tensor | _float | None = None) -> Tensor:
    """Elements between `min` and `max`, numbers or tensors; either may be None. The derivative at a bound is 1.

    >>> import fastgrad as fg
    >>> fg.clamp(fg.tensor([-2.0, 0.5, 2.0]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
def clip_grad_norm(params, norm, most) -> Tensor:
    """Scales all gradients of the tensors, in place, so that their norm, given as a 0-d Tensor, becomes at most `most`."""
def clip_grads_(params, bound) -> None:
    """Clamps every element of all gradients of the tensors to [-bound, bound], in place."""
def clone(input: Tensor, *, memory_format=None) -> Tensor:
    """A dense copy of the tensor, recorded.

    >>> import fastgrad as fg
    >>> fg.clone(fg.tensor([1.0]))
    tensor([1.])
    """
def concat(
    tensors: Sequence[Tensor], dim: _int | Sequence[_int] | None = 0, *, axis: _int | Sequence[_int] | None = None
) -> Tensor:
    """Tensors one after the other along one dimension; the others must agree in size.

    >>> import fastgrad as fg
    >>> fg.cat([fg.zeros(2, 3), fg.ones(1, 3)]).shape
    fastgrad.Size([3, 3])
    """
def concatenate(
    tensors: Sequence[Tensor], dim: _int | Sequence[_int] | None = 0, *, axis: _int | Sequence[_int] | None = None
) -> Tensor:
    """Tensors one after the other along one dimension; the others must agree in size.

    >>> import fastgrad as fg
    >>> fg.cat([fg.zeros(2, 3), fg.ones(1, 3)]).shape
    fastgrad.Size([3, 3])
    """
def cos(input: Tensor) -> Tensor:
    """The cosine."""
def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine."""
def count_nonzero(
    input: Tensor, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
) -> Tensor:
    """How many elements over `dim`, or of all, are not 0.

    >>> import fastgrad as fg
    >>> fg.count_nonzero(fg.tensor([[0, 5], [6, 7]]), dim=1)
    tensor([1, 2])
    """
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: _float = -100,
    reduction: _str = "mean",
    label_smoothing: _float = 0.0,
) -> Tensor:
    """-log softmax(x)[label] from logits (N, C, ...) or (C) and integer labels of that shape without C.

    weight: a factor for each class. ignore_index: a label that contributes nothing. reduction: 'mean' (over the weights of
    the labels), 'sum' or 'none'. label_smoothing: the share of the target that is spread evenly over the classes.

    A target of a floating-point dtype and of the shape of the logits holds the probability of each class instead: the
    loss of a sample is the sum of -p log softmax(x), and 'mean' divides by the number of samples.

    >>> import fastgrad as fg
    >>> fg.nn.functional.cross_entropy(fg.tensor([[0.0, 0.0], [0.0, 100.0]]), fg.tensor([0, 1]), reduction="none")
    tensor([0.6931, 0.0000])
    """
def diagonal(input: Tensor, offset: _int = 0, dim1: _int = 0, dim2: _float = 1) -> Tensor:
    """The elements of a diagonal of the matrices in the dimensions dim1 and dim2, as a view; it becomes the last dimension.

    offset: 0 for the main diagonal, above it if positive.

    >>> import fastgrad as fg
    >>> fg.diagonal(fg.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
def div(input: Tensor, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
    """input / other; rounded towards 0 if `rounding_mode` is "trunc", down if it is "floor".

    >>> import fastgrad as fg
    >>> fg.div(fg.tensor([7.0, -7.0]), 2, rounding_mode="floor")
    tensor([ 3., -4.])
    """
def divide(input: Tensor, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
    """input / other; rounded towards 0 if `rounding_mode` is "trunc", down if it is "floor".

    >>> import fastgrad as fg
    >>> fg.div(fg.tensor([7.0, -7.0]), 2, rounding_mode="floor")
    tensor([ 3., -4.])
    """
def dot(input: Tensor, tensor) -> Tensor:
    """The scalar product of two vectors of one size.

    >>> import fastgrad as fg
    >>> fg.dot(fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor(11.)
    """
def dropout(
    input: Tensor, p: _float = 0.5, training: _bool = True, *, generator: Generator | None = None
) -> Tensor:
    """In training, each element is zero with probability p and otherwise scaled by 1 / (1 - p); else the input itself.

    >>> import fastgrad as fg
    >>> fg.nn.functional.dropout(fg.ones(3), p=0.5, training=False)
    tensor([1., 1., 1.])
    """
def einsum(equation, *operands) -> Tensor:
    """Sums of products over the labelled dimensions of tensors, Einstein's notation: "ij,jk->ik" is a matrix product.

    equation: labels of each operand's dimensions, letters, separated by commas; after "->" those of the result, without it
    those that come once, in alphabetical order. "..." stands for dimensions that broadcast. A label that comes twice in one
    operand takes its diagonal. Operands are multiplied from left to right, two at a time, as matrix products.

    >>> import fastgrad as fg
    >>> fg.einsum("ij,j->i", fg.ones(2, 3), fg.arange(3.0))
    tensor([3., 3.])
    """
def elu(input: Tensor, alpha: _float = 1.0, inplace: _bool = False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2015).

    >>> import fastgrad as fg
    >>> fg.nn.functional.elu(fg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
def embedding(
    input: Tensor,
    weight: Tensor | None,
    padding_idx=None,
    max_norm=None,
    norm_type: _float = 2.0,
    scale_grad_by_freq: _bool = False,
    sparse: _bool = False,
) -> Tensor:
    """Rows of a table: ``weight[input]``.

    input: int64 or int32 of any shape; weight: (rows, features). Returns (*input.shape, features). The row `padding_idx`
    gets no gradient. max_norm, scale_grad_by_freq and sparse are not supported.

    >>> import fastgrad as fg
    >>> fg.nn.functional.embedding(fg.tensor([2, 0]), fg.tensor([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]))
    tensor([[2.0000, 2.5000],
            [0.0000, 0.5000]])
    """
def empty(
    *sizes: _int | Sequence[_int],
    size: _int | Sequence[_int] | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
    memory_format=None,
) -> Tensor:
    """A tensor whose elements are whatever was in memory.

    >>> import fastgrad as fg
    >>> fg.empty(2, 3).shape
    fastgrad.Size([2, 3])
    """
def empty_cache() -> None:
    """Returns the memory that is kept for reuse, but nothing uses, to the operating system."""
def empty_like(
    input: Tensor,
    *,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    memory_format=None,
) -> Tensor:
    """Uninitialised, of the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.empty_like(fg.ones(2, 3)).shape
    fastgrad.Size([2, 3])
    """
def eq(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 == x1, as bool."""
def equal(input: Tensor, other: Tensor | _float) -> _bool:
    """Whether two tensors have the same shape and elements; nan equals nothing.

    >>> import fastgrad as fg
    >>> fg.equal(fg.tensor([1, 2]), fg.tensor([1, 2]))
    True
    """
def erf(input: Tensor) -> Tensor:
    """The error function."""
def erfc(input: Tensor) -> Tensor:
    """1 - erf(x0), accurate far out."""
def exp(input: Tensor) -> Tensor:
    """e^x0."""
def exp2(input: Tensor) -> Tensor:
    """2^x0."""
def expm1(input: Tensor) -> Tensor:
    """e^x0 - 1, accurate near 0."""
def eye(
    n,
    m=None,
    *,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """The matrix [n, m] (m = n where not given) with ones on its diagonal.

    >>> import fastgrad as fg
    >>> fg.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
def finfo(type=None) -> Any:
    """The limits of a real dtype (the default one if None): ``bits``, ``eps``, ``max``, ``min``, ``tiny``, ``resolution``.

    >>> import fastgrad as fg
    >>> fg.finfo(fg.float32).eps
    1.1920928955078125e-07
    """
def fix(input: Tensor) -> Tensor:
    """The next integer towards 0."""
def flatten(input: Tensor, start_dim: _int = 0, end_dim: _int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim joined into one; a 0-d tensor becomes 1-d.

    >>> import fastgrad as fg
    >>> fg.flatten(fg.zeros(2, 3, 4), 1).shape
    fastgrad.Size([2, 12])
    """
def flip(input: Tensor, *axes, dims: _int | Sequence[_int] | None = None) -> Tensor:
    """The elements in reverse order along each of the dimensions, ints or one sequence (or `dims`); a copy.

    >>> import fastgrad as fg
    >>> fg.flip(fg.tensor([[1, 2], [3, 4]]), (1,))
    tensor([[2, 1],
            [4, 3]])
    """
def float_power(input: Tensor, exponent: Tensor | _float) -> Tensor:
    """input ** exponent, computed in float64.

    >>> import fastgrad as fg
    >>> fg.float_power(fg.tensor([2, 3]), 0.5)
    tensor([1.4142, 1.7321], dtype=fastgrad.float64)
    """
def floor(input: Tensor) -> Tensor:
    """The next integer below."""
def floor_divide(input: Tensor, other: Tensor | _float) -> Tensor:
    """floor(x0 / x1), as Python's //."""
def fmod(input: Tensor, other: Tensor | _float) -> Tensor:
    """The remainder of x0 / x1 with the sign of x0."""
def forbid_recorded(what) -> Tensor:
    """Refuses what a compiled function cannot do, where one is being recorded."""
def frac(input: Tensor) -> Tensor:
    """x0 - trunc(x0)."""
def from_dlpack(ext_tensor, /) -> Tensor:
    """A tensor that shares the memory of another library's array, through DLPack. Read-only memory stays read-only.

    Raises BufferError for memory that is not on the CPU, TypeError for a dtype that fastgrad does not have.

    >>> import fastgrad as fg
    >>> import numpy as np
    >>> fg.from_dlpack(np.ones(2, np.float32))
    tensor([1., 1.])
    """
def from_numpy(ndarray, /) -> Tensor:
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
def full(
    size, fill_value, *, dtype=None, layout=None, device=None, requires_grad: _bool = False, pin_memory: _bool = False
) -> Tensor:
    """A tensor with every element fill_value; its dtype, where not given, is that of the number.

    >>> import fastgrad as fg
    >>> fg.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
def full_like(
    input: Tensor,
    fill_value,
    *,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    memory_format=None,
) -> Tensor:
    """Every element fill_value, of the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.full_like(fg.zeros(2), 0.5)
    tensor([0.5000, 0.5000])
    """
def gather(
    input: Tensor, dim: _int | Sequence[_int] | None, index: Tensor | _int, *, sparse_grad: _bool = False
) -> Tensor:
    """The elements whose position along `dim` the index gives: ``out[i][j] = input[i][index[i][j]]`` for dim 1.

    index: int64, as many dimensions as input and nowhere larger but along `dim`. Returns a tensor of the index's shape.

    >>> import fastgrad as fg
    >>> fg.gather(fg.tensor([[1, 2], [3, 4]]), 1, fg.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
def ge(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 >= x1, as bool."""
def gelu(input: Tensor, approximate: _str = "none") -> Tensor:
    """x times the standard normal distribution function of x; approximated with tanh if `approximate` is "tanh".

    >>> import fastgrad as fg
    >>> fg.nn.functional.gelu(fg.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
def get_default_dtype() -> _dtype:
    """The dtype of new real tensors made from Python numbers."""
def get_rng_state() -> Tensor:
    """Where the default generator is, as a uint8 tensor."""
def glu(input: Tensor, dim: _int | Sequence[_int] | None = -1) -> Tensor:
    """a * sigmoid(b) with a and b the halves of the input along `dim`.

    >>> import fastgrad as fg
    >>> fg.nn.functional.glu(fg.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph: _bool = False,
    only_inputs: _bool = True,
    allow_unused=None,
    is_grads_batched: _bool = False,
    materialize_grads: _bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of outputs with respect to inputs, as a tuple with one Tensor for each input; ``.grad`` is not touched.

    outputs: a Tensor or a sequence of them; inputs likewise. grad_outputs: the gradients with respect to the outputs (None
    for scalars). allow_unused: None instead of an error for an input that the outputs do not depend on.
    materialize_grads: zeros for such an input. only_inputs is always so; for is_grads_batched use `func.vmap` of `func.vjp`.

    >>> import fastgrad as fg
    >>> x = fg.tensor(3.0, requires_grad=True)
    >>> fg.autograd.grad(x * x, x)
    (tensor(6.),)
    """
def grad_norm(params, norm_type: _float = 2.0) -> Tensor:
    """The p-norm of all gradients of the tensors together, a 0-d Tensor (0 where none has a gradient)."""
def greater(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 > x1, as bool."""
def greater_equal(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 >= x1, as bool."""
def gt(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 > x1, as bool."""
def hardshrink(input: Tensor, lambd: _float = 0.5) -> Tensor:
    """x, and 0 where |x| <= lambd.

    >>> import fastgrad as fg
    >>> fg.nn.functional.hardshrink(fg.tensor([-1.0, 0.25, 2.0]))
    tensor([-1.,  0.,  2.])
    """
def hardsigmoid(input: Tensor, inplace: _bool = False) -> Tensor:
    """x / 6 + 1/2 between 0 and 1.

    >>> import fastgrad as fg
    >>> fg.nn.functional.hardsigmoid(fg.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
def hardswish(input: Tensor, inplace: _bool = False) -> Tensor:
    """x hardsigmoid(x) (Howard et al. 2019).

    >>> import fastgrad as fg
    >>> fg.nn.functional.hardswish(fg.tensor([-1.0, 2.0, 4.0]))
    tensor([-0.3333,  1.6667,  4.0000])
    """
def hardtanh(input: Tensor, min_val: _float = -1.0, max_val: _float = 1.0, inplace: _bool = False) -> Tensor:
    """x between two bounds; the derivative at a bound is 0.

    >>> import fastgrad as fg
    >>> fg.nn.functional.hardtanh(fg.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one after the other along dimension 1; along dimension 0 for vectors.

    >>> import fastgrad as fg
    >>> fg.hstack([fg.tensor([1]), fg.tensor([2, 3])])
    tensor([1, 2, 3])
    """
def huber_loss(input: Tensor, target: Tensor, *, reduction: _str = "mean", delta: _float = 1.0) -> Tensor:
    """d^2 / 2 where d = |x - t| <= delta, else delta * (d - delta / 2) (Huber 1964).

    >>> import fastgrad as fg
    >>> fg.nn.functional.huber_loss(fg.tensor([0.5, 2.0]), fg.zeros(2), reduction="none")
    tensor([0.1250, 1.5000])
    """
def hypot(input: Tensor, other: Tensor | _float) -> Tensor:
    """sqrt(x0^2 + x1^2)."""
def iinfo(type) -> Any:
    """The limits of an integer dtype: ``bits``, ``max``, ``min``.

    >>> import fastgrad as fg
    >>> fg.iinfo(fg.int32).max
    2147483647
    """
def index_add(
    input: Tensor, dim: _int | Sequence[_int] | None, index: Tensor | _int, source, *, alpha: _float = 1
) -> Tensor:
    """A copy to which ``alpha * source`` is added at the indices of a vector along one dimension; repeated indices add up.

    >>> import fastgrad as fg
    >>> fg.index_add(fg.zeros(3), 0, fg.tensor([0, 2, 2]), fg.ones(3))
    tensor([1., 0., 2.])
    """
def index_copy(input: Tensor, dim: _int | Sequence[_int] | None, index: Tensor | _int, source) -> Tensor:
    """A copy whose parts at the indices of a vector along one dimension are those of the source.

    >>> import fastgrad as fg
    >>> fg.index_copy(fg.zeros(3), 0, fg.tensor([0, 2]), fg.tensor([5.0, 6.0]))
    tensor([5., 0., 6.])
    """
def index_fill(input, dim, index, value) -> Tensor:
    """A copy whose parts at the indices of a vector along one dimension hold one value.

    >>> import fastgrad as fg
    >>> fg.index_fill(fg.zeros(3), 0, fg.tensor([0, 2]), 7)
    tensor([7., 0., 7.])
    """
def index_put(input: Tensor, indices, values, accumulate: _bool = False) -> Tensor:
    """A copy with ``copy[indices] = values``, or with the values added where `accumulate` is true (also several times to one
    element).

    indices: a tuple of int64 or bool tensors, as between the brackets of an index.

    >>> import fastgrad as fg
    >>> fg.index_put(fg.zeros(2, 2), (fg.tensor([0, 1]), fg.tensor([1, 0])), fg.tensor([5.0, 6.0]))
    tensor([[0., 5.],
            [6., 0.]])
    """
def index_select(input: Tensor, dim: _int | Sequence[_int] | None, index: Tensor | _int) -> Tensor:
    """The parts of the tensor at the indices of a vector, along one dimension.

    >>> import fastgrad as fg
    >>> fg.index_select(fg.arange(6).reshape(2, 3), 1, fg.tensor([2, 0])).tolist()
    [[2, 0], [5, 3]]
    """
def initial_seed() -> _int:
    """The seed of the default generator's stream."""
def inner(input: Tensor, other: Tensor | _float) -> Tensor:
    """Scalar products over the last dimensions of both: (..., k), (...', k) -> (..., ...'); a number just multiplies.

    >>> import fastgrad as fg
    >>> fg.inner(fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor(11.)
    """
def is_complex(input: Tensor) -> _bool:
    """False: there are no complex dtypes.

    >>> import fastgrad as fg
    >>> fg.is_complex(fg.zeros(1))
    False
    """
def is_floating_point(input: Tensor) -> _bool:
    """Whether the dtype is float32 or float64.

    >>> import fastgrad as fg
    >>> fg.is_floating_point(fg.zeros(1))
    True
    """
def is_grad_enabled() -> _bool:
    """Whether operations are recorded on this thread."""
def is_inference_mode_enabled() -> _bool:
    """Whether this thread is inside `inference_mode`."""
def is_nonzero(input: Tensor) -> _bool:
    """Whether the one element of this tensor is not zero.

    >>> import fastgrad as fg
    >>> fg.is_nonzero(fg.tensor([2.0]))
    True
    """
def is_tensor(obj) -> _bool:
    """Whether the object is a Tensor.

    >>> import fastgrad as fg
    >>> fg.is_tensor([1.0])
    False
    """
def isclose(
    input: Tensor, other: Tensor | _float, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False
) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other|, elementwise; NaN equals NaN only if `equal_nan`.

    >>> import fastgrad as fg
    >>> fg.isclose(fg.tensor([1.0, 1.0]), fg.tensor([1.0 + 1e-7, 1.1]))
    tensor([ True, False])
    """
def isfinite(input: Tensor) -> Tensor:
    """Whether it is neither infinite nor NaN, as bool."""
def isinf(input: Tensor) -> Tensor:
    """Whether it is infinite, as bool."""
def isnan(input: Tensor) -> Tensor:
    """Whether it is NaN, as bool."""
def l1_loss(input: Tensor, target: Tensor, *, reduction: _str = "mean") -> Tensor:
    """|x - t|. reduction: 'mean', 'sum' or 'none'.

    >>> import fastgrad as fg
    >>> fg.nn.functional.l1_loss(fg.tensor([1.0, -2.0]), fg.zeros(2))
    tensor(1.5000)
    """
def layer_norm(
    input: Tensor,
    normalized_shape,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: _float | None = 1e-05,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and (biased) variance over the last dimensions.

    normalized_shape: their sizes, the shape of weight and bias.

    >>> import fastgrad as fg
    >>> fg.nn.functional.layer_norm(fg.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
def le(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 <= x1, as bool."""
def leaky_relu(input: Tensor, negative_slope: _float = 0.01, inplace: _bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x.

    >>> import fastgrad as fg
    >>> fg.nn.functional.leaky_relu(fg.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
def lerp(input: Tensor, end, weight: Tensor | None) -> Tensor:
    """input + weight * (end - input); `weight` is a number or a tensor.

    >>> import fastgrad as fg
    >>> fg.lerp(fg.zeros(2), fg.tensor([10.0, 20.0]), 0.25)
    tensor([2.5000, 5.0000])
    """
def less(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 < x1, as bool."""
def less_equal(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 <= x1, as bool."""
def linear(input: Tensor, weight: Tensor | None, bias: Tensor | None = None) -> Tensor:
    """An affine map of the last dimension: ``input @ weight.T + bias``.

    input: (..., in_features); weight: (out_features, in_features); bias: (out_features) or None.
    Returns (..., out_features). Raises ShapeError where the sizes do not fit, DTypeError where input and weight are of two
    floating-point types.

    >>> import fastgrad as fg
    >>> fg.nn.functional.linear(fg.ones(2, 3), fg.ones(4, 3), fg.zeros(4)).tolist()
    [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
def linspace(
    start,
    end,
    steps,
    *,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """`steps` evenly spaced numbers from start to end, both included.

    >>> import fastgrad as fg
    >>> fg.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
def log(input: Tensor) -> Tensor:
    """The natural logarithm."""
def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10."""
def log1p(input: Tensor) -> Tensor:
    """log(1 + x0), accurate near 0."""
def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2."""
def log_softmax(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    dtype: _dtype | None = None,
    *,
    axis: _int | Sequence[_int] | None = None,
) -> Tensor:
    """log(softmax(x)) along `dim`, without computing the softmax.

    >>> import fastgrad as fg
    >>> fg.log_softmax(fg.tensor([[0.0, 0.0], [0.0, 100.0]]), dim=1)
    tensor([[  -0.6931,   -0.6931],
            [-100.0000,    0.0000]])
    """
def logaddexp(input: Tensor, other: Tensor | _float) -> Tensor:
    """log(e^x0 + e^x1)."""
def logical_and(input: Tensor, other: Tensor | _float) -> Tensor:
    """Whether both are not 0, as bool."""
def logical_not(input: Tensor) -> Tensor:
    """Whether it is 0, as bool."""
def logical_or(input: Tensor, other: Tensor | _float) -> Tensor:
    """Whether either is not 0, as bool."""
def logical_xor(input: Tensor, other: Tensor | _float) -> Tensor:
    """Whether exactly one is not 0, as bool."""
def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), accurate for all x.

    >>> import fastgrad as fg
    >>> fg.nn.functional.logsigmoid(fg.tensor([-1.0, 2.0]))
    tensor([-1.3133, -0.1269])
    """
def logspace(
    start,
    end,
    steps,
    base: _float = 10.0,
    *,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """``base ** linspace(start, end, steps)``.

    >>> import fastgrad as fg
    >>> fg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
def logsumexp(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """log(sum(exp(input))) over `dim` (an int or several), without overflow.

    >>> import fastgrad as fg
    >>> fg.logsumexp(fg.tensor([[0.0, 0.0], [1000.0, 1000.0]]), dim=1)
    tensor([6.9315e-01, 1.0007e+03])
    """
def lt(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 < x1, as bool."""
def manual_seed(seed) -> Generator:
    """Starts the default generator's stream of `seed`, an integer; returns that generator.

    >>> import fastgrad as fg
    >>> _ = fg.manual_seed(0)
    >>> a = fg.rand(3)
    >>> _ = fg.manual_seed(0)
    >>> fg.equal(a, fg.rand(3))
    True
    """
def masked_fill(input: Tensor, mask: Tensor, value) -> Tensor:
    """A copy that holds one value where the mask, which broadcasts, is true.

    >>> import fastgrad as fg
    >>> fg.masked_fill(fg.ones(3), fg.tensor([True, False, True]), 0)
    tensor([0., 1., 0.])
    """
def matmul(input: Tensor, other: Tensor | _float) -> Tensor:
    """The product of two tensors, as the operator ``@``: of matrices, of vectors (a row on the left, a column on the right),
    or of stacks of matrices, whose leading dimensions broadcast.

    input: (..., m, k) or (k); other: (..., k, n) or (k). Returns (..., m, n), without m or n where a vector stood.
    Raises ShapeError where the sizes k differ or the leading dimensions do not broadcast.

    >>> import fastgrad as fg
    >>> fg.matmul(fg.ones(2, 3), fg.ones(3, 4)).shape
    fastgrad.Size([2, 4])
    """
def max(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    other: Tensor | _float | None = None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Any:
    """The largest element of all; with a `dim`, (values, indices) along it; with a Tensor, the larger of both, elementwise.

    Of equal elements the index is that of the first; NaN counts as the largest.

    >>> import fastgrad as fg
    >>> fg.max(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1).indices
    tensor([1, 0])
    """
def maximum(input: Tensor, other: Tensor | _float) -> Tensor:
    """The larger of both, NaN if either is; equal ones share the gradient."""
def mean(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    dtype: _dtype | None = None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The mean over `dim` (an int or several), or over all dimensions.

    >>> import fastgrad as fg
    >>> fg.mean(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=0)
    tensor([2.5000, 2.5000])
    """
def median(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> tuple[Tensor, Tensor]:
    """The median, the lower of two in the middle; NaN if there is one. With a `dim`, (values, indices) along it.

    Over all elements, equal ones share the gradient evenly.

    >>> import fastgrad as fg
    >>> fg.median(fg.tensor([3.0, 1.0, 2.0]))
    tensor(2.)
    """
def memory_stats() -> dict[_str, _int]:
    """Figures of the storage cache, in bytes and calls, as a dict.

    ``allocated`` and ``peak`` count blocks in use by tensors above 64 bytes (smaller ones live inside their storage and
    arrays shared with NumPy belong to NumPy); ``cached`` what is kept for reuse, at most ``cap``; ``requests`` and ``hits``
    how often memory was asked for and found in the cache.

    >>> sorted(memory_stats())
    ['allocated', 'cached', 'cap', 'hits', 'peak', 'requests']
    """
def min(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    other: Tensor | _float | None = None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Any:
    """The smallest element of all; with a `dim`, (values, indices) along it; with a Tensor, the smaller of both, elementwise.

    Of equal elements the index is that of the first; NaN counts as the smallest.

    >>> import fastgrad as fg
    >>> fg.min(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1).values
    tensor([1., 2.])
    """
def minimum(input: Tensor, other: Tensor | _float) -> Tensor:
    """The smaller of both, NaN if either is; equal ones share the gradient."""
def mish(input: Tensor, inplace: _bool = False) -> Tensor:
    """x tanh(softplus(x)) (Misra 2019).

    >>> import fastgrad as fg
    >>> fg.nn.functional.mish(fg.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices, (m, k) and (k, n).

    >>> import fastgrad as fg
    >>> fg.mm(fg.zeros(2, 3), fg.zeros(3, 4)).shape
    fastgrad.Size([2, 4])
    """
def module_changed() -> Tensor:
    """Says that an attribute of a module that a compiled function has called was assigned, or a hook registered or removed."""
def module_replaced(module) -> Tensor:
    """Says that attributes of a module are about to be others for a while: a compiled function depends on those it has now."""
def moveaxis(input: Tensor, source, destination) -> Tensor:
    """Dimensions moved to other places, the rest in order, as a view.

    >>> import fastgrad as fg
    >>> fg.movedim(fg.zeros(2, 3, 4), 0, -1).shape
    fastgrad.Size([3, 4, 2])
    """
def movedim(input: Tensor, source, destination) -> Tensor:
    """Dimensions moved to other places, the rest in order, as a view.

    >>> import fastgrad as fg
    >>> fg.movedim(fg.zeros(2, 3, 4), 0, -1).shape
    fastgrad.Size([3, 4, 2])
    """
def mse_loss(input: Tensor, target: Tensor, *, reduction: _str = "mean") -> Tensor:
    """(x - t)^2. reduction: 'mean', 'sum' or 'none'.

    >>> import fastgrad as fg
    >>> fg.nn.functional.mse_loss(fg.tensor([1.0, -2.0]), fg.zeros(2))
    tensor(2.5000)
    """
def mul(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 * x1."""
def multi_step(name, hyper, params, *states) -> None:
    """Runs one step of an optimiser on every parameter that has a gradient.

    name: the step's record ("sgd_", "adam_", ...). hyper: float64 vector of its hyperparameters. states: lists parallel to
    params, the step counts last. Parameters and states are written in place. Raises MissingState, before anything is written,
    where a parameter with a gradient has None for a state.
    """
def multinomial(
    input: Tensor, num_samples: _int, replacement: _bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn in proportion to the weights in each row of `input` [..., n], shape [..., num_samples], int64.

    input: float32 or float64, one or two dimensions; the weights of a row need not sum to 1. In a compiled function weights are
        looked at only while it is recorded, and several samples with replacement cannot be drawn.

    Raises RuntimeError for weights that are negative, not finite or all zero in a row, and for more samples than weights above
    zero without replacement.

    >>> import fastgrad as fg
    >>> fg.multinomial(fg.tensor([0.0, 0.0, 2.0]), 2, replacement=True)
    tensor([2, 2])
    """
def multiply(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 * x1."""
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix (m, k) and a vector (k).

    >>> import fastgrad as fg
    >>> fg.mv(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), fg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
def nan_to_num(input: Tensor, nan: _float = 0.0, posinf=None, neginf=None) -> Tensor:
    """NaN and the infinities replaced by numbers: 0, and the largest and smallest of the dtype, where none are given.

    >>> import fastgrad as fg
    >>> fg.nan_to_num(fg.tensor([fg.nan, fg.inf]), nan=-1.0, posinf=9.0)
    tensor([-1.,  9.])
    """
def nansum(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    dtype: _dtype | None = None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The sum over `dim`, or over all dimensions, where NaN counts as 0.

    >>> import fastgrad as fg
    >>> fg.nansum(fg.tensor([1.0, fg.nan]))
    tensor(1.)
    """
def narrow(input: Tensor, dim: _int | Sequence[_int] | None, start, length) -> Tensor:
    """`length` elements from `start` on along `dim`, as a view.

    >>> import fastgrad as fg
    >>> fg.narrow(fg.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
def ne(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 != x1, as bool."""
def neg(input: Tensor) -> Tensor:
    """-x0."""
def negative(input: Tensor) -> Tensor:
    """-x0."""
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: _float = -100,
    reduction: _str = "mean",
) -> Tensor:
    """-x[label] from log-probabilities (N, C, ...) or (C) and integer labels of that shape without C.

    weight: a factor for each class. ignore_index: a label that contributes nothing. reduction: 'mean' (over the weights of
    the labels), 'sum' or 'none'.

    >>> import fastgrad as fg
    >>> fg.nn.functional.nll_loss(fg.tensor([[-0.5, -1.0], [-3.0, -0.25]]), fg.tensor([0, 1]))
    tensor(0.3750)
    """
def nonzero(input: Tensor, *, as_tuple: _bool = False) -> Any:
    """The positions of the elements that are not zero: (count, ndim), int64; with `as_tuple`, one vector per dimension.

    >>> import fastgrad as fg
    >>> fg.nonzero(fg.tensor([0, 5, 6]), as_tuple=True)
    (tensor([1, 2]),)
    """
def norm(
    input: Tensor,
    p: _str = "fro",
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    dtype: _dtype | None = None,
    *,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The p-norm of all elements, or of the vectors along `dim`; p a number, inf, -inf or "fro" (2).

    >>> import fastgrad as fg
    >>> fg.norm(fg.tensor([3.0, 4.0]))
    tensor(5.)
    """
def normal(
    mean: _float = 0.0,
    std: _float = 1.0,
    size: _int | Sequence[_int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """Draws from normal distributions: of one mean and std, numbers, in `size`; or of a tensor of means, of stds, or both.

    >>> import fastgrad as fg
    >>> fg.normal(5.0, 0.0, (2,))
    tensor([5., 5.])
    """
def not_equal(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 != x1, as bool."""
def numel(input: Tensor) -> _int:
    """The number of elements.

    >>> import fastgrad as fg
    >>> fg.numel(fg.zeros(2, 3))
    6
    """
def once_differentiable(backward) -> Tensor:
    """Decorates the backward of a `Function` that computes with other means than operations of fastgrad: it runs unrecorded,
    and to differentiate its result again is an error instead of a silent constant.

    >>> import fastgrad as fg, numpy as np
    >>> class Sine(fg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return fg.from_numpy(np.sin(x.detach().numpy()))
    ...     @staticmethod
    ...     @fg.autograd.once_differentiable
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * fg.from_numpy(np.cos(x.detach().numpy()))
    >>> x = fg.tensor([0.0], requires_grad=True)
    >>> Sine.apply(x).backward()
    >>> x.grad
    tensor([1.])
    """
def ones(
    *sizes: _int | Sequence[_int],
    size: _int | Sequence[_int] | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """A tensor of ones.

    >>> import fastgrad as fg
    >>> fg.ones(2, 3)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
def ones_like(
    input: Tensor,
    *,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    memory_format=None,
) -> Tensor:
    """Ones of the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.ones_like(fg.tensor([5, 6]))
    tensor([1, 1])
    """
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of an element of one vector and one of another: (m), (n) -> (m, n).

    >>> import fastgrad as fg
    >>> fg.outer(fg.tensor([1, 2]), fg.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
def pad(input: Tensor, pad, mode: _str = "constant", value=None) -> Tensor:
    """Adds elements before and after: pairs of counts, the last dimension first; negative ones take away.

    mode: "constant" (`value`, 0 if None), "reflect" (without the edge), "replicate" (the edge) or "circular".

    >>> import fastgrad as fg
    >>> fg.nn.functional.pad(fg.tensor([[1, 2]]), (1, 2))
    tensor([[0, 1, 2, 0, 0]])
    """
def permute(input: Tensor, *order, dims: _int | Sequence[_int] | None = None) -> Tensor:
    """The dimensions in the given order (ints or one sequence), as a view.

    >>> import fastgrad as fg
    >>> fg.zeros(2, 3, 4).permute(2, 0, 1).shape
    fastgrad.Size([4, 2, 3])
    """
def pow(input: Tensor, exponent: Tensor | _float) -> Tensor:
    """input to the power `exponent`; one of them may be a number.

    >>> import fastgrad as fg
    >>> fg.pow(fg.tensor([2.0, 3.0]), 2)
    tensor([4., 9.])
    """
def prelu(input: Tensor, weight: Tensor | None) -> Tensor:
    """x where x > 0, else weight * x; one weight, or one for each index of dimension 1.

    >>> import fastgrad as fg
    >>> fg.nn.functional.prelu(fg.tensor([-1.0, 2.0]), fg.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
def prod(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    dtype: _dtype | None = None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The product over `dim`, or over all dimensions; of integers and bools as int64.

    >>> import fastgrad as fg
    >>> fg.prod(fg.tensor([2.0, 3.0]))
    tensor(6.)
    """
def promote_types(type1, type2) -> _dtype:
    """The smallest dtype that holds both, by the rules that operations on tensors follow.

    >>> import fastgrad as fg
    >>> fg.promote_types(fg.int64, fg.float32)
    fastgrad.float32
    """
def rand(
    *sizes: _int | Sequence[_int],
    size: _int | Sequence[_int] | None = None,
    generator: Generator | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """Draws from the uniform distribution on [0, 1).

    >>> import fastgrad as fg
    >>> fg.rand(2, 3).shape
    fastgrad.Size([2, 3])
    """
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    memory_format=None,
) -> Tensor:
    """Draws from the uniform distribution on [0, 1), in the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.rand_like(fg.zeros(2, 3)).shape
    fastgrad.Size([2, 3])
    """
def randint(
    *args,
    generator: Generator | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
    **named,
) -> Tensor:
    """Draws from the integers in [low, high): ``randint(high, size)`` or ``randint(low, high, size)``; int64 by default.

    >>> import fastgrad as fg
    >>> x = fg.randint(1, 7, (1000,))
    >>> x.min(), x.max()
    (tensor(1), tensor(6))
    """
def randint_like(
    input: Tensor,
    *args,
    generator: Generator | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    memory_format=None,
    **named,
) -> Tensor:
    """Draws from the integers in [low, high), in the shape and dtype of a tensor: ``randint_like(x, high)``.

    >>> import fastgrad as fg
    >>> fg.randint_like(fg.zeros(2, 3), 10).shape
    fastgrad.Size([2, 3])
    """
def randn(
    *sizes: _int | Sequence[_int],
    size: _int | Sequence[_int] | None = None,
    generator: Generator | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """Draws from the normal distribution of mean 0 and variance 1.

    >>> import fastgrad as fg
    >>> fg.randn(2, 3, dtype=fg.float64).dtype
    fastgrad.float64
    """
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    memory_format=None,
) -> Tensor:
    """Draws from the normal distribution of mean 0 and variance 1, in the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.randn_like(fg.zeros(2, 3)).shape
    fastgrad.Size([2, 3])
    """
def randperm(
    n,
    *,
    generator: Generator | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """The integers from 0 to n - 1 in random order; int64 by default.

    >>> import fastgrad as fg
    >>> fg.randperm(5).sort().values
    tensor([0, 1, 2, 3, 4])
    """
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension.

    >>> import fastgrad as fg
    >>> fg.ravel(fg.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
def reciprocal(input: Tensor) -> Tensor:
    """1 / x0."""
def relu(input: Tensor, inplace: _bool = False) -> Tensor:
    """max(x, 0); the derivative at 0 is 0.

    >>> import fastgrad as fg
    >>> fg.relu(fg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
def relu6(input: Tensor, inplace: _bool = False) -> Tensor:
    """min(max(x, 0), 6).

    >>> import fastgrad as fg
    >>> fg.nn.functional.relu6(fg.tensor([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])
    """
def remainder(input: Tensor, other: Tensor | _float) -> Tensor:
    """The remainder of x0 / x1 with the sign of x1, as Python's %."""
def reset_peak_memory_stats() -> None:
    """Sets ``memory_stats()["peak"]`` to what is in use now."""
def reshape(input: Tensor, *sizes: _int | Sequence[_int], shape: Sequence[_int] | None = None) -> Tensor:
    """The same elements, in row-major order, in another shape: a view where the strides allow it, else a copy.

    sizes (or shape): ints or one sequence; one of them may be -1 and is then inferred.

    >>> import fastgrad as fg
    >>> fg.arange(6).reshape(2, -1).shape
    fastgrad.Size([2, 3])
    """
def result_type(tensor1: Tensor, tensor2: Tensor) -> _dtype:
    """The dtype of an operation on two tensors or numbers.

    >>> import fastgrad as fg
    >>> fg.result_type(fg.tensor([1]), 1.5)
    fastgrad.float32
    """
def rms_norm(input: Tensor, normalized_shape, weight: Tensor | None = None, eps: _float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, with the mean over the last dimensions; eps: that of the dtype if not given.

    normalized_shape: their sizes, the shape of weight.

    >>> import fastgrad as fg
    >>> fg.nn.functional.rms_norm(fg.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
def roll(input: Tensor, shifts, dims: _int | Sequence[_int] | None = None) -> Tensor:
    """The elements moved along `dims` by `shifts`, those that leave at one end entering at the other; flattened without dims.

    >>> import fastgrad as fg
    >>> fg.roll(fg.arange(5), 2)
    tensor([3, 4, 0, 1, 2])
    """
def round(input: Tensor, *, decimals: _int = 0) -> Tensor:
    """The nearest integer, the even one at a half; with `decimals` that many digits after the point.

    >>> import fastgrad as fg
    >>> fg.round(fg.tensor([0.5, 1.5, 2.25]), decimals=1)
    tensor([0.5000, 1.5000, 2.2000])
    """
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(x0)."""
def rsub(input: Tensor, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
    """other - alpha * input.

    >>> import fastgrad as fg
    >>> fg.rsub(fg.tensor([1.0, 2.0]), 10)
    tensor([9., 8.])
    """
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p: _float = 0.0, is_causal: _bool = False, scale=None
) -> Tensor:
    """softmax(q k^T * scale + mask) v, the attention of Vaswani et al. (2017).

    query: (..., L, E); key: (..., S, E); value: (..., S, V); leading dimensions broadcast, one of them the heads. Returns
    (..., L, V).

    attn_mask: of a shape that broadcasts to (..., L, S): bool, True where a key takes part, or real, added to the scores.
    A query that no key takes part in gets zeros.
    dropout_p: the probability with which a weight of the softmax is dropped. There is no `training` here: pass 0.
    is_causal: whether query i sees the keys 0 to i only; then there is no other mask.
    scale: 1 / sqrt(E) if not given.

    Raises RuntimeError where both a mask and is_causal are given, ShapeError where sizes do not fit.

    >>> import fastgrad as fg
    >>> x = fg.ones(2, 4, 8)  # 2 heads, 4 positions
    >>> fg.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    fastgrad.Size([2, 4, 8])
    """
def scatter(
    input: Tensor, dim: _int | Sequence[_int] | None, index: Tensor | _int, src=None, *, value=None
) -> Tensor:
    """A copy with each element of `src` (a tensor or one number) at the position along `dim` that the index gives:
    ``out[i][index[i][j]] = src[i][j]`` for dim 1. Which of several values for one place stays is not defined.

    >>> import fastgrad as fg
    >>> fg.scatter(fg.zeros(2, 3), 1, fg.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
def scatter_add(input: Tensor, dim: _int | Sequence[_int] | None, index: Tensor | _int, src) -> Tensor:
    """A copy with each element of `src` added at the position along `dim` that the index gives; repeated places add up.

    >>> import fastgrad as fg
    >>> fg.scatter_add(fg.zeros(3), 0, fg.tensor([0, 2, 2]), fg.ones(3))
    tensor([1., 0., 2.])
    """
def seed() -> _int:
    """Starts the default generator's stream from the system's entropy; returns the seed."""
def select(input: Tensor, dim: _int | Sequence[_int] | None, index: Tensor | _int) -> Tensor:
    """The part of index `index` along `dim`, which goes, as a view.

    >>> import fastgrad as fg
    >>> fg.select(fg.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
def selu(input: Tensor, inplace: _bool = False) -> Tensor:
    """elu with the scale and alpha that keep mean 0 and variance 1 through layers (Klambauer et al. 2017).

    >>> import fastgrad as fg
    >>> fg.nn.functional.selu(fg.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
def set_default_dtype(dtype: _dtype | None) -> None:
    """Sets the dtype of new real tensors made from Python numbers: ``float32`` (the default) or ``float64``."""
def set_loss_broadcasting(allow) -> Tensor:
    """Whether elementwise losses broadcast an input and a target of different shapes, with a warning, as PyTorch's do; an
    error by default. Returns what held before.

    (n, 1) against (n,) is then the mean of n x n differences: it trains every output to the mean of the targets.

    >>> import fastgrad as fg
    >>> fg.set_loss_broadcasting(False)
    False
    """
def set_printer(function) -> None:
    """Gives the function from a Tensor to its text."""
def set_rng_state(new_state) -> None:
    """Takes the default generator to where `get_rng_state` was called."""
def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x0)."""
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1, the sign of x0."""
def silu(input: Tensor, inplace: _bool = False) -> Tensor:
    """x sigmoid(x), also known as swish.

    >>> import fastgrad as fg
    >>> fg.nn.functional.silu(fg.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
def sin(input: Tensor) -> Tensor:
    """The sine."""
def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine."""
def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: _str = "mean", beta: _float = 1.0) -> Tensor:
    """d^2 / (2 beta) where d = |x - t| < beta, else d - beta / 2 (Girshick 2015).

    >>> import fastgrad as fg
    >>> fg.nn.functional.smooth_l1_loss(fg.tensor([0.5, 2.0]), fg.zeros(2), reduction="none")
    tensor([0.1250, 1.5000])
    """
def softmax(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    dtype: _dtype | None = None,
    *,
    axis: _int | Sequence[_int] | None = None,
) -> Tensor:
    """exp(x) / sum(exp(x)) along `dim`.

    >>> import fastgrad as fg
    >>> fg.softmax(fg.tensor([[0.0, 0.0], [0.0, 100.0]]), dim=1)
    tensor([[5.0000e-01, 5.0000e-01],
            [3.7835e-44, 1.0000e+00]])
    """
def softplus(input: Tensor, beta: _float = 1.0, threshold: _float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta; x itself where beta x > threshold.

    >>> import fastgrad as fg
    >>> fg.nn.functional.softplus(fg.tensor([-1.0, 30.0]))
    tensor([ 0.3133, 30.0000])
    """
def softshrink(input: Tensor, lambd: _float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, and 0 where |x| <= lambd.

    >>> import fastgrad as fg
    >>> fg.nn.functional.softshrink(fg.tensor([-1.0, 0.25, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> import fastgrad as fg
    >>> fg.nn.functional.softsign(fg.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
def sort(
    input: Tensor,
    dim: _int | Sequence[_int] | None = -1,
    descending: _bool = False,
    *,
    stable: _bool = True,
    axis: _int | Sequence[_int] | None = None,
) -> tuple[Tensor, Tensor]:
    """(values, indices) sorted along `dim`. The order is always stable; NaN counts as the largest.

    >>> import fastgrad as fg
    >>> fg.sort(fg.tensor([3, 1, 2])).indices
    tensor([1, 2, 0])
    """
def split(tensor, split_size_or_sections, dim: _int | Sequence[_int] | None = 0) -> tuple[Tensor, ...]:
    """Consecutive parts along `dim`: of one size (the last may be smaller), or of the sizes in a list. A tuple of views.

    >>> import fastgrad as fg
    >>> fg.split(fg.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
def sqrt(input: Tensor) -> Tensor:
    """The square root."""
def square(input: Tensor) -> Tensor:
    """x0^2."""
def squeeze(
    input: Tensor, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
) -> Tensor:
    """Dimensions of size 1 left out (all, or those of `dim` that have size 1), as a view.

    >>> import fastgrad as fg
    >>> fg.squeeze(fg.zeros(1, 2, 1)).shape
    fastgrad.Size([2])
    """
def stack(
    tensors: Sequence[Tensor], dim: _int | Sequence[_int] | None = 0, *, axis: _int | Sequence[_int] | None = None
) -> Tensor:
    """Tensors of one shape side by side along a new dimension.

    >>> import fastgrad as fg
    >>> fg.stack([fg.tensor([1, 2]), fg.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
def std(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    unbiased: _bool | None = None,
    keepdim: _bool = False,
    *,
    correction=None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The standard deviation over `dim`, or over all dimensions: the square root of `var`.

    >>> import fastgrad as fg
    >>> fg.std(fg.tensor([1.0, 3.0]), correction=0)
    tensor(1.)
    """
def std_mean(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    unbiased: _bool | None = None,
    keepdim: _bool = False,
    *,
    correction=None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> tuple[Tensor, ...]:
    """The standard deviation and the mean, as a pair.

    >>> import fastgrad as fg
    >>> fg.std_mean(fg.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
def sub(input: Tensor, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
    """input - alpha * other.

    >>> import fastgrad as fg
    >>> fg.sub(fg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
def subtract(input: Tensor, other: Tensor | _float, *, alpha: _float = 1) -> Tensor:
    """input - alpha * other.

    >>> import fastgrad as fg
    >>> fg.sub(fg.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
def sum(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    keepdim: _bool = False,
    *,
    dtype: _dtype | None = None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The sum over `dim` (an int or several), or over all dimensions; of integers and bools as int64.

    >>> import fastgrad as fg
    >>> fg.sum(fg.tensor([[1.0, 3.0], [4.0, 2.0]]), dim=1, keepdim=True)
    tensor([[4.],
            [6.]])
    """
def swapaxes(input: Tensor, dim0: _int, dim1: _int) -> Tensor:
    """Two dimensions exchanged, as a view.

    >>> import fastgrad as fg
    >>> fg.transpose(fg.zeros(2, 3, 4), 0, 2).shape
    fastgrad.Size([4, 3, 2])
    """
def swapdims(input: Tensor, dim0: _int, dim1: _int) -> Tensor:
    """Two dimensions exchanged, as a view.

    >>> import fastgrad as fg
    >>> fg.transpose(fg.zeros(2, 3, 4), 0, 2).shape
    fastgrad.Size([4, 3, 2])
    """
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a tensor of fewer dimensions as it is.

    >>> import fastgrad as fg
    >>> fg.t(fg.tensor([[1, 2, 3]])).shape
    fastgrad.Size([3, 1])
    """
def take_along_dim(input: Tensor, indices, dim: _int | Sequence[_int] | None = None) -> Tensor:
    """`gather` with the other dimensions broadcast; without `dim`, from the flattened tensor.

    >>> import fastgrad as fg
    >>> fg.take_along_dim(fg.tensor([[3, 1, 2]]), fg.tensor([[1, 2, 0]]), dim=1)
    tensor([[1, 2, 3]])
    """
def tan(input: Tensor) -> Tensor:
    """The tangent."""
def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x).

    >>> import fastgrad as fg
    >>> fg.nn.functional.tanhshrink(fg.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """
def tensor(
    data,
    *,
    dtype: _dtype | None = None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
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
def tensordot(a, b, dims: _int | Sequence[_int] | None = 2) -> Tensor:
    """The sum of products over chosen dimensions of both tensors.

    dims: how many of the last dimensions of a and the first of b; or a pair of lists of dimensions, matched in order.
    Returns the other dimensions of a, then those of b.

    >>> import fastgrad as fg
    >>> fg.tensordot(fg.zeros(2, 3, 4), fg.zeros(4, 3, 5), dims=([1, 2], [1, 0])).shape
    fastgrad.Size([2, 5])
    """
def threshold(input: Tensor, threshold, value, inplace: _bool = False) -> Tensor:
    """x where x > threshold, else `value`.

    >>> import fastgrad as fg
    >>> fg.nn.functional.threshold(fg.tensor([0.5, 2.0]), 1.0, -9.0)
    tensor([-9.,  2.])
    """
def tile(input: Tensor, *dims: _int | Sequence[_int] | None) -> Tensor:
    """The tensor repeated along each dimension; fewer numbers than dimensions leave the first ones as they are.

    >>> import fastgrad as fg
    >>> fg.tile(fg.tensor([1, 2]), (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
def topk(
    input: Tensor,
    k,
    dim: _int | Sequence[_int] | None = -1,
    largest: _bool = True,
    sorted: _bool = True,
    *,
    axis: _int | Sequence[_int] | None = None,
) -> tuple[Tensor, Tensor]:
    """(values, indices) of the k largest elements along `dim`, or of the smallest; always sorted.

    >>> import fastgrad as fg
    >>> fg.topk(fg.tensor([3, 1, 2]), 2).values
    tensor([3, 2])
    """
def transpose(input: Tensor, dim0: _int, dim1: _int) -> Tensor:
    """Two dimensions exchanged, as a view.

    >>> import fastgrad as fg
    >>> fg.transpose(fg.zeros(2, 3, 4), 0, 2).shape
    fastgrad.Size([4, 3, 2])
    """
def true_divide(input: Tensor, other: Tensor | _float, *, rounding_mode: _str | None = None) -> Tensor:
    """input / other; rounded towards 0 if `rounding_mode` is "trunc", down if it is "floor".

    >>> import fastgrad as fg
    >>> fg.div(fg.tensor([7.0, -7.0]), 2, rounding_mode="floor")
    tensor([ 3., -4.])
    """
def trunc(input: Tensor) -> Tensor:
    """The next integer towards 0."""
def unbind(
    input: Tensor, dim: _int | Sequence[_int] | None = 0, *, axis: _int | Sequence[_int] | None = None
) -> tuple[Tensor, ...]:
    """The parts along `dim`, which goes, as a tuple of views.

    >>> import fastgrad as fg
    >>> fg.unbind(fg.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
def unflatten(input: Tensor, dim: _int | Sequence[_int] | None, sizes: _int | Sequence[_int]) -> Tensor:
    """One dimension split into several of the given sizes (one may be -1), as a view.

    >>> import fastgrad as fg
    >>> fg.unflatten(fg.zeros(2, 12), 1, (3, -1)).shape
    fastgrad.Size([2, 3, 4])
    """
def unsqueeze(
    input: Tensor, dim: _int | Sequence[_int] | None = None, *, axis: _int | Sequence[_int] | None = None
) -> Tensor:
    """A new dimension of size 1 at `dim`, as a view.

    >>> import fastgrad as fg
    >>> fg.unsqueeze(fg.zeros(2, 3), 1).shape
    fastgrad.Size([2, 1, 3])
    """
def var(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    unbiased: _bool | None = None,
    keepdim: _bool = False,
    *,
    correction=None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> Tensor:
    """The variance over `dim`, or over all dimensions, with n - correction as its divisor (correction 1 if not given).

    >>> import fastgrad as fg
    >>> fg.var(fg.tensor([1.0, 3.0]))
    tensor(2.)
    """
def var_mean(
    input: Tensor,
    dim: _int | Sequence[_int] | None = None,
    unbiased: _bool | None = None,
    keepdim: _bool = False,
    *,
    correction=None,
    axis: _int | Sequence[_int] | None = None,
    keepdims: _bool = False,
) -> tuple[Tensor, ...]:
    """The variance and the mean, as a pair.

    >>> import fastgrad as fg
    >>> fg.var_mean(fg.tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one after the other along dimension 0, vectors as rows.

    >>> import fastgrad as fg
    >>> fg.vstack([fg.tensor([1, 2]), fg.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
def where(condition, input=None, other=None) -> Any:
    """input where the condition, a bool tensor, holds, else other; with the condition alone, the indices where it holds.

    >>> import fastgrad as fg
    >>> fg.where(fg.tensor([True, False]), fg.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
def xlogy(input: Tensor, other: Tensor | _float) -> Tensor:
    """x0 log(x1), and 0 where x0 is 0."""
def zeros(
    *sizes: _int | Sequence[_int],
    size: _int | Sequence[_int] | None = None,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    pin_memory: _bool = False,
) -> Tensor:
    """A tensor of zeros.

    >>> import fastgrad as fg
    >>> fg.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
def zeros_like(
    input: Tensor,
    *,
    dtype: _dtype | None = None,
    layout=None,
    device: _device | _str | None = None,
    requires_grad: _bool = False,
    memory_format=None,
) -> Tensor:
    """Zeros of the shape and dtype of a tensor.

    >>> import fastgrad as fg
    >>> fg.zeros_like(fg.tensor([5.0, 6.0]))
    tensor([0., 0.])
    """
