"""What the tables say of any architecture."""

from collections.abc import Callable, Sequence

from helixnas.search_space import Architecture, Choice, Cost, CostTable, RatingTable, SearchSpace


def pricer(
    space: SearchSpace, ratings: Sequence[RatingTable], costs: Sequence[CostTable], fixed: Cost
) -> Callable[[Architecture], Choice]:
    """A function from an architecture to its predicted_loss and cost, by looking its paths up."""
    losses = [dict(zip(table.paths, table.distill_loss, strict=True)) for table in ratings]
    prices = [dict(zip(zip(t.in_widths, t.paths, strict=True), t.costs, strict=True)) for t in costs]

    def price(architecture: Architecture) -> Choice:
        cost, loss, width = fixed, 0.0, space.blocks[0].spec.in_width
        for block, path in zip(space.blocks, architecture.paths, strict=True):
            cost += prices[block.block_id][width, path.key]
            loss += losses[block.block_id][path.key]
            width = block.out_width(path)
        return Choice(architecture, loss, cost)

    return price
