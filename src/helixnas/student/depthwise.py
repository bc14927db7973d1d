"""Depthwise convolutions whose weights learn fast on a CPU.

oneDNN has a fast kernel for the gradient of the weights up to 3x3 pixels; above that size, its kernel takes 10 to 200
times as long as the forward pass. Here, this gradient is computed as a forward convolution with the roles changed,
which is fast at every size: the map is the input, and the gradient of the output is the kernel. This is the correlation
that defines the gradient, so results are equal except for the order of sums.
"""

import itertools
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

FAST_KERNEL = 3
"""The largest kernel size in pixels for which oneDNN is fast."""
CACHED_VALUES = 2**18
"""Number of values that are correlated at once: about as many float32 values as fit a core's second-level cache."""
FEW_PIXELS = 4
"""Maps with at most so many output pixels are done pixel by pixel, since oneDNN is slow on such small maps."""


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise ``nn.Conv2d``, square in kernel, stride and padding, equal to it but for its speed in training."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve each channel: [N, C, H, W] to [N, C, H', W']."""
        is_slow = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32
        if is_slow and self.weight.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return cast("Tensor", _Depthwise.apply(x, self.weight, self.bias, self.stride[0], self.padding[0]))
        return super().forward(x)


def quicken(network: nn.Module) -> None:
    """Turn every depthwise convolution of a network that oneDNN trains slowly into a DepthwiseConv2d, in place."""
    for conv in network.modules():
        if type(conv) is nn.Conv2d and conv.groups == conv.in_channels == conv.out_channels:
            # padding "same" is not square
            is_square = all(pair[0] == pair[-1] for pair in (conv.kernel_size, conv.stride, conv.padding))
            is_plain = conv.dilation == (1, 1) and conv.padding_mode == "zeros"
            if is_square and is_plain and conv.kernel_size[0] > FAST_KERNEL:
                conv.__class__ = DepthwiseConv2d


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return conv2d(x, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        num_channels, kernel = len(weight), weight.shape[-1]
        wanted = [ctx.needs_input_grad[0], False, ctx.needs_input_grad[2]]
        sizes = [num_channels], [ctx.stride] * 2, [ctx.padding] * 2, [1, 1], False, [0, 0], num_channels
        of_x, _, of_bias = torch.ops.aten.convolution_backward(gradient, x, weight, *sizes, wanted)
        return of_x, weight_gradient(x, gradient, kernel, ctx.stride, ctx.padding), of_bias, None, None


def weight_gradient(x: Tensor, gradient: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Compute the gradient of a depthwise kernel, [C, 1, kernel, kernel].

    Args:
        x: The input of the convolution, [N, C, H, W].
        gradient: The gradient of its output, [N, C, H', W'].
        kernel: Height and width of the kernel in pixels.
        stride: Stride of the convolution in pixels.
        padding: Padding of the convolution in pixels.
    """
    correlate = _pixel_by_pixel if gradient[0, 0].numel() <= FEW_PIXELS else _by_convolution
    return correlate(x, gradient, kernel, stride, padding)[:, None]


def _pixel_by_pixel(x: Tensor, gradient: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Sum over images and output pixels the window of the input at each pixel, as far as the window lies on the map."""
    total = x.new_zeros(x.shape[1], kernel, kernel)
    for row, column in itertools.product(*map(range, gradient.shape[2:])):
        rows, columns = (position * stride - padding for position in (row, column))
        ends = max(0, rows + kernel), max(0, columns + kernel)
        windows = x[:, :, max(0, rows) : ends[0], max(0, columns) : ends[1]]
        found = (windows * gradient[:, :, row, column, None, None]).sum(0)
        total[:, max(0, -rows) :, max(0, -columns) :][:, : found.shape[1], : found.shape[2]] += found
    return total


def _by_convolution(x: Tensor, gradient: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Correlate each channel's map with its gradient at every offset, summed over images.

    A stride keeps the gradient's rows and columns apart.
    """
    num_channels = x.shape[1]
    num_at_once = max(1, CACHED_VALUES // x[0].numel())
    total = x.new_zeros(num_channels, kernel, kernel)
    for some, gradients in zip(x.split(num_at_once), gradient.split(num_at_once), strict=True):
        kernels = _as_channels(gradients).transpose(0, 1)
        found = conv2d(_as_channels(some), kernels, None, 1, padding, dilation=stride, groups=len(kernels))
        total += found[0, :, :kernel, :kernel].unflatten(0, (len(some), num_channels)).sum(0)
    return total


def _as_channels(maps: Tensor) -> Tensor:
    """Turn [N, C, H, W] into [1, N * C, H, W] with channels last."""
    return maps.permute(2, 3, 0, 1).flatten(2)[None].permute(0, 3, 1, 2)
