"""Weights that training may change."""

from typing import TYPE_CHECKING

from helixnas.cost_kinds.kind import CountedKind

if TYPE_CHECKING:
    from torch import nn


class NumParams(CountedKind):
    """The number of weights; not of buffers, such as the statistics of BatchNorm."""

    title = "weights"

    def count(self, network: "nn.Module", _in_shape: tuple[int, ...]) -> int:
        """Count each weight once, also where two layers share it."""
        return sum(parameter.numel() for parameter in network.parameters())


KIND = NumParams()
