"""The data stage: its split is the split's seed's alone, and what was dropped or drawn together is told."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.parameters import change
from helixnas.config import load
from helixnas.data import ImageSet
from helixnas.errors import ConfigError, DataError
from helixnas.plan.planning import plan
from helixnas.stages import data
from tests.project import new_project


def run(root: Path, *overrides: str) -> dict[str, bytes]:
    with contextlib.chdir(root):
        data.run(load(root, overrides))
    return {str(path): path.read_bytes() for path in (root / "artifacts/data").glob("*/index.parquet")}


def paint(folder: Path, num_classes: int, num_images: int) -> Path:
    """Class folders of random images; in no class folder where ``num_classes`` is 0."""
    rng = np.random.default_rng(0)
    for label in range(max(1, num_classes)):
        inside = folder / f"class_{label}" if num_classes else folder
        inside.mkdir(parents=True, exist_ok=True)
        for index in range(num_images):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(inside / f"{index}.png")
    return folder


def test_another_seed_leaves_the_split_and_another_split_seed_changes_it(tmp_path: Path) -> None:
    new_project(tmp_path)
    first = run(tmp_path)
    assert len(first) == 3
    assert run(tmp_path, "seed=1") == first
    other = run(tmp_path, "data.split_seed=1")
    assert all(other[name] != first[name] for name in first)


def test_parts_carry_their_name_and_their_splits_digest(finished: Path) -> None:
    schemas = [pq.read_schema(path) for path in (finished / "artifacts/data").glob("*/index.parquet")]
    facts = [json.loads(schema.metadata[b"helixnas"])["facts"] for schema in schemas]
    assert {each["place"] for each in facts} == {f"data/{name}/index.parquet" for name in ("train", "rating", "test")}
    assert len({each["split"] for each in facts}) == 1


def test_what_was_dropped_or_drawn_together_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new_project(tmp_path)
    folder = paint(tmp_path / "mine", 3, 20)
    paint(folder / "lonely", 0, 1)
    for index in range(20):
        shutil.copy(folder / f"class_0/{index}.png", folder / f"class_0/again_{index}.png")
    run(tmp_path, "data.source=folder", f"data.path={folder}")
    said = capsys.readouterr().err
    assert "1 of 4 classes have too few images for three parts" in said
    assert "images of the test part were dropped: an earlier part holds them too." in said


def refusal(root: Path, *overrides: str) -> str:
    with contextlib.chdir(root), pytest.raises((ConfigError, DataError)) as caught:
        plan(load(root, overrides))
    return str(caught.value)


def test_plan_sees_what_data_would_refuse(tmp_path: Path) -> None:
    new_project(tmp_path)
    for name, num_classes, num_images, says in (
        ("one", 1, 9, "at least two classes, but all 9 are of class_0"),
        ("few", 2, 1, "2 images leave none for rating"),
    ):
        folder = paint(tmp_path / name, num_classes, num_images)
        overrides = ("data.source=folder", f"data.path={folder}")
        assert says in refusal(tmp_path, *overrides)
        with pytest.raises(DataError, match=says):
            run(tmp_path, *overrides)


def test_plan_tells_that_a_teacher_cannot_be_trained_without_labels(tmp_path: Path) -> None:
    new_project(tmp_path)
    folder = paint(tmp_path / "mine", 0, 9)
    said = refusal(tmp_path, "data.source=folder", f"data.path={folder}")
    assert said.startswith("teacher.recipe.epochs must be 0 where the images have no labels to train by, but is 1. Set")


def test_plan_passes_a_hundred_classes_of_one_image_each_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_project(tmp_path)
    paint(tmp_path / "mine", 100, 1)
    change(tmp_path, None, ["data.source=folder", f"data.path={tmp_path / 'mine'}"])
    with contextlib.chdir(tmp_path):
        made = plan(load(tmp_path))
    assert made.fault is None
    assert "100 of 100 classes have too few images for three parts" in capsys.readouterr().err
    run(tmp_path)
    assert len(ImageSet.load(tmp_path / "artifacts/data/test")) == 25
