"""A loss that is no number: told with step, remedy and the batch; a number passes."""

from pathlib import Path

import pytest
import torch

from helixnas import artifacts
from helixnas.errors import DivergenceError
from helixnas.fit import require_finite

BATCH = {"inputs": torch.rand(2, 1, 4, 4), "targets": torch.rand(2, 3)}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("value", [0.0, -2.5, 3e38])
def test_a_finite_loss_is_returned_and_nothing_is_written(value: float, folder: Path) -> None:
    loss = torch.tensor(value, requires_grad=True)
    assert require_finite(loss, "loss", 0, "lr", 0.1, BATCH) == float(torch.tensor(value))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_names_place_step_rate_and_remedy(value: str) -> None:
    loss = torch.tensor(float(value), requires_grad=True)
    wanted = (
        rf"^distill_loss of block 3 is {value} at step 412 \(lr 0\.01\)\. Lower distill\.lr; the batch is saved in "
    )
    with pytest.raises(DivergenceError, match=wanted):
        require_finite(loss, "distill_loss of block 3", 412, "distill.lr", 0.01, BATCH)


def test_the_batch_is_saved_where_the_message_says(folder: Path) -> None:
    with pytest.raises(DivergenceError) as caught:
        require_finite(torch.tensor(float("nan")), "loss of teacher.recipe", 1, "lr", 0.1, BATCH)
    path = Path(str(caught.value).split("saved in ")[1].rstrip("."))
    assert path == Path(".cache/diverged/loss_of_teacher.recipe.safetensors")
    tensors, _ = artifacts.load_tensors(folder / path, "batch")
    assert all(torch.equal(tensors[name], BATCH[name]) for name in BATCH)
