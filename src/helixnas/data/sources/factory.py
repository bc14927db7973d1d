"""A custom source: the user's function gives images of any channel count."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helixnas.custom import load_custom
from helixnas.data.decode import span, to_bytes
from helixnas.data.labels import coded, named
from helixnas.data.source import Source, no_labels
from helixnas.errors import DataError

WANTED = (
    "images [N, C, H, W] of uint8 or other numbers, labels [N] or None, class names, and perhaps a bool [N] that marks "
    "test images"
)


def open_source(name: str, path: Path, _channels: int | None) -> Source:
    """Open ``factory:package.module:function``; the function takes ``data.path`` and returns WANTED.

    Numbers other than uint8 are scaled as decode.py does for files, but by the range of the whole array.

    Raises:
        DataError: The function returns something other than WANTED.
    """
    given = load_custom(name, "data.source", "take data.path and return")(path)
    try:
        images, labels, class_names, *rest = given
        images = np.asarray(images)
        shape = (len(images),) if labels is None else np.shape(labels)
        is_test = torch.as_tensor(rest[0]).bool() if rest else None
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} must return {WANTED}, but: {error}") from error
    _check(name, images, shape, is_test)
    rows = [f"image {row}" for row in range(len(images))]
    numbers, names = (no_labels(len(rows)), ()) if labels is None else coded(labels, named(class_names, name), rows)
    return Source(numbers, names, rows, _reader(images), is_test)


def _check(name: str, images: np.ndarray, labels: tuple[int, ...], is_test: Tensor | None) -> None:
    """DataError unless the images, labels of such a shape, and the marks of test images fit together."""
    if images.ndim != 4 or images.dtype.kind not in "buif" or 0 in images.shape[1:]:
        raise DataError(f"{name} must return {WANTED}, but its images are {images.dtype} {images.shape}.")
    if len(labels) != 1:
        raise DataError(f"{name} must return {WANTED}, but its labels are {labels}.")
    marks = labels if is_test is None else tuple(is_test.shape)
    if not labels == marks == images.shape[:1]:
        lengths = sorted({len(images), *labels, *marks})
        raise DataError(f"{name} must return {WANTED}, but their lengths N are {lengths}.")


def _reader(images: np.ndarray) -> Callable[[int], Tensor]:
    if images.dtype == np.uint8:
        return lambda row: torch.from_numpy(images[row].copy())  # the function's own array may be read-only
    black, white = span(images)
    return lambda row: torch.from_numpy(to_bytes(images[row], black, white))
