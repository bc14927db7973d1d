"""The teacher's features at each cut: a block's inputs and targets, and how much each channel of them varies."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helixnas.cut import CutTeacher


@dataclass(frozen=True, slots=True, eq=False)
class BlockBatch:
    """The input of a block of the teacher (Y_{k-1}) and its output (Y_k), for one batch of images."""

    inputs: Tensor
    targets: Tensor


@torch.no_grad()
def cut_features(teacher: CutTeacher, images: Tensor, num_blocks: int) -> list[Tensor]:
    """Compute Y_0, the output of the stem, to Y_num_blocks for normalised images [N, C, H, W].

    Args:
        teacher: The cut teacher.
        images: Normalised images, [N, C, H, W].
        num_blocks: Number of blocks to run; later blocks are not run.

    Returns:
        num_blocks + 1 features.
    """
    features = [teacher.stem(images)]
    for block in teacher.blocks[:num_blocks]:
        features.append(block(features[-1]))
    return features


def block_batches(teacher: CutTeacher, block_ids: Sequence[int], images: Tensor) -> list[BlockBatch]:
    """Compute the inputs and targets of several blocks from one teacher pass over normalised images [N, C, H, W]."""
    features = cut_features(teacher, images, max(block_ids) + 1)
    return [BlockBatch(features[block_id], features[block_id + 1]) for block_id in block_ids]


def block_batch(teacher: CutTeacher, block_id: int, images: Tensor) -> BlockBatch:
    """Compute the inputs and targets of one block for normalised images [N, C, H, W]."""
    return block_batches(teacher, [block_id], images)[0]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureStatistics:
    """Statistics of one block's output over the train part: float64 [C] each, over images and positions."""

    mean: Tensor
    variance: Tensor
    minimum: Tensor


@torch.no_grad()
def feature_statistics(teacher: CutTeacher, batches: Iterable[Tensor]) -> list[FeatureStatistics]:
    """Compute the statistics of each block's output, from batches of normalised images [N, C, H, W]."""
    totals = [_Totals(spec.out_width) for spec in teacher.specs]
    for images in batches:
        x = teacher.stem(images)
        for block, spec, total in zip(teacher.blocks, teacher.specs, totals, strict=True):
            x = block(x)
            total.add(x.double().movedim(spec.channel_axis + 1, 0).flatten(1).cpu())
    return [total.statistics() for total in totals]


class _Totals:
    """Sums over batches, from which the statistics follow."""

    def __init__(self, width: int) -> None:
        self._count = 0
        self._sum, self._squares = torch.zeros(2, width, dtype=torch.float64)
        self._minimum = torch.full((width,), float("inf"), dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Add values [C, n] to the sums."""
        self._count += values.shape[1]
        self._sum += values.sum(1)
        self._squares += values.square().sum(1)
        self._minimum = torch.minimum(self._minimum, values.amin(1))

    def statistics(self) -> FeatureStatistics:
        """Compute the statistics of all values added so far."""
        mean = self._sum / self._count
        return FeatureStatistics(mean, (self._squares / self._count - mean**2).clamp_min(0), self._minimum)
