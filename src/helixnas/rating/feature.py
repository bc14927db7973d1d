"""Rate a path by how far its output is from the teacher's feature (DNA, arXiv 1911.13053, Eq. 6)."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from helixnas.rating.criterion import Sources, Walk
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, DistillLoss, block_batch


class FeatureCriterion:
    """The distill_loss of a path: 0 is the teacher's own output, 1 is as bad as the best constant.

    Args:
        sources: What may be read.
    """

    name = "feature"
    constant = 1.0

    def __init__(self, sources: Sources) -> None:
        self._supernet: BlockSupernet = sources.supernet
        self._teacher = sources.teacher
        assert sources.moments is not None
        _, variance = sources.moments
        self._loss = DistillLoss(self._supernet.aimed_variance(variance))

    def read(self, images: Tensor) -> BlockBatch:
        """Compute the inputs of the block and what its cells imitate, for normalised images [N, C, H, W]."""
        batch = block_batch(self._teacher, self._supernet.block.block_id, images)
        return BlockBatch(batch.inputs, self._supernet.aim(batch.targets))

    def numbers(self, walk: Walk, batches: Sequence[BlockBatch]) -> Iterator[Iterator[Tensor]]:
        """Yield, for each path in order, the distill_loss of each image of each batch."""
        for leaf in walk():
            pairs = zip(leaf.outputs, batches, strict=True)
            yield (self._loss.per_image(output, batch.targets) for output, batch in pairs)


def new(sources: Sources) -> FeatureCriterion:
    """Make the criterion."""
    return FeatureCriterion(sources)
