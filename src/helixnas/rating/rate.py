"""Rate every path of a block by its distill_loss on held-out images (DNA, Eq. 6 and Alg. 1)."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from helixnas.progress import Progress
from helixnas.search_space import BlockSpace, RatingTable
from helixnas.student import BlockSupernet, measuring
from helixnas.teacher import BlockBatch, DistillLoss


@torch.no_grad()
def rate(
    supernet: BlockSupernet,
    block: BlockSpace,
    loss: DistillLoss,
    calibration: Tensor,
    batches: Sequence[BlockBatch],
    seed: int,
    progress: Progress,
) -> RatingTable:
    """The rating of every path, in float64, in the order of ``block.paths()``.

    A cell's paths form a tree, and each node of it is run once: a layer's BatchNorm statistics depend on the layers
    before it alone, so the calibration inputs [N, ...] are carried down beside the batches to rate.
    """
    walk = _Walk(loss, batches, block.num_paths, progress)
    for index, cell in enumerate(block.cells):
        # the teacher's own statistics are those of all its training: keep them
        carried = None if cell.is_teacher else supernet.enter(index, calibration)
        inputs = [supernet.enter(index, batch.inputs) for batch in batches]
        walk.descend(supernet.layers(index), carried, inputs, partial(supernet.leave, index))
    num_images = sum(len(batch.inputs) for batch in batches)
    keys = tuple(path.key for path in block.paths())
    return RatingTable(block.block_id, keys, tuple(walk.losses), num_images, seed)


class _Walk:
    """Depth first through the cells' trees; losses come out in the order of the paths."""

    def __init__(self, loss: DistillLoss, batches: Sequence[BlockBatch], num_paths: int, progress: Progress) -> None:
        self._loss, self._batches, self._num_paths, self._progress = loss, batches, num_paths, progress
        self.losses: list[float] = []

    def descend(
        self,
        layers: Sequence[nn.ModuleList],
        calibration: Tensor | None,
        inputs: list[Tensor],
        leave: Callable[[Tensor], Tensor],
    ) -> None:
        """Run the first layer's candidates on what the prefix gave, and below each of them the rest."""
        first, *rest = layers
        for operation in first:
            carried = None if calibration is None else _recalibrated(operation, calibration)
            outputs = [operation(x) for x in inputs]
            if rest:
                self.descend(rest, carried, outputs, leave)
            else:
                self.losses.append(self._mean_loss([leave(output) for output in outputs]))
                self._progress(len(self.losses), self._num_paths)

    def _mean_loss(self, outputs: list[Tensor]) -> float:
        pairs = zip(outputs, self._batches, strict=True)
        per_image = [self._loss.per_image(output, batch.targets).cpu().numpy() for output, batch in pairs]
        return float(np.concatenate(per_image).mean())


def _recalibrated(operation: nn.Module, calibration: Tensor) -> Tensor:
    """Measure the operation's BatchNorm statistics on the calibration inputs; its outputs on them, to carry on."""
    with measuring(operation):
        outputs: Tensor = operation(calibration)
    return outputs
