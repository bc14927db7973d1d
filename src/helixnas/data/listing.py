"""The files below a folder that a user names, which may be any folder of the machine."""

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

from helixnas.errors import DataError

SYSTEM = (Path("/proc"), Path("/sys"))
"""Where the system shows itself as files: no image lies there, and its links lead everywhere."""


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """All that is no folder and ends in one of ``suffixes``, in the order of the paths. Links to folders are left out.

    DataError for a folder of the system's; OSError for one that cannot be listed.
    """
    require_ordinary(folder)
    return sorted(
        Path(top) / name
        for top, _, names in os.walk(folder, onerror=_raise)
        for name in names
        if Path(name).suffix.lower() in suffixes
    )


def require_ordinary(folder: Path) -> None:
    """DataError for a folder in which, or below which, the system shows itself."""
    real = folder.resolve()
    if any(real.is_relative_to(system) or system.is_relative_to(real) for system in SYSTEM):
        raise DataError(
            f"Images must lie in a folder of their own, but {folder} leads to {real}, where the system's files are. "
            "Correct data.path, or remove the link."
        )


def _raise(error: OSError) -> NoReturn:
    raise error


def require_regular(file: Path) -> None:
    """OSError unless it is a regular file: to open a pipe would wait for its other end."""
    if not stat.S_ISREG(file.stat().st_mode):
        raise OSError("it is no regular file")
