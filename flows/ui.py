"""``make ui``: MLflow, Prefect and the Optuna dashboard side by side, until Ctrl-C."""

import signal
import sys
from pathlib import Path

from flows.door import HOST, LOGIN, origins, own_addresses
from flows.processes import Processes
from flows.servers import (
    Server,
    behind_door,
    chosen_port,
    prefect_server,
    program,
    require_free,
    start,
    wait_until_one_ends,
    wait_until_up,
)
from helixnas import tracking
from helixnas.artifacts import CACHE
from helixnas.config import load
from helixnas.errors import HelixError

STUDIES = CACHE / "search"


def main() -> int:
    """Serve until Ctrl-C; 2 if a port is in use or a server does not come up."""
    root = Path.cwd()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        prefect = prefect_server(chosen_port("PREFECT_PORT", 4200), "PREFECT_PORT")
        servers = [*mlflow_server(root), prefect, *_optuna(root)]
        for server in servers:
            require_free(server)
        with Processes() as processes:
            running = {server: start(server, root, processes) for server in servers}
            for server, process in running.items():
                wait_until_up(server, process)
                print(f"{server.name:18} {server.url}", flush=True)
            print(f"{LOGIN} Ctrl-C ends them.", flush=True)
            ended = wait_until_one_ends(running)
    except HelixError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    print(f"error: {ended.name} ended by itself; its output is in {ended.log}.", file=sys.stderr)
    return 1


def mlflow_server(root: Path) -> list[Server]:
    """MLflow over the project's store, made ready here; none where MLFLOW_TRACKING_URI names a server.

    It has a door of its own, which is told whom to let in.
    """
    uri = tracking.open_store(root, load(root).tracking.experiment).uri
    if uri.startswith("http"):
        print(f"{'MLflow':18} {uri}")
        return []
    port = chosen_port("MLFLOW_PORT", 5000)
    hosts = own_addresses(port)
    command = (program("mlflow"), "server", "--workers", "1", "--backend-store-uri", uri)
    address = ("--host", HOST, "--port", str(port))
    door = ("--allowed-hosts", ",".join(hosts), "--cors-allowed-origins", ",".join(origins(hosts)))
    return [Server("MLflow", port, (*command, *address, *door), "/health", "MLFLOW_PORT")]


def _optuna(root: Path) -> list[Server]:
    """Optuna's dashboard over the newest study; none before the first search."""
    studies = sorted((root / STUDIES).glob("*.journal"), key=lambda path: path.stat().st_mtime)
    if not studies:
        print("Optuna dashboard   no study yet: `make run` makes one")
        return []
    port = chosen_port("OPTUNA_PORT", 8080)
    return [behind_door("Optuna dashboard", port, "optuna", str(studies[-1]), variable="OPTUNA_PORT")]


if __name__ == "__main__":
    sys.exit(main())
