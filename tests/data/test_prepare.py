"""The parts: fixed by data.split_seed, apart from each other, and read back as they were."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from helixnas.config import RunConfig
from helixnas.data import ImageSet, derive_seed, epoch_batches, num_batches, peek_rating, prepare, read_images
from helixnas.errors import DataError
from helixnas.progress import silent
from tests.conftest import save_packed, whole


def as_set(part: ImageSet) -> set[bytes]:
    return {image.numpy().tobytes() for image in whole(part)}


def test_the_parts_are_disjoint_and_cover_all_classes(parts: dict[str, ImageSet]) -> None:
    assert sum(map(len, parts.values())) == 1797
    train, rating, test = (as_set(parts[name]) for name in ("train", "rating", "test"))
    assert not train & rating
    assert not train & test
    assert not rating & test
    assert all(len(part.labels.unique()) == 10 for part in parts.values())


def test_the_same_split_seed_gives_the_same_parts_and_another_others(
    parts: dict[str, ImageSet], config: RunConfig, tmp_path: Path
) -> None:
    again = prepare(config.data, tmp_path / "again", silent).parts
    other = prepare(config.data.model_copy(update={"split_seed": 1}), tmp_path / "other", silent).parts
    assert all(torch.equal(whole(parts[name]), whole(again[name])) for name in parts)
    assert as_set(parts["test"]) != as_set(other["test"])
    assert parts["test"].split == parts["train"].split == again["test"].split != other["test"].split


def test_images_are_known_again_at_another_size(parts: dict[str, ImageSet], config: RunConfig, tmp_path: Path) -> None:
    larger = prepare(config.data.model_copy(update={"image_size": 12}), tmp_path, silent).parts
    assert larger["test"].in_shape != parts["test"].in_shape
    assert all(torch.equal(parts[name].digests, larger[name].digests) for name in parts)
    assert larger["test"].split == parts["test"].split


def test_a_peek_at_the_rating_part_is_its_beginning(parts: dict[str, ImageSet], config: RunConfig) -> None:
    seen = peek_rating(config.data, 40)
    assert torch.equal(whole(seen), whole(parts["rating"])[:40])
    assert torch.equal(seen.labels, parts["rating"].labels[:40])
    assert seen.class_names == parts["rating"].class_names
    assert seen.mean == pytest.approx(parts["rating"].mean, abs=0.02)
    assert len(peek_rating(config.data, 10**6)) == len(parts["rating"])
    given = config.data.model_copy(update={"mean": [0.25], "std": [0.5]})
    assert (peek_rating(given, 5).mean, peek_rating(given, 5).std) == ((0.25,), (0.5,))


def test_normalised_train_images_have_mean_0_and_deviation_1(parts: dict[str, ImageSet]) -> None:
    images = parts["train"].normalized()
    assert float(images.mean()) == pytest.approx(0, abs=1e-5)
    assert float(images.std()) == pytest.approx(1, abs=1e-3)


def test_a_part_is_read_back_as_it_was_saved(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    folder = tmp_path / "rating"
    save_packed(parts["rating"], folder)
    loaded = ImageSet.load(folder)
    assert torch.equal(whole(loaded), whole(parts["rating"]))
    assert torch.equal(loaded.digests, parts["rating"].digests)
    assert (loaded.split, loaded.is_labelled) == (parts["rating"].split, True)
    assert (loaded.class_names, loaded.mean, loaded.std) == (
        parts["rating"].class_names,
        parts["rating"].mean,
        parts["rating"].std,
    )


def test_images_are_scaled_to_the_asked_size(config: RunConfig, tmp_path: Path) -> None:
    part = prepare(config.data.model_copy(update={"image_size": 12}), tmp_path, silent).parts["train"]
    assert part.in_shape == (1, 12, 12)
    assert whole(part).dtype == torch.uint8


def test_more_images_than_there_are_is_an_error(parts: dict[str, ImageSet]) -> None:
    with pytest.raises(DataError, match="5000 images are asked for"):
        parts["train"].first(5000)


def test_an_epoch_visits_every_image_at_most_once_in_an_order_of_its_own() -> None:
    rows = torch.cat(list(epoch_batches(100, 32, seed=1)))
    assert len(rows) == 96 == len(rows.unique()) == 32 * num_batches(100, 32)
    assert not torch.equal(rows, torch.cat(list(epoch_batches(100, 32, seed=2))))
    assert [len(batch) for batch in epoch_batches(20, 32, seed=1)] == [20]


def test_seeds_are_apart_for_every_purpose() -> None:
    seeds = {derive_seed(0, name, step) for name in ("a", "b") for step in range(1000)}
    assert len(seeds) == 2000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_image_files_of_any_mode_and_size_are_read(tmp_path: Path) -> None:
    for mode, colour in (("RGB", (255, 0, 0)), ("L", 7), ("RGBA", (1, 2, 3, 4))):
        Image.new(mode, (30, 20), colour).save(tmp_path / f"{mode}.png")
    grey = read_images(sorted(tmp_path.iterdir()), (1, 8, 8))
    assert grey.shape == (3, 1, 8, 8)
    assert read_images([tmp_path / "RGB.png"], (3, 8, 8))[0, :, 0, 0].tolist() == [255, 0, 0]


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png must be a readable image"):
        read_images([path], (1, 8, 8))
    with pytest.raises(DataError, match=r"absent\.png"):
        read_images([tmp_path / "absent.png"], (1, 8, 8))
