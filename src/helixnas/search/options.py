"""The tables of a block as arrays: what the exact search adds up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helixnas.errors import ArtifactError
from helixnas.search_space import BlockSpace, Cost, CostTable, RatingTable, SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class BlockOptions:
    """One row for each width that may come in and each path.

    ``values`` [n, 1 + d] holds the distill_loss, then the d costs that count; ``path`` is the row's index in
    ``BlockSpace.paths()``.
    """

    in_width: NDArray[np.int64]
    out_width: NDArray[np.int64]
    path: NDArray[np.int64]
    values: NDArray[np.float64]
    costs: tuple[Cost, ...]


def block_options(
    space: SearchSpace, ratings: Sequence[RatingTable], costs: Sequence[CostTable], cost_names: Sequence[str]
) -> list[BlockOptions]:
    """The options of every block; ArtifactError if a table is incomplete, or lacks a cost that counts."""
    rows = zip(space.blocks, ratings, costs, strict=True)
    return [_options(block, rating.check(block), cost.check(block), cost_names) for block, rating, cost in rows]


def _options(block: BlockSpace, rating: RatingTable, table: CostTable, cost_names: Sequence[str]) -> BlockOptions:
    paths = list(block.paths())
    index = {path.key: position for position, path in enumerate(paths)}
    path = np.array([index[key] for key in table.paths])
    loss = np.array(rating.distill_loss)[path]
    columns = [[cost_value(cost, name) for cost in table.costs] for name in cost_names]
    return BlockOptions(
        in_width=np.array(table.in_widths),
        out_width=np.array([block.out_width(path) for path in paths])[path],
        path=path,
        values=np.column_stack([loss, *columns]).astype(np.float64),
        costs=table.costs,
    )


def cost_value(cost: Cost, name: str) -> float:
    """A cost by name; ArtifactError if it was not measured."""
    value = getattr(cost, name)
    if value is None:
        raise ArtifactError(
            f"search.budget.{name} needs {name} of every path, but it was not measured. Run `dvc repro cost`."
        )
    return float(value)
