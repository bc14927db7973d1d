"""The tables of a block as arrays, which the exact search adds up and compares with a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.cost_kinds import kind
from helixnas.errors import ArtifactError
from helixnas.results import Budget, Cost, CostTable, RatingTable, require_one_criterion
from helixnas.search.frontier import frontier
from helixnas.search_space import BlockSpace, SearchSpace

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BlockOptions:
    """One row for each width that may come in and each path, the paths of a width in the order of ``paths()``.

    Attributes:
        in_width: The width that comes in, [n].
        out_width: The width that the path hands on, [n].
        path: The index of the path in ``BlockSpace.paths()``, [n].
        values: The rating, then the d costs that count, [n, 1 + d].
        is_max: Which of these columns combine by their maximum over blocks, [1 + d]; the others by their sum.
    """

    in_width: NDArray[np.int64]
    out_width: NDArray[np.int64]
    path: NDArray[np.int64]
    values: NDArray[np.float64]
    is_max: NDArray[np.bool_]

    def part(self, rows: NDArray[np.int64] | NDArray[np.bool_], columns: Sequence[int] | None = None) -> "BlockOptions":
        """Return some of the rows, with all columns of their values or with these."""
        kept = slice(None) if columns is None else list(columns)
        return BlockOptions(
            self.in_width[rows], self.out_width[rows], self.path[rows], self.values[rows][:, kept], self.is_max[kept]
        )

    def rows(self, in_width: int) -> list[NDArray[np.int64]]:
        """Return the rows that take in a width, in one array for each width that they hand on."""
        fitting = np.flatnonzero(self.in_width == in_width)
        handed_on = self.out_width[fitting]
        return [fitting[handed_on == width] for width in np.unique(handed_on)]

    def contenders(self) -> NDArray[np.int64]:
        """Return the indices of the paths on the block's frontier: no other path of the same widths beats them."""
        groups = [rows for width in np.unique(self.in_width) for rows in self.rows(int(width))]
        return np.unique(np.concatenate([self.path[rows[frontier(self.values[rows])]] for rows in groups]))


def block_options(
    space: SearchSpace, ratings: Sequence[RatingTable], costs: Sequence[CostTable], cost_names: Sequence[str]
) -> list[BlockOptions]:
    """Make the options of every block from its tables.

    Args:
        space: The search space.
        ratings: The rating table of every block.
        costs: The cost table of every block.
        cost_names: The costs that count.

    Raises:
        ArtifactError: A table is incomplete, or lacks a cost that counts, or ratings are by different criteria.
    """
    require_one_criterion(ratings)
    tables = zip(space.blocks, ratings, costs, strict=True)
    options = [_options(block, rating.check(block), cost.check(block), cost_names) for block, rating, cost in tables]
    widths = [np.array([space.blocks[0].spec.in_width]), *(option.out_width for option in options)]
    for block, option, handed_on in zip(space.blocks, options, widths, strict=False):
        _check_widths(block, option, handed_on)
    return options


def _options(block: BlockSpace, rating: RatingTable, table: CostTable, cost_names: Sequence[str]) -> BlockOptions:
    by_width = np.argsort(table.in_widths, kind="stable")
    in_width = np.array(table.in_widths)[by_width]
    path = np.concatenate([_paths_after(block, int(width)) for width in np.unique(in_width)])
    out_width = np.concatenate([np.resize(cell.out_widths, cell.num_paths) for cell in block.cells])
    columns = [np.array([cost_value(cost, name) for cost in table.costs])[by_width] for name in cost_names]
    return BlockOptions(
        in_width=in_width,
        out_width=out_width[path],
        path=path,
        values=np.column_stack([np.array(rating.ratings)[path], *columns]),
        is_max=np.array([False, *(kind(name).is_max for name in cost_names)]),
    )


def _paths_after(block: BlockSpace, width: int) -> NDArray[np.int64]:
    """The indices of the paths that may follow a width."""
    return np.flatnonzero(np.repeat([c.takes(width) for c in block.cells], [c.num_paths for c in block.cells]))


def cost_value(cost: Cost, name: str) -> float:
    """Return a cost by name.

    Raises:
        ArtifactError: The cost was not measured.
    """
    if name not in cost:
        raise ArtifactError(
            f"search.budget.{name} needs {name} of every path, but it was not measured. Run `dvc repro cost`."
        )
    return float(cost[name])


def combine(first: NDArray[np.float64], second: NDArray[np.float64], is_max: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Combine the values [..., 1 + d] of parts of an architecture: columns that are marked by their maximum."""
    both = first + second
    if is_max.any():
        both[..., is_max] = np.maximum(first[..., is_max], second[..., is_max])
    return both


def _check_widths(block: BlockSpace, option: BlockOptions, handed_on: NDArray[np.int64]) -> None:
    missing = np.setdiff1d(handed_on, option.in_width)
    if len(missing):
        raise ArtifactError(
            f"The cost table of block {block.block_id} must have rows for every in_width that may come in, but has "
            f"none for {missing[0]}. Remove it and run `dvc repro cost`."
        )


def ceilings(budget: Budget, cost_names: Sequence[str]) -> NDArray[np.float64]:
    """Return the most that each cost may be, [d]; together with ``within`` this is ``Budget.admits`` for arrays."""
    return np.array([budget.ceiling(name) for name in cost_names])


def within(costs: NDArray[np.float64], room: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether all costs [..., d] stay within the room [..., d]: the one comparison of an array with limits."""
    fits = costs[..., 0] <= room[..., 0]
    for column in range(1, costs.shape[-1]):  # a short last axis is slow to reduce
        fits = fits & (costs[..., column] <= room[..., column])
    return np.asarray(fits)
