"""``mb``: the inverted residual of MobileNetV2, with squeeze-excite."""

from typing import cast

from torch import Tensor, nn

from helixnas.search_space import Candidate, LayerSpec
from helixnas.student.depthwise import quicken
from helixnas.student.layers import conv_bn, start_at_zero


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
        self.expand = conv_bn(layer.in_width, hidden, 1) if expansion != 1 else nn.Identity()
        self.depthwise = conv_bn(hidden, hidden, kernel, layer.stride, groups=hidden)
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


def build(layer: LayerSpec, candidate: Candidate) -> nn.Module:
    """Build the candidate's module for a layer."""
    number = candidate.number
    return MBConv(layer, int(number("k")), number("e"), number("se"))
