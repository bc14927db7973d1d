import pytest

from helixnas.compare import Rival, random_rivals, sampled
from helixnas.results import Budget

from .conftest import Tables, make_tables

BUDGET = Budget(madds=20)


def drawn(tables: Tables, budget: Budget = BUDGET, num_rivals: int = 5, seed: int = 0) -> tuple[Rival, ...]:
    return random_rivals(tables.space, tables.costs, tables.fixed, budget, num_rivals, seed)


@pytest.fixture
def tables() -> Tables:
    return make_tables(0, num_blocks=3, is_monotone=False)


def test_they_are_distinct_and_take_90_to_100_percent_of_the_budget(tables: Tables) -> None:
    rivals = drawn(tables)
    assert [rival.key for rival in rivals] == [f"random_{index}" for index in range(5)]
    assert len({rival.arch_id for rival in rivals}) == 5
    for rival in rivals:
        assert rival.kind == "random"
        assert rival.cost == tables.cost(tables.space.parse(rival.arch_id))
        assert 18 <= rival.cost["madds"] <= 20


def test_of_several_limits_all_hold_and_one_is_nearly_used_up(tables: Tables) -> None:
    budget = Budget(madds=20, num_params=14)
    rivals = drawn(tables, budget)
    assert len(rivals) == 5
    assert all(budget.admits(rival.cost) for rival in rivals)
    assert all(rival.cost["madds"] >= 18 or rival.cost["num_params"] >= 12.6 for rival in rivals)


def test_a_seed_decides_which(tables: Tables) -> None:
    assert drawn(tables) == drawn(tables)
    assert drawn(tables) != drawn(tables, seed=1)
    assert drawn(tables, num_rivals=3) == drawn(tables)[:3]


def test_fewer_are_found_where_there_are_no_more(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "MAX_DRAWS", 2000)
    assert drawn(tables, Budget(madds=3)) == ()


def test_without_a_limit_every_draw_will_do(tables: Tables) -> None:
    assert len(drawn(tables, Budget())) == 5


def test_none_are_drawn_where_none_are_asked_for(tables: Tables) -> None:
    assert drawn(tables, num_rivals=0) == ()
