"""Images in, three parts out: train to learn from, rating to choose by, test for the final figures alone."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from helixnas.config.schema import Data
from helixnas.data.images import ImageSet
from helixnas.data.source import Source
from helixnas.data.sources import open_source
from helixnas.errors import DataError
from helixnas.progress import Progress, silent

NUM_LISTED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The parts ``train``, ``rating`` and ``test``, and what could not be read: name and reason of each image."""

    parts: dict[str, ImageSet]
    unreadable: tuple[tuple[str, str], ...]


def prepare(settings: Data, seed: int, progress: Progress) -> Prepared:
    """Read a source and split it, each part with its share of every class; ``rating`` is cut from what ``test`` leaves.

    DataError if too much is unreadable, or a class is too small to be in all three parts.
    """
    source = open_source(settings.source, Path(settings.path), settings.channels)
    images, rows, unreadable = _read(source, settings, progress)
    labels = source.labels[rows]
    is_test = None if source.is_test is None else source.is_test[rows]
    train, rating, test = _split(labels, is_test, settings, seed)
    mean, std = _normalisation(images[train], settings)
    chosen = {"train": train, "rating": rating, "test": test}
    parts = {n: ImageSet(images[part], labels[part], source.class_names, mean, std) for n, part in chosen.items()}
    return Prepared(parts, unreadable)


@dataclass(frozen=True, slots=True)
class Peek:
    """What can be told of a source before it is read: the shape of an image, the classes, the size of each part."""

    in_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    num_images: dict[str, int]


def peek(settings: Data) -> Peek:
    """Open a source and read its first image; DataError if that cannot be read."""
    source = open_source(settings.source, Path(settings.path), settings.channels)
    try:
        channels, height, width = square(source.read(0), settings.image_size).shape
    except (OSError, ValueError) as error:
        raise _unreadable_error([(source.names[0], str(error))], len(source.labels), settings.max_unreadable) from error
    num_all = len(source.labels)
    num_test = round(num_all * settings.test_fraction) if source.is_test is None else int(source.is_test.sum())
    num_rating = round((num_all - num_test) * settings.rating_fraction)
    sizes = {"train": num_all - num_test - num_rating, "rating": num_rating, "test": num_test}
    return Peek((channels, height, width), source.class_names, sizes)


def peek_rating(settings: Data, seed: int, num_images: int) -> ImageSet:
    """The first images of the rating part as ``prepare`` will split it, read from the source.

    Where ``data.mean`` and ``data.std`` are not given, those of these images stand for the train part's.
    """
    source = open_source(settings.source, Path(settings.path), settings.channels)
    _, rating, _ = _split(source.labels, source.is_test, settings, seed)
    chosen = rating[:num_images].tolist()
    names = [source.names[row] for row in chosen]
    some = Source(source.labels[chosen], source.class_names, names, lambda row: source.read(chosen[row]))
    images, rows, _ = _read(some, settings, silent)
    return ImageSet(images, some.labels[rows], source.class_names, *_normalisation(images, settings))


def square(image: Tensor, image_size: int) -> Tensor:
    """One image, uint8 [C, H, W], as a square of ``image_size`` pixels: its middle, scaled."""
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = image[:, top : top + side, left : left + side]
    if side == image_size:
        return middle
    scaled = interpolate(middle[None].float(), (image_size, image_size), mode="bilinear", antialias=True)[0]
    return scaled.round().clamp(0, 255).to(torch.uint8)


def _read(source: Source, settings: Data, progress: Progress) -> tuple[Tensor, Tensor, tuple[tuple[str, str], ...]]:
    """Every readable image as uint8 [N, C, size, size], its rows in the source, and what was skipped."""
    total = len(source.labels)
    images: Tensor | None = None
    kept: list[int] = []
    unreadable: list[tuple[str, str]] = []
    for row in range(total):
        try:
            image = square(source.read(row), settings.image_size)
        except (OSError, ValueError) as error:
            unreadable.append((source.names[row], " ".join(str(error).split())))
            continue
        if images is None:
            images = torch.empty(total, *image.shape, dtype=torch.uint8)
        images[len(kept)] = image
        kept.append(row)
        progress(row + 1, total)
    if images is None or len(unreadable) > settings.max_unreadable * total:
        raise _unreadable_error(unreadable, total, settings.max_unreadable)
    return images[: len(kept)], torch.tensor(kept), tuple(unreadable)


def _unreadable_error(unreadable: list[tuple[str, str]], total: int, allowed: float) -> DataError:
    listed = "; ".join(f"{name}: {reason}" for name, reason in unreadable[:NUM_LISTED])
    more = f"; and {len(unreadable) - NUM_LISTED} more" if len(unreadable) > NUM_LISTED else ""
    return DataError(
        f"At most {allowed:.2%} of {total} images may be unreadable, but these {len(unreadable)} are: {listed}{more}. "
        "Mend or remove them, or raise data.max_unreadable."
    )


def _split(labels: Tensor, is_test: Tensor | None, settings: Data, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    from sklearn.model_selection import train_test_split

    rows = torch.arange(len(labels)).numpy()
    try:
        if is_test is None:
            rest, test = train_test_split(rows, test_size=settings.test_fraction, random_state=seed, stratify=labels)
        else:  # the source's own split; shuffled, so that the first images of a part are a random sample of it
            order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
            rest, test = order[~is_test[order]].numpy(), order[is_test[order]].numpy()
        share = settings.rating_fraction
        train, rating = train_test_split(rest, test_size=share, random_state=seed, stratify=labels[rest])
    except ValueError as error:
        raise DataError(
            f"Every class must have images for three parts, but: {error} Change data.*_fraction."
        ) from error
    return torch.from_numpy(train), torch.from_numpy(rating), torch.from_numpy(test)


def _normalisation(images: Tensor, settings: Data) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by channel: those that the settings give, else those of ``images``, the train part."""
    measured = _moments(images)
    given = (settings.mean, settings.std)
    for name, values in zip(("mean", "std"), given, strict=True):
        if values is not None and len(values) != images.shape[1]:
            raise DataError(
                f"data.{name} must have a value for each of {images.shape[1]} channels, but is {list(values)}. "
                "Change it, or data.channels."
            )
    mean, std = (tuple(values) if values is not None else own for values, own in zip(given, measured, strict=True))
    return mean, std


def _moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per-channel mean and deviation of pixels in 0 to 1, by way of a histogram: exact, and no float copy of all."""
    mean, std = [], []
    values = torch.arange(256, dtype=torch.float64) / 255
    for channel in images.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256).double()
        average = float((counts * values).sum() / counts.sum())
        variance = float((counts * (values - average) ** 2).sum() / counts.sum())
        mean.append(average)
        std.append(max(variance**0.5, 1e-3))  # a constant channel must not divide by zero
    return tuple(mean), tuple(std)
