"""Does a supernet order its paths as training each of them alone does? One block, 3 seeds.

Random paths of a block of the finished run are trained in the block's supernet, as in a run, and each alone, four times
as long. Both are rated on the rating part, BatchNorm recalibrated. Agreement is Kendall's tau-b over the paths;
multiply-adds stand beside it. Run in a folder where `make run` has ended: python benchmarks/agreement_alone.py
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from agreement import finished_run
from figure import Figure, publish

from helixnas.agreement import tau
from helixnas.config import load
from helixnas.data import derive_seed
from helixnas.distill import Distillation, FeatureBatches, Member, train_group
from helixnas.distill.teacher import Imitation
from helixnas.fit import Checkpoint
from helixnas.handover.parts import load_part
from helixnas.handover.space import load_space
from helixnas.handover.tables import load_costs
from helixnas.handover.teacher import load_feature_moments, load_teacher
from helixnas.progress import Reporter, forget, silent
from helixnas.rating import Sources, rate
from helixnas.rating.feature import FeatureCriterion
from helixnas.search_space import BlockSpace, Cell
from helixnas.search_space import Path as BlockPath
from helixnas.student import BlockSupernet, num_calibration_images
from helixnas.teacher import DistillLoss, block_batch

NUM_PATHS, SEEDS, GOAL = 14, (0, 1, 2), 0.7
UPDATES_ALONE = 400
"""Of every weight of a path that is trained alone: four times as many as a candidate has in the default supernet."""


class Block:
    """Trains and rates spaces of one block of a finished run."""

    def __init__(self, root: Path, block_id: int, folder: Path) -> None:
        self._config, self._block_id, self._folder = load(root), block_id, folder
        device = torch.device("cpu")
        self._teacher = load_teacher(root, self._config, device)
        self._teacher.network.to(memory_format=torch.channels_last)
        train, rating = load_part(root, "train"), load_part(root, "rating")
        self.space = load_space(root, self._config).blocks[block_id]
        mean, variance = load_feature_moments(root, block_id)
        self._moments = mean, variance
        settings = self._config.distill
        self._batches = FeatureBatches(self._teacher, train, settings.augment, settings.batch_size, 0, device)
        if not settings.augment.beyond_flips:
            self._batches.fill(folder, "features")
        asked = self._config.rating.num_calibration_images
        calibration = train.first(num_calibration_images(asked, len(train), [self.space.spec]))
        self.calibration = block_batch(self._teacher, block_id, calibration.normalized()).inputs
        self._held_out = block_batch(self._teacher, block_id, rating.normalized())

    def rated(self, space: BlockSpace, updates: int, seed: int) -> dict[str, float]:
        """Train a space of this block from scratch and rate each of its paths."""
        return self.ratings(self.distilled(space, updates, seed), space, seed)

    def distilled(self, space: BlockSpace, updates: int, seed: int, sampler: str = "stratified") -> BlockSupernet:
        """The supernet of a space of this block, trained from scratch."""
        torch.manual_seed(derive_seed(seed, "init"))
        mean, variance = self._moments
        supernet = BlockSupernet(space, self._teacher.blocks[self._block_id]).to(memory_format=torch.channels_last)
        supernet.match_outputs(mean, variance.sqrt())
        settings = self._config.distill.model_copy(update={"updates": updates, "sampler": sampler})
        lesson = Imitation(supernet, DistillLoss(variance))
        training = Distillation(supernet, space, lesson, settings, seed, self._batches.num_steps)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            train_group(Member(training, Checkpoint(Path(folder) / "c"), forget), [], self._batches, silent)
        return supernet.requires_grad_(False)

    def ratings(self, supernet: BlockSupernet, space: BlockSpace, seed: int) -> dict[str, float]:
        """The distill_loss of each path on the rating part, by the path's key."""
        held_out = [lambda: self._held_out]
        criterion = FeatureCriterion(Sources(supernet, {}, self._teacher, self._moments, self._config.rating))
        table = rate(supernet, space, criterion, self.calibration, held_out, seed, silent, 2**31)
        return dict(zip(table.paths, table.ratings, strict=True))


def alone(space: BlockSpace, path: BlockPath) -> BlockSpace:
    """The space of one path."""
    cell = space.cells[path.cell]
    chosen = tuple((options[choice],) for options, choice in zip(cell.candidates, path.choices, strict=True))
    return replace(space, cells=(replace(cell, candidates=chosen),))


def fresh_paths(space: BlockSpace, num_paths: int) -> list[BlockPath]:
    """Random paths, none of the teacher's own layers: as many of each cell as there are, up to an equal share."""

    def is_fresh(cell: Cell) -> bool:
        return cell.is_trainable and not cell.is_of_teacher

    paths = [path for path in space.paths() if is_fresh(space.cells[path.cell])]
    random.Random(0).shuffle(paths)
    cells = sorted({path.cell for path in paths})
    turns = [[path for path in paths if path.cell == cell] for cell in cells]
    dealt = [turn[index] for index in range(max(map(len, turns))) for turn in turns if index < len(turn)]
    return dealt[:num_paths]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--block-id", type=int, default=1)
    arguments, _ = parser.parse_known_args()
    root, block_id = finished_run(arguments.root), arguments.block_id
    costs = load_costs(root, load_space(root, load(root)), ["madds"])[block_id]
    madds = dict(zip(costs.paths, (cost["madds"] for cost in costs.costs), strict=True))
    progress, taus, trivial = Reporter("trainings"), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        block = Block(root, block_id, Path(folder))
        paths = fresh_paths(block.space, NUM_PATHS)
        updates = load(root).distill.updates
        for index, seed in enumerate(SEEDS):
            shared = block.rated(block.space, updates, seed)
            truth = []
            for number, path in enumerate(paths, start=1):
                truth += block.rated(alone(block.space, path), UPDATES_ALONE, seed).values()
                progress(index * len(paths) + number, len(SEEDS) * len(paths))
            taus.append(tau([shared[path.key] for path in paths], truth))
            trivial.append(tau([-madds[path.key] for path in paths], truth))
    title = f"tau of a supernet's ratings with {len(paths)} paths of block {block_id} trained alone"
    note = f"madds: {np.mean(trivial):.2f} ({min(trivial):.2f} to {max(trivial):.2f})"
    publish(Figure(title, f"{UPDATES_ALONE} steps for each path", tuple(taus), GOAL, "", note=note))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
