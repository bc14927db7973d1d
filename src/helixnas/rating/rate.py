"""Rate every path of a block by its distill_loss on held-out images (DNA, Eq. 6 and Alg. 1)."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from helixnas.progress import Progress
from helixnas.results import RatingTable
from helixnas.search_space import BlockSpace
from helixnas.student import BlockSupernet, measuring
from helixnas.teacher import BlockBatch, DistillLoss

Batches = Sequence[Callable[[], BlockBatch]]
"""Functions that each make one batch; a function is called where its batch is needed, and again if needed again."""


@torch.inference_mode()
def rate(
    supernet: BlockSupernet,
    block: BlockSpace,
    loss: DistillLoss,
    calibration: Tensor,
    batches: Batches,
    seed: int,
    progress: Progress,
    memory_bytes: int,
) -> RatingTable:
    """Rate every path of a block on held-out images: the mean distill_loss of its images (DNA, Eq. 6 and Alg. 1).

    The paths of a cell form a tree, and each node of the tree is run once: the BatchNorm statistics of a layer depend
    on the layers before that layer alone. So the calibration inputs are carried down the tree beside the batches.

    Args:
        supernet: The trained supernet of the block.
        block: The space of the supernet.
        loss: The loss of a cell's output against the teacher's output.
        calibration: Inputs of the block, [N, ...], on which BatchNorm statistics are measured for each path.
        batches: The held-out batches that decide the rating.
        seed: Stored in the table; nothing here draws random numbers.
        progress: Told after each path.
        memory_bytes: Limit of the features carried at once. Where all batches need more, the batches are rated some at
            a time (at least one), each time with the calibration anew. The numbers are the same to the bit.

    Returns:
        The distill_loss of every path, summed in float64, in the order of ``block.paths()``.
    """
    held = max(1, memory_bytes // _bytes_held(supernet, block, batches[0]()))
    starts = range(0, len(batches), held)
    walk = _Walk(loss, block.num_paths, len(starts), progress)
    for start in starts:
        walk.rate(supernet, block, calibration, [make() for make in batches[start : start + held]])
    keys = tuple(path.key for path in block.paths())
    return RatingTable(block.block_id, keys, walk.losses(), walk.num_images, seed)


def _bytes_held(supernet: BlockSupernet, block: BlockSpace, batch: BlockBatch) -> int:
    """Bytes held of one batch at the end of the deepest path: its features, and the output of each layer."""
    image, num_images = batch.inputs[:1], len(batch.inputs)
    deepest = 0
    for index in range(len(block.cells)):
        x = supernet.enter(index, image)
        held = batch.inputs[:1].nbytes + batch.targets[:1].nbytes + x.nbytes
        for layer in supernet.layers(index):
            x = max((operation(x) for operation in layer), key=lambda output: output.nbytes)
            held += x.nbytes
        deepest = max(deepest, held)
    return deepest * num_images


class _Walk:
    """Walk depth first through the trees of the cells; losses come in the order of the paths, summed batch by batch."""

    def __init__(self, loss: DistillLoss, num_paths: int, num_walks: int, progress: Progress) -> None:
        self._loss, self._progress = loss, progress
        self._sums, self._num_steps = [0.0] * num_paths, num_paths * num_walks
        self._targets: list[Tensor] = []
        self._path, self._step = 0, 0
        self.num_images = 0

    def rate(
        self, supernet: BlockSupernet, block: BlockSpace, calibration: Tensor, batches: Sequence[BlockBatch]
    ) -> None:
        """Add the loss of every path on some batches."""
        self._path, self._targets = 0, [batch.targets for batch in batches]
        self.num_images += sum(len(batch.inputs) for batch in batches)
        for index, cell in enumerate(block.cells):
            # the statistics of the teacher's block come from all of its training: keep them
            carried = None if cell.is_teacher else supernet.enter(index, calibration)
            inputs = [supernet.enter(index, batch.inputs) for batch in batches]
            self._descend(supernet.layers(index), carried, inputs, partial(supernet.leave, index))

    def losses(self) -> tuple[float, ...]:
        """Return the mean loss of each path over all images, in the order of the paths."""
        return tuple(total / self.num_images for total in self._sums)

    def _descend(
        self,
        layers: Sequence[nn.ModuleList],
        calibration: Tensor | None,
        inputs: list[Tensor],
        leave: Callable[[Tensor], Tensor],
    ) -> None:
        """Run each candidate of the first layer on the outputs of the layers before it, and the later layers below."""
        first, *rest = layers
        for operation in first:
            carried = None if calibration is None else _recalibrated(operation, calibration)
            if rest:
                self._descend(rest, carried, [operation(x) for x in inputs], leave)
            else:
                self._end(leave(operation(x)) for x in inputs)

    def _end(self, outputs: Iterable[Tensor]) -> None:
        for output, targets in zip(outputs, self._targets, strict=True):
            self._sums[self._path] += float(self._loss.per_image(output, targets).cpu().numpy().sum())
        self._path, self._step = self._path + 1, self._step + 1
        self._progress(self._step, self._num_steps)


def _recalibrated(operation: nn.Module, calibration: Tensor) -> Tensor:
    """Measure the operation's BatchNorm statistics on the calibration inputs; return its outputs for the next layer."""
    with measuring(operation):
        outputs: Tensor = operation(calibration)
    return outputs
