"""Whole networks made of chosen paths, and the form in which they are deployed."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from helixnas.search_space import Architecture
from helixnas.student.join import joined
from helixnas.student.supernet import BlockSupernet


class StudentNetwork(nn.Module):
    """The teacher's stem and head around the chosen blocks. Takes and gives what the teacher does."""

    def __init__(self, stem: nn.Module, blocks: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = stem, nn.ModuleList(blocks), head

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes] of normalised images [N, C, H, W]."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x)
        return logits

    def features(self, x: Tensor) -> list[Tensor]:
        """What each block puts out for normalised images [N, C, H, W], in order; the head takes the last."""
        features = []
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return features


def assemble(
    stem: nn.Module, supernets: Sequence[BlockSupernet], head: nn.Module, architecture: Architecture
) -> StudentNetwork:
    """The student of an architecture, with copies of the supernets' weights: training it changes nothing else.

    Where blocks have widths of their own, ``joined`` says what becomes of the adapters between them. BatchNorm still
    holds statistics of mixed paths; ``recalibrate`` it before use.
    """
    chosen = [nn.Sequential(*operations) for operations in joined(supernets, architecture)]
    return copy.deepcopy(StudentNetwork(stem, chosen, head))


class Deployed(nn.Module):
    """A network with its normalisation inside, so that who deploys it needs no constants of ours."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of images float32 [N, C, H, W] with pixels in 0 to 1."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits
