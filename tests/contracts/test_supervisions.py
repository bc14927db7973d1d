"""What every supervision must fulfil, whatever its supernets learn from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from helixnas.config import RunConfig
from helixnas.config.load import check
from helixnas.config.values import Supervision as Name
from helixnas.cut import CutTeacher
from helixnas.data import ImageSet
from helixnas.distill import SAMPLERS, Distillation, Lesson, Member, Sources, Supervision, open_supervision, train_group
from helixnas.errors import ConfigError
from helixnas.fit import Checkpoint, pinned
from helixnas.progress import silent
from helixnas.search_space import SearchSpace
from helixnas.student import BlockSupernet
from helixnas.teacher import feature_statistics
from tests.contracts.conftest import TOYS

BLOCK_ID = 1
State = dict[str, Tensor]


@dataclass
class Trainer:
    """Trains block 1 under a supervision, from the same beginning each time."""

    supervision: Supervision
    space: SearchSpace
    teacher: CutTeacher
    config: RunConfig

    def start(self) -> tuple[BlockSupernet, Lesson]:
        with pinned(1):
            supernet = BlockSupernet(self.space.blocks[BLOCK_ID], self.teacher.blocks[BLOCK_ID])
            return supernet, self.supervision.lesson(supernet)

    def train(self, path: Path, seed: int = 0, kill_at: int | None = None) -> tuple[State, list[float]]:
        """What is saved in the end, and the mean loss of each epoch."""
        supernet, lesson = self.start()
        block, num_steps = self.space.blocks[BLOCK_ID], self.supervision.num_steps
        training = Distillation(supernet, block, lesson, self.config.distill, seed, num_steps)

        def batches(epoch: int, block_ids: Sequence[int]) -> Iterator[Sequence[Any]]:
            for offset, each in enumerate(self.supervision.batches(epoch, block_ids)):
                if epoch * num_steps + offset == kill_at:
                    raise KeyboardInterrupt
                yield each

        losses: list[float] = []
        member = Member(
            training, Checkpoint(path), lambda name, value, _: losses.append(value) if name == "distill_loss" else None
        )
        train_group(member, [], batches, silent)
        assert training.is_done
        saved = {f"beside.{name}": tensor for name, tensor in training.beside.items()} | supernet.state_dict()
        return {name: tensor.clone() for name, tensor in saved.items()}, losses


@pytest.fixture(params=[*get_args(Name), *TOYS["distill"]])
def trainer(
    request: pytest.FixtureRequest,
    teacher: CutTeacher,
    space: SearchSpace,
    config: RunConfig,
    parts: dict[str, ImageSet],
) -> Trainer:
    train = parts["train"].first(72)
    statistics = feature_statistics(teacher, [train.normalized()])
    config = config.model_copy(
        update={"distill": config.distill.model_copy(update={"updates": 6, "batch_size": 24, "sampler": "fair"})}
    )
    teacher.network.requires_grad_(False)
    sources = Sources(
        teacher=teacher,
        moments=lambda block_id: (statistics[block_id].mean, statistics[block_id].variance),
        train=train,
        settings=config.distill,
        seed=5,
        device=torch.device("cpu"),
        num_loaders=0,
    )
    return Trainer(open_supervision(request.param, sources), space, teacher, config)


def tensors(batch: Any) -> State:
    return {field.name: getattr(batch, field.name) for field in fields(batch)}


def same(first: State, second: State) -> bool:
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_a_step_has_one_batch_of_tensors_for_each_block_that_was_asked_for(trainer: Trainer) -> None:
    steps = list(trainer.supervision.batches(0, [2, 0]))
    assert len(steps) == trainer.supervision.num_steps > 1
    for step in steps:
        assert len(step) == 2
        assert all(isinstance(tensor, Tensor) for batch in step for tensor in tensors(batch).values())


def test_a_batch_depends_on_epoch_step_and_block_alone(trainer: Trainer) -> None:
    alone = [tensors(batch) for (batch,) in trainer.supervision.batches(1, [2])]
    beside = [tensors(batch) for _, batch in trainer.supervision.batches(1, [0, 2])]
    assert all(map(same, alone, beside))
    assert not same(alone[0], alone[1])
    other = [tensors(batch) for (batch,) in trainer.supervision.batches(2, [2])]
    assert not same(alone[0], other[0])
    block = [tensors(batch) for (batch,) in trainer.supervision.batches(1, [0])]
    assert not same(alone[0], block[0])


def test_a_step_has_a_scalar_loss_for_each_path(trainer: Trainer) -> None:
    supernet, lesson = trainer.start()
    (batch,) = next(iter(trainer.supervision.batches(0, [BLOCK_ID])))
    paths = list(supernet.block.paths())[1:4]
    losses = list(lesson.losses(batch, paths))
    assert [loss.shape for loss in losses] == [()] * 3
    assert len({float(loss.detach()) for loss in losses}) == 3
    assert all(loss.requires_grad and bool(loss.isfinite()) for loss in losses)


def test_gradients_reach_the_path_and_what_learns_beside_it_and_nothing_else(trainer: Trainer) -> None:
    before = {name: tensor.clone() for name, tensor in trainer.teacher.network.state_dict().items()}
    supernet, lesson = trainer.start()
    trainer.teacher.network.requires_grad_(True)  # nothing may lead there, whether it could take a gradient or not
    (batch,) = next(iter(trainer.supervision.batches(0, [BLOCK_ID])))
    (path,) = SAMPLERS["stratified"](supernet.block, 1, 0)(0)
    for loss in lesson.losses(batch, [path]):
        loss.backward()
    wanted = {id(parameter) for operation in supernet.operations(path) for parameter in operation.parameters()}
    reached = {id(parameter) for parameter in supernet.parameters() if parameter.grad is not None}
    assert reached == wanted
    assert all((parameter.grad is not None) == parameter.requires_grad for parameter in lesson.beside.parameters())
    assert all(parameter.grad is None for parameter in trainer.teacher.network.parameters())
    assert same(before, trainer.teacher.network.state_dict())


def test_training_lowers_the_loss(trainer: Trainer, tmp_path: Path) -> None:
    _, losses = trainer.train(tmp_path / "c")
    assert losses[-1] < losses[0]


def test_training_repeats_to_the_bit_and_follows_its_seed(trainer: Trainer, tmp_path: Path) -> None:
    first, again, other = (trainer.train(tmp_path / name, seed)[0] for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("kill_at", [4, 8])
def test_training_goes_on_from_what_was_saved_to_the_same_bits(trainer: Trainer, tmp_path: Path, kill_at: int) -> None:
    whole, _ = trainer.train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trainer.train(tmp_path / "cut", kill_at=kill_at)
    resumed, _ = trainer.train(tmp_path / "cut")
    assert same(resumed, whole)


def test_an_unknown_supervision_is_told_with_those_that_exist(config: RunConfig) -> None:
    values = config.model_dump()
    values["distill"]["supervision"] = "nobody"
    with pytest.raises(
        ConfigError, match=r"^distill\.supervision: .*'teacher' or 'siamese', but is 'nobody'\. Change it"
    ):
        check(values)
