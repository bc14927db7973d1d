"""The best architecture under a budget, proven, and the whole frontier: a Pareto merge of the blocks' tables.

A sum of block losses under sums of block costs has optimal substructure: if a part of an architecture is beaten in loss
and in every cost by another part that hands on the same width, no completion can make it better. So fronts of partial
sums are merged block by block, one front for each width that may cross the interface (method: exact replacement of
DNA's traversal, arXiv 1911.13053, Alg. 2, which skips solutions).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.search.frontier import frontier, layers
from helixnas.search.infeasible import infeasible
from helixnas.search.options import BlockOptions, block_options
from helixnas.search_space import COST_NAMES, Architecture, Budget, Choice, Cost, CostTable, RatingTable, SearchSpace


@dataclass(frozen=True, slots=True)
class ExactResult:
    """The ``num_best`` best under the budget, best first; the frontier, cheapest first; what is proven of both."""

    best: tuple[Choice, ...]
    frontier: tuple[Choice, ...]
    optimality: str


@dataclass(frozen=True, slots=True, eq=False)
class _Front:
    """Partial architectures that hand on one width: their sums [n, 1 + d] and the row chosen in each block [n, k]."""

    sums: NDArray[np.float64]
    rows: NDArray[np.int64]


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
    merged = _merge(options, num_best)
    ranked = merged.rows[np.lexsort((np.arange(len(merged.sums)), merged.sums[:, 0]))]
    best: list[Choice] = []
    for rows in ranked:
        choice = _choice(space, options, fixed, rows)
        if budget.admits(choice.cost):
            best.append(choice)
        if len(best) == num_best:
            break
    if not best:
        raise infeasible(space, options, fixed, budget)
    front = frontier(merged.sums)
    cheapest_first = front[np.lexsort(merged.sums[front].T[:0:-1])]
    return ExactResult(tuple(best), tuple(_choice(space, options, fixed, merged.rows[i]) for i in cheapest_first), "proven")


def _merge(options: Sequence[BlockOptions], num_best: int) -> _Front:
    """All architectures that fewer than ``num_best`` others beat, whatever width they end with."""
    first = options[0]
    fronts = {int(first.in_width[0]): _Front(np.zeros((1, first.values.shape[1])), np.zeros((1, 0), dtype=np.int64))}
    for block in options:
        fronts = _step(fronts, block, num_best)
    joined = _join(list(fronts.values()))
    return _kept(joined, num_best)


def _step(fronts: dict[int, _Front], block: BlockOptions, num_best: int) -> dict[int, _Front]:
    """The fronts behind a block, by the width it hands on."""
    reached: dict[int, list[_Front]] = {}
    for in_width, front in fronts.items():
        for out_width in np.unique(block.out_width[block.in_width == in_width]):
            rows = np.flatnonzero((block.in_width == in_width) & (block.out_width == out_width))
            rows = rows[layers(block.values[rows], num_best)]  # beaten inside the block is beaten everywhere
            reached.setdefault(int(out_width), []).append(_kept(_sums(front, block.values[rows], rows), num_best))
    return {width: _kept(_join(parts), num_best) for width, parts in reached.items()}


def _sums(front: _Front, values: NDArray[np.float64], rows: NDArray[np.int64]) -> _Front:
    """Every partial architecture with every one of the block's rows behind it."""
    sums = (front.sums[:, None] + values[None]).reshape(-1, values.shape[1])
    prefix = np.repeat(front.rows, len(rows), axis=0)
    return _Front(sums, np.column_stack([prefix, np.tile(rows, len(front.rows))]))


def _join(fronts: list[_Front]) -> _Front:
    return _Front(np.concatenate([f.sums for f in fronts]), np.concatenate([f.rows for f in fronts]))


def _kept(front: _Front, num_best: int) -> _Front:
    kept = layers(front.sums, num_best)
    return _Front(front.sums[kept], front.rows[kept])


def _choice(space: SearchSpace, options: Sequence[BlockOptions], fixed: Cost, rows: NDArray[np.int64]) -> Choice:
    """A row of a front, with its paths and its costs summed anew from the tables' own integers."""
    cost, loss, paths = fixed, 0.0, []
    for block, option, row in zip(space.blocks, options, rows, strict=True):
        paths.append(block.path_at(int(option.path[row])))
        cost, loss = cost + option.costs[row], loss + float(option.values[row, 0])
    return Choice(Architecture(tuple(paths)), loss, cost)
