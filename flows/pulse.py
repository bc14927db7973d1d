"""Ends a flow whose Prefect server has died. Prefect itself would ask for it for minutes, and tell so in tracebacks."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from urllib.parse import urlsplit

POLL_S = 1.0
LOST_S = 10.0
"""How long nobody may listen: a server that is only busy does, whatever it is busy with."""


class ServerLost(BaseException):  # as KeyboardInterrupt: nothing on the way may take it for a failure of its own
    """Nobody listens at the address of Prefect's server any more."""


@contextmanager
def pulse(api_url: str | None) -> Iterator[None]:
    """Raise ServerLost in this thread if Prefect's server vanishes before the block ends.

    Watched is a server that can be reached as the block begins, from the main thread, as only that can be interrupted.
    """
    address = _address(api_url)
    if threading.current_thread() is not threading.main_thread() or address is None or not _is_there(address):
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise ServerLost(f"nobody listens at {api_url} any more")

    over = threading.Event()
    signal.signal(signal.SIGUSR1, end)
    threading.Thread(target=_watch, args=[address, over, threading.get_ident()], daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # the last word of the thread must not end the process
        over.set()


def _watch(address: tuple[str, int], over: threading.Event, thread: int) -> None:
    seen = time.monotonic()
    while not over.wait(POLL_S):
        if _is_there(address):
            seen = time.monotonic()
        elif time.monotonic() - seen > LOST_S:
            signal.pthread_kill(thread, signal.SIGUSR1)
            return


def _address(api_url: str | None) -> tuple[str, int] | None:
    parts = urlsplit(api_url or "")
    return (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)) if parts.hostname else None


def _is_there(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=5).close()
    except OSError:
        return False
    return True
