"""A flow's own fork server: its stages start in a moment, as torch and timm are loaded once (helixnas.forkserver)."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.processes import Processes
from helixnas.artifacts import CACHE
from helixnas.forkserver import ADDRESS

LOG = CACHE / "logs" / "forkserver.log"


@contextmanager
def forkserver(processes: Processes, root: Path, *, is_wanted: bool) -> Iterator[None]:
    """Let the stages that ``processes`` starts be forks of one process, on Linux, until the block ends.

    Nothing is waited for: a stage that comes while the server still imports waits there as long as it would by itself.
    An empty HELIXNAS_FORKSERVER in the environment leaves it out.
    """
    if not is_wanted or sys.platform != "linux" or ADDRESS in os.environ:
        yield
        return
    address = str(processes.folder() / "socket")  # its path must be short, and ours alone
    (root / LOG).parent.mkdir(parents=True, exist_ok=True)
    with (root / LOG).open("wb") as log:
        processes.start([sys.executable, "-m", "helixnas.forkserver", address], root, log)
    processes.settings[ADDRESS] = address
    yield
