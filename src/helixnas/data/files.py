"""Where the images of a source lie on disk: each in a file of its own, or in a row of a Parquet file."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import overload

import pyarrow as pa
import pyarrow.parquet as pq

from helixnas.data.listing import require_regular
from helixnas.errors import DataError

ALONE = -1
"""The row of an image that has a file of its own."""
KEPT_BYTES = 2**28
"""The most that a process keeps of Parquet files' image bytes, though always the row group that was read last."""
MAX_OPEN = 64
"""The most Parquet files that a process holds open."""


class Files(Sequence[str]):
    """The place of each image; as a sequence, a name for each image, for messages.

    Args:
        files: The file of each image.
        rows: The row of each image in its Parquet file, from 0; ALONE for an image file.
    """

    def __init__(self, files: Sequence[str], rows: Sequence[int]) -> None:
        self.files, self.rows = files, rows
        self._tables = _Tables()

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Files": ...
    def __getitem__(self, index: int | slice) -> "str | Files":
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        row = self.rows[index]
        return self.files[index] if row == ALONE else f"{self.files[index]}, row {row}"

    def take(self, indices: Iterable[int]) -> "Files":
        """Return the places of some images."""
        chosen = list(indices)
        return Files([self.files[index] for index in chosen], [self.rows[index] for index in chosen])

    def content(self, index: int) -> Path | bytes:
        """Return what to decode: the file, or the bytes of the Parquet file's row.

        Raises:
            DataError: The Parquet file cannot be read.
        """
        row = self.rows[index]
        return Path(self.files[index]) if row == ALONE else self._tables.image(self.files[index], row)


class _Tables:
    """Image bytes in Parquet files, read by row group, of which the last few are kept.

    Drawing images at random reads a whole row group for each image where the files are larger than KEPT_BYTES. Then
    small row groups (about a hundred images) are fast, and so are packed parts.
    """

    def __init__(self) -> None:
        self._opened: OrderedDict[str, _Table] = OrderedDict()
        self._groups: OrderedDict[tuple[str, int], pa.ChunkedArray] = OrderedDict()

    def image(self, file: str, row: int) -> bytes:
        """Return the bytes of one image; nothing where the table has no value there."""
        try:
            if file not in self._opened:
                while len(self._opened) >= MAX_OPEN:
                    self._opened.popitem(last=False)
                self._opened[file] = _Table(file)
            table = self._opened[file]
            group = bisect_right(table.starts, row) - 1
            key = (file, group)
            if key in self._groups:
                self._groups.move_to_end(key)
            else:
                # without Arrow's threads, which a fork does not inherit
                rows = table.file.read_row_group(group, columns=[table.column], use_threads=False)
                self._groups[key] = rows.column(table.column)
                while len(self._groups) > 1 and sum(kept.nbytes for kept in self._groups.values()) > KEPT_BYTES:
                    self._groups.popitem(last=False)
            value = self._groups[key][row - table.starts[group]].as_py()
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise unreadable_table(file, error) from error
        return (value["bytes"] if isinstance(value, dict) else value) or b""


class _Table:
    """One opened Parquet file, with the first row of each row group."""

    def __init__(self, file: str) -> None:
        require_regular(Path(file))
        self.file = pq.ParquetFile(file)
        self.column = self.file.schema_arrow.names[image_column(self.file.schema_arrow) or 0]
        metadata = self.file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self.starts = [0, *accumulate(sizes)][:-1]


def image_column(schema: pa.Schema) -> int | None:
    """Return the number of the first column of bytes, or of {bytes, path}; None where there is none."""
    for number, field in enumerate(schema):
        kind = field.type
        if pa.types.is_struct(kind) and (place := kind.get_field_index("bytes")) >= 0:
            kind = kind.field(place).type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return number
    return None


def unreadable_table(file: str | Path, error: Exception) -> DataError:
    """Make the error for a Parquet file that cannot be read."""
    reason = " ".join(str(error).split())[:300]
    return DataError(f"{file} must be a readable Parquet file, but: {reason}. Get it anew.")
