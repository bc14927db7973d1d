"""Whole networks made of chosen paths, and the form in which they are deployed."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from helixnas.search_space import Architecture
from helixnas.student.join import joined
from helixnas.student.supernet import BlockSupernet


class StudentNetwork(nn.Module):
    """The teacher's stem and head around the chosen blocks; inputs and outputs are those of the teacher.

    Args:
        stem: Turns normalised images [N, C, H, W] into the first feature.
        blocks: The chosen blocks, in order.
        head: Turns the last feature into logits.
    """

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = stem, nn.ModuleList(blocks), head

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits [N, classes] of normalised images [N, C, H, W]."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x)
        return logits

    def features(self, x: Tensor) -> list[Tensor]:
        """Compute the output of each block for normalised images [N, C, H, W], in order.

        The last output is the input of the head.
        """
        features = []
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return features


def assemble(
    stem: nn.Module, supernets: Sequence[BlockSupernet], head: nn.Module, architecture: Architecture
) -> StudentNetwork:
    """Make the student of an architecture from copies of the supernets' weights; training it changes no supernet.

    Where cells have custom widths, ``joined`` says what becomes of the adapters between blocks. BatchNorm still holds
    statistics of mixed paths; ``recalibrate`` the student before use.

    Args:
        stem: The teacher's stem.
        supernets: The supernet of every block, in order.
        head: The teacher's head.
        architecture: One path for each block.
    """
    chosen = [nn.Sequential(*operations) for operations in joined(supernets, architecture)]
    return copy.deepcopy(StudentNetwork(stem, chosen, head))


class Deployed(nn.Module):
    """A network with its normalisation inside, so that whoever deploys it needs no constants of ours.

    Args:
        network: Takes normalised images.
        mean: Of each channel, with pixels in 0 to 1.
        std: Deviation of each channel, with pixels in 0 to 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits [N, classes] of images float32 [N, C, H, W] with pixels in 0 to 1."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits
