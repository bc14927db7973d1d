"""Ends and removes what a flow has left that was killed together with its guard.

Only what is provably ours, and dead: a folder of this user in the temporary directory, named after a process that is
gone; and processes that this one had started, known by PID and start.
"""

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from flows.guard import GRACE_S, end_groups
from helixnas.scratch import SCRATCH, process_id

_NAME = re.compile(SCRATCH + r"(\d+-\d+-\d+)-\w+")
_GROUPS = "groups"


def record(folder: Path, pids: Iterable[int]) -> None:
    """Keep in a flow's folder the leaders of the process groups that it has running."""
    (folder / _GROUPS).write_text("\n".join(map(process_id, pids)), encoding="utf-8")


def sweep() -> None:
    """End and remove what killed flows have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        if (name := _NAME.fullmatch(folder.name)) is None:
            continue
        namespace, pid, _ = name[1].split("-")
        is_ours = process_id().startswith(f"{namespace}-")  # of a process in another namespace nothing can be told
        if is_ours and process_id(int(pid)) != name[1] and _is_of_this_user(folder):
            end_groups(_left(folder), GRACE_S)
            shutil.rmtree(folder, ignore_errors=True)


def _is_of_this_user(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False  # its guard was faster
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()


def _left(folder: Path) -> set[int]:
    try:
        started = (folder / _GROUPS).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return set()
    pids = {known: int(known.split("-")[1]) for known in started if _NAME.fullmatch(f"{SCRATCH}{known}-x")}
    return {pid for known, pid in pids.items() if process_id(pid) == known and os.getpgid(pid) == pid}
