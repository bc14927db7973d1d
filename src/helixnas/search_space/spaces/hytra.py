"""BossNAS's hybrid of convolution and attention, as published (arXiv 2103.12424): 2,818,103 architectures.

Sixteen layers stand in four blocks. A layer works at one of four scales: the size of the stem's maps, a half, a quarter
or an eighth of that size. Each scale has a fixed width. The first layer takes any scale; each later layer takes the
scale of the layer before, or the next smaller scale. Attention stands only at the two smallest scales.

So the choices in a block depend on the scale that the block before it ends at. A cell is therefore an input scale and
the scales of its four layers, and may follow only a block that ends at this input scale; the width tells the scale.
The stem is the teacher's. The space reads only ``name`` of ``search_space``.
"""

import math
from collections.abc import Iterator, Sequence

from helixnas.blocks import BlockSpec
from helixnas.config.schema import Space
from helixnas.errors import ConfigError
from helixnas.search_space.block import BlockSpace, Cell
from helixnas.search_space.candidate import RESIDUAL_ATTENTION, RESIDUAL_CONV

NUM_BLOCKS = 4
NUM_LAYERS = 4
WIDTHS = (256, 512, 1024, 2048)
"""The width of each scale, with the largest maps first."""
EITHER = (RESIDUAL_ATTENTION, RESIDUAL_CONV)
"""The candidates of a layer at one of the two smallest scales."""
Scales = tuple[int, ...]


def blocks(specs: Sequence[BlockSpec], settings: Space) -> tuple[BlockSpace, ...]:
    """Make four blocks of maps, whatever the teacher's strides are; the teacher's head must take maps of any size.

    Raises:
        ConfigError: The cut has another number of blocks, or blocks of tokens or of maps with channels last.
    """
    if len(specs) != NUM_BLOCKS or any({spec.layout, spec.in_layout} - {None, "NCHW"} for spec in specs):
        layouts = ", ".join(f"{spec.in_layout or spec.layout} to {spec.layout}" for spec in specs)
        raise ConfigError(
            f"search_space.name {settings.name!r} needs {NUM_BLOCKS} blocks of maps [C, H, W], but teacher.blocks has "
            f"{len(specs)}: {layouts}. Cut the teacher so, or take search_space.name: substitute."
        )
    sizes = [tuple(math.ceil(side / 2**scale) for side in specs[0].in_size) for scale in range(len(WIDTHS))]
    entries = range(len(WIDTHS))
    first = tuple(_cell(specs[0].in_width, sizes[0], 0, scales) for scales in _profiles(entries))
    later = tuple(
        _cell(WIDTHS[entry], sizes[entry], entry, scales) for entry in entries for scales in _profiles(_next(entry))
    )
    return tuple(BlockSpace(spec, later if spec.block_id else first, shares_layers=True) for spec in specs)


def _profiles(starts: Sequence[int], depth: int = NUM_LAYERS) -> Iterator[Scales]:
    """The scales of ``depth`` layers, the first of them out of ``starts``."""
    for scale in starts:
        for rest in _profiles(_next(scale), depth - 1) if depth > 1 else [()]:
            yield (scale, *rest)


def _next(scale: int) -> Sequence[int]:
    return range(scale, min(scale + 2, len(WIDTHS)))


def _cell(in_width: int, in_size: tuple[int, ...], entry: int, scales: Scales) -> Cell:
    before = (entry, *scales[:-1])
    return Cell(
        widths=tuple(WIDTHS[scale] for scale in scales),
        strides=tuple(2 ** (scale - last) for last, scale in zip(before, scales, strict=True)),
        candidates=tuple(EITHER if scale >= len(WIDTHS) - 2 else (RESIDUAL_CONV,) for scale in scales),
        in_width=in_width,
        in_size=in_size,
    )
