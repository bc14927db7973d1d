"""The layers of HyTra: bottlenecks with a convolution or with attention inside (BossNAS, arXiv 2103.12424)."""

from typing import cast

from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from helixnas.search_space import LayerSpec
from helixnas.student.layers import start_at_zero

EXPANSION = 4
"""The inner width of a layer is its output width divided by this number."""
HEAD_WIDTH = 64
"""Channels of one attention head."""


class HybridLayer(nn.Module):
    """A bottleneck: narrow to a quarter, look around, mix, widen, with a shortcut; it ends in a ReLU.

    The depthwise convolution that looks around takes the stride, and gives attention the positions of pixels (Chu et
    al. 2021, arXiv 2102.10882). Where maps shrink by more than two at once, a convolution of patches shrinks them
    first.

    Args:
        layer: The widths and the stride of the layer.
        has_attention: Whether attention mixes positions; otherwise a 3x3 convolution does.
    """

    def __init__(self, layer: LayerSpec, *, has_attention: bool) -> None:
        super().__init__()
        inner = layer.out_width // EXPANSION
        in_width, stride = layer.in_width, layer.stride
        self.shrink: nn.Module = nn.Identity()
        if stride > 2:
            self.shrink, in_width, stride = _Shrink(in_width, inner, stride), inner, 1
        look = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.narrow = nn.Sequential(nn.Conv2d(in_width, inner, 1, bias=False), look, nn.BatchNorm2d(inner), nn.ReLU())
        mix = _Attention(inner) if has_attention else nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.mix = nn.Sequential(mix, nn.BatchNorm2d(inner), nn.ReLU())
        self.widen = nn.Sequential(nn.Conv2d(inner, layer.out_width, 1, bias=False), nn.BatchNorm2d(layer.out_width))
        self.has_shortcut = stride == 1 and in_width == layer.out_width
        self.shortcut = nn.Sequential()
        if not self.has_shortcut:
            pool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if stride == 2 else nn.Identity()
            mixed = nn.Conv2d(in_width, layer.out_width, 1, bias=False)
            self.shortcut = nn.Sequential(pool, mixed, nn.BatchNorm2d(layer.out_width))
        start_at_zero(self.widen[1])  # the layer starts as its shortcut alone

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer: [N, in_width, H, W] to [N, out_width, H / stride, W / stride]."""
        x = self.shrink(x)
        y: Tensor = (self.shortcut(x) + self.widen(self.mix(self.narrow(x)))).relu()
        return y

    def entrances(self) -> list[nn.Conv2d]:
        """Return the layers that read the input; empty unless only dense linear layers read it."""
        if self.has_shortcut or isinstance(self.shrink, _Shrink):
            return []
        return [cast("nn.Conv2d", self.narrow[0]), cast("nn.Conv2d", self.shortcut[1])]


class _Shrink(nn.Module):
    """A depthwise convolution of patches, then a 1x1 convolution that changes the width."""

    def __init__(self, in_width: int, out_width: int, stride: int) -> None:
        super().__init__()
        patches = nn.Conv2d(in_width, in_width, stride, stride, groups=in_width, bias=False)
        self.steps = nn.Sequential(patches, nn.Conv2d(in_width, out_width, 1, bias=False), nn.BatchNorm2d(out_width))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Shrink maps: [N, in_width, H, W] to [N, out_width, H / stride, W / stride], sides rounded up."""
        height, width = x.shape[2:]
        y: Tensor = self.steps(pad(x, (0, -width % self.stride, 0, -height % self.stride)))
        return y


class _Attention(nn.Module):
    """Attention over all positions of a map, in heads of 64."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_heads = max(1, width // HEAD_WIDTH)
        self.qkv = nn.Conv2d(width, 3 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix all positions; the shape [N, C, H, W] stays."""
        q, k, v = self.qkv(x).flatten(2).unflatten(1, (3, self.num_heads, -1)).transpose(-1, -2).unbind(1)
        y: Tensor = scaled_dot_product_attention(q, k, v).transpose(-1, -2).reshape(x.shape)
        return y
