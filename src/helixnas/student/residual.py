"""Start a layer with a shortcut as the shortcut alone."""

from torch import nn


def start_at_zero(last: nn.Module) -> None:
    """Set the weights of the last module of a residual branch to zero, so that the branch gives zeros at first.

    Then a layer that keeps its input's shape starts as the identity, and training can only make the layer better than
    leaving it out (Goyal et al. 2017, arXiv 1706.02677, of ResNet's BatchNorms).
    """
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
