"""What does each mending of the supernets' training do? Each is taken back alone.

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from unittest.mock import patch

import pandas as pd
import torch
from agreement import finished_run
from agreement_alone import Block
from agreement_students import NUM_EPOCHS, Students
from figure import Figure, publish

from helixnas.agreement import interval, resampled_taus, tau
from helixnas.artifacts import CACHE
from helixnas.config import load
from helixnas.handover.space import load_space
from helixnas.handover.student import load_supernet
from helixnas.handover.teacher import load_teacher
from helixnas.progress import Reporter
from helixnas.search_space import Path as BlockPath
from helixnas.student import BlockSupernet
from helixnas.student.supernet import _match, bare

OLD_UPDATES, OLD_CALIBRATION = 23, 256
"""About 320 steps a block, as 20 epochs on the 1,078 images of the default of before were."""
AS_IT_IS = "all as it is"
Tables = dict[str, list[dict[str, float]]]
"""By name, the ratings of each block's paths."""
Change = Callable[[ExitStack], tuple[str, int]]
"""Takes a mending of the training back until the stack closes; the sampler, and the updates of a candidate (0: the
run's)."""


def shortcuts(stack: ExitStack) -> tuple[str, int]:
    """Branches start with BatchNorms of 1, and each last operation at the teacher's moments, shortcut or not."""

    def match_all(supernet: BlockSupernet, mean: torch.Tensor, std: torch.Tensor) -> None:
        for index, cell in enumerate(supernet.block.cells):
            for operation in () if cell.is_of_teacher else supernet.layers(index)[-1]:
                with torch.no_grad():
                    _match(bare(operation), mean, std)

    stack.enter_context(patch("helixnas.student.ops.start_at_zero", lambda last: None))
    stack.enter_context(patch.object(BlockSupernet, "match_outputs", match_all))
    return "stratified", 0


def schedule(stack: ExitStack) -> tuple[str, int]:
    """Few steps, paths drawn at random, layers of the teacher at the rate of fresh ones."""
    stack.enter_context(patch("helixnas.distill.train.TEACHER_LR_SCALE", 1.0))
    return "uniform", OLD_UPDATES


CHANGES: dict[str, Change] = {"without the start at the identity": shortcuts, "with the old schedule": schedule}


class Blocks:
    """The blocks of a finished run, each distilled and rated as in the run, or under a change."""

    def __init__(self, root: Path, report: Callable[[], None]) -> None:
        self._config, self._report = load(root), report
        self.space = load_space(root, self._config)
        teacher = load_teacher(root, self._config, torch.device("cpu"))
        self._trained = [load_supernet(root, block, teacher) for block in self.space.blocks]
        features = Path(tempfile.mkdtemp(dir=root / CACHE))  # one cache serves all blocks
        self._trainers = [Block(root, block.block_id, features) for block in self.space.blocks]

    def of_the_run(self, num_images: int | None = None) -> list[dict[str, float]]:
        """Each block's ratings, from the run's own supernets; BatchNorm recalibrated on so many images, or as there."""
        return [
            self._rated(trainer, supernet, num_images)
            for trainer, supernet in zip(self._trainers, self._trained, strict=True)
        ]

    def under(self, change: Change) -> tuple[list[BlockSupernet], list[dict[str, float]]]:
        """All blocks distilled anew under a change: the supernets, and each one's ratings."""
        supernets, tables = [], []
        for trainer in self._trainers:
            with ExitStack() as stack:
                sampler, updates = change(stack)
                updates = updates or self._config.distill.updates
                supernets.append(trainer.distilled(trainer.space, updates, self._config.seed, sampler))
            tables.append(self._rated(trainer, supernets[-1], None))
        return supernets, tables

    def _rated(self, trainer: Block, supernet: BlockSupernet, num_images: int | None) -> dict[str, float]:
        calibration = trainer.calibration
        trainer.calibration = calibration[:num_images]
        ratings = trainer.ratings(supernet, trainer.space, self._config.seed)
        trainer.calibration = calibration
        self._report()
        return ratings


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path, help="what agreement_students.py wrote")
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--num-students", type=int, default=8, help="so many of the rows are trained anew each time")
    arguments, _ = parser.parse_known_args()
    root, frame = finished_run(arguments.root), pd.read_csv(arguments.rows)
    progress, done = Reporter("mendings"), [0]

    def report() -> None:
        done[0] += 1
        progress(done[0], 4 * len(blocks.space.blocks) + len(CHANGES) * arguments.num_students)

    blocks, students = Blocks(root, report), Students(root)
    architectures = [blocks.space.parse(arch_id) for arch_id in frame.arch_id]
    again = architectures[: arguments.num_students]
    tables = {AS_IT_IS: blocks.of_the_run(), "with 256 images to calibrate": blocks.of_the_run(OLD_CALIBRATION)}
    accs = {AS_IT_IS: list(100 * frame.acc[: len(again)])}
    for name, change in CHANGES.items():
        supernets, tables[name] = blocks.under(change)
        accs[name] = []
        for architecture in again:
            accs[name].append(100 * students.trained(architecture, load(root).seed, supernets).acc)
            report()
    publish(*taus(tables, [each.paths for each in architectures], frame.loss), *reached(accs))


def taus(tables: Tables, paths: Sequence[Sequence[BlockPath]], truth: Sequence[float]) -> Iterator[Figure]:
    """Tau of the sums of ratings with the truth, for each set of tables."""
    sums = {
        name: [sum(table[path.key] for table, path in zip(each, some, strict=True)) for some in paths]
        for name, each in tables.items()
    }
    taken = {name: resampled_taus(values, truth) for name, values in sums.items()}
    for name, values in sums.items():
        spread = interval(taken[name])
        title = f"tau of the tables, {name}"
        yield Figure(title, "the same students", (tau(values, truth),), 0.45, "", interval=spread, num=len(truth))


def reached(accs: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    """The accuracy of random students of each set of supernets."""
    for name, values in accs.items():
        title = f"top-1 of random students after {NUM_EPOCHS} epochs, {name}"
        yield Figure(title, AS_IT_IS, tuple(values), median(accs[AS_IT_IS]), "%")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
