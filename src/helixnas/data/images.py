"""Images of one size, as bytes: what the data stage makes and every later stage reads."""

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

    ``mean`` and ``std`` are per channel, of the train part, for pixels in 0 to 1; every part carries the same.
    ``digests``, int64 [N], tell an image again in another run; ``split`` tells the split that the part is of. Where not
    ``is_labelled``, the labels are -1 until the teacher's own top-1 stands in for them.
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
        """How many classes a network must tell; None where the images have no labels of their own."""
        return len(self.class_names) if self.is_labelled else None

    def first(self, num_images: int) -> "ImageSet":
        """The first ``num_images`` of the set. The data stage shuffled it, so that they are a random sample."""
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
        """The images as a network takes them: float32 [N, C, H, W], mean 0 and deviation 1 by channel."""
        return normalize(self.images, self.mean, self.std)

    def normalized_batches(self) -> Iterator[Tensor]:
        """The same some at a time, as many as a forward pass has room for: 256 of 32 pixels, 16 of 128 and more."""
        for images in self.images.split(room_for(self.in_shape)):
            yield normalize(images, self.mean, self.std)

    def save(self, path: Path) -> None:
        """Save the set at ``path``, whose stem is the part's name: ``test.safetensors`` holds the test part."""
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
        """The set saved at ``path``; ArtifactError if it is missing or damaged, or if it is another part."""
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
    """How many images of a shape a forward pass has room for."""
    _, height, width = in_shape
    return max(MIN_BATCH, BATCH_PIXELS // (height * width))


def normalize(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 images [N, C, H, W] as float32 with mean 0 and deviation 1 by channel."""
    shape = (1, -1, 1, 1)
    return (images.float() / 255 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
