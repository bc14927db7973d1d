"""Parquet with image bytes, and a label where there are labels, as Hugging Face writes datasets."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from helixnas.data.decode import decode, guess_channels
from helixnas.data.source import Source, few, no_labels
from helixnas.errors import DataError

LABELS = ("label", "labels", "fine_label")
TEST = ("test", "validation", "valid", "val")


def open_source(_name: str, path: Path, channels: int | None) -> Source:
    """A Parquet file, or all those in a folder. A column holds bytes or {bytes, path}, another an integer or a string.

    Without that other column the images have no labels. Files whose names start with "test" are the test split; without
    them, those of "validation".
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        raise DataError(f"data.path must be a Parquet file or a folder of them, but {path} has none. Correct it.")
    tables = [_table(file) for file in files]
    images = [image for pixels, _ in tables for image in pixels]
    names = [
        f"{file}, row {row}" for file, (pixels, _) in zip(files, tables, strict=True) for row in range(len(pixels))
    ]
    labels, class_names = _labels(files, [values for _, values in tables], names)
    width = channels or guess_channels(images)

    def read(row: int) -> Tensor:
        return decode(images[row], width)

    return Source(labels, class_names, names, read, _is_test(files, [len(pixels) for pixels, _ in tables]))


def _table(file: Path) -> tuple[list[bytes], list[Any] | None]:
    """Image bytes and labels of one file; None where it has no labels."""
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} must be a readable Parquet file, but: {error}. Get it anew.") from error
    image = next((field.name for field in table.schema if _holds_images(field.type)), None)
    label = next((name for name in LABELS if name in table.column_names), None)
    if image is None:
        raise DataError(
            f"{file} must have a column of image bytes, and for labels one named {' or '.join(LABELS)}, but has "
            f"{', '.join(table.column_names)}. Rename them."
        )
    pixels = [value["bytes"] if isinstance(value, dict) else value for value in table[image].to_pylist()]
    return [value or b"" for value in pixels], None if label is None else table[label].to_pylist()


def _holds_images(kind: pa.DataType) -> bool:
    is_bytes: bool = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return is_bytes or bool(pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0)


def _labels(
    files: Sequence[Path], columns: Sequence[list[Any] | None], names: Sequence[str]
) -> tuple[Tensor, tuple[str, ...]]:
    """The labels [N] of all files as numbers, and the class names; DataError where only some images have a label."""
    bare = [str(file) for file, column in zip(files, columns, strict=True) if column is None]
    if len(bare) == len(files):
        return no_labels(len(names)), ()
    if bare:
        raise DataError(f"All files or none must have labels, but these have none: {few(bare)}. Add or remove them.")
    values = [value for column in columns for value in column or ()]
    kind = str if any(isinstance(value, str) for value in values) else int
    wrong = [f"{name} has {value!r}" for name, value in zip(names, values, strict=True) if not isinstance(value, kind)]
    if wrong:
        raise DataError(f"Labels must be all whole numbers or all strings, but {few(wrong)}. Correct them.")
    class_names = _class_names(files[0], values)
    numbers = {name: number for number, name in enumerate(class_names)}
    coded = [numbers.get(value, -1) for value in values] if kind is str else values
    return torch.tensor(coded, dtype=torch.int64), class_names


def _class_names(file: Path, values: Sequence[Any]) -> tuple[str, ...]:
    """The names that Hugging Face's metadata gives, else the values themselves."""
    metadata = pq.read_schema(file).metadata or {}
    features = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    for name in LABELS:
        if names := features.get(name, {}).get("names"):
            return tuple(map(str, names))
    if values and isinstance(values[0], int):
        return tuple(map(str, range(max(values) + 1)))
    return tuple(sorted(set(map(str, values))))


def _is_test(files: Sequence[Path], sizes: Sequence[int]) -> Tensor | None:
    for prefix in TEST:
        chosen = [file.name.startswith(prefix) for file in files]
        if any(chosen) and not all(chosen):
            return torch.repeat_interleave(torch.tensor(chosen), torch.tensor(sizes))
    return None
