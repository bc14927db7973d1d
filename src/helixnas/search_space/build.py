"""From the blocks' specs and ``params.yaml search_space`` to the SearchSpace."""

from collections.abc import Callable, Sequence
from typing import Any

from helixnas.config.schema import Space
from helixnas.errors import ConfigError
from helixnas.own import load_own
from helixnas.search_space.block import BlockSpace, BlockSpec, Cell, SearchSpace
from helixnas.search_space.spaces import substitute

Cells = Callable[[BlockSpec, Space], tuple[Cell, ...]]
SPACES: dict[str, Cells] = {"substitute": substitute.cells}


def build(specs: Sequence[BlockSpec], settings: Space) -> SearchSpace:
    """The search space of a cut teacher: the same specs and settings give the same space, in the same order.

    A space is one of ours, or a function of the user's own from a block's spec and the settings to its cells.
    """
    kind, _, function = settings.name.partition(":")
    cells = load_own(function, "search_space.name") if kind == "factory" else SPACES[kind]
    return SearchSpace(tuple(BlockSpace(spec, _checked(settings.name, cells(spec, settings))) for spec in specs))


def _checked(name: str, cells: Any) -> tuple[Cell, ...]:
    """The cells; ConfigError unless they are some, which only a space of the user's own can miss."""
    if not isinstance(cells, tuple) or not cells or not all(isinstance(cell, Cell) for cell in cells):
        raise ConfigError(f"search_space.name {name!r} must give a tuple of Cell for each block, but gave {cells!r}.")
    return cells
