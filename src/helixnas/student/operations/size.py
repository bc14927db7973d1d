"""``size``: the layers of NATS-Bench's size space (arXiv 2009.00437), alone or at all widths with shared kernels."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from helixnas.search_space import Candidate, LayerSpec

_EDGES = ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3))


class SizeCell(nn.Module):
    """Four nodes: 1 = conv(0), 2 = conv(0) + conv(1), 3 = skip(0) + conv(1) + conv(2); each conv follows a ReLU.

    The skip is a 1x1 convolution where widths differ.

    Args:
        in_width: Channels that come in.
        out_width: Channels that go out.
        has_skip: Whether there is a 1x1 convolution for the skip; otherwise the widths must be equal.
    """

    def __init__(self, in_width: int, out_width: int, *, has_skip: bool) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {f"{start}{end}": _edge(out_width if start else in_width, out_width, 1) for start, end in _EDGES}
        )
        self.skip = nn.Sequential(*_conv_bn(in_width, out_width, 1, 1)) if has_skip else nn.Identity()
        self.out_width = out_width

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer: [N, in_width, H, W] to [N, out_width, H, W]."""
        first = self.edges["01"](x)
        second = self.edges["02"](x) + self.edges["12"](first)
        kept = x if x.shape[1] == self.out_width else self.skip(x)
        y: Tensor = kept + self.edges["13"](first) + self.edges["23"](second)
        return y


class SizeReduction(nn.Module):
    """ResNet's basic block, each convolution after a ReLU, which shrinks maps by its stride.

    Args:
        in_width: Channels that come in.
        out_width: Channels that go out.
        stride: Factor by which height and width shrink.
    """

    def __init__(self, in_width: int, out_width: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = _edge(in_width, out_width, stride), _edge(out_width, out_width, 1)
        pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
        self.skip = nn.Sequential(pool, nn.Conv2d(in_width, out_width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer: [N, in_width, H, W] to [N, out_width, H / stride, W / stride]."""
        y: Tensor = self.skip(x) + self.second(self.first(x))
        return y


def _edge(in_width: int, out_width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), *_conv_bn(in_width, out_width, 3, stride))


def _conv_bn(in_width: int, out_width: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
    conv = nn.Conv2d(in_width, out_width, kernel, stride, kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(out_width)


def size_layer(layer: LayerSpec, *, has_skip: bool | None = None) -> nn.Module:
    """Build a layer of the size space alone, at its widths.

    Args:
        layer: The widths and the stride of the layer.
        has_skip: Whether a layer of stride 1 has a convolution for its skip; None decides by whether the widths differ.
    """
    if layer.stride > 1:
        return SizeReduction(layer.in_width, layer.out_width, layer.stride)
    has_skip = layer.in_width != layer.out_width if has_skip is None else has_skip
    return SizeCell(layer.in_width, layer.out_width, has_skip=has_skip)


class _Slice(nn.Module):
    """The first channels of a kernel that all widths share: outputs as many as this width, inputs as many as come."""

    def __init__(self, whole: nn.Conv2d, out_width: int) -> None:
        super().__init__()
        self._whole = (whole,)  # in a tuple, so that only the owner of the kernel registers it
        self._out_width = out_width

    def kernel(self, in_width: int) -> Tensor:
        return self._whole[0].weight[: self._out_width, :in_width]

    def forward(self, x: Tensor) -> Tensor:
        whole = self._whole[0]
        return conv2d(x, self.kernel(x.shape[1]), None, whole.stride, cast("tuple[int, int]", whole.padding))


class Slimmable(nn.Module):
    """A layer of the size space at one of its widths, for inputs of any width (Yu et al. 2019, arXiv 1812.08928).

    The widest operation of a layer owns the kernels. Each width has its own BatchNorm.

    Args:
        operation: The layer, with slices of the shared kernels in the place of its convolutions.
        kernels: The shared kernels for the widest operation, else None.
    """

    def __init__(self, operation: nn.Module, kernels: nn.ModuleDict | None) -> None:
        super().__init__()
        self.operation, self.kernels = operation, kernels

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer: [N, C, H, W] to this width's channels, for any C up to the layer's in_width."""
        y: Tensor = self.operation(x)
        return y

    @torch.no_grad()
    def copied(self, alone: nn.Module) -> nn.Module:
        """Fill ``alone``, a layer of this width and any input width, with the weights and statistics of this layer."""
        for name, module in alone.named_modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(cast("_Slice", self.operation.get_submodule(name)).kernel(module.in_channels))
            elif isinstance(module, nn.BatchNorm2d):
                module.load_state_dict(self.operation.get_submodule(name).state_dict())
        return alone


def build(layer: LayerSpec, _candidate: Candidate) -> nn.Module:
    """Build the candidate's module for a layer, which is as wide as the candidate says."""
    return size_layer(layer)


def build_together(layer: LayerSpec) -> list[Slimmable]:
    """Build all widths of a layer, with kernels that are shared; the widest is as wide as the layer."""
    whole = size_layer(layer, has_skip=True)
    kernels = {name: module for name, module in whole.named_modules() if isinstance(module, nn.Conv2d)}
    operations = []
    for candidate in layer.candidates:
        width = candidate.width(layer.out_width)
        operation = size_layer(LayerSpec(layer.in_width, width, layer.stride, ()), has_skip=True)
        for name, kernel in kernels.items():
            operation.set_submodule(name, _Slice(kernel, width))
        owned = nn.ModuleDict({name.replace(".", "_"): kernel for name, kernel in kernels.items()})
        operations.append(Slimmable(operation, owned if width == layer.out_width else None))
    return operations
