"""Files that could stand in for one another, and CSV files that are damaged: refused by name, whoever reads them."""

import contextlib
import shutil
from pathlib import Path

import pytest

from helixnas.artifacts import exclusive
from helixnas.config import load
from helixnas.errors import ArtifactError
from helixnas.handover.setting import Setting
from helixnas.stages import rating, report, search
from helixnas.tracking.pipeline import _points

SWAPPED = [
    ("data/train/index.parquet", "data/rating/index.parquet", "rating"),
    ("distill/block_0/supernet.safetensors", "distill/block_1/supernet.safetensors", "rating"),
    ("rating/block_0/rating.parquet", "rating/block_1/rating.parquet", "search"),
    ("cost/counted/block_0.parquet", "cost/counted/block_1.parquet", "search"),
    ("cost/measured/block_0.parquet", "cost/measured/block_1.parquet", "search"),
    ("cost/counted/fixed.json", "cost/measured/fixed.json", "search"),
    ("data/test/index.parquet", "data/train/index.parquet", "report"),
    ("retrain/student.safetensors", "retrain/initial.safetensors", "report"),
    ("distill/block_0/curve.csv", "distill/block_1/curve.csv", "report"),
    ("teacher/curve.csv", "retrain/curve.csv", "report"),
]
DAMAGE = {
    "a bit": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1][: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "project", symlinks=True))


def run(root: Path, stage: str) -> None:
    """As by hand: ``helixnas rating --block-id 0``."""
    config = load(root)
    with contextlib.chdir(root):
        if stage == "rating":
            rating.run(config, 0)
        else:
            {"search": search, "report": report}[stage].run(config)


@pytest.mark.parametrize(("name", "other", "stage"), SWAPPED)
def test_a_file_in_anothers_place_is_refused_by_name(project: Path, name: str, other: str, stage: str) -> None:
    shutil.copy(project / "artifacts" / other, project / "artifacts" / name)
    with pytest.raises(ArtifactError, match=rf"artifacts/{name} must hold .*, but holds"):
        run(project, stage)


@pytest.mark.parametrize("name", ["search/trials.csv", "distill/block_0/curve.csv", "retrain/curve.csv"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_csv_is_refused_by_name(
    project: Path, name: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "artifacts" / name
    DAMAGE[damage](path)
    monkeypatch.setattr(report, "_figures", lambda *_: pytest.fail("measured, though what it shows cannot be read"))
    with pytest.raises(ArtifactError, match=rf"artifacts/{name} "):
        run(project, "report")
    if name.endswith("curve.csv"):
        with pytest.raises(ArtifactError, match=rf"artifacts/{name} "):
            list(_points(path))


def test_two_searches_at_once_wait_for_each_other(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(setting: Setting) -> None:
        with exclusive(project / search.STUDIES / "lock", wait=False) as is_free:
            assert not is_free
        seen.append(setting.name)

    seen: list[str] = []
    monkeypatch.setattr(search, "_run", probe)
    run(project, "search")
    assert seen == ["search"]
