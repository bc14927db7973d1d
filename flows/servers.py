"""Servers for people at this machine: started together, on loopback only, ended together."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.processes import GRACE_S, environment
from helixnas.errors import EnvironmentFault

HOST = "127.0.0.1"
START_S = 180.0


@dataclass(frozen=True, slots=True)
class Server:
    """One program that serves on a port. ``variable`` is the environment variable that moves it to another."""

    name: str
    variable: str
    default_port: int
    command: Sequence[str]
    health: str = "/"

    @property
    def port(self) -> int:
        return int(os.environ.get(self.variable, self.default_port))

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def program(name: str) -> str:
    """A program that was installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def require_free(server: Server) -> None:
    """EnvironmentFault if the server's port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, server.port))
        except OSError as error:
            raise EnvironmentFault(
                f"{server.name} needs port {server.port}, but it is in use. End what uses it, or set {server.variable}."
            ) from error


def start(server: Server, root: Path, extra: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a server on its port, its output in ``.cache/logs``."""
    log = root / ".cache" / "logs" / f"{server.name.lower().replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        return subprocess.Popen(
            list(server.command),
            cwd=root,
            env=environment() | (extra or {}),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def wait_until_up(server: Server, process: subprocess.Popen[bytes]) -> None:
    """EnvironmentFault if the server ends, or does not answer in time."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(server.url + server.health, timeout=5):
                return
        except urllib.error.HTTPError:
            return  # it answers, if not with a page
        except OSError:
            time.sleep(0.5)
    raise EnvironmentFault(f"{server.name} must come up on {server.url}, but did not. Its output is in .cache/logs.")


@contextmanager
def temporary_prefect(root: Path) -> Iterator[None]:
    """A Prefect server for the body, on a free port, unless PREFECT_API_URL names one.

    Prefect can start one by itself, but in our process group: Ctrl-C would end it first, and the flow could not say
    that it was stopped.
    """
    if "PREFECT_API_URL" in os.environ:
        yield
        return
    port = _free_port()
    command = (program("prefect"), "server", "start", "--no-ui", "--host", HOST, "--port", str(port))
    server = Server("Prefect", "", port, command, "/api/health")
    process = start(server, root)
    try:
        wait_until_up(server, process)
        os.environ["PREFECT_API_URL"] = f"{server.url}/api"
        yield
    finally:
        os.environ.pop("PREFECT_API_URL", None)
        stop([process])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the servers and whatever they started."""
    for number in (15, 9):
        for process in processes:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline and any(process.poll() is None for process in processes):
            time.sleep(0.1)
