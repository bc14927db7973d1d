"""The chosen architecture without what the run taught it: what distilling and the teacher's weights are worth."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from helixnas.compare.rival import Rival
from helixnas.results import Cost, CostTable
from helixnas.search_space import Architecture, SearchSpace

UNDISTILLED, SCRATCH = "undistilled_0", "scratch_0"


def ablations(chosen: Architecture, space: SearchSpace, costs: Sequence[CostTable], fixed: Cost) -> tuple[Rival, Rival]:
    """Return the chosen architecture twice: with the teacher's weights and fresh candidates, and from scratch.

    Args:
        chosen: The architecture that the search chose.
        space: The search space.
        costs: The cost table of every block.
        fixed: The cost of stem and head together.
    """
    blocks, width = [], space.blocks[0].spec.in_width
    for block, path, table in zip(space.blocks, chosen.paths, costs, strict=True):
        prices = zip(table.in_widths, table.paths, table.costs, strict=True)
        blocks.append(next(cost for in_width, key, cost in prices if (in_width, key) == (width, path.key)))
        width = block.out_width(path)
    cost = reduce(add, reversed(blocks), fixed)
    return (
        Rival(UNDISTILLED, "chosen architecture, not distilled", chosen.arch_id, cost),
        Rival(SCRATCH, "chosen architecture, from scratch", chosen.arch_id, cost),
    )
