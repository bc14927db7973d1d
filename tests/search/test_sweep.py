"""Students proposed and measured as assembled: spread over the tables' predictions, in the band, none twice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from helixnas.progress import silent
from helixnas.results import Budget
from helixnas.search import Ledger, Measurement, propose, sweep
from helixnas.search.measured.sweep import GROUP
from helixnas.search_space import Architecture

from .conftest import Instance, bound_cells, make_instance, slimmable_cells

BUDGET = Budget(madds=60)


@pytest.fixture
def instance() -> Instance:
    return make_instance(seed=2, num_blocks=6, num_paths=8, is_coarse=False)


def proposed(instance: Instance, num_students: int, budget: Budget = BUDGET, seed: int = 0) -> list[Architecture]:
    return propose(instance.price, instance.solve(budget, 10).best, budget, num_students, seed)


def test_the_best_come_first_and_the_others_lie_in_the_band(instance: Instance) -> None:
    some = proposed(instance, 60)
    assert some[:10] == [choice.architecture for choice in instance.solve(BUDGET, 10).best]
    assert len(set(some)) == 60
    madds = [instance.price(each).cost["madds"] for each in some]
    assert all(54 <= value <= 60 for value in madds[10:])
    assert max(madds) <= 60


def test_samples_spread_evenly_over_what_the_tables_predict(instance: Instance) -> None:
    losses = sorted(instance.price(each).predicted_loss for each in proposed(instance, 40)[10:])
    gaps = np.diff(losses)
    assert gaps.max() < 4 * (losses[-1] - losses[0]) / len(gaps)
    assert set(proposed(instance, 25)) < set(proposed(instance, 40))
    everything = [choice.predicted_loss for choice in instance.solve(BUDGET, 500).best]
    assert losses[0] <= everything[-1]  # among the best few of 260,000, which draws over all paths would hardly find


def test_the_same_seed_proposes_the_same_and_another_seed_others(instance: Instance) -> None:
    assert proposed(instance, 30) == proposed(instance, 30)
    assert proposed(instance, 30) != proposed(instance, 30, seed=1)


@pytest.mark.parametrize("cells", [None, bound_cells, slimmable_cells], ids=["free", "bound", "slimmable"])
def test_what_is_proposed_joins_and_fits_every_limit(cells: object) -> None:
    instance = make_instance(3, 4, 3, (8, 16, 32), make_cells=cells)  # type: ignore[arg-type]
    budget = Budget(madds=50, peak_memory_bytes=8)
    some = proposed(instance, 30, budget)
    assert len(some) > 12
    assert all(instance.space.joins(each) and budget.admits(instance.price(each).cost) for each in some)


def test_a_small_space_is_proposed_as_a_whole_without_a_limit() -> None:
    instance = make_instance(0, 2, 3)
    assert len(set(proposed(instance, 50, Budget()))) == len(instance.everything) == 9
    assert len(proposed(instance, 1, Budget())) == 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_budget_that_few_draws_hit_is_hit_all_the_same(share: float) -> None:
    """Twenty blocks: the costs of equally likely paths lie within 20 % of their mean, all but always."""
    instance = make_instance(5, 20, 12, is_coarse=False)
    madds = [[cost["madds"] for cost in table.costs] for table in instance.costs]
    low, high = (3 + sum(map(least, madds)) for least in (min, max))
    budget = Budget(madds=low + share * (high - low))
    some = proposed(instance, 80, budget)
    assert len(some) == 80
    assert all(budget["madds"] * 0.9 <= instance.price(each).cost["madds"] <= budget["madds"] for each in some[10:])


def test_a_limit_out_of_reach_is_no_limit(instance: Instance) -> None:
    assert len(proposed(instance, 40, Budget(madds=10_000))) == 40
    assert len(proposed(instance, 40, Budget(madds=60, num_params=10_000))) == 40


class Bench:
    """Keeps the groups that it was asked for."""

    def __init__(self, num_allowed: int = 10**6) -> None:
        self.groups: list[list[Architecture]] = []
        self._num_allowed = num_allowed

    def __call__(self, some: Sequence[Architecture], epochs: int) -> list[Measurement]:
        assert epochs == 0
        if len(self.groups) == self._num_allowed:
            raise KeyboardInterrupt
        self.groups.append(list(some))
        return [Measurement(np.arange(3.0) + len(each.arch_id) + each.paths[0].choices[0]) for each in some]


def test_students_are_measured_in_groups_with_like_beginnings(instance: Instance, tmp_path: Path) -> None:
    some, bench = proposed(instance, GROUP + 30), Bench()
    optimum = some[0]
    told = sweep(some, Ledger(tmp_path / "journal", instance.price, optimum, bench), silent)
    assert [choice.architecture for choice in told] == some
    assert [len(group) for group in bench.groups] in ([GROUP + 1, 29], [GROUP, 30])  # with the optimum in the first
    first = [group[-1].paths[0].choices for group in bench.groups]
    assert first == sorted(first)
    assert all(
        choice.val_loss == 1.0 + len(choice.architecture.arch_id) + choice.architecture.paths[0].choices[0]
        for choice in told
    )


def test_a_sweep_that_was_cut_off_measures_the_rest_alone(instance: Instance, tmp_path: Path) -> None:
    some = proposed(instance, GROUP + 30)
    whole = sweep(some, Ledger(tmp_path / "whole", instance.price, some[0], Bench()), silent)
    with pytest.raises(KeyboardInterrupt):
        sweep(some, Ledger(tmp_path / "cut", instance.price, some[0], Bench(num_allowed=1)), silent)
    rest = Bench()
    assert sweep(some, Ledger(tmp_path / "cut", instance.price, some[0], rest), silent) == whole
    assert sum(map(len, rest.groups)) in (29, 30)
    idle = Bench(num_allowed=0)
    assert sweep(some, Ledger(tmp_path / "cut", instance.price, some[0], idle), silent) == whole


def test_another_optimum_starts_anew(instance: Instance, tmp_path: Path) -> None:
    some = proposed(instance, 12)
    sweep(some, Ledger(tmp_path / "journal", instance.price, some[0], Bench()), silent)
    again = Bench()
    told = sweep(some, Ledger(tmp_path / "journal", instance.price, some[1], again), silent)
    assert sum(map(len, again.groups)) == 12
    assert told[1].lead is not None
    assert told[1].lead.mean == 0
