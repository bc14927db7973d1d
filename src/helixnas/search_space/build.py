"""From the blocks' specs and ``params.yaml search_space`` to the SearchSpace."""

from collections.abc import Callable, Sequence

from helixnas.config.schema import Space
from helixnas.search_space.block import BlockSpace, BlockSpec, Cell, SearchSpace
from helixnas.search_space.spaces import substitute

SPACES: dict[str, Callable[[BlockSpec, Space], tuple[Cell, ...]]] = {"substitute": substitute.cells}


def build(specs: Sequence[BlockSpec], settings: Space) -> SearchSpace:
    """The search space of a cut teacher. The same specs and settings give the same space, in the same order."""
    cells = SPACES[settings.name]
    return SearchSpace(tuple(BlockSpace(spec, cells(spec, settings)) for spec in specs))
