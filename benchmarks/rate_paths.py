"""Rate every path of a block: 6 candidates in each of 4 layers, 1,296 paths, down the tree against each path alone.

Alone, each path is run from the block's input, and its BatchNorms are recalibrated first: before each batch, as DNA's
code does, or once for all batches, which costs less than DNA. The images and widths are small; the paths are all there.
Both ways have channels last, no gradients and the same batches. Run: python benchmarks/rate_paths.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch reads it

from functools import partial

import torch
from figure import Figure, in_turns, publish
from torch import Tensor, nn

from helixnas.blocks import BlockSpec
from helixnas.progress import silent
from helixnas.rating import Sources, rate
from helixnas.rating.feature import FeatureCriterion
from helixnas.search_space import BlockSpace, Cell
from helixnas.search_space.candidate import mbconv
from helixnas.student import BlockSupernet, recalibrate
from helixnas.teacher import BlockBatch, DistillLoss

WIDTH, SIZE, DEPTH = 8, 4, 4
BATCH, NUM_BATCHES, NUM_ROUNDS = 16, 12, 2
MOMENTS = torch.zeros(WIDTH), torch.ones(WIDTH)
LOSS = DistillLoss(MOMENTS[1])


def new_block() -> tuple[BlockSpace, BlockSupernet]:
    torch.manual_seed(0)
    candidates = tuple(mbconv(kernel, expansion, 0) for expansion in (3, 6) for kernel in (3, 5, 7))
    shape = (WIDTH, SIZE, SIZE)
    cell = Cell((WIDTH,) * DEPTH, (1,) * DEPTH, (candidates,) * DEPTH)
    block = BlockSpace(BlockSpec(0, shape, shape, "NCHW", ("block",)), (cell,))
    supernet = BlockSupernet(block, nn.Identity()).eval()
    return block, supernet.to(memory_format=torch.channels_last)


@torch.inference_mode()
def each_alone(
    block: BlockSpace, supernet: BlockSupernet, calibration: Tensor, batches: list[BlockBatch], *, is_once: bool
) -> list[float]:
    losses = []
    for path in block.paths():
        network = nn.Sequential(*supernet.operations(path))
        total = 0.0
        for index, batch in enumerate(batches):
            if index == 0 or not is_once:
                recalibrate(network, [calibration])
            total += float(LOSS.per_image(network(batch.inputs), batch.targets).numpy().sum())
        losses.append(total / (BATCH * NUM_BATCHES))
    return losses


def down_the_tree(
    block: BlockSpace, supernet: BlockSupernet, calibration: Tensor, batches: list[BlockBatch]
) -> list[float]:
    # the batches are given, so nothing is read of a teacher
    criterion = FeatureCriterion(Sources(supernet, {}, None, MOMENTS, None))
    makers = [lambda batch=batch: batch for batch in batches]
    return list(rate(supernet, block, criterion, calibration, makers, 0, silent, 2**31).ratings)


def main() -> None:
    torch.set_num_threads(1)
    block, supernet = new_block()
    images = torch.randn(2 * NUM_BATCHES + 1, BATCH, WIDTH, SIZE, SIZE)
    calibration, *features = (image.contiguous(memory_format=torch.channels_last) for image in images)
    batches = [BlockBatch(*pair) for pair in zip(features[::2], features[1::2], strict=True)]
    work = (block, supernet, calibration, batches)
    ways = [
        partial(down_the_tree, *work),
        partial(each_alone, *work, is_once=False),
        partial(each_alone, *work, is_once=True),
    ]
    rounds = in_turns(ways, NUM_ROUNDS)
    for ours, *others in rounds:
        assert all(other[1] == ours[1] for other in others), "the tables differ"
    kept = f"{block.num_paths:,} paths, {NUM_BATCHES} batches of {BATCH}"
    publish(
        *(
            Figure(
                f"rate every path of a block ({kept})",
                f"each path alone, recalibrated {how}",
                tuple(done[position][0] / done[0][0] for done in rounds),
                6,
                note="the same table, to the last bit",
            )
            for position, how in ((1, "before each batch, as DNA does"), (2, "once"))
        )
    )


if __name__ == "__main__":
    main()
