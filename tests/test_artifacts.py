"""Values on disk: whole or refused."""

import contextlib
import csv
import errno
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from helixnas import artifacts
from helixnas.errors import ArtifactError, EnvironmentFault

TABLE = pd.DataFrame({"path": ["0:0", "1:2"], "distill_loss": [0.1, 1 / 3]})
DATA = b"\x00# {}\n\xff"
TENSORS = {"b": torch.arange(3), "a": torch.tensor(0.5), "c": torch.zeros(2, 2, dtype=torch.uint8)}


def save_all(folder: Path) -> dict[str, Path]:
    names = {"json": "v.json", "table": "v.parquet", "tensors": "v.safetensors", "bytes": "v.pt2", "csv": "v.csv"}
    paths = {kind: folder / name for kind, name in names.items()}
    artifacts.save_json(paths["json"], "kind", {"x": [1, 2.5, "é"]})
    artifacts.save_table(paths["table"], "kind", TABLE, {"seed": 1})
    artifacts.save_tensors(paths["tensors"], "kind", TENSORS, {"seed": 1})
    artifacts.save_bytes(paths["bytes"], "kind", DATA)
    artifacts.save_bytes(paths["csv"], "kind", TABLE.to_csv(index=False).encode())
    return paths


LOADERS = {
    "json": artifacts.load_json,
    "table": artifacts.load_table,
    "tensors": artifacts.load_tensors,
    "bytes": artifacts.load_bytes,
    "csv": artifacts.load_csv,
}


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    paths = save_all(tmp_path)
    assert artifacts.load_json(paths["json"], "kind") == {"x": [1, 2.5, "é"]}
    table, facts = artifacts.load_table(paths["table"], "kind")
    pd.testing.assert_frame_equal(table, TABLE)
    assert facts == {"seed": 1}
    assert table["distill_loss"].dtype == np.float64
    tensors, _ = artifacts.load_tensors(paths["tensors"], "kind")
    assert list(tensors) == ["a", "b", "c"]
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert artifacts.load_bytes(paths["bytes"], "kind") == DATA
    pd.testing.assert_frame_equal(artifacts.load_csv(paths["csv"], "kind"), TABLE)
    pd.testing.assert_frame_equal(pd.read_csv(paths["csv"], comment="#"), TABLE)


def test_the_same_value_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = save_all(tmp_path / "1"), save_all(tmp_path / "2")
    assert all(first[kind].read_bytes() == second[kind].read_bytes() for kind in first)


def test_a_reader_of_csv_that_knows_no_comment_finds_one_field_in_the_seal(tmp_path: Path) -> None:
    with save_all(tmp_path)["csv"].open(newline="") as file:  # `dvc plots` fails on a row of more fields than columns
        *_, seal = csv.DictReader(file)
    assert seal["path"].startswith("# {")
    assert seal["distill_loss"] is None
    assert None not in seal


@pytest.mark.parametrize("kind", LOADERS)
def test_a_missing_file_is_named_with_the_remedy(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ArtifactError, match=r"nothing\.x must exist.*dvc repro"):
        LOADERS[kind](tmp_path / "nothing.x", "kind")


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    path = save_all(tmp_path)[kind]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ArtifactError, match="Remove it and run"):
        LOADERS[kind](path, "kind")


def test_a_value_that_was_changed_afterwards_is_refused(tmp_path: Path) -> None:
    paths = save_all(tmp_path)
    paths["json"].write_text(paths["json"].read_text().replace("2.5", "2.6"))
    data = bytearray(paths["tensors"].read_bytes())
    data[-1] ^= 1
    paths["tensors"].write_bytes(data)
    for kind in ("json", "tensors"):
        with pytest.raises(ArtifactError, match="checksum"):
            LOADERS[kind](paths[kind], "kind")


def test_a_fact_that_was_changed_afterwards_is_refused(tmp_path: Path) -> None:
    paths = save_all(tmp_path)
    paths["tensors"].write_bytes(paths["tensors"].read_bytes().replace(rb"seed\": 1", rb"seed\": 2"))
    table = pq.read_table(paths["table"])
    header = table.schema.metadata[b"helixnas"].replace(b'"seed": 1', b'"seed": 2')
    pq.write_table(table.replace_schema_metadata({"helixnas": header}), paths["table"])
    for kind in ("table", "tensors"):
        with pytest.raises(ArtifactError, match="checksum"):
            LOADERS[kind](paths[kind], "kind")


@pytest.mark.parametrize("kind", LOADERS)
def test_a_byte_that_was_changed_anywhere_is_refused_or_changes_nothing(tmp_path: Path, kind: str) -> None:
    path = save_all(tmp_path)[kind]
    whole, value = path.read_bytes(), repr(LOADERS[kind](path, "kind"))
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
        with contextlib.suppress(ArtifactError):
            assert repr(LOADERS[kind](path, "kind")) == value


@pytest.mark.parametrize("kind", LOADERS)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ArtifactError, match="must hold"):
        LOADERS[kind](save_all(tmp_path)[kind], "other")


@pytest.mark.parametrize("kind", LOADERS)
def test_a_file_in_anothers_place_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    blocks = [tmp_path / "artifacts/rating/block_0", tmp_path / "artifacts/rating/block_1"]
    here, there = (save_all(folder)[kind] for folder in blocks)
    assert here.read_bytes() != there.read_bytes()
    here.write_bytes(there.read_bytes())
    with pytest.raises(ArtifactError, match=rf"rating/block_0/{here.name} must hold rating/block_0/.* but holds .*_1/"):
        LOADERS[kind](here, "kind")
    other = there.with_name("other")  # another role in the same block
    other.write_bytes(there.read_bytes())
    with pytest.raises(ArtifactError, match="block_1/other must hold rating/block_1/other, but holds rating/block_1/v"):
        LOADERS[kind](other, "kind")


@pytest.mark.parametrize("kind", LOADERS)
def test_a_copy_outside_the_artifacts_keeps_its_name_alone(tmp_path: Path, kind: str) -> None:
    path = save_all(tmp_path / "artifacts/retrain")[kind]
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    assert repr(LOADERS[kind](copy, "kind")) == repr(LOADERS[kind](path, "kind"))
    with pytest.raises(ArtifactError, match="must hold other, but holds retrain/v"):
        LOADERS[kind](copy.rename(tmp_path / "other"), "kind")


@pytest.mark.parametrize("kind", LOADERS)
def test_a_folder_in_a_files_place_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "v.x").mkdir()
    with pytest.raises(ArtifactError, match=r"v\.x must be a file, but is none"):
        LOADERS[kind](tmp_path / "v.x", "kind")


def test_json_that_is_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text("[" * 10**5)
    with pytest.raises(ArtifactError, match=r"v\.json must be whole"):
        artifacts.load_json(tmp_path / "v.json", "kind")


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "v.json"
    artifacts.save_json(path, "kind", 1)
    with pytest.raises(RuntimeError), artifacts.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    with pytest.raises(EnvironmentFault, match="Free some space"), artifacts.atomic(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert artifacts.load_json(path, "kind") == 1
    assert list(tmp_path.iterdir()) == [path]


@contextmanager
def no_room() -> Iterator[None]:
    """Files may grow to 100 bytes: a write beyond ends as on a full disk, with an OSError in the middle of it."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:  # before pytest writes another line of its own output
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)


def test_a_disk_without_room_ends_every_kind_of_write_with_one_message(tmp_path: Path) -> None:
    for save in (
        lambda: artifacts.save_json(tmp_path / "v", "kind", "x" * 1000),
        lambda: artifacts.save_table(tmp_path / "v", "kind", TABLE),
        lambda: artifacts.save_tensors(tmp_path / "v", "kind", TENSORS),
    ):
        with no_room(), pytest.raises(EnvironmentFault, match="v must be written, but"):
            save()
    assert list(tmp_path.iterdir()) == []
