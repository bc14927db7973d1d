"""An operation of your own: one decorated function from a LayerSpec to a module.

    search_space:
      operations: [examples.ghost:ghost]

A LayerSpec has in_width, out_width and stride. HelixNAS checks that the module turns [N, in_width, H, W] into
[N, out_width, H / stride, W / stride] and passes gradients on, counts what it costs, and offers it in every layer.
"""

import torch
from torch import Tensor, nn

from helixnas.search_space import LayerSpec
from helixnas.student import operation


class Ghost(nn.Module):
    """Half of the channels by a convolution, the other half from these, cheaply (GhostNet, arXiv 1911.11907)."""

    def __init__(self, in_width: int, out_width: int, stride: int) -> None:
        super().__init__()
        half = out_width // 2
        self.primary = nn.Sequential(
            nn.Conv2d(in_width, out_width - half, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out_width - half),
            nn.ReLU(),
        )
        self.cheap = nn.Sequential(
            nn.Conv2d(out_width - half, out_width - half, 3, 1, 1, groups=out_width - half, bias=False),
            nn.BatchNorm2d(out_width - half),
        )
        self.half = half

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)[:, : self.half]], dim=1)


@operation
def ghost(layer: LayerSpec) -> nn.Module:
    return Ghost(layer.in_width, layer.out_width, layer.stride)
