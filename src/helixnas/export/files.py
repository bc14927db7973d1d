"""The files of an exported student in a folder: which they are, and whether they are as they were written."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_safetensors
from torch import nn
from torch.export import ExportedProgram

from helixnas import artifacts
from helixnas.errors import ArtifactError, ConfigError
from helixnas.export.contract import Contract
from helixnas.export.module_text import plain_module
from helixnas.export.onnx_file import save_onnx
from helixnas.export.program import save_program

FACTS, CARD = "export.json", "MODEL_CARD.md"
ONNX, INT8, PT2, MODULE, WEIGHTS = "student.onnx", "student.int8.onnx", "student.pt2", "model.py", "student.safetensors"


def write_files(out: Path, program: ExportedProgram, network: nn.Module, contract: Contract, title: str) -> None:
    """Write every file of a student but int8.

    Args:
        out: The folder.
        program: What torch exported of ``network``.
        network: Takes images with pixels from 0 to 1.
        contract: What the files promise.
        title: Which student this is.
    """
    save_program(program, out / PT2)
    plain = plain_module(program, contract, title)
    artifacts.save_text(out / MODULE, plain.text)
    with artifacts.atomic(out / WEIGHTS) as temporary:
        temporary.write_bytes(to_safetensors(plain.tensors))
    save_onnx(program, network, contract, out / ONNX)


def seal(out: Path, names: Sequence[str], facts: dict[str, Any]) -> None:
    """Write down what is known of the files ``names`` in a folder, with their checksums."""
    artifacts.save_json(out / FACTS, "export", {**facts, "sha256": {name: _digest(out / name) for name in names}})


def exported_files(folder: Path) -> list[Path]:
    """List the files of an exported student in a folder; ArtifactError where one is missing or was changed."""
    checksums = artifacts.load_json(folder / FACTS, "export")["sha256"]
    for name, checksum in checksums.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} must exist, but does not. Run `dvc repro export`.")
        if _digest(path) != checksum:
            raise ArtifactError(
                f"{path} was changed after it was written: its checksum differs. Remove it and run `dvc repro export`."
            )
    return [folder / FACTS, *(folder / name for name in checksums)]


def copy_files(folder: Path, target: Path) -> list[Path]:
    """Copy an exported student to a new folder, whole or not at all; the copies, checked.

    Raises:
        ArtifactError: A file is not as it was written.
        ConfigError: ``target`` holds something already.
        EnvironmentFault: The files cannot be written.
    """
    files = exported_files(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ConfigError(f"--to must name a new or empty folder, but {target} holds something. Name another.")
    temporary = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
        for path in files:
            shutil.copyfile(path, temporary / path.name)
            with (temporary / path.name).open("rb+") as file:
                os.fsync(file.fileno())
        exported_files(temporary)
        temporary.chmod(0o755)
        temporary.replace(target)
    except OSError as error:
        raise artifacts.unwritable(target, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return [target / path.name for path in files]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
