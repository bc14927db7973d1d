"""A small distillation that says each step before it is taken."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.distill import Distillation, Member, train_group
from helixnas.distill.teacher import Imitation
from helixnas.fit import Checkpoint
from helixnas.progress import Log, forget, silent
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, DistillLoss, block_batch

NUM_STEPS = 4
NUM_EPOCHS = 3
UPDATES = {"stratified": 3, "uniform": 3, "fair": 6}
"""Of two candidates in each layer of two cells: 12 steps, which are 3 epochs."""
Watch = Callable[[int], None]


@dataclass
class Training:
    """The distillation of block 0, with each step announced before it is taken."""

    supernet: BlockSupernet
    distillation: Distillation
    batches: list[BlockBatch]

    def run(self, path: Path, log: Log = forget, before_step: Watch = lambda step: None) -> dict[str, Tensor]:
        def batches(epoch: int, block_ids: Sequence[int]) -> Iterator[list[BlockBatch]]:
            for offset, batch in enumerate(self.batches):
                before_step(epoch * NUM_STEPS + offset)
                yield [batch]

        train_group(Member(self.distillation, Checkpoint(path), log), [], batches, silent)
        return self.state()

    def state(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.supernet.state_dict().items()}


@pytest.fixture
def new_training(
    teacher: CutTeacher, space: SearchSpace, config: RunConfig, parts: dict[str, ImageSet]
) -> Callable[..., Training]:
    images = parts["train"].normalized()[: 32 * NUM_STEPS]
    batches = [block_batch(teacher, 0, chunk) for chunk in images.split(32)]

    def new(loss: Callable[[Tensor, Tensor], Tensor] | None = None, **changes: object) -> Training:
        torch.manual_seed(0)
        supernet = BlockSupernet(space.blocks[0], teacher.blocks[0]).eval()
        settings = config.distill.model_copy(update=changes)
        loss = DistillLoss(torch.ones(8)) if loss is None else loss
        lesson = Imitation(supernet, loss)
        return Training(supernet, Distillation(supernet, space.blocks[0], lesson, settings, 0, NUM_STEPS), batches)

    return new


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)
