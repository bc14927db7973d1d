"""What the tables say of any architecture, and which paths they speak for."""

from collections.abc import Sequence
from dataclasses import dataclass

from helixnas.results import COST_NAMES, Budget, Choice, Cost, CostTable, RatingTable
from helixnas.search.options import block_options
from helixnas.search_space import Architecture, SearchSpace


@dataclass(frozen=True, slots=True, eq=False)
class Pricer:
    """From an architecture to its predicted_loss and cost, by looking its paths up."""

    space: SearchSpace
    fixed: Cost
    losses: Sequence[dict[str, float]]
    costs: Sequence[dict[tuple[int, str], Cost]]
    tables: tuple[Sequence[RatingTable], Sequence[CostTable]]

    def __call__(self, architecture: Architecture) -> Choice:
        """Sums run from stem and head over the last block to the first, as in ``merge``: the last bit agrees."""
        cost, loss = self.fixed, 0.0
        for path, block_cost in reversed(list(zip(architecture.paths, self.block_costs(architecture), strict=True))):
            cost, loss = cost + block_cost, loss + self.losses[path.block_id][path.key]
        return Choice(architecture, loss, cost)

    def block_costs(self, architecture: Architecture) -> list[Cost]:
        """What each block costs, given the width that the block before it hands on."""
        costs, in_width = [], self.space.blocks[0].spec.in_width
        for block, path in zip(self.space.blocks, architecture.paths, strict=True):
            costs.append(self.costs[block.block_id][in_width, path.key])
            in_width = block.out_width(path)
        return costs

    def contenders(self, budget: Budget) -> tuple[tuple[str, ...], ...]:
        """For each block the keys of the paths on its own frontier: no other path is as good and as cheap."""
        options = block_options(self.space, *self.tables, counted_names(budget))
        return tuple(
            tuple(block.path_at(int(index)).key for index in option.contenders())
            for block, option in zip(self.space.blocks, options, strict=True)
        )


def pricer(space: SearchSpace, ratings: Sequence[RatingTable], costs: Sequence[CostTable], fixed: Cost) -> Pricer:
    """The Pricer of a search space's tables; ``fixed`` is the cost of stem and head."""
    losses = [dict(zip(table.paths, table.distill_loss, strict=True)) for table in ratings]
    prices = [dict(zip(zip(t.in_widths, t.paths, strict=True), t.costs, strict=True)) for t in costs]
    return Pricer(space, fixed, losses, prices, (ratings, costs))


def counted_names(budget: Budget) -> tuple[str, ...]:
    """The costs that count: those that are limited, or madds where nothing is."""
    return tuple(budget.limits) or COST_NAMES[:1]
