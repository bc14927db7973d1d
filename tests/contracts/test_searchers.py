"""Every searcher finds what brute force finds, with one limit, two or three, and where widths vary."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixnas.errors import InfeasibleBudgetError
from helixnas.results import Budget, Choice
from helixnas.search import ExactResult, best
from helixnas.search import program as programs
from tests.search.conftest import Instance, bound_cells, explode, let_fronts_explode, make_instance, slimmable_cells
from tests.search.test_exact import LIMITED, budget_at

OF_THE_BEST = "proven for the best; the next best are not given: too many architectures are nearly as good"
CELLS = [None, bound_cells, slimmable_cells]
Searcher = Callable[[Instance, Budget, int], ExactResult]


def by_fronts(instance: Instance, budget: Budget, num_best: int) -> ExactResult:
    return instance.solve(budget, num_best)


def without_fronts(instance: Instance, budget: Budget, num_best: int) -> ExactResult:
    """As where the fronts explode, but the merge of the rows that floors leave does not."""
    with pytest.MonkeyPatch.context() as patch:
        let_fronts_explode(patch)
        return instance.solve(budget, num_best)


def by_program(instance: Instance, budget: Budget, num_best: int) -> ExactResult:
    """HiGHS alone, first on few rows: no merge ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "_FEW", 1)
        patch.setattr(best, "_next_best", explode)
        return without_fronts(instance, budget, num_best)


SEARCHERS: list[Searcher] = [by_fronts, without_fronts, by_program]


def losses(choices: list[Choice] | tuple[Choice, ...]) -> list[float]:
    return [choice.predicted_loss for choice in choices]


def check(search: Searcher, instance: Instance, budget: Budget, num_best: int) -> None:
    fitting = [choice for choice in instance.everything if budget.admits(choice.cost)]
    if not fitting:
        with pytest.raises(InfeasibleBudgetError):
            search(instance, budget, num_best)
        return
    result = search(instance, budget, num_best)
    assert all(budget.admits(choice.cost) for choice in result.best)
    assert all(choice in fitting for choice in result.best)
    wanted = sorted(losses(fitting))[: len(result.best)]
    if search is by_program:  # it gives one
        assert result.best[0].predicted_loss == pytest.approx(wanted[0], rel=1e-9)
        assert result.optimality == ("proven" if num_best == 1 else OF_THE_BEST)
        return
    assert losses(result.best) == pytest.approx(wanted, rel=1e-12)
    assert len(result.best) == min(num_best, len(fitting))
    assert len(set(result.best)) == len(result.best)
    assert result.optimality == "proven"


@pytest.mark.parametrize("search", SEARCHERS)
@pytest.mark.parametrize("cells", CELLS, ids=["free", "bound", "slimmable"])
@pytest.mark.parametrize("names", LIMITED, ids="+".join)
def test_a_searcher_agrees_with_brute_force(
    search: Searcher, cells: Callable[..., object] | None, names: tuple[str, ...]
) -> None:
    for seed in range(6):
        widths = (8, 16, 32)[: 1 + seed % 3] if cells is None else (8, 16, 32)
        instance = make_instance(seed, 3, 3, widths, is_coarse=seed % 2 > 0, make_cells=cells)
        check(search, instance, budget_at(instance.everything, names, 0.16 * seed), 1 + seed % 5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    num_blocks=st.integers(1, 4),
    num_paths=st.integers(1, 4),
    share=st.floats(0, 1),
    num_best=st.integers(1, 20),
    names=st.sampled_from(LIMITED),
)
def test_the_search_without_fronts_agrees_with_brute_force_wherever_hypothesis_looks(
    seed: int, num_blocks: int, num_paths: int, share: float, num_best: int, names: tuple[str, ...]
) -> None:
    instance = make_instance(seed, num_blocks, num_paths, (8, 16))
    check(without_fronts, instance, budget_at(instance.everything, names, share), num_best)
