"""What the teacher sees at each cut: a block's inputs and targets, and how much each channel of them varies."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from helixnas.teacher.cut import CutTeacher


@dataclass(frozen=True, slots=True, eq=False)
class BlockBatch:
    """What goes into a block of the teacher (Y_{k-1}) and what comes out (Y_k), for one batch of images."""

    inputs: Tensor
    targets: Tensor


@torch.no_grad()
def block_batch(teacher: CutTeacher, block_id: int, images: Tensor) -> BlockBatch:
    """The teacher's features around a block for normalised images [N, C, H, W]. Blocks behind it are not run."""
    x = teacher.stem(images)
    for block in teacher.blocks[:block_id]:
        x = block(x)
    return BlockBatch(x, teacher.blocks[block_id](x))


@torch.no_grad()
def feature_variances(teacher: CutTeacher, batches: Iterable[Tensor]) -> list[Tensor]:
    """The variance of each channel of each block's output over all images and positions: float64 [C] per block."""
    sums = [torch.zeros(3, spec.out_width, dtype=torch.float64) for spec in teacher.specs]
    for images in batches:
        x = teacher.stem(images)
        for block, spec, total in zip(teacher.blocks, teacher.specs, sums, strict=True):
            x = block(x)
            values = x.double().movedim(1 if spec.layout == "NCHW" else -1, 0).flatten(1).cpu()
            total += torch.stack([torch.full((len(values),), values.shape[1]), values.sum(1), values.square().sum(1)])
    return [(squares / count - (total / count) ** 2).clamp_min(0) for count, total, squares in sums]
