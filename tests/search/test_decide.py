"""The tables' optimum stands unless something measured clearly better within the budget."""

from dataclasses import replace

import pytest

from helixnas.results import Budget, Choice, Cost, Lead
from helixnas.search import ExactResult, decide

from .conftest import Instance

BUDGET = Budget(madds=40)
TIMED = Budget(madds=40, latency_ms=3.0)


@pytest.fixture
def exact(instance: Instance) -> ExactResult:
    return instance.solve(BUDGET, num_best=3)


def measured(
    choice: Choice, val_loss: float, latency_ms: float | None = None, *, lead: tuple[float, float] = (0.0, 0.0)
) -> Choice:
    """As ``refine`` tells it. ``lead``: the mean of the paired differences to the optimum, and their standard error."""
    return replace(choice, val_loss=val_loss, measured=Cost(latency_ms=latency_ms), lead=Lead(*lead, 270))


def test_without_trials_the_tables_alone_decide(exact: ExactResult) -> None:
    result = decide(exact, (), BUDGET)
    assert (result.chosen, result.chosen_by, result.num_trials) == (exact.best[0], "exact", 0)
    assert result.reason == "The tables alone decided: no architecture was measured."


@pytest.mark.parametrize(
    ("rival_loss", "lead", "words"),
    [
        (0.5, (0.0, 0.0), "higher by 0.0000"),
        (0.6, (-0.1, 0.01), "higher by 0.1000 (standard error 0.0100, n = 270 images)"),
        (0.48, (0.02, 0.02), "lower by 0.0200 (standard error 0.0200, n = 270 images)"),  # not more than one
        (0.4, (0.1, 0.3), "lower by 0.1000 (standard error 0.3000, n = 270 images)"),
    ],
)
def test_the_optimum_stands_when_no_trial_is_clearly_better(
    exact: ExactResult, rival_loss: float, lead: tuple[float, float], words: str
) -> None:
    trials = (measured(exact.best[1], rival_loss, lead=lead), measured(exact.best[0], 0.5))
    result = decide(exact, trials, BUDGET)
    assert (result.chosen, result.exact, result.chosen_by) == (trials[1], trials[1], "exact")
    assert "Of the 2 measured architectures within the budget none has a validation loss that is lower" in result.reason
    assert "0.5000, by more than one standard error" in result.reason
    assert f"{rival_loss:.4f}, is {words}" in result.reason


def test_the_optimum_alone_stands(exact: ExactResult) -> None:
    result = decide(exact, (measured(exact.best[0], 0.5),), BUDGET)
    assert result.chosen_by == "exact"
    assert result.reason.endswith("optimum's, 0.5000, by more than one standard error.")


def test_of_the_trials_that_are_clearly_better_the_one_of_lowest_loss_is_taken(exact: ExactResult) -> None:
    trials = (
        measured(exact.best[0], 0.5),
        measured(exact.best[1], 0.3, lead=(0.2, 0.19)),
        measured(exact.best[2], 0.25, lead=(0.25, 0.26)),  # the lowest, but it may be luck
    )
    result = decide(exact, trials, BUDGET)
    assert (result.chosen, result.exact, result.chosen_by) == (trials[1], trials[0], "refine")
    assert "0.3000, is lower by 0.2000 (standard error 0.1900, n = 270 images)" in result.reason
    assert "the tables' optimum's, 0.5000: of 3 within the budget" in result.reason
    assert (result.best, result.frontier, result.num_trials) == (exact.best, exact.frontier, 3)


def test_a_trial_that_misses_the_latency_limit_overturns_nothing(exact: ExactResult) -> None:
    trials = (measured(exact.best[0], 0.5, 2.9), measured(exact.best[1], 0.25, 3.1, lead=(0.25, 0.01)))
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
    assert result.reason.startswith("None of the 2 measured architectures met latency_ms <= 3")


def test_tables_without_trust_have_no_advantage(exact: ExactResult) -> None:
    trials = (
        measured(exact.best[0], 0.5),
        measured(exact.best[1], 0.49, lead=(0.01, 0.2)),  # lower, by less than a standard error
        measured(exact.best[2], 0.3, 3.1, lead=(0.2, 0.01)),  # over the limit
    )
    assert decide(exact, trials[:2], BUDGET).chosen == trials[0]
    limited = [replace(trial, measured=Cost(latency_ms=2.0)) for trial in trials[:2]]
    result = decide(exact, [*limited, trials[2]], TIMED, distrust="No order is shown.")
    assert (result.chosen, result.chosen_by) == (limited[1], "refine")
    assert result.reason.startswith("No order is shown. As search.fallback says, the best measured one was taken")
    assert "0.4900, is the lowest of 2 within the budget" in result.reason


def test_without_trust_and_without_trials_the_tables_are_all_there_is(exact: ExactResult) -> None:
    assert decide(exact, (), BUDGET, distrust="No order is shown.").chosen == exact.best[0]


def test_an_optimum_that_was_not_measured_cannot_be_overturned(exact: ExactResult) -> None:
    result = decide(exact, (measured(exact.best[1], 0.0),), BUDGET)
    assert (result.chosen, result.chosen_by) == (exact.best[0], "exact")
    assert "their optimum is not among the 1 measured" in result.reason
