"""Training one network: it learns, it repeats to the bit, and a kill costs an epoch and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helixnas.config import load
from helixnas.config.recipes import Recipe, RetrainRecipe
from helixnas.data import ImageSet, Packed
from helixnas.errors import ConfigError, DivergenceError
from helixnas.fit import Batch, Checkpoint, Fit, accuracy, image_losses, predict, require_known
from helixnas.progress import forget, silent
from tests.conftest import ROOT, SmallNet

CPU = torch.device("cpu")


def recipe(**changes: object) -> Recipe:
    base = load(ROOT).teacher.recipe.model_dump() | {"epochs": 3, "batch_size": 64, "lr": 0.01, "warmup_epochs": 1}
    return Recipe(**base).model_copy(update=changes)  # beyond the bounds of params.yaml too


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


@pytest.mark.parametrize("change", [{"optimizer": "adammm"}, {"augment": {"rand_augment": "augmix-n3"}}])
def test_a_recipe_that_timm_does_not_know_is_named_before_a_run(change: dict[str, Any]) -> None:
    recipe = load(ROOT).retrain.recipe
    require_known(recipe, "retrain.recipe")
    values = recipe.model_dump()
    values |= {key: values[key] | new if isinstance(new, dict) else new for key, new in change.items()}
    with pytest.raises(ConfigError, match=r"retrain\.recipe\.optimizer .*'adammm'|augment\.rand_augment .*'augmix-n3'"):
        require_known(RetrainRecipe(**values), "retrain.recipe")


def _blank() -> ImageSet:
    return ImageSet(
        Packed(torch.zeros(4, 1, 8, 8, dtype=torch.uint8)), torch.zeros(4, dtype=torch.long), ("a",), (0.0,), (1.0,)
    )


def test_another_loss_is_trained_on_where_one_is_given(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SmallNet()

    def away_from(network: nn.Module, batch: Batch) -> Tensor:
        return network(batch.inputs).square().mean()

    fit = Fit(network, parts["train"], recipe(), "teacher.recipe", 0, CPU, away_from)
    fit.run(Checkpoint(tmp_path / "c"), lambda _: 0.0, forget, silent)
    assert float(torch.cat(list(predict(network, parts["rating"]))).square().mean()) < 1e-3


def rehearsed(parts: dict[str, ImageSet], num_steps: int, **changes: object) -> tuple[nn.Module, list[float]]:
    """The network after a rehearsal, and the learning rate of each step."""
    torch.manual_seed(0)
    fit = Fit(SmallNet(), parts["train"], recipe(**changes), "teacher.recipe", 5, CPU)
    rates: list[float] = []

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        rates.append(fit._optimizer.param_groups[0]["lr"])
        return fit._label_loss(network, batch)

    fit._loss = loss
    return fit.rehearse(num_steps), rates


def test_a_rehearsal_warms_up_and_decays_inside_its_steps_and_repeats(parts: dict[str, ImageSet]) -> None:
    network, rates = rehearsed(parts, 10)
    assert len(rates) == 10
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(rates[2]) == pytest.approx(0.01, rel=0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] < 0.0005
    assert same(network, rehearsed(parts, 10)[0])


def test_a_rehearsal_that_diverges_is_no_error_and_writes_nothing(
    parts: dict[str, ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network, _ = rehearsed(parts, 5, lr=1e30, optimizer="sgd")
    assert not torch.cat(list(predict(network, parts["rating"]))).isfinite().all()
    assert list(tmp_path.iterdir()) == []


def test_the_losses_of_images_do_not_depend_on_the_batch(parts: dict[str, ImageSet]) -> None:
    network = SmallNet().eval()
    part = parts["rating"]
    losses = image_losses(network, part)
    assert (losses.dtype, losses.shape) == (torch.float64, (len(part),))
    assert torch.allclose(image_losses(network, part.first(100)), losses[:100], atol=1e-6)
    with torch.no_grad():
        whole = torch.nn.functional.cross_entropy(network(part.normalized()).double(), part.labels)
    assert float(losses.mean()) == pytest.approx(float(whole), abs=1e-6)
