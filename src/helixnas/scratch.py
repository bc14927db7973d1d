"""Folders in the temporary directory, named after the process that made them, so that a killed one leaves none."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRATCH = "helixnas-"
"""How folders in the temporary directory begin that are ours."""


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
