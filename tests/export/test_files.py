"""Exported files are whole and unchanged, or they are not handed on."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from helixnas.errors import ArtifactError, ConfigError
from helixnas.export import (
    CARD,
    FACTS,
    MODULE,
    ONNX,
    PT2,
    WEIGHTS,
    CardFacts,
    Contract,
    Proof,
    copy_files,
    exported_files,
    seal,
    write_card,
)
from helixnas.runtimes import Latency

NAMES = [ONNX, PT2, MODULE, WEIGHTS, CARD]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(name)
    seal(folder, NAMES, {"opset": 18})
    return folder


def test_a_copy_is_whole(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "new" / "deep", tmp_path / "empty"):
        copied = copy_files(folder, target)
        assert {path.name: path.read_bytes() for path in copied} == {p.name: p.read_bytes() for p in folder.iterdir()}
        assert sorted(copied) == sorted(target.iterdir())
        assert set(exported_files(target)) == set(copied)


@pytest.mark.parametrize("name", [*NAMES, FACTS])
def test_a_changed_or_missing_file_is_handed_on_nowhere(folder: Path, tmp_path: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole.replace(b"18", b"19") if name == FACTS else whole + b"!")
    with pytest.raises(ArtifactError, match=rf"{name} (was changed|must)"):
        copy_files(folder, tmp_path / "target")
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=rf"{name} must exist"):
        copy_files(folder, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_a_folder_that_holds_something_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    for target in (tmp_path / "mine", tmp_path / "mine" / "notes"):
        with pytest.raises(ConfigError, match=rf"--to must name a new or empty folder, but {target} holds something"):
            copy_files(folder, target)
    assert (tmp_path / "mine" / "notes").read_text() == "mine"


FACTS_OF_A_CARD = CardFacts(
    title="Student 0:0 of timm:resnet18",
    teacher="timm:resnet18",
    teacher_acc=None,
    data="digits",
    split="feed",
    num_images=(1000, 200, 300),
    is_labelled=True,
    interval=(0.87, 0.93),
    student_acc=0.9,
    student_latency=Latency(1.0, 2.0, 9),
    costs={"madds": "5.00M"},
    budget={"madds": "at most 6.00M"},
    machine="cpu: a CPU",
    int8="it is not faster here.",
)
PROOFS = [Proof(name, "a runtime", 2_000_000, 1e-6, 1.0, 0.9, Latency(0.2, 0.3, 9)) for name in (ONNX, PT2, MODULE)]


def test_a_card_tells_what_is_known_and_what_is_not() -> None:
    card = write_card(FACTS_OF_A_CARD, Contract(("cat", "dog"), (3, 32, 32)), PROOFS)
    for said in (
        "90.00% top-1 accuracy on the test part, between 87.00% and 93.00%",
        "unknown: it was not measured",
        "digest `feed`",
        "madds at most 6.00M",
        "2: cat, dog",
        "| `student.onnx` | 2.00 MB | 90.00% | 1.0e-06 | 100.00% | 0.20 ms | 0.30 ms | a runtime |",
        "`student.int8.onnx`: it is not faster here.",
        "Unknown: the licence of the data",
    ):
        assert said in card


def test_without_labels_the_card_speaks_of_agreement() -> None:
    card = write_card(replace(FACTS_OF_A_CARD, is_labelled=False), Contract(("0", "1"), (3, 32, 32)), PROOFS)
    assert "90.00% agreement with the teacher (the images have no labels) on the test part" in card
    assert "top-1" not in card


def test_a_card_of_many_classes_fits_mlflow() -> None:
    names = tuple(f"{index} {'a class with a very long name' * 9} | `*`" for index in range(1000))
    card = write_card(FACTS_OF_A_CARD, Contract(names, (3, 224, 224)), PROOFS)
    assert len(card) < 5000
    assert "1000: 0 a class" in card
    assert "and 980 more" in card


@pytest.mark.parametrize("in_shape", [(3, 32, 32), (1, 8, 8), (4, 16, 16)])
def test_the_cards_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_shape: tuple[int, int, int]) -> None:
    from PIL import Image

    from helixnas.data import read_images
    from helixnas.export import export_program, write_files

    contract = Contract(("cat", "dog"), in_shape)
    torch.manual_seed(0)
    student = nn.Sequential(nn.Conv2d(in_shape[0], 2, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    write_files(tmp_path, export_program(student, in_shape), student, contract, "A student")
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[in_shape[0]]
    Image.effect_mandelbrot((90, 120), (-2, -1.5, 1, 1.5), 50).convert(mode).save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    card = write_card(FACTS_OF_A_CARD, contract, PROOFS)
    read, *uses = [text.partition("```")[0] for text in card.split("```python\n")[1:]]
    assert len(uses) == 3
    wanted = student(read_images([tmp_path / "image.png"], in_shape).float() / 255)
    for use in uses:
        sys.modules.pop("model", None)  # of the test before
        scope: dict[str, object] = {}
        exec(read + use, scope)  # as a reader pastes it
        got = torch.as_tensor(scope["logits"])
        torch.testing.assert_close(got, wanted, rtol=0.02, atol=0.01)
