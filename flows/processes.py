"""The processes that a flow starts: their environment, and an end for all of them when the flow ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

GRACE_S = 5.0
"""What a process may take to end after SIGTERM, before SIGKILL."""

_SETTINGS = {
    "OMP_NUM_THREADS": "1",  # a stage says itself how many threads it takes; two stages at once must not take all
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # five processes for a queue that nothing here fills
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PYTHONUNBUFFERED": "1",
}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, our settings beneath it, ``extra`` above, this Python's programs first on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**_SETTINGS, **os.environ, **(extra or {}), "PATH": path}


def dvc_command(*arguments: str) -> list[str]:
    """DVC of this very Python, whatever lies on PATH."""
    return [sys.executable, "-m", "dvc", *arguments]


class Processes:
    """Live children, each in a group with its own children. All of them end where the ``with`` block ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[subprocess.Popen[Any]] = set()
        self.is_stopped = False

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self, command: Sequence[str], root: Path, output: int | IO[bytes], extra: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in ``root``; stdout and stderr go to ``output``. Not to be called once stopped."""
        with self._lock:
            if self.is_stopped:
                raise RuntimeError(f"{command} was to start after everything had been stopped")
            process = subprocess.Popen(
                command,
                cwd=root,
                env=environment(extra),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own: its children end with it, and Ctrl-C comes by way of us
            )
            self._live.add(process)
            return process

    def lines(self, command: Sequence[str], root: Path, extra: Mapping[str, str] | None = None) -> Iterator[str]:
        """Run a command and yield its output line by line; CalledProcessError at the end if it failed."""
        process = self.start(command, root, subprocess.PIPE, extra)
        assert process.stdout is not None  # a pipe was asked for
        try:
            for line in process.stdout:
                yield line.decode(errors="replace").rstrip()
            code = process.wait()
        finally:
            _end([process], grace_s=0)
            process.stdout.close()
            with self._lock:
                self._live.discard(process)
        if code:
            raise subprocess.CalledProcessError(code, command)

    def stop(self) -> None:
        """End every child and its children, and start no more."""
        with self._lock:
            self.is_stopped = True
            live = list(self._live)
        _end(live, GRACE_S)


def _end(processes: Sequence[subprocess.Popen[Any]], grace_s: float) -> None:
    """SIGTERM, and SIGKILL for what is still there after ``grace_s`` seconds."""
    if grace_s:
        for process in processes:
            _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(_signal_group(process, 0) for process in processes):
        time.sleep(0.05)
    for process in processes:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[Any], number: int) -> bool:
    """Whether there was anyone left in the group to signal."""
    process.poll()
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
