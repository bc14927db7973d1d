"""Pieces of which operations are made."""

from torch import nn


def conv_bn(in_width: int, out_width: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Make a convolution that keeps the size at stride 1, its BatchNorm, and a SiLU."""
    conv = nn.Conv2d(in_width, out_width, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_width), nn.SiLU())


def start_at_zero(last: nn.Module) -> None:
    """Set the weights of the last module of a residual branch to zero, so that the branch gives zeros at first.

    Then a layer that keeps its input's shape starts as the identity, and training can only make the layer better than
    leaving it out (Goyal et al. 2017, arXiv 1706.02677, of ResNet's BatchNorms).
    """
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
