"""Which criterion orders students, and how should the numbers of blocks add up?

Every block of a finished run is rated anew by each criterion on the first half of the rating part. The truth is the
cross-entropy of random architectures in the budget band on the other half: as they are assembled, and after a brief
training, in which the first half alone is looked at. The test part, told beside, chooses nothing. Agreement is
Kendall's tau-b with a bootstrap interval over architectures. Run in a folder where `make run` has ended:
python benchmarks/agreement_criteria.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import torch
from agreement import finished_run
from agreement_students import COUNTED, Students
from figure import Figure, publish

from helixnas.agreement import interval, resampled_taus, tau
from helixnas.config import load
from helixnas.config.values import Criterion
from helixnas.fit import image_losses
from helixnas.handover.parts import load_part
from helixnas.handover.space import load_space
from helixnas.handover.student import load_beside, load_supernet
from helixnas.handover.teacher import load_feature_moments, load_teacher
from helixnas.progress import Reporter, silent
from helixnas.rating import Sources, open_criterion, rate
from helixnas.search_space import Architecture
from helixnas.student import num_calibration_images

CRITERIA = {name: (name, 1.0) for name in get_args(Criterion)} | {"output on a third": ("output", 1 / 3)}
"""By name, a criterion and the share of the paths that it runs through the tail, if it does."""
WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sum": lambda ratings: ratings,
    "sum of roots": np.sqrt,
    "sum of log(1 + x)": np.log1p,
    "sum of log(0.01 + x)": lambda ratings: np.log(0.01 + ratings),
    "sum of log(0.001 + x)": lambda ratings: np.log(0.001 + ratings),
}
"""How numbers of blocks add up."""
GOAL = 0.6
Tables = list[dict[str, float]]
"""For each block, the rating of each path by its key."""


def rated(root: Path, criterion: str, tail_share: float, num_images: int) -> tuple[Tables, float]:
    """Rate all blocks of a finished run on the first images of the rating part, and say how many seconds it took."""
    config, start, tables = load(root), time.perf_counter(), Tables()
    settings = config.rating.model_copy(update={"tail_share": tail_share})
    teacher = load_teacher(root, config, torch.device("cpu"))
    train, part = load_part(root, "train"), load_part(root, "rating").first(num_images)
    for block in load_space(root, config).blocks:
        supernet = load_supernet(root, block, teacher)
        for piece in (*teacher.blocks, supernet):
            piece.to(memory_format=torch.channels_last)
        moments = load_feature_moments(root, block.block_id)
        beside = load_beside(root, block.block_id)
        made = open_criterion(criterion, Sources(supernet, beside, teacher, moments, settings))
        num_calibration = num_calibration_images(config.rating.num_calibration_images, len(train), [block.spec])
        calibration = made.read(train.first(num_calibration).normalized()).inputs
        batches = [partial(made.read, part.normalized())]
        table = rate(supernet, block, made, calibration, batches, config.seed, silent, 2**31)
        tables.append(dict(zip(table.paths, table.ratings, strict=True)))
    return tables, time.perf_counter() - start


def predictions(
    tables: dict[str, Tables], chosen: Sequence[Architecture], costs: pd.DataFrame
) -> dict[str, Sequence[float]]:
    """What each way to add up the ratings of each criterion says of the architectures, and what it must beat."""
    found: dict[str, Sequence[float]] = {}
    for criterion, blocks in tables.items():
        ratings = np.array([[b[p.key] for b, p in zip(blocks, a.paths, strict=True)] for a in chosen])
        found |= {f"{criterion}, {way}": add(ratings.clip(min=0)).sum(1) for way, add in WAYS.items()}
    random = np.random.default_rng(0).random(len(chosen))
    return found | {name: -costs[name] for name in COUNTED} | {"random": random}


def measured(root: Path, num_students: int, num_trained: int, num_epochs: int, seed: int, file: Path) -> None:
    """Write the losses of random students, as assembled and trained, on the second half of the rating part to a file.

    The file has a row for each student, with the loss on the test part beside. It is written anew with every student.
    """
    students, parts = Students(root), {name: load_part(root, name) for name in ("rating", "test")}
    num_first, progress, rows = len(parts["rating"]) // 2, Reporter("students"), []

    def losses(student: torch.nn.Module, when: str) -> dict[str, float]:
        rating, test = (image_losses(student, part) for part in parts.values())
        return {when: float(rating[num_first:].mean()), f"{when}_test": float(test.mean())}

    for index, architecture in enumerate(students.in_band(num_students, seed)):
        student, cost = students.assembled(architecture), students.price(architecture).cost
        row = {"arch_id": architecture.arch_id} | {name: cost[name] for name in COUNTED} | losses(student, "before")
        if index < num_trained:
            students.train(student, seed, parts["rating"].first(num_first), num_epochs)
            row |= losses(student, "after")
        rows.append(row)
        pd.DataFrame(rows).to_csv(file, index=False)
        progress(len(rows), num_students)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--num-students", type=int, default=60)
    parser.add_argument("--num-trained", type=int, default=30)
    parser.add_argument("--num-epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, help="a CSV file with a row for each student; written if it is missing")
    arguments, _ = parser.parse_known_args()
    root = finished_run(arguments.root)
    num_first = len(load_part(root, "rating")) // 2
    ratings = {name: rated(root, *criterion, num_first) for name, criterion in CRITERIA.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.rows or Path(folder) / "rows.csv"
        if not file.exists():
            some = arguments.num_students, arguments.num_trained, arguments.num_epochs
            measured(root, *some, arguments.seed, file)
        frame = pd.read_csv(file)
    print(f"seconds to rate all blocks: {', '.join(f'{name} {time_s:.0f}' for name, (_, time_s) in ratings.items())}")
    tables = {criterion: tables for criterion, (tables, _) in ratings.items()}
    truths = {"before": "as assembled", "after": f"after {arguments.num_epochs} epochs"}
    publish(*chain.from_iterable(figures(root, tables, frame, *truth) for truth in truths.items() if truth[0] in frame))


def figures(root: Path, tables: dict[str, Tables], frame: pd.DataFrame, column: str, words: str) -> list[Figure]:
    """Print tau of each prediction with a truth; return those of plain sums, and the lead of output over feature."""
    space, rows = load_space(root, load(root)), frame.dropna(subset=[column])
    truth, test, num = rows[column], rows[f"{column}_test"], len(rows)
    predicted = predictions(tables, [space.parse(arch_id) for arch_id in rows.arch_id], rows)
    taken = {name: resampled_taus(values, truth) for name, values in predicted.items()}
    taus = {name: tau(values, truth) for name, values in predicted.items()}
    print(f"\ntau with {num} students {words}\n| prediction | tau | 95 % | test part |\n| --- | --- | --- | --- |")
    for name, values in predicted.items():
        low, high = interval(taken[name])
        print(f"| {name} | {taus[name]:.2f} | {low:.2f} to {high:.2f} | {tau(values, test):.2f} |")
    note, made = ", ".join(f"{name} {taus[name]:.2f}" for name in COUNTED), list[Figure]()
    for criterion in tables:
        title, name = f"tau of {criterion} with students {words}", f"{criterion}, sum"
        made.append(Figure(title, note, (taus[name],), GOAL, "", interval=interval(taken[name]), num=num))
    lead = interval(taken["output, sum"] - taken["feature, sum"])
    title = f"lead in tau of output over feature with students {words}: low end of its interval"
    return [*made, Figure(title, "feature", lead[:1], 0.0, "", interval=lead, num=num)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
