"""The interface of a source of images: labels first, pixels one image at a time, so that images may have any size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import rgb_to_grayscale

from helixnas.data.decode import decode, guess_channels
from helixnas.data.files import Files
from helixnas.errors import DataError

UNLABELLED = -1
NUM_LISTED = 5
"""The most rows or names that a message lists."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Images that are still to be read.

    Attributes:
        labels: int64 [N]; -1 for every image where the images have no labels.
        class_names: Empty where the images have no labels.
        names: A name for each image, for messages.
        read: ``read(row)`` gives uint8 [C, H, W] of any size, or raises OSError or ValueError.
        is_test: bool [N] where the source brings its test split with it; else None.
        files: Where the images lie, if ``read`` only decodes them; None where they cannot be read again by file.
    """

    labels: Tensor
    class_names: tuple[str, ...]
    names: Sequence[str]
    read: Callable[[int], Tensor]
    is_test: Tensor | None = None
    files: Files | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether the images have labels."""
        return bool(self.class_names)


def no_labels(num_images: int) -> Tensor:
    """Return the labels int64 [N] of images that have none: all -1."""
    return torch.full((num_images,), UNLABELLED)


def few(items: Sequence[str]) -> str:
    """Join the first of ``items`` for a message, with the number of the others."""
    more = f"; and {len(items) - NUM_LISTED} more" if len(items) > NUM_LISTED else ""
    return "; ".join(items[:NUM_LISTED]) + more


def of_arrays(images: Tensor, labels: Tensor, class_names: Sequence[str], is_test: Tensor | None = None) -> Source:
    """Make a source of images that are already in memory, uint8 [N, C, H, W]."""
    names = [f"image {row}" for row in range(len(labels))]
    return Source(labels.to(torch.int64), tuple(class_names), names, lambda row: images[row], is_test)


def of_files(
    labels: Tensor, class_names: Sequence[str], files: Files, channels: int | None, is_test: Tensor | None = None
) -> Source:
    """Make a source of image files, or of rows of Parquet files.

    Args:
        labels: int64 [N].
        class_names: Empty where the images have no labels.
        files: Where the images lie.
        channels: Of the decoded images; None for 1 if the first readable image is grey, else 3.
        is_test: bool [N] where the test split is chosen already.
    """
    wanted = channels or guess_channels(files.content(row) for row in range(len(files)))
    return Source(labels, tuple(class_names), files, lambda row: decode(files.content(row), wanted), is_test, files)


def with_channels(image: Tensor, channels: int | None) -> Tensor:
    """Give an image [C, H, W] the wanted number of channels: grey is repeated, and colour is turned into grey.

    Only images of arrays are changed, since image files are already read with the right number.

    Args:
        image: Of any channel count.
        channels: None keeps the image as it is.

    Raises:
        DataError: The image can be turned into no such number of channels.
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
