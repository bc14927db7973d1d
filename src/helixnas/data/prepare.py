"""Turn a source into three parts: train to learn from, rating to choose by, test for the final figures alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helixnas.config.schema import Data
from helixnas.data.ahead import ahead
from helixnas.data.files import Files
from helixnas.data.images import ImageSet, room_for
from helixnas.data.labels import check_labels, check_parts
from helixnas.data.pack import Packer
from helixnas.data.pixels import HEADER, MAPPED, Decoded, Packed, Pixels, Shape, image_digest, square
from helixnas.data.source import Source, few
from helixnas.data.sources import open_source
from helixnas.data.split import Split, split, split_digest, without_repeats
from helixnas.errors import DataError
from helixnas.progress import Progress


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


def prepare(settings: Data, out: Path, progress: Progress, num_loaders: int = 0) -> Prepared:
    """Read a source, split it so that no image is in two parts, and save the parts as folders in ``out``.

    No more than a few images are held. Each goes to its place as it is read; only where some turn out to be unreadable,
    the others are split anew and read again.

    Args:
        settings: The section ``data`` of params.yaml.
        out: The folder ``artifacts/data``.
        progress: Told how many images are read.
        num_loaders: Number of processes that decode images.

    Raises:
        DataError: Too many images are unreadable, the labels cannot be used, a part would have no image, or images
            without files of their own do not fit ``data.pack_gb``.
    """
    source = open_source(settings.source, Path(settings.path), settings.channels)
    check_labels(source)
    total = len(source.labels)
    rows, unreadable = torch.arange(total), dict[int, str]()
    while True:
        drawn = _drawn(source, rows, settings)
        with Packer(out, tuple(drawn.rows)) as packer:
            reading = _Reading(source, settings, drawn.rows, packer)
            failed = reading.run(rows, progress, num_loaders)
            unreadable |= failed
            named = tuple((source.names[row], reason) for row, reason in sorted(unreadable.items()))
            if len(named) == total or len(named) > settings.max_unreadable * total:
                raise _unreadable_error(named, total, settings.max_unreadable)
            if not failed:
                notes = reading.save(out)
                parts = {name: ImageSet.load(out / name) for name in drawn.rows}
                return Prepared(parts, named, drawn.notes + notes)
        rows = rows[~torch.isin(rows, torch.tensor(list(failed)))]


def _drawn(source: Source, rows: Tensor, settings: Data) -> Split:
    """The parts of some rows of a source."""
    drawn = split(source.labels[rows], None if source.is_test is None else source.is_test[rows], settings)
    return Split({name: rows[part] for name, part in drawn.rows.items()}, drawn.notes)


class _Reading:
    """One pass over the images of a split: each is digested, counted, and written to its place as it comes.

    Args:
        source: The images.
        settings: The section ``data``.
        rows: Of each part in the source, in the order of the part, int64 [N].
        packer: Takes the pixels, if they fit ``data.pack_gb``.
    """

    def __init__(self, source: Source, settings: Data, rows: Mapping[str, Tensor], packer: Packer) -> None:
        self._source, self._settings, self._rows, self._packer = source, settings, rows, packer
        self._parts, self._places = np.zeros((2, len(source.labels)), np.int64)
        for part, members in enumerate(rows.values()):
            self._parts[members.numpy()], self._places[members.numpy()] = part, np.arange(len(members))
        self._digests = torch.zeros(len(source.labels), dtype=torch.int64)
        self._in_shape: Shape | None = None
        self._is_packed = False
        self._counts = torch.zeros(1, 256, dtype=torch.int64)

    def run(self, rows: Tensor, progress: Progress, num_loaders: int) -> dict[int, str]:
        """Read ``rows`` of the source in their order, and return why some could not be read, by row."""
        size = self._settings.image_size
        chunks = rows.split(room_for((1, size, size)))
        failed: dict[int, str] = {}
        num_done = 0
        num_loaders = min(num_loaders, len(chunks) // 4)  # few images take longer to hand over than to decode
        made = ahead(lambda chunk: _read(self._source, chunks[chunk], size), range(len(chunks)), num_loaders)
        for chunk, (images, digests, errors) in zip(chunks, made, strict=True):
            failed |= errors
            if len(images):
                self._take(chunk[~torch.isin(chunk, torch.tensor(list(errors)))], images, digests)
            num_done += len(chunk)
            progress(num_done, len(rows))
        return failed

    def _take(self, rows: Tensor, images: Tensor, digests: Tensor) -> None:
        """Take images uint8 [n, C, H, W] of ``rows``, int64 [n]; the first decide whether the parts are packed."""
        if self._in_shape is None:
            channels, height, width = images.shape[1:]
            self._in_shape = channels, height, width
            _check_channels(channels, self._settings)
            num_bytes = sum(map(len, self._rows.values())) * channels * height * width
            self._is_packed = num_bytes <= self._settings.pack_gb * 1e9
            if not self._is_packed and self._source.files is None:
                raise DataError(
                    f"data.pack_gb must hold the images of {self._settings.source}, which lie in no files that they "
                    f"could be read from again: {num_bytes / 1e9:.3g} GB, but is {self._settings.pack_gb:g}. Raise it, "
                    "or write the images into a folder or into Parquet files."
                )
        self._digests[rows] = digests
        names, parts = list(self._rows), self._parts[rows.numpy()]
        self._counts = self._counts + _histogram(images[torch.from_numpy(parts == names.index("train"))])
        if self._is_packed:
            for image, part, place in zip(images, parts, self._places[rows.numpy()], strict=True):
                self._packer.write(names[part], int(place), image)

    def save(self, out: Path) -> tuple[str, ...]:
        """Save the parts in ``out``, without images that an earlier part holds; return sentences for the user."""
        source, total = self._source, len(self._source.labels)
        assert self._in_shape is not None
        chosen = without_repeats(self._rows, self._digests)
        lacking = check_parts(source.labels, source.class_names, chosen.rows)
        facts = (source.class_names, *_normalisation(self._counts, self._settings))
        digest = split_digest(chosen.rows, self._digests)
        places = source.files or Files([""] * total, range(total))
        for name, rows in chosen.rows.items():
            files, digests = places.take(rows.tolist()), self._digests[rows]
            pixels: Pixels = Decoded(files, digests, self._in_shape)
            if self._is_packed:
                kept = torch.isin(self._rows[name], rows).nonzero().flatten()
                pixels = self._packer.finish(name, kept, self._in_shape)
            else:  # what an earlier run packed must not count
                for file in (HEADER, MAPPED):
                    (out / name / file).unlink(missing_ok=True)
            part = ImageSet(pixels, source.labels[rows], *facts, digests, digest, source.is_labelled)
            part.save_index(out / name, files)
        return chosen.notes + lacking


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


def _unreadable_error(unreadable: Sequence[tuple[str, str]], total: int, allowed: float) -> DataError:
    listed = few([f"{name}: {reason}" for name, reason in unreadable])
    return DataError(
        f"At most {allowed:.2%} of {total} images may be unreadable, but these {len(unreadable)} are: {listed}. "
        "Mend or remove them, or raise data.max_unreadable."
    )


def peek_rating(settings: Data, num_images: int) -> ImageSet:
    """Read the first ``num_images`` of the rating part as ``prepare`` will split it, from the source.

    If ``data.mean`` or ``data.std`` is not set, these images' moments take the place of the train part's.
    """
    source = open_source(settings.source, Path(settings.path), settings.channels)
    chosen = _drawn(source, torch.arange(len(source.labels)), settings).rows["rating"][:num_images]
    images, _, errors = _read(source, chosen, settings.image_size)
    if len(errors) == len(chosen):
        named = tuple((source.names[row], reason) for row, reason in errors.items())
        raise _unreadable_error(named, len(chosen), settings.max_unreadable)
    _check_channels(images.shape[1], settings)
    labels = source.labels[chosen[~torch.isin(chosen, torch.tensor(list(errors)))]]
    return ImageSet(Packed(images), labels, source.class_names, *_normalisation(_histogram(images), settings))


def _read(source: Source, rows: Tensor, image_size: int) -> tuple[Tensor, Tensor, dict[int, str]]:
    """The readable images of ``rows``, uint8 [n, C, size, size], their digests [n], and the others' faults by row."""
    images: list[Tensor] = []
    digests: list[int] = []
    errors: dict[int, str] = {}
    for row in rows.tolist():
        try:
            whole = source.read(row)
            images.append(square(whole, image_size))
        except (OSError, ValueError) as error:
            errors[row] = " ".join(str(error).split())
        else:
            digests.append(image_digest(whole))
    return torch.stack(images) if images else torch.empty(0, dtype=torch.uint8), torch.tensor(digests), errors


def _check_channels(channels: int, settings: Data) -> None:
    """DataError unless ``data.mean`` and ``data.std``, where they are set, have a value for each channel."""
    for name, values in (("mean", settings.mean), ("std", settings.std)):
        if values is not None and len(values) != channels:
            raise DataError(
                f"data.{name} must have a value for each of {channels} channels, but is {list(values)}. "
                "Change it, or data.channels."
            )


def _histogram(images: Tensor) -> Tensor:
    """How often each value occurs in each channel of images uint8 [N, C, H, W]: int64 [C, 256]."""
    return torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in images.unbind(1)])


def _normalisation(counts: Tensor, settings: Data) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation by channel, of pixels in 0 to 1: those that the settings give, else those of a histogram."""
    values = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for channel in counts.double():
        average = float((channel * values).sum() / channel.sum())
        variance = float((channel * (values - average) ** 2).sum() / channel.sum())
        mean.append(average)
        std.append(max(variance**0.5, 1e-3))  # a constant channel must not divide by zero
    return tuple(settings.mean or mean), tuple(settings.std or std)
