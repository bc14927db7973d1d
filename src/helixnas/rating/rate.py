"""Rate every path of a block by a criterion on held-out images (DNA, arXiv 1911.13053, Alg. 1)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count

import torch
from torch import Tensor, nn

from helixnas.progress import Progress
from helixnas.rating.criterion import Criterion, Leaf, Walk
from helixnas.results import RatingTable
from helixnas.search_space import BlockSpace, Path
from helixnas.student import BlockSupernet, measuring
from helixnas.teacher import BlockBatch

Batches = Sequence[Callable[[], BlockBatch]]
"""Functions that each make one batch; a function is called where its batch is needed, and again if needed again."""


@torch.inference_mode()
def rate(
    supernet: BlockSupernet,
    block: BlockSpace,
    criterion: Criterion,
    calibration: Tensor,
    batches: Batches,
    seed: int,
    progress: Progress,
    memory_bytes: int,
) -> RatingTable:
    """Rate every path of a block on held-out images: the mean over the images of what the criterion says of each.

    Args:
        supernet: The trained supernet of the block.
        block: The space of the supernet.
        criterion: Gives the number of each image for each path.
        calibration: Inputs of the block, [N, ...], on which BatchNorm statistics are measured for each path.
        batches: The held-out batches that decide the rating, as ``criterion.read`` makes them.
        seed: Stored in the table; nothing here draws random numbers.
        progress: Told after each path.
        memory_bytes: Limit of the features carried at once. Where all batches need more, the batches are rated some at
            a time (at least one), each time with the calibration anew. The numbers are the same to the bit.

    Returns:
        The rating of every path, summed in float64, in the order of ``block.paths()``.
    """
    held = max(1, memory_bytes // _bytes_held(supernet, block, batches[0]()))
    starts = range(0, len(batches), held)
    sums, num_images, num_done = [0.0] * block.num_paths, 0, count(1)
    for start in starts:
        some = [make() for make in batches[start : start + held]]
        walk = _walk(supernet, block, calibration, some)
        for index, numbers in zip(range(block.num_paths), criterion.numbers(walk, some), strict=True):
            for each in numbers:
                sums[index] += float(each.cpu().numpy().sum())
                num_images += 0 if index else len(each)
            progress(next(num_done), block.num_paths * len(starts))
    keys, ratings = tuple(path.key for path in block.paths()), tuple(total / num_images for total in sums)
    return RatingTable(block.block_id, keys, ratings, num_images, seed, criterion.name, criterion.constant)


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


def _walk(supernet: BlockSupernet, block: BlockSpace, calibration: Tensor, batches: Sequence[BlockBatch]) -> Walk:
    """Make the walk that a criterion takes down the tree of ``supernet``, or of another supernet of the block."""
    return lambda other=None: _leaves(other or supernet, block, calibration, batches)


def _leaves(
    supernet: BlockSupernet, block: BlockSpace, calibration: Tensor, batches: Sequence[BlockBatch]
) -> Iterator[Leaf]:
    """Walk depth first through the trees of the cells, and give the leaf of every path.

    Each node of a tree is run once: the BatchNorm statistics of a layer depend on the layers before that layer alone.
    So the calibration inputs are carried down the tree beside the batches.
    """
    for index, cell in enumerate(block.cells):
        # the statistics of the teacher's block come from all of its training: keep them
        carried = None if cell.is_teacher else supernet.enter(index, calibration)
        inputs = [supernet.enter(index, batch.inputs) for batch in batches]
        yield from _descend(supernet, Path(block.block_id, index, ()), carried, inputs)


def _descend(
    supernet: BlockSupernet, before: Path, calibration: Tensor | None, inputs: Sequence[Tensor]
) -> Iterator[Leaf]:
    """Run each candidate of the layer behind ``before`` on that layer's outputs, and the later layers below."""
    layers = supernet.layers(before.cell)
    leave = partial(supernet.leave, before.cell)
    for choice, operation in enumerate(layers[len(before.choices)]):
        carried = None if calibration is None else _recalibrated(operation, calibration)
        path = Path(before.block_id, before.cell, (*before.choices, choice))
        if len(path.choices) < len(layers):
            yield from _descend(supernet, path, carried, [operation(x) for x in inputs])
        else:
            outputs = (leave(operation(x)) for x in inputs)
            yield Leaf(path, None if carried is None else leave(carried), outputs)


def _recalibrated(operation: nn.Module, calibration: Tensor) -> Tensor:
    """Measure the operation's BatchNorm statistics on the calibration inputs; return its outputs for the next layer."""
    with measuring(operation):
        outputs: Tensor = operation(calibration)
    return outputs
