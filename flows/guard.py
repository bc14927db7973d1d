"""Ends what a flow started once the flow is gone, though it was killed outright and could not do so itself.

A program of its own, run by ``processes.py``. It reads ``+PID`` for each group that starts and ``-PID`` for each
that ended; when the writer dies, the pipe closes, and the groups that are left are ended. Then it removes the flow's
folder, which it is given. What a guard that was killed could not do, the next flow does: see ``sweep.py``.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable

GRACE_S = 5.0
"""What a process may take to end after SIGTERM, before SIGKILL."""


def main() -> None:
    """Note the process groups that the parent names, until it is gone; then end those that are left."""
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    end_groups(groups, GRACE_S)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


def end_groups(groups: set[int], grace_s: float, reap: Callable[[], object] = lambda: None) -> None:
    """SIGTERM, and SIGKILL for what is still there after ``grace_s`` seconds.

    A parent's ``reap`` collects its children's exit codes; until then a dead one still counts as there.
    """
    left = {group for group in groups if signal_group(group, signal.SIGTERM)}
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        reap()
        left = {group for group in left if signal_group(group, 0)}
    for group in left:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> bool:
    """Whether there was anyone left in the group to signal."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
