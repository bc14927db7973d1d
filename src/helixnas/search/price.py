"""Look up what the tables say of an architecture, the paths that can be best, and the least and the most of a cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from helixnas.cost_kinds import kind
from helixnas.results import Budget, Choice, Cost, CostTable, RatingTable
from helixnas.search.options import block_options, cost_value
from helixnas.search_space import Architecture, Path, SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class Pricer:
    """Looks up the paths of an architecture in the tables, and sums them to its predicted_loss and cost.

    Attributes:
        space: The search space.
        fixed: The cost of stem and head together.
        losses: For each block, the rating by path key.
        costs: For each block, the cost by in_width and path key.
        tables: The rating tables and cost tables of all blocks.
    """

    space: SearchSpace
    fixed: Cost
    losses: Sequence[dict[str, float]]
    costs: Sequence[dict[tuple[int, str], Cost]]
    tables: tuple[Sequence[RatingTable], Sequence[CostTable]]

    def __call__(self, architecture: Architecture) -> Choice:
        """Return an architecture with its predicted_loss, which is the sum of its blocks' ratings, and its cost.

        Sums run from stem and head over the last block to the first, as in ``merge``, so that the last bit agrees.
        """
        cost, loss = self.fixed, 0.0
        for path, block_cost in reversed(list(zip(architecture.paths, self.block_costs(architecture), strict=True))):
            cost, loss = cost + block_cost, loss + self.losses[path.block_id][path.key]
        return Choice(architecture, loss, cost)

    def block_costs(self, architecture: Architecture) -> list[Cost]:
        """Return the cost of each block, given the width that the block before it hands on."""
        costs, in_width = [], self.space.blocks[0].spec.in_width
        for block, path in zip(self.space.blocks, architecture.paths, strict=True):
            costs.append(self.costs[block.block_id][in_width, path.key])
            in_width = block.out_width(path)
        return costs

    def contenders(self, budget: Budget) -> tuple[tuple[str, ...], ...]:
        """Return, for each block, the keys of the paths on its frontier: no other path is as good and as cheap."""
        options = block_options(self.space, *self.tables, counted_names(budget))
        return tuple(
            tuple(block.path_at(int(index)).key for index in option.contenders())
            for block, option in zip(self.space.blocks, options, strict=True)
        )


def pricer(space: SearchSpace, ratings: Sequence[RatingTable], costs: Sequence[CostTable], fixed: Cost) -> Pricer:
    """Make the Pricer of a search space's tables; ``fixed`` is the cost of stem and head together."""
    losses = [dict(zip(table.paths, table.ratings, strict=True)) for table in ratings]
    prices = [dict(zip(zip(t.in_widths, t.paths, strict=True), t.costs, strict=True)) for t in costs]
    return Pricer(space, fixed, losses, prices, (ratings, costs))


def counted_names(budget: Budget) -> tuple[str, ...]:
    """Return the names of the costs that count: the limited ones, or madds where nothing is limited."""
    return tuple(budget) or ("madds",)


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
    behind: dict[int, tuple[float, tuple[Path, ...]]] = {}  # cost and paths from a block to the last
    for block, table in zip(reversed(space.blocks), reversed(costs), strict=True):
        best: dict[int, tuple[float, tuple[Path, ...]]] = {}
        for in_width, key, cost in zip(table.in_widths, table.paths, table.costs, strict=True):
            path = block.parse_path(key)
            value, rest = behind.get(block.out_width(path), (0.0, ()))
            here = cost_value(cost, name)
            total = max(here, value) if is_max else here + value
            if in_width not in best or (total > best[in_width][0] if largest else total < best[in_width][0]):
                best[in_width] = (total, (path, *rest))
        behind = best
    return Architecture(behind[space.blocks[0].spec.in_width][1])
