"""A teacher of your own: any function that returns a torch.nn.Module. The default run trains this one.

teacher:
  source: factory:examples.cifar_resnet:resnet
  model_args: {depths: [3, 3, 3]}
  weights: ../shared/data/resnet20.safetensors
  recipe: {epochs: 0}            # it is trained already
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; where the width grows, the shortcut skips pixels and pads channels with zeros."""

    def __init__(self, in_width: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.padding = stride, (width - in_width) // 2

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        return relu(y + pad(shortcut, (0, 0, 0, 0, self.padding, self.padding)))


class ResNet(nn.Module):
    """CIFAR's ResNet (He et al. 2016, section 4.2): a stage ``layer1``, ``layer2`` ... for each of ``depths``."""

    def __init__(self, depths: Sequence[int], width: int, stem_stride: int, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stem_stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.num_stages = len(depths)
        in_width = width
        for index, depth in enumerate(depths):
            out_width = width * 2**index
            self.add_module(f"layer{index + 1}", _stage(in_width, out_width, 2 if index else 1, depth))
            in_width = out_width
        self.linear = nn.Linear(in_width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = relu(self.bn1(self.conv1(x)))
        for index in range(self.num_stages):
            x = self.get_submodule(f"layer{index + 1}")(x)
        logits: Tensor = self.linear(torch.mean(x, dim=(2, 3)))
        return logits


def _stage(in_width: int, width: int, stride: int, depth: int) -> nn.Sequential:
    first = BasicBlock(in_width, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(depth - 1)))


def resnet(
    depths: Sequence[int] = (3, 3, 3),
    width: int = 16,
    stem_stride: int = 1,
    in_channels: int = 3,
    num_classes: int = 10,
) -> nn.Module:
    return ResNet(depths, width, stem_stride, in_channels, num_classes)
