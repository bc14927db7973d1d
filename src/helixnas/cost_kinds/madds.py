"""Multiply-adds of convolutions, linear layers and attention; as in papers, not of BatchNorm, activations, pooling."""

from typing import TYPE_CHECKING

from helixnas.cost_kinds.kind import CountedKind

if TYPE_CHECKING:
    from torch import nn


class Madds(CountedKind):
    """Multiply-adds of one forward pass of one image; what papers call FLOPs."""

    title = "multiply-adds"

    def count(self, network: "nn.Module", in_shape: tuple[int, ...]) -> int:
        """Count them on zeros of the input's shape."""
        import torch

        from helixnas.counting import counting

        with counting() as counter:
            network(torch.zeros(1, *in_shape))
        return counter.madds


KIND = Madds()
