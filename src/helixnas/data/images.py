"""Images of one size: the data stage makes them, and every later stage reads them, a batch at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from helixnas import artifacts
from helixnas.data.ahead import ahead
from helixnas.data.files import Files
from helixnas.data.pixels import HEADER, Decoded, Packed, Pixels, Shape
from helixnas.errors import DataError

INDEX, KIND = "index.parquet", "index"
"""The table in a part's folder that lists its images."""
BATCH_PIXELS, MIN_BATCH = 2**18, 16
NO_DIGESTS = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images with labels int64 [N]; nobody holds all pixels of a part.

    Attributes:
        pixels: Gives the images of some rows.
        mean: Per channel, of the train part, for pixels from 0 to 1; every part carries the same.
        std: As ``mean``.
        digests: int64 [N], of each image's pixels as its file gives them, before they are scaled. By it an image is
            recognised in another run, and a changed file is noticed, whatever its encoding.
        split: The digest of the split that this part belongs to.
        is_labelled: Whether the images have labels. If not, the labels are -1 until the teacher's top-1 class replaces
            them.
        num_loaders: Number of processes that read ahead where ``normalized_batches`` decodes images.
    """

    pixels: Pixels
    labels: Tensor
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digests: Tensor = NO_DIGESTS
    split: str = ""
    is_labelled: bool = True
    num_loaders: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def in_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return self.pixels.in_shape

    @property
    def num_classes(self) -> int | None:
        """The number of classes that a network must distinguish; None where the images have no labels."""
        return len(self.class_names) if self.is_labelled else None

    def first(self, num_images: int) -> "ImageSet":
        """Return the first ``num_images`` of the set: a random sample, since the data stage shuffled the set.

        Raises:
            DataError: The set has fewer images.
        """
        if num_images > len(self):
            raise DataError(
                f"{num_images} images are asked for, but the part has {len(self)}. Ask for fewer in params.yaml."
            )
        return replace(self, labels=self.labels[:num_images], digests=self.digests[:num_images])

    def batches(self, batch_size: int) -> tuple[Tensor, ...]:
        """Return the rows of the set in order, int64 [batch_size] a batch; the last batch may be smaller."""
        rows: tuple[Tensor, ...] = torch.arange(len(self)).split(batch_size)
        return rows

    def read(self, rows: Tensor) -> Tensor:
        """Read the images uint8 [B, C, H, W] of ``rows``, int64 [B]."""
        return self.pixels.read(rows)

    def normalized(self, rows: Tensor | None = None) -> Tensor:
        """Return images as a network takes them: float32 [B, C, H, W], normalised by ``mean`` and ``std``.

        Args:
            rows: The images to return, int64 [B]; None for all, of a set that is small.
        """
        return normalize(self.read(torch.arange(len(self)) if rows is None else rows), self.mean, self.std)

    def normalized_batches(self) -> Iterator[Tensor]:
        """Yield the images of ``normalized()`` in batches that a forward pass has room for.

        A batch has 256 images of 32 x 32 pixels, or 16 images of 128 x 128 pixels or more.
        """
        rows = self.batches(room_for(self.in_shape))
        num_loaders = self.num_loaders if isinstance(self.pixels, Decoded) else 0
        for images in ahead(lambda batch: self.read(rows[batch]), range(len(rows)), num_loaders):
            yield normalize(images, self.mean, self.std)

    def save_index(self, folder: Path, files: Files) -> None:
        """Save all but the pixels as INDEX in ``folder``, whose name is the part's.

        Args:
            folder: Of the part, such as ``artifacts/data/train``.
            files: Where the source's images lie; the names are empty where they have no files of their own.
        """
        facts = {
            "in_shape": list(self.in_shape),
            "split": self.split,
            "is_labelled": self.is_labelled,
            "class_names": list(self.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
        }
        columns: dict[str, Any] = {
            "file": files.files,
            "row": files.rows,
            "label": self.labels.numpy(),
            "digest": self.digests.numpy(),
        }
        artifacts.save_table(folder / INDEX, KIND, pd.DataFrame(columns), facts)

    @classmethod
    def load(cls, folder: Path, num_loaders: int = 0) -> "ImageSet":
        """Load the part in ``folder``: its index, and its pixels where they are packed.

        Args:
            folder: Of the part, such as ``artifacts/data/train``.
            num_loaders: See the attribute.

        Raises:
            ArtifactError: A file is missing, damaged, or of another part.
        """
        table, facts = artifacts.load_table(folder / INDEX, KIND)
        digests = torch.from_numpy(table["digest"].to_numpy(copy=True))
        channels, height, width = facts["in_shape"]
        files = Files(table["file"].tolist(), table["row"].tolist())
        pixels: Pixels = Decoded(files, digests, (channels, height, width))
        if (folder / HEADER).exists() or not all(files.files):  # images of arrays have no files to go back to
            pixels = Packed.open(folder)
        return cls(
            pixels,
            torch.from_numpy(table["label"].to_numpy(copy=True)),
            tuple(facts["class_names"]),
            tuple(facts["mean"]),
            tuple(facts["std"]),
            digests,
            facts["split"],
            facts["is_labelled"],
            num_loaders,
        )


def load_in_shape(folder: Path) -> Shape:
    """Read (channels, height, width) of the images of the part in ``folder``, without the images."""
    _, facts = artifacts.load_table(folder / INDEX, KIND)
    channels, height, width = facts["in_shape"]
    return channels, height, width


def room_for(in_shape: tuple[int, int, int]) -> int:
    """Return the number of images of ``in_shape`` (C, H, W) that a forward pass has room for."""
    _, height, width = in_shape
    return max(MIN_BATCH, BATCH_PIXELS // (height * width))


def normalize(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Convert uint8 images [N, C, H, W] to float32: scale pixels to 0 to 1, subtract ``mean``, divide by ``std``."""
    shape = (1, -1, 1, 1)
    return (images.float() / 255 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
