"""A set of images, whole and some at a time."""

from pathlib import Path

import pytest
import torch

from helixnas.data import ImageSet, Packed
from helixnas.errors import ArtifactError
from tests.conftest import save_packed


@pytest.mark.parametrize(("size", "sizes"), [(32, [256, 44]), (64, [64, 64, 64, 64, 44]), (224, [16] * 18 + [12])])
def test_batches_are_the_whole_set_in_parts_that_have_room(size: int, sizes: list[int]) -> None:
    images = torch.randint(0, 256, (300, 1, size, size), dtype=torch.uint8)
    part = ImageSet(Packed(images), torch.zeros(300, dtype=torch.int64), ("a",), (0.4,), (0.3,))
    batches = list(part.normalized_batches())
    assert [len(batch) for batch in batches] == sizes
    assert torch.equal(torch.cat(batches), part.normalized())


def test_a_part_in_another_parts_place_is_refused(parts: dict[str, ImageSet], tmp_path: Path) -> None:
    data = tmp_path / "artifacts/data"
    save_packed(parts["train"], data / "train")
    (data / "train").rename(data / "test")
    with pytest.raises(ArtifactError, match=r"test/index\.parquet must hold data/test/ind.*, but holds data/train/ind"):
        ImageSet.load(data / "test")


def test_the_first_images_keep_their_labels_and_digests(parts: dict[str, ImageSet]) -> None:
    part, first = parts["train"], parts["train"].first(5)
    assert torch.equal(first.labels, part.labels[:5])
    assert torch.equal(first.digests, part.digests[:5])
    assert (len(first), first.split, first.is_labelled) == (5, part.split, True)
