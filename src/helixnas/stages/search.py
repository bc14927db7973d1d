"""search: the proven optimum from the tables, then what is really measured, and how far the tables can be trusted."""

import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from helixnas import artifacts
from helixnas.artifacts import CACHE, exclusive, save_text
from helixnas.config import RunConfig
from helixnas.data import derive_seed
from helixnas.errors import DistrustError
from helixnas.handover.measuring import BriefTraining, Students, measured_files
from helixnas.handover.setting import Setting, begin, clear
from helixnas.handover.space import load_space
from helixnas.handover.tables import load_costs, load_outer_costs, load_ratings
from helixnas.progress import Progress
from helixnas.results import Budget, Choice, Cost, CostTable, Trust, search_result_to_json, trust_to_json
from helixnas.search import (
    ExactResult,
    Ledger,
    Loop,
    Measurement,
    Pricer,
    Rung,
    close_loop,
    decide,
    frontier_table,
    halve,
    loop_from_json,
    num_epochs,
    order_of,
    pricer,
    propose,
    refine,
    solve,
    sweep,
    trials_table,
)
from helixnas.search_space import Architecture, SearchSpace, keeps_interface

STUDIES = CACHE / "search"
EPOCH = 10
"""What an epoch of training counts in the progress that is shown, where measuring a student counts 1."""


def run(config: RunConfig) -> None:
    """Run the stage: search the tables, measure the best, and save the choice."""
    setting = begin("search", config, config.search.num_threads)
    with exclusive(setting.root / STUDIES / "lock"):  # two at once would write into one journal
        _run(setting)


def _run(setting: Setting) -> None:
    config = setting.config
    space = load_space(setting.root, config)
    ratings = load_ratings(setting.root, space)
    costs = load_costs(setting.root, space, config.searched_kinds)
    fixed, teacher_cost = load_outer_costs(setting.root, config.searched_kinds)
    budget = Budget.resolve(config.search.budget, teacher_cost)
    students = cache(lambda: Students(setting, space, budget))
    loop = _close_loop(setting, space, students, (costs, fixed), budget)
    if loop is not None:
        costs, fixed = loop.correction.tables((costs, fixed))
    asked = budget if loop is None else budget | {"latency_ms": loop.limit_ms - loop.margin_ms}
    exact = solve(space, ratings, costs, fixed, asked, config.search.num_best, config.search.time_limit_s)
    price = pricer(space, ratings, costs, fixed)
    trials, rungs = tuple[Choice, ...](), list[Rung]()
    settings = config.search
    if keeps_interface(space) and (settings.num_trials or settings.measured or settings.trained):
        trials, rungs = _Measuring(setting, space, price, exact, budget, students()).run()
    trust = Trust(tuple(order_of(*each, price) for each in [(trials, 0), *((r.students, r.epochs) for r in rungs[:1])]))
    artifacts.save_json(setting.out / "trust.json", "trust", trust_to_json(trust))
    if config.search.fallback == "refuse" and not trust.is_earned:
        raise DistrustError(
            f"search.fallback is refuse, so the tables must be shown to order students. {trust} All that was measured "
            "is kept: with search.fallback: warn or measured the search goes on from there."
        )
    distrust = str(trust) if config.search.fallback == "measured" and not trust.is_earned else None
    result = decide(exact, trials, budget, rungs[-1] if rungs else None, distrust)
    artifacts.save_json(setting.out / "result.json", "search", search_result_to_json(result))
    # alone in a file, so that a new budget that changes nothing retrains nothing
    artifacts.save_json(setting.out / "chosen.json", "chosen", {"arch_id": result.chosen.architecture.arch_id})
    save_text(setting.out / "frontier.csv", frontier_table(result).to_csv(index=False))
    table = trials_table(trials, result.chosen, rungs).to_csv(index=False).encode()
    artifacts.save_bytes(setting.out / "trials.csv", "trials", table)


def _close_loop(
    setting: Setting,
    space: SearchSpace,
    students: Callable[[], Students],
    tables: tuple[tuple[CostTable, ...], Cost],
    budget: Budget,
) -> Loop | None:
    """Correct the tables' latencies by whole files, and save what was measured; None where latency is not limited.

    A search that goes on after a kill takes what it measured before, or its trials would be those of another search.
    """
    settings = setting.config.search
    if "latency_ms" not in budget or not settings.num_rounds:
        artifacts.save_json(setting.out / "latency.json", "latency", None)
        return None
    ratings = load_ratings(setting.root, space)

    def solve_by(corrected: tuple[tuple[CostTable, ...], Cost], limits: Budget) -> ExactResult:
        return solve(space, ratings, *corrected, limits, settings.num_best, settings.time_limit_s)

    key = hashlib.sha256(repr((space.digest, ratings, tables, budget, settings.num_rounds)).encode()).hexdigest()[:16]
    kept = setting.root / STUDIES / f"{key}.latency.json"
    if not kept.is_file():
        loop = close_loop(solve_by, students().latencies, tables, budget, settings.num_rounds)
        (chosen,) = (pair.arch_id for pair in loop.pairs[-1:])
        facts = {"single_stream": students().single_stream(space.parse(chosen)), "chosen": chosen}
        artifacts.save_json(kept, "latency", loop.as_json() | facts)
    found = artifacts.load_json(kept, "latency")
    artifacts.save_json(setting.out / "latency.json", "latency", found)
    return loop_from_json(found)


class _Measuring:
    """What is really measured: Optuna's trials, then more students as assembled, then the best of all trained."""

    def __init__(
        self,
        setting: Setting,
        space: SearchSpace,
        price: Pricer,
        exact: ExactResult,
        budget: Budget,
        students: Students,
    ) -> None:
        self._setting, self._space, self._price, self._exact, self._budget = setting, space, price, exact, budget
        self._settings = setting.config.search
        self._students = students

    def run(self) -> tuple[tuple[Choice, ...], list[Rung]]:
        """Measure as many students as ``params.yaml`` asks for; return them, and the rungs of those trained."""
        settings, trials = self._settings, tuple[Choice, ...]()
        works = [settings.num_trials, settings.measured, EPOCH * num_epochs(settings.trained, settings.rungs)]
        if settings.num_trials:
            trials = self._refined(_part_of(self._setting.progress, works, 0))
        if settings.measured:
            trials += self._swept({trial.architecture for trial in trials}, _part_of(self._setting.progress, works, 1))
        rungs = self._halved(trials, _part_of(self._setting.progress, works, 2)) if settings.trained else []
        return trials, rungs

    def _refined(self, progress: Progress) -> tuple[Choice, ...]:
        exact, num_trials = self._exact, self._settings.num_trials
        affordable = [choice for choice in exact.frontier if self._budget.admits(choice.cost)]
        return refine(
            self._space,
            seeds=list(dict.fromkeys([*exact.best, *reversed(affordable)]))[: num_trials * 2 // 3 + 1],
            price=self._price,
            objective=self._students,
            budget=self._budget,
            num_trials=num_trials,
            seed=self._setting.seed,
            journal=self._journal("journal"),
            progress=progress,
        )

    def _swept(self, known: set[Architecture], progress: Progress) -> tuple[Choice, ...]:
        seed = derive_seed(self._setting.seed, "propose")
        proposed = propose(self._price, self._exact.best, self._budget, self._settings.measured + len(known), seed)
        new = [each for each in proposed if each not in known][: self._settings.measured]
        if len(new) < self._settings.measured:
            print(f"Only {len(new)} of {self._settings.measured} students to measure were found.", file=sys.stderr)
        optimum = self._exact.best[0].architecture
        ledger = Ledger(self._journal("swept"), self._price, optimum, lambda some, _: self._students.together(some))
        return sweep(new, ledger, progress)

    def _halved(self, trials: Sequence[Choice], progress: Progress) -> list[Rung]:
        """Train the tables' optimum, and the best of all that were measured within the budget."""
        fitting = [trial for trial in trials if self._budget.admits(trial.cost | trial.measured)]
        best = sorted(fitting, key=lambda trial: trial.val_loss or 0.0) or self._exact.best
        optimum = self._exact.best[0].architecture
        candidates = list(dict.fromkeys([optimum, *(choice.architecture for choice in best)]))
        costs = {trial.architecture: trial.measured for trial in trials}
        trainer = BriefTraining(self._setting, self._space, self._students, optimum)

        def train(some: Sequence[Architecture], epochs: int) -> list[Measurement]:
            return [Measurement(trainer(each, epochs), costs.get(each, Cost())) for each in some]

        journal = self._setting.root / STUDIES / f"{trainer.folder.name.removeprefix('search-')}.trained"
        ledger = Ledger(journal, self._price, optimum, train)
        rungs = halve(candidates[: self._settings.trained], self._settings.rungs, ledger, progress)
        clear(trainer.folder)
        return rungs

    def _journal(self, ending: str) -> Path:
        """Optuna's file, named by all that the trials depend on; kept after the search for the dashboard."""
        files = measured_files(self._setting.root, self._space)
        digest = self._setting.resume_folder(["data", "teacher", "rating", "search"], files)
        return self._setting.root / STUDIES / f"{digest.name.removeprefix('search-')}.{ending}"


def _part_of(progress: Progress, works: Sequence[int], index: int) -> Progress:
    """The progress of one of several works, told as progress of them all."""
    before, total = sum(works[:index]), sum(works)
    return lambda done, of: progress(before + done * works[index] // max(1, of), total)
