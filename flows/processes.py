"""The processes that stages run in: their environment, and an end for all of them when the flow ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helixnas.progress import WATCHED

GRACE_S = 5.0
"""What a stage may take to end after SIGTERM, before SIGKILL."""

_SETTINGS = {
    "OMP_NUM_THREADS": "1",  # a stage says itself how many threads it takes; two stages at once must not take all
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "PYTHONUNBUFFERED": "1",
    WATCHED: "1",
}


def environment() -> dict[str, str]:
    """This process's environment with our settings beneath, and this Python's programs first on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**_SETTINGS, **os.environ, "PATH": path}


def dvc_command() -> list[str]:
    """DVC of this very Python, whatever lies on PATH."""
    return [sys.executable, "-m", "dvc"]


class Processes:
    """The live children of one flow run. Once stopped, it starts no more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[subprocess.Popen[str]] = set()
        self._is_stopped = False

    def lines(self, command: list[str], root: Path) -> Iterator[str]:
        """Run a command and yield its output line by line; CalledProcessError if it fails or was stopped."""
        process = self._start(command, root)
        try:
            assert process.stdout is not None  # a pipe was asked for
            yield from process.stdout
            code = process.wait()
        finally:
            _kill(process)
            with self._lock:
                self._live.discard(process)
        if code:
            raise subprocess.CalledProcessError(code, command)

    def _start(self, command: list[str], root: Path) -> subprocess.Popen[str]:
        with self._lock:
            if self._is_stopped:
                raise subprocess.CalledProcessError(-signal.SIGTERM, command)
            process = subprocess.Popen(
                command,
                cwd=root,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # a group of its own, so that DVC and its child end together
            )
            self._live.add(process)
            return process

    def stop(self) -> None:
        """End every child and its children, and start no more."""
        with self._lock:
            self._is_stopped = True
            live = list(self._live)
        for process in live:
            _signal(process, signal.SIGTERM)
        for process in live:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[str], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it ended in the meantime


@contextmanager
def stopping_on_signals(processes: Processes) -> Iterator[None]:
    """In the body, SIGTERM counts as Ctrl-C; at its end, however it ends, no child is left."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGTERM, interrupt) if in_main_thread else None
    try:
        yield
    finally:
        processes.stop()
        if in_main_thread:
            signal.signal(signal.SIGTERM, previous)
