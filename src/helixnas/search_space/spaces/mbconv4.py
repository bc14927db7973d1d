"""BossNAS's space of inverted residuals, as published (arXiv 2103.12424): one cell a block, 16 x 256^4 architectures.

Five blocks are searched; the sixth has one candidate. The widths are fixed and do not depend on the teacher's. The
space reads only ``name`` of ``search_space``.
"""

from collections.abc import Sequence
from itertools import product

from helixnas.blocks import BlockSpec
from helixnas.config.schema import Space
from helixnas.search_space.block import BlockSpace
from helixnas.search_space.candidate import mbconv
from helixnas.search_space.spaces.skeleton import require_strides, stacked

STRIDES = (2, 2, 2, 1, 2, 1)
SHAPES = ((2, 24), (4, 40), (4, 80), (4, 112), (4, 192), (1, 320))
CANDIDATES = tuple(mbconv(kernel, expansion, 0.25) for expansion, kernel in product((6, 3), (3, 5)))


def blocks(specs: Sequence[BlockSpec], settings: Space) -> tuple[BlockSpace, ...]:
    """Make six blocks that divide their maps' sides by 2, 2, 2, 1, 2 and 1, as EfficientNet's behind its first block.

    Raises:
        ConfigError: The teacher's cut has other strides.
    """
    require_strides(settings.name, specs, STRIDES)
    return stacked(specs, STRIDES, [[shape] for shape in SHAPES], [CANDIDATES] * 5 + [CANDIDATES[:1]])
