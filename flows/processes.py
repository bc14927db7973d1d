"""The processes that a flow starts: their environment, and an end for all of them when the flow ends."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from flows import guard
from flows.guard import GRACE_S, end_groups, signal_group
from flows.sweep import record, sweep
from helixnas.scratch import scratch_prefix

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
    """Live children, each in a group with its own children. All of them end where the ``with`` block ends.

    They end too if this process is killed outright: see ``guard.py`` and ``sweep.py``.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: set[subprocess.Popen[bytes]] = set()
        self._guard: subprocess.Popen[str] | None = None
        self._folder: Path | None = None
        self.is_stopped = False
        self.settings: dict[str, str] = {}
        """What is put into the environment of every child to come."""

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def folder(self) -> Path:
        """A folder in the temporary directory, for this user alone and until everything stops."""
        if self._folder is None:
            sweep()
            self._folder = Path(tempfile.mkdtemp(prefix=scratch_prefix()))
        return self._folder

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
                env=environment({**self.settings, **(extra or {})}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own: its children end with it, and Ctrl-C comes by way of us
            )
            self._live.add(process)
            self._tell_guard(f"+{process.pid}")
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
            signal_group(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            self._forget(process)
        if code:
            raise subprocess.CalledProcessError(code, command)

    def stop(self) -> None:
        """End every child and its children, and start no more."""
        with self._lock:
            self.is_stopped = True
            live = list(self._live)
        end_groups({process.pid for process in live}, GRACE_S, reap=lambda: [process.poll() for process in live])
        for process in live:
            process.wait()
            self._forget(process)
        if self._guard is not None:
            self._guard.communicate()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            if process in self._live:
                self._live.remove(process)
                self._tell_guard(f"-{process.pid}")

    def _tell_guard(self, line: str) -> None:
        folder = self.folder()
        record(folder, [process.pid for process in self._live])
        if self._guard is not None and self._guard.poll() is not None:  # killed
            self._guard.communicate()
            self._guard = None
        if self._guard is None:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, str(folder)],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            line = "\n".join(f"+{process.pid}" for process in self._live)
        assert self._guard.stdin is not None  # a pipe was asked for
        print(line, file=self._guard.stdin, flush=True)
