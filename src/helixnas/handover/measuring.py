"""What the search measures: students put together of distilled blocks, as they are and after a brief training."""

import copy
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from helixnas.artifacts import folder
from helixnas.cost import Subject, from_pixels, measure, measuring_device
from helixnas.cost_kinds import measured
from helixnas.data import INDEX, ImageSet, derive_seed
from helixnas.errors import DivergenceError
from helixnas.fit import Checkpoint, Fit, image_losses
from helixnas.handover.feature_cache import cache_for_students
from helixnas.handover.parts import load_calibration, load_part
from helixnas.handover.setting import Setting
from helixnas.handover.space import block_files
from helixnas.handover.student import load_supernet
from helixnas.handover.teacher import load_teacher, load_variances
from helixnas.progress import forget, silent
from helixnas.results import Budget, Cost
from helixnas.retrain import GuidedLoss, range_test
from helixnas.runtimes import NUM_QUERIES, open_runtime, runtime_title, single_stream
from helixnas.search import Measurement
from helixnas.search_space import Architecture, SearchSpace
from helixnas.student import StudentNetwork, Together, assemble, losses_together, quicken, recalibrate

MAX_STREAM_S = 60.0
"""Seconds after which queries of a large student end, though they are fewer than MLPerf asks."""


def measured_files(root: Path, space: SearchSpace) -> list[Path]:
    """List the files on which a measurement of students depends."""
    files = [root / folder("teacher") / "teacher.safetensors", *block_files(root, space)]
    for block in space.blocks:
        files.append(root / folder("distill", block.block_id) / "supernet.safetensors")
        files.append(root / folder("rating", block.block_id) / "rating.parquet")
    return files


class Students:
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

    def latencies(self, architectures: Sequence[Architecture]) -> list[float]:
        """Measure the latencies of whole students, in ms, beside each other."""
        settings = self._setting.config.cost
        costs = measure(
            [self._subject(self._assembled(each)) for each in architectures], ["latency_ms"], settings, silent
        )
        return [cost["latency_ms"] for cost in costs]

    def single_stream(self, architecture: Architecture) -> dict[str, Any]:
        """Measure p50 and p90 of a whole student, with the number of queries and the runtime.

        One call of the user's own command counts as one query.
        """
        settings = self._setting.config.cost
        run = open_runtime(settings).open(*self._subject(self._assembled(architecture)))
        stream = single_stream(run, 1 if settings.latency.command else NUM_QUERIES, MAX_STREAM_S)
        return asdict(stream) | {"runtime": runtime_title(settings)}

    def _cost(self, student: StudentNetwork) -> Cost:
        (cost,) = measure([self._subject(student)], self._budget, self._setting.config.cost, silent)
        return cost

    def _subject(self, student: StudentNetwork) -> Subject:
        """A student as its file will be, with a batch, where it is measured."""
        settings = self._setting.config.cost
        device = measuring_device(settings, self._setting.device)
        inputs = torch.rand(settings.latency.batch_size, *self.part.in_shape, device=device)
        return from_pixels(student.to(device).eval()), inputs


class BriefTraining:
    """Trains students as the stage ``retrain`` does, but briefly. Nothing is loaded before the first training."""

    def __init__(self, setting: Setting, space: SearchSpace, students: Students, optimum: Architecture) -> None:
        self._setting, self._space, self._students, self._optimum = setting, space, students, optimum
        self._seed = derive_seed(setting.seed, "train")  # of all students alike: the same batches in the same order
        inputs = [setting.root / folder("data") / part / INDEX for part in ("train", "rating")]
        sections = ["data", "teacher", "rating", "search", "retrain"]
        self.folder = setting.resume_folder(sections, [*inputs, *measured_files(setting.root, space)])

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
