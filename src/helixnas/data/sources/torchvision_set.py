"""A data set of torchvision that lies on disk; nothing is downloaded."""

import difflib
import inspect
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from helixnas.data.decode import mode, num_channels, reading, to_tensor
from helixnas.data.labels import coded
from helixnas.data.source import Source
from helixnas.errors import DataError


def open_source(name: str, path: Path, channels: int | None) -> Source:
    """Open torchvision's data set ``name`` with its files in ``path``; its train and test splits are kept.

    Raises:
        DataError: torchvision has no such data set of images, or ``path`` does not hold its files.
    """
    from torchvision import datasets

    known = [key for key in datasets.__all__ if isinstance(getattr(datasets, key), type)]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise DataError(f"data.source must name a dataset of torchvision, but is {name!r}. Near: {', '.join(near)}.")
    sets, values, first = _splits(name, getattr(datasets, name), path)
    rows = [(dataset, index) for dataset in sets for index in range(len(dataset))]
    names = [f"{name} image {row}" for row in range(len(rows))]
    if not isinstance(first, Image.Image):
        raise DataError(
            f"data.source must give images, but {name} gives {type(first).__name__}. Choose another dataset."
        )
    given = list(map(str, getattr(sets[0], "classes", [])))
    # its number stands behind each name that comes twice, as ImageNet's crane
    distinct = [name if given.count(name) == 1 else f"{name} ({number})" for number, name in enumerate(given)]
    labels, class_names = coded(values, distinct or None, names)
    wanted = mode(channels or num_channels(first))

    def read(row: int) -> Tensor:
        dataset, index = rows[row]
        with reading():
            return to_tensor(dataset[index][0], wanted)

    is_test = torch.arange(len(rows)) >= len(sets[0]) if len(sets) == 2 else None
    return Source(labels, class_names, names, read, is_test)


def _splits(name: str, dataset: Any, path: Path) -> tuple[list[Any], list[Any], Any]:
    """The dataset, in two where it has a test split, all its labels, and its first image."""
    parameters = inspect.signature(dataset).parameters
    options: list[dict[str, Any]] = [{}]
    if "train" in parameters:
        options = [{"train": True}, {"train": False}]
    elif "split" in parameters:
        options = [{"split": "train"}, {"split": "test"}]
    try:
        sets = [dataset(path, **option) for option in options]
        return sets, [label for each in sets for label in _labels(each)], sets[0][0][0]
    except Exception as error:  # each dataset reads its files in its own way
        raise DataError(
            f"data.path must hold torchvision's {name}, but {path} does not: {' '.join(str(error).split())} "
            "Put its files there; HelixNAS downloads nothing."
        ) from error


def _labels(dataset: Any) -> list[Any]:
    for name in ("targets", "labels", "_labels"):
        if (labels := getattr(dataset, name, None)) is not None:
            return list(labels)
    return [dataset[row][1] for row in range(len(dataset))]
