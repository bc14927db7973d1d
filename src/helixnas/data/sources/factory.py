"""The user's own function: images of any channel count, from wherever it gets them."""

from pathlib import Path

import torch
from torch import Tensor

from helixnas.data.source import Source, few, no_labels, of_arrays
from helixnas.errors import DataError
from helixnas.own import load_own

WANTED = "images uint8 [N, C, H, W], labels [N] or None, class names, and perhaps a bool [N] that marks test images"


def open_source(name: str, path: Path, _channels: int | None) -> Source:
    """``factory:package.module:function``; the function takes ``data.path`` and returns WANTED."""
    given = load_own(name, "data.source")(path)
    try:
        images, labels, class_names, *rest = given
        images = torch.as_tensor(images)
        if labels is None:
            labels, class_names = no_labels(len(images)), ()
        labels = torch.as_tensor(labels)
        is_test = torch.as_tensor(rest[0]).bool() if rest else None
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: torch's, of a list that holds None
        raise DataError(f"{name} must return {WANTED}, but: {error}") from error
    _check(name, images, labels, is_test)
    return of_arrays(images, labels, tuple(map(str, class_names)), is_test)


def _check(name: str, images: Tensor, labels: Tensor, is_test: Tensor | None) -> None:
    if images.ndim != 4 or images.dtype != torch.uint8:
        raise DataError(f"{name} must return {WANTED}, but its images are {images.dtype} {tuple(images.shape)}.")
    lengths = {len(images), len(labels), len(labels if is_test is None else is_test)}
    if len(lengths) > 1:
        raise DataError(f"{name} must return {WANTED}, but their lengths N are {sorted(lengths)}.")
    if labels.ndim != 1:
        raise DataError(f"{name} must return {WANTED}, but its labels are {tuple(labels.shape)}.")
    if labels.is_floating_point():
        listed = few([f"image {row} has {value:g}" for row, value in enumerate(labels.tolist())])
        raise DataError(f"{name} must return labels that are whole numbers, but {listed}. Return integers.")
