"""Which criterion orders students, and how should the numbers of blocks add up?

Every block of a finished run is rated anew by each criterion on the first half of the rating part. The truth is the
cross-entropy of random architectures in the budget band on the other half: as they are assembled, and after 3 epochs of
training, in which the first half alone is looked at. The test part, told beside, chooses nothing. Agreement is
Kendall's tau-b with a bootstrap interval over architectures. Run in a folder where `make run` has ended:
python benchmarks/agreement_criteria.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import torch
from agreement import bootstrapped, finished_run, interval, tau
from agreement_students import NUM_EPOCHS, Students
from figure import Figure, publish

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

CRITERIA: tuple[str, ...] = get_args(Criterion)
WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sum": lambda ratings: ratings,
    "sum of roots": np.sqrt,
    "sum of log(1 + x)": np.log1p,
    "sum of log(0.01 + x)": lambda ratings: np.log(0.01 + ratings),
    "sum of log(0.001 + x)": lambda ratings: np.log(0.001 + ratings),
}
"""How numbers of blocks add up."""
TRUTHS = {"before": "as assembled", "after": f"after {NUM_EPOCHS} epochs"}
GOAL = 0.6
Tables = list[dict[str, float]]
"""For each block, the rating of each path by its key."""


def rated(root: Path, criterion: str, num_images: int) -> tuple[Tables, float]:
    """Rate all blocks of a finished run on the first images of the rating part, and say how many seconds it took."""
    config, start, tables = load(root), time.perf_counter(), Tables()
    teacher = load_teacher(root, config, torch.device("cpu"))
    train, part = load_part(root, "train"), load_part(root, "rating").first(num_images)
    for block in load_space(root, config).blocks:
        supernet = load_supernet(root, block, teacher)
        for piece in (*teacher.blocks, supernet):
            piece.to(memory_format=torch.channels_last)
        moments = load_feature_moments(root, block.block_id)
        beside = load_beside(root, block.block_id)
        made = open_criterion(criterion, Sources(supernet, beside, teacher, moments, config.rating))
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
    return found | {"madds": -costs["madds"], "num_params": -costs["num_params"], "random": random}


def measured(root: Path, num_students: int, num_trained: int, num_first: int, seed: int) -> pd.DataFrame:
    """The losses of random students, as they are assembled and trained, on the second half of the rating part."""
    students, parts = Students(root), {name: load_part(root, name) for name in ("rating", "test")}
    progress, rows = Reporter("students"), []

    def losses(student: torch.nn.Module, when: str) -> dict[str, float]:
        rating, test = (image_losses(student, parts[name]) for name in ("rating", "test"))
        return {when: float(rating[num_first:].mean()), f"{when}_test": float(test.mean())}

    for index, architecture in enumerate(students.in_band(num_students, seed)):
        student, cost = students.assembled(architecture), students.price(architecture).cost
        row = {"arch_id": architecture.arch_id, "madds": cost["madds"], "num_params": cost["num_params"]}
        row |= losses(student, "before")
        if index < num_trained:
            students.train(student, seed, parts["rating"].first(num_first))
            row |= losses(student, "after")
        rows.append(row)
        progress(len(rows), num_students)
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--num-students", type=int, default=60)
    parser.add_argument("--num-trained", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--rows", type=Path, help="keep a row for each student in this CSV file, and read it if it is there"
    )
    arguments, _ = parser.parse_known_args()
    root = finished_run(arguments.root)
    num_first = len(load_part(root, "rating")) // 2
    ratings = {criterion: rated(root, criterion, num_first) for criterion in CRITERIA}
    if arguments.rows is not None and arguments.rows.exists():
        frame = pd.read_csv(arguments.rows)
    else:
        frame = measured(root, arguments.num_students, arguments.num_trained, num_first, arguments.seed)
        if arguments.rows is not None:
            frame.to_csv(arguments.rows, index=False)
    publish(*figures(root, {criterion: tables for criterion, (tables, _) in ratings.items()}, frame))
    print(f"seconds to rate all blocks: {', '.join(f'{name} {time_s:.0f}' for name, (_, time_s) in ratings.items())}")


def figures(root: Path, tables: dict[str, Tables], frame: pd.DataFrame) -> list[Figure]:
    """Print tau of each prediction with each truth; return those of the plain sums, and the lead of the second."""
    space, made = load_space(root, load(root)), list[Figure]()
    for name, words in TRUTHS.items():
        if name not in frame:
            continue
        rows = frame.dropna(subset=[name])
        predicted = predictions(tables, [space.parse(arch_id) for arch_id in rows.arch_id], rows)
        resampled = bootstrapped(predicted, rows[name])
        print(f"\ntau with {len(rows)} students {words}")
        print(f"| {'prediction':32} |   tau | 95 %            | test part |\n| --- | --- | --- | --- |")
        for rival, values in predicted.items():
            low, high = interval(resampled[rival])
            told = f"{low:5.2f} to {high:5.2f}"
            print(
                f"| {rival:32} | {tau(values, rows[name]):5.2f} | {told:15} | {tau(values, rows[f'{name}_test']):9.2f} |"
            )
        for criterion in tables:
            title, rival = f"tau of {criterion} with students {words}", f"{criterion}, sum"
            value, spread = tau(predicted[rival], rows[name]), interval(resampled[rival])
            note = ", ".join(f"{each} {tau(predicted[each], rows[name]):.2f}" for each in ("madds", "num_params"))
            made.append(Figure(title, note, (value,), GOAL, "", interval=spread, num=len(rows)))
    return made


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
