"""Imitate the teacher: a block's input is the teacher's Y_{k-1}, its target Y_k (DNA, arXiv 1911.13053, Eq. 5)."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from helixnas.distill.batches import FeatureBatches
from helixnas.distill.supervision import Lesson, Sources, Supervision
from helixnas.search_space import Path
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, DistillLoss, block_batch


class Imitation(Lesson):
    """Each path alone comes as near to the teacher's output as it can.

    Args:
        supernet: The supernet that learns.
        loss: Of the outputs and targets of a batch.
    """

    def __init__(self, supernet: BlockSupernet, loss: DistillLoss) -> None:
        self._supernet, self._loss = supernet, loss

    def losses(self, batch: BlockBatch, paths: Sequence[Path]) -> Iterator[Tensor]:
        """Yield the distill_loss of each path, a scalar."""
        device, target = batch.inputs.device.type, self._supernet.aim(batch.targets)
        for path in paths:
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                outputs = self._supernet(batch.inputs, path)
            yield self._loss(outputs.float(), target)


class TeacherSupervision(Supervision):
    """Batches are the teacher's features of augmented images, from one pass of the teacher for all blocks.

    Args:
        sources: What the run has to learn from.
    """

    features: FeatureBatches

    def __init__(self, sources: Sources) -> None:
        self._sources, settings = sources, sources.settings
        self.features = FeatureBatches(
            sources.teacher,
            sources.train,
            settings.augment,
            settings.batch_size,
            sources.seed,
            sources.device,
            sources.num_loaders,
        )
        self.num_steps = self.features.num_steps

    def batches(self, epoch: int, block_ids: Sequence[int]) -> Iterator[list[BlockBatch]]:
        """Yield, for each step of an epoch, the inputs and targets of each of ``block_ids``."""
        return self.features(epoch, block_ids)

    def lesson(self, supernet: BlockSupernet) -> Imitation:
        """Start every path of a fresh supernet near the teacher, and return what the supernet learns."""
        teacher, block_id = self._sources.teacher, supernet.block.block_id
        if supernet.target is not None:
            batches = (images.to(self._sources.device) for images in self._sources.train.normalized_batches())
            supernet.target.fit(block_batch(teacher, block_id, images).targets for images in batches)
        mean, variance = self._sources.moments(block_id)
        supernet.match_outputs(mean, variance.sqrt())
        return Imitation(supernet, DistillLoss(supernet.aimed_variance(variance)))


def new(sources: Sources) -> TeacherSupervision:
    """Make the supervision by the teacher."""
    return TeacherSupervision(sources)
