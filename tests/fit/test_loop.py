"""Training one network: it learns, it repeats to the bit, and a kill costs an epoch and nothing else."""

from pathlib import Path

import pytest
import torch
from torch import nn

from helixnas.config import load
from helixnas.config.schema import Recipe
from helixnas.data import ImageSet
from helixnas.errors import ConfigError, DivergenceError
from helixnas.fit import Checkpoint, Fit, LogitDistillation, accuracy, pinned, predict, validation_loss
from helixnas.progress import forget, silent
from tests.conftest import ROOT, SmallNet

CPU = torch.device("cpu")


def recipe(**changes: object) -> Recipe:
    base = load(ROOT).teacher.recipe.model_dump() | {"epochs": 3, "batch_size": 64, "lr": 0.01, "warmup_epochs": 1}
    return Recipe(**(base | changes))


def train(parts: dict[str, ImageSet], checkpoint: Path, settings: Recipe, stop_after: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    network = SmallNet()
    fit = Fit(network, parts["train"], settings, "teacher.recipe", 5, CPU)

    def log(name: str, value: float, step: int) -> None:
        if name == "train_loss" and step == stop_after:
            raise KeyboardInterrupt

    fit.run(Checkpoint(checkpoint), lambda _: 0.0, log, silent)
    return network


def test_a_network_learns_and_the_same_seed_learns_the_same(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    first, second = (train(parts, tmp_path / name, recipe()) for name in "ab")
    assert accuracy(first, parts["rating"]) > 0.6
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    whole = train(parts, tmp_path / "whole", recipe())
    with pytest.raises(KeyboardInterrupt):
        train(parts, tmp_path / "cut", recipe(), stop_after=2)
    resumed = train(parts, tmp_path / "cut", recipe())
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_a_damaged_checkpoint_is_told_and_passed_over(
    parts: dict[str, ImageSet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"half a file")
    assert Checkpoint(path).load() is None
    assert "starting afresh" in capsys.readouterr().err


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"network": SmallNet()}, path)  # a pickled module: not plain tensors
    assert Checkpoint(path).load() is None


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
    inputs = parts["rating"].normalized()

    def distance() -> float:
        return float((predict(student, inputs) - predict(teacher, inputs)).square().mean())

    before = distance()
    distillation = LogitDistillation(teacher, weight=1.0, temperature=1.0)
    fit = Fit(student, parts["train"], recipe(label_smoothing=0.0), "retrain.recipe", 0, CPU, distillation)
    fit.run(Checkpoint(tmp_path / "c"), lambda _: 0.0, forget, silent)
    assert distance() < 0.2 * before


def test_pinned_randomness_is_put_back_afterwards() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    with pinned(9):
        first = torch.rand(1)
    assert torch.equal(torch.rand(2), wanted)
    with pinned(9):
        assert torch.equal(torch.rand(1), first)


def test_the_validation_loss_is_the_mean_over_the_whole_part(parts: dict[str, ImageSet]) -> None:
    network = SmallNet().eval()
    part = parts["rating"]
    losses = [validation_loss(network, part.first(n)) for n in (100, 200)]
    whole = torch.nn.functional.cross_entropy(predict(network, part.normalized()[:200], 37).double(), part.labels[:200])
    assert losses[1] == pytest.approx(float(whole), abs=1e-6)
    assert losses[0] != losses[1]
