"""How little and how much an architecture of a space can cost, whatever it is worth."""

from collections.abc import Sequence

from helixnas.results import CostTable
from helixnas.search.options import cost_value
from helixnas.search_space import Architecture, Path, SearchSpace

Completion = tuple[float, tuple[Path, ...]]
"""What the blocks from one on cost, and their paths."""


def extreme(space: SearchSpace, costs: Sequence[CostTable], name: str, *, largest: bool) -> Architecture:
    """The architecture that costs least of ``name`` (madds, num_params), or most; the first of equals.

    Block by block from the last, with the width that comes in as state.
    """
    sign = -1 if largest else 1
    behind: dict[int, Completion] = {}
    for block, table in zip(reversed(space.blocks), reversed(costs), strict=True):
        best: dict[int, Completion] = {}
        for in_width, key, cost in zip(table.in_widths, table.paths, table.costs, strict=True):
            path = block.parse_path(key)
            value, rest = behind.get(block.out_width(path), (0.0, ()))
            total = sign * cost_value(cost, name) + value
            if in_width not in best or total < best[in_width][0]:
                best[in_width] = (total, (path, *rest))
        behind = best
    return Architecture(behind[space.blocks[0].spec.in_width][1])
