"""A toy criterion at the teacher's output: how far the logits are from the teacher's, behind the teacher's own tail.

The tail's BatchNorm is recalibrated behind each path but the teacher's own.
"""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from helixnas.rating.criterion import Sources, Walk
from helixnas.student import recalibrate
from helixnas.teacher import BlockBatch, block_batch


class Tail:
    name = "toy_tail"
    constant = None

    def __init__(self, sources: Sources) -> None:
        self._teacher, self._block_id = sources.teacher, sources.supernet.block.block_id
        self._own = nn.Sequential(*sources.teacher.blocks[self._block_id + 1 :], sources.teacher.head)
        self._tail = copy.deepcopy(self._own)

    def read(self, images: Tensor) -> BlockBatch:
        batch = block_batch(self._teacher, self._block_id, images)
        with torch.no_grad():
            return BlockBatch(batch.inputs, self._own(batch.targets).log_softmax(1))

    def numbers(self, walk: Walk, batches: Sequence[BlockBatch]) -> Iterator[Iterator[Tensor]]:
        for leaf in walk():
            tail = self._own
            if leaf.calibration is not None:
                tail = self._tail
                recalibrate(tail, [leaf.calibration])
            pairs = zip(leaf.outputs, batches, strict=True)
            yield (_divergence(tail(output).log_softmax(1), batch.targets) for output, batch in pairs)


def _divergence(said: Tensor, wanted: Tensor) -> Tensor:
    return (wanted.exp() * (wanted - said)).double().sum(1)


def new(sources: Sources) -> Tail:
    return Tail(sources)
