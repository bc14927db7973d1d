"""Parquet files with image bytes, and with labels where there are any, as Hugging Face writes data sets."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from helixnas.data.decode import decode, guess_channels
from helixnas.data.labels import coded, named
from helixnas.data.listing import files_below, require_regular
from helixnas.data.source import Source, few, no_labels
from helixnas.errors import DataError

LABELS = ("label", "labels", "fine_label")
TEST = ("test", "validation", "valid", "val")


@dataclass(frozen=True, slots=True)
class _Table:
    """One file: image bytes; labels, None where it has none; class names, None where it gives none."""

    file: Path
    images: list[bytes]
    labels: list[Any] | None
    class_names: tuple[str, ...] | None


def open_source(_name: str, path: Path, channels: int | None) -> Source:
    """Open a Parquet file, or all Parquet files in a folder.

    A column holds bytes or {bytes, path}; a column of LABELS holds integers or strings, and without such a column the
    images have no labels. Files whose names start with "test" are the test split; without them, those of "validation".

    Raises:
        DataError: There is no such file, a file cannot be read, or a file lacks image bytes or labels.
    """
    files = files_below(path, {".parquet"}) if path.is_dir() else [path] if path.exists() else []
    if not files:
        raise DataError(f"data.path must be a Parquet file or a folder of them, but {path} has none. Correct it.")
    tables = [_table(file) for file in files]
    images = [image for table in tables for image in table.images]
    names = [f"{table.file}, row {row}" for table in tables for row in range(len(table.images))]
    labels, class_names = _labels(tables, names)
    width = channels or guess_channels(images)

    def read(row: int) -> Tensor:
        return decode(images[row], width)

    return Source(labels, class_names, names, read, _is_test(files, [len(table.images) for table in tables]))


def _table(file: Path) -> _Table:
    try:
        require_regular(file)
        table = pq.read_table(file)
        image = next((row for row, field in enumerate(table.schema) if _holds_images(field.type)), None)
        label = next((name for name in LABELS if name in table.column_names), None)
        pixels = [] if image is None else table.column(image).to_pylist()
        labels = None if label is None else table.column(table.column_names.index(label)).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: values Python cannot hold
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{file} must be a readable Parquet file, but: {reason}. Get it anew.") from error
    if image is None:
        raise DataError(
            f"{file} must have a column of image bytes, and for labels one named {' or '.join(LABELS)}, but has "
            f"{', '.join(table.column_names)}. Rename them."
        )
    images = [(value["bytes"] if isinstance(value, dict) else value) or b"" for value in pixels]
    return _Table(file, images, labels, _class_names(file, table.schema.metadata or {}, label))


def _holds_images(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind) and (place := kind.get_field_index("bytes")) >= 0:
        kind = kind.field(place).type
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _labels(tables: Sequence[_Table], names: Sequence[str]) -> tuple[Tensor, tuple[str, ...]]:
    """The labels [N] of all files as numbers, and the class names; DataError where only some images have a label."""
    bare = [str(table.file) for table in tables if table.labels is None]
    if len(bare) == len(tables):
        return no_labels(len(names)), ()
    if bare:
        raise DataError(f"All files or none must have labels, but these have none: {few(bare)}. Add or remove them.")
    naming = [table for table in tables if table.class_names]
    others = [str(table.file) for table in naming if table.class_names != naming[0].class_names]
    if others:
        raise DataError(
            f"All files must name the same classes, but these name others than {naming[0].file}: {few(others)}. "
            "Write them anew, with one list of names."
        )
    values = [value for table in tables for value in table.labels or ()]
    return coded(values, naming[0].class_names if naming else None, names)


def _class_names(file: Path, metadata: dict[bytes, bytes], label: str | None) -> tuple[str, ...] | None:
    """The names that Hugging Face's metadata gives the classes of the column ``label``."""
    text = metadata.get(b"huggingface", b"{}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{file} must describe its columns in JSON, as Hugging Face does, but its metadata say {text[:60]!r}. "
            "Write the file anew, or without them."
        ) from error
    for key in ("info", "features", label, "names"):
        value = value.get(key) if isinstance(value, dict) else None
    return named(value, f"The metadata of {file}") if value else None


def _is_test(files: Sequence[Path], sizes: Sequence[int]) -> Tensor | None:
    for prefix in TEST:
        chosen = [file.name.startswith(prefix) for file in files]
        if any(chosen) and not all(chosen):
            return torch.repeat_interleave(torch.tensor(chosen), torch.tensor(sizes))
    return None
