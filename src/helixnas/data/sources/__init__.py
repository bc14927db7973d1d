"""Sources of images, one file each: ``data.source`` names a source, and ``data.path`` says where its files are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from helixnas.data.source import Source, with_channels
from helixnas.data.sources import digits, factory, folder, parquet, torchvision_set
from helixnas.errors import DataError

Opener = Callable[[str, Path, int | None], Source]
"""A function that opens a source from the text behind the colon, ``data.path`` and ``data.channels``."""

SOURCES: dict[str, Opener] = {
    "digits": digits.open_source,
    "folder": folder.open_source,
    "parquet": parquet.open_source,
    "torchvision": torchvision_set.open_source,
    "factory": factory.open_source,
}


def open_source(source: str, path: Path, channels: int | None) -> Source:
    """Open the source that ``data.source`` names, such as ``torchvision:CIFAR10``.

    Args:
        source: The value of ``data.source``.
        path: The value of ``data.path``.
        channels: The value of ``data.channels``; None leaves the number to the images.

    Raises:
        DataError: ``path`` cannot be read, or the source has no images.
    """
    kind, _, name = source.partition(":")
    try:
        opened = SOURCES[kind](name, path, channels)
    except OSError as error:
        raise DataError(f"data.path must be readable, but: {error}. Correct it, or its permissions.") from error
    if not len(opened.labels):
        raise DataError(f"data.source must give images, but {source} at {path} gives none. Correct data.path.")
    return replace(opened, read=lambda row: with_channels(opened.read(row), channels))
