"""Ends a flow whose Prefect server has died. Prefect itself would ask for it for minutes, and tell so in tracebacks."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

from helixnas.artifacts import CACHE

POLL_S = 1.0
LOST_S = 10.0
"""How long nobody may listen: a server that is only busy does, whatever it is busy with."""
TIDY_S = 15.0
"""What the block may take to end its processes."""

Address = tuple[str, int]


class ServerLost(BaseException):  # as KeyboardInterrupt: nothing on the way may take it for a failure of its own
    """Nobody listens at the address of Prefect's server any more."""


@contextmanager
def pulse(api_url: str | None) -> Iterator[None]:
    """Raise ServerLost in the block if Prefect's server vanishes, and end the process with code 2 when the block ends.

    There is nobody left then to tell a state to. A block that was stopped is watched until the process has ended.
    Only a server that can be reached as the block begins is watched, and only from the main thread: signals reach it.
    """
    address = _address(api_url)
    if threading.current_thread() is not threading.main_thread() or address is None or not _is_there(address):
        yield
        return
    over, left = threading.Event(), threading.Event()
    signal.signal(signal.SIGUSR1, _interrupt)
    threading.Thread(target=_watch, args=[address, over, left], daemon=True).start()
    try:
        yield
        over.set()
    except Exception:
        over.set()
        raise
    except ServerLost:
        _end(address)
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        left.set()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise ServerLost


def _watch(address: Address, over: threading.Event, left: threading.Event) -> None:
    seen = time.monotonic()
    while time.monotonic() - seen < LOST_S:
        if over.wait(POLL_S):
            return
        if _is_there(address):
            seen = time.monotonic()
    if not left.is_set():
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        left.wait(TIDY_S)
    _end(address)


def _end(address: Address) -> NoReturn:
    host, port = address
    print(
        f"error: Prefect's server must answer while a flow runs, but nobody listens at {host}:{port} any more. "
        "What was finished is kept, and the next run goes on from there. If the flow had started the server, its "
        f"output is in {CACHE / 'logs' / 'prefect.log'}.",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)


def _address(api_url: str | None) -> Address | None:
    parts = urlsplit(api_url or "")
    return (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)) if parts.hostname else None


def _is_there(address: Address) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return False
    return True
