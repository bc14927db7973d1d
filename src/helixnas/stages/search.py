"""search: the proven optimum from the tables, then Optuna on what is really measured."""

from pathlib import Path

import torch

from helixnas import artifacts
from helixnas.artifacts import CACHE, exclusive, folder, save_text
from helixnas.config import RunConfig
from helixnas.cost import from_pixels, measure, measuring_device
from helixnas.data import ImageSet
from helixnas.fit import image_losses
from helixnas.handover.parts import load_calibration, load_part
from helixnas.handover.setting import Setting, begin
from helixnas.handover.space import block_files, load_space
from helixnas.handover.student import load_supernet
from helixnas.handover.tables import load_costs, load_outer_costs, load_ratings
from helixnas.handover.teacher import load_teacher
from helixnas.progress import silent
from helixnas.results import Budget, Choice, search_result_to_json
from helixnas.search import Measurement, decide, frontier_table, pricer, refine, solve, trials_table
from helixnas.search_space import Architecture, SearchSpace, keeps_interface
from helixnas.student import assemble, recalibrate

STUDIES = CACHE / "search"


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
    trials: tuple[Choice, ...] = ()
    if config.search.num_trials and keeps_interface(space):
        affordable = [choice for choice in exact.frontier if budget.admits(choice.cost)]
        trials = refine(
            space,
            seeds=list(dict.fromkeys([*exact.best, *reversed(affordable)]))[: config.search.num_trials * 2 // 3 + 1],
            price=pricer(space, ratings, costs, fixed),
            objective=_Objective(setting, space, budget),
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
