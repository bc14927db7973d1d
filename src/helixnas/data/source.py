"""Where images come from: labels first, pixels one at a time, so that images of every size pass through."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import rgb_to_grayscale

from helixnas.errors import DataError

UNLABELLED = -1
NUM_LISTED = 5
"""How many rows or names a message lists."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Images that are still to be read.

    ``labels`` are int64 [N]; images without labels have -1 and no class names. ``is_test`` is bool [N] where the
    source brings a test split of its own. ``names`` say which image is meant in a message. ``read(row)`` gives uint8
    [C, H, W] of any size, or raises OSError, ValueError.
    """

    labels: Tensor
    class_names: tuple[str, ...]
    names: Sequence[str]
    read: Callable[[int], Tensor]
    is_test: Tensor | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether the images have labels."""
        return bool(self.class_names)


def no_labels(num_images: int) -> Tensor:
    """The labels of images that have none."""
    return torch.full((num_images,), UNLABELLED)


def few(items: Sequence[str]) -> str:
    """The first of ``items``, and how many more there are, for a message."""
    more = f"; and {len(items) - NUM_LISTED} more" if len(items) > NUM_LISTED else ""
    return "; ".join(items[:NUM_LISTED]) + more


def of_arrays(images: Tensor, labels: Tensor, class_names: Sequence[str], is_test: Tensor | None = None) -> Source:
    """A source of images that are in memory already, uint8 [N, C, H, W]."""
    names = [f"image {row}" for row in range(len(labels))]
    return Source(labels.to(torch.int64), tuple(class_names), names, lambda row: images[row], is_test)


def with_channels(image: Tensor, channels: int | None) -> Tensor:
    """An image [C, H, W] with so many channels: grey is repeated, colour made grey; None for as many as it has.

    DataError for other numbers. Image files are read with the right number, so this changes images of arrays alone.
    """
    num = image.shape[0]
    if channels is None or channels == num:
        return image
    if num == 1:
        return image.expand(channels, -1, -1)
    if (num, channels) == (3, 1):
        grey: Tensor = rgb_to_grayscale(image)
        return grey
    raise DataError(
        f"data.channels must be {num}, as the images have, but is {channels}. Change it, or set it to null."
    )
