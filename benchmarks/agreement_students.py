"""Do the tables order students as training does? Random architectures in the budget band, each retrained for 3 epochs.

Truth is the cross-entropy (natural log) on the rating and the test part together, after retraining; top-1 accuracy,
which is coarser, stands beside it. Agreement is Kendall's tau-b with a bootstrap interval over architectures. Beside
the tables stands what they must beat, multiply-adds and parameters, and what is measured before retraining. Nothing
here chooses anything. Run in a folder where `make run` has ended: python benchmarks/agreement_students.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from agreement import finished_run
from figure import Figure, publish
from torch import nn

from helixnas.agreement import interval, resampled_taus, tau
from helixnas.config import load
from helixnas.data import ImageSet
from helixnas.fit import Checkpoint, accuracy, image_losses
from helixnas.handover.parts import load_calibration, load_part
from helixnas.handover.space import load_space
from helixnas.handover.student import load_supernet
from helixnas.handover.tables import load_costs, load_outer_costs, load_ratings
from helixnas.handover.teacher import load_feature_moments, load_teacher
from helixnas.progress import Reporter, forget, silent
from helixnas.results import Budget
from helixnas.retrain import retrain
from helixnas.search import pricer
from helixnas.search_space import Architecture
from helixnas.student import BlockSupernet, StudentNetwork, assemble, recalibrate

COUNTED = ("madds", "num_params")
BAND = 0.83
"""The least madds of a student, as a share of the budget's."""
NUM_EPOCHS, LR = 3, 0.002
GOAL = 0.45
TRUTHS = {"loss": 1, "acc": -1}
"""What is measured after retraining, with the sign that makes low good."""


@dataclass(frozen=True, slots=True)
class Row:
    """One student: what the tables say (low is good, but for costs), and what it did before and after retraining."""

    arch_id: str
    predicted_loss: float
    madds: int
    num_params: int
    loss_before: float
    acc_before: float
    loss: float
    acc: float


class Students:
    """Makes, prices and trains students of a finished run."""

    def __init__(self, root: Path) -> None:
        self._config, self._device = load(root), torch.device("cpu")
        self.space = load_space(root, self._config)
        tables = load_ratings(root, self.space), load_costs(root, self.space, COUNTED)
        fixed, teacher_cost = load_outer_costs(root, COUNTED)
        self.price = pricer(self.space, *tables, fixed)
        self.budget = Budget.resolve(self._config.search.budget, teacher_cost).ceiling("madds")
        self._teacher = load_teacher(root, self._config, self._device)
        self._supernets = [load_supernet(root, block, self._teacher) for block in self.space.blocks]
        self._variances = [load_feature_moments(root, block.block_id)[1] for block in self.space.blocks]
        self._calibration = load_calibration(root, self._config, self.space)
        self._train, rating, test = (load_part(root, name) for name in ("train", "rating", "test"))
        self._judges = rating, test

    def in_band(self, num_students: int, seed: int) -> list[Architecture]:
        """Distinct random architectures between BAND and all of the budget's madds."""
        generator, found = random.Random(seed), dict[Architecture, None]()
        while len(found) < num_students:
            paths = (block.path_at(generator.randrange(block.num_paths)) for block in self.space.blocks)
            architecture = Architecture(tuple(paths))
            if BAND * self.budget <= self.price(architecture).cost["madds"] <= self.budget:
                found[architecture] = None
        return list(found)

    def assembled(self, architecture: Architecture, supernets: Sequence[BlockSupernet] | None = None) -> StudentNetwork:
        """A student of the run's supernets or others, recalibrated and not yet trained."""
        student = assemble(self._teacher.stem, supernets or self._supernets, self._teacher.head, architecture)
        recalibrate(student.requires_grad_(True), self._calibration.normalized_batches())
        return student

    def train(self, student: StudentNetwork, seed: int, validation: ImageSet, num_epochs: int = NUM_EPOCHS) -> None:
        """Train a student in place; it stays as it was where ``validation`` says that it became worse."""
        recipe = self._config.retrain.recipe.model_copy(update={"epochs": num_epochs, "warmup_epochs": 0, "lr": LR})
        settings = self._config.retrain.model_copy(update={"recipe": recipe})
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Checkpoint(Path(folder) / "checkpoint.pt")
            parts, where = (self._train, validation), (self._device, checkpoint, forget, silent)
            retrain(student, self._teacher, *parts, settings, seed, *where, variances=self._variances)

    def trained(self, architecture: Architecture, seed: int, supernets: Sequence[BlockSupernet] | None = None) -> Row:
        """Assemble a student of the run's supernets or others, look at it, train it for NUM_EPOCHS, and look again."""
        student = self.assembled(architecture, supernets)
        loss_before, acc_before = self._judge(student)
        self.train(student, seed, self._judges[0])
        loss, acc = self._judge(student)
        choice = self.price(architecture)
        before = loss_before, acc_before
        costs = (choice.cost[name] for name in COUNTED)
        return Row(architecture.arch_id, choice.predicted_loss, *costs, *before, loss, acc)

    def _judge(self, student: nn.Module) -> tuple[float, float]:
        """Cross-entropy and top-1 accuracy on the rating and the test part together."""
        total = sum(map(len, self._judges))
        loss = sum(float(image_losses(student, part).sum()) for part in self._judges)
        return loss / total, sum(accuracy(student, part) * len(part) for part in self._judges) / total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--num-students", type=int, default=44)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, help="write a row for each student to this CSV file")
    arguments, _ = parser.parse_known_args()
    students, progress, rows = Students(finished_run(arguments.root)), Reporter("students"), list[Row]()
    for architecture in students.in_band(arguments.num_students, arguments.seed):
        rows.append(students.trained(architecture, arguments.seed))
        progress(len(rows), arguments.num_students)
    frame = pd.DataFrame(map(asdict, rows))
    if arguments.rows is not None:
        frame.to_csv(arguments.rows, index=False)
    publish(*figures(frame))


def figures(frame: pd.DataFrame) -> list[Figure]:
    """Tau of the tables with the truth, and the least that it is ahead of each trivial rival by."""
    predictors = {
        "tables": frame.predicted_loss,
        "loss before retraining": frame.loss_before,
        "madds": -frame.madds,
        "num_params": -frame.num_params,
    }
    made, num = [], len(frame)
    for name, sign in TRUTHS.items():
        truth = sign * frame[name]
        taken = {name: resampled_taus(values, truth) for name, values in predictors.items()}
        taus = {rival: tau(values, truth) for rival, values in predictors.items()}
        told = ", ".join(f"{rival} {value:.2f}" for rival, value in taus.items() if rival != "tables")
        title = f"tau of the tables with {num} students after {NUM_EPOCHS} epochs, by {name}"
        accs = f"{frame.acc_before.mean():.2%} before, {frame.acc.mean():.2%} after (sd {frame.acc.std():.2%})"
        note = f"{told}; top-1 {accs}"
        spread = interval(taken["tables"])
        made.append(Figure(title, told, (taus["tables"],), GOAL, "", note=note, interval=spread, num=num))
        for rival in ("madds", "num_params"):
            spread = interval(taken["tables"] - taken[rival])
            title = f"lead in tau of the tables over {rival}, by {name}: low end of its interval"
            made.append(Figure(title, rival, spread[:1], 0.0, "", interval=spread, num=num))
    return made


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
