"""A toy criterion without a teacher's output, in the manner of BossNAS: the distance to the mean of all paths."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from helixnas.rating.criterion import Sources, Walk
from helixnas.teacher import BlockBatch, block_batch


class Population:
    name = "toy_population"
    constant = None

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def read(self, images: Tensor) -> BlockBatch:
        return block_batch(self._sources.teacher, self._sources.supernet.block.block_id, images)

    def numbers(self, walk: Walk, batches: Sequence[BlockBatch]) -> Iterator[Iterator[Tensor]]:
        every = [list(leaf.outputs) for leaf in walk()]
        centres = [torch.stack(outputs).mean(0) for outputs in zip(*every, strict=True)]
        for leaf in walk():
            pairs = zip(leaf.outputs, centres, strict=True)
            yield ((output - centre).double().square().flatten(1).mean(1) for output, centre in pairs)


def new(sources: Sources) -> Population:
    return Population(sources)
