"""search: the proven optimum from the tables, then Optuna on what is really measured."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from helixnas import artifacts
from helixnas.artifacts import CACHE, exclusive, folder, save_text
from helixnas.config import RunConfig
from helixnas.cost import Subject, from_pixels, measure, measuring_device
from helixnas.data import ImageSet
from helixnas.fit import image_losses
from helixnas.handover.parts import load_calibration, load_part
from helixnas.handover.setting import Setting, begin
from helixnas.handover.space import block_files, load_space
from helixnas.handover.student import load_supernet
from helixnas.handover.tables import load_costs, load_outer_costs, load_ratings
from helixnas.handover.teacher import load_teacher
from helixnas.progress import silent
from helixnas.results import Budget, Choice, Cost, CostTable, search_result_to_json
from helixnas.runtimes import NUM_QUERIES, open_runtime, runtime_title, single_stream
from helixnas.search import (
    ExactResult,
    Loop,
    Measurement,
    close_loop,
    decide,
    frontier_table,
    loop_from_json,
    pricer,
    refine,
    solve,
    trials_table,
)
from helixnas.search_space import Architecture, SearchSpace, keeps_interface
from helixnas.student import assemble, recalibrate

STUDIES = CACHE / "search"
MAX_STREAM_S = 60.0
"""Seconds after which queries of a large student end, though they are fewer than MLPerf asks."""


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
    objective = _Objective(setting, space, budget)
    loop = _close_loop(setting, space, objective, (costs, fixed), budget)
    if loop is not None:
        costs, fixed = loop.correction.tables((costs, fixed))
    asked = budget if loop is None else budget | {"latency_ms": loop.limit_ms - loop.margin_ms}
    exact = solve(space, ratings, costs, fixed, asked, config.search.num_best, config.search.time_limit_s)
    trials: tuple[Choice, ...] = ()
    if config.search.num_trials and keeps_interface(space):
        affordable = [choice for choice in exact.frontier if budget.admits(choice.cost)]
        trials = refine(
            space,
            seeds=list(dict.fromkeys([*exact.best, *reversed(affordable)]))[: config.search.num_trials * 2 // 3 + 1],
            price=pricer(space, ratings, costs, fixed),
            objective=objective,
            budget=budget,
            num_trials=config.search.num_trials,
            seed=setting.seed,
            journal=_journal(setting, space),
            progress=setting.progress,
        )
    result = decide(exact, trials, budget)
    artifacts.save_json(setting.out / "result.json", "search", search_result_to_json(result))
    # alone in a file, so that a new budget that changes nothing retrains nothing
    artifacts.save_json(setting.out / "chosen.json", "chosen", {"arch_id": result.chosen.architecture.arch_id})
    save_text(setting.out / "frontier.csv", frontier_table(result).to_csv(index=False))
    table = trials_table(trials, result.chosen).to_csv(index=False).encode()
    artifacts.save_bytes(setting.out / "trials.csv", "trials", table)


def _close_loop(
    setting: Setting,
    space: SearchSpace,
    objective: "_Objective",
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
        loop = close_loop(solve_by, objective.latencies, tables, budget, settings.num_rounds)
        (chosen,) = (pair.arch_id for pair in loop.pairs[-1:])
        facts = {"single_stream": objective.single_stream(space.parse(chosen)), "chosen": chosen}
        artifacts.save_json(kept, "latency", loop.as_json() | facts)
    found = artifacts.load_json(kept, "latency")
    artifacts.save_json(setting.out / "latency.json", "latency", found)
    return loop_from_json(found)


def _journal(setting: Setting, space: SearchSpace) -> Path:
    """Optuna's file, named by all that the trials depend on; kept after the search for the dashboard."""
    inputs = [setting.root / folder("teacher") / "teacher.safetensors", *block_files(setting.root, space)]
    for block in space.blocks:
        inputs.append(setting.root / folder("distill", block.block_id) / "supernet.safetensors")
        inputs.append(setting.root / folder("rating", block.block_id) / "rating.parquet")
    digest = setting.resume_folder(["data", "teacher", "rating", "search"], inputs).name
    return setting.root / STUDIES / f"{digest.removeprefix('search-')}.journal"


class _Objective:
    """The losses of an assembled, recalibrated student on the rating part, and its measured costs that are limited."""

    def __init__(self, setting: Setting, space: SearchSpace, budget: Budget) -> None:
        config = setting.config
        self._setting, self._budget = setting, budget
        self._teacher = load_teacher(setting.root, config, setting.device)
        self._supernets = [
            load_supernet(setting.root, block, self._teacher).to(setting.device) for block in space.blocks
        ]
        self._calibration = load_calibration(setting.root, config, space)
        self._part: ImageSet = load_part(setting.root, "rating", setting.num_loaders)

    def latencies(self, architectures: Sequence[Architecture]) -> list[float]:
        """The latencies of whole students, in ms, measured beside each other."""
        settings = self._setting.config.cost
        costs = measure([self._subject(each) for each in architectures], ["latency_ms"], settings, silent)
        return [cost["latency_ms"] for cost in costs]

    def single_stream(self, architecture: Architecture) -> dict[str, Any]:
        """p50, p90 and the number of queries of a whole student; one call of the user's command counts as one."""
        settings = self._setting.config.cost
        run = open_runtime(settings).open(*self._subject(architecture))
        stream = single_stream(run, 1 if settings.latency.command else NUM_QUERIES, MAX_STREAM_S)
        return asdict(stream) | {"runtime": runtime_title(settings)}

    def _subject(self, architecture: Architecture) -> Subject:
        """A student as its file will be, with a batch, where it is measured."""
        settings = self._setting.config.cost
        device = measuring_device(settings, self._setting.device)
        student = assemble(self._teacher.stem, self._supernets, self._teacher.head, architecture).to(device).eval()
        return from_pixels(student), torch.rand(settings.latency.batch_size, *self._part.in_shape, device=device)

    def __call__(self, architecture: Architecture) -> Measurement:
        student = assemble(self._teacher.stem, self._supernets, self._teacher.head, architecture)
        images = (batch.to(self._setting.device) for batch in self._calibration.normalized_batches())
        recalibrate(student, images)
        losses = image_losses(student, self._part).numpy()
        settings = self._setting.config.cost
        device = measuring_device(settings, self._setting.device)
        inputs = torch.rand(settings.latency.batch_size, *self._part.in_shape, device=device)
        (cost,) = measure([(from_pixels(student.to(device)), inputs)], self._budget, settings, silent)
        return Measurement(losses, cost)
