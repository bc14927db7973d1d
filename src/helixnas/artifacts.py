"""Where each value lives on disk. Writes are atomic and carry a checksum; reads check it or raise ArtifactError.

JSON, Parquet, safetensors and sealed bytes only: nothing that is read here can run code. The same value gives the same
bytes. Each file also says which artifact it is, so that none can stand in for another.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from helixnas.cached import bad_copy
from helixnas.errors import ArtifactError, EnvironmentFault

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

VERSION = 2
_ROOT = "artifacts"
_PLACE = "place"
"""The fact that says which artifact a file is."""
_SEAL = b"# "
"""What the line begins with that seals bytes: readers of CSV know it as a comment."""
CACHE = Path(".cache")
"""Checkpoints, curves and studies: never an output of DVC, never read by a later stage, safe to delete."""


def folder(stage: str, block_id: int | None = None) -> Path:
    """A stage's folder, relative to the project root; with ``block_id``, that block's."""
    path = Path(_ROOT) / stage
    return path if block_id is None else path / f"block_{block_id}"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it when the body ends well, and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> EnvironmentFault:
    """Return the error of a file or folder that could not be written."""
    return EnvironmentFault(f"{path} must be written, but: {error}. Free some space, or check the folder's rights.")


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file ``path`` for the body, alone among processes; whether it was got, if not to ``wait`` for it.

    The system lets go of it when the process ends, however it ends.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=-1 if wait else 0, poll_interval=0.1)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def save_text(path: Path, text: str) -> None:
    """Save a text in UTF-8, as a whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_json(path: Path, kind: str, value: Any) -> None:
    """Save a value of plain types under its kind, such as ``"arch"``."""
    place = _place(path)
    envelope = {"kind": kind, "version": VERSION, "place": place, "sha256": _hash_json([place, value]), "value": value}
    save_text(path, json.dumps(envelope, indent=1, sort_keys=True) + "\n")


def load_json(path: Path, kind: str) -> Any:
    """The value that ``save_json`` saved, with tuples as lists."""
    must_exist(path)
    try:
        envelope = json.loads(path.read_text(encoding="utf-8"))
        value, place = envelope["value"], envelope.get("place")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise damaged(path, str(error)) from error
    _check(path, kind, envelope, _hash_json(value if place is None else [place, value]), place)
    return value


def save_bytes(path: Path, kind: str, data: bytes) -> None:
    """Save bytes of any format, such as CSV, with a last line ``# {...}`` that seals them."""
    header = _header(path, kind, {}, hashlib.sha256(data).hexdigest()).replace(", ", "; ")  # `dvc plots`: one field
    with atomic(path) as temporary:
        temporary.write_bytes(data + _SEAL + header.encode() + b"\n")


def load_bytes(path: Path, kind: str) -> bytes:
    """The bytes that ``save_bytes`` saved, without their seal."""
    must_exist(path)
    try:
        data, _, line = path.read_bytes().rpartition(_SEAL)
        header = json.loads(line.replace(b"; ", b", "))
        seal = _seal(hashlib.sha256(data).hexdigest(), header["facts"])
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path, f"its last line must be its checksum: {error}") from error
    _checked_facts(path, kind, header, seal)
    return data


def load_csv(path: Path, kind: str) -> "pd.DataFrame":
    """The table of a CSV that ``save_bytes`` saved."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(load_bytes(path, kind)))


def save_table(path: Path, kind: str, table: "pd.DataFrame", facts: Mapping[str, Any] | None = None) -> None:
    """Save a table as Parquet, floats in float64, with ``facts`` (plain types) in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({"helixnas": _header(path, kind, facts or {}, _hash_table(table))})
    with atomic(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")


def load_table(path: Path, kind: str) -> tuple["pd.DataFrame", dict[str, Any]]:
    """The table and the facts that ``save_table`` saved."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    must_exist(path)
    try:
        arrow = pq.read_table(path)
        header = json.loads((arrow.schema.metadata or {})[b"helixnas"])
        table = arrow.to_pandas()
        seal = _seal(_hash_table(table), header["facts"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    return table, _checked_facts(path, kind, header, seal)


def save_tensors(
    path: Path, kind: str, tensors: Mapping[str, "Tensor"], facts: Mapping[str, Any] | None = None
) -> None:
    """Save named tensors as safetensors, with ``facts`` (plain types) in the header."""
    from safetensors.torch import save

    plain = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    header = _header(path, kind, facts or {}, _hash_tensors(plain))
    with atomic(path) as temporary:
        # bytes first: a full disk must raise OSError here, not a library's own error
        temporary.write_bytes(save(plain, metadata={"helixnas": header}))


def load_tensors(path: Path, kind: str) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """The tensors and the facts that ``save_tensors`` saved, on the CPU."""
    from safetensors import SafetensorError, safe_open

    must_exist(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["helixnas"])
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        seal = _seal(_hash_tensors(tensors), header["facts"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    return tensors, _checked_facts(path, kind, header, seal)


def _split(path: Path) -> tuple[Path, PurePosixPath]:
    """The project's root and a file's place under it; of a file outside ``artifacts/``, its folder and name."""
    parts = path.parts
    first = len(parts) - 1 - parts[::-1].index(_ROOT) if _ROOT in parts else -1
    return Path(*parts[:first]), PurePosixPath(*parts[first:])


def _place(path: Path) -> str:
    """Which artifact a file is: ``rating/block_1/rating.parquet``; of a file outside ``artifacts/``, its name alone."""
    return str(_split(path)[1]).removeprefix(f"{_ROOT}/")


def _remedy(path: Path) -> str:
    """What to do about a file that cannot be used: it goes, and with it DVC's copy, where that is no better."""
    copy = bad_copy(*_split(path))
    also = f" and DVC's copy of it, {copy}, which is no better," if copy else ""
    return f"Remove it{also} and run `dvc repro`."


def must_exist(path: Path) -> None:
    """ArtifactError unless ``path`` is a file."""
    if path.exists() and not path.is_file():
        raise ArtifactError(f"{path} must be a file, but is none. {_remedy(path)}")
    if not path.is_file():
        raise ArtifactError(f"{path} must exist, but does not. Run `dvc repro`, or `dvc pull` where a remote holds it.")


def damaged(path: Path, why: str) -> ArtifactError:
    """Make the error for a file that is not as it was written."""
    reason = " ".join(why.split())[:200]
    return ArtifactError(f"{path} must be whole, but cannot be read ({reason}). {_remedy(path)}")


def _check(path: Path, kind: str, header: Mapping[str, Any], digest: str, place: str | None) -> None:
    got = (header.get("kind"), header.get("version"))
    if got != (kind, VERSION):
        raise ArtifactError(f"{path} must hold {(kind, VERSION)}, but holds {got}. {_remedy(path)}")
    if header.get("sha256") != digest:
        raise ArtifactError(f"{path} was changed after it was written: its checksum differs. {_remedy(path)}")
    wanted = _place(path)
    # a copy beside a registered model lies outside ``artifacts/``; files of before places were recorded have none
    if place is not None and wanted not in {place, place.rpartition("/")[2]}:
        raise ArtifactError(f"{path} must hold {wanted}, but holds {place}. {_remedy(path)}")


def _checked_facts(path: Path, kind: str, header: Mapping[str, Any], seal: str) -> dict[str, Any]:
    """The caller's facts of a header, once it is checked."""
    facts = dict(header["facts"])
    _check(path, kind, header, seal, facts.pop(_PLACE, None))
    return facts


def _header(path: Path, kind: str, facts: Mapping[str, Any], digest: str) -> str:
    sealed = {**facts, _PLACE: _place(path)}
    header = {"kind": kind, "version": VERSION, "facts": sealed, "sha256": _seal(digest, sealed)}
    return json.dumps(header, sort_keys=True)


def _seal(digest: str, facts: Mapping[str, Any]) -> str:
    """One checksum of the values and of the facts beside them."""
    return _hash_json([digest, dict(facts)])


def _hash_json(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _hash_table(table: "pd.DataFrame") -> str:
    digest = hashlib.sha256()
    for name in table.columns:
        column = table[name].to_numpy()
        digest.update(f"{name}:{column.dtype}".encode())
        digest.update("\0".join(map(str, column)).encode() if column.dtype == object else column.tobytes())
    return digest.hexdigest()


def _hash_tensors(tensors: Mapping[str, "Tensor"]) -> str:
    import torch

    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
