"""Say why no architecture fits: the cheapest architecture, the block that takes most of it, and a limit to set."""

import math
from collections.abc import Sequence

from helixnas.cost_kinds import kind
from helixnas.errors import InfeasibleBudgetError
from helixnas.results import Budget, Choice
from helixnas.search.options import cost_value
from helixnas.search.price import Pricer
from helixnas.telling import quantity


def infeasible(frontier: Sequence[Choice], budget: Budget, price: Pricer) -> InfeasibleBudgetError:
    """Make the error for a budget that nothing fits: a sentence for each limit out of reach, or for all together.

    Args:
        frontier: Over all costs that ``budget`` limits, so that it contains the cheapest architecture for each cost.
        budget: The limits.
        price: Looks up the costs of blocks.
    """
    faults = []
    for name, limit in budget.items():
        cheapest = min(frontier, key=lambda choice: cost_value(choice.cost, name))
        if not Budget({name: limit}).admits(cheapest.cost):
            faults.append(_out_of_reach(cheapest, name, price))
    return InfeasibleBudgetError(
        f"No architecture fits budget {budget}: {' '.join(faults or [_apart(frontier, budget)])}"
    )


def _out_of_reach(cheapest: Choice, name: str, price: Pricer) -> str:
    shares = [cost_value(cost, name) for cost in price.block_costs(cheapest.architecture)]
    binding, outside = shares.index(max(shares)), cost_value(price.fixed, name)
    if kind(name).is_max:
        takers = "stem or head takes" if outside >= shares[binding] else f"block {binding} takes"
        taken = f"as {takers} so much alone"
    else:
        taken = f"of which block {binding} takes {quantity(name, shares[binding])}, stem and head "
        taken += quantity(name, outside)
    return (
        f"the cheapest has {_what(cheapest, name)}, {taken}. "
        f"Raise search.budget.{name} to at least {_at_least(cheapest, name)}."
    )


def _apart(frontier: Sequence[Choice], budget: Budget) -> str:
    remedies = []
    for name in budget:
        others = budget.only(other for other in budget if other != name)
        fitting = [choice for choice in frontier if others.admits(choice.cost)]
        if fitting:
            cheapest = min(fitting, key=lambda choice: cost_value(choice.cost, name))
            remedies.append(f"search.budget.{name} to at least {_at_least(cheapest, name)} ({_what(cheapest, name)})")
    remedy = f"Raise {', or '.join(remedies)}." if remedies else "Raise more than one of them."
    return f"each limit can be met alone, but not all together. {remedy}"


def _what(choice: Choice, name: str) -> str:
    return f"{name} {quantity(name, cost_value(choice.cost, name))} (arch_id {choice.architecture.arch_id})"


def _at_least(choice: Choice, name: str) -> str:
    """A limit to copy into params.yaml: rounded, but never down."""
    value = cost_value(choice.cost, name)
    return str(math.ceil(value * 1000) / 1000) if kind(name).is_measured else f"{value:.0f}"
