"""The user's own images, from wherever they lie: every source gives the same kind of parts, and says what is wrong."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from helixnas.data import Prepared, peek
from helixnas.errors import ConfigError, DataError
from tests.conftest import whole
from tests.data.conftest import COLOURS, encoded, paint, prepared, settings


def assert_colours(result: Prepared, num_images: int) -> None:
    """Each image shows its label's colour, and none is lost."""
    assert sum(map(len, result.parts.values())) == num_images
    for part in result.parts.values():
        assert part.class_names == ("blue", "green", "red")
        brightest = whole(part).float().mean(dim=(2, 3)).argmax(dim=1)
        assert torch.equal(brightest, 2 - part.labels)


def test_a_folder_of_class_folders_is_split_by_class(tmp_path: Path) -> None:
    paint(tmp_path)
    result = prepared("folder", tmp_path)
    assert_colours(result, 36)
    assert {name: len(part) for name, part in result.parts.items()} == {"train": 21, "rating": 6, "test": 9}


def test_test_images_that_are_chosen_already_stay_the_test_part(tmp_path: Path) -> None:
    paint(tmp_path / "train")
    paint(tmp_path / "test", num_images=4, size=(21, 10))
    result = prepared("folder", tmp_path)
    assert_colours(result, 48)
    assert len(result.parts["test"]) == 12


def test_the_middle_of_an_image_is_what_counts(tmp_path: Path) -> None:
    paint(tmp_path)
    for file in tmp_path.rglob("*.png"):
        image = Image.new("RGB", (30, 10))
        image.paste(Image.open(file).crop((0, 0, 10, 10)), (10, 0))
        image.save(file)
    assert_colours(prepared("folder", tmp_path), 36)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:4] = 200  # the upper half is light, once the file's EXIF is followed
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(9):
            lighter = pixels + np.uint8(index) + np.uint8(9 * (name == "a"))
            Image.fromarray(lighter[::-1] if name == "a" else lighter).save(
                tmp_path / name / f"{index}.png", exif=exif if name == "a" else None
            )
    images = whole(prepared("folder", tmp_path).parts["train"])
    assert images.shape[1] == 1
    assert (images[:, :, :4] > images[:, :, 4:]).all()


@pytest.mark.parametrize(("channels", "shape"), [(1, (1, 8, 8)), (3, (3, 8, 8)), (4, (4, 8, 8))])
def test_images_have_the_channels_that_are_asked_for(tmp_path: Path, channels: int, shape: tuple[int, ...]) -> None:
    paint(tmp_path)
    assert prepared("folder", tmp_path, channels=channels).parts["test"].in_shape == shape


def test_unreadable_files_are_listed_and_skipped_up_to_the_share(tmp_path: Path) -> None:
    paint(tmp_path)
    broken = tmp_path / "red" / "3.png"
    broken.write_bytes(broken.read_bytes()[:40])
    (tmp_path / "blue" / "0.png").write_text("no image")
    with pytest.raises(
        DataError, match=r"At most 0\.00% of 36 images .* but these 2 are: .*blue.0\.png: .*; .*red.3\.png"
    ):
        prepared("folder", tmp_path)
    result = prepared("folder", tmp_path, max_unreadable=0.1)
    assert_colours(result, 34)
    assert [Path(name).name for name, _ in result.unreadable] == ["0.png", "3.png"]


def test_parquet_as_hugging_face_writes_it(tmp_path: Path) -> None:
    for split, count, first in (("train", 10, 0), ("test", 5, 10)):
        images = [
            {"bytes": encoded(colour, first + index), "path": None}
            for colour in COLOURS.values()
            for index in range(count)
        ]
        table = pa.table({"image": images, "label": [label for label in range(3) for _ in range(count)]})
        names = b'{"info": {"features": {"label": {"names": ["blue", "green", "red"], "_type": "ClassLabel"}}}}'
        pq.write_table(
            table.replace_schema_metadata({b"huggingface": names}), tmp_path / f"{split}-00000-of-00001.parquet"
        )
    result = prepared("parquet", tmp_path)
    assert_colours(result, 45)
    assert len(result.parts["test"]) == 15


def test_parquet_of_plain_bytes_and_class_names(tmp_path: Path) -> None:
    rows = [(encoded(colour, index), name) for name, colour in COLOURS.items() for index in range(10)]
    pq.write_table(
        pa.table({"img": [row[0] for row in rows], "label": [row[1] for row in rows]}), tmp_path / "all.parquet"
    )
    assert_colours(prepared("parquet", tmp_path / "all.parquet"), 30)


def test_a_torchvision_dataset_on_disk_keeps_its_splits(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST/raw"
    folder.mkdir(parents=True)
    for split, count in (("train", 40), ("t10k", 10)):
        pixels = np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)
        header = (2051).to_bytes(4, "big") + count.to_bytes(4, "big") + (28).to_bytes(4, "big") * 2
        (folder / f"{split}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        labels = bytes(row % 4 for row in range(count))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(
            (2049).to_bytes(4, "big") + count.to_bytes(4, "big") + labels
        )
    parts = prepared("torchvision:MNIST", tmp_path).parts
    assert {name: len(part) for name, part in parts.items()} == {"train": 32, "rating": 8, "test": 10}
    assert parts["train"].in_shape == (1, 8, 8)


def test_a_function_of_the_users_own_gives_any_channel_count(own: Path) -> None:
    assert prepared("factory:mine:load", own).parts["train"].in_shape == (6, 8, 8)


def test_grey_arrays_become_colour_where_that_is_asked_for(tmp_path: Path) -> None:
    grey = whole(prepared("digits", tmp_path).parts["train"])
    assert torch.equal(whole(prepared("digits", tmp_path, channels=3).parts["train"]), grey.expand(-1, 3, -1, -1))


def test_arrays_cannot_have_any_number_of_channels(own: Path) -> None:
    with pytest.raises(DataError, match=r"data\.channels must be 6, as the images have, but is 3"):
        prepared("factory:mine:load", own, channels=3)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            "words",
            r"must return images \[N, C, H, W\] of uint8 or other numbers, .*, but its images are <U1 \(40, 6, 9, 9\)",
        ),
        ("none_wide", r"must return images .*, but its images are uint8 \(40, 6, 0, 0\)"),
        ("objects", r"must return images .*, but its images are object \(40, 6, 9, 9\)"),
        ("nothing", r"mine:nothing must return images .*, but: .*NoneType"),
        ("marks", r"must return images .*, but their lengths N are \[2, 40\]"),
        ("too_many", r"2 class names need labels from 0 to 1, but image 2 has 2; .*image 6 has 6; and 33 more\. Corr"),
        ("halves", r"all whole numbers or all strings, but image 0 has 0\.0; image 1 has 0\.5; .*; and 35 more\. Corr"),
        ("missing", r"all whole numbers or all strings, but image 1 has None; .*; and 15 more\. Correct"),
        ("one_hot", r"must return .*, but its labels are \(40, 2\)"),
        ("one_class", r"must be of at least two classes, but all 40 are of no\. Add"),
        ("nameless", r"Labels need class names, but there are none"),
    ],
)
def test_a_function_that_returns_something_else_is_told(own: Path, function: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepared(f"factory:mine:{function}", own)
    with pytest.raises(DataError, match=message):
        peek(settings(f"factory:mine:{function}", own))


@pytest.mark.parametrize(("name", "message"), [("mine:lode", "it has no 'lode'"), ("yours:load", "no module 'yours'")])
def test_a_function_that_is_not_there_is_told(own: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepared(f"factory:{name}", own)


def test_normalisation_is_the_teachers_where_it_is_given(tmp_path: Path) -> None:
    paint(tmp_path)
    part = prepared("folder", tmp_path, mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.1]).parts["train"]
    assert (part.mean, part.std) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    with pytest.raises(DataError, match=r"data\.mean must have a value for each of 3 channels, but is \[0\.5\]"):
        prepared("folder", tmp_path, mean=[0.5])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("folder", "must be a folder of class folders"),
        ("parquet", "must be a Parquet file or a folder of them"),
        ("torchvision:CIFAR10", "must hold torchvision's CIFAR10"),
        ("torchvision:CIFAR11", "must name a dataset of torchvision.*CIFAR10"),
    ],
)
def test_images_that_are_not_where_they_should_be_are_told(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        prepared(source, tmp_path / "absent")


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="must give images"):
        prepared("folder", tmp_path)
