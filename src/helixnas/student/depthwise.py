"""Depthwise convolutions whose weights learn fast on a CPU.

oneDNN has a fast kernel for the weights' gradient up to 3x3; above, it takes 10 to 200 times as long as the forward
pass. Here that gradient is a forward convolution with the roles changed, which is fast at every size: the map is the
input, the output's gradient the kernel (the correlation that defines it, so equal but for the order of sums).
"""

import itertools
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

FAST_KERNEL = 3
"""The largest kernel that oneDNN is fast at."""
CACHED_VALUES = 2**18
"""About what a core's second cache holds, in float32: so many values are correlated at once."""
FEW_PIXELS = 4
"""Up to so many output pixels are gone through one by one: oneDNN is slow where a map is as small as a kernel's tap."""


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise ``nn.Conv2d``, square in kernel, stride and padding, equal to it but for its speed in training."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C, H', W']."""
        is_slow = x.device.type == "cpu" and x.dtype == self.weight.dtype == torch.float32
        if is_slow and self.weight.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return cast("Tensor", _Depthwise.apply(x, self.weight, self.bias, self.stride[0], self.padding[0]))
        return super().forward(x)


def quicken(network: nn.Module) -> None:
    """Let every depthwise convolution of a network that oneDNN is slow at train as a DepthwiseConv2d."""
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_slow(module):
            module.__class__ = DepthwiseConv2d


def _is_slow(conv: nn.Conv2d) -> bool:
    is_depthwise = conv.groups == conv.in_channels == conv.out_channels
    is_square = all(pair[0] == pair[-1] for pair in (conv.kernel_size, conv.stride, conv.padding))  # a name is not
    is_plain = conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    return is_depthwise and is_square and is_plain and conv.kernel_size[0] > FAST_KERNEL


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
    """The gradient of a depthwise kernel, [C, 1, kernel, kernel], from its input and its output's gradient."""
    correlate = _pixel_by_pixel if gradient[0, 0].numel() <= FEW_PIXELS else _by_convolution
    return correlate(x, gradient, kernel, stride, padding)[:, None]


def _pixel_by_pixel(x: Tensor, gradient: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """The sum over images and output pixels of the input's window there, as far as it lies on the map."""
    total = x.new_zeros(x.shape[1], kernel, kernel)
    for row, column in itertools.product(*map(range, gradient.shape[2:])):
        rows, columns = (position * stride - padding for position in (row, column))
        ends = max(0, rows + kernel), max(0, columns + kernel)
        windows = x[:, :, max(0, rows) : ends[0], max(0, columns) : ends[1]]
        found = (windows * gradient[:, :, row, column, None, None]).sum(0)
        total[:, max(0, -rows) :, max(0, -columns) :][:, : found.shape[1], : found.shape[2]] += found
    return total


def _by_convolution(x: Tensor, gradient: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """The sum over images of each channel's map with its gradient, at every offset.

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
    """[N, C, H, W] to [1, N * C, H, W] with channels last."""
    return maps.permute(2, 3, 0, 1).flatten(2)[None].permute(0, 3, 1, 2)
