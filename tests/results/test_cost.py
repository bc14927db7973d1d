"""What a budget admits, and how it reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helixnas.errors import ConfigError
from helixnas.results import Budget
from helixnas.telling import quantity
from tests.costs import three

TEACHER = three(1000, 200, 4.0)


def test_budget_admits_a_cost_equal_to_the_limit() -> None:
    budget = Budget(madds=300, latency_ms=0.3)
    assert budget.admits(three(300, 10**9, 0.1 + 0.2))  # 0.30000000000000004
    assert not budget.admits(three(301, 1, 0.1))
    assert not budget.admits(three(1, 1, 0.31))


def test_a_share_is_of_the_teachers_own_cost() -> None:
    budget = Budget.resolve({"madds": "30%", "num_params": 150, "latency_ms": "50%"}, TEACHER)
    assert budget == Budget(madds=300.0, num_params=150, latency_ms=2.0)


def test_a_limit_on_what_was_not_measured_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"search\.budget\.latency_ms"):
        Budget.resolve({"latency_ms": "50%"}, three(1, 1))
    with pytest.raises(ConfigError, match=r"search\.budget\.latency_ms"):
        Budget(latency_ms=1.0).admits(three(1, 1))


@given(st.floats(1, 1e12), st.integers(1, 10**12))
def test_the_ceiling_for_arrays_is_what_admits_compares_with(limit: float, madds: int) -> None:
    budget = Budget(madds=limit)
    assert budget.admits(three(madds, 0)) == (madds <= budget.ceiling("madds"))
    assert budget.ceiling("num_params") == float("inf")


def test_costs_add_and_an_unmeasured_latency_stays_unmeasured() -> None:
    assert three(1, 2, 0.5) + three(3, 4, 0.25) == three(4, 6, 0.75)
    assert three(1, 2, 0.5) + three(3, 4) == three(4, 6, None)


def test_quantities_read_well() -> None:
    assert [quantity("madds", value) for value in (61.3e6, 385.8e6, 999, 4_900_000, 99.97e6)] == [
        "61.3M",
        "385.8M",
        "999",
        "4.90M",
        "100M",
    ]
    assert [quantity("latency_ms", value) for value in (1.944, 2.9, 120.04)] == ["1.94 ms", "2.90 ms", "120.0 ms"]
    assert str(Budget(madds=5e7)) == "madds <= 50.0M"
