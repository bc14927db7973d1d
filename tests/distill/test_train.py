"""Distilling: samplers that depend on the step alone, a loss that falls, a kill that costs nothing but an epoch."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from helixnas.config import RunConfig
from helixnas.data import ImageSet
from helixnas.distill import SAMPLERS, Distillation
from helixnas.fit import Checkpoint
from helixnas.progress import silent
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet
from helixnas.teacher import CutTeacher, DistillLoss, block_batch


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_repeats_stays_in_the_space_and_reaches_all_of_it(name: str, space: SearchSpace) -> None:
    block = space.blocks[0]
    paths = [SAMPLERS[name](block, 3)(step) for step in range(400)]
    assert paths == [SAMPLERS[name](block, 3)(step) for step in range(400)]
    assert all(block.has(path) for path in paths)
    assert set(paths) == {path for path in block.paths() if not block.cells[path.cell].is_teacher}


def test_fair_sampling_trains_each_candidate_of_a_layer_once_in_each_run(space: SearchSpace) -> None:
    sampler = SAMPLERS["fair"](space.blocks[0], 0)
    for run in range(50):
        first, second = sampler(2 * run), sampler(2 * run + 1)
        assert first.cell == second.cell
        assert all(Counter(pair) == Counter((0, 1)) for pair in zip(first.choices, second.choices, strict=True))


def test_a_distillation_that_was_stopped_ends_as_if_it_had_not_been(
    teacher: CutTeacher, space: SearchSpace, config: RunConfig, parts: dict[str, ImageSet], tmp_path: Path
) -> None:
    images = parts["train"].normalized()[:128]
    batches = [block_batch(teacher, 0, chunk) for chunk in images.split(32)]
    losses: dict[int, float] = {}

    def run(name: str, stop_after: int | None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        supernet = BlockSupernet(space.blocks[0], teacher.blocks[0])
        distillation = Distillation(supernet, space.blocks[0], DistillLoss(torch.ones(8)), config.distill, 0)

        def log(curve: str, value: float, epoch: int) -> None:
            losses[epoch] = value
            if epoch == stop_after:
                raise KeyboardInterrupt

        distillation.run(lambda epoch: batches, len(batches), Checkpoint(tmp_path / name), log, silent)
        return supernet.state_dict()

    whole = run("whole", None)
    assert losses[2] < losses[0]
    with pytest.raises(KeyboardInterrupt):
        run("cut", 2)
    resumed = run("cut", None)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
