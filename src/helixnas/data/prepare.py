"""Images in, three parts out: train to learn from, rating to choose by, test for the final figures alone."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from helixnas.data.images import ImageSet
from helixnas.data.source import SOURCES
from helixnas.errors import DataError

Parts = dict[str, ImageSet]


def prepare(source: str, image_size: int, test_fraction: float, rating_fraction: float, seed: int) -> Parts:
    """The parts ``train``, ``rating`` and ``test`` of a source, square images of ``image_size`` pixels.

    Each part has its share of every class. ``rating`` is cut from what ``test`` leaves. DataError if a class is too
    small to be in all three.
    """
    images, labels, class_names = SOURCES[source]()
    images = resize(images, image_size)
    train, rating, test = _split(labels, test_fraction, rating_fraction, seed)
    mean, std = _moments(images[train])
    parts = {"train": train, "rating": rating, "test": test}
    return {name: ImageSet(images[rows], labels[rows], class_names, mean, std) for name, rows in parts.items()}


def resize(images: Tensor, image_size: int) -> Tensor:
    """uint8 images [N, C, H, W] brought to a square of ``image_size`` pixels."""
    if images.shape[-2:] == (image_size, image_size):
        return images
    scaled = interpolate(images.float(), (image_size, image_size), mode="bilinear", antialias=True)
    return scaled.round().clamp(0, 255).to(torch.uint8)


def _split(labels: Tensor, test_fraction: float, rating_fraction: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    from sklearn.model_selection import train_test_split

    rows = torch.arange(len(labels)).numpy()
    try:
        rest, test = train_test_split(rows, test_size=test_fraction, random_state=seed, stratify=labels[rows])
        train, rating = train_test_split(rest, test_size=rating_fraction, random_state=seed, stratify=labels[rest])
    except ValueError as error:
        raise DataError(
            f"Every class must have images for three parts, but: {error} Change data.*_fraction."
        ) from error
    return torch.from_numpy(train), torch.from_numpy(rating), torch.from_numpy(test)


def _moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    pixels = images.double() / 255
    std = pixels.std(dim=(0, 2, 3)).clamp_min(1e-3)  # a constant channel must not divide by zero
    return tuple(pixels.mean(dim=(0, 2, 3)).tolist()), tuple(std.tolist())
