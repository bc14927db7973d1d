"""Training one network: it learns, it repeats to the bit, and a kill costs an epoch and nothing else."""

from pathlib import Path

import pytest
import torch
from torch import nn

from helixnas.config import load
from helixnas.config.schema import Recipe
from helixnas.data import ImageSet
from helixnas.errors import ConfigError, DivergenceError
from helixnas.fit import Checkpoint, Fit, LogitDistillation, accuracy, predict, validation_loss
from helixnas.progress import forget, silent
from tests.conftest import ROOT, SmallNet

CPU = torch.device("cpu")


def recipe(**changes: object) -> Recipe:
    base = load(ROOT).teacher.recipe.model_dump() | {"epochs": 3, "batch_size": 64, "lr": 0.01, "warmup_epochs": 1}
    return Recipe(**(base | changes))


def train(
    parts: dict[str, ImageSet], checkpoint: Path, settings: Recipe, kill_at: int | None = None, loaders: int = 0
) -> nn.Module:
    torch.manual_seed(0)
    network = SmallNet()
    fit = Fit(network, parts["train"], settings, "teacher.recipe", 5, CPU, num_loaders=loaders)

    def progress(step: int, num_steps: int) -> None:
        if step == kill_at:
            raise KeyboardInterrupt

    fit.run(Checkpoint(checkpoint), lambda _: 0.0, forget, progress)
    return network


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_network_learns_and_the_same_seed_learns_the_same(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    first, second = (train(parts, tmp_path / name, recipe()) for name in "ab")
    assert accuracy(first, parts["rating"]) > 0.6
    assert same(first, second)


def test_loaders_change_no_bit(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    parts = {"train": parts["train"].first(200)}
    assert same(*(train(parts, tmp_path / f"{loaders}", recipe(), loaders=loaders) for loaders in (0, 2)))


@pytest.mark.parametrize("kills", [[1], [8], [13], [16, 24]])
def test_a_training_killed_at_any_step_ends_bit_for_bit_as_if_it_had_not_been(
    parts: dict[str, ImageSet], tmp_path: Path, kills: list[int]
) -> None:
    parts = {"train": parts["train"].first(539)}  # 8 steps an epoch
    whole = train(parts, tmp_path / "whole", recipe())
    for step in kills:
        with pytest.raises(KeyboardInterrupt):
            train(parts, tmp_path / "cut", recipe(), kill_at=step)
    assert same(train(parts, tmp_path / "cut", recipe()), whole)


def test_a_recipe_of_no_epochs_leaves_the_weights_as_they_are(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    torch.manual_seed(0)
    wanted = SmallNet()
    assert same(train(parts, tmp_path / "c", recipe(epochs=0)), wanted)


def test_the_curve_holds_the_loss_and_the_accuracy_of_every_epoch(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    points: list[tuple[str, float, int]] = []
    fit = Fit(SmallNet(), parts["train"].first(128), recipe(), "teacher.recipe", 5, CPU)
    fit.run(Checkpoint(tmp_path / "c"), lambda network: 0.25, lambda *point: points.append(point), silent)
    assert [(name, step) for name, _, step in points] == [
        (name, epoch) for epoch in range(3) for name in ("train_loss", "val_acc")
    ]
    assert {value for name, value, _ in points if name == "val_acc"} == {0.25}


def test_a_loss_that_is_no_number_ends_at_once_and_keeps_the_batch(
    parts: dict[str, ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DivergenceError, match=r"teacher\.recipe\.lr; the batch is saved in") as caught:
        train(parts, tmp_path / "c", recipe(lr=1e30, warmup_epochs=0, optimizer="sgd"))
    assert Path(str(caught.value).split("saved in ")[1].rstrip(".")).is_file()


def test_an_optimizer_that_timm_does_not_know_is_named() -> None:
    with pytest.raises(ConfigError, match=r"teacher\.recipe\.optimizer .*'adammm'"):
        Fit(SmallNet(), _blank(), recipe(optimizer="adammm"), "teacher.recipe", 0, CPU)


def _blank() -> ImageSet:
    return ImageSet(
        torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.long), ("a",), (0.0,), (1.0,)
    )


def test_distillation_alone_draws_the_student_to_the_teacher(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    torch.manual_seed(1)
    teacher = SmallNet().eval()  # untrained: nothing but its logits can be learned
    torch.manual_seed(0)
    student = SmallNet()

    def distance() -> float:
        return float((predict(student, parts["rating"]) - predict(teacher, parts["rating"])).square().mean())

    before = distance()
    distillation = LogitDistillation(teacher, weight=1.0, temperature=1.0)
    fit = Fit(student, parts["train"], recipe(label_smoothing=0.0), "retrain.recipe", 0, CPU, distillation)
    fit.run(Checkpoint(tmp_path / "c"), lambda _: 0.0, forget, silent)
    assert distance() < 0.2 * before


def test_the_validation_loss_is_the_mean_over_the_whole_part(parts: dict[str, ImageSet]) -> None:
    network = SmallNet().eval()
    part = parts["rating"]
    losses = [validation_loss(network, part.first(n)) for n in (100, 200)]
    with torch.no_grad():
        whole = torch.nn.functional.cross_entropy(network(part.normalized()[:200]).double(), part.labels[:200])
    assert losses[1] == pytest.approx(float(whole), abs=1e-6)
    assert losses[0] != losses[1]
