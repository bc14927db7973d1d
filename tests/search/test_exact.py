"""The exact search against brute force, on more than a thousand random instances, and on a space of 10^14."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from helixnas.errors import ArtifactError, InfeasibleBudgetError
from helixnas.results import Budget, Choice, CostTable, RatingTable
from tests.costs import three

from .conftest import Instance, make_instance

LIMITED = [
    ("madds",),
    ("num_params",),
    ("latency_ms",),
    ("madds", "latency_ms"),
    ("madds", "num_params", "latency_ms"),
    ("peak_memory_bytes",),
    ("madds", "peak_memory_bytes"),
    ("peak_memory_bytes", "num_params", "latency_ms"),
]


def points(choices: list[Choice] | tuple[Choice, ...], names: tuple[str, ...]) -> np.ndarray:
    return np.array([[*(choice.cost[name] for name in names), choice.predicted_loss] for choice in choices])


def budget_at(choices: list[Choice], names: tuple[str, ...], share: float) -> Budget:
    """A budget that about ``share`` of the architectures meet in each limit."""
    return Budget(**{name: float(np.quantile([c.cost[name] for c in choices], share)) for name in names})


def brute_frontier(choices: list[Choice], names: tuple[str, ...]) -> list[Choice]:
    """The choices that no other beats, of equals the first, cheapest first."""
    values = points(choices, names)
    no_worse = (values[None] <= values[:, None]).all(axis=2)
    better = (values[None] < values[:, None]).any(axis=2)
    earlier = np.tril(np.ones_like(better), k=-1)
    kept = np.flatnonzero(~(no_worse & (better | earlier)).any(axis=1))
    return [choices[index] for index in sorted(kept, key=lambda index: tuple(values[index]))]


def check(instance: Instance, names: tuple[str, ...], share: float, num_best: int) -> None:
    """The search gives the very architectures that brute force does: ties go to the cheaper, then to lower paths."""
    budget = budget_at(instance.everything, names, share)
    names = tuple(budget)  # in the order of the kinds, which is the order of ties too
    fitting = [choice for choice in instance.everything if budget.admits(choice.cost)]
    if not fitting:
        with pytest.raises(InfeasibleBudgetError):
            instance.solve(budget, num_best)
        return
    result = instance.solve(budget, num_best)
    ranked = sorted(fitting, key=lambda c: (c.predicted_loss, *(c.cost[name] for name in names)))[:num_best]
    front = brute_frontier(instance.everything, names)
    assert result.optimality == "proven"
    if not budget.maxima():
        assert list(result.best) == ranked
        assert list(result.frontier) == front
        return
    # a part that is beaten in a maximum alone is left out, though the whole would be as good: of equals any is given
    assert points(result.best, names).tolist() == points(ranked, names).tolist()
    assert points(result.frontier, names).tolist() == points(front, names).tolist()
    assert len(set(result.best)) == len(result.best)
    assert set(result.best) <= set(fitting)


@pytest.mark.parametrize("names", LIMITED, ids="+".join)
def test_search_equals_brute_force_on_random_instances(names: tuple[str, ...]) -> None:
    for seed in range(240):  # 8 kinds of budget x 240 seeds = 1,920 instances
        rng = np.random.default_rng([7, seed])
        widths = [(8,), (8, 16), (16, 8)][seed % 3]
        is_coarse = seed % 4 > 0  # else real numbers, whose sums round
        instance = make_instance(seed, int(rng.integers(1, 4)), int(rng.integers(1, 5)), widths, is_coarse=is_coarse)
        check(instance, names, float(rng.uniform(0, 1)), int(rng.integers(1, 12)))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    num_blocks=st.integers(1, 3),
    num_paths=st.integers(1, 4),
    share=st.floats(0, 1),
    num_best=st.integers(1, 30),
    names=st.sampled_from(LIMITED),
)
def test_search_equals_brute_force_wherever_hypothesis_looks(
    seed: int, num_blocks: int, num_paths: int, share: float, num_best: int, names: tuple[str, ...]
) -> None:
    check(make_instance(seed, num_blocks, num_paths, (8, 16, 24)), names, share, num_best)


@pytest.mark.parametrize("names", [("madds",), ("madds", "num_params", "latency_ms")], ids="+".join)
def test_every_architecture_is_listed_in_order_when_more_are_asked_for_than_exist(names: tuple[str, ...]) -> None:
    check(make_instance(3, 2, 4, (8, 16)), names, share=1.0, num_best=1000)


def test_without_a_limit_the_frontier_is_over_madds(instance: Instance) -> None:
    result = instance.solve(Budget())
    assert list(result.frontier) == brute_frontier(instance.everything, ("madds",))
    assert result.best[0] == result.frontier[-1]


def test_a_thousand_equal_losses_are_settled_by_the_lowest_paths() -> None:
    instance = make_instance(0, 4, 12)
    level = tuple(RatingTable(t.block_id, t.paths, (1.0,) * 12, 10, 0, "feature", 1.0) for t in instance.ratings)
    equal = tuple(CostTable(t.block_id, t.in_widths, t.paths, (three(1, 1, 1.0),) * 12) for t in instance.costs)
    flat = Instance(instance.space, level, equal, three(0, 0, 0.0))
    result = flat.solve(Budget(madds=4), 14)
    assert list(result.best) == flat.everything[:14]
    assert list(result.frontier) == flat.everything[:1]


def test_a_width_costs_what_it_costs_behind_the_block_that_hands_it_on() -> None:
    instance = make_instance(0, 2, 1, (8, 16))  # each block: one path to width 8, one to width 16
    ratings = tuple(RatingTable(t.block_id, t.paths, (0.5, 0.0), 10, 0, "feature", 1.0) for t in instance.ratings)
    costs = (
        CostTable(0, (8, 8), ("0:0", "1:0"), (three(1, 0), three(1, 0))),
        CostTable(
            1,
            (8, 8, 16, 16),
            ("0:0", "1:0", "0:0", "1:0"),
            (
                three(1, 0),
                three(5, 0),
                three(4, 0),
                three(9, 0),
            ),
        ),
    )
    narrow_first = Instance(instance.space, ratings, costs, three(0, 0)).solve(Budget(madds=6))
    assert narrow_first.best[0].architecture.arch_id == "1:0-0:0"
    assert narrow_first.best[0].cost == three(5, 0)


def test_a_space_of_10_to_the_14_has_the_frontier_that_an_integer_program_confirms() -> None:
    rng = np.random.default_rng(0)
    instance = make_instance(0, 5, 632)  # 632^5 = 1.0 * 10^14
    assert instance.space.num_architectures > 10**14
    losses = rng.uniform(0, 1, (5, 632))
    madds = (1e6 * (1.2 - losses + rng.uniform(0, 0.4, (5, 632)))).astype(int)
    tables = list(zip(instance.ratings, instance.costs, losses, madds, strict=True))
    ratings = tuple(
        RatingTable(t.block_id, t.paths, tuple(map(float, row)), 10, 0, "feature", 1.0) for t, _, row, _ in tables
    )
    costs = tuple(
        CostTable(t.block_id, t.in_widths, t.paths, tuple(three(int(m), 1) for m in row)) for _, t, _, row in tables
    )
    result = Instance(instance.space, ratings, costs, three(0, 0)).solve(Budget())
    assert len(result.frontier) > 50
    for point in (result.frontier[3], result.frontier[len(result.frontier) // 2], result.frontier[-3]):
        assert point.predicted_loss == pytest.approx(integer_program(losses, madds, point.cost["madds"]))


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


def test_a_limit_on_what_was_not_measured_is_an_error(instance: Instance) -> None:
    costs = tuple(
        CostTable(t.block_id, t.in_widths, t.paths, tuple(three(c["madds"], c["num_params"]) for c in t.costs))
        for t in instance.costs
    )
    with pytest.raises(ArtifactError, match="latency_ms"):
        Instance(instance.space, instance.ratings, costs, instance.fixed).solve(Budget(latency_ms=1.0))


def test_a_cost_table_without_a_width_that_may_come_in_is_an_error() -> None:
    instance = make_instance(0, 2, 2, (8, 16))
    whole = instance.costs[1]
    narrow = CostTable(1, whole.in_widths[:4], whole.paths[:4], whole.costs[:4])
    with pytest.raises(ArtifactError, match=r"block 1 must have rows for every in_width.* none for 16"):
        Instance(instance.space, instance.ratings, (instance.costs[0], narrow), instance.fixed).solve(Budget())
