"""The tables' optimum stands unless something measured better within the budget."""

from dataclasses import replace

import pytest

from helixnas.search import ExactResult, decide
from helixnas.search_space import Budget, Choice

from .conftest import Instance

BUDGET = Budget(madds=40)
TIMED = Budget(madds=40, latency_ms=3.0)


@pytest.fixture
def exact(instance: Instance) -> ExactResult:
    return instance.solve(BUDGET, num_best=3)


def measured(choice: Choice, val_loss: float, latency_ms: float | None = None) -> Choice:
    return replace(choice, val_loss=val_loss, measured_latency_ms=latency_ms)


def test_without_trials_the_tables_alone_decide(exact: ExactResult) -> None:
    result = decide(exact, (), BUDGET)
    assert (result.chosen, result.chosen_by, result.num_trials) == (exact.best[0], "exact", 0)
    assert result.reason == "The tables alone decided: no architecture was measured."


@pytest.mark.parametrize("rival_loss", [0.5, 0.6])
def test_the_optimum_stands_when_no_trial_is_better(exact: ExactResult, rival_loss: float) -> None:
    trials = (measured(exact.best[1], rival_loss), measured(exact.best[0], 0.5))
    result = decide(exact, trials, BUDGET)
    assert (result.chosen, result.exact, result.chosen_by) == (trials[1], trials[1], "exact")
    assert "Of the 2 measured architectures within the budget none has a lower" in result.reason
    assert "0.5000" in result.reason


def test_a_trial_of_lower_loss_overturns_the_optimum(exact: ExactResult) -> None:
    trials = (measured(exact.best[0], 0.5), measured(exact.best[1], 0.25), measured(exact.best[2], 0.3))
    result = decide(exact, trials, BUDGET)
    assert (result.chosen, result.exact, result.chosen_by) == (trials[1], trials[0], "refine")
    assert "0.2500, is the lowest of 3" in result.reason
    assert "optimum has 0.5000" in result.reason
    assert (result.best, result.frontier, result.num_trials) == (exact.best, exact.frontier, 3)


def test_a_trial_that_misses_the_latency_limit_overturns_nothing(exact: ExactResult) -> None:
    trials = (measured(exact.best[0], 0.5, 2.9), measured(exact.best[1], 0.25, 3.1))
    result = decide(exact, trials, TIMED)
    assert (result.chosen, result.chosen_by) == (trials[0], "exact")


def test_an_optimum_that_misses_the_latency_limit_gives_way_to_one_that_meets_it(exact: ExactResult) -> None:
    trials = (measured(exact.best[0], 0.25, 3.1), measured(exact.best[1], 0.5, 3.0))
    result = decide(exact, trials, TIMED)
    assert (result.chosen, result.chosen_by) == (trials[1], "refine")
    assert "optimum measured 3.10 ms, over the limit" in result.reason


def test_the_optimum_stands_when_nobody_meets_the_latency_limit(exact: ExactResult) -> None:
    trials = (measured(exact.best[0], 0.5, 3.1), measured(exact.best[1], 0.25, 3.1))
    result = decide(exact, trials, TIMED)
    assert (result.chosen, result.chosen_by) == (trials[0], "exact")
    assert result.reason.startswith("None of the 2 measured architectures met latency_ms <= 3 ")


def test_an_optimum_that_was_not_measured_cannot_be_overturned(exact: ExactResult) -> None:
    result = decide(exact, (measured(exact.best[1], 0.0),), BUDGET)
    assert (result.chosen, result.chosen_by) == (exact.best[0], "exact")
    assert "their optimum is not among the 1 measured" in result.reason
