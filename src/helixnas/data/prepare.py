"""Turn a source into three parts: train to learn from, rating to choose by, test for the final figures alone."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from helixnas.config.schema import Data
from helixnas.data.images import ImageSet
from helixnas.data.labels import check_labels, check_parts
from helixnas.data.source import Source, few
from helixnas.data.sources import open_source
from helixnas.data.split import image_digest, split, split_digest, without_repeats
from helixnas.errors import DataError
from helixnas.progress import Progress, silent


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The parts ``train``, ``rating`` and ``test``, and the images that could not be read.

    Attributes:
        unreadable: The name of each such image, and the reason.
        notes: Sentences that the user should read: images that were dropped, classes that a part may lack.
    """

    parts: dict[str, ImageSet]
    unreadable: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def prepare(settings: Data, progress: Progress) -> Prepared:
    """Read a source and split it, so that no image is in two parts.

    Raises:
        DataError: Too many images are unreadable, the labels cannot be used, or a part would have no image.
    """
    source = open_source(settings.source, Path(settings.path), settings.channels)
    check_labels(source)
    images, digests, rows, unreadable = _read(source, settings, progress)
    labels = source.labels[rows]
    drawn = split(labels, None if source.is_test is None else source.is_test[rows], settings)
    chosen = without_repeats(drawn.rows, digests)
    lacking = check_parts(labels, source.class_names, chosen.rows)
    mean, std = _normalisation(images[chosen.rows["train"]], settings)
    facts = (split_digest(chosen.rows, digests), source.is_labelled)
    parts = {
        name: ImageSet(images[part], labels[part], source.class_names, mean, std, digests[part], *facts)
        for name, part in chosen.rows.items()
    }
    return Prepared(parts, unreadable, drawn.notes + chosen.notes + lacking)


@dataclass(frozen=True, slots=True)
class Peek:
    """Facts about a source that are known before all of it is read.

    Attributes:
        in_shape: (channels, height, width) of one image.
        num_classes: None where the images have no labels.
        num_images: The size of each part, by the part's name.
        notes: Sentences that the user should read.
    """

    in_shape: tuple[int, int, int]
    num_classes: int | None
    num_images: dict[str, int]
    notes: tuple[str, ...]


def peek(settings: Data) -> Peek:
    """Open a source, split it, and read its first image.

    Raises:
        DataError: ``prepare`` would refuse the labels, or the first image is unreadable.
    """
    source = open_source(settings.source, Path(settings.path), settings.channels)
    check_labels(source)
    drawn = split(source.labels, source.is_test, settings)
    lacking = check_parts(source.labels, source.class_names, drawn.rows)
    try:
        channels, height, width = square(source.read(0), settings.image_size).shape
    except (OSError, ValueError) as error:
        raise _unreadable_error([(source.names[0], str(error))], len(source.labels), settings.max_unreadable) from error
    sizes = {name: len(part) for name, part in drawn.rows.items()}
    num_classes = len(source.class_names) if source.is_labelled else None
    return Peek((channels, height, width), num_classes, sizes, drawn.notes + lacking)


def peek_rating(settings: Data, num_images: int) -> ImageSet:
    """Read the first ``num_images`` of the rating part as ``prepare`` will split it, from the source.

    If ``data.mean`` or ``data.std`` is not set, these images' moments take the place of the train part's.
    """
    source = open_source(settings.source, Path(settings.path), settings.channels)
    chosen = split(source.labels, source.is_test, settings).rows["rating"][:num_images].tolist()
    names = [source.names[row] for row in chosen]
    some = Source(source.labels[chosen], source.class_names, names, lambda row: source.read(chosen[row]))
    images, _, rows, _ = _read(some, settings, silent)
    return ImageSet(images, some.labels[rows], source.class_names, *_normalisation(images, settings))


def square(image: Tensor, image_size: int) -> Tensor:
    """Cut the largest middle square out of one image, uint8 [C, H, W], and scale it to ``image_size`` pixels."""
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = image[:, top : top + side, left : left + side]
    if side == image_size:
        return middle
    scaled = interpolate(middle[None].float(), (image_size, image_size), mode="bilinear", antialias=True)[0]
    return scaled.round().clamp(0, 255).to(torch.uint8)


def _read(
    source: Source, settings: Data, progress: Progress
) -> tuple[Tensor, Tensor, Tensor, tuple[tuple[str, str], ...]]:
    """Every readable image as uint8 [N, C, size, size], their digests and rows in the source, and what was skipped."""
    total = len(source.labels)
    images: Tensor | None = None
    kept: list[int] = []
    digests: list[int] = []
    unreadable: list[tuple[str, str]] = []
    for row in range(total):
        try:
            whole = source.read(row)
            image = square(whole, settings.image_size)
        except (OSError, ValueError) as error:
            unreadable.append((source.names[row], " ".join(str(error).split())))
            continue
        if images is None:
            images = torch.empty(total, *image.shape, dtype=torch.uint8)
        images[len(kept)] = image
        kept.append(row)
        digests.append(image_digest(whole))
        progress(row + 1, total)
    if images is None or len(unreadable) > settings.max_unreadable * total:
        raise _unreadable_error(unreadable, total, settings.max_unreadable)
    return images[: len(kept)], torch.tensor(digests), torch.tensor(kept), tuple(unreadable)


def _unreadable_error(unreadable: list[tuple[str, str]], total: int, allowed: float) -> DataError:
    listed = few([f"{name}: {reason}" for name, reason in unreadable])
    return DataError(
        f"At most {allowed:.2%} of {total} images may be unreadable, but these {len(unreadable)} are: {listed}. "
        "Mend or remove them, or raise data.max_unreadable."
    )


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
