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
    counts = [0] * len(teacher.specs)
    sums = [torch.zeros(2, spec.out_width, dtype=torch.float64) for spec in teacher.specs]  # of values, of squares
    minima = [torch.full((spec.out_width,), float("inf"), dtype=torch.float64) for spec in teacher.specs]
    for images in batches:
        x = teacher.stem(images)
        for block_id, (block, spec) in enumerate(zip(teacher.blocks, teacher.specs, strict=True)):
            x = block(x)
            values = x.double().movedim(spec.channel_axis + 1, 0).flatten(1).cpu()
            counts[block_id] += values.shape[1]
            sums[block_id] += torch.stack([values.sum(1), values.square().sum(1)])
            minima[block_id] = torch.minimum(minima[block_id], values.amin(1))
    statistics = []
    for count, (total, squares), minimum in zip(counts, sums, minima, strict=True):
        mean = total / count
        statistics.append(FeatureStatistics(mean, (squares / count - mean**2).clamp_min(0), minimum))
    return statistics
