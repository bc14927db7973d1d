"""search: the proven optimum from the tables, then what is really measured, and how far the tables can be trusted."""

import copy
import hashlib
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helixnas import artifacts
from helixnas.artifacts import CACHE, exclusive, folder, save_text
from helixnas.config import RunConfig
from helixnas.cost import measure
from helixnas.cost_kinds import measured
from helixnas.data import INDEX, ImageSet, derive_seed
from helixnas.errors import DistrustError, DivergenceError
from helixnas.fit import Checkpoint, Fit, image_losses
from helixnas.handover.feature_cache import cache_for_students
from helixnas.handover.parts import load_calibration, load_part
from helixnas.handover.setting import Setting, begin, clear
from helixnas.handover.space import block_files, load_space
from helixnas.handover.student import load_supernet
from helixnas.handover.tables import load_costs, load_outer_costs, load_ratings
from helixnas.handover.teacher import load_teacher, load_variances
from helixnas.progress import Progress, forget, silent
from helixnas.results import Budget, Choice, Cost, Trust, search_result_to_json, trust_to_json
from helixnas.retrain import GuidedLoss, range_test
from helixnas.search import (
    ExactResult,
    Ledger,
    Measurement,
    Pricer,
    Rung,
    decide,
    frontier_table,
    halve,
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
from helixnas.student import StudentNetwork, Together, assemble, losses_together, quicken, recalibrate

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
    exact = solve(space, ratings, costs, fixed, budget, config.search.num_best, config.search.time_limit_s)
    price = pricer(space, ratings, costs, fixed)
    trials, rungs = tuple[Choice, ...](), list[Rung]()
    settings = config.search
    if keeps_interface(space) and (settings.num_trials or settings.measured or settings.trained):
        trials, rungs = _Measuring(setting, space, price, exact, budget).run()
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


class _Measuring:
    """What is really measured: Optuna's trials, then more students as assembled, then the best of all trained."""

    def __init__(self, setting: Setting, space: SearchSpace, price: Pricer, exact: ExactResult, budget: Budget) -> None:
        self._setting, self._space, self._price, self._exact, self._budget = setting, space, price, exact, budget
        self._settings = setting.config.search
        self._students = _Students(setting, space, budget)

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
        trainer = _Trainer(self._setting, self._space, self._students, optimum)

        def train(some: Sequence[Architecture], epochs: int) -> list[Measurement]:
            return [Measurement(trainer(each, epochs), costs.get(each, Cost())) for each in some]

        journal = self._setting.root / STUDIES / f"{trainer.folder.name.removeprefix('search-')}.trained"
        ledger = Ledger(journal, self._price, optimum, train)
        rungs = halve(candidates[: self._settings.trained], self._settings.rungs, ledger, progress)
        clear(trainer.folder)
        return rungs

    def _journal(self, ending: str) -> Path:
        """Optuna's file, named by all that the trials depend on; kept after the search for the dashboard."""
        digest = self._setting.resume_folder(
            ["data", "teacher", "rating", "search"], _inputs(self._setting, self._space)
        )
        return self._setting.root / STUDIES / f"{digest.name.removeprefix('search-')}.{ending}"


def _part_of(progress: Progress, works: Sequence[int], index: int) -> Progress:
    """The progress of one of several works, told as progress of them all."""
    before, total = sum(works[:index]), sum(works)
    return lambda done, of: progress(before + done * works[index] // max(1, of), total)


def _inputs(setting: Setting, space: SearchSpace) -> list[Path]:
    """The files on which a measurement depends."""
    inputs = [setting.root / folder("teacher") / "teacher.safetensors", *block_files(setting.root, space)]
    for block in space.blocks:
        inputs.append(setting.root / folder("distill", block.block_id) / "supernet.safetensors")
        inputs.append(setting.root / folder("rating", block.block_id) / "rating.parquet")
    return inputs


class _Students:
    """Assembled, recalibrated students: their losses on the rating part, and their measured costs that are limited."""

    def __init__(self, setting: Setting, space: SearchSpace, budget: Budget) -> None:
        config = setting.config
        self._setting, self._budget = setting, budget
        self._teacher = load_teacher(setting.root, config, setting.device)
        self._supernets = [
            load_supernet(setting.root, block, self._teacher).to(setting.device) for block in space.blocks
        ]
        self._calibration = load_calibration(setting.root, config, space)
        self.part: ImageSet = load_part(setting.root, "rating", setting.num_loaders)

    def __call__(self, architecture: Architecture) -> Measurement:
        """Measure one student."""
        student = self.recalibrated(architecture)
        losses = image_losses(student, self.part).numpy()
        return Measurement(losses, self._cost(student))

    def together(self, architectures: Sequence[Architecture]) -> list[Measurement]:
        """Measure many students, what they begin with alike once."""
        stem, head = copy.deepcopy(self._teacher.stem), copy.deepcopy(self._teacher.head)
        memory_bytes = self._setting.config.rating.memory_mib * 2**20
        students = Together(stem, self._supernets, head, architectures, self._calibration_batches, memory_bytes)
        losses = losses_together(students, len(architectures), self.part, self._setting.device).numpy()
        if not any(measured(self._budget)):
            return list(map(Measurement, losses))
        costs = [self._cost(self._assembled(each)) for each in architectures]
        return list(map(Measurement, losses, costs))

    def recalibrated(self, architecture: Architecture) -> StudentNetwork:
        """Assemble and recalibrate a student."""
        student = self._assembled(architecture)
        recalibrate(student, self._calibration_batches())
        return student

    def _assembled(self, architecture: Architecture) -> StudentNetwork:
        return assemble(self._teacher.stem, self._supernets, self._teacher.head, architecture)

    def _calibration_batches(self) -> Iterator[Tensor]:
        return (batch.to(self._setting.device) for batch in self._calibration.normalized_batches())

    def _cost(self, student: StudentNetwork) -> Cost:
        settings = self._setting.config.cost.latency
        inputs = torch.rand(settings.batch_size, *self.part.in_shape, device=self._setting.device)
        (cost,) = measure([(student.eval(), inputs)], self._budget, settings.num_rounds, settings.quantile, silent)
        return cost


class _Trainer:
    """Trains students as the stage ``retrain`` does, but briefly. Nothing is loaded before the first training."""

    def __init__(self, setting: Setting, space: SearchSpace, students: _Students, optimum: Architecture) -> None:
        self._setting, self._space, self._students, self._optimum = setting, space, students, optimum
        self._seed = derive_seed(setting.seed, "train")  # of all students alike: the same batches in the same order
        inputs = [setting.root / folder("data") / part / INDEX for part in ("train", "rating")]
        sections = ["data", "teacher", "rating", "search", "retrain"]
        self.folder = setting.resume_folder(sections, [*inputs, *_inputs(setting, space)])

    def __call__(self, architecture: Architecture, epochs: int) -> NDArray[np.float64]:
        """Train a student from its distilled blocks, and return its losses [n] on the rating part, or infinite ones."""
        setting = self._setting
        recipe = setting.config.retrain.recipe.at(self._lr).model_copy(update={"epochs": epochs})
        student = self._initial(architecture)
        fit = Fit(
            student, self._train, recipe, "retrain.recipe", self._seed, setting.device, self._loss, setting.num_loaders
        )
        name = hashlib.sha256(f"{architecture.arch_id} {epochs}".encode()).hexdigest()[:16]
        checkpoint = Checkpoint(self.folder / f"{name}.pt")
        try:
            fit.run(checkpoint, lambda _: 0.0, forget, silent)
        except DivergenceError:
            return np.full(len(self._students.part), np.inf)
        losses: NDArray[np.float64] = image_losses(student, self._students.part).numpy()
        checkpoint.path.unlink(missing_ok=True)
        return losses

    def _initial(self, architecture: Architecture) -> StudentNetwork:
        student = self._students.recalibrated(architecture).requires_grad_(True)
        quicken(student)
        return student

    @cached_property
    def _train(self) -> ImageSet:
        return load_part(self._setting.root, "train", self._setting.num_loaders)

    @cached_property
    def _loss(self) -> GuidedLoss:
        setting, settings = self._setting, self._setting.config.retrain
        teacher = load_teacher(setting.root, setting.config, setting.device)
        cache = cache_for_students(setting, teacher, self._train)
        variances = load_variances(setting.root, self._space)
        return GuidedLoss(teacher, variances, settings.distillation, settings.recipe.label_smoothing, cache)

    @cached_property
    def _lr(self) -> float:
        """The learning rate of all students; where it is left open, the best for the tables' optimum."""
        setting, recipe = self._setting, self._setting.config.retrain.recipe
        if recipe.lr != "auto":
            return recipe.lr
        student, where = self._initial(self._optimum).to(setting.device), (self._seed, setting.device, silent)
        found = range_test(
            student, self._train, self._students.part, recipe.at, self._loss, *where, setting.num_loaders
        )
        print(found, file=sys.stderr)
        return found.lr
