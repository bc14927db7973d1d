"""List the files below a folder that a user names, which may be any folder of the machine."""

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from helixnas.errors import DataError

SYSTEM = (Path("/proc"), Path("/sys"))
"""Folders in which the system shows itself as files: no image lies there, and their links lead everywhere."""


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """List all files that end in one of ``suffixes``, in alphabetical order, without following links to folders.

    Raises:
        DataError: ``folder`` is a folder of the system.
        OSError: A folder cannot be listed.
    """
    require_ordinary(folder)
    return sorted(
        Path(top) / name
        for top, _, names in os.walk(folder, onerror=_raise)
        for name in names
        if Path(name).suffix.lower() in suffixes
    )


def require_ordinary(folder: Path) -> None:
    """Require that ``folder`` is not one of the folders of SYSTEM, nor inside or above one; else DataError."""
    real = folder.resolve()
    if any(real.is_relative_to(system) or system.is_relative_to(real) for system in SYSTEM):
        raise DataError(
            f"Images must lie in a folder of their own, but {folder} leads to {real}, where the system's files are. "
            "Correct data.path, or remove the link."
        )


def _raise(error: OSError) -> NoReturn:
    raise error


def require_regular(file: Path) -> None:
    """Require a regular file, else OSError: opening a pipe would wait for the pipe's other end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError("it is no regular file")
