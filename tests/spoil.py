"""Ways to spoil a project's folder, each as a function of the folder."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.parameters import change
from helixnas.config import load
from helixnas.stages import search_space
from tests.project import stages

Spoil = Callable[[Path], object]


def text(old: str, new: str) -> Spoil:
    """Another text in params.yaml, which must be there."""

    def spoil(root: Path) -> None:
        path = root / "params.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return spoil


def value(*overrides: str) -> Spoil:
    """Other values in params.yaml, each possible by itself."""
    return lambda root: change(root, None, overrides)


def gone(path: str) -> Spoil:
    return lambda root: (root / path).unlink()


def truncated(path: str) -> Spoil:
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:-100])


def tampered(path: str) -> Spoil:
    """Another loss in a table, and its header as it was."""

    def spoil(root: Path) -> None:
        table = pq.read_table(root / path)
        frame = table.to_pandas()
        frame.loc[1, "rating"] = 0.0
        changed = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), root / path)

    return spoil


def resized(root: Path) -> None:
    """Images of another size, where the teacher saw the old ones."""
    change(root, None, ["data.image_size=16"])
    next(stage for stage in stages(1) if stage.name == "data").run(root, load(root))


def unspoilt(root: Path) -> None:
    """Nothing is wrong in the folder: the command is."""


def respaced(root: Path) -> None:
    """Another search space, whose blocks are not distilled yet."""
    change(root, None, ["search_space.kernels=[3,7]"])
    with contextlib.chdir(root):
        search_space.run(load(root))
