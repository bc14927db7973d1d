"""Where fronts explode: what is proven, what is only found, what is infeasible and what is out of time."""

import re

import numpy as np
import pytest

from helixnas.errors import InfeasibleBudgetError, OutOfTimeError
from helixnas.results import Budget
from helixnas.search import large
from helixnas.search import merge as merging
from helixnas.search.large import best_within
from helixnas.search.merge import FrontsExplodeError, merge
from helixnas.search.options import BlockOptions
from helixnas.search.program import solve_program
from helixnas.search.relax import relax

from .conftest import make_instance
from .test_exact import budget_at

TWO = ("madds", "num_params")


def blocks(num_blocks: int, num_paths: int, num_costs: int = 2, seed: int = 0) -> list[BlockOptions]:
    rng = np.random.default_rng(seed)
    width, values = np.ones(num_paths, dtype=np.int64), rng.random((num_blocks, num_paths, 1 + num_costs))
    is_max = np.zeros(1 + num_costs, dtype=bool)
    return [BlockOptions(width, width, np.arange(num_paths), block, is_max) for block in values]


def knife_edge(num_blocks: int = 30, num_paths: int = 20) -> list[BlockOptions]:
    """Two costs that add up to the same, whatever is chosen: both limits meet in a point that hardly any sum hits."""
    made = blocks(num_blocks, num_paths)
    for block in made:
        block.values[:, 2] = 1 - block.values[:, 1]
    return made


EDGE = np.array([12.3456789, 30 - 12.3456789])


@pytest.fixture
def exploding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "_MOST_SUMS", 0)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A beam of one part: it proves nothing."""
    monkeypatch.setattr(large, "_BEAMS", (1,))
    monkeypatch.setattr(large, "_CORE", (2,))
    monkeypatch.setattr(large, "_SMALL", 1)


def test_fronts_of_two_costs_explode_and_those_of_one_do_not() -> None:
    made = blocks(20, 200)
    with pytest.raises(FrontsExplodeError):
        merge(made, np.zeros(3))
    one = [b.part(np.arange(len(b.path)), [0, 1]) for b in made]
    assert len(merge(one, np.zeros(2))[0][1].sums) > 100


def test_twenty_blocks_of_200_paths_and_two_limits_are_proven() -> None:
    found = best_within(blocks(20, 200), np.array([5.0, 5.0]), 3, 60)
    assert found.floor == pytest.approx(found.loss(1), rel=1e-9)


def test_highs_agrees_where_it_answers_at_once() -> None:
    made, limits = blocks(6, 20), np.array([1.5, 1.5])
    found = best_within(made, limits, 3, 60)
    program = solve_program(made, limits, 1.0, 600)
    assert program.rows is not None
    assert sum(b.values[row, 0] for b, row in zip(made, program.rows, strict=True)) == pytest.approx(found.loss(1))


def test_no_architecture_is_below_the_floor_of_its_rows() -> None:
    made, limits = blocks(3, 6), np.array([1.2, 1.5])
    through = relax(made, limits).through()
    for rows in np.ndindex(6, 6, 6):
        sums = sum(block.values[row] for block, row in zip(made, rows, strict=True))
        if (sums[1:] <= limits).all():
            assert all(floor[row] <= sums[0] + 1e-12 for floor, row in zip(through, rows, strict=True))


def test_a_beam_of_one_leaves_the_proof_to_highs(exploding: None, narrow: None) -> None:
    for seed in range(20):
        made = make_instance(seed, 3, 4, (8, 16), is_coarse=False)
        budget = budget_at(made.everything, TWO, 0.3)
        fitting = [choice for choice in made.everything if budget.admits(choice.cost)]
        if fitting:
            result = made.solve(budget, 3)
            assert result.best[0] == min(fitting, key=lambda choice: choice.predicted_loss)
            assert result.optimality.startswith("proven")


def test_a_limit_on_a_maximum_leaves_rows_out_and_the_rest_is_proven(exploding: None) -> None:
    num_changed = 0
    for seed in range(30):
        made = make_instance(seed, 3, 4, (8, 16), is_coarse=False)
        budget = budget_at(made.everything, (*TWO, "peak_memory_bytes"), 0.25)
        fitting = sorted(c.predicted_loss for c in made.everything if budget.admits(c.cost))
        result = made.solve(budget, 3)
        assert [choice.predicted_loss for choice in result.best] == fitting[:3]
        assert result.optimality == "proven"
        num_changed += made.solve(budget.only(TWO), 3).best != result.best
    assert num_changed > 10


def test_out_of_time_gives_the_best_that_was_found_and_its_gap(exploding: None, narrow: None) -> None:
    told = set()
    for seed in range(20):
        made = make_instance(seed, 3, 5, is_coarse=False)
        budget = budget_at(made.everything, TWO, 0.5)
        optimum = min(c.predicted_loss for c in made.everything if budget.admits(c.cost))
        try:
            result = made.solve(budget, 1, time_limit_s=1e-9)
        except OutOfTimeError:
            continue
        loss = result.best[0].predicted_loss
        gap = re.match(
            r"within ([\d.e-]+) of its predicted_loss, when search.time_limit_s = 1e-09 was over", result.optimality
        )
        told.add(gap is not None)
        assert loss * (1 - float(gap[1]) * 1.05 if gap else 1) <= optimum <= loss
    assert True in told  # whether a bound closes the gap without the program depends on the instance


def test_out_of_time_without_any_is_told_from_infeasible(exploding: None, narrow: None) -> None:
    faults = set()
    for seed in range(20):
        made = make_instance(seed, 3, 5, is_coarse=False)
        for share in (0.02, 0.15):
            budget = budget_at(made.everything, TWO, share)
            is_feasible = any(budget.admits(choice.cost) for choice in made.everything)
            for seconds, wanted in ((1e-9, OutOfTimeError), (60, InfeasibleBudgetError)):
                try:
                    made.solve(budget, 1, time_limit_s=seconds)
                except (OutOfTimeError, InfeasibleBudgetError) as error:
                    faults.add(type(error))
                    assert isinstance(error, wanted) or not is_feasible
                    assert not (is_feasible and isinstance(error, InfeasibleBudgetError))
                    assert not (seconds == 60 and isinstance(error, OutOfTimeError))
    assert faults == {OutOfTimeError, InfeasibleBudgetError}


def test_a_sum_that_highs_takes_for_within_but_is_over_is_not_given() -> None:
    made = knife_edge()
    answer = solve_program(made, EDGE, 1.0, 0.5)
    if answer.rows is not None:
        sums = sum(block.values[row] for block, row in zip(made, answer.rows, strict=True))
        assert (sums[1:] <= EDGE * (1 + 1e-12)).all()


def test_limits_apart_are_mended_by_what_the_message_asks_for(exploding: None) -> None:
    made = make_instance(3, 3, 5)
    least = {name: min(choice.cost[name] for choice in made.everything) for name in TWO}
    with pytest.raises(InfeasibleBudgetError, match="not all together") as caught:
        made.solve(Budget(**least))
    asked = re.search(r"Raise search\.budget\.(\w+) to at least (\d+) ", str(caught.value))
    assert asked is not None
    assert made.solve(Budget(**{**least, asked[1]: float(asked[2])})).best


def test_without_fronts_the_frontier_holds_each_costs_own(exploding: None) -> None:
    made = make_instance(1, 3, 5)
    budget = budget_at(made.everything, TWO, 0.8)
    result = made.solve(budget)
    for name in TWO:
        own = [choice.predicted_loss for choice in made.solve(Budget(**{name: budget[name]})).frontier]
        assert set(own) <= {choice.predicted_loss for choice in result.frontier}
