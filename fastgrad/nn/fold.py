"""Windows of images and shuffled pixels as layers. Imports Module and functional."""

from fastgrad.nn import functional as F
from fastgrad.nn.module import Module


class Unfold(Module):
    """The windows of images as columns; see `nn.functional.unfold`.

    Example:
        >>> fg.nn.Unfold(kernel_size=2)(fg.zeros(1, 2, 4, 4)).shape
        fastgrad.Size([1, 8, 9])
    """

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """The sum of windows at their places; see `nn.functional.fold`.

    Example:
        >>> fg.nn.Fold((4, 4), kernel_size=2)(fg.zeros(1, 8, 9)).shape
        fastgrad.Size([1, 2, 4, 4])
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input):
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class PixelShuffle(Module):
    """(..., C r^2, H, W) as (..., C, H r, W r).

    Example:
        >>> fg.nn.PixelShuffle(2)(fg.zeros(1, 8, 3, 3)).shape
        fastgrad.Size([1, 2, 6, 6])
    """

    def __init__(self, upscale_factor):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(..., C, H r, W r) as (..., C r^2, H, W).

    Example:
        >>> fg.nn.PixelUnshuffle(2)(fg.zeros(1, 2, 6, 6)).shape
        fastgrad.Size([1, 8, 3, 3])
    """

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input):
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"
