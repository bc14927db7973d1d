"""Helpers that published spaces share: a check of the cut, and cells of equal layers at the space's own widths."""

import math
from collections import Counter
from collections.abc import Sequence

from helixnas.blocks import BlockSpec
from helixnas.errors import ConfigError
from helixnas.search_space.block import BlockSpace, Cell
from helixnas.search_space.candidate import Candidate

Shape = tuple[int, int]
"""A cell's depth in layers, and the width that all these layers have."""


def require_strides(name: str, specs: Sequence[BlockSpec], strides: Sequence[int]) -> None:
    """Require one block of maps for each stride, which divides its maps' sides by that stride, rounded up.

    Raises:
        ConfigError: The cut has another number of blocks, or a block has another stride or tokens.
    """
    fits = [
        _is_map(spec) and tuple(math.ceil(side / stride) for side in spec.in_size) == spec.out_size
        for spec, stride in zip(specs, strides, strict=False)
    ]
    if len(specs) == len(strides) and all(fits):
        return
    got = ", ".join(
        f"stride {spec.stride}" if _is_map(spec) else f"{spec.in_layout or spec.layout} to {spec.layout}"
        for spec in specs
    )
    raise ConfigError(
        f"search_space.name {name!r} needs {len(strides)} blocks of maps with strides {tuple(strides)}, but "
        f"teacher.blocks has {len(specs)}: {got}. Cut the teacher where its maps shrink so, or take search_space.name: "
        "substitute, which fits any cut."
    )


def _is_map(spec: BlockSpec) -> bool:
    return spec.layout != "NLC" and spec.in_layout in {None, spec.layout}


def usual_width(cells: Sequence[Cell]) -> int:
    """Return the width that most of the cells end with; of equally frequent widths, the first."""
    ((width, _),) = Counter(cell.widths[-1] for cell in cells).most_common(1)
    return width


def rounded(width: float) -> int:
    """Return the nearest multiple of 8, which suits hardware, but at least 8."""
    return max(8, round(width / 8) * 8)


def stacked(
    specs: Sequence[BlockSpec],
    strides: Sequence[int],
    shapes: Sequence[Sequence[Shape]],
    candidates: Sequence[Sequence[Candidate]],
) -> tuple[BlockSpace, ...]:
    """Make one block for each spec, with one cell for each of the block's shapes.

    A cell's first layer has the block's stride; all its layers have the block's candidates. A cell is rated with the
    width that most cells of the block before end with.

    Args:
        specs: The teacher's blocks.
        strides: The stride of each block.
        shapes: The cells of each block, as (depth, width).
        candidates: The candidates of each block.
    """
    blocks: list[BlockSpace] = []
    for spec, stride, cells, options in zip(specs, strides, shapes, candidates, strict=True):
        in_width = usual_width(blocks[-1].cells) if blocks else None
        made = (
            Cell((width,) * depth, (stride, *[1] * (depth - 1)), (tuple(options),) * depth, in_width=in_width)
            for depth, width in cells
        )
        blocks.append(BlockSpace(spec, tuple(made)))
    return tuple(blocks)
