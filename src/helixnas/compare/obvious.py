"""The obvious ways to a smaller network: leave out so many of the teacher's layers that the rest fits the budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from helixnas.compare.rival import Rival
from helixnas.results import Budget, Cost, CostTable
from helixnas.search_space import SKIP, Architecture, BlockSpace, Path, SearchSpace

MAX_WAYS = 64
"""Where there are more ways, the dearest of them stand for all, as they use most of the budget."""
MAX_ROWS = 2**20
"""The most unfinished ways that are kept while ways are listed; the dearest go on."""
_SLACK = 1e-12
"""Relative: the costs still to come are summed in another order than the whole, and may differ in the last bits."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Options:
    """The paths [k] of a block made of the teacher's layers alone, with their costs and numbers of missing layers."""

    paths: tuple[Path, ...]
    costs: tuple[Cost, ...]
    left_out: Ints
    num_droppable: int

    def values(self, names: Sequence[str]) -> Floats:
        """The costs as an array [k, d]."""
        return np.array([[cost[name] for name in names] for cost in self.costs], dtype=np.float64)

    def within(self, maxima: Budget) -> "_Options":
        """The paths that keep the limits on maxima."""
        kept = [index for index, cost in enumerate(self.costs) if maxima.admits(cost)]
        paths, costs = tuple(self.paths[index] for index in kept), tuple(self.costs[index] for index in kept)
        return _Options(paths, costs, self.left_out[kept], self.num_droppable)


def obvious_ways(space: SearchSpace, costs: Sequence[CostTable], fixed: Cost, budget: Budget) -> tuple[Rival, ...]:
    """List every way to leave layers out within the budget such that no layer can be given back, the dearest first.

    In each block stands the teacher's block, the teacher's block with fewer layers, or nothing, as far as the search
    space has such cells. A way is left aside if another way fits that keeps at least as many layers in every block and
    costs more madds (or costs as many and keeps more layers).

    Args:
        space: The search space.
        costs: The cost table of every block, with every kind that the budget limits.
        fixed: The cost of stem and head together.
        budget: The limits.

    Returns:
        MAX_WAYS ways at most; no way where a block has no cell made of the teacher's layers. Where nothing fits, the
            one way with the least of the first limited cost.
    """
    options = [_options(block, table) for block, table in zip(space.blocks, costs, strict=True)]
    if not all(option.paths for option in options):
        return ()
    maxima = budget.maxima()  # kept if and only if each part keeps them alone
    fitting = [option.within(maxima) for option in options]
    if maxima.admits(fixed) and all(option.paths for option in fitting):
        sums = list(dict.fromkeys(("madds", *(name for name in budget if name not in maxima))))
        rows, madds = _fitting(fitting, sums, fixed, budget)
        if len(rows):
            left_out = np.column_stack([option.left_out[rows[:, index]] for index, option in enumerate(fitting)])
            best = rows[_maximal(left_out, madds)]
            return tuple(_rival(index, fitting, row, fixed) for index, row in enumerate(best))
    name = next(iter(budget))
    cheapest = np.array([option.values([name])[:, 0].argmin() for option in options])
    return (_rival(0, options, cheapest, fixed),)


def _options(block: BlockSpace, table: CostTable) -> _Options:
    prices = dict(zip(zip(table.in_widths, table.paths, strict=True), table.costs, strict=True))
    spec = block.spec
    num_droppable = max(len(spec.droppable), int(spec.in_shape == spec.out_shape))
    paths, left_out = [], []
    for path in block.paths():
        cell = block.cells[path.cell]
        is_skip = cell.candidates == ((SKIP,),)
        if is_skip or cell.is_of_teacher:
            numbers = dict(cell.candidates[0][path.choices[0]].numbers)
            paths.append(path)
            left_out.append(num_droppable if is_skip else int(numbers.get("d", 0)))
    here = tuple(prices[spec.in_width, path.key] for path in paths)
    return _Options(tuple(paths), here, np.array(left_out, dtype=np.int64), num_droppable)


def _fitting(options: Sequence[_Options], names: Sequence[str], fixed: Cost, budget: Budget) -> tuple[Ints, Floats]:
    """The options [n, blocks] of every way that fits, and its madds [n]; ``names`` are of costs that are summed.

    Sums start with stem and head and run from the last block to the first, as in the search, so that the last bit
    agrees. A way that cannot fit even with the cheapest options of the blocks before is dropped early.
    """
    limits = np.array([budget.ceiling(name) for name in names])
    values = [option.values(names) for option in options]
    rows, sums = np.zeros((1, 0), dtype=np.int64), np.array([[fixed[name] for name in names]], dtype=np.float64)
    for index in reversed(range(len(options))):
        num_options = len(values[index])
        choices = np.tile(np.arange(num_options), len(rows))
        rows = np.column_stack([choices, np.repeat(rows, num_options, axis=0)])
        sums = (sums[:, None] + values[index]).reshape(-1, len(names))
        before = sum((value.min(axis=0) for value in values[:index]), np.zeros(len(names)))
        kept = np.flatnonzero((sums + before <= limits * (1 + _SLACK)).all(axis=1))
        kept = kept[np.argsort(-sums[kept, 0], kind="stable")[:MAX_ROWS]]
        rows, sums = rows[kept], sums[kept]
    fits = (sums <= limits).all(axis=1)
    return rows[fits], sums[fits, 0]


def _maximal(left_out: Ints, madds: Floats) -> list[int]:
    """The rows of the ways that no other way is above; the dearest first, MAX_WAYS at most.

    Any way above another is dearer, or as dear and leaves less out, and so comes earlier in this order. That way is
    maximal itself, or a maximal way is above both.
    """
    order = np.lexsort((left_out.sum(axis=1), -madds))
    found: list[int] = []
    while len(order) and len(found) < MAX_WAYS:
        first, order = order[0], order[1:]
        found.append(int(first))
        keeps_no_more = (left_out[order] >= left_out[first]).all(axis=1)
        differs = (madds[order] < madds[first]) | (left_out[order] != left_out[first]).any(axis=1)
        order = order[~(keeps_no_more & differs)]
    return found


def _rival(index: int, options: Sequence[_Options], row: Ints, fixed: Cost) -> Rival:
    chosen = list(zip(options, map(int, row), strict=True))
    left_out = [int(option.left_out[choice]) for option, choice in chosen]
    return Rival(
        key=f"obvious_{index}",
        name=f"teacher without {'+'.join(map(str, left_out))} layers" if any(left_out) else "teacher, all layers",
        arch_id=Architecture(tuple(option.paths[choice] for option, choice in chosen)).arch_id,
        cost=reduce(add, [option.costs[choice] for option, choice in reversed(chosen)], fixed),
        num_layers=sum(option.num_droppable for option in options) - sum(left_out),
    )
