"""Rate a path by what the network says with the path in its place: all other blocks are the teacher's.

Puzzle scores its blocks so (Bercovich et al., ICML 2025, arXiv 2411.19146).
"""

import copy
from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from helixnas.rating.criterion import Leaf, Sources, Walk
from helixnas.student import recalibrate
from helixnas.teacher import BlockBatch, block_batch


class OutputCriterion:
    """The Kullback-Leibler divergence, in nats, from the teacher's output to the output with the path in its place.

    The teacher's later blocks and its head, the tail, run behind the path. The tail's BatchNorm is recalibrated behind
    each path, as in the student of which the path becomes a part. The network's outputs are taken as logits; where a
    teacher without classes ends with pooled features, these are.

    Args:
        sources: What may be read.
    """

    name = "output"
    constant = None

    def __init__(self, sources: Sources) -> None:
        self._supernet, self._teacher = sources.supernet, sources.teacher
        block_id = self._supernet.block.block_id
        self._own = nn.Sequential(*self._teacher.blocks[block_id + 1 :], self._teacher.head)
        self._recalibrated = copy.deepcopy(self._own)
        self._has_norms = any(isinstance(module, _BatchNorm) for module in self._own.modules())

    def read(self, images: Tensor) -> BlockBatch:
        """Compute the inputs of the block, and the teacher's log-probabilities [N, classes], for images [N, C, H, W]."""
        batch = block_batch(self._teacher, self._supernet.block.block_id, images)
        return BlockBatch(batch.inputs, self._own(batch.targets).double().log_softmax(1))

    def numbers(self, walk: Walk, batches: Sequence[BlockBatch]) -> Iterator[Iterator[Tensor]]:
        """Yield, for each path in order, the divergence of each image of each batch."""
        for leaf in walk():
            tail = self._tail(leaf)
            pairs = zip(leaf.outputs, batches, strict=True)
            yield (self._divergence(tail(self._supernet.restore(output)), batch.targets) for output, batch in pairs)

    def _tail(self, leaf: Leaf) -> nn.Module:
        """The rest of the network, with the BatchNorm statistics that belong behind this leaf."""
        if leaf.calibration is None or not self._has_norms:
            return self._own
        recalibrate(self._recalibrated, [self._supernet.restore(leaf.calibration)])
        return self._recalibrated

    @staticmethod
    def _divergence(logits: Tensor, wanted: Tensor) -> Tensor:
        """The divergence of each image, float64 [N], of logits from log-probabilities [N, classes]."""
        return (wanted.exp() * (wanted - logits.double().log_softmax(1))).sum(1)


def new(sources: Sources) -> OutputCriterion:
    """Make the criterion."""
    return OutputCriterion(sources)
