"""What is said when no architecture fits, and that the remedy works."""

import re

import pytest

from helixnas.errors import InfeasibleBudgetError
from helixnas.results import Budget, Choice, Cost, CostTable
from tests.costs import three

from .conftest import Instance, make_instance


def refusal(instance: Instance, budget: Budget) -> str:
    with pytest.raises(InfeasibleBudgetError) as caught:
        instance.solve(budget)
    return str(caught.value)


def cheapest(instance: Instance, name: str) -> Choice:
    return min(instance.everything, key=lambda choice: choice.cost[name])


def test_the_message_names_the_limit_the_cheapest_and_the_binding_block(instance: Instance) -> None:
    message = refusal(instance, Budget(madds=4))
    least = cheapest(instance, "madds")
    shares = [cost["madds"] for cost in instance.price.block_costs(least.architecture)]
    named = re.search(r"arch_id ([\d:.-]+)\)", message)
    assert "No architecture fits budget madds <= 4: the cheapest has madds" in message
    assert named is not None
    assert instance.price(instance.space.parse(named[1])).cost["madds"] == least.cost["madds"]
    assert f"of which block {shares.index(max(shares))} takes {max(shares)}, stem and head 3" in message
    assert f"Raise search.budget.madds to at least {least.cost['madds']}." in message


@pytest.mark.parametrize("name", ["madds", "num_params", "latency_ms"])
def test_the_limit_that_the_message_asks_for_is_enough(name: str) -> None:
    instance = make_instance(0, 3, 5, is_coarse=False)
    message = refusal(instance, Budget(**{name: 0.01}))
    asked = re.search(rf"search\.budget\.{name} to at least ([\d.]+\d)\.", message)
    assert asked is not None
    best = instance.solve(Budget(**{name: float(asked[1])})).best[0]
    assert best.cost[name] == cheapest(instance, name).cost[name]


def test_each_limit_out_of_reach_has_its_own_sentence(instance: Instance) -> None:
    message = refusal(instance, Budget(madds=1, num_params=1000, latency_ms=0.1))
    assert "the cheapest has madds" in message
    assert "the cheapest has latency_ms" in message
    assert "the cheapest has num_params" not in message


def two_ways(*costs: Cost) -> Instance:
    instance = make_instance(1, 1, len(costs))
    table = CostTable(0, (8,) * len(costs), tuple(f"0:{n}" for n in range(len(costs))), costs)
    return Instance(instance.space, instance.ratings, (table,), three(0, 0))


def test_limits_that_can_be_met_alone_but_not_together_are_told_so_with_a_way_out() -> None:
    message = refusal(two_ways(three(1, 9), three(9, 1)), Budget(madds=5, num_params=6))
    assert "each limit can be met alone, but not all together" in message
    assert "search.budget.madds to at least 9 (madds 9 (arch_id 0:1))" in message
    assert "or search.budget.num_params to at least 9 (num_params 9 (arch_id 0:0))" in message


def test_where_no_single_limit_mends_it_the_message_says_to_raise_more() -> None:
    costs = (
        three(1, 9, 9.0),
        three(9, 1, 9.0),
        three(9, 9, 1.0),
    )
    instance = two_ways(*costs)
    message = refusal(
        Instance(instance.space, instance.ratings, instance.costs, three(0, 0, 0.0)),
        Budget(madds=5, num_params=5, latency_ms=5),
    )
    assert "not all together. Raise more than one of them." in message
