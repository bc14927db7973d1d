"""Why no architecture fits: the cheapest there is, the block that takes most of it, and what limit would do."""

from collections.abc import Sequence

import numpy as np

from helixnas.errors import InfeasibleBudgetError
from helixnas.search.options import BlockOptions, cost_value
from helixnas.search_space import Architecture, Budget, Cost, SearchSpace, quantity


def infeasible(
    space: SearchSpace, options: Sequence[BlockOptions], fixed: Cost, budget: Budget
) -> InfeasibleBudgetError:
    """The error for a budget that nothing fits, one sentence for each limit that is out of reach."""
    faults = [
        fault
        for name, limit in budget.limits.items()
        if (fault := _fault(space, options, fixed, name, Budget(**{name: limit})))
    ]
    if not faults:
        faults = ["Each limit alone can be met, but not all together. Raise one of search.budget."]
    return InfeasibleBudgetError(f"No architecture fits budget {budget}: {' '.join(faults)}")


def _fault(space: SearchSpace, options: Sequence[BlockOptions], fixed: Cost, name: str, budget: Budget) -> str:
    architecture, costs = _cheapest(space, options, name)
    total = sum(costs, fixed)
    if budget.admits(total):
        return ""
    value = cost_value(total, name)
    shares = [cost_value(cost, name) for cost in costs]
    binding = int(np.argmax(shares))
    return (
        f"the cheapest has {quantity(name, value)} (arch_id {architecture.arch_id}), of which block {binding} takes "
        f"{quantity(name, shares[binding])}, stem and head {quantity(name, cost_value(fixed, name))}. "
        f"Raise search.budget.{name} to at least {value:g}."
    )


def _cheapest(space: SearchSpace, options: Sequence[BlockOptions], name: str) -> tuple[Architecture, list[Cost]]:
    """The architecture of least cost in one respect, and what each of its blocks costs: a shortest path over widths."""
    reached: dict[int, tuple[float, tuple[int, ...]]] = {int(options[0].in_width[0]): (0.0, ())}
    for option in options:
        extended: dict[int, tuple[float, tuple[int, ...]]] = {}
        for row, cost in enumerate(option.costs):
            in_width, out_width = int(option.in_width[row]), int(option.out_width[row])
            if in_width not in reached:
                continue
            total, rows = reached[in_width]
            proposal = (total + cost_value(cost, name), (*rows, row))
            extended[out_width] = min(extended.get(out_width, proposal), proposal)
        reached = extended
    _, rows = min(reached.values())
    paths = (block.path_at(int(o.path[row])) for block, o, row in zip(space.blocks, options, rows, strict=True))
    return Architecture(tuple(paths)), [option.costs[row] for option, row in zip(options, rows, strict=True)]
