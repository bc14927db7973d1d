"""Labels that cannot be used are told before an image is read; images without labels pass."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from helixnas.data import Prepared, peek
from helixnas.errors import DataError
from tests.data.conftest import COLOURS, encoded, paint, prepared, settings


def assert_unlabelled(result: Prepared, sizes: dict[str, int]) -> None:
    assert {name: len(part) for name, part in result.parts.items()} == sizes
    for part in result.parts.values():
        assert (part.is_labelled, part.num_classes, part.class_names) == (False, None, ())
        assert part.labels.unique().tolist() == [-1]
    assert result.notes == ()


def test_images_in_no_class_folder_have_no_labels(tmp_path: Path) -> None:
    paint(tmp_path / "classes")
    for file in (tmp_path / "classes").rglob("*.png"):
        file.rename(tmp_path / f"{file.parent.name}_{file.name}")
    shutil.rmtree(tmp_path / "classes")
    assert_unlabelled(prepared("folder", tmp_path), {"train": 21, "rating": 6, "test": 9})
    assert peek(settings("folder", tmp_path)).num_classes is None


def test_a_split_of_images_without_labels_is_kept(tmp_path: Path) -> None:
    for name, count in (("train", 10), ("test", 4)):
        (tmp_path / name).mkdir()
        for index in range(count):
            Image.new("RGB", (8, 8), (index, count, 0)).save(tmp_path / name / f"{index}.png")
    assert_unlabelled(prepared("folder", tmp_path), {"train": 8, "rating": 2, "test": 4})


def test_parquet_without_a_label_column_has_no_labels(tmp_path: Path) -> None:
    images = [encoded(COLOURS["red"], index) for index in range(20)]
    pq.write_table(pa.table({"image": images, "width": [9] * 20}), tmp_path / "all.parquet")
    assert_unlabelled(prepared("parquet", tmp_path), {"train": 12, "rating": 3, "test": 5})


def test_a_function_may_give_images_without_labels(own: Path) -> None:
    assert_unlabelled(prepared("factory:mine:bare", own), {"train": 24, "rating": 6, "test": 10})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [0, 1] * 4 + [None] * 7,
            r"all whole numbers or all strings, but \S+all\.parquet, row 8 has None; .*; and 2 more",
        ),
        (
            [0, 1] * 7 + [0.5],
            r"all whole numbers or all strings, but .*all\.parquet, row 0 has 0\.0; .*; and 10 more\.",
        ),
        ([0, 1] * 7 + [-1], r"2 class names need labels from 0 to 1, but \S+all\.parquet, row 14 has -1\. Correct"),
        ([3] * 15, r"at least two classes, but all 15 are of 3\."),
    ],
)
def test_labels_that_cannot_be_used_are_named_by_row(tmp_path: Path, labels: list[Any], message: str) -> None:
    images = [encoded(COLOURS["red"], index) for index in range(15)]
    pq.write_table(pa.table({"image": images, "label": labels}), tmp_path / "all.parquet")
    with pytest.raises(DataError, match=message):
        peek(settings("parquet", tmp_path))
    with pytest.raises(DataError, match=message):
        prepared("parquet", tmp_path)


def test_a_file_without_labels_among_others_with_labels_is_told(tmp_path: Path) -> None:
    images = [encoded(COLOURS["red"], index) for index in range(4)]
    pq.write_table(pa.table({"image": images, "label": [0, 1, 0, 1]}), tmp_path / "train.parquet")
    pq.write_table(pa.table({"image": images}), tmp_path / "test.parquet")
    with pytest.raises(DataError, match=r"All files or none must have labels, but these have none: \S+test\.parquet\."):
        prepared("parquet", tmp_path)
