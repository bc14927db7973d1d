"""Refine on a made-up measurement: seeded, sparing, within the budget, and the same after any kill."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from helixnas.progress import silent
from helixnas.results import Budget, Choice, Cost
from helixnas.search import Measurement, decide, refine
from helixnas.search_space import Architecture

from .conftest import Instance, make_instance

NUM_TRIALS = 12
IMAGES = np.linspace(0.5, 1.5, 20)
"""How hard each image is; the mean is 1."""
BUDGET = Budget(madds=25)


@pytest.fixture
def instance() -> Instance:
    return make_instance(seed=2, num_blocks=4, num_paths=8)


class Bench:
    """Keeps what it was asked; tells the predicted loss and latency, with noise of the arch_id's own. Images agree."""

    def __init__(self, instance: Instance, *, is_timed: bool = False) -> None:
        self._price, self._is_timed = instance.price, is_timed
        self.asked: list[Architecture] = []

    def __call__(self, architecture: Architecture) -> Measurement:
        self.asked.append(architecture)
        noise = np.random.default_rng(list(architecture.arch_id.encode())).uniform(0.8, 1.2)
        choice = self._price(architecture)
        latency_ms = choice.cost["latency_ms"] * noise if self._is_timed else None
        return Measurement((choice.predicted_loss + 0.1) * noise * IMAGES, Cost(latency_ms=latency_ms))


def search(
    instance: Instance,
    journal: Path,
    objective: Callable[[Architecture], Measurement],
    budget: Budget = BUDGET,
    *,
    num_trials: int = NUM_TRIALS,
    seed: int = 0,
    progress: Callable[[int, int], None] = silent,
) -> tuple[Choice, ...]:
    return refine(
        instance.space,
        seeds=instance.solve(budget, num_best=4).best,
        price=instance.price,
        objective=objective,
        budget=budget,
        num_trials=num_trials,
        seed=seed,
        journal=journal,
        progress=progress,
    )


def study_in(journal: Path) -> optuna.Study:
    return optuna.load_study(study_name="refine", storage=JournalStorage(JournalFileBackend(str(journal))))


def proposals(journal: Path) -> list[dict[str, str]]:
    return [trial.params for trial in study_in(journal).trials if trial.state != TrialState.FAIL]


def test_the_seeds_are_measured_first_and_best_first(instance: Instance, tmp_path: Path) -> None:
    bench = Bench(instance)
    search(instance, tmp_path / "journal", bench)
    assert bench.asked[:4] == [choice.architecture for choice in instance.solve(BUDGET, 4).best]


def test_as_many_distinct_architectures_are_measured_as_asked_and_none_twice(
    instance: Instance, tmp_path: Path
) -> None:
    bench = Bench(instance)
    trials = search(instance, tmp_path / "journal", bench)
    assert [trial.architecture for trial in trials] == bench.asked
    assert len(set(bench.asked)) == NUM_TRIALS
    assert all(trial.val_loss == bench(trial.architecture).losses.mean() for trial in trials)
    assert len(proposals(tmp_path / "journal")) > NUM_TRIALS  # some were repeated or over budget, and were not measured


def test_an_architecture_over_budget_is_recorded_infeasible_and_not_measured(
    instance: Instance, tmp_path: Path
) -> None:
    bench = Bench(instance)
    search(instance, tmp_path / "journal", bench)
    assert all(BUDGET.admits(instance.price(architecture).cost) for architecture in bench.asked)
    skipped = [trial for trial in study_in(tmp_path / "journal").trials if trial.state == TrialState.PRUNED]
    assert skipped
    for trial in skipped:
        cost = instance.price(instance.space.parse("-".join(trial.params.values()))).cost
        assert trial.value is None
        assert trial.constraints["madds"] == pytest.approx((cost["madds"] - 25) / 25)
        assert trial.constraints["madds"] > 0


def test_measured_latency_is_the_constraint_and_the_tables_estimate_is_not(instance: Instance, tmp_path: Path) -> None:
    budget = Budget(latency_ms=float(np.quantile([c.cost["latency_ms"] for c in instance.everything], 0.05)))
    trials = search(instance, tmp_path / "journal", Bench(instance, is_timed=True), budget)
    by_architecture = {trial.architecture: trial for trial in trials}
    for record in study_in(tmp_path / "journal").trials:
        trial = by_architecture[instance.space.parse("-".join(record.params.values()))]
        assert (record.constraints["latency_ms"] <= 0) == (trial.measured["latency_ms"] <= budget.ceiling("latency_ms"))
    assert any(not budget.admits(trial.cost) for trial in trials)  # the estimate was over, measured all the same


def test_paths_come_from_each_blocks_own_frontier_or_from_the_seeds(instance: Instance, tmp_path: Path) -> None:
    search(instance, tmp_path / "journal", Bench(instance))
    contenders = instance.price.contenders(BUDGET)
    seeds = instance.solve(BUDGET, num_best=4).best
    for params in proposals(tmp_path / "journal"):
        for block_id, keys in enumerate(contenders):
            assert params[f"block_{block_id}"] in {*keys, *(s.architecture.paths[block_id].key for s in seeds)}


def test_the_search_ends_when_every_combination_was_tried(tmp_path: Path) -> None:
    instance = make_instance(seed=0, num_blocks=1, num_paths=3)
    bench = Bench(instance)
    trials = search(instance, tmp_path / "journal", bench, Budget(madds=1000), num_trials=50)
    assert 1 <= len(trials) == len(bench.asked) <= 3
    assert len(proposals(tmp_path / "journal")) < 50


def test_a_loss_that_is_no_number_is_recorded_and_never_wins(instance: Instance, tmp_path: Path) -> None:
    exact = instance.solve(BUDGET, num_best=4)
    bench = Bench(instance)

    def broken(architecture: Architecture) -> Measurement:
        is_second = architecture == exact.best[1].architecture
        return Measurement(IMAGES * float("nan")) if is_second else bench(architecture)

    trials = search(instance, tmp_path / "journal", broken)
    second = [trial for trial in trials if trial.architecture == exact.best[1].architecture]
    assert [(trial.val_loss, trial.lead) for trial in second] == [(float("inf"), None)]
    assert decide(exact, trials, BUDGET).chosen.val_loss < float("inf")


def test_a_loss_of_the_optimum_that_is_no_number_gives_way_to_any_number(instance: Instance, tmp_path: Path) -> None:
    exact = instance.solve(BUDGET, num_best=4)
    bench = Bench(instance)

    def broken(architecture: Architecture) -> Measurement:
        is_first = architecture == exact.best[0].architecture
        return Measurement(IMAGES * float("inf")) if is_first else bench(architecture)

    result = decide(exact, search(instance, tmp_path / "journal", broken), BUDGET)
    assert result.chosen_by == "refine"
    assert result.chosen.val_loss < float("inf")


def test_a_trial_is_compared_with_the_optimum_image_by_image(instance: Instance, tmp_path: Path) -> None:
    bench = Bench(instance)
    trials = search(instance, tmp_path / "journal", bench)
    for trial in trials:
        differences = bench(trials[0].architecture).losses - bench(trial.architecture).losses
        assert trial.lead.mean == pytest.approx(trials[0].val_loss - trial.val_loss)
        assert trial.lead.standard_error == pytest.approx(np.std(differences, ddof=1) / np.sqrt(20))
        assert trial.lead.num_images == 20
    assert trials[0].architecture == instance.solve(BUDGET, 1).best[0].architecture


@pytest.mark.parametrize(("spread", "chosen_by"), [(0.3, "exact"), (0.01, "refine")])
def test_a_lower_loss_that_images_disagree_about_overturns_nothing(
    instance: Instance, tmp_path: Path, spread: float, chosen_by: str
) -> None:
    """All others are lower by 0.02: every other image says more, and the rest say less, or nearly the same."""
    exact = instance.solve(BUDGET, num_best=4)

    def objective(architecture: Architecture) -> Measurement:
        lead = 0.02 + spread * np.resize([1.0, -1.0], 20)
        return Measurement(IMAGES - lead * (architecture != exact.best[0].architecture))

    trials = search(instance, tmp_path / "journal", objective)
    assert min(trials, key=lambda trial: trial.val_loss).architecture != exact.best[0].architecture
    assert decide(exact, trials, BUDGET).chosen_by == chosen_by


def test_the_trials_can_confirm_the_exact_choice_or_overturn_it(instance: Instance, tmp_path: Path) -> None:
    exact = instance.solve(BUDGET, num_best=4)
    price = instance.price
    confirmed = search(instance, tmp_path / "a", lambda a: Measurement(price(a).predicted_loss * IMAGES))
    assert decide(exact, confirmed, BUDGET).chosen_by == "exact"
    overturned = search(instance, tmp_path / "b", lambda a: Measurement(-price(a).predicted_loss * IMAGES))
    assert decide(exact, overturned, BUDGET).chosen_by == "refine"


def test_the_same_seed_gives_the_same_trials_and_another_seed_others(instance: Instance, tmp_path: Path) -> None:
    first, again, other = (
        search(instance, tmp_path / name, Bench(instance), seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 9))
    )
    assert first == again
    assert first != other


def test_progress_counts_measured_architectures_and_ends_full(instance: Instance, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    search(instance, tmp_path / "journal", Bench(instance), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, NUM_TRIALS), (NUM_TRIALS, NUM_TRIALS))


class Power(BaseException):
    """Power fails."""


@pytest.mark.parametrize("num_before", [0, 3, 6, 11])
def test_a_search_cut_off_inside_a_trial_ends_with_the_same_trials(
    instance: Instance, tmp_path: Path, num_before: int
) -> None:
    whole = search(instance, tmp_path / "whole", Bench(instance))
    bench = Bench(instance)

    def fails(architecture: Architecture) -> Measurement:
        if len(bench.asked) == num_before:
            raise Power
        return bench(architecture)

    with pytest.raises(Power):
        search(instance, tmp_path / "cut", fails)
    assert [trial.state for trial in study_in(tmp_path / "cut").trials][-1] == TrialState.RUNNING
    rest = Bench(instance)
    assert search(instance, tmp_path / "cut", rest) == whole
    assert proposals(tmp_path / "cut") == proposals(tmp_path / "whole")
    # what was measured before is not measured again, but for the optimum, with which the rest is compared
    reference = instance.solve(BUDGET, 1).best[0].architecture
    assert rest.asked.count(reference) == 1
    assert len(rest.asked) == NUM_TRIALS - num_before + bool(num_before)


def test_a_search_cut_off_with_a_seed_enqueued_but_not_begun_proposes_it_once(
    instance: Instance, tmp_path: Path
) -> None:
    whole = search(instance, tmp_path / "whole", Bench(instance))

    def fails(_: Architecture) -> Measurement:
        raise Power

    with pytest.raises(Power):
        search(instance, tmp_path / "cut", fails)
    study_in(tmp_path / "cut").enqueue_trial(proposals(tmp_path / "whole")[0])
    assert search(instance, tmp_path / "cut", Bench(instance)) == whole
    assert proposals(tmp_path / "cut") == proposals(tmp_path / "whole")


def test_a_finished_search_measures_nothing_when_run_again(instance: Instance, tmp_path: Path) -> None:
    whole = search(instance, tmp_path / "journal", Bench(instance))
    idle = Bench(instance)
    assert search(instance, tmp_path / "journal", idle) == whole
    assert not idle.asked


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from tests.search.conftest import make_instance
    from tests.search.test_refine import Bench, search

    instance = make_instance(seed=2, num_blocks=4, num_paths=8)
    bench = Bench(instance)

    def objective(architecture):
        if len(bench.asked) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return bench(architecture)

    search(instance, Path(sys.argv[1]), objective)
"""


def test_a_search_killed_outright_again_and_again_ends_with_the_same_trials(instance: Instance, tmp_path: Path) -> None:
    for num_before in (5, 2):  # the second run goes on from the first one's five
        script = [sys.executable, "-c", textwrap.dedent(KILLED), "journal", str(num_before)]
        paths = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
        killed = subprocess.run(
            script, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, check=False, capture_output=True
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    whole = search(instance, tmp_path / "whole", Bench(instance))
    rest = Bench(instance)
    assert search(instance, tmp_path / "journal", rest) == whole
    # the second run measured the optimum anew and one trial more; the third the optimum and what is left
    assert len(rest.asked) == 1 + NUM_TRIALS - 6
