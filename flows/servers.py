"""Servers for people at this machine: started together, on loopback only, ended together."""

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.door import AUTH, HOST, auth_string
from flows.processes import Processes
from helixnas.artifacts import CACHE
from helixnas.errors import ConfigError, EnvironmentFault

START_S = 180.0
API_URL = "PREFECT_API_URL"


@dataclass(frozen=True, slots=True)
class Server:
    """One program that serves on a port. ``variable`` is the environment variable that moves it to another."""

    name: str
    port: int
    command: Sequence[str]
    health: str = "/"
    variable: str = ""

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The file that takes the output of the server."""
        return CACHE / "logs" / f"{self.name.lower().replace(' ', '-')}.log"


def program(name: str) -> str:
    """A program that was installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def behind_door(name: str, port: int, *arguments: str, health: str = "/", variable: str = "") -> Server:
    """A server that ``flows.door`` runs, so that foreign pages do not reach it."""
    command = (sys.executable, "-m", "flows.door", *arguments, "--port", str(port))
    return Server(name, port, command, health, variable)


def prefect_server(port: int, variable: str = "") -> Server:
    """Prefect's server on a port."""
    return behind_door("Prefect", port, "prefect", health="/api/health", variable=variable)


def chosen_port(variable: str, default: int) -> int:
    """The port that an environment variable names; ConfigError if that is none."""
    text = os.environ.get(variable) or str(default)
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise ConfigError(f"{variable} must be a port from 1 to 65535, but is {text!r}. Set it, or unset it.")
    return int(text)


def require_free(server: Server) -> None:
    """EnvironmentFault if the server's port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, server.port))
        except OSError as error:
            raise EnvironmentFault(
                f"{server.name} needs port {server.port} to be free, but it is not ({error.strerror}). "
                f"End what uses it, or choose another with {server.variable}=..."
            ) from error


def start(
    server: Server, root: Path, processes: Processes, extra: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a server, its output in ``.cache/logs``."""
    (root / server.log).parent.mkdir(parents=True, exist_ok=True)
    with (root / server.log).open("wb") as log:
        return processes.start(server.command, root, log, extra)


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
            time.sleep(0.2)
    raise EnvironmentFault(f"{server.name} must come up on {server.url}, but did not. Its output is in {server.log}.")


def wait_until_one_ends(running: Mapping[Server, subprocess.Popen[bytes]]) -> Server:
    """The first of the servers that ends by itself."""
    while True:
        for server, process in running.items():
            if process.poll() is not None:
                return server
        time.sleep(0.5)


def start_temporary_prefect(root: Path) -> Callable[[], None]:
    """Start a Prefect server of our own, unless PREFECT_API_URL names one; returns what waits until it is up.

    Where it is, and its password, are put into this process's environment.

    Prefect can start one by itself, but in our process group: Ctrl-C would end it first, and the flow could not say
    that it was stopped. Ours ends with this process, after Prefect's threads have sent what they still hold.
    """
    if os.environ.get(API_URL):
        return lambda: None
    processes = Processes()
    atexit.register(processes.stop)
    os.environ[AUTH] = auth_string(root)
    server = prefect_server(free_port())
    process = start(server, root, processes, {"PREFECT_SERVER_UI_ENABLED": "false"})
    os.environ[API_URL] = f"{server.url}/api"
    return lambda: wait_until_up(server, process)


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
