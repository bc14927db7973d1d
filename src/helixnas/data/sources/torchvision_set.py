"""A dataset of torchvision that lies on disk. Nothing is downloaded."""

import difflib
import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from helixnas.data.decode import mode, to_tensor
from helixnas.data.source import Source
from helixnas.errors import DataError


def open_source(name: str, path: Path, channels: int | None) -> Source:
    """``torchvision:NAME`` with its files in ``path``, its own train and test splits kept."""
    from torchvision import datasets

    known = [key for key in datasets.__all__ if isinstance(getattr(datasets, key), type)]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise DataError(f"data.source must name a dataset of torchvision, but is {name!r}. Near: {', '.join(near)}.")
    sets = _splits(name, getattr(datasets, name), path)
    rows = [(dataset, index) for dataset in sets for index in range(len(dataset))]
    labels = torch.tensor([label for dataset in sets for label in _labels(dataset)], dtype=torch.int64)
    class_names = tuple(map(str, getattr(sets[0], "classes", range(int(labels.max()) + 1))))
    width = channels or _channels(sets[0])

    def read(row: int) -> Tensor:
        dataset, index = rows[row]
        return to_tensor(dataset[index][0].convert(mode(width)))

    names = [f"{name} image {row}" for row in range(len(rows))]
    is_test = torch.arange(len(rows)) >= len(sets[0]) if len(sets) == 2 else None
    return Source(labels, class_names, names, read, is_test)


def _splits(name: str, dataset: Any, path: Path) -> list[Any]:
    parameters = inspect.signature(dataset).parameters
    options: list[dict[str, Any]] = [{}]
    if "train" in parameters:
        options = [{"train": True}, {"train": False}]
    elif "split" in parameters:
        options = [{"split": "train"}, {"split": "test"}]
    try:
        return [dataset(path, **option) for option in options]
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(
            f"data.path must hold torchvision's {name}, but {path} does not: {' '.join(str(error).split())} "
            "Put its files there; HelixNAS downloads nothing."
        ) from error


def _labels(dataset: Any) -> list[int]:
    for name in ("targets", "labels", "_labels"):
        if (labels := getattr(dataset, name, None)) is not None:
            return [int(label) for label in labels]
    return [int(dataset[row][1]) for row in range(len(dataset))]


def _channels(dataset: Any) -> int:
    return 1 if dataset[0][0].mode == "L" else 3
