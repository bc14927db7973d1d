"""What published spaces share: the cut that they need, and cells of equal layers at widths of their own."""

import math
from collections import Counter
from collections.abc import Sequence

from helixnas.blocks import BlockSpec
from helixnas.errors import ConfigError
from helixnas.search_space.block import BlockSpace, Cell
from helixnas.search_space.candidate import Candidate

Shape = tuple[int, int]
"""A cell's depth in layers, and the width of them all."""


def require_strides(name: str, specs: Sequence[BlockSpec], strides: Sequence[int]) -> None:
    """ConfigError unless the cut has a block of maps for each stride, which shrinks its maps by it, rounded up."""
    fits = [_is_map(spec) and _shrinks(spec, stride) for spec, stride in zip(specs, strides, strict=False)]
    if len(specs) == len(strides) and all(fits):
        return
    raise ConfigError(
        f"search_space.name {name!r} needs {len(strides)} blocks of maps with strides {tuple(strides)}, but "
        f"teacher.blocks has {len(specs)}: {', '.join(map(_described, specs))}. Cut the teacher where its maps shrink "
        "so, or take search_space.name: substitute, which fits any cut."
    )


def _is_map(spec: BlockSpec) -> bool:
    return spec.layout != "NLC" and spec.in_layout in {None, spec.layout}


def _shrinks(spec: BlockSpec, stride: int) -> bool:
    return tuple(math.ceil(side / stride) for side in spec.in_size) == spec.out_size


def _described(spec: BlockSpec) -> str:
    return f"stride {spec.stride}" if _is_map(spec) else f"{spec.in_layout or spec.layout} to {spec.layout}"


def usual_width(cells: Sequence[Cell]) -> int:
    """The width that most of the cells end with; of equals the first."""
    ((width, _),) = Counter(cell.widths[-1] for cell in cells).most_common(1)
    return width


def rounded(width: float) -> int:
    """The nearest multiple of 8, which hardware likes, but 8 at least."""
    return max(8, round(width / 8) * 8)


def stacked(
    specs: Sequence[BlockSpec],
    strides: Sequence[int],
    shapes: Sequence[Sequence[Shape]],
    candidates: Sequence[Sequence[Candidate]],
) -> tuple[BlockSpace, ...]:
    """A block for each spec, with a cell for each of its shapes: the stride first, the block's candidates throughout.

    A cell is rated with the width that most cells of the block before end with.
    """
    blocks: list[BlockSpace] = []
    for spec, stride, cells, options in zip(specs, strides, shapes, candidates, strict=True):
        in_width = usual_width(blocks[-1].cells) if blocks else None
        blocks.append(BlockSpace(spec, tuple(_stack(shape, stride, tuple(options), in_width) for shape in cells)))
    return tuple(blocks)


def _stack(shape: Shape, stride: int, options: tuple[Candidate, ...], in_width: int | None) -> Cell:
    depth, width = shape
    return Cell((width,) * depth, (stride, *[1] * (depth - 1)), (options,) * depth, in_width=in_width)
