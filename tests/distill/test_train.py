"""Distilling: a loss that falls, and steps that move their path alone."""

import copy
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from helixnas import artifacts
from helixnas.blocks import BlockSpec
from helixnas.config import RunConfig
from helixnas.distill import SAMPLERS, Distillation, Member, train_group
from helixnas.distill.compiling import COMPILERS
from helixnas.distill.teacher import Imitation
from helixnas.distill.train import _parameter_groups
from helixnas.errors import ConfigError, DivergenceError
from helixnas.fit import Checkpoint
from helixnas.progress import forget, silent
from helixnas.rating import Sources, rate
from helixnas.rating.feature import FeatureCriterion
from helixnas.search_space import SKIP, TEACHER, BlockSpace, Cell, SearchSpace, mbconv
from helixnas.search_space.candidate import fewer_layers
from helixnas.student import BlockSupernet
from helixnas.teacher import BlockBatch, DistillLoss
from tests.distill.conftest import NUM_EPOCHS, NUM_STEPS, UPDATES, Training


def test_each_step_moves_the_candidates_on_its_path_and_nothing_else(
    new_training: Callable[..., Training], space: SearchSpace, tmp_path: Path
) -> None:
    training = new_training(weight_decay=0.1)  # decay and momentum must not reach what the step does not run
    weights = [name for name, _ in training.supernet.named_parameters()]
    states: list[dict[str, Tensor]] = []
    states.append(training.run(tmp_path / "c", before_step=lambda step: states.append(training.state())))
    sampler = SAMPLERS["stratified"](space.blocks[0], UPDATES["stratified"], 0)
    assert len(states) == sampler.num_steps + 1
    for step, (before, after) in enumerate(pairwise(states)):
        (path,) = sampler(step)
        wanted = {f"cells.{path.cell}.{layer}.{choice}" for layer, choice in enumerate(path.choices)}
        moved = [name for name in before if not torch.equal(before[name], after[name])]
        statistics = [name for name in moved if name.endswith("running_mean")]
        for names in (moved, statistics, [name for name in moved if name in weights]):
            assert {".".join(name.split(".")[:4]) for name in names} == wanted


def test_a_fair_step_is_one_step_along_the_gradients_of_all_its_paths(
    new_training: Callable[..., Training], space: SearchSpace, tmp_path: Path
) -> None:
    training = new_training(sampler="fair")
    paths = SAMPLERS["fair"](space.blocks[0], UPDATES["fair"], 0)(0)
    assert len(paths) == 2
    twin = copy.deepcopy(training.supernet).train()
    batch, loss = training.batches[0], DistillLoss(torch.ones(8))
    for path in paths:
        loss(twin(batch.inputs, path), batch.targets).backward()
    training.distillation.begin_epoch()
    training.distillation.step(0, batch)
    pairs = zip(training.supernet.named_parameters(), twin.parameters(), strict=True)
    gradients = [(parameter.grad, other.grad) for (_, parameter), other in pairs]
    assert all((got is None) == (wanted is None) for got, wanted in gradients)
    assert all(torch.allclose(got, wanted) for got, wanted in gradients if got is not None and wanted is not None)
    (steps,) = {int(state["step"]) for state in training.distillation._optimizer.state.values()}
    assert steps == 1


def test_a_cell_that_contains_the_identity_ends_no_worse_than_it(config: RunConfig, tmp_path: Path) -> None:
    """The house rule. The teacher's block is a residual layer that adds little, as in many trained networks."""
    torch.manual_seed(0)
    candidates = tuple(mbconv(kernel, 2, 0.25) for kernel in (3, 5))
    cells = (
        Cell((8,), (1,), ((SKIP,),)),
        *(Cell((8,) * depth, (1,) * depth, (candidates,) * depth) for depth in (1, 2)),
    )
    block = BlockSpace(BlockSpec(0, (8, 6, 6), (8, 6, 6), "NCHW", ("b",), is_nonnegative=True), cells)
    branch = torch.nn.Conv2d(8, 8, 3, padding=1)
    x = torch.rand(320, 8, 6, 6)
    y = (x + 0.3 * branch(x)).relu().detach()
    supernet = BlockSupernet(block, torch.nn.Identity())
    supernet.match_outputs(y.mean((0, 2, 3)), y.std((0, 2, 3)))
    moments = y.mean((0, 2, 3)), y.var((0, 2, 3))
    loss = DistillLoss(moments[1])
    train = [[BlockBatch(*pair)] for pair in zip(x[:256].split(32), y[:256].split(32), strict=True)]
    settings = config.distill.model_copy(update={"updates": 20})
    training = Distillation(supernet, block, Imitation(supernet, loss), settings, 0, len(train))
    train_group(Member(training, Checkpoint(tmp_path / "c"), forget), [], lambda epoch, block_ids: train, silent)
    criterion = FeatureCriterion(Sources(supernet, {}, None, moments, config.rating))  # the batches are given
    table = rate(supernet, block, criterion, x[:256], [lambda: BlockBatch(x[256:], y[256:])], 0, silent, 2**30)
    identity, *others = table.ratings
    assert len(others) == 6
    assert 0.01 < identity < 1
    assert max(others) < identity


@pytest.mark.parametrize("num_steps", [1, 2, 8, 9, 10, 19, 20])
def test_a_training_of_few_steps_has_a_schedule(
    new_training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch, num_steps: int
) -> None:
    sampler = SAMPLERS["stratified"]

    def short(*arguments: Any) -> Any:
        made = sampler(*arguments)
        made.num_steps = num_steps
        return made

    monkeypatch.setitem(SAMPLERS, "stratified", short)
    training = new_training()
    training.distillation.begin_epoch()
    for offset in range(num_steps):
        training.distillation.step(offset, training.batches[offset % NUM_STEPS])


def test_a_block_of_the_teachers_own_alone_is_done_before_it_begins(config: RunConfig) -> None:
    block = BlockSpace(BlockSpec(0, (8, 4, 4), (8, 4, 4), "NCHW", ("b",)), (Cell((8,), (1,), ((TEACHER,),)),))
    supernet = BlockSupernet(block, torch.nn.Conv2d(8, 8, 1))
    lesson = Imitation(supernet, DistillLoss(torch.ones(8)))
    assert Distillation(supernet, block, lesson, config.distill, 0, NUM_STEPS).is_done


def test_layers_of_the_teacher_learn_at_a_tenth_of_the_rate_unless_they_are_untaught() -> None:
    kept, fresh = fewer_layers(1), mbconv(3, 2, 0)
    cells = tuple(Cell((8,), (1,), ((candidate,),)) for candidate in (kept, fresh))
    block = BlockSpace(BlockSpec(0, (8, 4, 4), (8, 4, 4), "NCHW", ("b",), droppable=("1",)), cells)
    supernet = BlockSupernet(block, torch.nn.Sequential(torch.nn.Conv2d(8, 8, 1), torch.nn.Conv2d(8, 8, 1)))
    lesson = Imitation(supernet, DistillLoss(torch.ones(8)))
    first, second = _parameter_groups(supernet, block, 0.5, lesson)
    assert (first["lr"], second["lr"]) == (0.5, 0.05)
    assert second["params"] == list(supernet.cells[0].parameters())
    assert first["params"] == list(supernet.cells[1].parameters())
    lesson.is_untaught = True
    (only,) = _parameter_groups(supernet, block, 0.5, lesson)
    assert (only["lr"], only["params"]) == (0.5, list(supernet.parameters()))


def test_the_curve_holds_each_epochs_mean_loss_and_falls(new_training: Callable[..., Training], tmp_path: Path) -> None:
    losses: list[float] = []
    points: list[tuple[str, float, int]] = []
    plain = DistillLoss(torch.ones(8))

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        value = plain(outputs, targets)
        losses.append(value.item())
        return value

    training = new_training(loss)
    training.run(tmp_path / "c", lambda *point: points.append(point))
    means = [sum(losses[start : start + NUM_STEPS]) / NUM_STEPS for start in range(0, len(losses), NUM_STEPS)]
    assert points == [("distill_loss", mean, epoch) for epoch, mean in enumerate(means)]
    assert means[2] < means[0]
    assert not training.supernet.training


def test_the_loss_compares_the_blocks_output_with_the_teachers(
    new_training: Callable[..., Training], tmp_path: Path
) -> None:
    targets: list[Tensor] = []

    def loss(outputs: Tensor, wanted: Tensor) -> Tensor:
        targets.append(wanted)
        return (outputs - wanted).square().mean()

    training = new_training(loss)
    training.run(tmp_path / "c")
    assert all(target is batch.targets for target, batch in zip(targets, training.batches * NUM_EPOCHS, strict=True))


def test_a_loss_that_is_no_number_ends_at_once_and_names_block_step_and_remedy(
    new_training: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    training = new_training()
    training.batches[2].targets[0, 0, 0, 0] = float("nan")
    states: list[dict[str, Tensor]] = []
    with pytest.raises(DivergenceError, match=r"distill_loss of block 0 is nan at step 2 .*distill\.lr") as caught:
        training.run(Path("c"), before_step=lambda step: states.append(training.state()))
    weights = dict(training.supernet.named_parameters())
    assert all(torch.equal(weights[name], states[-1][name]) for name in weights)  # the bad step was not taken
    assert not Path("c").exists()
    tensors, _ = artifacts.load_tensors(Path(str(caught.value).split("saved in ")[1].rstrip(".")), "batch")
    assert torch.equal(tensors["inputs"], training.batches[2].inputs)
    assert bool(tensors["targets"].isnan().any())


def test_the_fused_optimizer_moves_weights_as_the_plain_one_does(
    new_training: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = new_training().run(tmp_path / "fused")
    adamw = torch.optim.AdamW

    def plain(*args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        return adamw(*args, **{**kwargs, "fused": False})

    monkeypatch.setattr(torch.optim, "AdamW", plain)
    for name, tensor in new_training().run(tmp_path / "plain").items():
        torch.testing.assert_close(fused[name], tensor, rtol=1e-3, atol=1e-4)


def test_compiling_without_a_compiler_is_told_with_the_remedy(
    new_training: Callable[..., Training], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"distill\.compile is true, .* no-such-compiler cannot be found.* false"):
        new_training(compile=True)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="no C++ compiler")
@pytest.mark.filterwarnings("default")  # torch.compile's own
def test_compiled_operations_train_alike_and_keep_their_names(
    new_training: Callable[..., Training], tmp_path: Path
) -> None:
    plain = new_training(updates=1).run(tmp_path / "plain")
    compiled = new_training(updates=1, compile=True).run(tmp_path / "compiled")
    assert list(compiled) == list(plain)
    for name, tensor in plain.items():
        torch.testing.assert_close(compiled[name], tensor, rtol=1e-2, atol=1e-3)
