"""The exact search against brute force, on more than a thousand random instances, and on a space of 10^14."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from helixnas.errors import ArtifactError, InfeasibleBudgetError
from helixnas.search import pricer, solve
from helixnas.search_space import Architecture, Budget, Choice, Cost

from .conftest import Instance, make_instance

LIMITS = [
    {"madds": 1.0},
    {"num_params": 1.0},
    {"latency_ms": 1.0},
    {"madds": 1.0, "latency_ms": 1.0},
    {"madds": 1.0, "num_params": 1.0, "latency_ms": 1.0},
]


def everything(instance: Instance) -> list[Choice]:
    price = pricer(instance.space, instance.ratings, instance.costs, instance.fixed)
    return [price(Architecture(paths)) for paths in product(*(list(block.paths()) for block in instance.space.blocks))]


def budget_at(choices: list[Choice], names: dict[str, float], share: float) -> Budget:
    """A budget that about ``share`` of the architectures meet in each limit."""
    return Budget(**{name: float(np.quantile([getattr(c.cost, name) for c in choices], share)) for name in names})


def check(instance: Instance, names: dict[str, float], share: float, num_best: int) -> None:
    choices = everything(instance)
    budget = budget_at(choices, names, share)
    feasible = sorted((c for c in choices if budget.admits(c.cost)), key=lambda c: c.predicted_loss)
    if not feasible:
        with pytest.raises(InfeasibleBudgetError):
            solve(instance.space, instance.ratings, instance.costs, instance.fixed, budget, num_best)
        return
    result = solve(instance.space, instance.ratings, instance.costs, instance.fixed, budget, num_best)
    assert [c.predicted_loss for c in result.best] == [c.predicted_loss for c in feasible[:num_best]]
    assert len({c.architecture for c in result.best}) == len(result.best)
    assert all(budget.admits(c.cost) for c in result.best)
    wanted = points(choices, names)
    beaten = (wanted[None] <= wanted[:, None]).all(2) & (wanted[None] < wanted[:, None]).any(2)
    assert {tuple(p) for p in wanted[~beaten.any(1)]} == {tuple(p) for p in points(result.frontier, names)}
    assert len(result.frontier) == len({tuple(p) for p in points(result.frontier, names)})


def points(choices, names) -> np.ndarray:
    return np.array([[c.predicted_loss, *(getattr(c.cost, name) for name in names)] for c in choices])


@pytest.mark.parametrize("names", LIMITS, ids=lambda names: "+".join(names))
def test_search_equals_brute_force_on_random_instances(names: dict[str, float]) -> None:
    for seed in range(240):  # 5 kinds of budget x 240 seeds = 1,200 instances
        rng = np.random.default_rng([7, seed])
        widths = [(8,), (8, 16)][seed % 2]
        instance = make_instance(seed, int(rng.integers(1, 4)), int(rng.integers(1, 5)), widths)
        check(instance, names, float(rng.uniform(0, 1)), int(rng.integers(1, 6)))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4), st.floats(0, 1), st.integers(1, 8), st.sampled_from(LIMITS))
def test_search_equals_brute_force_wherever_hypothesis_looks(seed, num_blocks, num_paths, share, num_best, names) -> None:
    check(make_instance(seed, num_blocks, num_paths, (8, 16, 24)), names, share, num_best)


def test_a_space_of_10_to_the_14_has_the_frontier_that_an_integer_program_confirms() -> None:
    rng = np.random.default_rng(0)
    instance = make_instance(0, 5, 632)  # 632^5 = 1.0 * 10^14
    assert instance.space.num_architectures > 10**14
    losses = [rng.uniform(0, 1, 632) for _ in range(5)]
    ratings = tuple(
        type(table)(table.block_id, table.paths, tuple(map(float, loss)), 10, 0)
        for table, loss in zip(instance.ratings, losses, strict=True)
    )
    costs = tuple(
        type(table)(table.block_id, table.in_widths, table.paths, tuple(Cost(int(m), 1) for m in madds))
        for table, madds in zip(
            instance.costs, [(1e6 * (1.2 - loss + rng.uniform(0, 0.4, 632))).astype(int) for loss in losses], strict=True
        )
    )
    result = solve(instance.space, ratings, costs, Cost(0, 0), Budget(), 1)
    assert len(result.frontier) > 50
    madds = np.array([[cost.madds for cost in table.costs] for table in costs])
    for position in (3, len(result.frontier) // 2, -3):
        point = result.frontier[position]
        assert point.predicted_loss == pytest.approx(integer_program(np.array(losses), madds, point.cost.madds))


def integer_program(losses: np.ndarray, madds: np.ndarray, limit: float) -> float:
    """The least summed loss under the limit, one choice a block, by HiGHS with no gap."""
    num_blocks, num_paths = losses.shape
    one_each = np.kron(np.eye(num_blocks), np.ones(num_paths))
    constraints = [LinearConstraint(one_each, 1, 1), LinearConstraint(madds.reshape(1, -1), -np.inf, limit)]
    solution = milp(
        losses.ravel(), constraints=constraints, integrality=1, bounds=Bounds(0, 1), options={"mip_rel_gap": 0.0}
    )
    assert solution.success
    return float(solution.fun)


def test_an_impossible_budget_names_the_cheapest_and_the_binding_block(instance: Instance) -> None:
    cheapest = min(everything(instance), key=lambda c: c.cost.madds)
    with pytest.raises(InfeasibleBudgetError) as caught:
        solve(instance.space, instance.ratings, instance.costs, instance.fixed, Budget(madds=4), 1)
    message = str(caught.value)
    assert f"the cheapest has {cheapest.cost.madds}" in message
    assert "Raise search.budget.madds to at least" in message
    shares = [
        dict(zip(table.paths, table.costs, strict=True))[path.key].madds
        for table, path in zip(instance.costs, cheapest.architecture.paths, strict=True)
    ]
    assert f"block {int(np.argmax(shares))} takes {max(shares)}" in message


def test_limits_that_can_be_met_alone_but_not_together_are_told_so() -> None:
    instance = make_instance(1, 1, 2)
    costs = (type(instance.costs[0])(0, (8, 8), ("0:0", "0:1"), (Cost(1, 9), Cost(9, 1))),)
    with pytest.raises(InfeasibleBudgetError, match="not all together"):
        solve(instance.space, instance.ratings, costs, Cost(0, 0), Budget(madds=5, num_params=5), 1)


def test_a_limit_on_what_was_not_measured_is_an_error(instance: Instance) -> None:
    costs = tuple(
        type(t)(t.block_id, t.in_widths, t.paths, tuple(Cost(c.madds, c.num_params) for c in t.costs))
        for t in instance.costs
    )
    with pytest.raises(ArtifactError, match="latency_ms"):
        solve(instance.space, instance.ratings, costs, instance.fixed, Budget(latency_ms=1.0), 1)
