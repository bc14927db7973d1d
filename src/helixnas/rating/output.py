"""Rate a path by what the network says with the path in its place: all other blocks are the teacher's.

Puzzle scores its blocks so (Bercovich et al., ICML 2025, arXiv 2411.19146).
"""

import copy
import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from helixnas.counting import counting
from helixnas.rating.criterion import Leaf, Sources, Walk
from helixnas.student import recalibrate
from helixnas.teacher import BlockBatch, DistillLoss, block_batch


class OutputCriterion:
    """The Kullback-Leibler divergence, in nats, from the teacher's output to the output with the path in its place.

    The teacher's later blocks and its head, the tail, run behind the path. The tail's BatchNorm is recalibrated behind
    each path, as in the student of which the path becomes a part. The network's outputs are taken as logits; where a
    teacher without classes ends with pooled features, these are.

    The numbers of blocks add up as they are: small divergences of independent causes add up in nats, and the sum
    ordered students no worse than sums of roots or logarithms did (docs/decisions/0011-rated-at-the-output.md).

    Where ``rating.tail_share`` is below 1, a path without a chance does not run through the tail. Its number is then
    the worst, image by image, of the paths that imitate the teacher's feature at least as well and ran.

    Args:
        sources: What may be read.
    """

    name = "output"
    constant = None

    def __init__(self, sources: Sources) -> None:
        self._supernet, self._teacher = sources.supernet, sources.teacher
        self._block = self._supernet.block
        self._own = nn.Sequential(*self._teacher.blocks[self._block.block_id + 1 :], self._teacher.head)
        self._recalibrated = copy.deepcopy(self._own)
        self._has_norms = any(isinstance(module, _BatchNorm) for module in self._own.modules())
        assert sources.moments is not None
        self._loss = DistillLoss(self._supernet.aimed_variance(sources.moments[1]))
        self._num_run = math.ceil(sources.settings.tail_share * self._block.num_paths)
        self._losses: list[float] = []
        self._run: set[int] = set()

    def read(self, images: Tensor) -> BlockBatch:
        """Compute the block's inputs and the teacher's log-probabilities [N, classes] for images [N, C, H, W]."""
        batch = block_batch(self._teacher, self._block.block_id, images)
        return BlockBatch(batch.inputs, self._own(batch.targets).double().log_softmax(1))

    def numbers(self, walk: Walk, batches: Sequence[BlockBatch]) -> Iterator[Iterator[Tensor]]:
        """Yield, for each path in order, the divergence of each image of each batch."""
        if self._num_run == self._block.num_paths:
            yield from (self._divergences(leaf, batches) for leaf in walk())
            return
        if not self._losses:
            self._screen(walk, batches[0])
        found = {i: list(self._divergences(leaf, batches)) for i, leaf in enumerate(walk()) if i in self._run}
        worst = [torch.zeros(len(batch.inputs), dtype=torch.float64, device=batch.inputs.device) for batch in batches]
        # of paths of equal loss, those that ran come first
        for index in sorted(range(self._block.num_paths), key=lambda i: (self._losses[i], i not in self._run)):
            if index in self._run:
                worst = [torch.maximum(*pair) for pair in zip(worst, found[index], strict=True)]
            else:
                found[index] = worst
        yield from (iter(found[index]) for index in range(self._block.num_paths))

    def _divergences(self, leaf: Leaf, batches: Sequence[BlockBatch]) -> Iterator[Tensor]:
        """Run the leaf's outputs through the tail, with the BatchNorm statistics that belong behind this leaf."""
        tail = self._own
        if leaf.calibration is not None and self._has_norms:
            tail = self._recalibrated
            recalibrate(tail, [self._supernet.restore(leaf.calibration)])
        for output, batch in zip(leaf.outputs, batches, strict=True):
            said = tail(self._supernet.restore(output)).double().log_softmax(1)
            yield (batch.targets.exp() * (batch.targets - said)).sum(1)

    def _screen(self, walk: Walk, batch: BlockBatch) -> None:
        """Find the paths that are to run through the tail, by their distill_loss on one batch and their madds."""
        target = self._supernet.aim(self._teacher.blocks[self._block.block_id](batch.inputs))
        self._losses = [float(self._loss(next(leaf.outputs), target)) for leaf in walk()]
        madds = []
        for path in self._block.paths():
            with counting() as counter:
                self._supernet(batch.inputs[:1], path)
            madds.append(counter.madds)
        broken = (index for index, loss in enumerate(self._losses) if not math.isfinite(loss))
        self._run = {*promising(self._losses, madds, self._num_run), *broken}  # a broken path must be told


def promising(losses: Sequence[float], madds: Sequence[int], num_paths: int) -> list[int]:
    """Choose paths that loss and cost do not rule out, as positions in the lists.

    First come the paths that no other beats in both loss and madds, then those that no other of the rest beats, and so
    on. Where not all of such a front have room, the path of lowest loss is chosen, and others evenly over the front.

    Args:
        losses: Of each path.
        madds: Of each path.
        num_paths: How many to choose, at most as many as there are.
    """
    costs, rest = np.array(madds), np.lexsort((madds, losses))
    chosen: list[int] = []
    while len(chosen) < num_paths:
        cheapest = np.minimum.accumulate(costs[rest])
        is_front = np.append(True, costs[rest][1:] < cheapest[:-1])
        front, room = rest[is_front], num_paths - len(chosen)
        if len(front) > room:
            front = front[np.linspace(0, len(front) - 1, room).round().astype(int)]
        chosen += front.tolist()
        rest = rest[~is_front]
    return chosen


def new(sources: Sources) -> OutputCriterion:
    """Make the criterion."""
    return OutputCriterion(sources)
