"""Which image goes into which part: by class where that can be, no image twice, known again by its digest."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from helixnas.config import RunConfig
from helixnas.config.schema import Data
from helixnas.data import peek, prepare
from helixnas.data.pixels import image_digest
from helixnas.data.split import split, split_digest, without_repeats
from helixnas.errors import DataError
from helixnas.progress import silent


def settings(config: RunConfig, **others: object) -> Data:
    return config.data.model_copy(update=others)


def counts(labels: Tensor, rows: Tensor) -> list[int]:
    return labels[rows].bincount(minlength=int(labels.max()) + 1).tolist()


def all_rows(rows: dict[str, Tensor]) -> list[int]:
    return sorted(torch.cat(list(rows.values())).tolist())


def test_every_class_has_its_share_of_every_part(config: RunConfig) -> None:
    labels = torch.arange(2).repeat_interleave(torch.tensor([40, 80]))
    drawn = split(labels, None, config.data)
    assert drawn.notes == ()
    assert {name: counts(labels, rows) for name, rows in drawn.rows.items()} == {
        "train": [24, 48],
        "rating": [6, 12],
        "test": [10, 20],
    }


def test_classes_of_one_image_each_are_split_without_classes(config: RunConfig) -> None:
    drawn = split(torch.arange(1000), None, config.data)
    assert {name: len(rows) for name, rows in drawn.rows.items()} == {"train": 600, "rating": 150, "test": 250}
    assert all_rows(drawn.rows) == list(range(1000))
    assert drawn.notes[0].startswith("1000 of 1000 classes have too few images for three parts")


@pytest.mark.parametrize("sizes", [[1], [2], [1, 1, 2], [1] * 30])
def test_small_classes_do_not_cost_the_others_their_shares(config: RunConfig, sizes: list[int]) -> None:
    labels = torch.arange(2 + len(sizes)).repeat_interleave(torch.tensor([400, 800, *sizes]))
    drawn = split(labels, None, config.data)
    assert all_rows(drawn.rows) == list(range(len(labels)))
    assert counts(labels, drawn.rows["test"])[:2] == pytest.approx([100, 200], abs=1)
    assert counts(labels, drawn.rows["rating"])[:2] == pytest.approx([60, 120], abs=1)
    (note,) = drawn.notes
    assert note.startswith(f"{len(sizes)} of {len(labels.unique())} classes have too few images")


def test_a_test_split_of_the_sources_own_is_kept_and_the_rest_split_by_class(config: RunConfig) -> None:
    labels, is_test = torch.arange(60) % 3, torch.arange(60) >= 45
    drawn = split(labels, is_test, config.data)
    assert set(drawn.rows["test"].tolist()) == set(range(45, 60))
    assert counts(labels, drawn.rows["rating"]) == [3, 3, 3]


@pytest.mark.parametrize(
    ("num_images", "is_test", "empty"),
    [(1, None, "rating and test"), (2, None, "rating"), (9, torch.zeros(9).bool(), "test")],
)
def test_too_few_images_for_three_parts_are_refused(
    config: RunConfig, num_images: int, is_test: Tensor | None, empty: str
) -> None:
    with pytest.raises(DataError, match=rf"but {num_images} images leave none for {empty}\. Add images"):
        split(torch.arange(num_images) % 2, is_test, config.data)


def test_three_images_are_enough(config: RunConfig) -> None:
    assert [len(rows) for rows in split(torch.tensor([0, 1, 1]), None, config.data).rows.values()] == [1, 1, 1]


def test_a_digest_is_of_pixels_and_shape() -> None:
    image = torch.arange(24, dtype=torch.uint8).reshape(1, 4, 6)
    other = image.clone()
    other[0, 3, 5] += 1
    digests = {image_digest(each) for each in (image, other, image.reshape(1, 6, 4), image.expand(3, -1, -1))}
    assert len(digests) == 4
    assert image_digest(image.clone()) == image_digest(image) == -8290602493420239762
    assert all(-(2**63) <= digest < 2**63 for digest in digests)


def test_an_image_stays_in_the_first_part_that_holds_it() -> None:
    rows = {"train": torch.tensor([0, 1, 2]), "rating": torch.tensor([3, 4]), "test": torch.tensor([5, 6, 7])}
    digests = torch.tensor([10, 11, 12, 11, 20, 12, 20, 30])
    kept = without_repeats(rows, digests)
    assert {name: part.tolist() for name, part in kept.rows.items()} == {"train": [0, 1, 2], "rating": [4], "test": [7]}
    assert kept.notes == (
        "1 of 2 images of the rating part were dropped: an earlier part holds them too.",
        "2 of 3 images of the test part were dropped: an earlier part holds them too.",
    )


def test_a_part_that_would_be_empty_is_told() -> None:
    rows = {"train": torch.tensor([0, 1]), "rating": torch.tensor([2]), "test": torch.tensor([3, 4])}
    with pytest.raises(DataError, match=r"The test part must have images of its own, but all of its 2 images are in"):
        without_repeats(rows, torch.tensor([1, 2, 3, 1, 3]))


def test_a_split_is_known_by_its_parts_not_by_their_order() -> None:
    digests = torch.tensor([5, -7, 9, 11])
    parts = [torch.tensor(rows) for rows in ([0, 1], [1, 0], [2], [3])]
    first = split_digest({"train": parts[0], "test": parts[2]}, digests)
    assert first == split_digest({"train": parts[1], "test": parts[2]}, digests)
    assert first != split_digest({"train": parts[2], "test": parts[0]}, digests)
    assert first != split_digest({"train": parts[0], "test": parts[3]}, digests)


def test_copies_of_an_image_in_other_files_are_in_one_part_alone(config: RunConfig, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(30):
            image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
            for suffix in ("png", "bmp"):
                image.save(tmp_path / name / f"{index}.{suffix}")
    result = prepare(settings(config, source="folder", path=str(tmp_path)), tmp_path / "out", silent)
    digests = {name: set(part.digests.tolist()) for name, part in result.parts.items()}
    assert sum(map(len, digests.values())) == 60
    assert not digests["train"] & (digests["rating"] | digests["test"])
    assert not digests["rating"] & digests["test"]
    assert [note.partition(" images of the ")[2] for note in result.notes] == [
        "rating part were dropped: an earlier part holds them too.",
        "test part were dropped: an earlier part holds them too.",
    ]


def test_the_sizes_that_are_foretold_are_those_that_come(config: RunConfig, tmp_path: Path) -> None:
    seen, made = peek(config.data), prepare(config.data, tmp_path, silent)
    assert seen.num_images == {name: len(part) for name, part in made.parts.items()}
    assert (seen.num_classes, seen.notes) == (10, ())
