"""A set of images, whole and some at a time."""

import pytest
import torch

from helixnas.data import ImageSet


@pytest.mark.parametrize(("size", "sizes"), [(32, [256, 44]), (64, [64, 64, 64, 64, 44]), (224, [16] * 18 + [12])])
def test_batches_are_the_whole_set_in_parts_that_have_room(size: int, sizes: list[int]) -> None:
    images = torch.randint(0, 256, (300, 1, size, size), dtype=torch.uint8)
    part = ImageSet(images, torch.zeros(300, dtype=torch.int64), ("a",), (0.4,), (0.3,))
    batches = list(part.normalized_batches())
    assert [len(batch) for batch in batches] == sizes
    assert torch.equal(torch.cat(batches), part.normalized())
