"""The best architecture under a budget, proven, and the whole frontier: a Pareto merge of the blocks' tables.

A sum of block losses under sums of block costs has optimal substructure: if a part of an architecture is beaten in loss
and in every cost by another part that takes in the same width, no completion can make it better. So fronts of partial
sums are merged block by block (the exact replacement of DNA's traversal, arXiv 1911.13053, Alg. 2, which skips
solutions), and an A* search over them lists the best in order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from helixnas.search.best import best_rows
from helixnas.search.infeasible import infeasible
from helixnas.search.merge import merge
from helixnas.search.options import BlockOptions, block_options, cost_value
from helixnas.search_space import COST_NAMES, Architecture, Budget, Choice, Cost, CostTable, RatingTable, SearchSpace


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
    """The exact optimum, k-best and frontier of summed ratings under ``budget``; ``fixed`` is the cost of stem and head.

    The frontier is over predicted_loss and every limited cost, or madds where nothing is limited, and reaches beyond
    the budget. Raises InfeasibleBudgetError if no architecture fits.
    """
    names = tuple(budget.limits) or COST_NAMES[:1]
    options = block_options(space, ratings, costs, names)
    fronts = merge(options)
    room = np.array([budget.ceiling(name) - cost_value(fixed, name) for name in names])
    ranked = (_choice(space, options, fixed, rows) for rows in best_rows(options, fronts, room, num_best))
    best = tuple(islice((choice for choice in ranked if budget.admits(choice.cost)), num_best))
    if not best:
        raise infeasible(space, options, fixed, budget)
    front = fronts[0][space.blocks[0].spec.in_width]
    cheapest_first = np.lexsort(front.sums.T[:0:-1])
    frontier = tuple(_choice(space, options, fixed, front.rows[index]) for index in cheapest_first)
    return ExactResult(best, frontier, "proven")


def _choice(space: SearchSpace, options: Sequence[BlockOptions], fixed: Cost, rows: Iterable[int]) -> Choice:
    """An architecture by its row in each block, with its costs summed anew from the tables' own integers."""
    cost, loss, paths = fixed, 0.0, []
    for block, option, row in zip(space.blocks, options, rows, strict=True):
        paths.append(block.path_at(int(option.path[row])))
        cost, loss = cost + option.costs[row], loss + float(option.values[row, 0])
    return Choice(Architecture(tuple(paths)), loss, cost)
