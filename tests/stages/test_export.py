"""The export stage: files that are proved or not left, int8 by the rating part, and a card."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from helixnas import artifacts
from helixnas.artifacts import folder
from helixnas.config import load
from helixnas.errors import ArtifactError, ExportError
from helixnas.export import CARD, FACTS, INT8, MODULE, ONNX, PT2, WEIGHTS, exported_files
from helixnas.runtimes import Latency
from helixnas.stages import export

FLOAT = {ONNX, PT2, MODULE}


def run(root: Path, *overrides: str) -> dict[str, Any]:
    """The stage once more, and what it wrote down."""
    shutil.rmtree(root / folder("export"), ignore_errors=True)
    with contextlib.chdir(root):
        export.run(load(root, overrides))
    return dict(artifacts.load_json(root / folder("export") / FACTS, "export"))


def names(root: Path) -> set[str]:
    return {path.name for path in (root / folder("export")).iterdir()}


def test_every_file_is_proved_on_the_whole_test_part(finished: Path) -> None:
    out = finished / folder("export")
    facts = artifacts.load_json(out / FACTS, "export")
    figures = artifacts.load_json(finished / folder("report") / "figures.json", "figures")
    assert set(facts["files"]) >= FLOAT
    for name in FLOAT:
        proof = facts["files"][name]
        assert proof["agreement"] == 1.0
        assert proof["max_difference"] < 1e-4
        assert proof["top1_acc"] == figures["student"]["top1_acc"]
        assert proof["latency"]["p50_ms"] > 0
    assert facts["files"][ONNX]["runtime"].startswith("ONNX Runtime 1.")
    assert facts["files"][ONNX]["runtime"].endswith("CPU, 1 thread")
    assert facts["num_test_images"] == figures["num_test_images"]
    assert {path.name for path in exported_files(out)} == {path.name for path in out.iterdir()}
    card = (out / CARD).read_text()
    assert figures["arch_id"] in card
    assert figures["split"] in card
    assert facts["int8"]["reason"] in card


def pretended(monkeypatch: pytest.MonkeyPatch, int8_ms: float) -> None:
    """Times as if int8 took ``int8_ms``, and all else 1 ms."""

    def times(runners: dict[str, object], *_: object) -> dict[str, Latency]:
        return {name: Latency(int8_ms, int8_ms, 9) if name == INT8 else Latency(1.0, 1.0, 9) for name in runners}

    monkeypatch.setattr(export, "latencies", times)


@pytest.mark.slow
def test_int8_is_decided_before_the_test_part_is_read(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretended(monkeypatch, 0.5)
    shutil.rmtree(project / folder("data") / "test")
    shutil.rmtree(project / folder("export"))
    with pytest.raises(ArtifactError, match=r"data/test/\S+ must exist"), contextlib.chdir(project):
        export.run(load(project, ["export.max_acc_drop=1.0"]))
    assert "student.int8.onnx is kept: it is faster here" in capsys.readouterr().err


@pytest.mark.slow
def test_int8_is_kept_or_left_out_as_asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretended(monkeypatch, 0.5)
    facts = run(project, "export.max_acc_drop=1.0")
    assert facts["int8"]["kept"]
    assert names(project) == {*FLOAT, INT8, WEIGHTS, CARD, FACTS}
    assert set(facts["files"]) == {*FLOAT, INT8}
    assert set(facts["sha256"]) == {*FLOAT, INT8, WEIGHTS, CARD}
    pretended(monkeypatch, 2.0)
    facts = run(project, "export.max_acc_drop=1.0")
    assert not facts["int8"]["kept"]
    assert names(project) == {*FLOAT, WEIGHTS, CARD, FACTS}
    facts = run(project, "export.int8=false")
    assert facts["int8"] == {"kept": False, "reason": "export.int8 is false."}
    assert names(project) == {*FLOAT, WEIGHTS, CARD, FACTS}


@pytest.mark.slow
def test_a_file_that_differs_ends_the_stage_and_nothing_is_sealed(project: Path) -> None:
    with pytest.raises(
        ExportError, match=r"^student\.onnx must give .* 1e-12 \(export\.tolerance\), but differs by \d"
    ):
        run(project, "export.tolerance=1e-12", "export.int8=false")
    assert FACTS not in names(project)
    assert CARD not in names(project)
