"""NATS-Bench's size space (arXiv 2009.00437), in BossNAS's three blocks: five layers of eight widths, 8^5 = 32,768.

The operations are fixed: layers of 3x3 convolutions, and between them residual layers that halve the maps. The widths
of a layer share kernels, but each width has its BatchNorm. The stem is the teacher's, so its width does not follow
the width of the first layer. The space reads only ``name`` of ``search_space``.
"""

from collections.abc import Sequence

from helixnas.blocks import BlockSpec
from helixnas.config.schema import Space
from helixnas.search_space.block import BlockSpace, Cell
from helixnas.search_space.candidate import slimmable
from helixnas.search_space.spaces.skeleton import require_strides

WIDTHS = tuple(range(8, 65, 8))
LAYER_STRIDES = ((1, 2), (1, 2), (1,))
"""Strides of each block's layers. A layer of stride 1 is NATS-Bench's cell, a layer of stride 2 its residual block."""
CANDIDATES = tuple(map(slimmable, WIDTHS))


def blocks(specs: Sequence[BlockSpec], settings: Space) -> tuple[BlockSpace, ...]:
    """Make three blocks of 64, 64 and 8 paths that divide their maps' sides by 2, 2 and 1.

    A block behind the first is distilled and rated with the largest input width.

    Raises:
        ConfigError: The teacher's cut has other strides.
    """
    require_strides(settings.name, specs, [strides[-1] for strides in LAYER_STRIDES])
    made = []
    for spec, strides in zip(specs, LAYER_STRIDES, strict=True):
        depth, in_width = len(strides), None if spec.block_id == 0 else WIDTHS[-1]
        cell = Cell((WIDTHS[-1],) * depth, strides, (CANDIDATES,) * depth, in_width=in_width)
        made.append(BlockSpace(spec, (cell,)))
    return tuple(made)
