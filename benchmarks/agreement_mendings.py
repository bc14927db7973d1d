"""What does each mending of the supernets' training do to the tables? Each is taken back alone, and all distilled anew.

The truth is that of agreement_students.py, whose rows must be given: students after a short retraining, by
cross-entropy. Agreement is Kendall's tau-b of the sums of ratings with it. Run where `make run` has ended:
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
from unittest.mock import patch

import pandas as pd
import torch
from agreement import bootstrapped, finished_run, interval, tau
from agreement_alone import Block
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


def predicted(root: Path, change: Change, arch_ids: list[str], report: Callable[[], None]) -> list[float]:
    """The sum of ratings of each architecture, all blocks distilled and rated anew under a change."""
    config = load(root)
    space, tables = load_space(root, config), []
    for block in space.blocks:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            trained = Block(root, block.block_id, Path(folder))
            sampler, updates = change(stack, trained)
            tables.append(trained.rated(block, updates or config.distill.updates, config.seed, sampler))
        report()
    paths = [space.parse(arch_id).paths for arch_id in arch_ids]
    return [sum(table[path.key] for table, path in zip(tables, each, strict=True)) for each in paths]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path, help="what agreement_students.py wrote")
    parser.add_argument("--root", type=Path, default=Path())
    arguments, _ = parser.parse_known_args()
    root, frame = finished_run(arguments.root), pd.read_csv(arguments.rows)
    done, progress = [0], Reporter("blocks")

    def report() -> None:
        done[0] += 1
        progress(done[0], len(CHANGES) * len(load(root).teacher.block_ids))

    predictors = {name: predicted(root, change, list(frame.arch_id), report) for name, change in CHANGES.items()}
    resampled = bootstrapped(predictors, frame.loss)
    publish(
        *(
            Figure(
                f"tau of the tables, {name}",
                "the same students",
                (tau(values, frame.loss),),
                0.45,
                "",
                interval=interval(resampled[name]),
                num=len(frame),
            )
            for name, values in predictors.items()
        )
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
