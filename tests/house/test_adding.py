"""A new supervision or criterion is one file and one word in its registry, shown in a copy of the package."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helixnas import artifacts, source
from helixnas.source import PACKAGE
from tests.contracts.conftest import WAYS
from tests.project import new_project

REGISTRY = "config/values.py"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the package."""
    copy = tmp_path / "src" / "helixnas"
    return Path(shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A project where the stages before distill have run."""
    root = tmp_path / "project"
    root.mkdir()
    new_project(root)
    for name in ("custom", "data", "teacher", "search_space"):
        shutil.copytree(finished / "artifacts" / name, root / "artifacts" / name)
    return root


def python(copied: Path, root: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(copied.parent)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def add(copied: Path, room: str, name: str, line: str) -> None:
    """All that a new way takes."""
    shutil.copy(WAYS / f"{name}.py", copied / room / f"{name}.py")
    registry = copied / REGISTRY
    text = registry.read_text()
    assert line in text
    registry.write_text(text.replace(line, f'{line[:-1]}, "{name}"]'))


def test_a_supervision_and_a_criterion_are_one_file_and_one_word_each(copied: Path, root: Path) -> None:
    add(copied, "distill", "toy_siamese", 'Supervision = Literal["teacher"]')
    add(copied, "rating", "toy_tail", 'Criterion = Literal["feature"]')
    dependencies = "import json; from helixnas import source; print(json.dumps(list(map(source.dependencies, {}))))"
    told = json.loads(python(copied, root, "-c", dependencies.format(["distill", "rating"])))
    assert told == [source.dependencies("distill"), source.dependencies("rating")]  # nothing else is stale

    parameters = (root / "params.yaml").read_text()
    parameters = parameters.replace("supervision: teacher", "supervision: toy_siamese")
    (root / "params.yaml").write_text(parameters.replace("criterion: feature", "criterion: toy_tail"))
    for stage in ("distill", "rating"):
        python(copied, root, "-m", "helixnas", stage, "--block-id", "0")
    tensors, _ = artifacts.load_tensors(root / "artifacts/distill/block_0/beside.safetensors", "beside")
    assert {name.partition(".")[0] for name in tensors} == {"target", "predictor"}
    table, facts = artifacts.load_table(root / "artifacts/rating/block_0/rating.parquet", "ratings")
    assert (facts["criterion"], facts["constant"]) == ("toy_tail", None)
    assert table["rating"].notna().all()
    assert table["rating"][0] == 0.0


def test_the_code_of_a_way_counts_where_it_is_chosen(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PACKAGE", copied)
    add(copied, "distill", "toy_siamese", 'Supervision = Literal["teacher"]')
    before = {way: source.stage_digest("distill", way) for way in ("teacher", "toy_siamese")}
    with (copied / "distill" / "toy_siamese.py").open("a") as file:
        file.write("# an edit\n")
    assert source.stage_digest("distill", "teacher") == before["teacher"]
    assert source.stage_digest("distill", "toy_siamese") != before["toy_siamese"]
