"""``bottle``: ResNet's bottleneck."""

from typing import cast

from torch import Tensor, nn

from helixnas.search_space import Candidate, LayerSpec
from helixnas.student.layers import conv_bn, start_at_zero


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
        self.narrow = conv_bn(layer.in_width, inner, 1)
        self.convolve = conv_bn(inner, inner, kernel, layer.stride)
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


def build(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    """Build the candidate's module for a layer."""
    return Bottleneck(layer, int(candidate.number("k")), candidate.number("r"))
