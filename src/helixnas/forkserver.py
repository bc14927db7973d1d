"""A process that has torch and timm loaded, and becomes each stage by forking: a stage need not import them again.

A flow starts one, ``python -m helixnas.forkserver SOCKET``, and names the socket in the environment. ``helixnas`` then
sends its arguments, environment, folder and open files there, and waits for the exit code.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helixnas import source

ADDRESS = "HELIXNAS_FORKSERVER"
"""The environment's name for the socket; empty or unset, every stage is a process from scratch."""

_PRELOADED = ("torch", "torchvision", "timm", "pandas", "pyarrow.parquet")
_STAGES = ("data", "teacher", "distill", "rating", "cost", "search", "retrain", "compare", "report")
_STALE = b"stale"
_KILLED = 137


def ask(address: str) -> int | None:
    """Run this process's command by the server at ``address``; its exit code, None if it must be run here."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
            socket.send_fds(connection, [b"\n"], [0, 1, 2])
            request = {"arguments": sys.argv, "environment": dict(os.environ), "folder": str(Path.cwd())}
            connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError:  # it has ended, or never was
            return None
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the stage ends when this process does
        reply = connection.recv(16)
    if reply == _STALE:
        return None
    if not reply:
        print("error: the stage was killed: by a user, or by the system for want of memory.", file=sys.stderr)
        return _KILLED
    return int(reply)


def serve(address: str, run: Callable[[], None]) -> None:
    """Answer every request by a fork that calls ``run`` as if it had been started itself. Ends by a signal alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: they answer by themselves
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        code = source.digest()
        _preload()
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    _answer(connection, run, is_stale=source.digest() != code)


def _preload() -> None:
    for name in (*_PRELOADED, *(f"helixnas.stages.{stage}" for stage in _STAGES)):
        importlib.import_module(name)
    gc.freeze()  # a fork's collector would touch, and so copy, every page


def _answer(connection: socket.socket, run: Callable[[], None], *, is_stale: bool) -> None:
    """Be the process that asked, tell it the exit code, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        _, files, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as lines:
            request = json.loads(lines.readline())
        reply = _STALE if is_stale else str(_run_as(request, files, connection, run)).encode()
        with contextlib.suppress(OSError):
            connection.sendall(reply)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)  # what is at the end of a process is the server's


def _run_as(request: dict[str, Any], files: list[int], connection: socket.socket, run: Callable[[], None]) -> int:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["arguments"]
    threading.Thread(target=_end_with, args=[connection], daemon=True).start()
    code = _exit_code(run)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    return code


def _end_with(connection: socket.socket) -> None:
    """Die when the process that asked dies, as one process would."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def _exit_code(run: Callable[[], None]) -> int:
    try:
        run()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:  # whatever it is, it ends here as it would end a process
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read as torch is loaded; see helixnas.__main__
    from helixnas.__main__ import main

    serve(sys.argv[1], main)
