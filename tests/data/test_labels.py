"""Labels that cannot be used are told before an image is read; images without labels pass."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from helixnas.data import Prepared, peek
from helixnas.data.labels import check_labels, coded, named
from helixnas.data.source import Source
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
        ([0, 1] * 7 + [10**12], r"must be below 100,000, but \S+all\.parquet, row 14 has 1000000000000\. Number the"),
        ([True, False] * 7 + [True], r"all whole numbers or all strings, but .*row 0 has True; .*; and 10 more"),
        ([float("nan")] * 15, r"all whole numbers or all strings, but .*row 0 has nan"),
        (["a", "b"] * 7 + [None], r"all whole numbers or all strings, but \S+all\.parquet, row 14 has None\. Correct"),
        ([[0], [1]] * 7 + [[0]], r"all whole numbers or all strings, but .*row 0 has \[0\]"),
        (["a", ""] * 7 + ["b"], r"a name of its own, of 1 to 200 printable characters, but class 0 has ''\. Rename"),
        (["a", "b" * 10**6] * 7 + ["a"], r"1 to 200 printable characters, but class 1 has 'bbb\w+\.\.\.\w+'\. Rename"),
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


WORDS = "all whole numbers or all strings, but"


@pytest.mark.parametrize(
    ("values", "class_names", "message"),
    [
        ([0, 1, "a"], None, f"{WORDS} row 2 has 'a'"),
        (["a", "b", 3], None, f"{WORDS} row 2 has 3"),
        ([0, 2**70, 1], ["a", "b"], r"2 class names need labels from 0 to 1, but row 1 has 118059\S+\. Correct"),
        ([0, -1, 1], ["a", "b"], r"from 0 to 1, but row 1 has -1\."),
        ([-2, -2, -2], None, r"from 0 to 0, but row 0 has -2"),
        (["a", "c", "b"], ["a", "b"], r"must be among the 2 class names, but row 1 has 'c'\. Correct them, or name"),
        ([0, 1, 1], [], "Labels need class names, but there are none"),
        (np.array([0.0, np.nan, 1]), None, f"{WORDS} row 0 has 0.0; row 1 has nan; row 2 has 1.0"),
        (np.array([True, False, True]), None, f"{WORDS} row 0 has True"),
    ],
)
def test_a_label_of_no_class_is_refused_with_its_row(values: Any, class_names: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        coded(values, class_names, ["row 0", "row 1", "row 2"])


@pytest.mark.parametrize(
    ("values", "class_names", "numbers", "names"),
    [
        ([2, 0, 2], None, [2, 0, 2], ("0", "1", "2")),
        (["b", "a", "b"], None, [1, 0, 1], ("a", "b")),
        (["b", "a", "b"], ["b", "a"], [0, 1, 0], ("b", "a")),
        ([np.uint8(1), torch.tensor(0), 1], ["a", "b"], [1, 0, 1], ("a", "b")),
        (np.array(["b", "a", "b"]), ["a", "b"], [1, 0, 1], ("a", "b")),
        ([-1, -1, -1], ["a", "b"], [-1, -1, -1], ()),
    ],
)
def test_labels_are_numbers_or_names(values: Any, class_names: Any, numbers: list[int], names: tuple[str, ...]) -> None:
    labels, given = coded(values, class_names, ["row 0", "row 1", "row 2"])
    assert (labels.dtype, labels.tolist(), given) == (torch.int64, numbers, names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "must name the classes in a list, but gives None"),
        ("abc", "must name the classes in a list, but gives 'abc'"),
        (["a", None, 2.5], "must name the classes by strings or whole numbers, but class 1 has None; class 2 has 2.5"),
    ],
)
def test_class_names_are_a_list_of_names(given: Any, message: str) -> None:
    assert named(np.array([3, 4]), "mine:load") == named(range(3, 5), "mine:load") == ("3", "4")
    with pytest.raises(DataError, match=f"mine:load {message}"):
        named(given, "mine:load")


@pytest.mark.parametrize(
    ("class_names", "message"),
    [
        (("a", "b", "a"), r"classes 0 and 2 both have 'a'\. Rename"),
        (("a", " ", "b"), "class 1 has ' '"),
        (("a", "b", "c\n"), r"class 2 has 'c\\n'"),
    ],
)
def test_classes_that_cannot_be_told_apart_are_refused(class_names: tuple[str, ...], message: str) -> None:
    source = Source(torch.arange(3), class_names, ["0", "1", "2"], lambda row: torch.zeros(1, 8, 8))
    with pytest.raises(DataError, match=message):
        check_labels(source)


@pytest.mark.parametrize("names", [b"{", b"\xff", b"[" * 10**5], ids=["cut short", "no text", "deep"])
def test_metadata_that_are_no_json_are_told(tmp_path: Path, names: bytes) -> None:
    table = pa.table({"image": [b""], "label": [0]}).replace_schema_metadata({b"huggingface": names})
    pq.write_table(table, tmp_path / "all.parquet")
    with pytest.raises(DataError, match=r"all\.parquet must describe its columns in JSON, as Hugging Face does, but"):
        peek(settings("parquet", tmp_path))


@pytest.mark.parametrize(
    "metadata", ["[]", "null", '{"info": 3}', '{"info": {"features": {"other": {"names": ["x"]}}}}']
)
def test_metadata_that_name_no_class_of_the_column_are_passed_over(tmp_path: Path, metadata: str) -> None:
    images = [encoded(COLOURS["red"], index) for index in range(12)]
    table = pa.table({"image": images, "label": ["b", "a"] * 6})
    pq.write_table(table.replace_schema_metadata({b"huggingface": metadata.encode()}), tmp_path / "all.parquet")
    assert prepared("parquet", tmp_path).parts["train"].class_names == ("a", "b")


def test_files_that_name_other_classes_are_told(tmp_path: Path) -> None:
    for name, classes in (("a", '["x", "y"]'), ("b", '["y", "x"]')):
        metadata = f'{{"info": {{"features": {{"label": {{"names": {classes}}}}}}}}}'
        table = pa.table({"image": [b"", b""], "label": [0, 1]})
        pq.write_table(table.replace_schema_metadata({b"huggingface": metadata.encode()}), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=r"these name others than \S+a\.parquet: \S+b\.parquet\. Write"):
        peek(settings("parquet", tmp_path))


def test_an_image_beside_class_folders_is_told(tmp_path: Path) -> None:
    paint(tmp_path)
    Image.new("L", (8, 8)).save(tmp_path / "stray.png")
    with pytest.raises(DataError, match=r"lie in class folders, but these lie beside them: \S+stray\.png\. Move"):
        peek(settings("folder", tmp_path))


def test_a_class_that_a_part_lacks_is_told(tmp_path: Path) -> None:
    paint(tmp_path / "train")
    paint(tmp_path / "test", size=(21, 10))
    shutil.rmtree(tmp_path / "train/blue")
    note = "1 of 3 classes have no image in the {} part: blue."
    for notes in (peek(settings("folder", tmp_path)).notes, prepared("folder", tmp_path).notes):
        assert notes == (note.format("train"), note.format("rating"))


def test_a_train_part_of_one_class_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "train")
    paint(tmp_path / "test", size=(21, 10))
    for name in ("blue", "red"):
        shutil.rmtree(tmp_path / "train" / name)
    message = "The train part must have images of at least two classes, but has none of: blue; red. Add"
    for read in (lambda: peek(settings("folder", tmp_path)), lambda: prepared("folder", tmp_path)):
        with pytest.raises(DataError, match=message):
            read()
