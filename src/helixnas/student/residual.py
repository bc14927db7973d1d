"""How a layer with a shortcut starts: as the shortcut alone."""

from torch import nn


def start_at_zero(last: nn.Module) -> None:
    """Let the last module of a residual branch give zeros until it has learnt something else.

    Then a layer that keeps its input's shape starts as the identity, and training can only make it better than leaving
    it out (Goyal et al. 2017, arXiv 1706.02677, of ResNet's BatchNorms).
    """
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
