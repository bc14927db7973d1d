"""The best architecture under a budget, proven, and the whole frontier: a Pareto merge of the blocks' tables.

A sum of block losses under sums of block costs has optimal substructure: if a part of an architecture is beaten in loss
and in every cost by another part that takes in the same width, no completion can make it better. So fronts of partial
sums are merged block by block (the exact replacement of DNA's traversal, arXiv 1911.13053, Alg. 2, which skips
solutions), and the fronts then tell which parts can lead to one of the k best.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from helixnas.search.best import best_rows
from helixnas.search.infeasible import infeasible
from helixnas.search.merge import merge
from helixnas.search.options import BlockOptions, block_options, ceilings, cost_value
from helixnas.search.price import counted_names, pricer
from helixnas.search_space import Architecture, Budget, Choice, Cost, CostTable, RatingTable, SearchSpace


@dataclass(frozen=True, slots=True)
class ExactResult:
    """The ``num_best`` best under the budget, best first; the frontier, cheapest first; what is proven of both."""

    best: tuple[Choice, ...]
    frontier: tuple[Choice, ...]
    optimality: str


def solve(
    space: SearchSpace,
    ratings: Sequence[RatingTable],
    costs: Sequence[CostTable],
    fixed: Cost,
    budget: Budget,
    num_best: int,
) -> ExactResult:
    """The best architectures of summed ratings under ``budget``, and the frontier. ``fixed``: what stem and head cost.

    The frontier is over predicted_loss and every limited cost, or madds where nothing is limited, and reaches beyond
    the budget. Of equal losses the cheaper comes first, of equals in everything the lowest paths. Raises
    InfeasibleBudgetError if no architecture fits, ArtifactError if a table is incomplete or lacks a limited cost.

    One limit takes milliseconds, whatever the space. With more limits the frontier itself grows, and the time with it.
    Five blocks of 300 paths: 0.2 to 0.4 s with two limits and 1 s with three (16,000 points), as costs of real layers
    go together; half a minute where three costs have nothing to do with each other (230,000 points).
    """
    names = counted_names(budget)
    options = block_options(space, ratings, costs, names)
    fronts = merge(options, np.array([0.0, *(cost_value(fixed, name) for name in names)]))
    price = pricer(space, ratings, costs, fixed)
    front = fronts[0][space.blocks[0].spec.in_width]
    cheapest_first = front.rows[np.lexsort(front.sums.T[:0:-1])]
    frontier = tuple(price(_architecture(space, options, rows)) for rows in cheapest_first)
    if not any(budget.admits(choice.cost) for choice in frontier):
        raise infeasible(frontier, budget, price)
    rows_lowest_first = best_rows(options, fronts, ceilings(budget, names), num_best)
    candidates = [price(_architecture(space, options, rows)) for rows in rows_lowest_first]
    ranked = sorted(candidates, key=lambda c: (c.predicted_loss, *(cost_value(c.cost, name) for name in names)))
    best = tuple(choice for choice in ranked if budget.admits(choice.cost))[:num_best]
    return ExactResult(best, frontier, "proven")


def _architecture(space: SearchSpace, options: Sequence[BlockOptions], rows: Sequence[int]) -> Architecture:
    """An architecture by its row in each block."""
    columns = zip(space.blocks, options, rows, strict=True)
    return Architecture(tuple(block.path_at(int(option.path[row])) for block, option, row in columns))
