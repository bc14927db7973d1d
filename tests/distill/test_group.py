"""Groups: the same supernets to the bit, whatever trains beside them and wherever batches come from."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from helixnas.config import RunConfig
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.distill import Distillation, FeatureBatches, Member, train_group
from helixnas.distill.teacher import Imitation
from helixnas.errors import DivergenceError
from helixnas.fit import Checkpoint
from helixnas.progress import forget, silent
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, DistillLoss

CPU = torch.device("cpu")
NUM_IMAGES, BATCH_SIZE = 80, 32
NUM_STEPS = 12
"""Three updates of two candidates in each of two cells, in every block: 6 epochs of 2 steps."""
State = dict[str, Tensor]


class Group:
    """Trains blocks 0 to 2 in a folder; ``passes`` lists the blocks that each batch served."""

    def __init__(self, teacher: CutTeacher, space: SearchSpace, config: RunConfig, train: ImageSet, root: Path) -> None:
        self.root, self.passes = root, list[list[int]]()
        self._teacher, self._space, self._settings = teacher, space, config.distill
        augment = config.distill.augment.model_copy(update={"min_scale": 1, "hflip": 0.5})
        self.batches = FeatureBatches(teacher, train, augment, BATCH_SIZE, 0, CPU)

    def member(self, block_id: int) -> Member:
        torch.manual_seed(block_id)
        supernet = BlockSupernet(self._space.blocks[block_id], self._teacher.blocks[block_id])
        for cell in supernet.cells:  # what draws while it trains must draw the same in any company
            for operation in cell[-1]:
                operation.register_forward_hook(lambda module, _, y: nn.functional.dropout(y, 0.1, module.training))
        num_steps, lesson = self.batches.num_steps, Imitation(supernet, DistillLoss(torch.ones(1)))
        training = Distillation(supernet, self._space.blocks[block_id], lesson, self._settings, block_id, num_steps)
        return Member(training, Checkpoint(self.root / f"{block_id}.pt"), forget)

    def train(self, own: int, *others: int, kill_at: int | None = None, poison: int | None = None) -> State:
        def batches(epoch: int, block_ids: Sequence[int]) -> Iterator[list[BlockBatch]]:
            for each in self.batches(epoch, block_ids):
                if len(self.passes) == kill_at:
                    raise KeyboardInterrupt
                self.passes.append(list(block_ids))
                if epoch == 1 and poison in block_ids:
                    each[block_ids.index(poison)].targets.fill_(float("nan"))
                yield each

        member = self.member(own)
        train_group(member, [self.member(other) for other in others], batches, silent)
        return member.training.supernet.state_dict()


@pytest.fixture
def new_group(
    teacher: CutTeacher, space: SearchSpace, config: RunConfig, parts: dict[str, ImageSet], tmp_path: Path
) -> Callable[[str], Group]:
    return lambda name: Group(teacher, space, config, parts["train"].first(NUM_IMAGES), tmp_path / name)


def equal(first: State, second: State) -> bool:
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_loaders_change_no_batch(teacher: CutTeacher, parts: dict[str, ImageSet], config: RunConfig) -> None:
    settings = config.distill.augment.model_copy(update={"min_scale": 0.5, "hflip": 0.5}), BATCH_SIZE, 0, CPU
    here, there = (FeatureBatches(teacher, parts["train"].first(NUM_IMAGES), *settings, loaders) for loaders in (0, 2))
    for first, second in zip(here(1, [0, 2]), there(1, [0, 2]), strict=True):
        for a, b in zip(first, second, strict=True):
            assert torch.equal(a.inputs, b.inputs)
            assert torch.equal(a.targets, b.targets)


def test_a_block_trains_to_the_same_bits_alone_and_in_any_group(new_group: Callable[[str], Group]) -> None:
    alone = [new_group("alone").train(block_id) for block_id in range(3)]
    for own, *others in ([0, 1, 2], [2, 0, 1], [1, 2]):
        group = new_group(f"beside-{own}")
        assert equal(group.train(own, *others), alone[own])
        before = len(group.passes)
        for other in others:  # what was trained beside waits, done, in its checkpoint
            assert equal(group.train(other), alone[other])
        assert len(group.passes) == before == NUM_STEPS


def test_features_from_disk_train_to_the_same_bits(new_group: Callable[[str], Group], tmp_path: Path) -> None:
    streamed, cached = new_group("streamed"), new_group("cached")
    cached.batches.fill(tmp_path / "features", "key")
    for own in range(3):
        assert equal(streamed.train(own), cached.train(own))


@pytest.mark.parametrize("kill_at", [1, 2, 4])
def test_a_killed_group_goes_on_alone_or_together_to_the_same_bits(
    new_group: Callable[[str], Group], kill_at: int
) -> None:
    alone = [new_group("alone").train(block_id) for block_id in range(3)]
    group = new_group("killed")
    with pytest.raises(KeyboardInterrupt):
        group.train(0, 2, kill_at=kill_at)
    assert equal(group.train(2), alone[2])
    assert equal(group.train(1, 0), alone[1])  # at other epochs than its neighbour
    assert equal(group.train(0), alone[0])


def test_a_block_that_fails_beside_another_is_left_to_its_own_stage(
    new_group: Callable[[str], Group], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    alone, group = new_group("alone").train(0), new_group("group")
    assert equal(group.train(0, 1, 2, poison=2), alone)
    assert group.passes[-1] == [0, 1]
    with pytest.raises(DivergenceError, match="distill_loss of block 2 is nan at step 2"):
        group.train(2, 1, poison=2)
