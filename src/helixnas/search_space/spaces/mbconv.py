"""DNA's space of inverted residuals, as published (arXiv 1911.13053): six blocks, 16 cells, 1.96 x 10^17 architectures.

The widths are fixed and do not depend on the teacher's. The space reads only ``name`` of ``search_space``.
"""

from collections.abc import Sequence
from itertools import product

from helixnas.blocks import BlockSpec
from helixnas.config.schema import Space
from helixnas.search_space.block import BlockSpace
from helixnas.search_space.candidate import mbconv
from helixnas.search_space.spaces.skeleton import Shape, require_strides, stacked

STRIDES = (2, 2, 2, 1, 2, 1)
SHAPES: tuple[tuple[Shape, ...], ...] = (
    ((2, 24), (3, 24), (2, 32)),
    ((2, 40), (3, 40), (4, 40)),
    ((2, 80), (3, 80), (4, 80)),
    ((3, 112), (4, 112), (4, 96)),
    ((4, 192), (5, 192), (5, 160)),
    ((1, 320),),
)
CANDIDATES = tuple(mbconv(kernel, expansion, 0.25) for expansion, kernel in product((6, 3), (3, 5, 7)))


def blocks(specs: Sequence[BlockSpec], settings: Space) -> tuple[BlockSpace, ...]:
    """Make six blocks that divide their maps' sides by 2, 2, 2, 1, 2 and 1, as EfficientNet's behind its first block.

    Raises:
        ConfigError: The teacher's cut has other strides.
    """
    require_strides(settings.name, specs, STRIDES)
    return stacked(specs, STRIDES, SHAPES, [CANDIDATES] * len(STRIDES))
