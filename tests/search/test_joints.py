"""Spaces where not every path may follow every other: the width that is handed on is the exact search's state."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from optuna.trial import TrialState

from helixnas.results import Budget, Choice
from helixnas.search import extreme
from helixnas.search_space import Architecture
from tests.search.conftest import Instance, bound_cells, make_instance, slimmable_cells
from tests.search.test_exact import LIMITED, check
from tests.search.test_refine import Bench, search, study_in


@pytest.fixture
def new_instance() -> Callable[[int], Instance]:
    return lambda seed: make_instance(seed, num_blocks=3, num_paths=2, widths=(8, 16, 32), make_cells=bound_cells)


@pytest.mark.parametrize("names", LIMITED, ids="+".join)
def test_search_equals_brute_force_over_what_joins(
    new_instance: Callable[[int], Instance], names: tuple[str, ...]
) -> None:
    for seed in range(20):
        check(new_instance(seed), names, share=0.3 + 0.03 * seed, num_best=1 + seed % 4)


@pytest.mark.parametrize("names", LIMITED, ids="+".join)
def test_search_equals_brute_force_where_the_last_choice_is_the_width(names: tuple[str, ...]) -> None:
    for seed in range(20):
        instance = make_instance(seed, num_blocks=3, num_paths=2, widths=(8, 16, 32), make_cells=slimmable_cells)
        assert instance.space.num_architectures == len(instance.everything) == 6**3
        check(instance, names, share=0.3 + 0.03 * seed, num_best=1 + seed % 4)


def test_the_number_of_architectures_is_that_of_those_that_join(new_instance: Callable[[int], Instance]) -> None:
    instance = new_instance(0)
    every = list(product(*(list(block.paths()) for block in instance.space.blocks)))
    assert instance.space.num_architectures == len(instance.everything) < len(every)


def test_the_least_and_the_most_join(new_instance: Callable[[int], Instance]) -> None:
    for seed in range(20):
        instance = new_instance(seed)
        values = [choice.cost["madds"] for choice in instance.everything]
        for is_largest, wanted in ((False, min(values)), (True, max(values))):
            found = extreme(instance.space, instance.costs, "madds", largest=is_largest)
            assert instance.space.joins(found)
            assert instance.price(found).cost["madds"] == wanted


def test_refine_measures_only_what_joins_and_records_the_rest_as_infeasible(
    new_instance: Callable[[int], Instance], tmp_path: Path
) -> None:
    instance = new_instance(3)
    budget = Budget(madds=40)

    def trials() -> tuple[Choice, ...]:
        return search(instance, tmp_path / "journal", bench, budget, num_trials=20)

    bench = Bench(instance)
    measured = trials()
    assert measured
    assert all(instance.space.joins(architecture) for architecture in bench.asked)
    proposed = study_in(tmp_path / "journal").trials
    blocks = instance.space.blocks
    for trial in proposed:
        paths = (b.parse_path(key) for b, key in zip(blocks, trial.params.values(), strict=True))
        if not instance.space.joins(Architecture(tuple(paths))):
            assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"joins": 1.0})
    assert any("joins" in trial.constraints for trial in proposed)
    assert trials() == measured  # read back from the journal
    assert len(bench.asked) == len(measured)
