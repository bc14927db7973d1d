"""int8 is kept where it is worth it, by figures of the rating part and of this machine."""

from pathlib import Path

import pytest
import torch

from helixnas.errors import ConfigError
from helixnas.export import INT8, ONNX, decide, logits, open_file, save_int8
from helixnas.runtimes import Latency
from tests.conftest import whole
from tests.export.conftest import Exported, part


@pytest.mark.parametrize(
    ("is_asked", "acc", "ms", "kept", "says"),
    [
        (False, 0.90, 0.5, True, "it is faster here and loses no more than export.max_acc_drop"),
        (False, 0.89, 0.5, True, "it is faster here"),
        (False, 0.88, 0.5, False, "it loses more than export.max_acc_drop"),
        (False, 0.90, 1.0, False, "it is not faster here"),
        (False, float("nan"), 0.5, False, "it loses more"),
        (True, 0.10, 9.0, True, "export.int8 is true"),
    ],
)
def test_int8_is_kept_where_it_is_faster_and_about_as_accurate(
    is_asked: bool, acc: float, ms: float, kept: bool, says: str
) -> None:
    decided = decide(is_asked, 0.015, (acc, 0.9), (Latency(ms, ms, 9), Latency(1.0, 1.0, 9)))
    assert decided.kept == kept
    assert decided.reason.startswith(says)


def test_a_file_in_int8_is_smaller_and_about_right(exported, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made: Exported = exported("resnet18")
    images = part(made.contract.in_shape, 64)
    save_int8(made.folder / ONNX, iter([whole(images).float() / 255]), made.contract, tmp_path / INT8)
    assert (tmp_path / INT8).stat().st_size < 0.6 * (made.folder / ONNX).stat().st_size
    run = open_file(tmp_path / INT8, 1)
    wanted, got = logits(made.student, images), logits(run, images)
    assert torch.corrcoef(torch.stack([wanted.flatten(), got.flatten()]))[0, 1] > 0.95
    assert not torch.equal(wanted, got)
    assert [path.name for path in tmp_path.iterdir()] == [INT8]


def test_what_cannot_be_rounded_is_told(exported, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    made: Exported = exported("resnet18")
    with pytest.raises(ConfigError, match=r"must turn the student into int8, but cannot: .* Set export\.int8: false"):
        save_int8(made.folder / ONNX, iter([]), made.contract, tmp_path / INT8)
