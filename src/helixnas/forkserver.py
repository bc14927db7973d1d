"""A process that has torch and timm loaded, and becomes each stage by forking: a stage need not import them again.

A flow launches one, ``python -m helixnas.forkserver SOCKET``, and names the socket in the environment. ``helixnas``
then sends its arguments, environment, folder and open files there, and waits for the exit code. An empty
HELIXNAS_FORKSERVER in the environment of the flow switches this off: every stage is a process from scratch then.

Every stage imports this file first, so what the server alone needs is imported where it is used.
"""

import contextlib
import faulthandler
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

ADDRESS = "HELIXNAS_FORKSERVER"
"""The environment's name for the socket; empty or unset, every stage is a process from scratch."""
LOG = Path(".cache") / "logs" / "forkserver.log"

_PRELOADED = ("torch", "torchvision", "timm", "pandas", "pyarrow.parquet")
_CUSTOM, _EXIT, _STALE = "custom", "exit", "stale"
"""How a line of the answer begins: what to say if the stage ends in custom code, its exit code, or neither."""
_FAULT = 2
_KILLED = 137


def launch(start: Callable[[list[str], Path, IO[bytes]], object], folder: Path, root: Path) -> dict[str, str]:
    """Start a server for the stages of a flow; nothing waits for it.

    A stage that comes while the server still imports waits there as long as it would by itself.

    Args:
        start: Starts a command in a folder, its output into a file; whoever gives it ends the process with the flow.
        folder: For the socket: its name must be short, and this user alone may enter.
        root: Folder of the project.

    Returns:
        What the environment of the stages must have: the address. Nothing where no server was started, since this is
        not Linux, or since the environment has the address of one, or an empty one, already.
    """
    if sys.platform != "linux" or ADDRESS in os.environ:
        return {}
    address = str(folder / "socket")
    (root / LOG).parent.mkdir(parents=True, exist_ok=True)
    with (root / LOG).open("wb") as log:
        start([sys.executable, "-m", "helixnas.forkserver", address], root, log)
    return {ADDRESS: address}


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
        with connection.makefile(encoding="utf-8", errors="replace") as lines:
            return _code(lines)


def _code(lines: Iterable[str]) -> int | None:
    """The exit code that a stage's answer ends with; where it breaks off, say why."""
    custom, crash = "", list[str]()
    for line in lines:
        word, _, text = line.rstrip("\n").partition(" ")
        if word == _STALE:
            return None
        if word == _EXIT:
            return int(text)
        if word == _CUSTOM:
            custom = text
        elif not line.startswith("Extension modules"):  # faulthandler's words on a crash, without all that is loaded
            crash.append(line)
    killed = "the stage was killed: by a user, or by the system for want of memory."
    print(f"error: {custom or killed}", file=sys.stderr)
    sys.stderr.writelines(crash)
    return _FAULT if custom else _KILLED


def serve(address: str, run: Callable[[], None]) -> None:
    """Answer every request by a fork that calls ``run`` as if it had been started itself. Ends by a signal alone."""
    from helixnas import source

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: they answer by themselves
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        code = source.stage_digest(None)
        _preload()
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    listener.close()
                    _answer(connection, run, is_stale=source.stage_digest(None) != code)


def _preload() -> None:
    from helixnas import stages

    for name in (*_PRELOADED, *(f"helixnas.stages.{each.name}" for each in pkgutil.iter_modules(stages.__path__))):
        importlib.import_module(name)
    gc.freeze()  # a fork's collector would touch, and so copy, every page


def _answer(connection: socket.socket, run: Callable[[], None], *, is_stale: bool) -> None:
    """Be the process that asked, tell it the exit code, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        _, files, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as lines:
            request = json.loads(lines.readline())
        if is_stale:
            _tell(connection, _STALE)
        else:
            _tell(connection, _EXIT, str(_run_as(request, files, connection, run)))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)  # what is at the end of a process is the server's


def _tell(connection: socket.socket, word: str, text: str = "") -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        connection.sendall(f"{word} {' '.join(text.split())}\n".encode(errors="replace"))


def _run_as(request: dict[str, Any], files: list[int], connection: socket.socket, run: Callable[[], None]) -> int:
    from helixnas.custom import testify

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[:] = request["arguments"]
    faulthandler.enable(connection, all_threads=False)
    testify(lambda text: _tell(connection, _CUSTOM, text))
    threading.Thread(target=_end_with, args=[connection], daemon=True).start()
    code = _exit_code(run)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # it is broken, or closed
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
