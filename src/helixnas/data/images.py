"""Labelled images of one size, as bytes: what the data stage makes and every later stage reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from helixnas import artifacts
from helixnas.errors import DataError

KIND = "images"
BATCH_PIXELS, MIN_BATCH = 2**18, 16


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images uint8 [N, C, H, W] with labels int64 [N].

    ``mean`` and ``std`` are per channel, of the train part, for pixels in 0 to 1; every part carries the same.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def in_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def first(self, num_images: int) -> "ImageSet":
        """The first ``num_images`` of the set. The data stage shuffled it, so that they are a random sample."""
        if num_images > len(self):
            raise DataError(
                f"{num_images} images are asked for, but the part has {len(self)}. Ask for fewer in params.yaml."
            )
        return ImageSet(self.images[:num_images], self.labels[:num_images], self.class_names, self.mean, self.std)

    def normalized(self) -> Tensor:
        """The images as a network takes them: float32 [N, C, H, W], mean 0 and deviation 1 by channel."""
        return normalize(self.images, self.mean, self.std)

    def normalized_batches(self) -> Iterator[Tensor]:
        """The same some at a time, as many as a forward pass has room for: 256 of 32 pixels, 16 of 128 and more."""
        for images in self.images.split(room_for(self.in_shape)):
            yield normalize(images, self.mean, self.std)

    def save(self, path: Path) -> None:
        facts = {"class_names": list(self.class_names), "mean": list(self.mean), "std": list(self.std)}
        artifacts.save_tensors(path, KIND, {"images": self.images, "labels": self.labels}, facts)

    @classmethod
    def load(cls, path: Path) -> "ImageSet":
        """The set saved at ``path``; ArtifactError if it is missing or damaged."""
        tensors, facts = artifacts.load_tensors(path, KIND)
        names = tuple(facts["class_names"])
        return cls(tensors["images"], tensors["labels"], names, tuple(facts["mean"]), tuple(facts["std"]))


def room_for(in_shape: tuple[int, int, int]) -> int:
    """How many images of a shape a forward pass has room for."""
    _, height, width = in_shape
    return max(MIN_BATCH, BATCH_PIXELS // (height * width))


def normalize(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 images [N, C, H, W] as float32 with mean 0 and deviation 1 by channel."""
    shape = (1, -1, 1, 1)
    return (images.float() / 255 - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
