"""Build the operations that candidates name, each for one layer: widths and stride go in, a module comes out."""

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from helixnas.errors import ConfigError
from helixnas.search_space import Candidate, LayerSpec
from helixnas.student.custom import CUSTOM, build_custom
from helixnas.student.depthwise import quicken
from helixnas.student.hybrid import HybridLayer
from helixnas.student.residual import start_at_zero
from helixnas.student.size import size_layer, slimmable_layer
from helixnas.student.tokens import TransformerLayer


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from the map's mean (Hu et al. 2018, arXiv 1709.01507).

    Args:
        width: Channels of the map.
        reduced: Inner width of the gate.
    """

    def __init__(self, width: int, reduced: int) -> None:
        super().__init__()
        # linear layers, not 1x1 convolutions, for which torch is slow on maps of one pixel
        self.gate = nn.Sequential(nn.Linear(width, reduced), nn.SiLU(), nn.Linear(reduced, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels; the shape [N, C, H, W] stays."""
        # the sum, then one division per channel: the gradient of the mean would divide every pixel
        gated: Tensor = x * self.gate(x.sum((2, 3)) / (x.shape[2] * x.shape[3]))[:, :, None, None]
        return gated


class MBConv(nn.Module):
    """Inverted residual: expand, depthwise, squeeze-excite, project (Sandler et al. 2018; Tan & Le 2019).

    A shortcut exists where it is possible: with stride 1 and equal widths. There the layer starts as the identity,
    since the last BatchNorm of the branch starts at zero (Goyal et al. 2017, arXiv 1706.02677). Squeeze-excite is sized
    by the input width, as in EfficientNet and DNA.

    Args:
        layer: The widths and the stride of the layer.
        kernel: Height and width of the depthwise kernel in pixels.
        expansion: The hidden width is this many times the input width.
        se_ratio: Inner width of squeeze-excite as a share of the input width; 0 for none.
    """

    def __init__(self, layer: LayerSpec, kernel: int, expansion: float, se_ratio: float) -> None:
        super().__init__()
        hidden = max(1, round(layer.in_width * expansion))
        self.expand = _conv_bn(layer.in_width, hidden, 1) if expansion != 1 else nn.Identity()
        self.depthwise = _conv_bn(hidden, hidden, kernel, layer.stride, groups=hidden)
        quicken(self.depthwise)
        self.excite = SqueezeExcite(hidden, max(1, round(layer.in_width * se_ratio))) if se_ratio else nn.Identity()
        self.project = nn.Sequential(nn.Conv2d(hidden, layer.out_width, 1, bias=False), nn.BatchNorm2d(layer.out_width))
        self.has_shortcut = layer.stride == 1 and layer.in_width == layer.out_width
        if self.has_shortcut:
            start_at_zero(self.project[1])

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer: [N, in_width, H, W] to [N, out_width, H / stride, W / stride]."""
        y: Tensor = self.project(self.excite(self.depthwise(self.expand(x))))
        return x + y if self.has_shortcut else y

    def entrances(self) -> list[nn.Conv2d]:
        """Return the layers that read the input; empty unless only dense linear layers read it."""
        if self.has_shortcut or not isinstance(self.expand, nn.Sequential):
            return []
        return [cast("nn.Conv2d", self.expand[0])]


def _conv_bn(in_width: int, out_width: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(in_width, out_width, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_width), nn.SiLU())


def _mbconv(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    number = candidate.number
    return MBConv(layer, int(number("k")), number("e"), number("se"))


class Bottleneck(nn.Module):
    """Narrow, convolve with the stride, widen, with a shortcut (He et al. 2016).

    The last layer is linear, as in MBConv. A layer with a shortcut starts as the identity, as MBConv does.

    Args:
        layer: The widths and the stride of the layer.
        kernel: Height and width of the middle kernel in pixels.
        ratio: Inner width as a share of the output width.
    """

    def __init__(self, layer: LayerSpec, kernel: int, ratio: float) -> None:
        super().__init__()
        inner = max(1, round(layer.out_width * ratio))
        self.narrow = _conv_bn(layer.in_width, inner, 1)
        self.convolve = _conv_bn(inner, inner, kernel, layer.stride)
        self.widen = nn.Sequential(nn.Conv2d(inner, layer.out_width, 1, bias=False), nn.BatchNorm2d(layer.out_width))
        self.has_shortcut = layer.stride == 1 and layer.in_width == layer.out_width
        if self.has_shortcut:
            start_at_zero(self.widen[1])

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer: [N, in_width, H, W] to [N, out_width, H / stride, W / stride]."""
        y: Tensor = self.widen(self.convolve(self.narrow(x)))
        return x + y if self.has_shortcut else y

    def entrances(self) -> list[nn.Conv2d]:
        """Return the layers that read the input; empty unless only dense linear layers read it."""
        return [] if self.has_shortcut else [cast("nn.Conv2d", self.narrow[0])]


def _bottleneck(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    return Bottleneck(layer, int(candidate.number("k")), candidate.number("r"))


def _transformer(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    return TransformerLayer(layer, candidate.number("a"), candidate.number("m"))


def _residual_conv(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    return HybridLayer(layer, has_attention=False)


def _residual_attention(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    return HybridLayer(layer, has_attention=True)


def _size(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    return size_layer(layer)


def _skip(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    return nn.Identity()


OPERATIONS: dict[str, Callable[[LayerSpec, Candidate], nn.Module]] = {
    "mb": _mbconv,
    "bottle": _bottleneck,
    "vit": _transformer,
    "skip": _skip,
    "size": _size,
    "resconv": _residual_conv,
    "resatt": _residual_attention,
}
"""Functions that build the built-in operations, by the kind of their candidate."""


def build_operation(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    """Build a fresh module for a candidate at a layer.

    Raises:
        ConfigError: The candidate's kind is neither built in nor registered as a custom operation.
    """
    if candidate.kind in OPERATIONS:
        return OPERATIONS[candidate.kind](layer, candidate)
    if candidate.kind in CUSTOM:
        return build_custom(CUSTOM[candidate.kind], layer)
    known = sorted([*OPERATIONS, *CUSTOM])
    raise ConfigError(f"A candidate's kind must be one of {known}, but is {candidate.kind!r}.")


def build_layer(layer: LayerSpec) -> list[nn.Module]:
    """Build fresh modules for all candidates of a layer; the candidates of a slimmable layer share their kernels."""
    if layer.candidates[0].kind == "size":
        return [*slimmable_layer(layer, layer.candidates)]
    return [build_operation(layer, candidate) for candidate in layer.candidates]
