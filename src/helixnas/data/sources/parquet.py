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

from helixnas.data.files import Files, image_column, unreadable_table
from helixnas.data.labels import coded, named
from helixnas.data.listing import files_below, require_regular
from helixnas.data.source import Source, few, no_labels, of_files
from helixnas.errors import DataError

LABELS = ("label", "labels", "fine_label")
TEST = ("test", "validation", "valid", "val")


@dataclass(frozen=True, slots=True)
class _Table:
    """One file: number of rows; labels, None where it has none; class names, None where it gives none."""

    file: Path
    num_rows: int
    labels: list[Any] | None
    class_names: tuple[str, ...] | None


def open_source(_name: str, path: Path, channels: int | None) -> Source:
    """Open a Parquet file, or all Parquet files in a folder. The images stay there until they are decoded.

    A column holds bytes or {bytes, path}; a column of LABELS holds integers or strings, and without such a column the
    images have no labels. Files whose names start with "test" are the test split; without them, those of "validation".

    Raises:
        DataError: There is no such file, a file cannot be read, or a file lacks image bytes or labels.
    """
    files = files_below(path, {".parquet"}) if path.is_dir() else [path] if path.exists() else []
    if not files:
        raise DataError(f"data.path must be a Parquet file or a folder of them, but {path} has none. Correct it.")
    tables = [_table(file) for file in files]
    names = [str(table.file) for table in tables for _ in range(table.num_rows)]
    images = Files(names, [row for table in tables for row in range(table.num_rows)])
    labels, class_names = _labels(tables, images)
    marks = ([file.name.startswith(prefix) for file in files] for prefix in TEST)
    chosen = next((mark for mark in marks if any(mark) and not all(mark)), None)
    is_test = None
    if chosen is not None:
        is_test = torch.repeat_interleave(torch.tensor(chosen), torch.tensor([table.num_rows for table in tables]))
    return of_files(labels, class_names, images, channels, is_test)


def _table(file: Path) -> _Table:
    try:
        require_regular(file)
        schema, num_rows = pq.read_schema(file), pq.read_metadata(file).num_rows
        label = next((name for name in LABELS if name in schema.names), None)
        labels = None if label is None else pq.read_table(file, columns=[label]).column(0).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # the last two: values Python cannot hold
        raise unreadable_table(file, error) from error
    if image_column(schema) is None:
        raise DataError(
            f"{file} must have a column of image bytes, and for labels one named {' or '.join(LABELS)}, but has "
            f"{', '.join(schema.names)}. Rename them."
        )
    return _Table(file, num_rows, labels, _class_names(file, schema.metadata or {}, label))


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
