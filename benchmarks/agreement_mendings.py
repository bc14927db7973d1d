"""What does each mending of the supernets' training do? Each is taken back alone, and all blocks are distilled anew.

Two things are told of each: Kendall's tau-b between the sums of ratings and the truth, and how good random students of
these supernets are after a short retraining. The truth is that of agreement_students.py, whose rows must be given:
cross-entropy of students after that retraining. Run where `make run` has ended:
python benchmarks/agreement_students.py --rows students.csv
python benchmarks/agreement_mendings.py students.csv
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from unittest.mock import patch

import pandas as pd
import torch
from agreement import bootstrapped, finished_run, interval, tau
from agreement_alone import Block
from agreement_students import NUM_EPOCHS, Students
from figure import Figure, publish

from helixnas.config import load
from helixnas.progress import Reporter
from helixnas.stages.loading import load_space
from helixnas.student import BlockSupernet
from helixnas.student.supernet import _match, bare

OLD_UPDATES, OLD_CALIBRATION = 23, 256
"""About 320 steps a block, as 20 epochs on the 1,078 images of the default of before were."""
Change = Callable[[ExitStack, Block], tuple[str, int]]
"""Takes a mending back until the stack closes; the sampler to use, and the updates of a candidate (0: the run's)."""


def nothing(_stack: ExitStack, _block: Block) -> tuple[str, int]:
    return "stratified", 0


def shortcuts(stack: ExitStack, _block: Block) -> tuple[str, int]:
    """Branches start with BatchNorms of 1, and each last operation at the teacher's moments, shortcut or not."""

    def match_all(supernet: BlockSupernet, mean: torch.Tensor, std: torch.Tensor) -> None:
        for index, cell in enumerate(supernet.block.cells):
            for operation in () if cell.is_of_teacher else supernet.layers(index)[-1]:
                with torch.no_grad():
                    _match(bare(operation), mean, std)

    stack.enter_context(patch("helixnas.student.ops.start_at_zero", lambda last: None))
    stack.enter_context(patch.object(BlockSupernet, "match_outputs", match_all))
    return "stratified", 0


def schedule(stack: ExitStack, _block: Block) -> tuple[str, int]:
    """Few steps, paths drawn at random, layers of the teacher at the rate of fresh ones."""
    stack.enter_context(patch("helixnas.distill.train.TEACHER_LR_SCALE", 1.0))
    return "uniform", OLD_UPDATES


def calibration(_stack: ExitStack, block: Block) -> tuple[str, int]:
    """256 images for BatchNorm, however small the maps."""
    block.calibration = block.calibration[:OLD_CALIBRATION]
    return "stratified", 0


CHANGES: dict[str, Change] = {
    "all as it is": nothing,
    "without the start at the identity": shortcuts,
    "with the old schedule": schedule,
    "with 256 images to calibrate": calibration,
}


def distilled(
    root: Path, change: Change, report: Callable[[], None]
) -> tuple[list[BlockSupernet], list[dict[str, float]]]:
    """All blocks distilled and rated anew under a change: the supernets, and each one's ratings by path."""
    config = load(root)
    supernets, tables = [], []
    for block in load_space(root, config).blocks:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            trainer = Block(root, block.block_id, Path(folder))
            sampler, updates = change(stack, trainer)
            supernets.append(trainer.distilled(block, updates or config.distill.updates, config.seed, sampler))
            tables.append(trainer.ratings(supernets[-1], block, config.seed))
        report()
    return supernets, tables


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path, help="what agreement_students.py wrote")
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--num-students", type=int, default=10, help="so many of the rows are trained anew each time")
    arguments, _ = parser.parse_known_args()
    root, frame = finished_run(arguments.root), pd.read_csv(arguments.rows)
    students, progress, done = Students(root), Reporter("mendings"), [0]
    architectures = [students.space.parse(arch_id) for arch_id in frame.arch_id]

    def report() -> None:
        done[0] += 1
        progress(done[0], len(CHANGES) * (len(students.space.blocks) + arguments.num_students))

    predictors, accs = dict[str, list[float]](), dict[str, list[float]]()
    for name, change in CHANGES.items():
        supernets, tables = distilled(root, change, report)
        paths = [architecture.paths for architecture in architectures]
        predictors[name] = [sum(table[p.key] for table, p in zip(tables, each, strict=True)) for each in paths]
        accs[name] = []
        for architecture in architectures[: arguments.num_students]:
            accs[name].append(100 * students.trained(architecture, load(root).seed, supernets).acc)
            report()
    resampled, figures = bootstrapped(predictors, frame.loss), []
    for name, values in predictors.items():
        title, figure = f"tau of the tables, {name}", (tau(values, frame.loss),)
        spread = interval(resampled[name])
        figures.append(Figure(title, "the same students", figure, 0.45, "", interval=spread, num=len(frame)))
        title = f"top-1 of random students after {NUM_EPOCHS} epochs, {name}"
        figures.append(Figure(title, "all as it is", tuple(accs[name]), median(accs["all as it is"]), "%"))
    publish(*figures)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
