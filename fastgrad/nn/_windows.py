"""Windows that slide over images: unfold, fold, pixel_shuffle. Imports the core; part of nn.functional."""

from fastgrad import _core
from fastgrad._core import ShapeError


def _pair(x, name):
    pair = (x, x) if isinstance(x, int) else tuple(x)
    if len(pair) != 2:
        raise ValueError(f"{name} must be an int or two, got {x!r}")
    return pair


def _counts(size, kernel, dilation, padding, stride):
    """How many windows fit along each of two dimensions."""
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    counts = [(n + 2 * p - span) // s + 1 for n, p, span, s in zip(size, padding, spans, stride, strict=True)]
    if min(counts) < 1:
        raise ShapeError(f"a window of {tuple(spans)} does not fit into {tuple(size)} with padding {padding}")
    return spans, counts


def _windows(x, kernel, dilation, stride):
    """(..., H, W) as a view (..., windows down, windows across, kernel rows, kernel columns)."""
    (kh, kw), (dh, dw), (sh, sw) = kernel, dilation, stride
    x = x.unfold(x.dim() - 2, (kh - 1) * dh + 1, sh).unfold(x.dim() - 1, (kw - 1) * dw + 1, sw)
    return x[..., ::dh, ::dw]


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The windows of images as columns: (N, C, H, W) gives (N, C * kernel rows * kernel columns, windows).

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size, dilation, padding, stride: ints, or pairs for rows and columns.
    """
    if input.dim() not in (3, 4):
        raise ShapeError(f"unfold: expected (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
    kernel, dilation = _pair(kernel_size, "kernel_size"), _pair(dilation, "dilation")
    padding, stride = _pair(padding, "padding"), _pair(stride, "stride")
    _counts(input.shape[-2:], kernel, dilation, padding, stride)
    x = input if input.dim() == 4 else input.unsqueeze(0)
    if any(padding):
        x = _core.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    columns = _windows(x, kernel, dilation, stride).permute(0, 1, 4, 5, 2, 3)
    n, c, kh, kw, down, across = columns.shape
    y = columns.reshape(n, c * kh * kw, down * across)
    return y if input.dim() == 4 else y[0]


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """The sum of windows at their places, the adjoint of `unfold`: (N, C * kernel rows * kernel columns, windows) gives
    (N, C, *output_size); without N likewise.

    Example:
        >>> fg.nn.functional.fold(fg.ones(1, 4, 9), (4, 4), kernel_size=2)[0, 0]
        tensor([[1., 2., 2., 1.],
                [2., 4., 4., 2.],
                [2., 4., 4., 2.],
                [1., 2., 2., 1.]])
    """
    if input.dim() not in (2, 3):
        raise ShapeError(f"fold: expected (N, C * kernel size, windows) or without N, got {tuple(input.shape)}")
    size, kernel, dilation = (
        _pair(output_size, "output_size"),
        _pair(kernel_size, "kernel_size"),
        _pair(dilation, "dilation"),
    )
    padding, stride = _pair(padding, "padding"), _pair(stride, "stride")
    _, (down, across) = _counts(size, kernel, dilation, padding, stride)
    x = input if input.dim() == 3 else input.unsqueeze(0)
    places = kernel[0] * kernel[1]
    if x.shape[1] % places or x.shape[2] != down * across:
        raise ShapeError(
            f"fold: expected (N, a multiple of {places}, {down * across}) for an output of {size}, got {tuple(x.shape)}"
        )
    high, wide = (n + 2 * p for n, p in zip(size, padding, strict=True))
    numbers = _windows(_core.arange(high * wide).reshape(high, wide), kernel, dilation, stride)
    at = numbers.permute(2, 3, 0, 1).reshape(-1)
    n, c = x.shape[0], x.shape[1] // places
    y = x.new_zeros(n, c, high * wide).index_add(2, at, x.reshape(n, c, at.numel())).reshape(n, c, high, wide)
    y = y[:, :, padding[0] : high - padding[0], padding[1] : wide - padding[1]]
    return y if input.dim() == 3 else y[0]


def pixel_shuffle(input, upscale_factor):
    """(..., C r^2, H, W) as (..., C, H r, W r) (Shi et al. 2016).

    Example:
        >>> fg.nn.functional.pixel_shuffle(fg.zeros(1, 8, 3, 3), 2).shape
        fastgrad.Size([1, 2, 6, 6])
    """
    r = upscale_factor
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise ShapeError(f"pixel_shuffle: {c} channels are no multiple of the square of {r}")
    x = input.reshape(*lead, c // (r * r), r, r, h, w)
    k = len(lead)
    return x.permute(*range(k), k, k + 3, k + 1, k + 4, k + 2).reshape(*lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(input, downscale_factor):
    """(..., C, H r, W r) as (..., C r^2, H, W), the inverse of `pixel_shuffle`.

    Example:
        >>> fg.nn.functional.pixel_unshuffle(fg.zeros(1, 2, 6, 6), 2).shape
        fastgrad.Size([1, 8, 3, 3])
    """
    r = downscale_factor
    *lead, c, h, w = input.shape
    if h % r or w % r:
        raise ShapeError(f"pixel_unshuffle: {h} x {w} are no multiples of {r}")
    x = input.reshape(*lead, c, h // r, r, w // r, r)
    k = len(lead)
    return x.permute(*range(k), k, k + 2, k + 4, k + 1, k + 3).reshape(*lead, c * r * r, h // r, w // r)
