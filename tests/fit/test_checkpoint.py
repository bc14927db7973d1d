"""Checkpoints: replaced whole, read without running code, passed over when damaged."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from helixnas.errors import EnvironmentFault
from helixnas.fit import Checkpoint
from tests.test_artifacts import no_room


def trained() -> dict[str, Any]:
    """What a training saves: weights, and an optimizer's state with moments, counts and settings."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(network.parameters(), 0.1)
    network(torch.rand(2, 2, 4, 4)).square().sum().backward()
    optimizer.step()
    return {"epoch": 3, "network": network.state_dict(), "optimizer": optimizer.state_dict()}


def same(first: Any, second: Any) -> bool:
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return bool(first == second)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "resume" / "checkpoint.pt"


def test_what_is_saved_is_what_is_loaded(path: Path) -> None:
    Checkpoint(path).save(trained())
    assert same(Checkpoint(path).load(), trained())


def test_the_last_state_saved_counts(path: Path) -> None:
    for epoch in range(3):
        Checkpoint(path).save({"epoch": epoch})
    assert Checkpoint(path).load() == {"epoch": 2}
    assert list(path.parent.iterdir()) == [path]


def test_without_a_file_a_training_starts_afresh_and_says_nothing(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Checkpoint(path).load() is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_told_and_passed_over(path: Path, share: float, capsys: pytest.CaptureFixture[str]) -> None:
    Checkpoint(path).save(trained())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert Checkpoint(path).load() is None
    assert f"{path} cannot be read" in (error := capsys.readouterr().err)
    assert "starting afresh" in error
    Checkpoint(path).save(trained())  # the damaged file is no obstacle
    assert same(Checkpoint(path).load(), trained())


@pytest.mark.parametrize("garbage", [b"half a file", b"\x00" * 4096, b"PK\x03\x04" + b"x" * 100])
def test_garbage_is_told_and_passed_over(path: Path, garbage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path.parent.mkdir()
    path.write_bytes(garbage)
    assert Checkpoint(path).load() is None
    assert "starting afresh" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.999])
def test_a_single_changed_bit_is_told_and_passed_over(path: Path, share: float) -> None:
    Checkpoint(path).save({"weight": torch.full((1000,), 1.5)})
    data = bytearray(path.read_bytes())
    data[int(len(data) * share)] ^= 1
    path.write_bytes(data)
    assert Checkpoint(path).load() is None


def test_a_whole_file_that_torch_cannot_read_is_passed_over(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.parent.mkdir()
    for content in (b"of another version", b"PK\x03\x04 of another version"):
        path.write_bytes(hashlib.sha256(content).digest() + content)
        assert Checkpoint(path).load() is None
        assert "starting afresh" in capsys.readouterr().err


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_cannot_run_code(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Checkpoint(path).save({"epoch": Bomb(tmp_path / "ran")})
    assert Checkpoint(path).load() is None
    assert "starting afresh" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_a_save_that_fails_leaves_the_old_state(path: Path) -> None:
    Checkpoint(path).save(trained())
    with pytest.raises(AttributeError):
        Checkpoint(path).save({"epoch": lambda: None})  # no pickle
    with no_room(), pytest.raises(EnvironmentFault, match=r"checkpoint\.pt must be written, but"):
        Checkpoint(path).save(trained())
    assert same(Checkpoint(path).load(), trained())
    assert list(path.parent.iterdir()) == [path]
