"""Images of one size, as bytes: the data stage makes them, and every later stage reads them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from helixnas import artifacts
from helixnas.errors import DataError

KIND = "images"
BATCH_PIXELS, MIN_BATCH = 2**18, 16
NO_DIGESTS = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images uint8 [N, C, H, W] with labels int64 [N].

    Attributes:
        mean: Per channel, of the train part, for pixels from 0 to 1; every part carries the same.
        std: As ``mean``.
        digests: int64 [N], by which an image is recognised in another run.
        split: The digest of the split that this part belongs to.
        is_labelled: Whether the images have labels. If not, the labels are -1 until the teacher's top-1 class replaces
            them.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digests: Tensor = NO_DIGESTS
    split: str = ""
    is_labelled: bool = True

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def in_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

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
        return replace(
            self,
            images=self.images[:num_images],
            labels=self.labels[:num_images],
            digests=self.digests[:num_images],
        )

    def normalized(self) -> Tensor:
        """Return the images as a network takes them: float32 [N, C, H, W], normalised by ``mean`` and ``std``."""
        return normalize(self.images, self.mean, self.std)

    def normalized_batches(self) -> Iterator[Tensor]:
        """Yield the images of ``normalized()`` in batches that a forward pass has room for.

        A batch has 256 images of 32 x 32 pixels, or 16 images of 128 x 128 pixels or more.
        """
        for images in self.images.split(room_for(self.in_shape)):
            yield normalize(images, self.mean, self.std)

    def save(self, path: Path) -> None:
        """Save the set in the file ``path``, whose stem names the part: ``test.safetensors`` holds the test part."""
        facts = {
            "split": self.split,
            "is_labelled": self.is_labelled,
            "class_names": list(self.class_names),
            "mean": list(self.mean),
            "std": list(self.std),
        }
        tensors = {"images": self.images, "labels": self.labels, "digests": self.digests}
        artifacts.save_tensors(path, KIND, tensors, facts)

    @classmethod
    def load(cls, path: Path) -> "ImageSet":
        """Load the set in the file ``path``; ArtifactError if the file is missing, damaged, or holds another part."""
        tensors, facts = artifacts.load_tensors(path, KIND)
        return cls(
            tensors["images"],
            tensors["labels"],
            tuple(facts["class_names"]),
            tuple(facts["mean"]),
            tuple(facts["std"]),
            tensors["digests"],
            facts["split"],
            facts["is_labelled"],
        )


def room_for(in_shape: tuple[int, int, int]) -> int:
    """Return the number of images of ``in_shape`` (C, H, W) that a forward pass has room for."""
    _, height, width = in_shape
    return max(MIN_BATCH, BATCH_PIXELS // (height * width))


def normalize(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Convert uint8 images [N, C, H, W] to float32: scale pixels to 0 to 1, subtract ``mean``, divide by ``std``."""
    shape = (1, -1, 1, 1)
    return (images.float() / 255 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
