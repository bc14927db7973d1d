"""Find the least and the most that an architecture of a space can cost, whatever its loss."""

from collections.abc import Sequence

from helixnas.cost_kinds import kind
from helixnas.results import CostTable
from helixnas.search.options import cost_value
from helixnas.search_space import Architecture, Path, SearchSpace

Completion = tuple[float, tuple[Path, ...]]
"""The cost of the blocks from some block to the last, and their paths."""


def extreme(space: SearchSpace, costs: Sequence[CostTable], name: str, *, largest: bool) -> Architecture:
    """Find the architecture with the least of a cost, or with the most; of equals, the first.

    The search goes block by block from the last, with the width that comes in as its state.

    Args:
        space: The search space.
        costs: The cost table of every block.
        name: The cost, such as ``madds`` or ``num_params``.
        largest: Whether to find the most instead of the least.
    """
    is_max = kind(name).is_max
    behind: dict[int, Completion] = {}
    for block, table in zip(reversed(space.blocks), reversed(costs), strict=True):
        best: dict[int, Completion] = {}
        for in_width, key, cost in zip(table.in_widths, table.paths, table.costs, strict=True):
            path = block.parse_path(key)
            value, rest = behind.get(block.out_width(path), (0.0, ()))
            here = cost_value(cost, name)
            total = max(here, value) if is_max else here + value
            if in_width not in best or (total > best[in_width][0] if largest else total < best[in_width][0]):
                best[in_width] = (total, (path, *rest))
        behind = best
    return Architecture(behind[space.blocks[0].spec.in_width][1])
