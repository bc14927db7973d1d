"""Where each value lives on disk. Writes are atomic and carry a checksum; reads check it or raise ArtifactError.

JSON, Parquet and safetensors only: nothing that is read here can run code. The same value gives the same bytes.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helixnas.errors import ArtifactError, EnvironmentFault

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

VERSION = 2
SCRATCH = "helixnas-"
"""How folders in the temporary directory begin that are ours."""
CACHE = Path(".cache")
"""Checkpoints, curves and studies: never an output of DVC, never read by a later stage, safe to delete."""


def folder(stage: str, block_id: int | None = None) -> Path:
    """A stage's folder, relative to the project root; with ``block_id``, that block's."""
    path = Path("artifacts") / stage
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
        raise EnvironmentFault(
            f"{path} must be written, but: {error}. Free some space, or check the folder's rights."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


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


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of this process in the temporary directory, gone with the block."""
    with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as name:
        yield Path(name)


def scratch_prefix() -> str:
    """How the names of this process's folders in the temporary directory begin.

    They tell whose they are, so that the next flow can remove what a killed process left: see ``flows/sweep.py``.
    """
    return f"{SCRATCH}{process_id()}-"


def process_id(pid: int | None = None) -> str:
    """What no two processes of a machine share, whenever they live: PID namespace, PID, and the start in clock ticks.

    Empty where there is no such process, or no /proc to ask.
    """
    pid = os.getpid() if pid is None else pid
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return "" if state in "ZX" else f"{namespace}-{pid}-{fields[18]}"


def save_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def save_json(path: Path, kind: str, value: Any) -> None:
    """Save a value of plain types under its kind, such as ``"arch"``."""
    text = json.dumps(
        {"kind": kind, "version": VERSION, "sha256": _hash_json(value), "value": value}, indent=1, sort_keys=True
    )
    save_text(path, text + "\n")


def load_json(path: Path, kind: str) -> Any:
    """The value that ``save_json`` saved, with tuples as lists."""
    _must_exist(path)
    try:
        envelope = json.loads(path.read_text(encoding="utf-8"))
        value = envelope["value"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from error
    _check(path, kind, envelope, _hash_json(value))
    return value


def save_table(path: Path, kind: str, table: "pd.DataFrame", facts: Mapping[str, Any] | None = None) -> None:
    """Save a table as Parquet, floats in float64, with ``facts`` (plain types) in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({"helixnas": _header(kind, facts or {}, _hash_table(table))})
    with atomic(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd")


def load_table(path: Path, kind: str) -> tuple["pd.DataFrame", dict[str, Any]]:
    """The table and the facts that ``save_table`` saved."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    _must_exist(path)
    try:
        arrow = pq.read_table(path)
        header = json.loads((arrow.schema.metadata or {})[b"helixnas"])
        table = arrow.to_pandas()
        seal = _seal(_hash_table(table), header["facts"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    _check(path, kind, header, seal)
    return table, header["facts"]


def save_tensors(
    path: Path, kind: str, tensors: Mapping[str, "Tensor"], facts: Mapping[str, Any] | None = None
) -> None:
    """Save named tensors as safetensors, with ``facts`` (plain types) in the header."""
    from safetensors.torch import save

    plain = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    header = _header(kind, facts or {}, _hash_tensors(plain))
    with atomic(path) as temporary:
        # bytes first: a full disk must raise OSError here, not a library's own error
        temporary.write_bytes(save(plain, metadata={"helixnas": header}))


def load_tensors(path: Path, kind: str) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """The tensors and the facts that ``save_tensors`` saved, on the CPU."""
    from safetensors import SafetensorError, safe_open

    _must_exist(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["helixnas"])
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        seal = _seal(_hash_tensors(tensors), header["facts"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    _check(path, kind, header, seal)
    return tensors, header["facts"]


def tensor_facts(path: Path, kind: str) -> dict[str, Any] | None:
    """The facts alone, unchecked; None where there is no such file, or one of another kind."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["helixnas"])
    except (SafetensorError, OSError, KeyError, ValueError):
        return None
    return dict(header["facts"]) if header["kind"] == kind else None


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise ArtifactError(f"{path} must exist, but does not. Run `dvc repro`, or `dvc pull` where a remote holds it.")


def _damaged(path: Path, why: str) -> ArtifactError:
    reason = " ".join(why.split())[:200]
    return ArtifactError(f"{path} must be whole, but cannot be read ({reason}). Remove it and run `dvc repro`.")


def _check(path: Path, kind: str, header: Mapping[str, Any], digest: str) -> None:
    got = (header.get("kind"), header.get("version"))
    if got != (kind, VERSION):
        raise ArtifactError(f"{path} must hold {(kind, VERSION)}, but holds {got}. Remove it and run `dvc repro`.")
    if header.get("sha256") != digest:
        raise ArtifactError(
            f"{path} was changed after it was written: its checksum differs. Remove it and run `dvc repro`."
        )


def _header(kind: str, facts: Mapping[str, Any], digest: str) -> str:
    header = {"kind": kind, "version": VERSION, "facts": dict(facts), "sha256": _seal(digest, facts)}
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
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(_uint8()).numpy().tobytes())
    return digest.hexdigest()


def _uint8() -> Any:
    import torch

    return torch.uint8
